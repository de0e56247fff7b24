"""ResNet-18 (He et al. 2016, table 1), for 32 x 32 images and for ImageNet."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import keras
from pydantic import Field
from pydantic.dataclasses import dataclass

from cifarcam._settings import CONFIG, Number
from cifarcam.models.layers import FusedBatchNormalization

STAGES = (64, 128, 256, 512)  # channels; two blocks each


@dataclass(frozen=True, config=CONFIG)
class Options:
    """The momentum of the moving averages of batch normalisation, and the first layers.

    `stem` = ``"imagenet"`` takes the first layers for large images: a 7 x 7 convolution and a
    pooling, each with a stride of 2, so that the last feature map has a single position.
    """

    bn_momentum: Annotated[Number, Field(ge=0, le=0.9999)] = 0.9
    stem: Literal["cifar", "imagenet"] = "cifar"

    @property
    def smallest_image(self) -> int:
        """1 pixel: strides leave at least one position, and the mean takes any number of them."""
        return 1


def build(options: Options) -> keras.Model:
    """ResNet-18 for CIFAR-10: the first convolution is 3 x 3, without pooling.

    So the last feature map has 4 x 4 positions. The stem for ImageNet is an option.

    Input: pixels 0-255, N x 32 x 32 x 3. Output: class probabilities, N x 10. 11,173,962
    parameters are trained.
    """
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 64, offset=-2.0, name="rescaling")(image)
    if options.stem == "imagenet":
        x = _imagenet_stem(x, options.bn_momentum)
    else:
        x = _convolution(x, 64, 3, 1, "conv1")
        x = _normalized(x, options.bn_momentum, "bn1")
        x = keras.layers.ReLU(name="relu1")(x)
    x = _stages(x, options.bn_momentum)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    x = keras.layers.Dense(10, dtype="float32", name="logits")(x)
    x = keras.layers.Softmax(dtype="float32", name="softmax")(x)
    return keras.Model(image, x, name="resnet18")


def build_imagenet() -> keras.Model:
    """ResNet-18 for ImageNet, 11,689,512 trained parameters.

    Input: pixels 0-255, N x 224 x 224 x 3, which its first layer normalises by the mean and
    standard deviation of ImageNet's channels. Output: class probabilities, N x 1000.
    """
    image = keras.Input((224, 224, 3), name="image")
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    x = keras.layers.Rescaling(
        [1 / (255 * d) for d in deviation],
        [-m / d for m, d in zip(mean, deviation, strict=True)],
        name="rescaling",
    )(image)
    x = _imagenet_stem(x, 0.9)
    x = _stages(x, 0.9)
    x = keras.layers.GlobalAveragePooling2D(name="average")(x)
    x = keras.layers.Dense(1000, dtype="float32", name="logits")(x)
    x = keras.layers.Softmax(dtype="float32", name="softmax")(x)
    return keras.Model(image, x, name="resnet18_imagenet")


def _imagenet_stem(x: Any, momentum: float) -> Any:
    x = _convolution(x, 64, 7, 2, "conv1")
    x = _normalized(x, momentum, "bn1")
    x = keras.layers.ReLU(name="relu1")(x)
    # The values are not negative, so that zeros at the border never become a maximum.
    x = keras.layers.ZeroPadding2D(1, name="pool1_padding")(x)
    return keras.layers.MaxPooling2D(3, 2, name="pool1")(x)


def _stages(x: Any, momentum: float) -> Any:
    for stage, channels in enumerate(STAGES, start=1):
        for block in (1, 2):
            stride = 2 if stage > 1 and block == 1 else 1
            x = _block(x, channels, stride, momentum, f"stage{stage}_block{block}")
    return x


def _block(x: Any, channels: int, stride: int, momentum: float, name: str) -> Any:
    """Two 3 x 3 convolutions and a shortcut, projected where the shape changes (option B)."""
    shortcut = x
    if stride > 1:
        shortcut = _convolution(x, channels, 1, stride, f"{name}_shortcut")
        shortcut = _normalized(shortcut, momentum, f"{name}_shortcut_bn")
    x = _convolution(x, channels, 3, stride, f"{name}_conv1")
    x = _normalized(x, momentum, f"{name}_bn1")
    x = keras.layers.ReLU(name=f"{name}_relu1")(x)
    x = _convolution(x, channels, 3, 1, f"{name}_conv2")
    x = _normalized(x, momentum, f"{name}_bn2")
    x = keras.layers.Add(name=f"{name}_add")([x, shortcut])
    return keras.layers.ReLU(name=f"{name}_relu2")(x)


def _convolution(x: Any, channels: int, size: int, stride: int, name: str) -> Any:
    """A convolution padded equally on all sides, as the published weights expect.

    Keras's "same" pads unequally where the stride is 2.
    """
    if stride > 1 and size > 1:
        x = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_padding")(x)
    return keras.layers.Conv2D(
        channels,
        size,
        stride,
        padding="valid" if stride > 1 else "same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _normalized(x: Any, momentum: float, name: str) -> Any:
    return FusedBatchNormalization(momentum=momentum, epsilon=1e-5, name=name)(x)
