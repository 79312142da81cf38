"""The generator uses the real formats, its data is plausible, and its dirty records match the manifest."""

import json
import subprocess
import sys
from collections import Counter, defaultdict
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.generate import generate
from sql.catalog import STAGING_EVENTS, STAGING_SONGS
from tests.support.copying import Copying, Loaded
from tests.support.project import ROOT
from warehouse.errors import PermanentError

Event = dict[str, Any]

EVENT_TYPES = {
    "artist": str,
    "auth": str,
    "firstName": str,
    "gender": str,
    "itemInSession": int,
    "lastName": str,
    "length": float,
    "level": str,
    "location": str,
    "method": str,
    "page": str,
    "registration": float,
    "sessionId": int,
    "song": str,
    "status": int,
    "ts": int,
    "userAgent": str,
    "userId": str,
}
SONG_TYPES = {
    "num_songs": int,
    "artist_id": str,
    "artist_latitude": float,
    "artist_longitude": float,
    "artist_location": str,
    "artist_name": str,
    "song_id": str,
    "title": str,
    "duration": float,
    "year": int,
}
OF_A_USER = {"firstName", "gender", "lastName", "location", "registration", "userAgent"}
OF_A_SONG = {"artist", "length", "song"}


def logs_of(data: Path) -> list[Path]:
    return _files(data / "log_data")


def songs_of(data: Path) -> list[Path]:
    return _files(data / "song_data")


def _files(folder: Path) -> list[Path]:
    files = [path for path in sorted(folder.rglob("*.json")) if path.parent.name != "dirty"]
    assert files, f"nothing to look at in {folder}"
    return files


def events_of(data: Path) -> list[Event]:
    return [json.loads(line) for path in logs_of(data) for line in path.read_text("utf-8").split("\n")]


def contents(data: Path) -> dict[str, bytes]:
    return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}


@pytest.fixture(params=["generated", "real_data"])
def data(request: pytest.FixtureRequest) -> Path:
    """Generated and real data in turn: tests of formats have to pass on both."""
    folder: Path = request.getfixturevalue(request.param)
    return folder


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("month")
    generate(days=28, users=150, songs=200, seed=3, out=out)
    return out


@pytest.fixture(scope="module")
def events(month: Path) -> list[Event]:
    return events_of(month)


@pytest.fixture(scope="module")
def catalogue(month: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in songs_of(month)]


def by(events: list[Event], key: str) -> dict[Any, list[Event]]:
    groups = defaultdict(list)
    for event in events:
        groups[event[key]].append(event)
    return groups


def of_users(events: list[Event]) -> dict[str, list[Event]]:
    """Return each user's events, in order of time."""
    known = sorted((e for e in events if e["userId"]), key=lambda e: e["ts"])
    return by(known, "userId")


# Formats


def test_logs_are_written_like_real_ones(data: Path) -> None:
    for path in logs_of(data):
        for line in path.read_bytes().split(b"\n"):
            event = json.loads(line)
            assert list(event) == list(EVENT_TYPES)
            assert json.dumps(event, separators=(",", ":")).replace("/", "\\/").encode() == line


def test_songs_are_written_like_real_ones(data: Path) -> None:
    for path in songs_of(data):
        text = path.read_text("utf-8")
        song = json.loads(text)
        assert list(song) == list(SONG_TYPES)
        assert text in {json.dumps(song), json.dumps(song, indent=2) + "\n"}


def test_songs_take_one_line_like_most_real_ones(data: Path) -> None:
    lines = Counter(path.read_bytes().count(b"\n") for path in songs_of(data))
    assert lines[0] > 0.9 * lines.total()


def test_values_have_the_types_of_real_ones(data: Path) -> None:
    songs = [json.loads(path.read_bytes()) for path in songs_of(data)]
    for types, records in ((EVENT_TYPES, events_of(data)), (SONG_TYPES, songs)):
        for record in records:
            assert all(value is None or type(value) is types[key] for key, value in record.items())
    assert all((event["registration"] or 0.0).is_integer() for event in events_of(data))


def test_events_lack_the_same_values_as_real_ones(data: Path) -> None:
    for event in events_of(data):
        assert (event["auth"] == "Logged In") == (event["userId"] != "")
        missing = {key for key in EVENT_TYPES if event[key] is None}
        expected = set() if event["userId"] else OF_A_USER
        assert missing == (expected if event["page"] == "NextSong" else expected | OF_A_SONG)


def test_methods_and_statuses_match_those_of_real_pages(data: Path) -> None:
    changes = {"Login", "Logout", "Save Settings", "Submit Upgrade", "Submit Downgrade"}
    for event in events_of(data):
        page = event["page"]
        assert event["method"] == ("PUT" if page == "NextSong" or page in changes else "GET")
        assert event["status"] == (404 if page == "Error" else 307 if page in changes else 200)


