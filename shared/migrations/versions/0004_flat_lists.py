"""Lists that cost the same whatever is asked of them and however much there is; fewer index entries for each move.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ENDED, _OPEN = "finished_at IS NOT NULL AND erased_at IS NULL", "finished_at IS NULL"
_PENDING, _HELD = "state = 'pending'", "next_attempt_at IS NOT NULL"
_NEW = (
    ("ix_jobs_ended", "jobs", ["model", "status", "id"], _ENDED),
    ("ix_jobs_caller_ended", "jobs", ["caller", "model", "status", "id"], _ENDED),
    ("ix_jobs_open", "jobs", ["model", "id"], _OPEN),
    ("ix_jobs_caller_open", "jobs", ["caller", "model", "id"], _OPEN),
    ("ix_jobs_late", "jobs", ["id"], "queued_at - received_at > 5000000"),
    ("ix_jobs_running", "jobs", ["status", "owner"], "status = 'running'"),
    ("ix_deliveries_caller", "deliveries", ["caller", "state", "id"], None),
    ("ix_deliveries_state", "deliveries", ["state", "id"], None),
    ("ix_deliveries_endpoint", "deliveries", ["endpoint_id", "state", "id"], "endpoint_id IS NOT NULL"),
    ("ix_deliveries_destination", "deliveries", ["destination", "next_attempt_at", "id"], _HELD),
    ("ix_deliveries_due", "deliveries", ["state", "next_attempt_at"], _PENDING),
)
_OLD = (
    ("ix_jobs_caller", "jobs", ["caller", "id"], "erased_at IS NULL"),
    ("ix_jobs_shown", "jobs", ["id"], "erased_at IS NULL"),
    ("ix_jobs_caller_unsucceeded", "jobs", ["caller", "status", "id"], "status <> 'succeeded'"),
    ("ix_jobs_unsucceeded", "jobs", ["status", "id"], "status <> 'succeeded'"),
    ("ix_jobs_running", "jobs", ["lease_until"], "status = 'running'"),
    ("ix_jobs_owner", "jobs", ["owner"], "status = 'running'"),
    ("ix_deliveries_due", "deliveries", ["next_attempt_at", "destination", "caller", "id"], _PENDING),
    ("ix_deliveries_caller", "deliveries", ["caller", "id"], None),
    ("ix_deliveries_caller_unsucceeded", "deliveries", ["caller", "state", "id"], "state <> 'succeeded'"),
    ("ix_deliveries_unsucceeded", "deliveries", ["state", "id"], "state <> 'succeeded'"),
    ("ix_deliveries_endpoint", "deliveries", ["endpoint_id", "id"], "endpoint_id IS NOT NULL"),
)
_Indexes = tuple[tuple[str, str, list[str], str | None], ...]


def upgrade() -> None:
    """Gives each state a range of its own in the indexes that lists are read from."""
    _replace(_OLD, _NEW)


def downgrade() -> None:
    """Takes that back."""
    _replace(_NEW, _OLD)


def _replace(old: _Indexes, new: _Indexes) -> None:
    for name, table, _, _ in old:
        op.drop_index(name, table)
    for name, table, columns, where in new:
        condition = None if where is None else sa.text(where)
        op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
