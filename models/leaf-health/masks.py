"""Which part of a photo to keep when its background is exchanged."""

import numpy as np
from scipy import ndimage

from data import NOT_LEAF, Bytes, Ints

# A lab photo shows no leaf along its border and one leaf of moderate size inside.
MAX_BORDER_SHARE = 0.12
MIN_LEAF_SHARE = 0.08
MAX_LEAF_SHARE = 0.80
YELLOWNESS = 16.0
# Square of the outline length over the area: 13 for a disc, 30 for a slender leaf, more if torn.
MAX_RAGGEDNESS = 50.0
# Paper is even and never yellow, unlike soil, grass and other leaves.
MAX_PAPER_SPREAD = 12.0
MAX_PAPER_YELLOWNESS = 14.0


def plain_leaf_mask(image: Bytes) -> Bytes | None:
    """Find the leaf on plain paper in uint8 (px,px,3): 255 on the leaf, or None if unsure."""
    pixels = ndimage.uniform_filter(image.astype(np.float32), size=(3, 3, 1))
    # Paper and its shadow are grey to violet; leaves, also brown spots, are yellower than paper.
    yellow = (pixels[..., 0] + pixels[..., 1]) / 2 - pixels[..., 2]
    frame = np.concatenate([yellow[0], yellow[-1], yellow[:, 0], yellow[:, -1]])
    paper = float(np.median(frame))
    spread = float(np.median(np.abs(frame - paper)))
    if paper > MAX_PAPER_YELLOWNESS or spread > MAX_PAPER_SPREAD / 3:
        return None
    leaf = yellow > paper + YELLOWNESS
    leaf = ndimage.binary_opening(leaf, iterations=1)
    parts, count = ndimage.label(leaf)
    if count == 0:
        return None
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    leaf = ndimage.binary_closing(np.pad(parts == sizes.argmax(), 8), iterations=6)[8:-8, 8:-8]
    # White mildew inside the leaf looks like paper: it comes back as a filled hole.
    leaf = ndimage.binary_fill_holes(leaf)
    border = np.concatenate([leaf[0], leaf[-1], leaf[:, 0], leaf[:, -1]])
    outline = int(leaf.sum() - ndimage.binary_erosion(leaf).sum())
    if outline**2 > MAX_RAGGEDNESS * leaf.sum():
        return None
    if border.mean() > MAX_BORDER_SHARE or not MIN_LEAF_SHARE < leaf.mean() < MAX_LEAF_SHARE:
        return None
    return np.where(ndimage.binary_dilation(leaf, iterations=1), 255, 0).astype(np.uint8)


def centre_mask(px: int) -> Bytes:
    """Keep a soft ellipse in the middle of a photo, uint8 (px,px)."""
    axis = (np.arange(px) + 0.5) / px * 2 - 1
    radius = np.hypot(axis[:, None], axis[None, :])
    return (np.clip((1.05 - radius) / 0.25, 0, 1) * 255).astype(np.uint8)


def keep_masks(images: Bytes, labels: Ints) -> tuple[Bytes, Ints]:
    """Make uint8 masks (N,px,px) and list which (N,) follow a leaf outline (1) or the centre (0)."""
    px = images.shape[1]
    masks = np.empty(images.shape[:3], np.uint8)
    outlined = np.zeros(len(images), np.int64)
    fallback = centre_mask(px)
    for index, image in enumerate(images):
        found = None if labels[index] == NOT_LEAF else plain_leaf_mask(image)
        masks[index] = fallback if found is None else found
        outlined[index] = found is not None
    return masks, outlined
