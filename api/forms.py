"""A request body as it arrives: the image's bytes, taken out piece by piece, and the small fields beside it."""

from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from shared.errors import MalformedRequest

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_FIELD_MAX_BYTES = 4096
_PARTS_MAX = 20
_FILE_FIELD = "file"
_FILENAME_MAX = 255


class Body(Protocol):
    """What an upload is read through, whatever its form."""

    image: bytearray  # what has arrived and was not yet taken
    filename: str | None
    fields: dict[str, str]

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the request."""

    def finish(self) -> None:
        """Says that no more will come; raises MalformedRequest when that is too early."""


class RawBody:
    """The request's body is the image."""

    def __init__(self, disposition: str | None) -> None:
        self.image = bytearray()
        self.fields: dict[str, str] = {}
        _, options = parse_options_header(disposition)
        self.filename = clean_filename(options.get(b"filename"))

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes: all of them are the image."""
        self.image += chunk

    def finish(self) -> None:
        """Nothing can be missing here: an empty image is refused as an image."""


class MultipartBody:
    """A multipart/form-data body (RFC 7578) with one part named `file`."""

    def __init__(self, boundary: bytes) -> None:
        if not boundary:
            raise MalformedRequest("The Content-Type multipart/form-data names no boundary.")
        self.image = bytearray()
        self.filename: str | None = None
        self.fields: dict[str, str] = {}
        self._found = self._ended = False
        self._parts = 0
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._into: bytearray | None = None
        self._name = ""
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._part_begin,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise MalformedRequest("The Content-Type's boundary cannot be used.") from error

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes; raises MalformedRequest when they are no form."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedRequest("The multipart form is broken.") from error

    def finish(self) -> None:
        """Raises MalformedRequest when the form was cut off, or has no image."""
        if not self._ended:
            raise MalformedRequest("The multipart form ends too early: the upload broke off.")
        if not self._found:
            raise MalformedRequest(f'The form has no part named "{_FILE_FIELD}" that holds the image.')

    def _part_begin(self) -> None:
        self._disposition = b""
        self._parts += 1
        if self._parts > _PARTS_MAX:
            raise MalformedRequest("The form has too many parts.")

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _header_end(self) -> None:
        if self._header[0].lower() == b"content-disposition":
            self._disposition = bytes(self._header[1])
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name == _FILE_FIELD:
            if self._found:
                raise MalformedRequest(f'The form has more than one "{_FILE_FIELD}": send one image a request.')
            self._found = True
            self.filename = clean_filename(options.get(b"filename"))
            self._into = self.image
        else:
            self._into = bytearray()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        assert self._into is not None
        self._into += data[start:end]
        if self._into is not self.image and len(self._into) > _FIELD_MAX_BYTES:
            raise MalformedRequest(f"The form's field {self._name[:50]!r} is too long.")

    def _part_end(self) -> None:
        if self._into is not None and self._into is not self.image:
            self.fields[self._name] = self._into.decode("utf-8", "replace")
        self._into = None

    def _end(self) -> None:
        self._ended = True


def read_body(content_type: str, disposition: str | None) -> Body:
    """The reader for a request with these headers."""
    kind, options = parse_options_header(content_type)
    return MultipartBody(options.get(b"boundary", b"")) if kind == b"multipart/form-data" else RawBody(disposition)


def clean_filename(raw: bytes | None) -> str | None:
    """The last part of a name, for people to recognise their file by; never a path of ours."""
    if not raw:
        return None
    name = unquote(raw.decode("utf-8", "replace")).replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(character for character in name if character.isprintable())[:_FILENAME_MAX] or None
