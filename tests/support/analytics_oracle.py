"""The answers to the questions in sql/analytics, computed from raw files in plain Python."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

from tests.support.oracle import EPOCH, read_records, songplay_id

Rows = list[tuple[Any, ...]]
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
SIZES = ((1, "1 song"), (5, "2–5 songs"), (10, "6–10 songs"), (20, "11–20 songs"), (50, "21–50 songs"))  # noqa: RUF001


class Play(NamedTuple):
    key: str
    start: Any
    user: int | None
    level: str
    session: int
    location: str
    agent: str
    song: Any
    artist: Any
    length: Any
    match: dict[str, Any] | None

    @property
    def day(self) -> date:
        return self.start.date()  # type: ignore[no-any-return]

    @property
    def entry(self) -> dict[str, Any]:
        """The catalogue's song, of a play that matches one."""
        assert self.match
        return self.match


def answers(log_data: Path, song_data: Path) -> dict[str, Rows]:
    """Return the rows that answer each question, once the data is loaded into an empty warehouse."""
    songs = sorted(read_records(song_data), key=lambda s: (s["song_id"], s["artist_id"]))
    plays = sorted(_plays(list(read_records(log_data)), songs), key=lambda p: (p.start, p.key))
    matched = [play for play in plays if play.match]
    names = {s["artist_id"]: s["artist_name"] for s in sorted(songs, key=lambda s: s["artist_name"], reverse=True)}
    return {
        "overview": _overview(plays),
        "daily_activity": _daily(plays),
        "hours_and_weekdays": _hours(plays),
        "most_played_songs": _top(matched, lambda p: (p.entry["song_id"], p.song, names[p.entry["artist_id"]])),
        "most_played_artists": _artists(matched, names),
        "sessions": _sessions(plays),
        "session_sizes": _sizes(plays),
        "top_locations": _locations(plays),
        "plan_changes": _changes(plays),
        "before_upgrading": _before(plays),
        "weekly_retention": _retention(plays),
        "browsers_and_platforms": _agents(plays),
        "catalogue_coverage": _coverage(plays),
        "missing_songs": _missing(plays, songs),
        "near_misses": _near(plays, songs),
    }


def _plays(events: list[dict[str, Any]], songs: list[dict[str, Any]]) -> Iterator[Play]:
    catalogue = {(s["title"], s["artist_name"], s["duration"]): s for s in reversed(songs)}
    deliveries = defaultdict(list)
    for event in events:
        if event["page"] == "NextSong":
            deliveries[songplay_id(event)].append(event)
    for key, sources in deliveries.items():
        names = ("level", "location", "userAgent", "song", "artist", "length")
        e = min(sources, key=lambda e: [(e[name] is None, e[name]) for name in names])
        song = (e["song"], e["artist"], e["length"])
        user = int(e["userId"]) if e["userId"] else None
        start = EPOCH + timedelta(milliseconds=e["ts"])
        match = catalogue.get(song)
        yield Play(key, start, user, e["level"], e["sessionId"], e["location"], e["userAgent"], *song, match)


def _grouped(plays: Iterable[Play], key: Callable[[Play], Any]) -> dict[Any, list[Play]]:
    groups = defaultdict(list)
    for play in plays:
        groups[key(play)].append(play)
    return groups


def _listeners(plays: Iterable[Play]) -> int:
    return len({play.user for play in plays} - {None})


def _overview(plays: list[Play]) -> Rows:
    if not plays:
        return []
    paid = sum(play.level == "paid" for play in plays)
    sessions = len({play.session for play in plays})
    return [(len(plays), _listeners(plays), sessions, 100 * paid / len(plays), plays[0].day, plays[-1].day)]


def _daily(plays: list[Play]) -> Rows:
    groups = _grouped(plays, lambda p: (p.day, p.level))
    cells = [(d, level) for d in {p.day for p in plays} for level in {p.level for p in plays}]
    days = Counter(p.day for p in plays)
    return sorted(
        (*c, _listeners(groups[c]), len({p.session for p in groups[c]}), len(groups[c]), days[c[0]]) for c in cells
    )


def _hours(plays: list[Play]) -> Rows:
    counts = Counter((p.start.weekday(), p.start.hour) for p in plays)
    return [(WEEKDAYS[weekday], hour, count) for (weekday, hour), count in sorted(counts.items())]


def _top(plays: list[Play], key: Callable[[Play], tuple[Any, ...]]) -> Rows:
    groups = _grouped(plays, key)
    counted = [(*name[1:], len(group), _listeners(group)) for name, group in groups.items()]
    return sorted(counted, key=lambda row: (-row[2], row[0], row[1]))[:15]


