"""A request body as it arrives: the bytes of its files, taken out piece by piece, and the small fields beside them."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from shared.errors import MalformedRequest, UploadTooLarge

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD_MAX_BYTES = 4096
_FIELDS_MAX = 20
_FILE_FIELDS = ("file", "files")
_FILENAME_MAX = 255
# the only way to name a raw body in other letters than ASCII (RFC 6266, 4.3); in a form it is forbidden
_EXTENDED_FILENAME = re.compile(r";\s*filename\*\s*=\s*utf-8'[^']*'([^;\s]+)", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class FilePart:
    """One file of a request."""

    filename: str | None
    data: bytearray = field(default_factory=bytearray)  # what has arrived and was not yet taken
    complete: bool = False


class Body(Protocol):
    """What an upload is read through, whatever its form."""

    files: list[FilePart]  # in the order in which they came
    fields: dict[str, str]

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes of the request."""

    def finish(self) -> None:
        """Says that no more will come; raises MalformedRequest when that is too early."""


class RawBody:
    """The request's body is the image."""

    def __init__(self, disposition: str | None) -> None:
        self.fields: dict[str, str] = {}
        extended = _EXTENDED_FILENAME.search(disposition or "")
        plain = parse_options_header(disposition)[1].get(b"filename")
        self.files = [FilePart(clean_filename(extended[1].encode() if extended else plain))]

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes: all of them are the image."""
        self.files[0].data += chunk

    def finish(self) -> None:
        """Nothing can be missing here: an empty image is refused as an image."""
        self.files[0].complete = True


class MultipartBody:
    """A multipart/form-data body (RFC 7578) with parts named `file`; several of them may be named `files`, too."""

    def __init__(self, boundary: bytes, most_files: int) -> None:
        if not boundary:
            raise MalformedRequest("The Content-Type multipart/form-data names no boundary.")
        self.files: list[FilePart] = []
        self.fields: dict[str, str] = {}
        self._most_files = most_files
        self._ended = False
        self._fields_seen = 0
        self._header = (bytearray(), bytearray())
        self._disposition = b""
        self._into = bytearray()
        self._name = ""
        self._is_file = False
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
        if not self.files:
            raise MalformedRequest(f'The form has no part named "{_FILE_FIELDS[0]}" that holds the image.')

    def _part_begin(self) -> None:
        self._disposition = b""

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
        self._is_file = self._name in _FILE_FIELDS[: self._most_files]
        if self._is_file:
            if len(self.files) == self._most_files:
                raise self._too_many_files()
            self.files.append(FilePart(clean_filename(options.get(b"filename"))))
            self._into = self.files[-1].data
            return
        self._fields_seen += 1
        if self._fields_seen > _FIELDS_MAX:
            raise MalformedRequest("The form has too many parts.")
        if self.files and self._most_files > 1:
            raise MalformedRequest(
                f"The form's field {self._name[:50]!r} comes after a file: put the fields before the files."
            )
        self._into = bytearray()

    def _too_many_files(self) -> Exception:
        if self._most_files == 1:
            return MalformedRequest('The form has more than one "file": send several images to /v1/batches.')
        return UploadTooLarge(f"The batch has more than {self._most_files} files: send it in several.")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._into += data[start:end]
        if not self._is_file and len(self._into) > FIELD_MAX_BYTES:
            raise MalformedRequest(f"The form's field {self._name[:50]!r} is too long.")

    def _part_end(self) -> None:
        if self._is_file:
            self.files[-1].complete = True
        else:
            if self._name in self.fields:
                raise MalformedRequest(f"The form says {self._name[:50]!r} twice.")
            self.fields[self._name] = self._into.decode("utf-8", "replace")

    def _end(self) -> None:
        self._ended = True


def read_body(content_type: str, disposition: str | None, most_files: int) -> Body:
    """The reader for a request with these headers.

    Raises:
        MalformedRequest: several files can come only as a form.
    """
    kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        return MultipartBody(options.get(b"boundary", b""), most_files)
    if most_files > 1:
        raise MalformedRequest("A batch is sent as multipart/form-data.")
    return RawBody(disposition)


def clean_filename(raw: bytes | None) -> str | None:
    """The last part of a name, for people to recognise their file by; never a path of ours."""
    if not raw:
        return None
    name = unquote(raw.decode("utf-8", "replace")).replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(character for character in name if character.isprintable())[:_FILENAME_MAX] or None
