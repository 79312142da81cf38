"""Answers Sparkify's questions from the star schema, in a report and in artifacts of the run.

Run it with `python -m flows.analytics`.
"""

from flows.command_line import run_command

if __name__ == "__main__":  # before the imports below, which take seconds
    run_command("flows.analytics:analytics")

from dataclasses import dataclass, replace
from typing import Any

from prefect import flow
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact
from prefect.runtime import flow_run

from flows.artifacts import about_target, artifact_key
from flows.escape import escape_cell, escape_control, escape_markdown
from flows.parameters import Count, SchemaName, WarehouseName, refuse_unwritable
from flows.report.headlines import about, verdict
from flows.report.page import page
from flows.report.texts import with_repairs
from flows.run_names import named
from flows.terminal import terminal
from sql import catalog
from tasks.answer import Answers, answer
from tasks.write_page import write_page
from warehouse.questions import Answer, Row
from warehouse.target import Target


@dataclass(frozen=True)
class Report:
    """The answers, and the page that shows them."""

    answers: Answers
    target: Target
    location: str
    address: str = ""

    def publish(self) -> None:
        """Keep each answer and a summary as artifacts of the run, under the same keys each time."""
        for item in self.answers.items:
            create_table_artifact(
                [_cells(row) for row in item.rows],
                key=artifact_key(f"analytics {item.question.name}", self.target),
                description=f"**{item.question.title}**\n\n{escape_markdown(item.headline)}\n\n{self._source}",
            )
        description = f"What Sparkify listens to\n\n{self._source}"
        create_markdown_artifact(self.markdown, key=artifact_key("analytics", self.target), description=description)
        if self.address:
            key = artifact_key("analytics page", self.target)
            create_link_artifact(self.address, "The report", key=key, description=description)

    @property
    def _source(self) -> str:
        latest = [item.rows[:1] for item in self.answers.items if item.question.name == "latest_batches"]
        newest = "".join(f", up to batch {row['batch_id']}" for rows in latest for row in rows)
        return escape_markdown(f"From {about_target(self.target)}{newest}.")

    @property
    def markdown(self) -> str:
        """The headlines as Markdown."""
        lines = [*about(self.answers, about_target(self.target)), verdict(self.answers)]
        head = "\n\n".join(escape_markdown(line) for line in lines)
        return f"# What Sparkify listens to\n\n{head}\n\n" + "\n".join(map(_item, self.answers.items)) + "\n"

    def show(self) -> None:
        """Print the headlines, and where the page is."""
        console = terminal()
        for item in self.answers.items:
            console.print(f"[bold]{item.question.title}[/bold]")
            console.print(escape_control(item.headline), markup=False)
        console.print(f"\n{verdict(self.answers)}\nThe report is in {self.location}", markup=False)


@flow(name="sparkify-analytics", flow_run_name=named("report on {schema} in {warehouse}"))
def analytics(
    *,
    warehouse: WarehouseName = "duckdb:///sparkify.duckdb",
    schema: SchemaName = "public",
    report: str = "report.html",
    aws_credentials: str = "",
    statement_timeout: Count = 0,
) -> Report:
    """Answer the questions in sql/analytics from the star schema, and write a page that shows the answers.

    Changes nothing in the warehouse and blocks no load. Only one process can use a DuckDB file at a time, so this
    fails while a load is using the file.

    Args:
        warehouse: Name of a SQLAlchemy Connector block, or a duckdb:/// URL.
        schema: Schema that holds the tables.
        report: HTML page to write, a file or s3://bucket/key. An existing one is replaced.
        aws_credentials: Name of an AWS Credentials block that may write the page to S3.
        statement_timeout: Seconds after which a single statement is cancelled. 0: no limit.
    """
    location = report or "report.html"  # a setting may be empty
    refuse_unwritable(location)
    target = Target(warehouse, schema, f"{flow_run.name} {flow_run.id}", statement_timeout)
    answered = answer(target, catalog.TABLES, catalog.CHECKS, catalog.QUESTIONS, catalog.FILTERS)
    answers = replace(
        answered,
        items=[with_repairs(item) for item in answered.items],
        filtered=[with_repairs(item) for item in answered.filtered],
    )
    address = write_page(page(answers, about_target(target)), location, aws_credentials, wait_for=[answered])
    result = Report(answers, target, location, address)
    result.publish()
    return result


def _cells(row: Row) -> dict[str, Any]:
    return {
        name: value if isinstance(value, int | float | None) else escape_cell(str(value)) for name, value in row.items()
    }


def _item(item: Answer) -> str:
    return f"- **{item.question.title}**: {escape_markdown(item.headline)}"
