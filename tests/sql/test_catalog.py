"""The SQL files and their catalogue agree, and use only what Redshift understands."""

import json
import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from sql import catalog
from tests.support.warehouses import duckdb_place
from warehouse.checks import Check
from warehouse.lease import DDL as LEASE_DDL
from warehouse.load_errors import LOAD_ERRORS_DDL
from warehouse.tables import Column, Table

LOADED = catalog.STAR
AUDITS = [audit for kind in (catalog.AUDITS, catalog.RELOAD_AUDITS) for audits in kind.values() for audit in audits]
OWN_CHECKS = [check for check in catalog.CHECKS if check not in catalog.TABLE_CHECKS]
CHECKS = [*OWN_CHECKS, *AUDITS]
STATEMENTS = {f"{t.name} {n}": s for t in catalog.TABLES for n, s in enumerate(t.statements)}
STATEMENTS |= {check.name: check.whole for check in CHECKS}
STATEMENTS |= {"run_lease": LEASE_DDL, "load_errors": LOAD_ERRORS_DDL}

NOT_IN_REDSHIFT: tuple[type[exp.Expr], ...] = (
    exp.Command,  # what sqlglot does not know
    exp.TruncateTable,  # commits
    exp.OnConflict,
    exp.Returning,
    exp.Array,
    exp.ArrayAgg,
    exp.ExplodingGenerateSeries,
    exp.GenerateSeries,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.Filter,
    exp.Lateral,
    exp.Rollback,
    exp.CheckColumnConstraint,
    exp.Index,
)
TYPES_NOT_IN_REDSHIFT = ("serial", "bigserial", "smallserial", "uuid", "json", "jsonb", "array", "struct", "map")
WORDS_NOT_IN_REDSHIFT = r"\b(string_agg|nextval|now|current_timestamp|current_date|localtimestamp)\b"


def not_in_redshift(statement: str) -> list[str]:
    """Return what a statement uses that Redshift does not have, or does differently from what the pipeline expects."""
    tree = sqlglot.parse_one(statement, read="redshift")
    found = [type(node).__name__ for node in tree.find_all(*NOT_IN_REDSHIFT)]
    types = [node.this.name.lower() for node in tree.find_all(exp.DataType)]
    found += [name for name in types if name in TYPES_NOT_IN_REDSHIFT]
    found += ["DISTINCT ON" for node in tree.find_all(exp.Distinct) if node.args.get("on")]
    found += ["VALUES as a table" for node in tree.find_all(exp.Values) if not isinstance(node.parent, exp.Insert)]
    found += [str(node.kind) for node in tree.find_all(exp.Create) if node.kind not in ("TABLE", "SCHEMA")]
    tokens = sqlglot.tokenize(statement, read="redshift")
    words = " ".join(t.text.lower() for t in tokens if t.token_type.name not in ("STRING", "IDENTIFIER"))
    return found + re.findall(WORDS_NOT_IN_REDSHIFT, words)


@pytest.mark.parametrize(
    "statement",
    [
        "truncate songs",
        "vacuum songs",
        "insert into songs (song_id) select song_id from staging_songs on conflict do nothing",
        "insert into songs (song_id) select song_id from staging_songs returning song_id",
        "select distinct on (song_id) song_id from songs",
        "select array[1, 2]",
        "select array_agg(song_id) from songs",
        "select string_agg(song_id, ',') from songs",
        "select generate_series(1, 3)",
        "select * from generate_series(1, 3) as n",
        "select a is distinct from b from t",
        "select a is not distinct from b from t",
        "select count(*) filter (where a > 1) from t",
        "select * from t, lateral (select t.a) as u",
        "select * from (values (1), (2)) as v (a)",
        "select now()",
        "select current_timestamp",
        "select nextval('keys')",
        "create table t (a serial)",
        "create table t (a uuid)",
        "create table t (a json)",
        "create table t (a integer[])",
        "create table t (a integer check (a > 1))",
        "create table t (a integer, check (a > 1))",
        "create index i on t (a)",
        "create sequence s",
        "rollback to savepoint s",
        "select a::jsonb from t",
    ],
)
def test_sql_that_redshift_lacks_is_detected(statement: str) -> None:
    assert not_in_redshift(statement)


@pytest.mark.parametrize("name", STATEMENTS)
def test_statement_is_valid_redshift_sql(name: str) -> None:
    assert not_in_redshift(STATEMENTS[name]) == []


