"""The network: a small residual convolutional net, made of ordinary layers only."""

import keras
from keras import layers

STAGES = ((32, 1), (64, 1), (128, 1), (224, 1))
STEM_FILTERS = 24
DROPOUT = 0.3


def _conv_bn(x: keras.KerasTensor, filters: int, size: int, stride: int, relu: bool = True) -> keras.KerasTensor:
    """Convolve (B,H,W,C) to (B,H/stride,W/stride,filters) and normalise it."""
    x = layers.Conv2D(filters, size, stride, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    x = layers.BatchNormalization(momentum=0.95)(x)
    return layers.ReLU()(x) if relu else x


def _residual(x: keras.KerasTensor, filters: int, stride: int) -> keras.KerasTensor:
    """Add two 3x3 convolutions to their own input, (B,H,W,C) to (B,H/stride,W/stride,filters)."""
    short = x
    if stride > 1:
        short = layers.AveragePooling2D(stride, padding="same")(short)
    if x.shape[-1] != filters:
        short = _conv_bn(short, filters, 1, 1, relu=False)
    x = _conv_bn(x, filters, 3, stride)
    x = _conv_bn(x, filters, 3, 1, relu=False)
    return layers.ReLU()(layers.Add()([x, short]))


def build_network(
    width_px: int | None,
    height_px: int | None,
    outputs: int,
    stages: tuple[tuple[int, int], ...] = STAGES,
) -> keras.Model:
    """Build the classifier from float32 (B,H,W,3) in 0..1 to softmax (B,outputs)."""
    inputs = keras.Input((height_px, width_px, 3), name="image")
    x = _conv_bn(inputs, STEM_FILTERS, 3, 2)
    for filters, blocks in stages:
        for index in range(blocks):
            x = _residual(x, filters, 2 if index == 0 else 1)
    # The maximum sees a single small spot that the average over a whole leaf would drown.
    pooled = [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    x = layers.Concatenate()(pooled)
    x = layers.Dropout(DROPOUT)(x)
    x = layers.Dense(outputs, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, x, name="leaf_health")
