"""A PostgreSQL for tests: the one at TEST_POSTGRES_URL, or a throw-away one of this machine, or none."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65534  # PostgreSQL refuses to run as root


def configured_url() -> str:
    """What TEST_POSTGRES_URL says; empty at home."""
    return os.environ.get("TEST_POSTGRES_URL", "")


@contextmanager
def local_postgres() -> Iterator[str | None]:
    """The URL of a server started in a temporary folder, on a unix socket only; None where none is installed."""
    initdb, postgres = _program("initdb"), _program("postgres")
    if initdb is None or postgres is None:
        yield None
        return
    user = _NOBODY if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="turno-pg-"))
    if user is not None:
        os.chown(folder, user, user)
    data = folder / "data"
    try:
        made = subprocess.run(
            [initdb, "-D", data, "-U", "turno", "-A", "trust", "-E", "UTF8", "--no-sync"],
            user=user, group=user, cwd=folder, capture_output=True, check=False,
        )  # fmt: skip
        if made.returncode:
            yield None
            return
        options = (
            "-F",
            "-c",
            "listen_addresses=",
            "-c",
            f"unix_socket_directories={folder}",
            "-c",
            "shared_buffers=16MB",
        )
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [postgres, "-D", data, *options], user=user, group=user, cwd=folder, stdout=log, stderr=log
            )
        try:
            yield f"postgresql+psycopg://turno@/postgres?host={folder}"
        finally:
            server.terminate()
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str | None:
    newest_first = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return str(newest_first[0]) if newest_first else shutil.which(name)
