"""Each file is loaded once, and the star schema is what all of history gives, whatever arrived when."""

import json
import random
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prefect.logging import disable_run_logger

from sql import catalog
from tasks.create_tables import create_tables
from tasks.load import load_dimension, load_fact
from tasks.results import TableResult
from tests.standin import Standin
from tests.support.deliveries import Deliveries, growing
from tests.support.records import EVENT, SONG
from tests.support.steps import Step, undo_steps
from tests.support.warehouses import Place, duckdb_place, redshift_place, select, stage_next
from warehouse.connect import open_warehouse
from warehouse.days import Days
from warehouse.errors import ChecksFailedError, PermanentError
from warehouse.sources import Source
from warehouse.tables import Table
from warehouse.touched import spans

HISTORY = catalog.HISTORY
SPLITS = 3


def query(place: Place, statement: str) -> list[tuple[Any, ...]]:
    with open_warehouse(place.target).reading() as connection:
        return select(connection, statement)


def differences(place: Place, star: Iterable[Table] = catalog.STAR) -> dict[str, int]:
    """Return how many rows of each table differ from its SELECT over all of history, if any do."""
    found = {}
    for table in star:
        here, there = f"select * from {table.name}", f"select * from (\n{table.select}\n) as selected"
        counts = [
            query(place, f"select count(*) from ({one} except {other}) as differing")[0][0]
            for one, other in ((here, there), (there, here))
        ]
        twice = query(place, f"select count(*) - count(distinct {table.key[0]}) from {table.name}")[0][0]
        found[table.name] = sum(counts) + twice
    return {name: count for name, count in found.items() if count}


def in_parts(data: Path, source: str) -> list[list[Path]]:
    """Return the files of a source in parts, shuffled."""
    files = sorted(path for path in (data / source).rglob("*") if path.is_file())
    random.Random(4).shuffle(files)
    return [files[n::SPLITS] for n in range(SPLITS)]


def assert_parts_lead_to_the_same_tables(deliveries: Deliveries, data: Path) -> None:
    """Logs come in any order, and songs later than the plays of them."""
    for logs, songs in zip(in_parts(data, "log_data"), in_parts(data, "song_data"), strict=True):
        deliveries.copy(data, [*logs, *songs])
        deliveries.run()
    assert differences(deliveries.place) == {}
    at_once = replace(deliveries.place, target=replace(deliveries.place.target, schema="at_once"))
    at_once.run(deliveries.folder / "log_data", deliveries.folder / "song_data", audited=False)
    assert deliveries.place.contents() == at_once.contents()


def test_data_in_three_parts_leads_to_the_same_tables_as_at_once(deliveries: Deliveries, generated: Path) -> None:
    assert_parts_lead_to_the_same_tables(deliveries, generated)


def test_real_data_in_three_parts_leads_to_the_same_tables_as_at_once(tmp_path: Path, real_data: Path) -> None:
    deliveries = growing(duckdb_place(tmp_path / "test.duckdb"), tmp_path / "source", None)
    assert_parts_lead_to_the_same_tables(deliveries, real_data)


def test_a_file_is_loaded_once_and_again_when_it_has_changed(deliveries: Deliveries) -> None:
    def loaded() -> list[tuple[Any, ...]]:
        return query(deliveries.place, "select level, batch_id from events order by batch_id, level")

    free, paid = EVENT, EVENT | {"level": "paid"}
    deliveries.deliver("log_data/a.json", [free])
    deliveries.deliver("song_data/a.json", [SONG])
    deliveries.run()
    deliveries.run()
    assert loaded() == [("free", 1)]
    deliveries.deliver("log_data/b.json", [EVENT | {"ts": EVENT["ts"] - 86400000}])
    deliveries.run()
    assert loaded() == [("free", 1), ("free", 2)]
    for batch, event in ((3, paid), (4, free)):  # A, B, A
        deliveries.deliver("log_data/a.json", [event, event | {"page": "Home"}])
        deliveries.run()
        assert loaded()[-2:] == [(event["level"], batch)] * 2
        assert query(deliveries.place, "select level from users") == [(event["level"],)], "the newest delivery decides"
    (deliveries.folder / "log_data/b.json").unlink()
    deliveries.run()
    assert len(loaded()) == 6
    assert query(deliveries.place, "select count(*) from songplays") == [(2,)], "what is gone from the source stays"
    ledger = query(deliveries.place, "select source, batch_id, count(*) from loaded_files group by 1, 2 order by 1, 2")
    assert ledger == [
        ("log_data", 1, 1),
        ("log_data", 2, 1),
        ("log_data", 3, 1),
        ("log_data", 4, 1),
        ("song_data", 1, 1),
    ]
    batches = query(deliveries.place, "select batch_id, source, status, files, records from batches order by 1, 2")
    assert batches[0] == (1, "log_data", "loaded", 1, 1)
    assert batches[-1] == (4, "log_data", "loaded", 1, 2)


