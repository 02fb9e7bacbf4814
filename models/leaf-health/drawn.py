"""Pictures without a leaf that no camera took: pages, shapes, patterns, clouds of colour, blossoms, balls and scans."""

import colorsys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy import ndimage

Random = np.random.Generator
Colour = tuple[int, int, int]
Drawing = Callable[[Random, int, Image.Image], Image.Image]

LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyzABCDEFGHIKLMNORSTUW0123456789.,;:-"))
FONT_PX = (7, 30)


def any_colour(random: Random, green: float = 0.3) -> Colour:
    """Draw a colour; with chance `green` one that leaves have, so that green alone says nothing."""
    hue = random.uniform(0.12, 0.45) if random.random() < green else random.random()
    red, blue_green, blue = colorsys.hsv_to_rgb(hue, random.uniform(0, 1), random.uniform(0.05, 1))
    return round(red * 255), round(blue_green * 255), round(blue * 255)


def plain(random: Random, px: int) -> Image.Image:
    """Shade a sheet or wall of one colour, with a little grain."""
    axis = np.linspace(-0.5, 0.5, px)
    slope = random.uniform(-90, 90, (2, 3)) * random.random()
    shade = axis[:, None, None] * slope[0] + axis[None, :, None] * slope[1]
    pale = random.random() < 0.5
    colour = random.uniform(170, 255) + random.uniform(-15, 15, 3) if pale else np.array(any_colour(random))
    grain = random.normal(0, random.uniform(0, 8), (px, px, 1))
    return Image.fromarray(np.clip(colour + shade + grain, 0, 255).astype(np.uint8))


def cloud(random: Random, px: int, behind: Image.Image) -> Image.Image:
    """Mix three colours by noise whose spectrum falls like a photo's, from fine grain to soft clouds."""
    del behind
    frequency = np.hypot(np.fft.fftfreq(px)[:, None] * random.uniform(0.3, 3), np.fft.rfftfreq(px)[None])
    frequency[0, 0] = 1
    fall = frequency ** -random.uniform(0.3, 2.2)
    fields = []
    for _ in range(2):
        field = np.fft.irfft2(np.fft.rfft2(random.normal(size=(px, px))) * fall, (px, px))
        fields.append((field - field.min()) / (np.ptp(field) + 1e-9))
    one, two, three = (np.array(any_colour(random, 0.45), float) for _ in range(3))
    mixed = one + (two - one) * fields[0][..., None] + (three - one) * 0.5 * fields[1][..., None]
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def pattern(random: Random, px: int, behind: Image.Image) -> Image.Image:
    """Draw stripes, checks, bricks or wood grain."""
    del behind
    y, x = np.mgrid[:px, :px] / px
    turn = random.uniform(0, np.pi)
    along, across = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
    count = random.uniform(2, 28)
    kind = random.integers(4)
    if kind == 0:
        level = np.sin(along * count * 2 * np.pi)
    elif kind == 1:
        level = np.sign(np.sin(along * count * np.pi) * np.sin(across * count * np.pi))
    elif kind == 2:
        row = np.floor(across * count)
        gap = ((along * count / 2 + row * 0.5) % 1 < 0.08) | ((across * count) % 1 < 0.14)
        level = np.where(gap, -1.0, 0.6 + 0.3 * np.sin(row * 12.9 + np.floor(along * count / 2 + row * 0.5) * 78.2))
    else:
        rough = ndimage.gaussian_filter(random.normal(size=(px, px)), px / 12)
        level = np.sin((along + rough / (np.ptp(rough) + 1e-9) * random.uniform(0, 0.5)) * count * 2 * np.pi)
    one, two = (np.array(any_colour(random), float) for _ in range(2))
    mixed = one + (two - one) * (level[..., None] + 1) / 2 + random.normal(0, random.uniform(0, 12), (px, px, 1))
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def page(random: Random, px: int, behind: Image.Image) -> Image.Image:
    """Print lines of text, rules, boxes and stains of pictures on a page or a screen."""
    sheet = plain(random, px)
    draw = ImageDraw.Draw(sheet)
    dark = np.asarray(sheet).mean() < 110
    ink = tuple(int(value) for value in random.integers(200, 256, 3)) if dark else any_colour(random, 0.1)
    ink = ink if dark or random.random() < 0.3 else (30, 30, 35)
    if random.random() < 0.4:
        side = int(px * random.uniform(0.2, 0.6))
        sheet.paste(behind.resize((side, side)), tuple(int(value) for value in random.integers(0, px - side, 2)))
    y = random.uniform(0, px * 0.15)
    size = random.uniform(*FONT_PX) * px / 200
    while y < px:
        scale = size * (1.8 if random.random() < 0.1 else 1.0)
        words = "".join(random.choice([*LETTERS, " ", " ", " ", " ", " ", " "], random.integers(4, 60)))
        if random.random() < 0.85:
            draw.text((random.uniform(0, px * 0.1), y), words, ink, font=ImageFont.load_default(scale))
        elif random.random() < 0.5:
            draw.line((0, y, px, y), fill=ink, width=1)
        else:
            draw.rectangle((px * 0.1, y, px * random.uniform(0.3, 0.9), y + scale), outline=ink)
        y += scale * random.uniform(1.0, 1.6)
    return sheet.rotate(random.uniform(-12, 12), Image.Resampling.BILINEAR, fillcolor=any_colour(random))


