"""What signs: one secret for each webhook, one for the addresses of a caller's jobs; replaced without a gap."""

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.api.hooks import URL, queued, register
from tests.api.service import Service, assert_problem
from tests.shared.keys import make_key
from tests.waiting import wait_for


def _whsec(size_bytes: int) -> str:
    return "whsec_" + base64.b64encode(bytes(range(size_bytes))).decode()


def _secret(service: Service, id_: str = "default", key: str | None = None) -> dict[str, Any]:
    answer = service.client.get(f"/v1/webhooks/{id_}/secret", headers={"X-API-Key": key} if key else {})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return dict(answer.json())


def _rotate(service: Service, id_: str, **said: Any) -> dict[str, Any]:
    answer = service.client.post(f"/v1/webhooks/{id_}/rotate", json=said)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return dict(answer.json())


def _id(service: Service, kind: str) -> str:
    return kind if kind == "default" else str(register(service)["id"])


def test_a_secret_is_of_the_standard_and_another_for_each_webhook(hooked: Service) -> None:
    made = [register(hooked) for _ in range(3)]
    secrets = {one["secret"] for one in made} | {_secret(hooked)["secret"]}
    assert len(secrets) == 4
    for secret in secrets:
        assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
        now = datetime.now(UTC)
        signed = {
            "webhook-id": "a",
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign("a", now, "{}"),
        }
        assert Webhook(secret).verify("{}", signed) == {}
    for one in made:
        assert _secret(hooked, one["id"]) == {"secret": one["secret"], "former_secret": None, "former_until": None}


def test_the_default_secret_is_each_callers_own_and_stays_whoever_asks_first(hooked: Service) -> None:
    one, other = make_key(hooked.database), make_key(hooked.database)
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: _secret(hooked, key=one.secret)["secret"], range(20)))
    assert len(set(found)) == 1
    assert _secret(hooked, key=other.secret)["secret"] not in found
    hooked.answer(queued(hooked, key=one.secret))
    register(hooked, key=one.secret)
    assert _secret(hooked, key=one.secret)["secret"] == found[0]


@pytest.mark.parametrize("kind", ["default", "registered"])
def test_after_a_rotation_the_former_secret_signs_for_a_day(kind: str, hooked: Service) -> None:
    id_ = _id(hooked, kind)
    before = _secret(hooked, id_)["secret"]
    answer = hooked.client.post(f"/v1/webhooks/{id_}/rotate")  # without a body
    rotated = answer.json()
    assert rotated["secret"] != before
    assert rotated["former_secret"] == before
    until = datetime.fromisoformat(rotated["former_until"]) - datetime.now(UTC)
    assert timedelta(hours=23) < until <= timedelta(hours=24)
    assert _secret(hooked, id_) == rotated


@pytest.mark.parametrize("kind", ["default", "registered"])
def test_a_rotation_repeated_with_its_secret_changes_nothing(kind: str, hooked: Service) -> None:
    id_ = _id(hooked, kind)
    before, fresh = _secret(hooked, id_)["secret"], _whsec(32)
    rotated = _rotate(hooked, id_, secret=fresh)
    assert (rotated["secret"], rotated["former_secret"]) == (fresh, before)
    assert _rotate(hooked, id_, secret=fresh) == rotated
    assert _rotate(hooked, id_, secret=fresh, overlap_seconds=1) == rotated
    assert _secret(hooked, id_) == rotated
    ended = _rotate(hooked, id_, secret=fresh, overlap_seconds=0)
    assert ended == {"secret": fresh, "former_secret": None, "former_until": None}
    assert _rotate(hooked, id_, secret=fresh) == ended


@pytest.mark.parametrize("kind", ["default", "registered"])
@pytest.mark.parametrize("said", [{}, {"overlap_seconds": 60}, {"secret": _whsec(25)}])
def test_no_other_secret_takes_the_place_of_one_that_still_signs(
    kind: str, said: dict[str, Any], hooked: Service
) -> None:
    id_ = _id(hooked, kind)
    rotated = _rotate(hooked, id_)
    answer = hooked.client.post(f"/v1/webhooks/{id_}/rotate", json=said)
    assert "overlap_seconds 0" in assert_problem(answer, 409, "move-refused")["detail"]
    assert rotated["former_secret"] not in answer.text
    assert _secret(hooked, id_) == rotated


