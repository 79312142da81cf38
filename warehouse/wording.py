"""Words of messages."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 row", "2,300 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
