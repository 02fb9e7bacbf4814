"""The jobs table.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates jobs and its partial indexes."""
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("caller", sa.String(64), nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("filename", sa.String(255)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("run", sa.Integer, nullable=False, server_default="1"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lost_count", sa.Integer, nullable=False, server_default="0"),
        sa.Column("version", sa.Integer, nullable=False, server_default="1"),
        sa.Column("owner", sa.String(128)),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("queued_at", sa.BigInteger, nullable=False),
        sa.Column("claimed_at", sa.BigInteger),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("erased_at", sa.BigInteger),
        sa.Column("image_present", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("result", sa.JSON),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error_detail", sa.String(500)),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    for name, column, where in (
        ("ix_jobs_queued", "id", "status = 'queued'"),
        ("ix_jobs_running", "lease_until", "status = 'running'"),
        ("ix_jobs_owner", "owner", "status = 'running'"),
        ("ix_jobs_kept", "finished_at", "finished_at IS NOT NULL AND erased_at IS NULL"),
        ("ix_jobs_leftover_image", "id", "erased_at IS NOT NULL AND image_present"),
    ):
        op.create_index(name, "jobs", [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def downgrade() -> None:
    """Drops jobs."""
    op.drop_table("jobs")
