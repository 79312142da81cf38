"""The process of a temporary Prefect server. It ends with the process that started it, whatever ends that one."""

import os
import socket
import sys
from threading import Thread


def serve(file_descriptor: int) -> None:
    """Serve Prefect's API on a bound socket until nothing holds the other end of standard input any more."""
    Thread(target=_end_with_parent, daemon=True).start()  # first, as the imports below take seconds

    import uvicorn

    config = uvicorn.Config("prefect.server.api.server:create_app", factory=True, log_level="error", lifespan="on")
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=file_descriptor)])


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing is ever written
    os._exit(0)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
