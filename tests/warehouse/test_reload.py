"""Days are loaded again, and what their files hold now takes the place of what history had of them."""

from typing import Any

import pytest

from flows.parameters import refuse_contradictions
from sql import catalog
from tasks.undo import undo_batch
from tests.support.deliveries import Deliveries
from tests.support.records import EVENT, SONG, Record
from tests.warehouse.test_history import differences, query
from warehouse.days import Days
from warehouse.errors import ChecksFailedError, PermanentError

DAY = 86_400_000
SECOND_DAY: dict[str, Any] = {"days": Days.read("2018-11-02", "2018-11-02", reload=True)}


def play(day: float, user: int = 1, **changes: Any) -> Record:
    """Return a play some days after the first of November 2018, 00:00."""
    return EVENT | {"ts": 1541030400000 + int(day * DAY), "userId": str(user)} | changes


@pytest.fixture
def november(deliveries: Deliveries) -> Deliveries:
    """Three days in one batch. The file of the third holds a play of the second day's last minute."""
    deliveries.deliver("song_data/a.json", [SONG])
    deliveries.deliver("log_data/2018-11-01.json", [play(0.5)])
    deliveries.deliver("log_data/2018-11-02.json", [play(1.2, location="Here"), play(1.3, user=2)])
    deliveries.deliver("log_data/2018-11-03.json", [play(1.9999, user=3), play(2.5)])
    deliveries.run()
    return deliveries


def plays(deliveries: Deliveries) -> list[tuple[Any, ...]]:
    return query(deliveries.place, "select start_time::date, user_id, location from songplays order by 1, 2, 3")


def test_what_a_changed_file_no_longer_holds_goes_with_a_reload_of_its_day(november: Deliveries) -> None:
    before = plays(november)
    november.deliver("log_data/2018-11-02.json", [play(1.2, location="There")])
    november.run()
    assert len(plays(november)) == len(before), "a changed file alone removes nothing"
    with pytest.raises(ChecksFailedError, match="reloaded_plays_kept"):
        november.run(audited=True, **SECOND_DAY)
    assert len(plays(november)) == len(before), "nobody said that plays may go"
    november.run(**SECOND_DAY)
    assert [(user, place) for day, user, place in plays(november) if str(day) == "2018-11-02"] == [
        (1, "There"),
        (3, EVENT["location"]),
    ], "the play at the margin stays, that of user 2 has gone"
    assert len(plays(november)) == len(before) - 1
    assert differences(november.place) == {}
    columns = "files, records, replaced_since::varchar, replaced_until::varchar"
    newest = query(november.place, f"select {columns} from batches where batch_id = 3")
    assert newest == [(1, 2, "2018-11-02", "2018-11-02")], "of the margin only the records of the day, and not its file"
    assert query(november.place, "select count(*) from events where batch_id = 1") == [(2,)]


def test_a_reload_keeps_what_it_does_not_read(november: Deliveries) -> None:
    """A late file without a date in its name came in a batch of its own."""
    november.deliver("log_data/late.json", [play(1.4, user=4)])
    november.run()
    before = plays(november)
    staged = november.run(audited=True, **SECOND_DAY)["stage staging_events"]
    assert (staged.new, staged.changed, staged.known, staged.staged) == (0, 1, 3, 3)
    assert plays(november) == before
    assert november.run()["stage staging_events"].is_news is False, "a reloaded file is known"


def test_an_undone_batch_is_loaded_again_by_a_reload(november: Deliveries) -> None:
    november.deliver("log_data/2018-11-02-b.json", [play(1.4, user=4)])
    november.run()
    session = november.place.session()
    undo_batch.fn(november.place.target, 2, [catalog.HISTORY[0]])
    session.warehouse.release_lease()
    november.run()
    assert 4 not in {user for _, user, _ in plays(november)}
    november.run(audited=True, **SECOND_DAY)
    assert 4 in {user for _, user, _ in plays(november)}
    assert differences(november.place) == {}


def test_a_reload_without_days_or_dates_is_refused(deliveries: Deliveries) -> None:
    with pytest.raises(PermanentError, match=r"^reload: replaces days\. Name the first and the last one"):
        Days.read("2018-11-02", "", reload=True)
    deliveries.deliver("song_data/a.json", [SONG])
    deliveries.deliver("log_data/a.json", [EVENT])
    with pytest.raises(PermanentError, match=r"^log_data: no file has a date in its name"):
        deliveries.run(**SECOND_DAY)


def test_a_reload_sets_nothing_aside() -> None:
    with pytest.raises(PermanentError, match=r"^reload: a file that is set aside would leave its days empty"):
        refuse_contradictions(since="2018-11-02", until="2018-11-02", reload=True, set_aside=True)