def test_an_old_file_that_comes_late_turns_nobody_back(deliveries: Deliveries) -> None:
    deliveries.deliver("song_data/a.json", [SONG])
    deliveries.deliver("log_data/new.json", [EVENT | {"level": "paid"}])
    deliveries.run()
    deliveries.deliver("log_data/old.json", [EVENT | {"ts": EVENT["ts"] - 1}])
    deliveries.run()
    assert query(deliveries.place, "select level from users") == [("paid",)]


def test_an_audit_that_fails_leaves_the_batch_out(deliveries: Deliveries) -> None:
    def tables() -> Any:
        names = (*(table.name for table in catalog.TABLES), "load_errors")
        return deliveries.place.contents(*names)

    place, folder = deliveries.place, deliveries.folder
    deliveries.deliver("song_data/a.json", [SONG])
    deliveries.deliver("log_data/a.json", [EVENT])
    deliveries.run()
    before = tables()
    deliveries.deliver("log_data/b.json", [EVENT | {"level": "gold", "ts": EVENT["ts"] + 1}])
    with pytest.raises(ChecksFailedError, match="levels_known"):
        place.run(folder / "log_data", folder / "song_data")
    assert tables() == before
    deliveries.deliver("log_data/b.json", [EVENT | {"level": "paid", "ts": EVENT["ts"] + 1}])
    place.run(folder / "log_data", folder / "song_data")
    assert query(place, "select level from users") == [("paid",)]


def load(place: Place, table: Table, *, full_refresh: bool = False) -> TableResult:
    with disable_run_logger():
        task = load_fact if table in catalog.FACTS else load_dimension
        return task.fn(place.target, table, catalog.HISTORY, full_refresh=full_refresh)


@pytest.fixture
def two_batches(deliveries: Deliveries) -> Place:
    """A warehouse with two batches of events, whose run holds the lease."""
    deliveries.deliver("song_data/a.json", [SONG])
    for day, place in enumerate(("Here", "There")):
        deliveries.deliver(f"log_data/{day}.json", [EVENT | {"ts": EVENT["ts"] + day, "location": place}])
        deliveries.run()
    deliveries.place.session()
    return deliveries.place


def test_a_new_dimension_is_built_from_all_of_history_and_rebuilt_when_its_select_changes(
    two_batches: Place, tmp_path: Path
) -> None:
    path = tmp_path / "locations.sql"
    ddl = "-- One row per place.\ncreate table if not exists locations (location varchar(1024) not null);\n"
    path.write_text(f"{ddl}select distinct location from events where location is not null;")
    create_tables.fn(two_batches.target, [*catalog.LEDGER, Table(path, key=("location",))])
    assert load(two_batches, Table(path, key=("location",))).inserted == 2
    assert load(two_batches, Table(path, key=("location",))).inserted == 0
    path.write_text(f"{ddl}select distinct location from events where location = 'There';")
    edited = load(two_batches, Table(path, key=("location",)))
    assert (edited.inserted, edited.removed, edited.present) == (0, 1, 1)


def test_a_table_whose_columns_were_edited_is_made_anew(two_batches: Place, tmp_path: Path) -> None:
    path = tmp_path / "locations.sql"
    text = "create table if not exists locations ({});\nselect distinct location from events;"
    tables = []
    for columns in ("location varchar(64)", "location varchar(1024)"):
        path.write_text(text.format(columns))
        tables = [Table(path, key=("location",))]
        create_tables.fn(two_batches.target, [*catalog.LEDGER, *tables])
        assert load(two_batches, *tables).inserted == 2
    warehouse = open_warehouse(two_batches.target)
    with warehouse.task() as connection:
        assert warehouse.columns(connection, "locations") == tables[0].columns
        connection.exec_driver_sql("alter table locations add column more integer")
    with pytest.raises(PermanentError, match="locations: column more integer is not declared"):
        create_tables.fn(two_batches.target, [*catalog.LEDGER, *tables])