def _outline(random: Random, centre: tuple[float, float], radius: float, corners: int, rough: float) -> list[float]:
    """Trace a star-shaped outline as x, y, x, y."""
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    radii = radius * (1 - rough * random.random(corners))
    squeeze = random.uniform(0.4, 1)
    x, y = centre[0] + radii * np.cos(angles), centre[1] + radii * np.sin(angles) * squeeze
    return [float(value) for value in np.stack([x, y], 1).ravel()]


def shapes(random: Random, px: int, behind: Image.Image) -> Image.Image:
    """Draw flat shapes and lines, as in drawings, signs and logos, some of them leaf-green."""
    sheet = behind.copy() if random.random() < 0.2 else plain(random, px)
    draw = ImageDraw.Draw(sheet)
    for _ in range(random.integers(1, 14)):
        centre = tuple(random.uniform(0, px, 2))
        radius = px * random.uniform(0.04, 0.5)
        colour = any_colour(random, 0.4)
        width = int(random.integers(1, 6))
        kind = random.integers(5)
        if kind == 0:
            box = (centre[0] - radius, centre[1] - radius / 2, centre[0] + radius, centre[1] + radius / 2)
            draw.rectangle(box, fill=colour)
        elif kind == 1:
            box = (centre[0] - radius / 2, centre[1] - radius, centre[0] + radius / 2, centre[1] + radius)
            draw.ellipse(box, fill=colour if random.random() < 0.6 else None, outline=colour, width=width)
        elif kind == 2:
            draw.polygon(_outline(random, centre, radius, int(random.integers(3, 14)), 0.5), fill=colour)
        else:
            points = np.cumsum(random.normal(0, px / 14, (int(random.integers(3, 30)), 2)), axis=0) + centre
            draw.line([tuple(point) for point in points], fill=colour, width=width, joint="curve")
    return sheet.filter(ImageFilter.GaussianBlur(random.uniform(0, 1.5)))


