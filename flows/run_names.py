"""What runs are called in Prefect's UI."""

from collections.abc import Callable

from prefect.runtime import flow_run

from warehouse.errors import PermanentError
from warehouse.target import refuse_url


def named(text: str) -> Callable[[], str]:
    """Return a flow's `flow_run_name`: a text, filled in with the run's parameters.

    A warehouse that the run will refuse is left out: it may be a URL with a password.
    """

    def name() -> str:
        parameters = dict(flow_run.parameters)
        try:
            refuse_url(parameters["warehouse"])
        except PermanentError:
            parameters["warehouse"] = "a refused warehouse"
        return text.format_map(parameters)

    return name
