"""Connections, transactions and COPY for Amazon Redshift and for DuckDB, which stands in for it.

errors                          whether to retry or to tell a person
stopping                        ends what an interrupted run does, before its lease is given back
tables checks questions         what SQL files declare
target sources files days       values that say where a run loads to, and what it loads
jsonpaths first_records         the two kinds of content that are read before a COPY
load_errors                     the table of rejected records
lease plan preflight            what all warehouses share: one run at a time, statements on paper, a look before a run
ledger                          what was loaded when: batches, files, and how far each table is
loads touched                   how a table becomes equal to its SELECT, and which part of history new batches touch
base                            a warehouse: connections and transactions
s3/                             a wing that the other two build on
redshift/ duckdb/               the two warehouses: start reading at `warehouse`, then `copy`, `errors`, `preflight`
blocks                          loads Prefect blocks by name
connect planned                 open the warehouse that a target names; the only two modules that know both wings
"""
