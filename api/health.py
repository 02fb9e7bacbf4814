"""`python -m api.health PORT [--ready]`: whether the API here can take an upload, for a container's health check.

Neither worker nor line is asked for: without them uploads are still taken, and wait. With `--ready` they are.
Standard library only: it runs every few seconds beside the service.
"""

import json
import sys
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

_FOR_UPLOADS = {"database", "images"}
_SECONDS = 6
_directly = build_opener(ProxyHandler({}))  # Docker hands its proxy on to containers


def main(port: str, *flags: str) -> int:
    """0 when it can; 1 with the reason on stdout."""
    try:
        with _directly.open(f"http://127.0.0.1:{port}/readyz", timeout=_SECONDS) as answer:
            found = json.load(answer)
    except HTTPError as error:  # 503: not everything is ready, the body says what
        found = json.load(error)
    except OSError as error:
        sys.stdout.write(f"the API does not answer: {error}")
        return 1
    checks: dict[str, str] = found["checks"]
    wanted = checks.keys() if "--ready" in flags else _FOR_UPLOADS
    trouble = [said for name, said in checks.items() if name in wanted and said != "ok"]
    sys.stdout.write("; ".join(trouble) or "ok")
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
