"""Write a page for people."""

from prefect import task

from tasks.retries import RETRIES
from warehouse.documents import write_document


@task(task_run_name="write page", **RETRIES)
def write_page(page: str, location: str, aws_credentials: str) -> str:
    """Write a page to a file or an s3:// URL. Returns its address, if a browser can open it from anywhere."""
    return write_document(page, location, aws_credentials)
