"""A real HTTP server that speaks S3 and as much of Google's dialect as we use: it can be killed, and forgets all."""

import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from tests.waiting import wait_for

BUCKET = "turno"
DENIED = "denied"  # an object of this name may not be read, whoever asks
_ROOT = Path(__file__).resolve().parents[1]
# moto wants a signature of its kind, and checks none
_SIGNATURE = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"


class S3Server:
    """One server, with one empty bucket."""

    def __init__(self, folder: Path, host: str) -> None:
        self._host = host
        with socket.socket() as probe:
            probe.bind((host, 0))
            self._port = probe.getsockname()[1]
        self._log = folder / "s3.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://{host}:{self._port}"
        self.settings = {
            "aws_access_key_id": "key",
            "aws_secret_access_key": "a-secret-that-must-not-be-told",
            "aws_region": "us-east-1",
            "aws_endpoint_url": self.url,
        }
        # obstore reads the file's name from GOOGLE_SERVICE_ACCOUNT; without OAuth it asks nobody for a token
        self.google_account = folder / "account.json"
        account = dict.fromkeys(("private_key", "private_key_id", "client_email"), "")
        self.google_account.write_text(json.dumps({**account, "gcs_base_url": self.url, "disable_oauth": True}))

    def fresh(self) -> "S3Server":
        """Itself, running, with an empty bucket."""
        if not self._process:
            self.start()
        self.remove_bucket()
        httpx.put(f"{self.url}/{BUCKET}").raise_for_status()
        return self

    def start(self) -> None:
        """Returns when it answers; there is no bucket."""
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "tests.s3_server", self._host, str(self._port)]
            self._process = subprocess.Popen(command, cwd=_ROOT, stdout=log, stderr=log)
        wait_for(self._answers, f"the S3 server to answer, see {self._log}", 60)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove_bucket(self) -> None:
        """Takes the bucket away with all that is in it."""
        httpx.post(f"{self.url}/moto-api/reset").raise_for_status()

    def put(self, key: str, content: bytes) -> None:
        """Stores an object, as another tool would."""
        httpx.put(f"{self.url}/{BUCKET}/{key}", content=content).raise_for_status()

    def get(self, key: str) -> bytes:
        """What an object holds."""
        return httpx.get(f"{self.url}/{BUCKET}/{key}").raise_for_status().content

    def delete(self, key: str) -> None:
        """Removes an object, as another tool would."""
        httpx.delete(f"{self.url}/{BUCKET}/{key}").raise_for_status()

    def stored(self) -> list[str]:
        """The keys of all objects, in order."""
        listing = httpx.get(f"{self.url}/{BUCKET}", params={"list-type": "2"}).raise_for_status().text
        return [part.partition("</Key>")[0] for part in listing.split("<Key>")[1:]]

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(self.url).status_code == 200
        return False


@contextlib.contextmanager
def running_s3(folder: Path, host: str = "127.0.0.1") -> Iterator[S3Server]:
    """A server that ends with the block; `S3Server.fresh` makes its bucket."""
    server = S3Server(folder, host)
    try:
        yield server
    finally:
        server.kill()


def _serve(host: str, port: int) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    moto = DomainDispatcherApplication(create_backend_app)

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if not environ.get("HTTP_AUTHORIZATION", "").startswith("AWS4"):  # Google's client: it escapes slashes, too
            path, mark, query = environ["RAW_URI"].partition("?")
            uri = unquote(path) + mark + query
            environ |= {"RAW_URI": uri, "REQUEST_URI": uri, "HTTP_AUTHORIZATION": _SIGNATURE}
            if environ["REQUEST_METHOD"] == "DELETE" and not _is_there(moto, environ):
                start("404 NOT FOUND", [])
                return [b""]
        if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].endswith(f"/{DENIED}"):
            start("403 FORBIDDEN", [])
            return [b"<Error><Code>InvalidObjectState</Code></Error>"]
        answer: Iterable[bytes] = moto(environ, start)
        return answer

    run_simple(host, port, application, threaded=True)


def _is_there(moto: Any, environ: dict[str, Any]) -> bool:
    statuses: list[str] = []
    list(moto({**environ, "REQUEST_METHOD": "HEAD"}, lambda status, *_: statuses.append(status)))
    return statuses[0].startswith("200")


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
