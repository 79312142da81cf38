"""Connections, transactions and COPY for Amazon Redshift and for DuckDB, which stands in for it.

errors                          whether to retry or to tell a person
tables checks questions         what SQL files declare
target sources files jsonpaths  values that say where a run loads to, and what it loads
load_errors                     the table of rejected records
lease loads plan preflight      what all warehouses share: one run at a time, loads from a SELECT, checks before a run
base                            a warehouse: connections and transactions
s3/                             a wing that the other two build on
redshift/ duckdb/               the two warehouses: start reading at `warehouse`, then `copy`, `errors`, `preflight`
blocks                          loads Prefect blocks by name
connect planned                 open the warehouse that a target names; the only two modules that know both wings
"""
