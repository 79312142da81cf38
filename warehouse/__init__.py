"""Connections, transactions and COPY for Amazon Redshift, and for DuckDB in its place.

errors                          retry, or tell a person
tables checks questions         what SQL files declare
target sources files jsonpaths  values that say where a run loads, and what
load_errors                     the table of rejected records
lease loads plan preflight      what every warehouse does alike: one run at a time, loads of a SELECT, looking first
base                            a warehouse: connections and transactions
s3/                             a wing that both others stand on
redshift/ duckdb/               the two warehouses: `warehouse` is the way in, then `copy`, `errors`, `preflight`
blocks                          Prefect's blocks by their names
connect planned                 which warehouse a target names; the only two that know both
"""
