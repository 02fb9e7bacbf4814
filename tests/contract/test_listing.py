"""Which jobs a list shows, where the order of ids and the order of arrival differ."""

from datetime import timedelta

from shared import jobqueries
from shared.database import Database
from shared.jobqueries import Selection
from tests.shared.make import EPOCH, add


def test_an_image_that_came_hours_after_its_request_began_is_listed_by_the_request(database: Database) -> None:
    begun = EPOCH + timedelta(days=1)
    late_id = f"{int((begun + timedelta(hours=5)).timestamp() * 1000):012x}" + "0" * 20
    add(database, late_id, received_at=begun, queued_at=begun + timedelta(hours=5))
    for selection, expected in (
        (Selection(created_before=begun + timedelta(seconds=1)), [late_id]),
        (Selection(created_before=begun), []),
        (Selection(created_after=begun), [late_id]),
        (Selection(created_after=begun + timedelta(seconds=1)), []),
    ):
        found = database.read(lambda connection, which=selection: jobqueries.page(connection, which, None, 9))  # type: ignore[misc]
        assert [job.id for job in found] == expected
