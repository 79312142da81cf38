"""An S3 on this machine, a server that fails in the ways of S3, and the blocks to read them with."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import boto3
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer
from prefect_aws import AwsCredentials

KEYS = {"aws_access_key_id": "AKIACANARYKEY", "aws_secret_access_key": "canary/secret"}
_NUMBERS = count()

Answer = Callable[[str], tuple[int, Mapping[str, str], bytes]]
"""Takes a request's path; returns a status, headers and a body."""


def save_block(endpoint: str, **options: Any) -> str:
    """Save an AWS Credentials block for an endpoint, with a single attempt per request. Return its name."""
    config = {"retries": {"total_max_attempts": 1}} | options.pop("config", {})
    name = f"s3-{next(_NUMBERS)}"
    parameters = {"endpoint_url": endpoint, "config": config}
    AwsCredentials(**({**KEYS, "aws_client_parameters": parameters} | options)).save(name)
    return name


class Bucket:
    """A new bucket in moto's server. `backend` is moto's storage in this process."""

    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.name = f"sparkify-{next(_NUMBERS)}"
        self.client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **KEYS)
        self.client.create_bucket(Bucket=self.name)

    def url(self, key: str = "") -> str:
        return f"s3://{self.name}/{key}"

    def put(self, objects: dict[str, bytes]) -> None:
        for key, content in objects.items():
            self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def put_folder(self, folder: Path) -> None:
        files = (path for path in folder.rglob("*") if path.is_file())
        self.put({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})


@contextmanager
def moto() -> Iterator[str]:
    """Run moto's S3. Yields its URL."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@contextmanager
def answering(answer: Answer) -> Iterator[str]:
    """Run a server that answers every GET with a function. A body shorter than its Content-Length is cut off there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body)), "ETag": '"x"'} | dict(headers)).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def refusal(code: str, status: int) -> Answer:
    """Answer with an S3 error that contains every secret that S3 might quote."""
    says = " ".join(KEYS.values())
    return lambda _: (status, {}, f"<Error><Code>{code}</Code><Message>{says}</Message></Error>".encode())


def listing(*keys: str, size: int = 9) -> bytes:
    """Return the answer to a request for a list of objects."""
    contents = "".join(
        f"<Contents><Key>{key}</Key><Size>{size}</Size><ETag>x</ETag>"
        "<LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>"
        for key in keys
    )
    return f"<ListBucketResult><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>".encode()
