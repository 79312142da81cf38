"""The sentences of the report: what the data covers, whether the checks hold, and what a chart shows."""

from tasks.answer import Answers
from warehouse.questions import Answer, Axis, Row, day_name, readable


def about(answers: Answers, source: str) -> list[str]:
    """Say what the data covers, where it comes from, and when it was loaded and read."""
    covered = [answer.headline for answer in answers.items if answer.question.chart == "figures" and answer.rows]
    read = f"read {answers.asked_at:%Y-%m-%d %H:%M} UTC"
    if not answers.loaded_at:
        loaded = "never loaded"
    elif answers.is_loading:
        loaded = "a load is running or was interrupted, so the data may be incomplete"
    else:
        loaded = f"last loaded {answers.loaded_at:%Y-%m-%d %H:%M} UTC"
    return [
        *(covered or ["There are no plays yet. Run the pipeline first."]),
        f"From {source}: {loaded}, {read}.",
    ]


def verdict(answers: Answers) -> str:
    """Say whether the checks hold."""
    if not answers.broken:
        return f"All {len(answers.checks)} checks of the data hold." if len(answers.checks) > 1 else "The check holds."
    fail = "fails" if len(answers.broken) == 1 else "fail"
    return f"{len(answers.broken)} of {len(answers.checks)} checks of the data {fail}."


def state(answers: Answers) -> list[Answer]:
    """Return the answers that tell what the others rest on: what was loaded, left out, missing and repaired."""
    return [answer for answer in answers.items if answer.question.section == "Data"]


def change(row: Row, axis: Axis) -> str:
    """Say how a headline figure changed from the week before the latest to the latest; "" if that is not known."""
    value = row.get(f"{axis.column}_change")
    if value is None:
        return ""
    amount = readable(abs(value)) + (" points" if axis.column.startswith("percent") else " %")
    sign = "+" if value > 0 else "\N{MINUS SIGN}" if value < 0 else "±"
    return f"{sign}{amount} in a week"


def weeks(row: Row) -> str:
    """Say which weeks the changes compare, or why none are compared; "" of a period that has no week before."""
    if not row.get("earlier_days"):
        return ""
    if row.get("latest_days") == row.get("earlier_days") == 7:
        return f"Changes compare the 7 days to {day_name(row['last_day'])} with the 7 days before."
    return (
        "No change in a week is given, because the latest 7 days and the 7 before have events on only "
        f"{row.get('latest_days')} and {row.get('earlier_days')} days."
    )


def description(answer: Answer) -> str:
    """Return the text that replaces a chart for readers who cannot see it."""
    axes = [axis.label for word in ("x", "y", "value") for axis in answer.question.axes(word)]
    return f"Chart ({answer.question.chart}) of {', '.join(axes)}. {answer.headline} The values are in the table below."


def chosen(answer: Answer) -> str:
    """Say to what an answer is restricted; "" if it is not."""
    return ", ".join(choice.name for choice in answer.question.choices)
