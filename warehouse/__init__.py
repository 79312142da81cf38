"""Connections, transactions and COPY for Amazon Redshift, and for DuckDB in its place."""
