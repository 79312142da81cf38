"""The report: one HTML page without external resources."""

from base64 import b64encode
from collections.abc import Mapping
from itertools import product

from markupsafe import Markup

from flows.report import charts
from flows.report.dictionary import dictionary
from flows.report.headlines import about, change, chosen, description, state, verdict, weeks
from flows.report.texts import csv_of, is_repaired, loaded_texts, shown
from tasks.answer import Answers, combinations
from warehouse.questions import Answer, Question, readable

LIGHT = {
    "ink": "#1f2430", "quiet": "#5d6472", "grid": "#dfe2e8", "accent": "#2f62cc", "free": "#c25a12", "paid": "#2a7d5a",
}  # fmt: skip
DARK = {
    "ink": "#e8eaf0", "quiet": "#a3aabb", "grid": "#323846", "accent": "#7aa5ff", "free": "#ff9d5c", "paid": "#5fcca2",
}  # fmt: skip


def page(answers: Answers, source: str) -> str:
    """Return the page. Everything from the data is escaped."""
    environment = charts.templates()
    environment.filters |= {
        "readable": readable,
        "shown": shown,
        "words": _words,
        "data": _data_url,
        "numeric": _numeric,
        "plain": _plain,
    }
    environment.filters |= {
        "change": change,
        "weeks": weeks,
        "description": description,
        "chart": charts.chart,
        "chosen": chosen,
    }
    environment.tests["repaired"] = is_repaired
    drawn = [answer for answer in answers.items if answer.question.section]
    sections = dict.fromkeys(answer.question.section for answer in drawn)
    return environment.get_template("page.html").render(
        about=about(answers, source),
        verdict=verdict(answers),
        holds=not answers.broken,
        broken=answers.broken,
        state=state(answers),
        figures=[answer for answer in answers.items if answer.question.chart == "figures"],
        filters=answers.filters,
        rules=Markup("\n".join(f"{where} .{name} {{ display: block; }}" for name, where in _places(answers).items())),
        variants={answer.question.name: _variants(answers, answer) for answer in answers.items},
        sections={name: [answer for answer in drawn if answer.question.section == name] for name in sections},
        entries=dictionary(answers),
        style=Markup(charts.STYLE),
        count_repaired=len(loaded_texts([*answers.items, *answers.filtered])),
        light=Markup(_variables(LIGHT)),
        dark=Markup(_variables(DARK)),
    )


def _places(answers: Answers) -> dict[str, str]:
    """Return the class of each combination of choices, and the selector of a page on which it is chosen."""
    ids = ([f"{number}-{n}" for n in range(len(found) + 1)] for number, found in enumerate(answers.filters.values()))
    return {
        "c" + "".join(f"-{each.partition('-')[2]}" for each in chosen): "body"
        + "".join(f":has(#f{each}:checked)" for each in chosen)
        for chosen in product(*ids)
    }


def _variants(answers: Answers, answer: Answer) -> list[tuple[str, Answer]]:
    """Return the answer as it is and with choices, each with the classes of the combinations that it is for."""
    found = {each.question: each for each in (answer, *answers.filtered)}
    classes: dict[Question, list[str]] = {}
    for name, choices in zip(_places(answers), combinations(answers.filters), strict=True):
        classes.setdefault(answer.question.chosen(choices), []).append(name)
    return [(" ".join(names), found[question]) for question, names in classes.items()]


def figure(answer: Answer) -> str:
    """Return a chart that stands alone, as in a notebook; "" if there is nothing to draw."""
    drawn = charts.chart(answer)
    colours = f"figure {{ {_variables(LIGHT)} --card: #fff; background: var(--card); }}"
    return f"<style>{colours} {charts.STYLE}</style><figure>{drawn}</figure>" if drawn else ""


def _variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def _data_url(answer: Answer) -> str:
    """Return the address of the answer's rows as a CSV file, within the page. The mark at its start is for Excel."""
    return "data:text/csv;base64," + b64encode(csv_of(answer).encode("utf-8-sig")).decode("ascii")


def _words(column: str) -> str:
    return column.replace("_", " ")


def _plain(value: object) -> str:
    """Return a value of a table as it is: an identifier has no separators."""
    return "" if value is None else str(value)


def _numeric(answer: Answer) -> set[str]:
    """Return the columns that have only numbers."""
    return {name for name in answer.columns if all(isinstance(row[name], int | float | None) for row in answer.rows)}
