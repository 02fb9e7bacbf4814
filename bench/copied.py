"""One pattern of rows, copied by the database until there are as many as after a month."""

from datetime import UTC, datetime, timedelta

from shared.tables import batches, deliveries, jobs

MODEL, FORMER, RARE = "leaf-health", "leaf-2025", "once-tried"
DAYS = 29  # one less than the default retention: nothing is due to go
PATTERN = 500  # jobs that go through the store
STORING = 20_000  # microseconds until an image is durable
_KEYED_DAYS = 6  # idempotency keys are freed after seven
_MOMENTS = ("queued_at", "claimed_at", "finished_at", "erased_at")


def copying(kind: str, first: int, last: int, rows: int) -> list[str]:
    """Statements that copy the pattern from the `first` to before the `last` time, each copy at its own moment."""
    start = (datetime.now(UTC) - timedelta(days=DAYS)).timestamp() * 1_000_000
    number = f"(c.i * {PATTERN} + p.k)"
    moment = f"({start:.0f} + {number} * {int(DAYS * 86400e6 / max(1, rows))})"
    later = f"({moment} + p.queued_at - p.received_at)"
    young = f"{moment} > {datetime.now(UTC).timestamp() * 1e6 - _KEYED_DAYS * 86400e6:.0f}"
    batch_id = f"{_hex(kind, 'c.i', 16)} || substr(p.batch_id, 17, 16)"
    told_of = f"(c.i * {PATTERN} + p.k * 10)"
    model = f"CASE WHEN {number} < 5 THEN '{RARE}' WHEN {number} < {rows // 4} THEN '{FORMER}' ELSE p.model END"
    changes: dict[str, dict[str, str]] = {
        "jobs": {
            "id": _id(kind, later, number), "model": model, "received_at": moment, "batch_id": batch_id,
            "client_id": "p.client_id || '-' || c.i",
            "idempotency_key": f"CASE WHEN {young} THEN p.idempotency_key || '-' || c.i END",
            **{name: f"{moment} + p.{name} - p.received_at" for name in _MOMENTS},
        },
        "batches": {
            "id": f"{_hex(kind, 'c.i', 16)} || substr(p.id, 17, 16)", "received_at": moment,
            "idempotency_key": f"CASE WHEN {young} THEN p.idempotency_key || '-' || c.i END",
        },
        "deliveries": {
            "id": _id(kind, moment, number), "created_at": moment, "batch_id": batch_id,
            "job_id": _id(kind, f"({moment.replace(number, told_of)} + {STORING})", told_of),
        },
    }  # fmt: skip
    made = []
    for table in (jobs, batches, deliveries):
        columns = {column.name: changes[table.name].get(column.name, f"p.{column.name}") for column in table.c}
        copies = _NUMBERS[kind].format(first=first, last=last - 1)
        made.append(
            f"INSERT INTO {table.name} ({', '.join(columns)}) {copies} SELECT {', '.join(columns.values())} "
            f"FROM c, pattern_{table.name} p ORDER BY c.i, p.k"
        )
    return made


_NUMBERS = {
    "sqlite": "WITH RECURSIVE c(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM c WHERE i < {last})",
    "postgresql": "WITH c AS (SELECT CAST(i AS bigint) AS i FROM generate_series({first}, {last}) AS i)",
}


def _hex(kind: str, number: str, width: int) -> str:
    return f"printf('%0{width}x', {number})" if kind == "sqlite" else f"lpad(to_hex({number}), {width}, '0')"


def _id(kind: str, moment: str, number: str) -> str:
    return f"{_hex(kind, f'{moment} / 1000', 12)} || {_hex(kind, number, 20)}"
