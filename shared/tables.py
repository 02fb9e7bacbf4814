"""The SQL tables; `shared/migrations` brings a database to this shape."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATE_MICROSECONDS = 5_000_000  # an image that came so long after its request began is looked for by itself


class Instant(sa.types.TypeDecorator[datetime]):
    """A UTC-aware time, stored as microseconds since 1970: the same in SQLite and PostgreSQL."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> int | None:
        """Microseconds since 1970."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> datetime | None:
        """A UTC-aware time."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class clock(FunctionElement[datetime]):  # noqa: N801 - reads as the SQL function it is
    """The database's own time, optionally so many seconds from now."""

    type = Instant()
    inherit_cache = True  # a statement that holds it is compiled once

    def __init__(self, plus_seconds: float = 0) -> None:
        super().__init__(*([sa.literal(int(plus_seconds * 1_000_000), sa.BigInteger)] if plus_seconds else ()))


@compiles(clock, "sqlite")
def _sqlite_clock(element: clock, compiler: Any, **options: Any) -> str:
    now = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) * 1000"
    return _from_now(now, element, compiler, options)


@compiles(clock, "postgresql")
def _postgresql_clock(element: clock, compiler: Any, **options: Any) -> str:
    now = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
    return _from_now(now, element, compiler, options)


def _from_now(now: str, element: clock, compiler: Any, options: dict[str, Any]) -> str:
    offsets = [compiler.process(clause, **options) for clause in element.clauses]
    return f"({' + '.join([now, *offsets])})"


metadata = sa.MetaData(naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_name)s"})

_JSON = sa.JSON(none_as_null=True)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("caller", sa.String(64), nullable=False),
    sa.Column("priority", sa.SmallInteger, nullable=False),
    sa.Column("filename", sa.String(255)),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("run", sa.Integer, nullable=False, server_default="1"),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lost_count", sa.Integer, nullable=False, server_default="0"),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("owner", sa.String(128)),
    sa.Column("lease_until", Instant),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("queued_at", Instant, nullable=False),
    sa.Column("claimed_at", Instant),
    sa.Column("finished_at", Instant),
    sa.Column("erased_at", Instant),
    sa.Column("image_present", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("result", _JSON),
    sa.Column("error_code", sa.String(64)),
    sa.Column("error_detail", sa.String(500)),
    sa.Column("client_id", sa.String(100)),
    sa.Column("idempotency_key", sa.String(255)),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("batch_id", sa.String(32)),
    sa.Column("batch_index", sa.Integer),
    sa.Column("metadata", _JSON),
    sa.Column("keep", sa.String(8), nullable=False, server_default="full"),
    sa.Column("deadline_seconds", sa.Integer),
    sa.Column("deadline_at", Instant),
    sa.Column("webhook_url", sa.String(2048)),
    sa.Column("webhook_events", sa.String(200)),
)

batches = sa.Table(
    "batches",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("caller", sa.String(64), nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("refused", _JSON),
    sa.Column("idempotency_key", sa.String(255)),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("erased_at", Instant),
)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("former_digest", sa.String(64)),
    sa.Column("former_until", Instant),
    sa.Column("scopes", sa.String(100), nullable=False),
    sa.Column("rate_per_minute", sa.Integer),
    sa.Column("images_per_day", sa.Integer),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("revoked_at", Instant),
)

