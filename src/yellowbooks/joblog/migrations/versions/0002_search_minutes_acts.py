"""What jobs are found by, the counts of each minute, and the operators' acts, which nobody can change."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COUNTS = ("admitted", "completed", "failed", "deferred", "crashed", "died", "cancelled", "requeued")
ONLY_GROWS = "the trail of operators only grows"


def upgrade() -> None:
    """Make the tables, the indexes of lists and searches, and the triggers that keep the trail."""
    moment = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
    op.add_column("job_log", sa.Column("request_id", sa.Text()))
    op.add_column("job_log", sa.Column("ref", sa.Text()))
    op.drop_index("ix_job_log_status_created_at", "job_log")
    op.create_index("ix_job_log_created", "job_log", ["created_at", "job_id"])
    op.create_index("ix_job_log_status", "job_log", ["status", "created_at", "job_id"])
    op.create_index("ix_job_log_kind", "job_log", ["kind", "created_at", "job_id"])
    for name, columns, where in (
        ("request", ["request_id"], sa.text("request_id IS NOT NULL")),
        ("failed", ["created_at", "job_id"], sa.text("error IS NOT NULL")),
    ):
        op.create_index(f"ix_job_log_{name}", "job_log", columns, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "job_key",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", "created_at", "job_id", name="pk_job_key"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "job_minute",
        sa.Column("minute", moment, nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in COUNTS),
        sa.Column("waits", sa.Text(), nullable=False),
        sa.Column("runs", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("minute", name="pk_job_minute"),
    )
    _make_trail(moment)


def _make_trail(moment: sa.DateTime) -> None:
    op.create_table(
        "operator_act",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=True),
        sa.Column("at", moment, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("who", "key", "act", "what")),
        sa.Column("before", sa.Text()),
        sa.Column("after", sa.Text()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_operator_act"),
    )
    op.create_index("ix_operator_act_what", "operator_act", ["what", "id"])
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER operator_act_{verb.lower()} BEFORE {verb} ON operator_act "
                f"BEGIN SELECT RAISE(ABORT, '{ONLY_GROWS}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION operator_act_only_grows() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{ONLY_GROWS}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER operator_act_only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_act "
        "EXECUTE FUNCTION operator_act_only_grows()"
    )


def downgrade() -> None:
    """Drop what was made, with all that it knows."""
    for table in ("operator_act", "job_minute", "job_key"):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION operator_act_only_grows()")
    for name in ("created", "status", "kind", "request", "failed"):
        op.drop_index(f"ix_job_log_{name}", "job_log")
    op.create_index("ix_job_log_status_created_at", "job_log", ["status", "created_at"])
    for column in ("request_id", "ref"):
        op.drop_column("job_log", column)
