"""`python -m worker`: what `celery -A worker.app worker` does, without Celery's command line.

That takes a quarter of a second of CPU to import, most of it for a prompt that nobody is shown.
"""

import sys

from shared.errors import OperatorError
from shared.settings import load_settings
from worker.app import create_worker


def main() -> int:
    """Runs a worker until it is told to stop; its exit code."""
    try:
        settings = load_settings()
        app = create_worker(settings)
    except OperatorError as error:
        sys.stderr.write(f"turno: {error}\n")
        return 2
    worker = app.Worker(
        quiet=True, loglevel=settings.log_level, without_gossip=True, without_mingle=True, without_heartbeat=True
    )
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
