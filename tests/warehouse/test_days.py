"""Files are chosen by the days in their names."""

from datetime import UTC, date, datetime

import pytest

from sql import catalog
from tests.support.deliveries import Deliveries
from tests.support.records import EVENT, SONG
from tests.support.warehouses import stage_next
from warehouse.days import Days, day_of
from warehouse.errors import PermanentError
from warehouse.files import SourceFile
from warehouse.sources import Source


@pytest.mark.parametrize(
    ("url", "day"),
    [
        ("s3://b/log_data/2018/11/2018-11-15-events.json", date(2018, 11, 15)),
        ("s3://b/log_data/2018/11/15/a.json", date(2018, 11, 15)),
        ("s3://b/log_data/dt=2018-11-15/a.json", date(2018, 11, 15)),
        ("/backup/2019-01-02/log_data/2018-11-15.json", date(2018, 11, 15)),
        ("s3://b/2018-11-15/part-2018-13-45.json", date(2018, 11, 15)),
        ("s3://b/2018/11-15/a.json", None),
        ("s3://b/12018-11-151.json", None),
        ("s3://b/A/B/TRABC.json", None),
    ],
)
def test_the_last_date_in_a_name_is_its_day(url: str, day: date | None) -> None:
    assert day_of(url) == day


@pytest.mark.parametrize(
    ("since", "until", "message"),
    [
        ("2018-11-12", "2018-11-10", r"^since: 2018-11-12 is after until, 2018-11-10\. Swap them$"),
        ("15.11.2018", "", r"^since: '15\.11\.2018' is no day"),
        ("", "2018-11-31", r"^until: '2018-11-31' is no day"),
    ],
)
def test_days_that_are_none_or_the_wrong_way_round_are_refused(since: str, until: str, message: str) -> None:
    with pytest.raises(PermanentError, match=message):
        Days.read(since, until)


def test_days_of_which_there_is_no_file_are_refused_with_those_that_exist() -> None:
    files = [SourceFile(f"2018-11-{day:02}.json", 1, "x", datetime.now(UTC)) for day in (3, 1, 2)]
    with pytest.raises(PermanentError, match=r"2018-12-01 to \.\.\.\. There are files of 2018-11-01 to 2018-11-03$"):
        Days.read("2018-12-01", "").choose("log_data", files)
    assert Days.read("2018-11-02", "2018-11-02").choose("log_data", files) == {"2018-11-02.json"}
    assert len(Days.read("", "").choose("log_data", files)) == 3


def test_a_backfill_loads_its_days_and_the_next_run_the_others(deliveries: Deliveries) -> None:
    for day in (1, 2, 3):
        deliveries.deliver(f"log_data/2018-11-0{day}.json", [EVENT | {"ts": EVENT["ts"] + day, "userId": str(day)}])
    deliveries.deliver("song_data/a.json", [SONG])
    place, folder = deliveries.place, deliveries.folder
    for step in deliveries.steps()[:3]:
        step.run()

    def stage(since: str, until: str) -> tuple[int, int]:
        source = Source(catalog.STAGING_EVENTS, place.put(folder / "log_data"), days=Days.read(since, until))
        result = stage_next(place.target, source)
        return result.new, result.known

    assert stage("2018-11-02", "2018-11-02") == (1, 2)
    assert stage("2018-11-02", "2018-11-03") == (1, 2), "it goes on where it stopped"
    assert stage("", "") == (1, 2)
    songs = Source(catalog.STAGING_SONGS, place.put(folder / "song_data"), days=Days.read("2018-11-02", ""))
    assert stage_next(place.target, songs).new == 1, "names without dates are of every day"
    assert [row[-2:] for row in place.contents("events")["events"]] == [(1, 3), (2, 1), (3, 2)]
