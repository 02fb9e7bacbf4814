"""What becomes of jobs whose worker died or went silent: back into the queue, or given up; and who is told."""

import os
from collections.abc import Sequence
from functools import partial

from redis import Redis, RedisError

from shared import jobqueries, jobstore
from shared.changes import announce
from shared.database import Database
from shared.jobs import Job
from shared.logs import get_logger
from shared.metrics import count_finished

log = get_logger(__name__)


def recover_siblings(database: Database, boot: str, own_pid: int) -> list[Job]:
    """Requeues what children of the same parent had in hand when they died: at once, not after their lease.

    Args:
        boot: what the owner names of this parent's children begin with.
        own_pid: whoever had this pid before is dead, too.
    """
    lost: list[Job] = []
    for owner in database.read(partial(jobqueries.running_owners, prefix=boot)):
        pid = int(owner.removeprefix(boot))
        if pid == own_pid or not _alive(pid):
            lost += database.write(partial(jobstore.requeue_owned_by, owner=owner), durable=True)
    return lost


def report_lost(redis: Redis, lost: Sequence[Job]) -> None:
    """Logs jobs that were taken from their worker; announces and counts those that were given up."""
    for job in lost:
        if job.terminal:
            log.error("job failed", job=job.id, code=job.error_code, lost_count=job.lost_count)
        else:
            log.warning("job taken from a lost worker", job=job.id, lost_count=job.lost_count)
    ended = [job for job in lost if job.terminal]
    if not ended:
        return
    try:
        announce(redis, [job.id for job in ended])
        count_finished(redis, [job.error_code for job in ended])
    except RedisError as error:  # who waits reads SQL
        log.warning("ended jobs could not be announced", error=str(error))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
