"""More pictures without a leaf, made from the training photos and from nothing, so that rejection is general."""

import numpy as np
from PIL import Image, ImageFilter

from data import Bytes, Ints
from drawn import DRAWINGS, Random, any_colour, plain

# Shares of the kinds made from photos; what is left is drawn.
RECOMBINED_SHARE = 0.5
GREEN_BEHIND_SHARE = 0.3


def recoloured(random: Random, scene: Image.Image, leaf: Image.Image) -> Image.Image:
    """Give a scene other colours: another hue, a leaf's colours, grey, or its negative."""
    kind = random.integers(5)
    if kind == 0:
        hue, saturation, value = scene.convert("HSV").split()
        turned = hue.point(lambda level, turn=int(random.integers(1, 256)): (level + turn) % 256)
        return Image.merge("HSV", (turned, saturation, value)).convert("RGB")
    if kind == 1:
        return scene.convert("L").convert("RGB")
    if kind == 2:
        return Image.fromarray(255 - np.asarray(scene))
    pixels, colours = np.asarray(scene, np.float32), np.asarray(leaf, np.float32)
    mean, spread = pixels.mean((0, 1)), pixels.std((0, 1)) + 1
    wanted = (pixels - mean) / spread * colours.std((0, 1)) + colours.mean((0, 1))
    return Image.fromarray(np.clip(wanted, 0, 255).astype(np.uint8))


def close_up(random: Random, scene: Image.Image) -> Image.Image:
    """Fill the frame with a small part of a scene: skin, cloth, paint, stone, sky."""
    side = scene.width * random.uniform(0.15, 0.5)
    left, top = random.uniform(0, scene.width - side, 2)
    return scene.resize(scene.size, Image.Resampling.BICUBIC, (left, top, left + side, top + side))


def collage(random: Random, one: Image.Image, two: Image.Image) -> Image.Image:
    """Put two scenes beside each other, at the edge of a frame."""
    out, px = one.copy(), one.width
    cut = int(px * random.uniform(0.2, 0.8))
    out.paste(two.resize((px, cut)) if random.random() < 0.5 else two.resize((cut, px)), (0, 0))
    return out


def cut_out(random: Random, texture: Image.Image, mask: Bytes, behind: Image.Image) -> Image.Image:
    """Lay a leaf-shaped piece of something else on paper, so that the shape alone is no leaf."""
    shape = Image.fromarray(mask).filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.5)))
    return Image.composite(texture, behind, shape)


class Negatives:
    """Makes pictures without leaf from photos uint8 (N,S,S,3) and the masks (N,S,S) of outlined leaves."""

    def __init__(self, images: Bytes, scenes: Ints, greens: Ints, masks: Bytes, outlined: Ints) -> None:
        """Say which photos show no leaf, which are green fields, and which have an outline."""
        self.images, self.scenes, self.greens = images, scenes, greens
        self.masks, self.outlines = masks, np.flatnonzero(outlined)
        self.px = images.shape[1]

    def _photo(self, random: Random, rows: Ints) -> Image.Image:
        """Take one photo out of some."""
        return Image.fromarray(self.images[random.choice(rows)])

    def _drawn(self, random: Random) -> Image.Image:
        """Draw a picture from nothing, sometimes before a photo."""
        green = random.random() < GREEN_BEHIND_SHARE
        behind = self._photo(random, self.greens if green else self.scenes)
        return DRAWINGS[random.integers(len(DRAWINGS))](random, self.px, behind)

    def _recombined(self, random: Random) -> Image.Image:
        """Make a new picture of scenes."""
        scene = self._photo(random, self.scenes)
        kind = random.choice(5, p=(0.35, 0.2, 0.12, 0.2, 0.13))
        if kind == 0:
            leaf = self._photo(random, self.greens if random.random() < 0.5 else self.outlines)
            return recoloured(random, scene, leaf)
        if kind == 1:
            return recoloured(random, close_up(random, scene), scene)
        if kind == 2:
            return collage(random, scene, self._photo(random, self.scenes))
        if kind == 3:
            return close_up(random, scene)
        texture = close_up(random, scene) if random.random() < 0.7 else self._drawn(random)
        if random.random() < 0.3:
            texture = Image.new("RGB", texture.size, any_colour(random, 0.5))
        behind = plain(random, self.px) if random.random() < 0.7 else scene
        return cut_out(random, texture, self.masks[random.choice(self.outlines)], behind)

    def make(self, count: int, seed: int) -> Bytes:
        """Make pictures uint8 (count,S,S,3); the same seed gives the same pictures."""
        out = np.empty((count, self.px, self.px, 3), np.uint8)
        for index in range(count):
            random = np.random.default_rng([seed, index])
            recombined = random.random() < RECOMBINED_SHARE
            out[index] = np.asarray(self._recombined(random) if recombined else self._drawn(random))
        return out
