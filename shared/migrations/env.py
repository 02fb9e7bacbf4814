"""Alembic's entry: runs the migrations on the address that `shared.database.migrate` hands over."""

import sqlalchemy as sa
from alembic import context

from shared.tables import metadata

# any one number: two processes that start at once migrate one after the other
_ADVISORY_LOCK = 8_675_309


def run() -> None:
    """Applies every missing migration in one transaction."""
    engine = sa.create_engine(context.config.attributes["url"])
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"SELECT pg_advisory_lock({_ADVISORY_LOCK})"))
            connection.commit()
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()


run()
