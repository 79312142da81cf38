"""What runs are called in Prefect's UI."""

import pytest
from prefect import flow
from prefect.runtime import flow_run

from flows.run_names import named


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.parametrize(
    ("warehouse", "shown"),
    [
        ("dwh", "dwh"),
        ("duckdb:///my {files}/a.duckdb", "duckdb:///my {files}/a.duckdb"),
        ("redshift://me:secret@host/db", "a refused warehouse"),
    ],
)
def test_a_run_is_called_by_what_it_does_and_where_but_for_a_password(warehouse: str, shown: str) -> None:
    @flow(flow_run_name=named("undo batch {batch} in {warehouse}"))
    def run(batch: int, warehouse: str) -> str:
        return str(flow_run.name)

    assert run(17, warehouse) == f"undo batch 17 in {shown}"
