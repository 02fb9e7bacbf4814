"""Hard augmentation of whole batches, so that neither place, crop, paper nor camera decides."""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

Tensor = Any

# Shares of a batch that get each change.
EXCHANGE_LAB = 0.7
EXCHANGE_FIELD = 0.2
ERASE = 0.3
GREY = 0.05
SHADOW = 0.25
RECOLOUR = 0.15


@dataclass(frozen=True)
class Warp:
    """Ranges of the random view: natural-log zoom and aspect, turn in radians."""

    zoom_low: float
    zoom_high: float
    aspect: float
    turn: float


PHOTO_WARP = Warp(zoom_low=-0.6, zoom_high=0.3, aspect=0.45, turn=0.3)
BACKGROUND_WARP = Warp(zoom_low=-1.0, zoom_high=0.0, aspect=0.3, turn=0.2)


class Augmenter:
    """Turns uint8 photos of any square size into float32 training pictures of one size."""

    def __init__(self, px: int, seed: int, strength: float = 1.0) -> None:
        """Set the output side in pixels, the seed, and how strong the changes are, 0 to 1."""
        self.px, self.strength = px, strength
        self.random = tf.random.Generator.from_seed(seed, alg="philox")

    def reseed(self, seed: int) -> None:
        """Start the random stream of one epoch."""
        self.random.reset_from_seed(seed)

    def _uniform(self, shape: list[Any], low: float = 0.0, high: float = 1.0) -> Tensor:
        """Draw float32 numbers of a shape, evenly between low and high."""
        return self.random.uniform(shape, low, high)

    def _within(self, shape: list[Any], low: float, high: float) -> Tensor:
        """Draw from a range around zero that shrinks with the strength."""
        return self._uniform(shape, low * self.strength, high * self.strength)

    def _chance(self, count: Tensor, share: float) -> Tensor:
        """Draw 1.0 with the given chance and else 0.0, (B,1,1,1)."""
        return tf.cast(self._uniform([count, 1, 1, 1]) < share, tf.float32)

    def _view(self, images: Tensor, warp: Warp) -> Tensor:
        """Look at (B,S,S,C) through a random turned, flipped, zoomed, tilted window, (B,px,px,C)."""
        count = tf.shape(images)[0]
        side = tf.cast(tf.shape(images)[1], tf.float32)
        zoom = self._within([count], warp.zoom_low, warp.zoom_high)
        aspect = self._within([count], -warp.aspect, warp.aspect)
        wide, high = tf.exp(zoom + aspect / 2), tf.exp(zoom - aspect / 2)
        quarter = tf.floor(self._uniform([count], 0.0, 4.0)) * 1.5707964
        angle = quarter + self._within([count], -warp.turn, warp.turn)
        flip = tf.where(self._uniform([count]) < 0.5, -1.0, 1.0)
        unit = side / self.px
        a0, a1 = wide * flip * tf.cos(angle) * unit, -high * tf.sin(angle) * unit
        b0, b1 = wide * flip * tf.sin(angle) * unit, high * tf.cos(angle) * unit
        room = tf.maximum(1.0 - tf.exp(zoom), 0.0) / 2 + 0.05
        shift_x = self._uniform([count], -1.0, 1.0) * room * side
        shift_y = self._uniform([count], -1.0, 1.0) * room * side
        middle = (self.px - 1) / 2
        a2 = (side - 1) / 2 + shift_x - (a0 + a1) * middle
        b2 = (side - 1) / 2 + shift_y - (b0 + b1) * middle
        tilt = self._within([count, 2], -0.15, 0.15) / self.px
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=tf.stack([a0, a1, a2, b0, b1, b2, tilt[:, 0], tilt[:, 1]], axis=1),
            output_shape=[self.px, self.px],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="REFLECT",
        )

    def _light(self, x: Tensor, light: float, balance: float) -> Tensor:
        """Change exposure and white balance of (B,H,W,3)."""
        count = tf.shape(x)[0]
        gain = self._within([count, 1, 1, 1], -light, light)
        return x * tf.exp(gain + self._within([count, 1, 1, 3], -balance, balance))

    def _colour(self, x: Tensor) -> Tensor:
        """Change light, white balance, contrast, saturation, primaries and tone of (B,H,W,3) in 0..1."""
        count = tf.shape(x)[0]
        x = self._light(x, 0.35, 0.15)
        # A parabola bends the tones much like a gamma curve and costs a tenth of a power.
        x = x + self._within([count, 1, 1, 1], -0.3, 0.3) * x * (1.0 - x)
        mean = tf.reduce_mean(x[:, ::4, ::4], axis=[1, 2, 3], keepdims=True)
        grey = tf.reduce_mean(x, axis=3, keepdims=True)
        contrast = tf.exp(self._within([count, 1, 1, 1], -0.35, 0.3))
        colour = contrast * tf.exp(self._within([count, 1, 1, 1], -0.5, 0.3))
        # Cameras differ in their primaries: the three differences from grey run into each other a little.
        tint = x - grey
        tint = tint + self._within([count, 1, 1, 3], -0.15, 0.15) * tf.roll(tint, 1, axis=3)
        colour = colour * (1.0 - self._chance(count, GREY))
        return mean + contrast * (grey - mean) + colour * tint

    def _recolour(self, x: Tensor, not_leaf: Tensor) -> Tensor:
        """Give some of (B,H,W,3) the mean and spread of its neighbour's colours: leaves half, other things all."""
        count = tf.shape(x)[0]
        seen = x[:, ::4, ::4]
        mean = tf.reduce_mean(seen, axis=[1, 2], keepdims=True)
        spread = tf.math.reduce_std(seen, axis=[1, 2], keepdims=True) + 0.02
        ratio = tf.clip_by_value(tf.roll(spread, 1, axis=0) / spread, 0.5, 2.0)
        other = (x - mean) * ratio + tf.roll(mean, 1, axis=0)
        bare = not_leaf[:, None, None, None]
        amount = self._chance(count, RECOLOUR) * self._uniform([count, 1, 1, 1]) * (0.4 + 0.6 * bare)
        return x + amount * (other - x)

    def _shadow(self, x: Tensor) -> Tensor:
        """Let light fall off across some of (B,H,W,3), from a soft slope to the edge of a shadow."""
        count = tf.shape(x)[0]
        axis = tf.linspace(-1.0, 1.0, self.px)
        turn = self._uniform([count, 1, 1], 0.0, 6.2832)
        across = axis[None, :, None] * tf.cos(turn) + axis[None, None, :] * tf.sin(turn)
        sharp = tf.exp(self._uniform([count, 1, 1], 0.3, 3.5))
        dark = tf.sigmoid((across - self._uniform([count, 1, 1], -0.8, 0.8)) * sharp)[..., None]
        depth = self._chance(count, SHADOW) * self._within([count, 1, 1, 1], 0.0, 0.7)
        return x * (1.0 - depth * dark)

    def _noise(self, count: Tensor) -> tuple[Tensor, Tensor]:
        """Make sensor noise for some of the batch, (B,1,1,1) times one field (1,px,px,3)."""
        # Even noise of twice the amplitude looks like Gaussian noise and is cheaper.
        amount = self._chance(count, 0.3 * self.strength) * self._uniform([count, 1, 1, 1], 0.0, 0.08)
        return amount, self._uniform([1, self.px, self.px, 3], -1.0, 1.0)

    def _erase(self, x: Tensor) -> Tensor:
        """Cover one random corner or border patch of (B,H,W,3) with a flat colour, twice."""
        count = tf.shape(x)[0]
        axis = tf.reshape((tf.range(self.px, dtype=tf.float32) + 0.5) / self.px, [1, self.px])
        for _ in range(2):
            size = self._uniform([count, 2], 0.1, 0.38)
            # The centre of a patch lies on the frame, so the leaf itself mostly stays in view.
            along = self._uniform([count, 1])
            edge = tf.cast(self._uniform([count, 1]) < 0.5, tf.float32)
            swap = self._uniform([count, 1]) < 0.5
            row = tf.where(swap, along, edge)
            column = tf.where(swap, edge, along)
            inside_y = tf.cast(tf.abs(axis - row) < size[:, :1], tf.float32)
            inside_x = tf.cast(tf.abs(axis - column) < size[:, 1:], tf.float32)
            patch = inside_y[:, :, None, None] * inside_x[:, None, :, None]
            patch = patch * self._chance(count, ERASE * self.strength)
            x = x + patch * (self._uniform([count, 1, 1, 3]) - x)
        return x

    def _behind(self, backgrounds: Tensor, exchange: Tensor) -> Tensor:
        """View backgrounds (B,S,S,3) where exchange (B,) is set, and black elsewhere, in 0..255."""
        # Only pictures that need a background pay for one.
        chosen = tf.where(exchange > 0)
        view = self._view(tf.gather_nd(backgrounds, chosen), BACKGROUND_WARP)
        shape = tf.cast([tf.shape(backgrounds)[0], self.px, self.px, 3], tf.int64)
        return tf.scatter_nd(chosen, tf.cast(view, tf.float32), shape)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def __call__(
        self,
        photos: Tensor,
        masks: Tensor,
        lab: Tensor,
        backgrounds: Tensor,
        not_leaf: Tensor,
    ) -> Tensor:
        """Mix uint8 (B,S,S,3), masks (B,S,S) and backgrounds (B,S,S,3) to float32 (B,px,px,3)."""
        count = tf.shape(photos)[0]
        layers = tf.concat([photos, masks[..., None]], axis=3)
        share = tf.where(lab > 0, EXCHANGE_LAB, EXCHANGE_FIELD)
        exchange = tf.cast(self._uniform([count]) < share, tf.float32)
        layers = self._view(layers, PHOTO_WARP)
        behind = self._behind(backgrounds, exchange)
        return self._finish(layers, behind, exchange, not_leaf, *self._noise(count))

    @tf.function(jit_compile=True)  # type: ignore[untyped-decorator]
    def _finish(
        self,
        layers: Tensor,
        behind: Tensor,
        exchange: Tensor,
        not_leaf: Tensor,
        amount: Tensor,
        field: Tensor,
    ) -> Tensor:
        """Lay uint8 (B,px,px,4) over (B,px,px,3), then change palette, corners, light and colours."""
        layers = tf.cast(layers, tf.float32) / 255.0
        # A background of its own light keeps the seam from giving the exchange away.
        behind = self._light(behind / 255.0, 0.4, 0.2)
        keep = 1.0 - exchange[:, None, None, None] * (1.0 - layers[..., 3:])
        x = keep * layers[..., :3] + (1.0 - keep) * behind
        x = self._erase(self._recolour(x, not_leaf))
        return tf.clip_by_value(self._colour(self._shadow(x)) + amount * field, 0.0, 1.0)
