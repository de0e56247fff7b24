"""AlexNet, as Krizhevsky, Sutskever and Hinton (2012), section 3.5, describe it for ImageNet."""

from __future__ import annotations

import keras


def build_imagenet() -> keras.Model:
    """Five convolutions and three dense layers, 60,965,224 parameters.

    Input: N x 227 x 227 x 3 (the paper's 224 leaves its own strides unmatched); output: N x 1000.
    The paper spreads the network over two GPUs, so that conv2, conv4 and conv5 see half of the
    feature maps before them: here these are convolutions in two groups. Its local response
    normalisation has no parameters and is left out. Meant for counting and drawing; TensorFlow
    runs grouped convolutions on a GPU only.
    """
    layers: list[keras.layers.Layer] = [keras.Input((227, 227, 3), name="image")]
    convolutions = (
        ("conv1", 96, 11, 4, "valid", 1, True),
        ("conv2", 256, 5, 1, "same", 2, True),
        ("conv3", 384, 3, 1, "same", 1, False),
        ("conv4", 384, 3, 1, "same", 2, False),
        ("conv5", 256, 3, 1, "same", 2, True),
    )
    for name, filters, size, stride, padding, groups, pooled in convolutions:
        layers.append(
            keras.layers.Conv2D(
                filters, size, stride, padding, groups=groups, activation="relu", name=name
            )
        )
        if pooled:
            layers.append(keras.layers.MaxPooling2D(3, 2, name=name.replace("conv", "pool")))
    layers.append(keras.layers.Flatten(name="flatten"))
    for name in ("fc6", "fc7"):
        layers.append(keras.layers.Dense(4096, activation="relu", name=name))
        layers.append(keras.layers.Dropout(0.5, name=name.replace("fc", "dropout")))
    layers.append(keras.layers.Dense(1000, activation="softmax", name="fc8"))
    return keras.Sequential(layers, name="alexnet")
