"""Make Prefect's UI show strings from the data as plain text."""

import re

_INVISIBLE = "\ufeff"


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
