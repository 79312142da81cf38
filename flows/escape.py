"""Make a terminal and Prefect's UI show strings from the data as plain text."""

import re

_INVISIBLE = "\ufeff"
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys, but for the end of a line, and what turns the direction of writing."""


def escape_control(text: str) -> str:
    r"""Escape text so that a terminal shows it and does not obey it: `\x1b` for the character that begins a command."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escape_markdown(text: str) -> str:
    r"""Escape text so that Markdown shows it unchanged: `\` before every punctuation character.

    https://spec.commonmark.org/0.31.2/#backslash-escapes
    """
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def escape_cell(text: str) -> str:
    """Escape text so that a table artifact shows it unchanged, except that text in backticks is shown as code.

    Prefect's first UI renders cells as Markdown and HTML, its second one as plain text, in which a backslash would be
    visible. So an invisible character follows what might be markup, and precedes what might start a list.
    """
    line = " ".join(text.split())
    start = _INVISIBLE if re.match(r"\W|\d+[.)] ", line) else ""
    return start + re.sub(r"([*_~<&\\\]])", rf"\1{_INVISIBLE}", line)
