"""Every bad upload gets the one kind of answer, and leaves nothing behind."""

from collections.abc import Callable

import httpx
import pytest

from tests.api.service import Service, assert_problem
from tests.photos import jpeg
from tests.shared.pictures import ACCEPTED, WRONG_TYPE, jpeg_header, png_header, with_thumbnail

Send = Callable[[Service, bytes], httpx.Response]


def _form(path: str) -> Send:
    return lambda service, data: service.client.post(path, files={"file": ("photo.jpg", data, "image/jpeg")})


def _raw(path: str) -> Send:
    return lambda service, data: service.client.post(path, content=data, headers={"Content-Type": "image/jpeg"})


WAYS: dict[str, Send] = {
    "form to /v1/jobs": _form("/v1/jobs"),
    "raw to /v1/jobs": _raw("/v1/jobs"),
    "form to /predict": _form("/predict"),
    "form to /predict/": _form("/predict/"),
}

BAD: dict[str, tuple[bytes, int, str]] = {
    "empty file": (b"", 422, "image-undecodable"),
    **{what: (data, 415, "image-type-refused") for what, (data, _) in WRONG_TYPE.items()},
    "truncated JPEG": (ACCEPTED["baseline JPEG"][:-40], 422, "image-undecodable"),
    "JPEG of its magic number": (b"\xff\xd8\xff\xe0", 422, "image-undecodable"),
    "JPEG cut after its thumbnail": (with_thumbnail()[0][: with_thumbnail()[1] + 50], 422, "image-undecodable"),
    "truncated PNG": (ACCEPTED["PNG"][:-12], 422, "image-undecodable"),
    "PNG of its magic number": (b"\x89PNG\r\n\x1a\n", 422, "image-undecodable"),
    "huge PNG header": (png_header(20_000, 20_000), 422, "image-too-many-pixels"),
    "huge JPEG header": (jpeg_header(20_000, 20_000), 422, "image-too-many-pixels"),
}


@pytest.mark.parametrize("send", WAYS.values(), ids=WAYS)
def test_a_bad_image_is_refused_in_one_form_and_leaves_nothing(send: Send, service: Service) -> None:
    for what, (data, status, code) in BAD.items():
        document = assert_problem(send(service, data), status, code)
        assert document["title"], what
        assert service.is_empty(), what


@pytest.mark.parametrize("what", ACCEPTED)
def test_a_good_image_is_stored_byte_by_byte_and_queued(what: str, service: Service) -> None:
    job_id = service.queued(ACCEPTED[what])
    assert service.stored() == [job_id]
    assert service.waiting_ids() == [job_id]
    with service.app.state.services.images.open(job_id) as file:
        assert file.read() == ACCEPTED[what]


def test_a_raw_image_may_bring_its_name(service: Service) -> None:
    headers = {"Content-Type": "image/jpeg", "Content-Disposition": 'attachment; filename="leaf 7.jpg"'}
    answer = service.client.post("/v1/jobs", content=jpeg(), headers=headers)
    assert answer.status_code == 202
    assert answer.json()["filename"] == "leaf 7.jpg"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n\xff\xd8'),
        ("multipart/form-data; boundary=x", b"no form at all"),
        ("multipart/form-data; boundary=x", b"--x\r\nno header\r\n\r\n\r\n--x--\r\n"),
        ("multipart/form-data", b"--x--\r\n"),
        ("multipart/form-data; boundary=", b"--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 300, b"--x--\r\n"),
        ("multipart/form-data; boundary=\xe9\xe9", b"--x--\r\n"),
    ],
    ids=["empty", "no file", "cut off", "no form", "no header", "none", "empty boundary", "long boundary", "latin"],
)
@pytest.mark.parametrize("path", ["/v1/jobs", "/predict", "/predict/"])
def test_a_broken_form_is_malformed(path: str, content_type: str, body: bytes, service: Service) -> None:
    answer = service.client.post(path, content=body, headers={"Content-Type": content_type.encode("latin-1")})
    assert_problem(answer, 400, "malformed-request")
    assert service.is_empty()


def test_no_body_at_all_is_refused(service: Service) -> None:
    for path in ("/v1/jobs", "/predict", "/predict/"):
        answer = service.client.post(path)
        assert answer.status_code in (400, 422)
        assert_problem(answer, answer.status_code, answer.json()["code"])
    assert service.is_empty()


def test_two_files_in_one_form_are_refused(service: Service) -> None:
    answer = service.client.post("/v1/jobs", files=[("file", ("a.jpg", jpeg())), ("file", ("b.jpg", jpeg()))])
    assert_problem(answer, 400, "malformed-request")
    assert service.is_empty()


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"priority": "urgent"}, 400, "malformed-request"),
        ({"model": "xray"}, 404, "unknown-model"),
        ({"colour": "red"}, 400, "malformed-request"),
        ({"model": "x" * 5000}, 400, "malformed-request"),
        ({f"field{number}": "1" for number in range(30)}, 400, "malformed-request"),
    ],
    ids=["priority", "model", "unknown", "too long", "too many"],
)
def test_a_bad_field_is_refused_and_the_image_does_not_stay(
    fields: dict[str, str], status: int, code: str, service: Service
) -> None:
    answer = service.client.post("/v1/jobs", data=fields, files={"file": ("a.jpg", jpeg())})
    assert_problem(answer, status, code)
    assert service.is_empty()


def test_the_old_contract_overlooks_fields_it_does_not_know(make_service: Callable[..., Service]) -> None:
    service = make_service(predict_wait_seconds=0.01)
    answer = service.client.post("/predict", data={"top_k": "3"}, files={"file": ("a.jpg", jpeg())})
    assert_problem(answer, 503, "predict-timeout")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\Ana\\leaf.jpg", "leaf.jpg"),
        ("hoja ñ 葉.jpg", "hoja ñ 葉.jpg"),
        ("50% off.jpg", "50% off.jpg"),
        ("a\tb\x7f.jpg", "ab.jpg"),
        ("x" * 400, "x" * 255),
        ("..", ".."),
    ],
)
def test_a_file_name_is_kept_for_people_and_never_as_a_path(sent: str, kept: str, service: Service) -> None:
    disposition = f'form-data; name="file"; filename="{sent}"'.encode()
    body = b"--x\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + jpeg() + b"\r\n--x--\r\n"
    answer = service.client.post("/v1/jobs", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 202, answer.text
    assert answer.json()["filename"] == kept
