"""Webhooks: registered by whoever may submit, disabled, tried and removed at will."""

import json
from typing import Any

import pytest

from tests.api.conftest import MakeService
from tests.api.hooks import NETWORKS, ROUTES, URL, ask, listed, log, queued, register, told
from tests.api.service import KEY, Service, assert_problem
from tests.photos import jpeg
from tests.shared.keys import make_key

_ENDS = ["job.succeeded", "job.failed", "job.canceled"]
_NOBODY = 32 * "1"


def test_a_webhook_is_answered_with_its_secret_once_and_listed_without(hooked: Service) -> None:
    answer = hooked.client.post("/v1/webhooks", json={"url": URL})
    made = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"/v1/webhooks/{made['id']}")
    assert answer.headers["Cache-Control"] == "no-store"
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert made["url"] == URL
    assert made["events"] == [*_ENDS, "batch.completed"]
    assert made["caller"] == hooked.job(hooked.queued(jpeg())).caller
    assert (made["disabled_at"], made["disabled_because"]) == (None, None)
    looked = hooked.client.get(answer.headers["Location"])
    listed = hooked.client.get("/v1/webhooks")
    assert looked.json() == made
    assert listed.json() == {"webhooks": [made]}
    assert secret not in looked.text + listed.text


def test_webhooks_are_listed_oldest_first(hooked: Service) -> None:
    ids = [register(hooked)["id"] for _ in range(3)]
    assert listed(hooked) == ids


def test_an_address_is_registered_once_for_each_key(hooked: Service) -> None:
    made = register(hooked, URL)
    again = hooked.client.post("/v1/webhooks", json={"url": URL, "events": ["job.failed"]})
    assert made["id"] in assert_problem(again, 409, "move-refused")["detail"]
    assert listed(hooked) == [made["id"]]
    other = make_key(hooked.database)
    register(hooked, URL, other.secret)
    hooked.client.delete(f"/v1/webhooks/{made['id']}")
    register(hooked, URL)


def test_events_are_told_once_each_in_their_own_order(hooked: Service) -> None:
    asked = ["batch.completed", "job.failed", "job.started", "job.failed"]
    assert register(hooked, events=asked)["events"] == ["job.started", "job.failed", "batch.completed"]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "url"),
        ({"url": None}, "url"),
        ({"url": 5}, "url"),
        ({"url": URL, "events": []}, "events"),
        ({"url": URL, "events": "job.failed"}, "events"),
        ({"url": URL, "events": ["job.exploded"]}, "events"),
        ({"url": URL, "events": ["webhook.ping"]}, "ping"),
        ({"url": URL, "colour": "green"}, "colour"),
        ({"url": URL, "id": _NOBODY}, "id"),
        ([URL], "object"),
        ("", "JSON"),
    ],
)
def test_a_webhook_that_cannot_be_had_is_refused_by_name(body: Any, named: str, hooked: Service) -> None:
    answer = (
        hooked.client.post("/v1/webhooks", content=b'{"url": "')
        if body == ""
        else hooked.client.post("/v1/webhooks", json=body)
    )
    assert named in assert_problem(answer, 400, "malformed-request")["detail"]
    assert listed(hooked) == []


def test_a_key_has_no_more_than_twenty_and_the_next_takes_the_place_of_one_removed(make_service: MakeService) -> None:
    other = "Z7qL2pX9wE4rT6yU1iO3aS5dF8gH0jKm"
    hooked = make_service(api_key=f"{KEY},{other}", webhook_allow_networks=NETWORKS)
    ids = [register(hooked)["id"] for _ in range(20)]
    hooked.client.post(f"/v1/webhooks/{ids[1]}/disable")
    hooked.client.get("/v1/webhooks/default/secret")
    answer = hooked.client.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/one-more"})
    assert "20" in assert_problem(answer, 409, "move-refused")["detail"]
    register(hooked, key=other)
    assert hooked.client.delete(f"/v1/webhooks/{ids[0]}").status_code == 204
    register(hooked)
    assert len(listed(hooked)) == 20
    assert len(listed(hooked, other)) == 1


