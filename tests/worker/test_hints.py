"""A photo that was spoiled on purpose gets the hint for it, a good one gets none."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageFilter

from tests.worker.bench import card
from worker.hints import image_hints
from worker.preprocessing import pixels_for_prediction

_EXAMPLES = Path(__file__).parents[2] / "api" / "static" / "examples"
_PHOTOS = sorted(_EXAMPLES.glob("*.jpg"))
_CONTRACTS: dict[str, dict[str, object]] = {
    "averaged": {},
    "sampled": {"antialias": False},
    "padded": {"fit": "pad", "width_px": 200},
    "cropped": {"fit": "crop", "width_px": 120},
    "grey": {"channels": 1},
}


def _codes(image: Image.Image, **changes: object) -> list[str]:
    contract = card(**{"width_px": 180, "height_px": 180, **changes})
    return [hint["code"] for hint in image_hints(pixels_for_prediction(image, contract), image.size, contract)]


def _photo(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(0.03 * min(image.size)))


@pytest.mark.parametrize("contract", _CONTRACTS)
@pytest.mark.parametrize("path", _PHOTOS, ids=lambda path: path.stem)
def test_a_good_photo_gets_no_hint_whatever_the_model_takes(path: Path, contract: str) -> None:
    assert _codes(_photo(path), **_CONTRACTS[contract]) == []


@pytest.mark.parametrize("contract", _CONTRACTS)
@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda image: image.point(lambda value: value * 0.15), "too_dark"),
        (lambda image: image.point(lambda value: 255 * (value / 255) ** 0.15), "too_bright"),
        (_blurred, "too_blurred"),
        (lambda image: image.resize((100, 90)), "too_small"),
    ],
    ids=["dark", "bright", "blurred", "small"],
)
def test_a_spoiled_photo_gets_its_hint(spoil: Callable[[Image.Image], Image.Image], code: str, contract: str) -> None:
    for path in _PHOTOS:
        assert code in _codes(spoil(_photo(path)), **_CONTRACTS[contract])


def test_a_hint_says_what_was_measured_and_what_would_do() -> None:
    contract = card(width_px=500, height_px=720)
    image = _photo(_PHOTOS[0]).resize((300, 400))
    found = image_hints(pixels_for_prediction(image, contract), image.size, contract)
    small = next(hint for hint in found if hint["code"] == "too_small")
    assert (small["value"], small["limit"]) == (300, 500)
    assert "300 pixels" in small["text"]


@pytest.mark.parametrize("size_px", [(1, 1), (2, 300), (16, 16)])
@pytest.mark.parametrize("fit", ["stretch", "pad"])
def test_no_picture_is_too_odd_to_be_looked_at(size_px: tuple[int, int], fit: str) -> None:
    assert "too_dark" in _codes(Image.new("RGB", size_px), width_px=2, height_px=1, fit=fit)
