"""Writes documents that people read: to a file, or to S3."""

import os
from pathlib import Path

from warehouse.s3.client import S3, is_s3


def write_document(text: str, location: str, aws_credentials: str) -> str:
    """Write a page to a file or an s3:// URL, completely or not at all, and return its address for a browser.

    A file has none in the UI of a server that may be elsewhere: "".
    """
    if is_s3(location):
        s3 = S3(aws_credentials)
        s3.write(location, text.encode(), "text/html; charset=utf-8")
        return s3.address(location)
    path = Path(location)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
    return ""
