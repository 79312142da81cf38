"""Event logs and a song catalogue, made up, in the formats of the real ones.

Run it with `python -m flows.generate`.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from flows.badness import write_dirty
from flows.command_line import run_command

START = datetime(2018, 11, 1, tzinfo=UTC)
SESSION_SIZE = 14  # songs, on average

WORDS = {
    "adjectives": [
        "Silver",
        "Midnight",
        "Broken",
        "Electric",
        "Golden",
        "Lonely",
        "Velvet",
        "Crystal",
        "Burning",
        "Hollow",
        "Distant",
        "Crimson",
        "Wild",
        "Paper",
        "Neon",
        "Secret",
        "Frozen",
        "Naïve",
        "Restless",
        "Quiet",
        "Scarlet",
        "Endless",
        "Café",
        "Wooden",
        "Savage",
        "Tender",
        "Cosmic",
        "Faded",
    ],
    "nouns": [
        "River",
        "Heart",
        "Shadow",
        "Engine",
        "Mirror",
        "Garden",
        "Thunder",
        "Lantern",
        "Ocean",
        "Fire",
        "Wolf",
        "Satellite",
        "Señor",
        "Highway",
        "Ghost",
        "Machine",
        "Summer",
        "Window",
        "Harbor",
        "Feather",
        "Anthem",
        "Moon",
        "Desert",
        "Signal",
        "Avenue",
        "Sparrow",
        "Canyon",
        "Orchid",
        "Comet",
    ],
    "first_names": [
        "Lily",
        "Kaylee",
        "Walter",
        "Chloe",
        "Ryan",
        "Tegan",
        "Jacob",
        "Aleena",
        "Mohammad",
        "Kate",
        "Layla",
        "Matthew",
        "Zoé",
        "Jayden",
        "Sara",
        "Ava",
        "Rylan",
        "Jordan",
        "Sylvie",
        "Adler",
        "Samuel",
        "Cecilia",
        "Theodore",
        "Harper",
        "Colin",
        "Molly",
        "Avery",
        "José",
        "Kinsley",
    ],
    "last_names": [
        "Koch",
        "Summers",
        "Frye",
        "Cuevas",
        "Smith",
        "Levine",
        "Klein",
        "Kirby",
        "Rodriguez",
        "Harrell",
        "Griffin",
        "Jones",
        "Müller",
        "Graves",
        "Johnson",
        "Robinson",
        "George",
        "Hicks",
        "Cruz",
        "Barrera",
        "Gonzalez",
        "Owens",
        "Smith",
        "Harris",
        "Larson",
        "Taylor",
        "Bell",
    ],
    "places": [
        "San Francisco-Oakland-Hayward, CA",
        "Phoenix-Mesa-Scottsdale, AZ",
        "Chicago-Naperville-Elgin, IL-IN-WI",
        "New York-Newark-Jersey City, NY-NJ-PA",
        "Portland-South Portland, ME",
        "Lansing-East Lansing, MI",
        "Atlanta-Sandy Springs-Roswell, GA",
        "Tampa-St. Petersburg-Clearwater, FL",
        "Waterloo-Cedar Falls, IA",
        "Houston-The Woodlands-Sugar Land, TX",
        "San Jose-Sunnyvale-Santa Clara, CA",
        "Red Bluff, CA",
        "Winston-Salem, NC",
        "Janesville-Beloit, WI",
        "Birmingham-Hoover, AL",
        "Marinette, WI-MI",
        "Eugene, OR",
        "Lake Havasu City-Kingman, AZ",
        "Nashville-Davidson--Murfreesboro--Franklin, TN",
        "Detroit-Warren, MI",
    ],  # fmt: skip
    "agents": [
        '"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_4) AppleWebKit/537.36 (KHTML, like Gecko) '
        'Chrome/36.0.1985.143 Safari/537.36"',
        '"Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/35.0.1916.153 '
        'Safari/537.36"',
        '"Mozilla/5.0 (iPhone; CPU iPhone OS 7_1_2 like Mac OS X) AppleWebKit/537.51.2 (KHTML, like Gecko) '
        'Version/7.0 Mobile/11D257 Safari/9537.53"',
        "Mozilla/5.0 (Windows NT 6.1; WOW64; rv:31.0) Gecko/20100101 Firefox/31.0",
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:31.0) Gecko/20100101 Firefox/31.0",
        "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; WOW64; Trident/6.0)",
    ],
}


def generate(
    *,
    days: int = 30,
    users: int = 100,
    songs: int = 500,
    seed: int = 1,
    out: Path = Path("data"),
    dirty: bool = False,
) -> None:
    """Write made-up event logs and a song catalogue, the same ones for the same options.

    Args:
        days: Days of logs, from 2018-11-01, one file each.
        users: Users, of whom most come on some days.
        songs: Songs in the catalogue, one file each. Users also play songs that it lacks.
        seed: Another one makes other data.
        out: Directory that gets log_data and song_data.
        dirty: Add records of every kind of badness, and dirty.json, which tells what they should lead to.
    """
    with duckdb.connect() as connection:
        _set_variables(connection, days=days, users=users, songs=songs, seed=seed)
        connection.execute(Path(__file__).with_name("generate.sql").read_text(encoding="utf-8"))
        count = _write_logs(connection, out / "log_data")
        _write_catalogue(connection, out / "song_data")
    if dirty:
        write_dirty(out)
    print(f"{out}: {count:,} events of {days} days, {songs:,} songs")


def _set_variables(connection: duckdb.DuckDBPyConnection, **numbers: int) -> None:
    start = int(START.timestamp()) * 1000
    weekday = START.isoweekday() % 7
    for name, number in {**numbers, "start": start, "weekday": weekday, "session_size": SESSION_SIZE}.items():
        connection.execute(f"set variable {name} = {number}::bigint")
    for name, words in WORDS.items():
        connection.execute(f"set variable {name} = ?", [[json.dumps(word)[1:-1] for word in words]])


def _write_logs(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    count = 0
    days = connection.execute("select distinct epoch_ms(ts)::date as day from events order by day").fetchall()
    for (day,) in days:
        lines = connection.execute(
            "select string_agg(line, chr(10) order by ts, line), count(*) from events where epoch_ms(ts)::date = ?",
            [day],
        ).fetchone()
        assert lines
        _write(folder / f"{day:%Y/%m/%Y-%m-%d}-events.json", lines[0])
        count += lines[1]
    return count


def _write_catalogue(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    for track, line in connection.execute("from catalogue order by track_id").fetchall():
        _write(folder / track[2] / track[3] / track[4] / f"{track}.json", line)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_command(generate)
