"""Webhooks: who is told, and every delivery.

Revision ID: 0003
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INDEXES = (
    ("ix_endpoints_live", "endpoints", ["caller"], "url IS NOT NULL AND disabled_at IS NULL"),
    ("ix_deliveries_due", "deliveries", ["next_attempt_at", "destination", "caller", "id"], "state = 'pending'"),
    ("ix_deliveries_caller_unsucceeded", "deliveries", ["caller", "state", "id"], "state <> 'succeeded'"),
    ("ix_deliveries_unsucceeded", "deliveries", ["state", "id"], "state <> 'succeeded'"),
    ("ix_deliveries_job", "deliveries", ["job_id"], "job_id IS NOT NULL"),
    ("ix_deliveries_batch", "deliveries", ["batch_id"], "batch_id IS NOT NULL"),
    ("ix_deliveries_endpoint", "deliveries", ["endpoint_id", "id"], "endpoint_id IS NOT NULL"),
    ("ix_deliveries_kept", "deliveries", ["created_at"], "state <> 'pending'"),
)


def _job_columns() -> list[sa.Column[Any]]:
    # made anew each time: a column belongs to one table
    return [sa.Column("webhook_url", sa.String(2048)), sa.Column("webhook_events", sa.String(200))]


def upgrade() -> None:
    """Adds the webhooks, their deliveries, and what a job says of them."""
    for column in _job_columns():
        op.add_column("jobs", column)
    op.create_table(
        "endpoints",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("caller", sa.String(64), nullable=False),
        sa.Column("url", sa.String(2048)),
        sa.Column("events", sa.String(200), nullable=False),
        sa.Column("secret", sa.String(100), nullable=False),
        sa.Column("former_secret", sa.String(100)),
        sa.Column("former_until", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("disabled_at", sa.BigInteger),
        sa.Column("disabled_because", sa.String(200)),
        sa.PrimaryKeyConstraint("id", name="pk_endpoints"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("message_id", sa.String(100), nullable=False),
        sa.Column("event", sa.String(32), nullable=False),
        sa.Column("caller", sa.String(64), nullable=False),
        sa.Column("endpoint_id", sa.String(32)),
        sa.Column("job_id", sa.String(32)),
        sa.Column("batch_id", sa.String(32)),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("destination", sa.String(400), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("attempts", sa.JSON, nullable=False),
        sa.Column("given_up_because", sa.String(200)),
        sa.Column("payload", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
    )
    for name, table, columns, where in _INDEXES:
        condition = sa.text(where)
        op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
    default = sa.text("url IS NULL")
    op.create_index(
        "uq_endpoints_default", "endpoints", ["caller"], unique=True, sqlite_where=default, postgresql_where=default
    )
    op.create_index("ix_endpoints_caller", "endpoints", ["caller", "id"])
    op.create_index("ix_deliveries_caller", "deliveries", ["caller", "id"])


def downgrade() -> None:
    """Takes them away again."""
    op.drop_table("deliveries")
    op.drop_table("endpoints")
    for column in _job_columns():
        op.drop_column("jobs", column.name)
