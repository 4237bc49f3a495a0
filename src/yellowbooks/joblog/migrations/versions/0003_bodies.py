"""What jobs that are not at their end were sent with, so that a lost queue can be made again."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the index of what is dead."""
    op.create_table(
        "job_body",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("dead_at", sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_body"),
    )
    dead = sa.text("dead_at IS NOT NULL")
    op.create_index("ix_job_body_dead", "job_body", ["dead_at"], sqlite_where=dead, postgresql_where=dead)


def downgrade() -> None:
    """Drop it, with every payload in it."""
    op.drop_table("job_body")