def test_of_rotations_at_once_one_is_made(hooked: Service) -> None:
    webhook = register(hooked)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: hooked.client.post(f"/v1/webhooks/{webhook['id']}/rotate", json={}), range(8))
        )
    (made,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert {answer.status_code for answer in answers} == {200, 409}
    assert made["former_secret"] == webhook["secret"]
    assert _secret(hooked, webhook["id"]) == made


@pytest.mark.parametrize("kind", ["default", "registered"])
def test_without_an_overlap_the_former_secret_is_gone_at_once(kind: str, hooked: Service) -> None:
    id_ = _id(hooked, kind)
    before = _rotate(hooked, id_)["secret"]
    rotated = _rotate(hooked, id_, overlap_seconds=0)
    assert rotated["secret"] != before
    assert (rotated["former_secret"], rotated["former_until"]) == (None, None)
    assert _secret(hooked, id_) == rotated


def test_the_former_secret_is_shown_until_its_time_is_over(hooked: Service) -> None:
    webhook = register(hooked)
    rotated = _rotate(hooked, webhook["id"], overlap_seconds=1)
    assert rotated["former_secret"] == webhook["secret"]
    wait_for(lambda: _secret(hooked, webhook["id"])["former_secret"] is None, "the former secret to go")
    assert _secret(hooked, webhook["id"])["secret"] == rotated["secret"]
    assert _rotate(hooked, webhook["id"])["former_secret"] == rotated["secret"]


@pytest.mark.parametrize("size_bytes", [24, 25, 26, 32, 62, 63, 64])
def test_a_secret_that_the_receiver_has_is_taken(size_bytes: int, hooked: Service) -> None:
    secret = _whsec(size_bytes)
    made = register(hooked, secret=secret)
    assert made["secret"] == secret
    for id_ in (_id(hooked, "registered"), "default"):
        assert _rotate(hooked, id_, secret=secret)["secret"] == _secret(hooked, id_)["secret"] == secret


@pytest.mark.parametrize(
    "secret",
    [
        _whsec(23),
        _whsec(65),
        _whsec(32).removeprefix("whsec_"),
        _whsec(32).replace("whsec_", "whsk_"),
        _whsec(32) + "!",
        _whsec(32)[:-1],
        " " + _whsec(32),
        _whsec(32) + "\n",
        "whsec_",
        "whsec_" + "ñ" * 32,
        "",
        5,
        [_whsec(32)],
    ],
)
def test_a_secret_that_is_none_is_refused_and_not_repeated(secret: Any, hooked: Service) -> None:
    webhook = register(hooked)
    answers = [hooked.client.post("/v1/webhooks", json={"url": URL, "secret": secret})]
    answers += [
        hooked.client.post(f"/v1/webhooks/{id_}/rotate", json={"secret": secret}) for id_ in (webhook["id"], "default")
    ]
    for answer in answers:
        detail = assert_problem(answer, 400, "malformed-request")["detail"]
        assert "secret" in detail
        assert _whsec(23)[7:] not in detail
    assert len(hooked.client.get("/v1/webhooks").json()["webhooks"]) == 1
    assert _secret(hooked, webhook["id"])["secret"] == webhook["secret"]


@pytest.mark.parametrize("overlap_seconds", ["-1", "2592001", '"5"', "true", '""', "null", "1e400", "NaN"])
def test_an_overlap_that_is_none_is_refused_and_nothing_changes(overlap_seconds: str, hooked: Service) -> None:
    webhook = register(hooked)
    body = f'{{"overlap_seconds": {overlap_seconds}}}'
    answer = hooked.client.post(f"/v1/webhooks/{webhook['id']}/rotate", content=body)
    assert "overlap_seconds" in assert_problem(answer, 400, "malformed-request")["detail"]
    assert _secret(hooked, webhook["id"])["secret"] == webhook["secret"]


def test_a_rotation_touches_no_other_webhook(hooked: Service) -> None:
    kept = register(hooked)
    default = _secret(hooked)
    _rotate(hooked, register(hooked)["id"])
    assert _secret(hooked, kept["id"])["secret"] == kept["secret"]
    assert _secret(hooked) == default
