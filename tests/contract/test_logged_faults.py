"""What a database says of a fault goes into the log without the values that it was given."""

import json

import pytest
import sqlalchemy as sa

from shared.database import Database
from shared.hooks import new_secret
from shared.logs import configure_logging, get_logger
from shared.tables import clock, endpoints

SECRET = new_secret()


def test_a_row_that_is_refused_is_not_logged(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    row = {"id": "a", "caller": None, "url": f"https://a.example/?token={SECRET}", "events": "", "secret": SECRET}

    def insert(connection: sa.Connection) -> None:
        connection.execute(sa.insert(endpoints).values(**row, created_at=clock()))

    with pytest.raises(sa.exc.IntegrityError) as refused:
        database.write(insert)
    get_logger(__name__).error("it failed", exc_info=refused.value)
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)["exception"]
    assert "IntegrityError" in told
    assert "caller" in told, "which column it was helps"
    assert SECRET not in told
