"""JPEGs with smooth structure and some noise, the same ones every time."""

from pathlib import Path

import numpy as np
from PIL import Image

from bench.workloads import Pictures

_OCTAVES = ((4, 45.0), (16, 22.0), (64, 11.0))  # cells across the picture, and the deviation of their brightness
_COARSER = 4  # the structure is made at this fraction of the size: what is finer is noise
_GRAIN_PX = 1024


def make_pictures(pictures: Pictures, folder: Path) -> None:
    """Writes them as 00.jpg, 01.jpg, …"""
    folder.mkdir(parents=True)
    for number in range(pictures.distinct):
        made = _picture(pictures, np.random.default_rng(number))
        made.save(folder / f"{number:02}.jpg", "JPEG", quality=pictures.quality)


def _picture(pictures: Pictures, random: np.random.Generator) -> Image.Image:
    coarse_size = (pictures.width_px // _COARSER, pictures.height_px // _COARSER)
    structure = np.full((coarse_size[1], coarse_size[0], 3), 128.0, np.float32)
    for channel in range(3):
        for cells, deviation in _OCTAVES:
            patch = Image.fromarray(random.normal(0.0, deviation, (cells, cells)).astype(np.float32))
            structure[..., channel] += np.asarray(patch.resize(coarse_size, Image.Resampling.BICUBIC))
    smooth = Image.fromarray(structure.clip(0, 255).astype(np.uint8))
    smooth = smooth.resize((pictures.width_px, pictures.height_px), Image.Resampling.BICUBIC)
    grain = random.normal(0.0, pictures.noise, (_GRAIN_PX, _GRAIN_PX)).astype(np.int16)
    rows, columns = -(-pictures.height_px // _GRAIN_PX), -(-pictures.width_px // _GRAIN_PX)
    grain = np.tile(grain, (rows, columns))[: pictures.height_px, : pictures.width_px, np.newaxis]
    return Image.fromarray((np.asarray(smooth, np.int16) + grain).clip(0, 255).astype(np.uint8))
