"""An event, a song, and data of such records, for tests that change them by hand."""

import json
from pathlib import Path
from typing import Any

Record = dict[str, Any]

EVENT: Record = {
    "artist": "Foxes", "auth": "Logged In", "firstName": "Ann", "gender": "F", "itemInSession": 0, "lastName": "Koch",
    "length": 200.5, "level": "free", "location": "Here", "method": "PUT", "page": "NextSong",
    "registration": 1540919166796.0, "sessionId": 1, "song": "Harbor", "status": 200, "ts": 1541030400000,
    "userAgent": "Firefox", "userId": "1",
}  # fmt: skip
SONG: Record = {
    "num_songs": 1, "artist_id": "AR", "artist_latitude": 1.5, "artist_longitude": 1.5, "artist_location": "Here",
    "artist_name": "Foxes", "song_id": "SO", "title": "Harbor", "duration": 200.5, "year": 1999,
}  # fmt: skip


def write_data(folder: Path, events: list[Record], songs: list[Record]) -> Path:
    """Write a file of each source into a new folder, and return the folder."""
    for name, records in (("log_data", events), ("song_data", songs)):
        (folder / name).mkdir(parents=True)
        (folder / name / "a.json").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return folder