endpoints = sa.Table(
    "endpoints",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("caller", sa.String(64), nullable=False),
    sa.Column("url", sa.String(2048)),
    sa.Column("events", sa.String(200), nullable=False),
    sa.Column("secret", sa.String(100), nullable=False),
    sa.Column("former_secret", sa.String(100)),
    sa.Column("former_until", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("disabled_at", Instant),
    sa.Column("disabled_because", sa.String(200)),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("message_id", sa.String(100), nullable=False),
    sa.Column("event", sa.String(32), nullable=False),
    sa.Column("caller", sa.String(64), nullable=False),
    sa.Column("endpoint_id", sa.String(32)),
    sa.Column("job_id", sa.String(32)),
    sa.Column("batch_id", sa.String(32)),
    sa.Column("url", sa.String(2048), nullable=False),
    sa.Column("destination", sa.String(400), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("next_attempt_at", Instant),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempts", _JSON, nullable=False),
    sa.Column("given_up_because", sa.String(200)),
    sa.Column("payload", sa.Text),
)


def _partial(table: sa.Table, name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    # partial: the size of the work at hand, whatever the size of the table
    chosen = (table.c[column] for column in columns)
    return sa.Index(name, *chosen, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


# jobs that have ended stand apart from those that have not: a claim moves nothing in these four, an end moves each once
_ENDED, _OPEN = "finished_at IS NOT NULL AND erased_at IS NULL", "finished_at IS NULL"
_partial(jobs, "ix_jobs_ended", "model", "status", "id", where=_ENDED)
_partial(jobs, "ix_jobs_caller_ended", "caller", "model", "status", "id", where=_ENDED)
_partial(jobs, "ix_jobs_open", "model", "id", where=_OPEN)
_partial(jobs, "ix_jobs_caller_open", "caller", "model", "id", where=_OPEN)
_partial(jobs, "ix_jobs_late", "id", where=f"queued_at - received_at > {LATE_MICROSECONDS}")
_partial(jobs, "ix_jobs_waiting_since", "model", "queued_at", where="status = 'queued'")
_partial(jobs, "ix_jobs_deadline", "deadline_at", where="status = 'queued' AND deadline_at IS NOT NULL")
# the status, too: SQLite then knows that few are found
_partial(jobs, "ix_jobs_running", "status", "owner", where="status = 'running'")
_partial(jobs, "ix_jobs_batch", "batch_id", "batch_index", where="batch_id IS NOT NULL")
_partial(
    jobs, "ix_jobs_kept", "finished_at", where="finished_at IS NOT NULL AND erased_at IS NULL AND keep <> 'nothing'"
)
_partial(jobs, "ix_jobs_kept_an_hour", "finished_at", where="keep = 'nothing' AND erased_at IS NULL")
_partial(
    jobs,
    "ix_jobs_spent_image",
    "id",
    where="image_present AND keep <> 'full' AND finished_at IS NOT NULL",
)
_partial(jobs, "ix_jobs_leftover_image", "id", where="erased_at IS NOT NULL AND image_present")
_partial(jobs, "ix_jobs_remembered_key", "received_at", where="idempotency_key IS NOT NULL")
_partial(jobs, "uq_jobs_client_id", "caller", "client_id", where="client_id IS NOT NULL", unique=True)
_partial(jobs, "uq_jobs_key", "caller", "idempotency_key", where="idempotency_key IS NOT NULL", unique=True)
_partial(batches, "ix_batches_kept", "received_at", where="erased_at IS NULL")
_partial(batches, "ix_batches_remembered_key", "received_at", where="idempotency_key IS NOT NULL")
_partial(batches, "uq_batches_key", "caller", "idempotency_key", where="idempotency_key IS NOT NULL", unique=True)
_partial(endpoints, "ix_endpoints_live", "caller", where="url IS NOT NULL AND disabled_at IS NULL")
_partial(endpoints, "uq_endpoints_default", "caller", where="url IS NULL", unique=True)
sa.Index("ix_endpoints_caller", endpoints.c.caller, endpoints.c.id)
# the state, too: else SQLite takes the index of all in this state
_partial(deliveries, "ix_deliveries_due", "state", "next_attempt_at", where="state = 'pending'")
_TO_SERVER = ("destination", "next_attempt_at", "id")
_partial(deliveries, "ix_deliveries_destination", *_TO_SERVER, where="next_attempt_at IS NOT NULL")
_partial(deliveries, "ix_deliveries_job", "job_id", where="job_id IS NOT NULL")
_partial(deliveries, "ix_deliveries_batch", "batch_id", where="batch_id IS NOT NULL")
_partial(deliveries, "ix_deliveries_endpoint", "endpoint_id", "state", "id", where="endpoint_id IS NOT NULL")
_partial(deliveries, "ix_deliveries_kept", "created_at", where="state <> 'pending'")
sa.Index("ix_deliveries_caller", deliveries.c.caller, deliveries.c.state, deliveries.c.id)
sa.Index("ix_deliveries_state", deliveries.c.state, deliveries.c.id)
sa.Index("uq_keys_digest", keys.c.digest, unique=True)


def insert_unless_there(connection: sa.Connection, table: sa.Table, *returned: sa.Column[Any]) -> Any:
    """An INSERT that leaves rows alone whose id, or whatever else is unique, is there already."""
    return _insert_unless_there(connection.dialect.name, table, returned)


@cache  # made once: every group of submissions runs it
def _insert_unless_there(dialect: str, table: sa.Table, returned: tuple[sa.Column[Any], ...]) -> Any:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(table).on_conflict_do_nothing()
    return statement.returning(*returned) if returned else statement
