"""The table of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and its index."""
    moment = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
    op.create_table(
        "job_log",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("started_at", moment),
        sa.Column("processed_at", moment),
        sa.Column("next_attempt_at", moment),
        sa.Column("error", sa.Text()),
        sa.Column("last_event", sa.Text(), nullable=False),
        sa.Column("history", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_log"),
        sa.CheckConstraint(
            "status IN ('scheduled', 'enqueued', 'processing', 'retrying', 'completed', 'dead', 'cancelled')",
            name="ck_job_log_status",
        ),
    )
    op.create_index("ix_job_log_status_created_at", "job_log", ["status", "created_at"])


def downgrade() -> None:
    """Drop the table with all that it knows."""
    op.drop_table("job_log")
