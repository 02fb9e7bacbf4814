"""Batches, keys, and what callers may say of a job.

Revision ID: 0002
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_KEPT = "finished_at IS NOT NULL AND erased_at IS NULL"
_JOB_INDEXES = (
    ("ix_jobs_caller", ["caller", "id"], "erased_at IS NULL"),
    ("ix_jobs_shown", ["id"], "erased_at IS NULL"),
    ("ix_jobs_caller_unsucceeded", ["caller", "status", "id"], "status <> 'succeeded'"),
    ("ix_jobs_unsucceeded", ["status", "id"], "status <> 'succeeded'"),
    ("ix_jobs_waiting_since", ["model", "queued_at"], "status = 'queued'"),
    ("ix_jobs_deadline", ["deadline_at"], "status = 'queued' AND deadline_at IS NOT NULL"),
    ("ix_jobs_batch", ["batch_id", "batch_index"], "batch_id IS NOT NULL"),
    ("ix_jobs_kept", ["finished_at"], f"{_KEPT} AND keep <> 'nothing'"),
    ("ix_jobs_kept_an_hour", ["finished_at"], "keep = 'nothing' AND erased_at IS NULL"),
    ("ix_jobs_spent_image", ["id"], "image_present AND keep <> 'full' AND finished_at IS NOT NULL"),
    ("ix_jobs_remembered_key", ["received_at"], "idempotency_key IS NOT NULL"),
)


def _job_columns() -> list[sa.Column[Any]]:
    # made anew each time: a column belongs to one table
    return [
        sa.Column("client_id", sa.String(100)),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("batch_id", sa.String(32)),
        sa.Column("batch_index", sa.Integer),
        sa.Column("metadata", sa.JSON),
        sa.Column("keep", sa.String(8), nullable=False, server_default="full"),
        sa.Column("deadline_seconds", sa.Integer),
        sa.Column("deadline_at", sa.BigInteger),
    ]


def upgrade() -> None:
    """Adds what callers may say of a job, the batches and the keys."""
    for column in _job_columns():
        op.add_column("jobs", column)
    op.drop_index("ix_jobs_kept", "jobs")
    op.drop_index("ix_jobs_queued", "jobs")
    for name, columns, where in _JOB_INDEXES:
        _create_index(name, "jobs", columns, where)
    _create_index("uq_jobs_client_id", "jobs", ["caller", "client_id"], "client_id IS NOT NULL", unique=True)
    _create_index("uq_jobs_key", "jobs", ["caller", "idempotency_key"], "idempotency_key IS NOT NULL", unique=True)
    op.create_table(
        "batches",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("caller", sa.String(64), nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("refused", sa.JSON),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("erased_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )
    _create_index("ix_batches_kept", "batches", ["received_at"], "erased_at IS NULL")
    _create_index("ix_batches_remembered_key", "batches", ["received_at"], "idempotency_key IS NOT NULL")
    columns = ["caller", "idempotency_key"]
    _create_index("uq_batches_key", "batches", columns, "idempotency_key IS NOT NULL", unique=True)
    op.create_table(
        "keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("former_digest", sa.String(64)),
        sa.Column("former_until", sa.BigInteger),
        sa.Column("scopes", sa.String(100), nullable=False),
        sa.Column("rate_per_minute", sa.Integer),
        sa.Column("images_per_day", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
    )
    op.create_index("uq_keys_digest", "keys", ["digest"], unique=True)


def downgrade() -> None:
    """Takes them away again."""
    op.drop_table("keys")
    op.drop_table("batches")
    for name in ("uq_jobs_key", "uq_jobs_client_id", *(name for name, _, _ in _JOB_INDEXES)):
        op.drop_index(name, "jobs")
    for column in _job_columns():
        op.drop_column("jobs", column.name)
    _create_index("ix_jobs_queued", "jobs", ["id"], "status = 'queued'")
    _create_index("ix_jobs_kept", "jobs", ["finished_at"], _KEPT)


def _create_index(name: str, table: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
