"""The model's answers to the photos under each contract: every photo is resized once for all that share its pixels."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from shared.cards import Card
from shared.errors import ModelFault, OperatorError
from shared.imagefile import open_image
from worker.check.contracts import RESHAPED, STRAIGHT, SWAPPED, TRANSPOSED, Contract
from worker.check.evidence import Floats, Ints
from worker.check.photos import Photo
from worker.interpretation import class_probabilities
from worker.preprocessing import pixels_for_prediction
from worker.registry import ServedModel
from worker.resizing import Float32Array, Pixels
from worker.scaling import scale_pixels

Show = Callable[[int, int, str], None]  # done, in all, what is done now

_CHUNK = 16  # photos whose pixels are in memory at once
_ORIENTATION = 0x0112


@dataclass(slots=True)
class Answers:
    """Asks the model, and remembers."""

    model: ServedModel
    photos: list[Photo]  # those that can be decoded, once `first` has run
    show: Show
    swapped: ServedModel | None = None  # the same model for pictures of height × width, if it takes them
    undecodable: list[str] = field(default_factory=list)
    turned: bool = False  # some photo says in EXIF that it has to be turned
    faults: int = 0  # answers that were no probabilities
    fault: str = ""  # what the first of them was instead
    seconds_per_answer: float = 0.0
    _known: dict[tuple[object, ...], Floats] = field(default_factory=dict)  # (photos, outputs), NaN where not asked
    _done: int = 0
    _planned: int = 0

    @property
    def truth(self) -> Ints:
        """The true class of each photo, as its place among the declared labels."""
        return np.array([photo.label for photo in self.photos], np.int64)

    def plan(self, answers: int) -> None:
        """Announces so many more answers, for the progress that is shown."""
        self._planned += answers

    def first(self, declared: Contract) -> None:
        """Asks under the declared contract, drops the photos that cannot be decoded, and takes the time.

        Raises:
            OperatorError: not one photo can be decoded.
        """
        kept, rows, started = [], [], time.perf_counter()
        for photo in self.photos:
            try:
                with open_image(photo.path) as image:
                    pixels = _scaled(_pixels(image, declared), declared.card)
                    self.turned = self.turned or _is_turned(image)
            except Exception as error:  # whatever a decoder raises, it is this photo's fault
                self.undecodable.append(f"{photo.path}: {str(error) or type(error).__name__}")
            else:
                kept.append(photo)
                rows.append(self._ask(pixels[None], declared))
            self._tell("as declared")
        if not kept:
            raise OperatorError(f"None of the {len(self.photos)} photos can be decoded: {self.undecodable[0]}.")
        self.seconds_per_answer = (time.perf_counter() - started) / len(self.photos)
        self.photos = kept
        self._known[declared.feeding] = np.concatenate(rows)

    def get(self, contracts: Iterable[Contract], photos: Ints, doing: str) -> list[Floats]:
        """The probabilities under each contract, (photos, labels), of some photos."""
        contracts = list(contracts)
        for contract in contracts:
            if contract.feeding not in self._known:
                empty = np.full((len(self.photos), len(contract.card.labels)), np.nan)
                self._known[contract.feeding] = empty
        for at in range(0, len(photos), _CHUNK):
            self._fill(contracts, photos[at : at + _CHUNK], doing)
        return [self._known[contract.feeding][photos] for contract in contracts]

    def _fill(self, contracts: list[Contract], photos: Ints, doing: str) -> None:
        groups: dict[tuple[object, ...], list[Contract]] = defaultdict(list)
        for contract in contracts:
            groups[contract.geometry].append(contract)
        for group in groups.values():
            known = [self._known[contract.feeding] for contract in group]
            asked = [place for place in photos if any(np.isnan(answers[place]).any() for answers in known)]
            if not asked:
                continue
            pixels = [_read(self.photos[place], group[0]) for place in asked]
            for contract, answers in zip(group, known, strict=True):  # one by one: of VGG16 a batch takes 70 MB
                answers[asked] = self._ask(np.stack([_scaled(one, contract.card) for one in pixels]), contract)
                self._tell(doing, len(asked))

    def _ask(self, batch: Float32Array, contract: Contract) -> Floats:
        card, model = contract.card, self.model
        if contract.layout == SWAPPED and self.swapped:
            model = self.swapped
        rows = np.empty((len(batch), len(card.labels)))
        for place, outputs in enumerate(model.engine.predict(batch)):
            try:
                rows[place] = class_probabilities(outputs, card)
            except ModelFault as error:  # under a wrong contract the numbers may run away: that is no answer
                rows[place] = 1 / len(card.labels)
                self.faults += 1
                self.fault = self.fault or error.detail
        return rows

    def _tell(self, doing: str, answers: int = 1) -> None:
        self._done += answers
        left = (self._planned - self._done) * self.seconds_per_answer
        self.show(self._done, max(self._planned, self._done), f"{doing}, {_duration(left)} left" if left > 0 else doing)


def seen_by_the_model(photo: Photo, contract: Contract) -> Float32Array:
    """The model's input for a photo, (height, width, channels)."""
    return _scaled(_read(photo, contract), contract.card)


def _read(photo: Photo, contract: Contract) -> Pixels:
    with open_image(photo.path) as image:
        return _pixels(image, contract)


def _scaled(pixels: Pixels, card: Card) -> Float32Array:
    scaled = np.empty(pixels.shape, np.float32)
    scale_pixels(pixels, card, scaled)
    return scaled


def _pixels(image: Image.Image, contract: Contract) -> Pixels:
    card = contract.card
    if contract.layout == STRAIGHT:
        return pixels_for_prediction(image, card)
    pixels = pixels_for_prediction(image, replace(card, width_px=card.height_px, height_px=card.width_px))
    if contract.layout == TRANSPOSED:
        return pixels.transpose(1, 0, 2)
    if contract.layout == RESHAPED:
        return pixels.reshape(card.height_px, card.width_px, card.channels)
    return pixels


def _is_turned(image: Image.Image) -> bool:
    try:
        return image.getexif().get(_ORIENTATION, 1) in range(2, 9)
    except Exception:  # Pillow's EXIF reader raises whatever a broken tag makes it raise
        return False


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
