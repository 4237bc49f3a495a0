"""Runs migrations on the connection that `JobLog.migrate` hands in."""

from alembic import context

from yellowbooks.joblog.table import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
