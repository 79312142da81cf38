"""Sparkify's pipeline: stages the logs and the catalogue, loads the star schema, and checks it.

Run it with `python -m flows.etl`.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("flows.etl:etl")

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from prefect import flow
from prefect.futures import PrefectFuture, wait
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from flows.generate import generate
from flows.parameters import Count, MaxErrors, SchemaName, WarehouseName, refuse_contradictions
from flows.run_names import named
from flows.summary import Places, Summary
from flows.terminal import this_python
from sql import catalog
from tasks.check import check, check_one, record_audits
from tasks.create_tables import create_tables
from tasks.describe_tables import describe_tables
from tasks.lease import lease
from tasks.load import load_dimension, load_fact
from tasks.open_batch import open_batch
from tasks.preflight import preflight
from tasks.results import CheckResult, TableResult
from tasks.stage import stage
from warehouse.checks import Check
from warehouse.days import Days
from warehouse.ledger import Opening
from warehouse.plan import Plan
from warehouse.sources import Compression, Source
from warehouse.target import Target

SAMPLE = Path("data")
Result = TypeVar("Result")

TABLES = [*(table.name for table in catalog.TABLES), "load_errors", "run_lease"]

_DEFAULT = "duckdb:///sparkify.duckdb"
_REPORT = "answers the analysts' questions in a page"
_UI = "shows runs in Prefect's UI"


@flow(name="sparkify-etl", flow_run_name=named("load {schema} in {warehouse}"))
def etl(
    log_data: str = "",
    song_data: str = "",
    *,
    log_jsonpaths: str = "",
    warehouse: WarehouseName = "duckdb:///sparkify.duckdb",
    schema: SchemaName = "public",
    aws_credentials: str = "",
    copy_role: str = "",
    manifests: str = "",
    compression: Compression = "none",
    max_errors: MaxErrors = 0,
    since: str = "",
    until: str = "",
    reload: bool = False,
    yes: bool = False,
    set_aside: bool = False,
    retry_set_aside: bool = False,
    dismiss_set_aside: bool = False,
    full_refresh: bool = False,
    max_age_hours: Count = 0,
    statement_timeout: Count = 0,
    plan: bool = False,
) -> Summary | Plan:
    """Load what is new of Sparkify's event logs and song catalogue into the star schema, and check it.

    Each file is loaded once, and again when it has changed. Safe to repeat at any time.

    Args:
        log_data: Event logs: a directory, a file or an s3:// prefix. Without any data, a sample is generated.
        song_data: Song catalogue: a directory, a file or an s3:// prefix.
        log_jsonpaths: JSONPaths file that maps event keys to columns. By default the project's own; on Redshift,
            log_json_path.json at the root of the logs' bucket.
        warehouse: Name of a SQLAlchemy Connector block, or a duckdb:/// URL.
        schema: Schema that holds the tables. Created if it is missing.
        aws_credentials: Name of an AWS Credentials block that may read the s3:// prefixes.
        copy_role: Redshift only: the IAM role that COPY reads with, `default` or an ARN. Takes precedence over keys.
        manifests: Redshift only: an s3:// prefix that the worker may write and COPY may read. With it COPY is told
            exactly which files are new, and without it by which prefixes they are found.
        compression: Compression of the files under both prefixes.
        max_errors: Records of each source that may be rejected before its load fails. load_errors keeps them.
        since: First day, YYYY-MM-DD, of which files are loaded, by the date in their names.
        until: Last day of which files are loaded.
        reload: Load the files of these days again, and let them replace what history has of the days.
        yes: Let a reload remove plays that the files no longer hold.
        set_aside: Set a file with more than max_errors rejects aside, and load the others.
        retry_set_aside: Try files again that earlier runs set aside.
        dismiss_set_aside: Keep files out that earlier runs set aside, and warn of them no more.
        full_refresh: Build the fact and all dimensions anew from everything that was ever loaded. Reads no file.
        max_age_hours: Warn if the newest event is older. 0: it may be of any age, as that of a sample is.
        statement_timeout: Seconds after which a single statement is cancelled. 0: no limit.
        plan: Print every statement that the run would send to Redshift, and send nothing. Keys are masked.
    """
    refuse_contradictions(**flow_run.parameters)
    days = Days.read(since, until, reload=reload)
    aside = {"set_aside": set_aside, "retry_set_aside": retry_set_aside, "dismiss_set_aside": dismiss_set_aside}
    options: dict[str, Any] = {"max_errors": max_errors, "compression": compression, "days": days, **aside}
    sources = [] if full_refresh else sources_of(*_sources(log_data, song_data), log_jsonpaths, **options)
    access = (aws_credentials, copy_role, manifests)
    target = Target(warehouse, schema, f"{flow_run.name} {flow_run.id}", statement_timeout, *access)
    if plan:
        return _plan(target, sources, full_refresh=full_refresh)
    rules = [catalog.newest_event(max_age_hours)] if max_age_hours else []
    return run_tasks(target, sources, rules, full_refresh=full_refresh, may_lose=yes).published()


def sources_of(
    log_data: str,
    song_data: str,
    log_jsonpaths: str = "",
    *,
    max_errors: int = 0,
    compression: Compression = "none",
    **options: Any,
) -> list[Source]:
    """Return what COPY loads: the event logs and the song catalogue."""
    return [
        Source(catalog.STAGING_EVENTS, log_data, log_jsonpaths, max_errors, compression, **options),
        Source(catalog.STAGING_SONGS, song_data, "", max_errors, compression, **options),
    ]


def audits_of(source: Source, *, may_lose: bool = False) -> list[Check]:
    """Return what is checked of a source's new files: of a reload also that it loses no play, unless it may."""
    kept = () if may_lose or not source.days.reload else catalog.RELOAD_AUDITS[source.table]
    return [*catalog.AUDITS[source.table], *kept]


