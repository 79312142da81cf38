"""The sentences of the report: what the data covers, whether the checks hold, and what a chart shows."""

from tasks.answer import Answers
from warehouse.questions import Answer


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
    if not answers.checks:
        return "No checks were made, because the tables do not exist yet."
    if not answers.broken:
        return f"All {len(answers.checks)} checks of the data hold."
    fail = "fails" if len(answers.broken) == 1 else "fail"
    return f"{len(answers.broken)} of {len(answers.checks)} checks of the data {fail}."


def description(answer: Answer) -> str:
    """Return the text that replaces a chart for readers who cannot see it."""
    axes = [axis.label for word in ("x", "y", "value") for axis in answer.question.axes(word)]
    return (
        f"Chart ({answer.question.chart}) of {', '.join(axes)}. {answer.headline} The numbers are in the table below."
    )