def test_a_table_that_was_dropped_is_built_again(two_batches: Place) -> None:
    before = two_batches.contents()
    for table in catalog.STAR:
        with open_warehouse(two_batches.target).task() as connection:
            connection.exec_driver_sql(f"drop table {table.name}")
        create_tables.fn(two_batches.target, catalog.TABLES)
        load(two_batches, table)
    assert two_batches.contents() == before


def test_a_full_refresh_heals_what_a_person_changed(two_batches: Place) -> None:
    before = two_batches.contents()
    for table in catalog.STAR:
        with open_warehouse(two_batches.target).task() as connection:
            connection.exec_driver_sql(f"insert into {table.name} select * from {table.name}")
        load(two_batches, table, full_refresh=True)
    assert two_batches.contents() == before


def test_plays_that_an_earlier_version_loaded_are_not_dropped_in_silence(
    two_batches: Place, place: Place, tmp_path: Path
) -> None:
    """An earlier version kept no history: its tables hold rows of files that this run may not see."""
    with open_warehouse(two_batches.target).task() as connection:
        for table in ("events", "catalogue", "batches", "loaded_files", "table_loads"):
            connection.exec_driver_sql(f"delete from {table}")
    before = two_batches.contents()
    (tmp_path / "one.json").write_text(json.dumps(EVENT))
    stage_next(two_batches.target, Source(catalog.STAGING_EVENTS, place.put(tmp_path / "one.json")))
    for table in ("songplays", "time"):
        with pytest.raises(PermanentError, match=f"{table}: 1 of its rows .* earlier version .*--full-refresh"):
            load(two_batches, next(each for each in catalog.STAR if each.name == table))
    assert two_batches.contents() == before
    assert load(two_batches, catalog.FACTS[0], full_refresh=True).present == 1


EVENTS = st.builds(
    lambda ts, user, item, level, song, page, name: EVENT
    | {"ts": EVENT["ts"] + ts, "userId": user, "itemInSession": item, "level": level, "song": song, "page": page,
       "firstName": name},
    st.sampled_from([0, 1, 90 * 86400000]), st.sampled_from(["1", "2", ""]), st.integers(0, 1),
    st.sampled_from(["free", "paid", None]), st.sampled_from(["Harbor", "Comet"]),
    st.sampled_from(["NextSong", "NextSong", "Home"]), st.sampled_from(["Ann", "Lily"]),
)  # fmt: skip
SONGS = st.builds(
    lambda song, title, artist, name, year: SONG
    | {"song_id": song, "title": title, "artist_id": artist, "artist_name": name, "year": year},
    st.sampled_from(["SO1", "SO2", "SO3"]), st.sampled_from(["Harbor", "Comet"]), st.sampled_from(["AR1", "AR2"]),
    st.sampled_from(["Foxes", "Foxes", "Owls"]), st.integers(1999, 2000),
)  # fmt: skip
FILES = st.one_of(
    st.tuples(
        st.sampled_from(["log_data/2018-11-01-a", "log_data/2018-11-01-b", "log_data/2018-11-02", "log_data/late"]),
        st.lists(EVENTS, max_size=4),
    ),
    st.tuples(st.sampled_from(["song_data/a", "song_data/b"]), st.lists(SONGS, max_size=3)),
)
DEATHS = st.one_of(st.none(), st.none(), st.integers(2, 10))
RUN = st.tuples(st.just("run"), st.lists(FILES, min_size=1, max_size=3), DEATHS)
RELOAD = st.tuples(st.just("reload"), st.lists(FILES, max_size=1), DEATHS)
UNDO = st.tuples(st.just("undo"), st.integers(0, 9), DEATHS)
EDITED = {
    "songplays": "level = 'free'",
    "users": "user_id <> 1",
    "songs": "year > 1999",
    "artists": "artist_id <> 'AR1'",
    "time": "month = 11",
}
"""What the rows of an edited table have in common."""
EDIT = st.tuples(st.just("edit"), st.sampled_from(sorted(EDITED)), DEATHS)
ACTIONS = st.lists(st.one_of(RUN, RUN, RELOAD, UNDO, EDIT), min_size=2, max_size=5)
FIRST_DAY = Days.read("2018-11-01", "2018-11-01", reload=True)
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


