"""What is made of an answer: an excerpt that harms nobody, and when to come again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.answer import Answer

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None),
        (204, None),
        (299, None),
        (301, "redirects are not followed"),
        (304, "redirects are not followed"),
        (400, "answered 400"),
        (410, "answered 410"),
        (503, "answered 503"),
        (999, "answered 999"),
    ],
)
def test_only_2xx_is_success(status: int, error: str | None) -> None:
    assert Answer(status).error() == error


@pytest.mark.parametrize(
    ("body", "excerpt"),
    [
        (b"", None),
        (b" \r\n\t\x00", None),
        (b"thank you\n", "thank you"),
        ("größer".encode(), "größer"),
        (b"a\x00b\x1b[31mc\r\nd", "a b [31mc  d"),
        ("turned \u202e around \u2028 and \u200b hidden".encode(), "turned   around   and   hidden"),
        (b"latin \xe9", "latin �"),
        (b"x" * 4096, "x" * 500),
    ],
)
def test_an_excerpt_is_short_and_printable(body: bytes, excerpt: str | None) -> None:
    assert Answer(200, body=body).excerpt() == excerpt


@given(st.binary(max_size=2000))
def test_every_body_has_an_excerpt_fit_to_be_stored(body: bytes) -> None:
    excerpt = Answer(200, body=body).excerpt()
    assert excerpt is None or (excerpt.isprintable() and 0 < len(excerpt) <= 500)


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("999999999", 999_999_999),
        ("Sun, 22 Nov 2026 08:01:30 GMT", 90),
        ("Sunday, 22-Nov-26 08:01:30 GMT", 90),
        ("Sun Nov 22 08:01:30 2026", 90),
        ("Sun, 22 Nov 2026 07:00:00 GMT", 0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("1e9", None),
        ("٣", None),
        ("9" * 5000, None),
        ("Sun, 99 Nov 2026 08:01:30 GMT", None),
        ("Sun, 22 Nov 99999999999999999999 08:01:30 GMT", None),
        ("Sun, 22 Nov 2026 08:01:30 +99999999", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_seconds_or_a_date(status: int, told: str, seconds: float | None) -> None:
    assert Answer(status, told).retry_after_seconds(NOW) == seconds


@given(st.text(max_size=60) | st.text("0123456789 ,:+-GMTNovSun", max_size=60))
def test_no_retry_after_is_too_odd(told: str) -> None:
    seconds = Answer(503, told).retry_after_seconds(NOW)
    assert seconds is None or 0 <= seconds < float("inf")


@pytest.mark.parametrize("status", [None, 200, 302, 410, 500])
def test_retry_after_counts_on_429_and_503_alone(status: int | None) -> None:
    assert Answer(status, "120").retry_after_seconds(NOW) is None
