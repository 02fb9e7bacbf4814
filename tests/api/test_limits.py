"""What is too large is refused before it is read, or as soon as it shows while reading."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from tests.api.conftest import MakeService
from tests.api.service import KEY, Exchange, Service, assert_problem
from tests.photos import encoded, jpeg
from tests.shared.pictures import picture

_LIMIT = 100_000
_CHUNK = 65_536
_MUCH = 5_000_000
_FORM_TYPE = "multipart/form-data; boundary=x"
_FORM_HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
_ENOUGH_TO_TELL = 4 * _CHUNK


@pytest.fixture
def small(make_service: MakeService) -> Service:
    """A service that takes 100 kB."""
    return make_service(api_key=KEY, upload_max_bytes=_LIMIT)


def _exchange(service: Service, path: str, headers: dict[str, str], chunks: AsyncIterator[bytes]) -> Exchange:
    exchange = Exchange(service.app)
    assert service.client.portal is not None
    service.client.portal.call(partial(exchange.run, path, {"X-API-Key": KEY, **headers}, chunks))
    return exchange


async def _flood(head: bytes = b"", filler: bytes = b"x") -> AsyncIterator[bytes]:
    """An upload without end, for a server that reads it."""
    yield head
    for _ in range(_MUCH // _CHUNK):
        yield filler * (_CHUNK // len(filler))


@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/predict/"])
def test_an_announced_size_is_refused_before_a_byte_is_read(path: str, small: Service) -> None:
    exchange = _exchange(small, path, {"Content-Type": "image/jpeg", "Content-Length": str(_MUCH)}, _flood())
    assert (exchange.status, exchange.problem()["code"]) == (413, "upload-too-large")
    assert exchange.read_bytes == 0
    assert small.is_empty()


@pytest.mark.parametrize("path", ["/v1/jobs", "/predict"])
@pytest.mark.parametrize(("kind", "head"), [("image/jpeg", jpeg()), (_FORM_TYPE, _FORM_HEAD + jpeg())])
def test_an_unannounced_size_is_refused_while_reading(path: str, kind: str, head: bytes, small: Service) -> None:
    exchange = _exchange(small, path, {"Content-Type": kind, "Transfer-Encoding": "chunked"}, _flood(head))
    assert (exchange.status, exchange.problem()["code"]) == (413, "upload-too-large")
    assert exchange.read_bytes < _ENOUGH_TO_TELL
    assert small.is_empty()


@pytest.mark.parametrize(
    ("where", "head", "filler"),
    [
        ("before the form", b"", b"\r\n"),
        ("after the form", _FORM_HEAD + jpeg() + b"\r\n--x--\r\n", b"z"),
        ("in a header", b"--x\r\nX-Filler: ", b"z"),
        ("in many small fields", b"", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'),
        ("in another field", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n', b"z"),
    ],
)
def test_a_flood_beside_the_image_is_not_read_to_its_end(
    where: str, head: bytes, filler: bytes, small: Service
) -> None:
    exchange = _exchange(small, "/v1/jobs", {"Content-Type": _FORM_TYPE}, _flood(head, filler))
    assert exchange.status in (400, 413)
    assert exchange.read_bytes < _ENOUGH_TO_TELL
    assert small.is_empty()


@pytest.mark.parametrize("key", [None, "wrong", KEY + "x"])
@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/predict/", "/v1/jobs/1/cancel", "/unknown"])
def test_without_a_valid_key_no_byte_is_read(path: str, key: str | None, small: Service) -> None:
    exchange = Exchange(small.app)
    headers = {"Content-Type": "image/jpeg"} | ({"X-API-Key": key} if key else {})
    assert small.client.portal is not None
    small.client.portal.call(partial(exchange.run, path, headers, _flood(jpeg())))
    assert (exchange.status, exchange.problem()["code"]) == (401, "unauthorized")
    assert exchange.headers["www-authenticate"].startswith("Bearer")
    assert exchange.read_bytes == 0
    assert small.is_empty()


def test_the_limit_itself_is_taken_and_one_byte_more_is_not(make_service: MakeService) -> None:
    image = encoded(picture(), "JPEG")
    service = make_service(api_key=KEY, upload_max_bytes=len(image))
    for way in ({"content": image}, {"files": {"file": ("a.jpg", image)}}):
        assert service.client.post("/v1/jobs", **way).status_code == 202
    kept = sorted(service.stored())
    for way in ({"content": image + b"x"}, {"files": {"file": ("a.jpg", image + b"x")}}):
        assert_problem(service.client.post("/v1/jobs", **way), 413, "upload-too-large")
    assert sorted(service.stored()) == kept


def test_a_large_image_is_streamed_in_order(make_service: MakeService) -> None:
    service = make_service(api_key=KEY)
    image = encoded(picture(width_px=900, height_px=700), "PNG", compress_level=0)
    assert len(image) > 1_500_000
    form = _FORM_HEAD + image + b"\r\n--x--\r\n"

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(form), 10_007):
            yield form[at : at + 10_007]

    exchange = _exchange(service, "/v1/jobs", {"Content-Type": _FORM_TYPE}, pieces())
    assert exchange.status == 202, exchange.body
    (job_id,) = service.stored()
    with service.app.state.services.images.open(job_id) as file:
        assert file.read() == image


def test_an_upload_that_breaks_off_leaves_nothing(service: Service) -> None:
    exchange = Exchange(service.app)

    async def half() -> AsyncIterator[bytes]:
        yield _FORM_HEAD + jpeg()[:200]

    assert service.client.portal is not None
    headers = {"X-API-Key": KEY, "Content-Type": _FORM_TYPE}
    service.client.portal.call(partial(exchange.run, "/v1/jobs", headers, half()))
    assert (exchange.status, exchange.problem()["code"]) == (400, "malformed-request")
    assert service.is_empty()


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/batches"])
@pytest.mark.parametrize(
    ("limit", "bytes_per_second"), [("_SLOW_START_SECONDS", 1_000_000), ("_SILENCE_SECONDS", 1)], ids=["slow", "silent"]
)
def test_an_upload_that_hardly_moves_or_falls_silent_is_cut_off(
    limit: str, bytes_per_second: int, path: str, make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"api.uploads.{limit}", 0.2)
    service = make_service(api_key=KEY, upload_min_bytes_per_second=bytes_per_second)

    async def dribble() -> AsyncIterator[bytes]:
        yield _FORM_HEAD + jpeg()
        await asyncio.Event().wait()

    exchange = _exchange(service, path, {"Content-Type": _FORM_TYPE, "Transfer-Encoding": "chunked"}, dribble())
    assert (exchange.status, exchange.problem()["code"]) == (408, "upload-too-slow")
    assert exchange.headers["connection"] == "close"
    assert service.is_empty()


def test_an_upload_that_is_fast_enough_may_take_its_time(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.uploads._SLOW_START_SECONDS", 0.2)
    service = make_service(api_key=KEY, upload_min_bytes_per_second=100)

    async def walk() -> AsyncIterator[bytes]:
        image = jpeg(width_px=400, height_px=300)
        for at in range(0, len(image), 200):
            await asyncio.sleep(0.05)  # as the network does: longer in all than the start alone would allow
            yield image[at : at + 200]

    exchange = _exchange(service, "/v1/jobs", {"Content-Type": "image/jpeg", "Transfer-Encoding": "chunked"}, walk())
    assert exchange.status == 202


def test_an_upload_ends_before_what_it_stored_would_be_taken_for_left_over(
    make_service: MakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.uploads.UPLOAD_MAX_SECONDS", 0.3)
    service = make_service(api_key=KEY, upload_min_bytes_per_second=0)

    async def for_ever() -> AsyncIterator[bytes]:
        yield _FORM_HEAD + jpeg()
        while True:
            await asyncio.sleep(0.05)
            yield b"x"

    exchange = _exchange(service, "/v1/batches", {"Content-Type": _FORM_TYPE}, for_ever())
    assert (exchange.status, exchange.problem()["code"]) == (408, "upload-too-slow")
    assert service.is_empty()