def _artists(plays: list[Play], names: dict[str, str]) -> Rows:
    groups = _grouped(plays, lambda p: p.entry["artist_id"])
    counted = [
        (names[artist], len(group), _listeners(group), len({p.entry["song_id"] for p in group}))
        for artist, group in groups.items()
    ]
    return sorted(counted, key=lambda row: (-row[1], row[0]))[:15]


def _by_session(plays: list[Play]) -> dict[str, list[list[Play]]]:
    levels = defaultdict(list)
    for group in _grouped(plays, lambda p: (p.user, p.session)).values():
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
    groups = _grouped(plays, lambda p: p.location)
    counted = [(place, len(g), _listeners(g), 100 * len(g) / len(plays)) for place, g in groups.items()]
    return sorted(counted, key=lambda row: (-row[1], row[0]))[:15]


def _by_user(plays: list[Play]) -> dict[int, list[Play]]:
    return _grouped((p for p in plays if p.user is not None), lambda p: p.user)


def _changes(plays: list[Play]) -> Rows:
    days = {p.day: [0, 0] for p in plays if p.user is not None}
    for own in _by_user(plays).values():
        for before, after in pairwise(own):
            if before.level != after.level:
                days[after.day][after.level == "free"] += 1
    return [(day, *counts) for day, counts in sorted(days.items())]


def _before(plays: list[Play]) -> Rows:
    groups = defaultdict(list)
    for own in _by_user(plays).values():
        turns = [n for n in range(1, len(own)) if (own[n - 1].level, own[n].level) == ("free", "paid")]
        free = [p for p in (own[: turns[0]] if turns else own) if p.level == "free"]
        if free:
            groups["before upgrading" if turns else "never upgraded"].append(free)
    return [
        (
            name,
            len(group),
            median(map(len, group)),
            fmean(map(len, group)),
            fmean(len({p.session for p in free}) for free in group),
        )
        for name, group in sorted(groups.items())
    ]


def _retention(plays: list[Play]) -> Rows:
    weeks = {user: {_monday(p.day) for p in own} for user, own in _by_user(plays).items()}
    cohorts = defaultdict(list)
    for own in weeks.values():
        cohorts[min(own)].append(own)
    rows = []
    for first in sorted(cohorts)[-12:]:
        for week in sorted({w for own in weeks.values() for w in own if w > first}):
            back, size = sum(week in own for own in cohorts[first]), len(cohorts[first])
            rows.append((first, (week - first).days // 7, size, back, 100 * back / size))
    return rows


def _monday(day: date) -> date:
    return day - timedelta(day.weekday())


def _agents(plays: list[Play]) -> Rows:
    groups = _grouped(plays, lambda p: (_browser(p.agent or ""), _platform(p.agent or "")))
    browsers = Counter(_browser(p.agent or "") for p in plays)
    counted = [
        (*name, len(g), _listeners(g), 100 * len(g) / len(plays), browsers[name[0]]) for name, g in groups.items()
    ]
    return sorted(counted, key=lambda row: (-row[5], row[0], -row[2], row[1]))


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
    counts = {day: (len(group), sum(p.match is not None for p in group)) for day, group in days.items()}
    return [(day, all_, had, 100 * had / all_) for day, (all_, had) in sorted(counts.items())]


def _missing(plays: list[Play], songs: list[dict[str, Any]]) -> Rows:
    groups = _grouped((p for p in plays if not p.match), lambda p: (p.song, p.artist))
    counted = [(*name, len(group), _listeners(group)) for name, group in groups.items()]
    return sorted(counted, key=lambda row: (-row[2], row[0], row[1]))[:15]


def _near(plays: list[Play], songs: list[dict[str, Any]]) -> Rows:
    counts = Counter((p.song, p.artist, p.length) for p in plays if not p.match)
    rows = []
    for (song, artist, length), count in counts.items():
        near = [(s["title"], s["artist_name"], s["duration"]) for s in songs if _alike(s, song, artist)]
        if near:
            title, name, duration = min(
                near, key=lambda s: (_distance(s, song, artist), abs(s[2] - length), s[0], s[1], s[2])
            )
            why = ("another duration", "case or spacing", "encoding or punctuation")[
                _distance((title, name), song, artist)
            ]
            rows.append((song, artist, float(length), why, title, name, float(duration), count))
    return sorted(rows, key=lambda row: (-row[-1], *row[:3]))[:50]


def _letters(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())


def _alike(entry: dict[str, Any], song: str, artist: str) -> bool:
    ours, theirs = (_letters(song), _letters(artist)), (_letters(entry["title"]), _letters(entry["artist_name"]))
    return all(ours) and ours == theirs


def _distance(entry: tuple[Any, ...], song: str, artist: str) -> int:
    if entry[:2] == (song, artist):
        return 0
    squeezed = [text.lower().replace(" ", "") for text in (*entry[:2], song, artist)]
    return 1 if squeezed[:2] == squeezed[2:] else 2
