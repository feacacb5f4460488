"""
Alembic's entry: run the scripts on the connection that `upgrade` passes.
"""

from alembic import context

from modeltrail.storage.migrations import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
