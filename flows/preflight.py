"""Checks that a run would find what it needs, and changes nothing.

Run it with `python -m flows.preflight` and the options that the run would have.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("flows.preflight:preflight")

from flows.etl import TABLES, sources_of
from flows.parameters import SchemaName, WarehouseName
from warehouse.connect import open_warehouse
from warehouse.errors import PermanentError
from warehouse.sources import Compression
from warehouse.target import Target


def preflight(
    log_data: str,
    song_data: str,
    *,
    log_jsonpaths: str = "",
    warehouse: WarehouseName = "duckdb:///sparkify.duckdb",
    schema: SchemaName = "public",
    aws_credentials: str = "",
    copy_role: str = "",
    manifests: str = "",
    compression: Compression = "none",
) -> None:
    """Check that a run with these options would find what it needs. Changes nothing.

    Args:
        log_data: Event logs: a directory, a file or an s3:// prefix.
        song_data: Song catalogue: a directory, a file or an s3:// prefix.
        log_jsonpaths: JSONPaths file that maps event keys to columns. The default is the run's.
        warehouse: Name of a SQLAlchemy Connector block, or a duckdb:/// URL.
        schema: Schema that holds the tables.
        aws_credentials: Name of an AWS Credentials block.
        copy_role: Redshift only: the IAM role that COPY reads with, `default` or an ARN.
        manifests: Redshift only: an s3:// prefix that the worker may write and COPY may read.
        compression: Compression of the files under both prefixes.

    Raises:
        PermanentError: the run would fail.
    """
    target = Target(warehouse, schema, "preflight", 0, aws_credentials, copy_role, manifests)
    sources = sources_of(log_data, song_data, log_jsonpaths, compression=compression)
    findings = open_warehouse(target).preflight(sources, TABLES)
    for finding in findings:
        print(finding)
    failed = sum(finding.result == "failed" for finding in findings)
    if failed:
        raise PermanentError(f"{failed} of {len(findings)} checks failed. A run would fail too")
