"""Keys of the table in a running service: made, rotated and revoked without a restart."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from api import keyring
from api.app import create_app
from shared.database import Database, migrate
from shared.errors import OperatorError
from shared.keys import LOCAL_CALLER
from tests.api.conftest import MakeService
from tests.api.service import KEY, Service, assert_problem, log_lines
from tests.conftest import ON_EVERY_DATABASE
from tests.photos import jpeg
from tests.shared.keys import MadeKey, make_key, revoke_key, rotate_key
from tests.waiting import wait_for

WRONG = "turno_a-wrong-key-that-must-not-be-logged"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "RELOAD_SECONDS", 0.1)


def status(service: Service, key: MadeKey | None = None) -> int:
    return int(service.client.get("/v1/models", headers=key.header if key else {}).status_code)


def rename(database: Database, old: str, new: str) -> None:
    database.write(lambda connection: connection.execute(sa.text(f"ALTER TABLE {old} RENAME TO {new}")))


@ON_EVERY_DATABASE
def test_a_key_is_taken_as_soon_as_it_is_made_and_refused_soon_after_it_is_revoked(
    database_url: str, make_service: MakeService
) -> None:
    service = make_service(api_key=KEY, key=None, database_url=database_url)
    made = make_key(service.database)
    assert status(service, made) == 200
    revoke_key(service.database, made.id)
    wait_for(lambda: status(service, made) == 401, "the revoked key to be refused")


@ON_EVERY_DATABASE
def test_jobs_survive_a_rotation_and_the_former_secret_its_overlap(
    database_url: str, make_service: MakeService
) -> None:
    service = make_service(api_key=KEY, key=None, database_url=database_url)
    made = make_key(service.database)
    job_id = service.submit(jpeg(), **made.header).json()["id"]
    assert service.job(job_id).caller == made.id
    rotated = rotate_key(service.database, made.id, overlap_seconds=3600)
    for key in (rotated, made):
        assert service.client.get(f"/v1/jobs/{job_id}", headers=key.header).status_code == 200
    again = rotate_key(service.database, made.id, overlap_seconds=0)
    assert status(service, again) == 200
    for former in (made, rotated):
        wait_for(lambda former=former: status(service, former) == 401, "the former secret to be refused")


def test_an_overlap_ends_by_itself(make_service: MakeService) -> None:
    service = make_service(api_key=KEY, key=None)
    made = make_key(service.database)
    rotated = rotate_key(service.database, made.id, overlap_seconds=1)
    wait_for(lambda: status(service, made) == 401, "the overlap to end")
    assert status(service, rotated) == 200


def test_the_first_key_closes_an_open_service(make_service: MakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "RELOAD_SECONDS", 3600)
    service = make_service(key=None)
    assert status(service) == 200
    made = make_key(service.database)
    job_id = service.submit(jpeg(), **made.header).json()["id"]
    assert service.job(job_id).caller == made.id, "who uses it at once is not the open service's caller any more"
    assert status(service) == 401


def test_an_open_service_closes_without_being_asked(make_service: MakeService) -> None:
    service = make_service(key=None)
    assert service.job(service.queued(jpeg())).caller == LOCAL_CALLER
    make_key(service.database)
    wait_for(lambda: status(service) == 401, "the service to close")


def test_revoking_the_last_key_opens_nothing_not_even_after_a_restart(make_service: MakeService) -> None:
    service = make_service(key=None)
    made = make_key(service.database)
    assert status(service, made) == 200
    revoke_key(service.database, made.id)
    wait_for(lambda: status(service, made) == 401, "the revoked key to be refused")
    assert status(service) == 401
    restarted = make_service(key=None)
    assert (status(restarted), status(restarted, made)) == (401, 401)
    restarted.database.write(lambda connection: connection.execute(sa.text("DELETE FROM keys")))
    time.sleep(0.5)  # five reloads
    assert status(restarted) == 401, "once closed, a process stays closed"


def test_on_the_network_the_table_is_enough_to_start(make_service: MakeService) -> None:
    with pytest.raises(OperatorError, match="turno keys create"):
        make_service(host="0.0.0.0", key=None)
    made = make_key(make_service(key=None).database)
    service = make_service(host="0.0.0.0", key=None)
    assert (status(service), status(service, made)) == (401, 200)


def test_guesses_cost_one_query_a_second(make_service: MakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "RELOAD_SECONDS", 3600)
    service = make_service(api_key=KEY, key=None)
    loads: list[float] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM keys" in statement:
            loads.append(time.monotonic())

    sa.event.listen(service.app.state.services.database.engine, "before_cursor_execute", note)
    began = time.monotonic()
    with ThreadPoolExecutor(200) as pool:
        statuses = list(pool.map(lambda n: status(service, MadeKey(secret=f"{WRONG}-{n}")), range(200)))
    seconds = time.monotonic() - began
    assert set(statuses) == {401}
    assert 1 <= len(loads) <= 1 + seconds, (len(loads), seconds)
    gaps = [later - earlier for earlier, later in pairwise(loads)]
    assert all(gap > 0.9 for gap in gaps), gaps


def test_while_the_table_cannot_be_read_known_keys_keep_working(
    capsys: pytest.CaptureFixture[str], make_service: MakeService
) -> None:
    service = make_service(api_key=KEY, key=None)
    made = make_key(service.database)
    assert status(service, made) == 200
    rename(service.database, "keys", "away")
    printed: list[str] = []

    def warned() -> bool:
        printed.append(capsys.readouterr().out)
        return "the keys cannot be read" in "".join(printed)

    wait_for(warned, "the service to notice")
    assert [status(service, key) for key in (made, MadeKey(secret=KEY), MadeKey())] == [200, 200, 401]
    rename(service.database, "away", "keys")
    revoke_key(service.database, made.id)
    wait_for(lambda: status(service, made) == 401, "the service to read the table again")
    assert "".join(printed).count("the keys cannot be read") == 1


@pytest.mark.parametrize("api_key", ["", KEY])
def test_a_service_that_never_read_the_table_says_come_back_and_opens_to_nobody(
    api_key: str, tmp_path: Path, make_service: MakeService
) -> None:
    url = f"sqlite:///{tmp_path / 'turno.sqlite'}"
    migrate(url)
    database = Database(url)
    made = make_key(database)
    rename(database, "keys", "away")
    service = make_service(api_key=api_key, key=None)
    assert_problem(service.client.get("/v1/models", headers=made.header), 503, "store-unavailable")
    assert status(service) == (401 if api_key else 503)
    assert status(service, MadeKey(secret=KEY)) == (200 if api_key else 503)
    assert service.client.get("/livez").status_code == 200
    rename(database, "away", "keys")
    wait_for(lambda: status(service, made) == 200, "the table to be read")
    assert status(service) == 401
    database.close()


def test_a_database_that_hangs_holds_up_unknown_keys_alone_and_for_seconds(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "_LOAD_SECONDS", 0.2)
    service = make_service(api_key=KEY, key=None)
    made = make_key(service.database)
    assert status(service, made) == 200
    released = threading.Event()
    engine = service.app.state.services.database.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *_: released.wait(60))
    try:
        assert [status(service, key) for key in (made, MadeKey(), MadeKey())] == [200, 401, 401]
    finally:
        released.set()


def test_every_refusal_is_logged_with_the_keys_id_and_without_the_key(
    capsys: pytest.CaptureFixture[str], make_service: MakeService
) -> None:
    service = make_service(api_key=KEY, key=None, rate_per_minute=2)
    revoked, limited = make_key(service.database), make_key(service.database, [])
    assert status(service, revoked) == 200
    revoke_key(service.database, revoked.id)
    wait_for(lambda: status(service, revoked) == 401, "the revoked key to be refused")
    capsys.readouterr()
    for key in (None, MadeKey(secret=WRONG), revoked):
        assert status(service, key) == 401
    for expected in (403, 403, 429):
        assert service.submit(jpeg(), **limited.header).status_code == expected
    printed = capsys.readouterr().out
    lines = [line for line in log_lines(printed) if line["event"] == "request"]
    assert [line["status"] for line in lines] == [401, 401, 401, 403, 403, 429]
    assert {line["level"] for line in lines} == {"warning"}
    unknown = keyring.KeyRing("").id_of(WRONG)
    assert [line.get("refused_key") for line in lines[:3]] == [None, unknown, revoked.id]
    assert [line["caller"] for line in lines] == ["-"] * 3 + [limited.id] * 3
    for secret in (KEY, WRONG, revoked.secret, limited.secret):
        assert secret not in printed


def test_the_application_is_made_without_a_question_to_the_database_when_api_key_is_set(tmp_path: Path) -> None:
    settings = keyring.Settings(
        _env_file=None, host="0.0.0.0", api_key=KEY, redis_url="unix:///nowhere", state_dir=tmp_path
    )
    create_app(settings)
    assert not (tmp_path / "turno.sqlite").exists()
