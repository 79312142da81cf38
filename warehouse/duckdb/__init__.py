"""DuckDB in Redshift's place: its SQL, its locks, and COPY by its rules."""