def assert_as_rebuilt(deliveries: Deliveries, actions: list[tuple[str, Any, int | None]]) -> None:
    """Run, reload a day, take batches back, edit tables. What is done may die between any two of its steps."""
    deliveries.deliver("log_data/2018-11-01-first.json", [EVENT])
    deliveries.deliver("song_data/first.json", [SONG])
    star = {table.name: table for table in catalog.STAR}
    for name, what, death in [("run", [], None), *actions, ("run", [], None)]:
        if name == "edit":
            star[what] = edited(star[what], deliveries.folder.parent)
        for step in steps_of(deliveries, name, what)[:death]:
            defined_by(step, star).run(0)
        if death is None:
            assert differences(deliveries.place, star.values()) == {}
            assert unlisted(deliveries.place) == []


def steps_of(deliveries: Deliveries, name: str, what: Any) -> list[Step]:
    if name == "undo":
        batches = query(deliveries.place, "select distinct batch_id from batches order by 1")
        return list(undo_steps(deliveries.place.target, batches[what % len(batches)][0]))
    for file, records in what if name != "edit" else ():
        deliveries.deliver(f"{file}.json", records)
    return deliveries.steps(days=FIRST_DAY) if name == "reload" else deliveries.steps()


def edited(table: Table, folder: Path) -> Table:
    """Return a table with a SELECT that leaves rows out, or, once edited, as it was."""
    if table not in catalog.STAR:
        return next(each for each in catalog.STAR if each.name == table.name)
    path = folder / f"{table.name}.sql"
    select = f"select * from (\n{table.select}\n) as selected\nwhere {EDITED[table.name]}"
    path.write_text(";\n".join([table.ddl, select, *table.statements[2:]]))
    return replace(table, path=path)


def defined_by(step: Step, star: dict[str, Table]) -> Step:
    """Return a step that loads the table by its present definition."""
    target, *others = step.arguments
    return replace(step, arguments=(target, *(star.get(getattr(each, "name", ""), each) for each in others)))


def unlisted(place: Place) -> list[tuple[Any, ...]]:
    """Return the batches of which history has more than the ledger says, or anything once they were undone."""
    in_history = " union all ".join(f"select batch_id, '{each.source}' as source from {each.name}" for each in HISTORY)
    return query(
        place,
        f"""
select kept.batch_id, kept.source, kept.records, batches.status, batches.records
from (select batch_id, source, count(*) as records from ({in_history}) as history group by batch_id, source) as kept
left join batches on batches.batch_id = kept.batch_id and batches.source = kept.source
where batches.status is null or batches.status <> 'loaded' or kept.records > batches.records""",
    )


@settings(max_examples=3, deadline=None, suppress_health_check=SLOW)
@given(ACTIONS)
def test_tables_equal_their_select_over_history(actions: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert_as_rebuilt(growing(duckdb_place(folder / "test.duckdb"), folder / "source", None), actions)


@pytest.mark.sweep
@settings(max_examples=300, deadline=None, suppress_health_check=SLOW)
@given(ACTIONS)
def test_tables_equal_their_select_over_history_in_many_sequences(actions: Any) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert_as_rebuilt(growing(duckdb_place(folder / "test.duckdb"), folder / "source", None), actions)


@pytest.mark.sweep
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(actions=ACTIONS)
def test_tables_equal_their_select_over_history_on_redshift(
    standin: Standin, monkeypatch: pytest.MonkeyPatch, actions: Any
) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = redshift_place(standin, monkeypatch)
        assert_as_rebuilt(growing(place, Path(name) / "source", standin), actions)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([], []),
        ([5], [(5, 5)]),
        ([5, 6, 7], [(5, 7)]),
        ([1, 2, 9], [(1, 2), (9, 9)]),
        (list(range(0, 40, 4)), [(0, 8), *((day, day) for day in range(12, 40, 4))]),
    ],
)
def test_days_are_read_in_at_most_eight_spans(days: list[int], expected: list[tuple[int, int]]) -> None:
    assert spans(days) == expected
