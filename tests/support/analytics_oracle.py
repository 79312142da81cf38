"""The answers to the questions in sql/analytics, computed from raw files in plain Python."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

from tests.support.oracle import EPOCH, read_records, songplay_id

Rows = list[tuple[Any, ...]]
Record = dict[str, Any]
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
EARLIEST = datetime(2000, 1, 1)
SIZES = ((1, "1 song"), (5, "2–5 songs"), (10, "6–10 songs"), (20, "11–20 songs"), (50, "21–50 songs"))  # noqa: RUF001


class Play(NamedTuple):
    key: str
    start: datetime
    user: int | None
    level: str
    session: tuple[int | None, int | None]
    location: str
    agent: str
    song: Any
    artist: Any
    length: Any
    match: bool

    @property
    def day(self) -> date:
        return self.start.date()

    @property
    def week(self) -> date:
        return self.day - timedelta(self.day.weekday())


def answers(log_data: Path, song_data: Path) -> dict[str, Rows]:
    """Return the rows that answer each question, once the data is loaded into an empty warehouse."""
    return answers_of(list(read_records(log_data)), list(read_records(song_data)))


def answers_of(events: list[Record], songs: list[Record], *, level: str = "", last_days: int = 0) -> dict[str, Rows]:
    """Return the rows that answer each question about events and a catalogue, without those about batches.

    With a level or a number of days, of plays on that level, or of as many days up to the last with events, alone.
    """
    every = sorted(_plays(events, songs), key=lambda p: (p.start, p.key))
    days = sorted({start.date() for start in map(_start, events) if _is_plausible(start)})
    days = [day for day in days if not last_days or (days[-1] - day).days < last_days]
    plays = [play for play in every if play.day in days and level in ("", play.level)]
    people = _people(events)
    return {
        "overview": _overview(plays, days),
        "daily_activity": _daily(plays, days),
        "hours_and_weekdays": _hours(plays, days),
        "sessions": _sessions(plays),
        "session_sizes": _sizes(plays),
        "top_listeners": _listeners_by_plays(plays, people),
        "top_locations": _locations(plays),
        "listeners_by_gender": _genders(plays, people),
        "browsers_and_platforms": _agents(plays),
        "weekly_retention": _retention(plays, days),
        "growth_of_paid": _growth(plays, days),
        "plan_changes": _changes(plays, days),
        "before_upgrading": _before(plays),
        "most_played_songs": _songs(plays),
        "most_played_artists": _artists(plays, {song["artist_name"] for song in songs}),
        "replayed_songs": _replayed(plays),
        "catalogue_coverage": _coverage(plays),
        "missing_songs": _missing(plays),
        "near_misses": _near(plays, songs),
        "implausible_times": _implausible(every),
        "days_without_events": _gaps(days),
        "broken_texts": _broken(plays),
        "calendar": _calendar(events, days),
        "files_set_aside": [],
    }


def _start(event: Record) -> datetime:
    return EPOCH + timedelta(milliseconds=event["ts"])


def _is_plausible(start: datetime) -> bool:
    return EARLIEST <= start <= datetime.now(UTC).replace(tzinfo=None) + timedelta(1)


def _plays(events: list[Record], songs: list[Record]) -> Iterator[Play]:
    catalogue = {(s["title"], s["artist_name"], s["duration"]) for s in songs}
    deliveries = defaultdict(list)
    for event in events:
        if event["page"] == "NextSong":
            deliveries[songplay_id(event)].append(event)
    for key, sources in deliveries.items():
        names = ("level", "location", "userAgent", "song", "artist", "length")
        e = min(sources, key=lambda e: [(e[name] is None, e[name]) for name in names])
        song = (e["song"], e["artist"], e["length"])
        user = int(e["userId"]) if e["userId"] else None
        session = (user, e["sessionId"])
        match = None not in song and song in catalogue
        yield Play(key, _start(e), user, e["level"], session, e["location"], e["userAgent"], *song, match)


def _people(events: list[Record]) -> dict[int, Record]:
    """Return the latest event of each user."""
    people: dict[int, tuple[Any, Record]] = {}
    names = ("firstName", "lastName", "gender", "level")
    for e in events:
        if e["page"] == "NextSong" and e["userId"]:
            moment = e["ts"] if _start(e).year < 2100 else 0
            rank = (-moment, [(e[name] is None, e[name]) for name in names])
            people[int(e["userId"])] = min(people.get(int(e["userId"]), (rank, e)), (rank, e), key=lambda pair: pair[0])
    return {user: event for user, (_, event) in people.items()}


def _grouped(plays: Iterable[Play], key: Callable[[Play], Any]) -> dict[Any, list[Play]]:
    groups = defaultdict(list)
    for play in plays:
        groups[key(play)].append(play)
    return groups


def _listeners(plays: Iterable[Play]) -> int:
    return len({play.user for play in plays} - {None})


def _overview(plays: list[Play], days: list[date]) -> Rows:
    if not plays:
        return []
    latest, earlier = ([d for d in days if (days[-1] - d).days // 7 == ago] for ago in (0, 1))
    now, then = (_measures([p for p in plays if p.day in some]) for some in (latest, earlier))
    complete = len(latest) == len(earlier) == 7
    changes = [100 * (new / old - 1) if complete and old else None for new, old in zip(now, then, strict=True)][:3]
    points = now[3] - then[3] if complete and now[0] and then[0] else None
    span = (plays[0].day, plays[-1].day)
    return [(*_measures(plays), *span, len(latest), len(earlier), *changes, points)]


def _measures(plays: list[Play]) -> tuple[int, int, int, float]:
    paid = sum(play.level == "paid" for play in plays)
    return len(plays), _listeners(plays), len({p.session for p in plays}), 100 * paid / len(plays) if plays else 0.0


def _daily(plays: list[Play], days: list[date]) -> Rows:
    groups = _grouped(plays, lambda p: (p.day, p.level))
    counts = Counter(p.day for p in plays)
    rows = [
        (*c, _listeners(groups[c]), len({p.session for p in groups[c]}), len(groups[c]), counts[c[0]])
        for c in [(d, level) for d in days for level in {p.level for p in plays}]
    ]
    return [(*row, len(plays) / len(days), len(days)) for row in sorted(rows)]


def _hours(plays: list[Play], days: list[date]) -> Rows:
    if not plays:
        return []
    counts = Counter((p.start.weekday(), p.start.hour) for p in plays)
    of_weekday = Counter(p.start.weekday() for p in plays)
    rows = []
    for weekday, occurred in sorted(Counter(day.weekday() for day in days).items()):
        for hour in range(24):
            n = counts[weekday, hour]
            rows.append((WEEKDAYS[weekday], hour, n, occurred, n / occurred, of_weekday[weekday] / occurred))
    return rows


def _songs(plays: list[Play]) -> Rows:
    groups = _grouped((p for p in plays if None not in (p.song, p.artist)), lambda p: (p.song, p.artist))
    rows = [(*name, len(g), _listeners(g), "yes" if any(p.match for p in g) else "no") for name, g in groups.items()]
    return sorted(rows, key=lambda row: (-row[2], row[0], row[1]))[:15]


def _artists(plays: list[Play], known: set[str]) -> Rows:
    rows = [
        (
            name,
            len(g),
            _listeners(g),
            len({p.song for p in g} - {None}),
            sum(p.match for p in g),
            "yes" if name in known else "no",
        )
        for name, g in _grouped((p for p in plays if p.artist is not None), lambda p: p.artist).items()
    ]
    return sorted(rows, key=lambda row: (-row[1], row[0]))[:15]


def _replayed(plays: list[Play]) -> Rows:
    whole = (p for p in plays if None not in (p.user, p.song, p.artist))
    rows = []
    for name, g in _grouped(whole, lambda p: (p.song, p.artist)).items():
        by_user = Counter(p.user for p in g)
        again = sum(n > 1 for n in by_user.values())
        if again:
            row = (*name, again, len(by_user), 100 * again / len(by_user), len(g), max(by_user.values()))
            rows.append(row)
    return sorted(rows, key=lambda row: (-row[2], -row[5], row[0], row[1]))[:15]


def _listeners_by_plays(plays: list[Play], people: dict[int, Record]) -> Rows:
    users = sorted(_by_user(plays).items(), key=lambda pair: (-len(pair[1]), pair[0]))
    known = sum(len(own) for _, own in users)
    half = next((n for n in range(len(users) + 1) if 2 * sum(len(own) for _, own in users[:n]) >= known), 0)
    rows = []
    for user, own in users[:15]:
        person = people[user]
        name = f"{person['firstName']} " if person["firstName"] is not None else ""
        spans = (len(own), len({p.day for p in own}), len({p.session for p in own}))
        share = 100 * len(own) / known
        rows.append((name + (person["lastName"] or ""), user, person["level"], *spans, share, len(users), half))
    return rows


def _genders(plays: list[Play], people: dict[int, Record]) -> Rows:
    names = {"F": "female", "M": "male"}
    groups = defaultdict(list)
    for user, own in _by_user(plays).items():
        groups[names.get(people[user]["gender"], "not known")].append((len(own), people[user]["level"] == "paid"))
    return [
        (name, len(g), sum(n for n, _ in g), median(n for n, _ in g), 100 * fmean(paid for _, paid in g))
        for name, g in sorted(groups.items())
    ]


def _growth(plays: list[Play], days: list[date]) -> Rows:
    observed = Counter(day - timedelta(day.weekday()) for day in days)
    weeks: dict[date, dict[int, str]] = defaultdict(dict)
    for user, own in _by_user(plays).items():
        for play in own:
            weeks[play.week][user] = play.level
    rows = []
    for week, levels in sorted(weeks.items()):
        paid = sum(level == "paid" for level in levels.values())
        rows.append((week, observed[week], len(levels), paid, 100 * paid / len(levels)))
    return rows


def _by_session(plays: list[Play]) -> dict[str, list[list[Play]]]:
    levels = defaultdict(list)
    for group in _grouped(plays, lambda p: p.session).values():
        levels["paid" if any(p.level == "paid" for p in group) else "free"].append(group)
    return levels


def _sessions(plays: list[Play]) -> Rows:
    rows = []
    for level, sessions in sorted(_by_session(plays).items()):
        minutes = [(int(g[-1].start.timestamp()) - int(g[0].start.timestamp())) / 60 for g in sessions]
        songs = [len(group) for group in sessions]
        rows.append((level, len(sessions), median(minutes), fmean(minutes), fmean(songs), max(songs)))
    return rows


def _sizes(plays: list[Play]) -> Rows:
    counts: Counter[tuple[int, str]] = Counter()
    for level, sessions in _by_session(plays).items():
        for group in sessions:
            counts[sum(len(group) > most for most, _ in SIZES), level] += 1
    names = [*(name for _, name in SIZES), "over 50 songs"]
    sizes: Counter[int] = Counter()
    for (size, _), count in counts.items():
        sizes[size] += count
    return [(names[size], level, count, sizes[size]) for (size, level), count in sorted(counts.items())]


def _locations(plays: list[Play]) -> Rows:
    known = [p for p in plays if p.user is not None]
    rows = []
    for place, g in _grouped(known, lambda p: p.location).items():
        by_user = Counter(p.user for p in g)
        most = 100 * max(by_user.values()) / len(g)
        rows.append((place, len(by_user), len(g), len(g) / len(by_user), most, _listeners(known)))
    return sorted(rows, key=lambda row: (-row[1], -row[2], row[0] is None, row[0]))[:15]


def _by_user(plays: list[Play]) -> dict[int, list[Play]]:
    return _grouped((p for p in plays if p.user is not None), lambda p: p.user)


def _changes(plays: list[Play], days: list[date]) -> Rows:
    users, counts = _by_user(plays), {day: [0, 0] for day in days}
    changing = set()
    for user, own in users.items():
        for before, after in pairwise(own):
            if before.level != after.level:
                changing.add(user)
                counts[after.day][after.level == "free"] += 1
    return [(day, *found, len(changing), len(users)) for day, found in sorted(counts.items()) if users]


def _before(plays: list[Play]) -> Rows:
    groups = defaultdict(list)
    for own in _by_user(plays).values():
        turns = [n for n in range(1, len(own)) if (own[n - 1].level, own[n].level) == ("free", "paid")]
        # plays at the moment of the upgrade still count as before it
        free = [p for p in own if p.level == "free" and (not turns or p.start <= own[turns[0]].start)]
        if free:
            groups["before upgrading" if turns else "never upgraded"].append((len(free), len({p.day for p in free})))
    return [
        (name, len(g), median(n / days for n, days in g), median(n for n, _ in g), median(days for _, days in g))
        for name, g in sorted(groups.items())
    ]


def _retention(plays: list[Play], days: list[date]) -> Rows:
    observed = Counter(day - timedelta(day.weekday()) for day in days)
    cohorts = defaultdict(list)
    for own in _by_user(plays).values():
        weeks = {p.week for p in own}
        cohorts[min(weeks)].append(weeks)
    rows = []
    for first in sorted(cohorts)[-12:]:
        for week in (w for w in sorted(observed) if first < w <= first + timedelta(84)):
            back, size = sum(week in own for own in cohorts[first]), len(cohorts[first])
            rows.append((first, (week - first).days // 7, size, back, 100 * back / size, observed[week]))
    return rows


def _agents(plays: list[Play]) -> Rows:
    known = [p for p in plays if p.user is not None]
    groups = _grouped(known, lambda p: f"{_browser(p.agent or '')} on {_platform(p.agent or '')}")
    rows = [(name, _listeners(g), len(g), len(g) / _listeners(g), _listeners(known)) for name, g in groups.items()]
    return sorted(rows, key=lambda row: (-row[1], -row[2], row[0]))


def _browser(agent: str) -> str:
    patterns = {
        "Edge": "Edge?/", "Opera": "OPR/|Opera", "Firefox": "Firefox/", "Chrome": "Chrome/|CriOS/",
        "Internet Explorer": "MSIE |Trident/", "Safari": "Safari/|AppleWebKit/", "other": "",
    }  # fmt: skip
    return next(name for name, pattern in patterns.items() if re.search(pattern, agent))


def _platform(agent: str) -> str:
    names = {"iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Windows": "Windows", "Macintosh": "Mac"}
    names |= {"Linux": "Linux", "": "other"}
    return next(name for word, name in names.items() if word in agent)


def _coverage(plays: list[Play]) -> Rows:
    days = _grouped(plays, lambda p: p.day)
    counts = {day: (len(group), sum(p.match for p in group)) for day, group in days.items()}
    return [(day, all_, had, 100 * had / all_) for day, (all_, had) in sorted(counts.items())]


def _missing(plays: list[Play]) -> Rows:
    groups = _grouped((p for p in plays if not p.match), lambda p: (p.song, p.artist))
    counted = [(*name, len(group), _listeners(group)) for name, group in groups.items()]
    return sorted(counted, key=lambda row: (-row[2], row[0] is None, row[0], row[1] is None, row[1]))[:15]


def _near(plays: list[Play], songs: list[dict[str, Any]]) -> Rows:
    counts = Counter((p.song, p.artist, p.length) for p in plays if not p.match)
    rows = []
    for (song, artist, length), count in counts.items():
        near = [(s["title"], s["artist_name"], s["duration"]) for s in songs if _alike(s, song, artist)]
        if near:
            title, name, duration = min(
                near,
                key=lambda s: (
                    _distance(s, song, artist),
                    abs(s[2] - length) if length is not None else 0,
                    s[0],
                    s[1],
                    s[2],
                ),
            )
            why = ("another duration", "case or spacing", "encoding or punctuation")[
                _distance((title, name), song, artist)
            ]
            rows.append(
                (song, artist, None if length is None else float(length), why, title, name, float(duration), count)
            )
    return sorted(rows, key=lambda row: (-row[-1], *row[:2], row[2] is None, row[2]))[:50]


def _letters(text: str | None) -> str:
    return re.sub("[^a-z0-9]", "", (text or "").lower())


def _alike(entry: dict[str, Any], song: str, artist: str) -> bool:
    ours, theirs = (_letters(song), _letters(artist)), (_letters(entry["title"]), _letters(entry["artist_name"]))
    return all(ours) and ours == theirs


def _distance(entry: tuple[Any, ...], song: str, artist: str) -> int:
    if entry[:2] == (song, artist):
        return 0
    squeezed = [text.lower().replace(" ", "") for text in (*entry[:2], song, artist)]
    return 1 if squeezed[:2] == squeezed[2:] else 2


def _implausible(plays: list[Play]) -> Rows:
    groups = _grouped(
        (p for p in plays if not _is_plausible(p.start)),
        lambda p: "before 2000" if p.start < EARLIEST else "after tomorrow",
    )
    rows = []
    for name, g in groups.items():
        years = [p.start.year for p in g]
        rows.append((name, len(g), _listeners(g), str(min(years)), str(max(years))))
    return sorted(rows, key=lambda row: int(row[3]))


def _gaps(days: list[date]) -> Rows:
    return [
        (before + timedelta(1), after - timedelta(1), (after - before).days - 1)
        for before, after in pairwise(days)
        if (after - before).days > 1
    ]


def _calendar(events: list[Record], days: list[date]) -> Rows:
    """Return the events of each of the last 182 days, by week and weekday, delivered twice or not."""
    counts = Counter(_start(event).date() for event in events)
    return [
        (day - timedelta(day.weekday()), day.weekday() + 1, day, counts[day], len(days), days[-1], counts[days[-1]])
        for day in days
        if (days[-1] - day).days < 182
    ]


def _broken(plays: list[Play]) -> Rows:
    counts = Counter((kind, text) for p in plays for kind, text in (("artist", p.artist), ("song", p.song)) if text)
    broken = {key: n for key, n in counts.items() if _is_utf8_read_as_latin1(key[1])}
    return [
        (text, kind, n, len(broken)) for (kind, text), n in sorted(broken.items(), key=lambda item: (-item[1], item[0]))
    ]


def _is_utf8_read_as_latin1(text: str) -> bool:
    try:
        return len(text.encode("latin-1").decode("utf-8")) < len(text)
    except UnicodeError:
        return False
