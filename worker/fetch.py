"""A model that lies in a bucket is copied to this machine, and copied again when it has changed."""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import obstore

from shared.buckets import BUCKET_FAULTS, open_bucket, reason_of
from shared.errors import OperatorError
from shared.logs import get_logger
from shared.models import MODEL_SUFFIXES, served_model_name
from shared.settings import Settings

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import ObjectStore

log = get_logger(__name__)

_PIECE_BYTES = 4_000_000  # asked for at once: a large model takes longer than one request may
_TOLD_BYTES = 200_000_000  # between two lines of progress
_ROOM_FACTOR = 3  # the copy, its converted form, and what is written meanwhile


def fetch_model(settings: Settings) -> Path:
    """The path of the bucket's model on this machine; to be called by one process at a time.

    A copy lies in `<state>/models/<name>-<address>-<listing>/`: a folder of this name is always whole, and holds
    what the bucket holds. When the bucket fails, what it held before is served.

    Raises:
        OperatorError: the model cannot be had and there is no copy, or there is no room for it.
    """
    url, folder = settings.model_path, settings.state_dir / "models"
    parent, _, last = url.rpartition("/")
    if parent.endswith("/"):
        raise OperatorError(f"MODEL_PATH: name a folder or a file in the bucket, as {url}/leaf-health.")
    stem = f"{served_model_name(settings)}-{_short_hash(url)}-"
    folder.mkdir(parents=True, exist_ok=True)
    for broken_off in folder.glob(f"fetching-{stem}*"):
        shutil.rmtree(broken_off)
    before = sorted(folder.glob(f"{stem}*"), key=lambda copy: copy.stat().st_mtime)
    try:
        bucket = open_bucket(parent, settings)
        found = _list(bucket, last)
        copy = folder / f"{stem}{_short_hash(repr([(one['path'], one['size'], one['e_tag']) for one in found]))}"
        if copy not in before:
            _download(bucket, found, copy, url)
    except BUCKET_FAULTS as error:
        if not before:
            raise OperatorError(f"MODEL_PATH: {url} cannot be fetched ({reason_of(error)}).") from error
        copy = before[-1]
        log.warning("the model's bucket fails; the copy is served", model=url, copy=str(copy), error=reason_of(error))
    for old in before:
        if old != copy:
            shutil.rmtree(old)
    return copy / last  # called as in the bucket, so that the model keeps its name


def _list(bucket: "ObjectStore", name: str) -> "list[ObjectMeta]":
    """The objects that make up the model; the bucket's client refuses keys that would leave their folder."""
    found: list[ObjectMeta] = []
    bare = name.endswith(MODEL_SUFFIXES)
    if bare:
        beside = obstore.list_with_delimiter(bucket)["objects"]
        found += [one for one in beside if one["path"] in (name, "card.toml")]
    found += [one for page in obstore.list(bucket, "golden" if bare else name) for one in page]
    # consoles show folders by empty objects of their names
    folders = {str(parent) for one in found for parent in Path(one["path"]).parents}
    found = sorted((one for one in found if one["path"] not in folders), key=lambda one: one["path"])
    if not any(one["path"] == name or not bare for one in found):
        raise FileNotFoundError("there is nothing at this address")
    return found


def _download(bucket: "ObjectStore", found: "list[ObjectMeta]", copy: Path, url: str) -> None:
    total, done = sum(one["size"] for one in found), 0
    if _ROOM_FACTOR * total > shutil.disk_usage(copy.parent).free:
        raise OperatorError(f"MODEL_PATH: {url} has {total:,} bytes, and there is no room for them in {copy.parent}.")
    log.info("fetching the model", model=url, files=len(found), bytes=total)
    with tempfile.TemporaryDirectory(prefix=f"fetching-{copy.name}-", dir=copy.parent) as scratch:
        for one in found:
            file = Path(scratch) / copy.name / one["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as target:
                for at in range(0, one["size"], _PIECE_BYTES):
                    # the same object all along: another one in its place is a fault, and fetched at the next start
                    piece: GetOptions = {"range": (at, min(at + _PIECE_BYTES, one["size"])), "if_match": one["e_tag"]}
                    done += target.write(obstore.get(bucket, one["path"], options=piece).bytes())
                    if done % _TOLD_BYTES < _PIECE_BYTES and done > _PIECE_BYTES:
                        log.info("fetching the model", model=url, bytes=total, done=done)
        (Path(scratch) / copy.name).rename(copy)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
