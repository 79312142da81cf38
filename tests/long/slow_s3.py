"""An S3 in memory that answers late, in pages, and with SlowDown where it is told to: a process of its own.

Its bucket holds the files of a folder, or keys that are counted up and have no content.
"""

import asyncio
import random
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import md5
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "bench"
_PAGE = 1000
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
_ENTRY = (
    "<Contents><Key>{}</Key><LastModified>2018-11-30T00:00:00.000Z</LastModified><ETag>&quot;{}&quot;</ETag>"
    "<Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>"
)


class SlowS3:
    """Objects by key, each answer's delay in seconds, and the share of requests that are refused."""

    def __init__(self, content: str, delay: float, refused: float) -> None:
        self.delay, self.refused, self.random = delay, refused, random.Random(1)
        self.objects: dict[str, bytes] = {}
        if content.isdigit():
            self.objects = {f"log_data/2018/11/{n // 1000:06}/{n:09}-events.json": b"" for n in range(int(content))}
        else:
            paths = (path for path in Path(content).rglob("*") if path.is_file())
            self.objects = {path.relative_to(content).as_posix(): path.read_bytes() for path in paths}
        self.keys = sorted(self.objects)
        self.etags = {key: md5(key.encode(), usedforsecurity=False).hexdigest() for key in self.keys[:1_000_000]}

    async def serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1000)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(self.delay)
                status, headers, body = self._answer(request.split(b" ", 2)[1].decode())
                lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, target: str) -> tuple[str, list[str], bytes]:
        if self.random.random() < self.refused:
            return "503 Slow Down", ["Content-Type: application/xml"], _SLOW_DOWN
        parts = urlsplit(target)
        key = unquote(parts.path).removeprefix(f"/{BUCKET}").removeprefix("/")
        if not key:
            return "200 OK", ["Content-Type: application/xml"], self._page(parse_qs(parts.query)).encode()
        return "200 OK", [f'ETag: "{self._etag(key)}"'], self.objects[key]

    def _etag(self, key: str) -> str:
        return self.etags.get(key) or md5(key.encode(), usedforsecurity=False).hexdigest()

    def _page(self, query: dict[str, list[str]]) -> str:
        prefix, after = query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]
        start = bisect_right(self.keys, after or prefix[:-1])
        page = [key for key in self.keys[start : start + _PAGE] if key.startswith(prefix)]
        entries = "".join(_ENTRY.format(escape(key), self._etag(key), len(self.objects[key])) for key in page)
        more = len(page) == _PAGE and start + _PAGE < len(self.keys)
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>{BUCKET}</Name><IsTruncated>{str(more).lower()}</IsTruncated>"
            f"<KeyCount>{len(page)}</KeyCount>{token}{entries}</ListBucketResult>"
        )


@contextmanager
def slow_s3(content: Path | int, delay: float = 0.0, refused: float = 0.0) -> Iterator[str]:
    """Serve a folder's files, or so many keys, and yield the endpoint."""
    command = [sys.executable, "-m", "tests.long.slow_s3", str(content), str(delay), str(refused)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


if __name__ == "__main__":
    asyncio.run(SlowS3(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])).serve())
