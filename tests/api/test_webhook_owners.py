"""Whose a webhook is: its key's, an admin's, and nobody else's."""

from collections.abc import Callable

import httpx

from shared.jobs import Scope
from tests.api.hooks import ROUTES, URL, ask, listed, log, register
from tests.api.service import Service, assert_problem
from tests.photos import jpeg
from tests.shared.keys import make_key

_NOBODY = 32 * "1"


def test_an_admin_sees_everybodys_webhooks_and_whose_they_are(hooked: Service) -> None:
    one, other = make_key(hooked.database), make_key(hooked.database)
    admin = make_key(hooked.database, {Scope.ADMIN})
    ids = [register(hooked, key=key.secret)["id"] for key in (one, other, admin)]
    hooked.client.get("/v1/webhooks/default/secret")
    found = hooked.client.get("/v1/webhooks", headers=admin.header).json()["webhooks"]
    assert [entry["id"] for entry in found] == ids
    assert [entry["caller"] for entry in found] == [one.id, other.id, admin.id]
    assert [listed(hooked, key.secret) for key in (one, other)] == [ids[:1], ids[1:2]]
    assert ask(hooked, ids[0], ("DELETE", "", None), admin.header).status_code == 204
    assert listed(hooked, admin.secret) == ids[1:]


def test_another_key_sees_and_moves_nothing_but_an_admin_does(hooked: Service) -> None:
    owner, other = make_key(hooked.database), make_key(hooked.database)
    admin = make_key(hooked.database, {Scope.ADMIN})
    webhook = register(hooked, key=owner.secret)
    for route in ROUTES:
        assert_problem(ask(hooked, webhook["id"], route, other.header), 404, "unknown-webhook")
    assert listed(hooked, other.secret) == []
    assert ask(hooked, webhook["id"], ROUTES[1], owner.header).json()["secret"] == webhook["secret"]
    hooked.submit(jpeg(), **other.header)
    assert log(hooked, key=owner.secret) == []
    statuses = [ask(hooked, webhook["id"], route, admin.header).status_code for route in ROUTES]
    assert statuses == [200, 200, 200, 200, 200, 202, 202, 204]


def test_another_keys_jobs_are_not_told(hooked: Service) -> None:
    owner, other = make_key(hooked.database), make_key(hooked.database)
    register(hooked, key=owner.secret)
    hooked.answer(hooked.submit(jpeg(), **other.header).json()["id"])
    assert log(hooked, key=owner.secret) == []
    hooked.answer(hooked.submit(jpeg(), **owner.header).json()["id"])
    assert [one["event"] for one in log(hooked, key=owner.secret)] == ["job.succeeded"]


def test_a_key_that_only_reads_may_see_deliveries_but_touch_no_webhook(hooked: Service) -> None:
    writer = make_key(hooked.database)
    webhook = register(hooked, key=writer.secret)
    reader = make_key(hooked.database, {Scope.READ})
    refused: list[Callable[[], httpx.Response]] = [
        lambda: hooked.client.get("/v1/webhooks", headers=reader.header),
        lambda: hooked.client.post("/v1/webhooks", json={"url": URL}, headers=reader.header),
        lambda: hooked.client.get("/v1/webhooks/default/secret", headers=reader.header),
        lambda: hooked.client.post(f"/v1/deliveries/{_NOBODY}/redeliver", headers=reader.header),
    ]
    for refusal in refused:
        assert "jobs:write" in assert_problem(refusal(), 403, "scope-missing")["detail"]
    for route in ROUTES:
        assert_problem(ask(hooked, webhook["id"], route, reader.header), 403, "scope-missing")
    assert log(hooked, key=reader.secret) == []
    assert_problem(hooked.client.get(f"/v1/deliveries/{_NOBODY}", headers=reader.header), 404, "unknown-delivery")