def _ball(random: Random, px: int, radius: float) -> tuple[Image.Image, Image.Image]:
    """Shade one ball, ellipsoid or fruit with spots and a highlight, and its mask."""
    y, x = np.mgrid[:px, :px] / px - 0.5
    centre, squeeze = random.uniform(-0.25, 0.25, 2), random.uniform(0.6, 1.4)
    a, b = (x - centre[0]) / radius, (y - centre[1]) / (radius * squeeze)
    inside = a**2 + b**2
    height = np.sqrt(np.clip(1 - inside, 0, 1))
    light = np.clip(0.45 + 0.5 * height + a * random.uniform(-0.4, 0.4) + b * random.uniform(-0.4, 0.4), 0, 1.2)
    one, two = (np.array(any_colour(random, 0.15), float) for _ in range(2))
    rough = ndimage.gaussian_filter(random.normal(size=(px, px)), random.uniform(1, px / 10))
    blend = np.clip(rough / (np.abs(rough).max() + 1e-9) * random.uniform(0, 1.5), 0, 1)[..., None]
    colour = (one + (two - one) * blend) * light[..., None]
    shine = np.exp(-((a - 0.3) ** 2 + (b + 0.3) ** 2) * 30) * random.uniform(0, 160)
    mask = Image.fromarray(((inside < 1) * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.8))
    return Image.fromarray(np.clip(colour + shine[..., None], 0, 255).astype(np.uint8)), mask


def balls(random: Random, px: int, behind: Image.Image) -> Image.Image:
    """Lay fruit-like balls on what is behind or on a plain sheet."""
    sheet = behind.copy() if random.random() < 0.6 else plain(random, px)
    for _ in range(random.integers(1, 7)):
        ball, mask = _ball(random, px, random.uniform(0.12, 0.48))
        sheet.paste(ball, (0, 0), mask)
    return sheet


def blossom(random: Random, px: int, behind: Image.Image) -> Image.Image:
    """Draw a blossom of bright petals before something out of focus."""
    sheet = behind.filter(ImageFilter.GaussianBlur(random.uniform(1, 8)))
    for _ in range(random.integers(1, 4)):
        petals, radius = int(random.integers(4, 24)), px * random.uniform(0.15, 0.5)
        centre = random.uniform(0.25, 0.75, 2) * px
        hue = random.uniform(0.5, 1.16) % 1
        for turn in np.linspace(0, 2 * np.pi, petals, endpoint=False) + random.random():
            value, vivid = random.uniform(0.6, 1), random.uniform(0.0, 1)
            colour = tuple(round(part * 255) for part in colorsys.hsv_to_rgb(hue, vivid, value))
            angles = np.linspace(0, 2 * np.pi, 20)
            away, broad = radius * (0.55 + 0.45 * np.cos(angles)), radius * 2.2 / petals * np.sin(angles)
            x = centre[0] + away * np.cos(turn) - broad * np.sin(turn)
            y = centre[1] + away * np.sin(turn) + broad * np.cos(turn)
            ImageDraw.Draw(sheet).polygon([tuple(point) for point in np.stack([x, y], 1)], fill=colour)
        eye = radius * random.uniform(0.1, 0.4)
        box = (centre[0] - eye, centre[1] - eye, centre[0] + eye, centre[1] + eye)
        ImageDraw.Draw(sheet).ellipse(box, fill=any_colour(random, 0.1))
    return sheet.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 2)))


def scan(random: Random, px: int, behind: Image.Image) -> Image.Image:
    """Draw soft bright bodies on black, as X-rays and microscopes show them."""
    del behind
    field = np.zeros((px, px))
    for _ in range(random.integers(3, 25)):
        mask = Image.new("L", (px, px))
        outline = _outline(random, tuple(random.uniform(0, px, 2)), px * random.uniform(0.03, 0.4), 12, 0.4)
        ImageDraw.Draw(mask).polygon(outline, fill=int(random.integers(20, 160)))
        field += np.asarray(mask.filter(ImageFilter.GaussianBlur(random.uniform(0.5, px / 15))), float)
    field = field / (field.max() + 1e-9) + random.normal(0, random.uniform(0, 0.06), (px, px))
    tint = np.array([255.0, 255, 255]) if random.random() < 0.6 else np.array(any_colour(random), float)
    field = 1 - field if random.random() < 0.25 else field
    return Image.fromarray(np.clip(field[..., None] * tint, 0, 255).astype(np.uint8))


DRAWINGS: tuple[Drawing, ...] = (cloud, pattern, page, shapes, balls, blossom, scan)
