"""Alembic's entry: runs on the connection that `migrate` hands over."""

from alembic import context

from services.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
    render_as_batch=True,
)
context.run_migrations()
