"""Keep strings from the data text, wherever Prefect's UI shows them."""

import re

_INVISIBLE = "\ufeff"


def escape_markdown(text: str) -> str:
    r"""Return text that Markdown shows as it is: `\` before all that it might take for its own.

    https://spec.commonmark.org/0.31.2/#backslash-escapes
    """
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def escape_cell(text: str) -> str:
    """Return text that a table artifact shows as it is, but for what stands in backticks: that is shown as code.

    Prefect's first UI takes cells for Markdown and HTML, its second one for plain text, in which a backslash would
    show. So an invisible character follows what might be taken for markup, and precedes what might begin a list.
    """
    line = " ".join(text.split())
    start = _INVISIBLE if re.match(r"\W|\d+[.)] ", line) else ""
    return start + re.sub(r"([*_~<&\\\]])", rf"\1{_INVISIBLE}", line)
