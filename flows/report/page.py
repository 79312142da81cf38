"""The report: one HTML page without external resources."""

import os
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from flows.report import charts
from flows.report.headlines import about, description, verdict
from tasks.answer import Answers
from warehouse.questions import Answer, readable

LIGHT = {"ink": charts.INK, "quiet": charts.QUIET, "grid": charts.GRID} | {
    f"series-{n}": colour for n, colour in enumerate(charts.SERIES, start=1)
}
DARK = {
    "ink": "#e8eaf0", "quiet": "#a3aabb", "grid": "#323846",
    "series-1": "#7aa5ff", "series-2": "#ff9d5c", "series-3": "#5fcca2", "series-4": "#c493ea",
    "series-5": "#f0869f", "series-6": "#c6cb5a", "series-7": "#7fd0e2",
}  # fmt: skip
WIDTHS = {"wide": charts.WIDE, "narrow": charts.NARROW}


def write_report(answers: Answers, source: str, path: Path) -> None:
    """Write the page completely, or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(page(answers, source), encoding="utf-8")
    os.replace(part, path)


def page(answers: Answers, source: str) -> str:
    """Return the page. Everything from the data is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= {"readable": readable, "words": _words, "description": description}
    environment.tests["numeric_in"] = _is_numeric
    drawn = [answer for answer in answers.items if answer.question.chart != "figures"]
    return environment.get_template("page.html").render(
        about=about(answers, source),
        verdict=verdict(answers),
        holds=bool(answers.checks) and not answers.broken,
        broken=answers.broken,
        figures=[answer for answer in answers.items if answer.question.chart == "figures"],
        answers=drawn,
        charts={answer.question.name: _drawn(answer) for answer in drawn},
        light=Markup(_variables(LIGHT)),
        dark=Markup(_variables(DARK)),
    )


def _drawn(answer: Answer) -> Mapping[str, Markup]:
    """Return the chart in each width, with colours that follow the page's theme."""
    drawn = {name: charts.svg(answer, width) for name, width in WIDTHS.items()}
    return {name: Markup(_with_variables(svg)) for name, svg in drawn.items() if svg}


def _with_variables(svg: str) -> str:
    for name, colour in LIGHT.items():
        svg = svg.replace(f": {colour}", f": var(--{name})")
    return svg


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def _words(column: str) -> str:
    return column.replace("_", " ")


def _is_numeric(column: str, answer: Answer) -> bool:
    return all(isinstance(row[column], int | float | None) for row in answer.rows)
