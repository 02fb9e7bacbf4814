"""Many images through the client: split, streamed from the disk, and put together again in their order."""

import re
import resource
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.photos import jpeg
from tests.turno.faulty_server import Answer, Asked, Drop, FaultyServer, problem
from turno.client import Batch, Refused, Turno

MANY = 250


@pytest.fixture
def turno(server: FaultyServer) -> Iterator[Turno]:
    with Turno(server.url, timeout_seconds=5, retry_seconds=20) as turno:
        yield turno


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"leaf-{number:03}.jpg" for number in range(MANY)]
    for path in paths:
        path.write_bytes(jpeg(8, 8))
    return paths


def names(asked: Asked) -> list[str]:
    return re.findall(r'filename="([^"]+)"', asked.body.decode("latin-1"))


def service(asked: Asked) -> Answer:
    """A service that accepts every file, and calls the batch after the first."""
    if asked.method == "POST":
        sent = names(asked)
        files = "+".join(sent)
        return Answer(202, {"id": files, "total": len(sent), "counts": {"queued": len(sent)}, "done": False})
    files = asked.path.removeprefix("/v1/batches/").partition("/results")[0].split("%2B")
    if not asked.path.endswith("/results"):
        counts = {"succeeded": len(files), "refused": 0}
        return Answer(200, {"id": "+".join(files), "total": len(files), "counts": counts, "done": True})
    rows = [{"index": index, "filename": name, "status": "succeeded", "new": 1} for index, name in enumerate(files)]
    return Answer(200, {"results": rows[::-1]})


def test_many_images_take_several_requests_and_come_back_in_their_order(
    server: FaultyServer, turno: Turno, photos: list[Path]
) -> None:
    server.answer(service)
    told: list[Batch] = []
    batch = turno.batch(photos, keep="result", on_accepted=told.append)
    assert [len(names(asked)) for asked in server.asked] == [100, 100, 50]
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == 3
    assert all(asked.body.index(b'name="keep"') < asked.body.index(b"filename=") for asked in server.asked)
    assert batch.total == MANY
    assert not batch.done
    assert [one.ids[0] for one in told] == list(batch.ids)
    *_, last = turno.watch_batch(batch)
    assert last.done
    assert last.counts == {"succeeded": MANY}
    results = turno.batch_results(last)
    assert [(one.index, one.filename) for one in results] == [(at, path.name) for at, path in enumerate(photos)]


def test_a_request_that_breaks_is_sent_again_under_its_key(
    server: FaultyServer, turno: Turno, photos: list[Path]
) -> None:
    server.answer(service, Drop(), service)
    assert turno.batch(photos[:150]).total == 150
    first, broken, again = server.asked
    assert broken.headers["idempotency-key"] == again.headers["idempotency-key"] != first.headers["idempotency-key"]
    assert names(again) == names(broken) == [path.name for path in photos[100:150]]


def test_no_more_files_are_open_than_one(server: FaultyServer, turno: Turno, photos: list[Path]) -> None:
    server.answer(service)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    try:
        assert turno.batch(photos).total == MANY
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_files_are_never_whole_in_memory(server: FaultyServer, turno: Turno, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(4)]
    for path in paths:
        with path.open("wb") as file:
            file.truncate(40_000_000)
    server.answer(lambda _: Answer(202, {"id": "x", "total": 2, "counts": {}, "done": True}))
    tracemalloc.start()
    try:
        turno.batch(paths)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 20_000_000
    assert len(server.asked) == 2  # 100 MB a request


def test_a_request_that_is_too_large_is_sent_in_halves(server: FaultyServer, turno: Turno, photos: list[Path]) -> None:
    def narrow(asked: Asked) -> Answer:
        return Answer(413, text="<html>") if len(names(asked)) > 2 else service(asked)

    server.answer(narrow)
    assert turno.batch(photos[:7]).total == 7
    sent = [names(asked) for asked in server.asked if len(names(asked)) <= 2]
    assert [name for half in sent for name in half] == [path.name for path in photos[:7]]
    assert len({asked.headers["idempotency-key"] for asked in server.asked}) == len(server.asked)


def test_images_that_are_all_refused_do_not_take_the_others_along(
    server: FaultyServer, turno: Turno, photos: list[Path]
) -> None:
    def picky(asked: Asked) -> Answer:
        if asked.method == "POST" and photos[100].name in names(asked):
            refusal = problem(422, "batch-refused")
            given = [{"index": 0, "filename": photos[100].name, "code": "image-undecodable", "detail": "Cut off."}]
            return Answer(422, {**refusal.document, "refused": given}, refusal.headers)
        return service(asked)

    server.answer(picky)
    batch = turno.batch(photos[:102])
    assert batch.counts == {"queued": 100, "refused": 2}
    refused = turno.batch_results(batch)[100:]
    assert [(one.index, one.status, one.error and one.error.code) for one in refused] == [
        (100, "refused", "image-undecodable"),
        (101, "refused", "batch-refused"),
    ]


def test_an_image_too_large_for_a_request_of_its_own_is_refused_alone(
    server: FaultyServer, turno: Turno, photos: list[Path]
) -> None:
    def narrow(asked: Asked) -> Answer:
        return Answer(413, text="<html>") if photos[1].name in names(asked) else service(asked)

    server.answer(narrow)
    batch = turno.batch(photos[:3])
    assert [one.status for one in turno.batch_results(batch)] == ["succeeded", "refused", "succeeded"]


def test_what_was_accepted_before_a_failure_is_known(server: FaultyServer, turno: Turno, photos: list[Path]) -> None:
    server.answer(service, problem(401, "unauthorized"))
    told: list[Batch] = []
    with pytest.raises(Refused):
        turno.batch(photos, on_accepted=told.append)
    assert [one.total for one in told] == [100]


def test_who_is_to_be_told_stands_in_every_request(server: FaultyServer, turno: Turno, photos: list[Path]) -> None:
    server.answer(service)
    turno.batch(photos[:101], webhook_url="https://example.org/turno", webhook_events=("batch.completed", "job.failed"))
    assert len(server.asked) == 2
    for asked in server.asked:
        assert b'name="webhook_url"\r\n\r\nhttps://example.org/turno\r\n' in asked.body
        assert b'name="webhook_events"\r\n\r\nbatch.completed,job.failed\r\n' in asked.body
