"""The key prefixes that COPY is given, so that it loads the files that arrived and no other."""

from bisect import bisect
from collections.abc import Sequence

from warehouse.errors import CopyError
from warehouse.sources import Arrivals


def prefixes(location: str, arrivals: Arrivals) -> list[str]:
    """Return the shortest prefixes that every file to read begins with, once, and no known file does.

    Raises:
        CopyError: a known file's URL begins with the whole URL of one to read.
    """
    known = sorted(each.url for each in arrivals.known)
    if not known:
        return [location]
    return list(dict.fromkeys(_shortest(each.url, known) for each in arrivals.read))


def _shortest(url: str, known: Sequence[str]) -> str:
    """Return the shortest prefix of a URL that no known one has: only its neighbours in order can have more of it."""
    place = bisect(known, url)
    length = 1 + max(_common(url, other) for other in known[max(place - 1, 0) : place + 1])
    if length > len(url):
        raise CopyError(
            f"{url}: cannot be loaded without {known[place]}, which begins with its name, because COPY takes prefixes. "
            "Give it another name"
        )
    return url[:length]


def _common(one: str, other: str) -> int:
    """Return how many characters two texts have in common from the start."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
