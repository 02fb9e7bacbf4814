"""Alembic's entry: runs the migrations on the address that `shared.database.migrate` hands over."""

import sqlalchemy as sa
from alembic import context

from shared.database import POSTGRES_ENCODING
from shared.errors import OperatorError
from shared.tables import metadata

# any one number: two processes that start at once migrate one after the other
_ADVISORY_LOCK = 8_675_309


def run() -> None:
    """Applies every missing migration in one transaction."""
    # no pool: what breaks off must not keep its connection, and with it its locks
    url = sa.make_url(context.config.attributes["url"])
    options = {} if url.get_backend_name() == "sqlite" else {"connect_args": POSTGRES_ENCODING}
    engine = sa.create_engine(url, poolclass=sa.NullPool, **options)
    if engine.dialect.name == "sqlite":
        # the driver would commit before each CREATE; a migration that breaks off must leave nothing
        sa.event.listen(engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None))
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})"))
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=True)
        _refuse_a_newer_shape()
        with context.begin_transaction():
            context.run_migrations()


def _refuse_a_newer_shape() -> None:
    known = {script.revision for script in context.script.walk_revisions()}
    unknown = set(context.get_context().get_current_heads()) - known
    if unknown:
        raise OperatorError(
            f"The database was brought to shape {', '.join(sorted(unknown))} by a newer version of Turno: "
            "start that version, or set DATABASE_URL to another database."
        )


run()