def test_a_log_contains_one_day_in_order(data: Path) -> None:
    for path in logs_of(data):
        times = [json.loads(line)["ts"] for line in path.read_bytes().split(b"\n")]
        days = {f"{datetime.fromtimestamp(ts / 1000, UTC):%Y/%m/%Y-%m-%d}-events.json" for ts in times}
        assert days == {str(path.relative_to(data / "log_data"))}


def test_a_songs_path_follows_from_its_track_id(data: Path) -> None:
    for path in songs_of(data):
        assert path.stem.startswith("TR")
        assert path.relative_to(data / "song_data").parts[:-1] == tuple(path.stem[2:5])
        assert len(path.stem) == 18


# Determinism


def test_a_seed_generates_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in {"one": 1, "same": 1, "other": 2}.items():
        generate(days=3, users=20, songs=30, seed=seed, out=tmp_path / name, dirty=True)
    one, same, other = (contents(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert not set(filter(None, one.values())) & set(filter(None, other.values())) - {one["dirty.json"]}


def test_any_number_of_threads_generates_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = duckdb.connect
    for threads in (1, 2):
        monkeypatch.setattr(duckdb, "connect", partial(connect, config={"threads": threads}))
        generate(days=20, users=1000, songs=100, out=tmp_path / str(threads))
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


# What makes it believable


def test_every_day_has_a_log_and_every_song_a_file(month: Path) -> None:
    assert len(logs_of(month)) == 28
    assert len(songs_of(month)) == 200


def test_sessions_have_a_start_and_an_end(events: list[Event]) -> None:
    for session in by(events, "sessionId").values():
        ordered = sorted(session, key=lambda e: e["itemInSession"])
        assert [e["itemInSession"] for e in ordered] == list(range(len(session)))
        assert len({e["userId"] for e in session} - {""}) <= 1
        assert all(before["ts"] < after["ts"] for before, after in pairwise(ordered))
        gaps = [after["ts"] - before["ts"] for before, after in pairwise(ordered)]
        assert max(gaps, default=0) <= 360_000


def test_a_song_lasts_as_long_as_its_length(events: list[Event]) -> None:
    for session in by(events, "sessionId").values():
        for before, after in pairwise(sorted(session, key=lambda e: e["ts"])):
            if before["page"] == "NextSong":
                assert after["ts"] - before["ts"] == int(before["length"]) * 1000


def test_days_and_weeks_have_a_rhythm(events: list[Event]) -> None:
    times = [datetime.fromtimestamp(e["ts"] / 1000, UTC) for e in events]
    hours, weekdays = Counter(t.hour for t in times), Counter(t.isoweekday() for t in times)
    assert min(hours[h] for h in (15, 16, 17)) > 3 * max(hours[h] for h in (2, 3, 4))
    assert max(weekdays[d] for d in (6, 7)) < min(weekdays[d] for d in (1, 2, 3, 4, 5))


def test_some_songs_are_popular(events: list[Event]) -> None:
    plays = Counter((e["song"], e["artist"]) for e in events if e["page"] == "NextSong")
    most = [count for _, count in plays.most_common()]
    assert sum(most[: len(most) // 10]) > sum(most) / 4
    assert len(most) > 250


def test_levels_change_right_after_the_submit_page(events: list[Event]) -> None:
    wanted = {"Submit Upgrade": ("free", "paid"), "Submit Downgrade": ("paid", "free")}
    seen: Counter[str] = Counter()
    for mine in of_users(events).values():
        for before, after in pairwise(mine):
            levels = (before["level"], after["level"])
            assert levels == wanted.get(before["page"], (before["level"],) * 2)
            seen[before["page"]] += 1
    assert seen["Submit Upgrade"] >= 10
    assert seen["Submit Downgrade"] >= 5


def test_some_users_upgrade_and_downgrade(events: list[Event]) -> None:
    levels = ["".join(e["level"][0] for e in mine) for mine in of_users(events).values()]
    assert any(text.startswith("f") and "p" in text and text.endswith("f") for text in levels)
    assert any(text.startswith("f") and text.endswith("p") for text in levels)
    assert any("p" not in text for text in levels)


def test_a_user_is_in_one_place_at_a_time(events: list[Event]) -> None:
    for mine in of_users(events).values():
        assert len({e["ts"] for e in mine}) == len(mine)
        assert len({tuple(e[key] for key in sorted(OF_A_USER)) for e in mine}) == 1


def test_some_events_are_anonymous(events: list[Event]) -> None:
    pages = Counter(e["page"] for e in events if not e["userId"])
    assert set(pages) == {"Home", "About", "Help", "Login"}
    assert 0.005 < pages.total() / len(events) < 0.1


def test_some_played_songs_are_not_in_the_catalogue(events: list[Event], catalogue: list[dict[str, Any]]) -> None:
    known = {(s["title"], s["artist_name"], s["duration"]) for s in catalogue}
    plays = [(e["song"], e["artist"], e["length"]) for e in events if e["page"] == "NextSong"]
    assert 0.3 < sum(play in known for play in plays) / len(plays) < 0.9


def test_some_artists_have_several_spellings(catalogue: list[dict[str, Any]]) -> None:
    names = defaultdict(set)
    for song in catalogue:
        names[song["artist_id"]].add(song["artist_name"])
    assert sum(len(spellings) > 1 for spellings in names.values()) >= 5
    assert len({s["song_id"] for s in catalogue}) == len(catalogue)


def digest(data: Path) -> str:
    """Return a digest of the names and contents of all files."""
    return sha256(b"\0".join(name.encode() + content for name, content in sorted(contents(data).items()))).hexdigest()


@pytest.mark.parametrize(("name", "was"), [("month", "f7ef7548d04113b7"), ("dirty", "b3cf8b2f1b5bd39e")])
def test_generated_data_has_not_changed_by_accident(request: pytest.FixtureRequest, name: str, was: str) -> None:
    """The README's figures and pictures show generated data. If they are meant to change, update the digest."""
    assert digest(request.getfixturevalue(name))[:16] == was


# The command line


def run(*options: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flows.generate", *options], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.usefixtures("processes")
def test_the_command_line_follows_its_options(tmp_path: Path) -> None:
    done = run("--days", "3", "--users", "20", "--songs", "30", "--out", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert f"{len(events_of(tmp_path / 'data')):,} events of 3 days, 30 songs" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["log_data", "song_data"]
    assert len(logs_of(tmp_path / "data")) == 3


@pytest.mark.usefixtures("processes")
def test_existing_data_is_not_mixed_with_new_data(tmp_path: Path) -> None:
    (tmp_path / "mine.json").touch()
    done = run("--days", "1", "--out", tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "not an empty directory. Name another, or delete it first" in " ".join(done.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["mine.json"]


@pytest.mark.parametrize("option", ["days", "users", "songs"])
def test_options_that_generate_nothing_are_refused(tmp_path: Path, option: str) -> None:
    options: dict[str, Any] = {option: 0}
    with pytest.raises(PermanentError, match=f"{option}: 0 is too low"):
        generate(out=tmp_path / "data", **options)


# Dirt


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dirty")
    generate(days=3, users=20, songs=30, out=out, dirty=True)
    return out


@pytest.fixture(scope="module")
def manifest(dirty: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((dirty / "dirty.json").read_bytes())
    return entries


@pytest.fixture(scope="module")
def loaded(dirty: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Loaded]:
    """The results of COPY for the logs and for the catalogue."""
    copying = Copying(tmp_path_factory.mktemp("copying"))
    tables = {"log_data": STAGING_EVENTS, "song_data": STAGING_SONGS}
    return {folder: copying.load(table, dirty / folder, max_errors=100) for folder, table in tables.items()}


def kinds_in(folder: str, manifest: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [kind for kind in manifest if kind["file"].startswith(folder)]


def test_the_manifest_lists_every_dirty_file(dirty: Path, manifest: list[dict[str, Any]]) -> None:
    present = {str(path.relative_to(dirty)) for path in dirty.rglob("dirty/*")}
    assert sorted(kind["file"] for kind in manifest) == sorted(present)


def test_dirty_records_do_not_change_the_other_data(dirty: Path, tmp_path: Path) -> None:
    generate(days=3, users=20, songs=30, out=tmp_path / "clean")
    clean = contents(tmp_path / "clean")
    assert {name: content for name, content in contents(dirty).items() if name in clean} == clean


def test_records_are_rejected_as_the_manifest_says(
    dirty: Path, manifest: list[dict[str, Any]], loaded: dict[str, Loaded]
) -> None:
    found = defaultdict(list)
    for row in (row for load in loaded.values() for row in load.rejects):
        found[str(Path(row.file).relative_to(dirty))].append({"line": row.line, "column": row.column, "code": row.code})
    assert found == {kind["file"]: kind["rejected"] for kind in manifest if kind["rejected"]}


@pytest.mark.parametrize("folder", ["log_data", "song_data"])
def test_records_are_loaded_as_the_manifest_says(
    dirty: Path, manifest: list[dict[str, Any]], loaded: dict[str, Loaded], folder: str
) -> None:
    good = len(events_of(dirty) if folder == "log_data" else songs_of(dirty))
    added = sum(kind["loaded"] for kind in kinds_in(folder, manifest))
    assert len(loaded[folder].rows) == good + added
    assert loaded[folder].reported == (good + added, len(loaded[folder].rejects))


@pytest.mark.parametrize("folder", ["log_data", "song_data"])
def test_good_records_in_dirty_files_are_distinct(
    manifest: list[dict[str, Any]], loaded: dict[str, Loaded], folder: str
) -> None:
    rows = loaded[folder].rows
    assert len(rows) - len(set(rows)) == sum(kind["repeated"] for kind in kinds_in(folder, manifest)) == 1