def test_a_disabled_webhook_is_told_nothing_until_it_is_enabled(hooked: Service) -> None:
    webhook = register(hooked)
    before, waiting = hooked.queued(jpeg()), hooked.queued(jpeg())
    hooked.answer(before)
    answer = ask(hooked, webhook["id"], ("POST", "/disable", None))
    assert answer.status_code == 200
    assert answer.json()["disabled_at"]
    assert answer.json()["disabled_because"] == "disabled by its owner"
    assert told(hooked, before) == ["job.succeeded"]
    hooked.answer(waiting)
    assert told(hooked, waiting) == []
    assert_problem(ask(hooked, webhook["id"], ("POST", "/ping", None)), 409, "move-refused")
    assert_problem(ask(hooked, webhook["id"], ROUTES[6]), 409, "move-refused")
    enabled = ask(hooked, webhook["id"], ("POST", "/enable", None)).json()
    assert (enabled["disabled_at"], enabled["disabled_because"]) == (None, None)
    after = hooked.queued(jpeg())
    hooked.answer(after)
    assert told(hooked, after) == ["job.succeeded"]
    assert told(hooked, waiting) == []


def test_a_ping_is_a_delivery_of_its_own_whatever_the_webhook_is_told(hooked: Service) -> None:
    webhook = register(hooked, events=["job.failed"])
    answer = ask(hooked, webhook["id"], ("POST", "/ping", None))
    ping = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/deliveries/{ping['id']}")
    assert (ping["event"], ping["state"], ping["webhook_id"]) == ("webhook.ping", "pending", webhook["id"])
    assert (ping["job_id"], ping["batch_id"], ping["attempts"]) == (None, None, [])
    assert ping["message_id"].startswith("ping-")
    looked = hooked.client.get(answer.headers["Location"]).json()
    assert json.loads(looked.pop("payload"))["data"] == {"webhook_id": webhook["id"]}
    assert looked == ping
    again = ask(hooked, webhook["id"], ("POST", "/ping", None)).json()
    assert again["message_id"] != ping["message_id"]


def test_a_webhook_that_was_removed_is_unknown_and_its_log_stays(hooked: Service) -> None:
    webhook = register(hooked)
    job_id = hooked.queued(jpeg())
    hooked.answer(job_id)
    answer = ask(hooked, webhook["id"], ("DELETE", "", None))
    assert (answer.status_code, answer.content) == (204, b"")
    for route in ROUTES:
        assert_problem(ask(hooked, webhook["id"], route), 404, "unknown-webhook")
    (delivery,) = log(hooked, f"/v1/jobs/{job_id}/deliveries")
    assert delivery["webhook_id"] == webhook["id"]
    assert log(hooked, f"/v1/deliveries?webhook={webhook['id']}") == [delivery]
    other = hooked.queued(jpeg())
    hooked.answer(other)
    assert told(hooked, other) == []


@pytest.mark.parametrize("id_", [_NOBODY, "x", "%00", "1" * 3000, "Default", "..%2F..%2Fjobs"])
def test_a_webhook_that_never_was_is_unknown(id_: str, hooked: Service) -> None:
    for route in ROUTES:
        answer = ask(hooked, id_, route)
        assert answer.status_code == 404, answer.text
        assert answer.json()["code"] in ("unknown-webhook", "unknown-route")


def test_what_signs_by_default_is_no_webhook(hooked: Service) -> None:
    assert hooked.client.get("/v1/webhooks/default/secret").status_code == 200
    assert listed(hooked) == []
    for route in ROUTES:
        if route[1] not in ("/secret", "/rotate"):
            assert_problem(ask(hooked, "default", route), 404, "unknown-webhook")


def test_neither_secrets_nor_addresses_are_logged(
    capsys: pytest.CaptureFixture[str], make_service: MakeService
) -> None:
    hooked = make_service(api_key=KEY, webhook_allow_networks=NETWORKS)
    webhook = register(hooked)
    secrets = [webhook["secret"]]
    for id_ in (webhook["id"], "default"):
        for route in ROUTES[1:3]:
            shown = ask(hooked, id_, route).json()
            secrets += [shown[name] or "-" * 9 for name in ("secret", "former_secret")]
    hooked.answer(queued(hooked))
    hooked.client.post("/v1/jobs", params={"webhook_url": URL + "&raw"}, content=jpeg())
    hooked.client.post("/v1/jobs", params={"webhook_url": "https://token:s3cr3t-t0k3n@example.com/"}, content=jpeg())
    hooked.client.post("/v1/webhooks", json={"url": URL, "secret": "whsec_s3cr3t-t0k3n"})
    for delivery in log(hooked):
        hooked.client.post(delivery["urls"]["redeliver"])
    ask(hooked, webhook["id"], ROUTES[5])
    printed = capsys.readouterr().out
    assert printed.count('"request"') >= 12
    assert len(set(secrets)) >= 5
    for secret in (*secrets, "s3cr3t-t0k3n"):
        assert secret not in printed
