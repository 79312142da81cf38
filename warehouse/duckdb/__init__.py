"""DuckDB as a stand-in for Redshift: Redshift's SQL, its locks, and COPY by its rules."""