def run_tasks(
    target: Target,
    sources: list[Source],
    rules: Sequence[Check] = (),
    *,
    full_refresh: bool = False,
    may_lose: bool = False,
) -> Summary:
    """Run all tasks, and check `rules` whether or not anything is new. Holds the lease while tables change.

    Each task names in `wait_for` what the tasks before it returned: so the run's graph in Prefect's UI has its edges.
    """
    findings = preflight(target, sources, TABLES)
    with lease(target, after=findings) as taken_at:
        created = create_tables(target, catalog.TABLES, wait_for=[taken_at])
        describe_tables(target, catalog.TABLES, wait_for=[created])
        opening = open_batch(target, catalog.STAR, catalog.CHECKS, wait_for=[created])
        summary = load_and_check(target, sources, opening, full_refresh=full_refresh, may_lose=may_lose)
        began_at = opening.at if summary.tables else None
        found = [check_one(target, rule, began_at, wait_for=[opening]) for rule in rules]
        return replace(summary, checks=[*summary.checks, *found])


def load_and_check(
    target: Target, sources: list[Source], opening: Opening, *, full_refresh: bool, may_lose: bool = False
) -> Summary:
    """Stage what is new, load the star schema from it, and check that; what is independent, in parallel.

    Where a batch breaks a rule of severity `error`, it is not added to history, and nothing else is loaded. If nothing
    is new, and tables and checks have seen all of history, the run ends before it would read any of them.
    """
    staged = _results(
        stage.submit(
            target, source, opening.batch, audits_of(source, may_lose=may_lose), return_state=False, wait_for=[opening]
        )
        for source in sources
    )
    audits = [result for each in staged for result in each.checks]
    is_up_to_date = opening.is_current and not any(each.is_news for each in staged)
    fails = any(result.fails_run for result in audits)
    if fails:
        record_audits(target, audits, opening.at, wait_for=staged)
    if fails or (is_up_to_date and not full_refresh):
        return Summary(target, staged, [], audits, where_to_look(target), opening)
    tables, checks = load_star(target, opening.at, audits, after=staged or opening, full_refresh=full_refresh)
    return Summary(target, staged, tables, [*audits, *checks], where_to_look(target), opening)


def load_star(
    target: Target,
    began_at: datetime | None = None,
    audits: Sequence[CheckResult] = (),
    *,
    after: object,
    full_refresh: bool = False,
) -> tuple[list[TableResult], list[CheckResult]]:
    """Load facts, then dimensions in parallel, and check them, `after` a task that returned this.

    What `audits` found of the files that the run `began_at` a time has loaded is recorded with what the checks find.
    """
    facts = [
        load_fact(target, table, catalog.HISTORY, full_refresh=full_refresh, wait_for=[after])
        for table in catalog.FACTS
    ]
    dimensions = _results(
        load_dimension.submit(
            target, table, catalog.HISTORY, full_refresh=full_refresh, return_state=False, wait_for=facts
        )
        for table in catalog.DIMENSIONS
    )
    tables = [*facts, *dimensions]
    touched = () if full_refresh else (*catalog.HISTORY, *catalog.STAR)
    return tables, check(target, catalog.CHECKS, touched, began_at=began_at, audits=audits, wait_for=tables)


def _plan(target: Target, sources: list[Source], *, full_refresh: bool) -> Plan:
    with TemporaryDirectory(prefix="sparkify-") as folder:
        run_tasks(replace(target, plan=folder), sources, full_refresh=full_refresh)
        return Plan.read(folder)


def _sources(log_data: str, song_data: str) -> tuple[str, str]:
    if log_data:
        return log_data, song_data
    logger = get_run_logger()
    if SAMPLE.exists():
        logger.info("no data given, running on the sample in %s/", SAMPLE)
    else:
        logger.info("no data given, generating a sample in %s/", SAMPLE)
        generate(out=SAMPLE)
    return str(SAMPLE / "log_data"), str(SAMPLE / "song_data")


def _results(futures: Iterable[PrefectFuture[Result]]) -> list[Result]:
    submitted = list(futures)
    wait(submitted)
    return [future.result() for future in submitted]


def where_to_look(target: Target) -> Places:
    """Say where the tables and the rejected records are, and what to do next, with commands that can be pasted."""
    python = this_python()
    options = f"--warehouse {quote(target.warehouse)} --schema {quote(target.schema)}"
    rejects = f"The rejected records are in the table load_errors. By reason:\n  {python} -m flows.rejects {options}"
    query = f"select level, count(*) as plays from {target.schema}.songplays group by level"
    file = target.duckdb_file
    where = file or f"{target.warehouse}, schema {target.schema}"
    if (target.warehouse, target.schema) == (_DEFAULT, "public") and Path("Makefile").exists():
        steps = {"make report": _REPORT, "make explore": "opens the tables in an explorer", "make serve": _UI}
    else:
        connected = f"import duckdb; duckdb.connect('{file}').sql('{query}').show()"
        steps = {f"{python} -m flows.analytics {options}": _REPORT, f"{python} -m deployments.serve": _UI}
        steps |= {f'{python} -c "{connected}"': "asks a question of your own"} if file else {}
    listed = "\n".join(f"  {command.ljust(12)}  # {what}" for command, what in steps.items())
    return Places(f"The tables are in {where}. Next:\n{listed}", rejects)
