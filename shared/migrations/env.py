"""Alembic's entry: runs the migrations on the address that `shared.database.migrate` hands over."""

import sqlalchemy as sa
from alembic import context

from shared.tables import metadata

# any one number: two processes that start at once migrate one after the other
_ADVISORY_LOCK = 8_675_309


def run() -> None:
    """Applies every missing migration in one transaction."""
    engine = sa.create_engine(context.config.attributes["url"])
    if engine.dialect.name == "sqlite":
        # the driver would commit before each CREATE; a migration that breaks off must leave nothing
        sa.event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
            connection.commit()
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()


run()
