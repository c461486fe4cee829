"""Alembic's entry: runs migrations on the connection that `schema` hands over. There is no other way in."""

from alembic import context

from wsisam_server.annotations.store.schema import VERSION_TABLE
from wsisam_server.annotations.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