def test_statements_run_on_duckdb(tmp_path: Path) -> None:
    warehouse = duckdb_place(tmp_path / "test.duckdb").session()
    ddl = [statement for statement in STATEMENTS.values() if "create table" in statement]
    arrived = [f"create table arrived_{name} as select * from {name}" for name in ("events", "catalogue")]
    replaced = "create temp table replaced as select * from events"
    warehouse.run(*ddl, *arrived, replaced, *STATEMENTS.values())


def test_tables_have_the_declared_columns(tmp_path: Path) -> None:
    warehouse = duckdb_place(tmp_path / "test.duckdb").session()
    warehouse.run(*(table.ddl for table in catalog.TABLES))
    with warehouse.warehouse.task() as connection:
        for table in catalog.TABLES:
            assert warehouse.warehouse.columns(connection, table.name) == table.columns


def test_every_sql_file_is_in_the_catalogue_and_vice_versa() -> None:
    lines = [table.path for table in catalog.TABLES] + [question.path for question in catalog.QUESTIONS]
    lines += {view for question in catalog.QUESTIONS for view in question.views}
    lines += [catalog.SQL / f"checks/{check.name}.sql" for check in OWN_CHECKS]
    lines += [catalog.SQL / f"audits/{audit.name}.sql" for audit in AUDITS]
    lines += [catalog.SQL / f"overview/{name}.sql" for name in catalog.OVERVIEW]
    assert sorted(lines) == sorted(catalog.SQL.rglob("*.sql"))


def test_every_jsonpaths_file_is_in_the_catalogue() -> None:
    assert [t.jsonpaths for t in catalog.TABLES if t.jsonpaths] == sorted(catalog.SQL.rglob("*.json"))


@pytest.mark.parametrize("table", catalog.TABLES, ids=lambda table: table.name)
def test_a_table_file_has_a_comment_its_ddl_and_a_select(table: Table) -> None:
    assert re.match(r"-- One row per .+\.\n", table.ddl), "the grain stands at the head of the file"
    created = sqlglot.parse_one(table.ddl, read="redshift").find(exp.Table)
    assert created is not None
    assert created.name == table.name
    for name in (table.name, *(column.name for column in table.columns)):
        assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name), f"{name} is not snake_case"
    required = {column.name for column in table.columns if not column.nullable}
    assert required >= set(table.key), "a key is NOT NULL"


@pytest.mark.parametrize("table", LOADED, ids=lambda table: table.name)
def test_the_select_returns_the_tables_columns_in_order(table: Table) -> None:
    select = sqlglot.parse_one(table.select, read="redshift")
    assert isinstance(select, exp.Select)
    assert select.named_selects == [column.name for column in table.columns]
    assert len(table.statements) in (2, 3)


@pytest.mark.parametrize("table", LOADED, ids=lambda table: table.name)
def test_the_catalogues_key_is_the_declared_primary_key(table: Table) -> None:
    primary = sqlglot.parse_one(table.ddl, read="redshift").find(exp.PrimaryKey)
    assert primary is not None
    assert tuple(part.name for part in primary.expressions) == table.key != ()


@pytest.mark.parametrize("table", LOADED, ids=lambda table: table.name)
def test_distribution_and_sort_keys_are_explained(table: Table) -> None:
    assert re.search(r"\)\n-- .+\n(diststyle|distkey)", table.ddl)
    assert "sortkey (" in table.ddl


@pytest.mark.parametrize("table", [t for t in catalog.TABLES if t.jsonpaths], ids=lambda table: table.name)
def test_the_jsonpaths_file_has_one_path_per_column(table: Table) -> None:
    assert table.jsonpaths
    paths = json.loads(table.jsonpaths.read_text(encoding="utf-8"))["jsonpaths"]
    assert [_snake_case(path) for path in paths] == [column.name for column in table.columns]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_states_its_rule(check: Check) -> None:
    assert re.fullmatch(r"[A-Z].+\.", check.rule)


def _snake_case(path: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", path.removeprefix("$['").removesuffix("']")).lower()


@pytest.mark.parametrize("staging", catalog.STAGING, ids=lambda table: table.name)
def test_history_has_the_columns_of_staging_and_the_batch(staging: Table) -> None:
    assert staging.history
    assert staging.history.columns == (*staging.columns, Column("batch_id", "integer", nullable=False))
