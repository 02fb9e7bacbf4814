"""What SQL refuses is logged without secrets, addresses and results, on every database."""

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from shared.database import Database
from tests.receiver import Receiver
from tests.shared.make import RESULT, add, claim, succeed
from tests.worker.couriers import Courier, end_a_job, only

_URL = "https://own.example/in?token=Zg7Qx2"
_SECRETS = re.compile(r"whsec_|token=|Zg7Qx2|own\.example|127\.0\.0\.1|hook|predicted_class|rust")
_REFUSAL = "the disk is full"
_BEGIN = {
    "sqlite": [f"CREATE TRIGGER refuse BEFORE INSERT ON TABLE_ BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"],
    "postgresql": [
        f"CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER refuse BEFORE INSERT ON TABLE_ FOR EACH ROW EXECUTE FUNCTION refuse()",
    ],
}
_END = {"sqlite": ["DROP TRIGGER refuse"], "postgresql": ["DROP FUNCTION refuse CASCADE"]}


@contextmanager
def _refusing(database: Database, table: str) -> Iterator[None]:
    """Nothing can be inserted into this table."""

    def run(statements: list[str]) -> None:
        for statement in statements:
            database.write(lambda it: it.exec_driver_sql(statement.replace("TABLE_", table)))  # noqa: B023 - at once

    kind = database.engine.dialect.name
    run(_BEGIN[kind])
    try:
        yield
    finally:
        run(_END[kind])


def _lines(*faults: BaseException) -> str:
    return "\n".join(line for fault in faults for line in traceback.format_exception(fault))


def test_a_secret_that_cannot_be_written_is_not_logged(every_database: Database, receiver: Receiver) -> None:
    end_a_job(every_database, url=receiver.url + "?token=Zg7Qx2")
    with capture_logs() as said, _refusing(every_database, "endpoints"):
        assert Courier(every_database).deliver() == 1
    faults = [one.pop("exc_info") for one in said]
    assert len(faults) == 1
    logged = f"{said}\n{_lines(*faults)}"
    assert _REFUSAL in logged
    assert "INSERT INTO endpoints" in logged
    assert _SECRETS.findall(logged.replace("webhook", "").replace("hooks", "").replace(__file__, "")) == []
    assert only(every_database).attempts == []
    courier = Courier(every_database)  # and nothing is lost by it
    courier.deliver_at(only(every_database).next_attempt_at)
    assert courier.counted == ["delivered"]


def test_a_message_that_cannot_be_written_is_in_no_error(every_database: Database) -> None:
    add(every_database, "a", webhook_url=_URL, webhook_events="job.succeeded")
    claims = claim(every_database, "a")
    assert RESULT["predicted_class"] == "rust"
    with _refusing(every_database, "deliveries"), pytest.raises(sa.exc.SQLAlchemyError) as refused:
        succeed(every_database, *claims)
    logged = _lines(refused.value)
    assert _REFUSAL in logged
    assert "INSERT INTO deliveries" in logged
    assert _SECRETS.findall(logged) == []
    assert succeed(every_database, *claims)
