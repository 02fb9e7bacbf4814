"""What a new child does for its dead siblings: their jobs go back into the line at once, not after the lease."""

import os
from functools import partial

from shared import jobstore
from shared.database import Database
from shared.logs import get_logger

log = get_logger(__name__)


def recover_siblings(database: Database, boot: str, own_pid: int) -> None:
    """Requeues what children of the same parent had in hand when they died; the courier puts it into the line.

    Args:
        boot: what the owner names of this parent's children begin with.
        own_pid: whoever had this pid before is dead, too.
    """
    for owner in database.read(lambda connection: jobstore.running_owners(connection, boot)):
        pid = int(owner.removeprefix(boot))
        if pid == own_pid or not _alive(pid):
            lost = database.write(partial(jobstore.requeue_owned_by, owner=owner))
            log.warning("a worker child died with jobs in hand", pid=pid, jobs=[job.id for job in lost])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
