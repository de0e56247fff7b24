"""Every family of keras.applications, with random weights, and models read from files.

Probabilities are compared with the model's own, and maps with a model of two outputs and a gradient
tape, the usual way to write Grad-CAM for one functional model.
"""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import applications, layers

from cifarcam import explain

CLASSES = 5
PIXELS = (0, 255)  # where the network documents that preprocessing is a part of it
FAMILIES = {  # an image size for several last positions or the least, and the documented range
    "ConvNeXtTiny": (64, PIXELS),
    "DenseNet121": (32, None),
    "EfficientNetB0": (32, PIXELS),
    "EfficientNetV2B0": (32, PIXELS),
    "InceptionResNetV2": (75, None),
    "InceptionV3": (75, None),
    "MobileNet": (32, None),
    "MobileNetV2": (32, None),
    "MobileNetV3Small": (32, PIXELS),
    "NASNetMobile": (32, None),
    "ResNet50": (32, None),
    "ResNet50V2": (32, None),
    "VGG16": (32, None),
    "Xception": (71, None),
}
REFERENCE = Path(__file__).parent / "reference"


def scores_of(end, values):
    """Scores from what goes into the last layer, an activation or a Dense layer with one."""
    if isinstance(end, layers.Activation):
        return values
    return tf.matmul(values, end.kernel) + end.bias


def named_operation(model, name):
    """A layer, or an operation that is none, such as the sum of two tensors."""
    return next(operation for operation in model.operations if operation.name == name)


def plain_grad_cam(model, layer, images, target):
    """Signed maps by a model of two outputs, as tutorials write it."""
    end = model.layers[-1]
    two_outputs = keras.Model(model.inputs, [named_operation(model, layer).output, end.input])
    with tf.GradientTape() as tape:
        activations, values = two_outputs(tf.constant(images), training=False)
        score = scores_of(end, values)[:, target]
    weights = tf.reduce_mean(tape.gradient(score, activations), axis=(1, 2))
    return tf.einsum("nijk,nk->nij", activations, weights).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_family_of_keras_applications(name):
    keras.utils.set_random_seed(0)
    side, limits = FAMILIES[name]
    model = getattr(applications, name)(weights=None, input_shape=(side, side, 3), classes=CLASSES)
    classifier = explain.Classifier(model)
    if limits is None:
        assert classifier.input_range is None
    else:
        assert (classifier.input_range.black == limits[0]).all()
        assert (classifier.input_range.white == limits[1]).all()
    images = np.random.default_rng(0).uniform(*(limits or (-1, 1)), (2, side, side, 3))
    images = images.astype(np.float32)
    np.testing.assert_allclose(
        classifier.probabilities(images), model.predict(images, verbose=0), atol=1e-5
    )
    explainer = explain.GradCAM(classifier)
    operation = named_operation(model, explainer.layer)
    assert not isinstance(operation, layers.ZeroPadding2D | layers.MaxPooling2D)
    maps = explainer.signed_maps(images, 1)
    peak = np.abs(maps).max()
    assert ((np.abs(maps) > 1e-6 * peak).any(axis=0)).sum() > 1
    expected = plain_grad_cam(model, explainer.layer, images, 1)
    np.testing.assert_allclose(maps / peak, expected / peak, atol=1e-4)


def small_network():
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax", name="top"),
        ]
    )


def small_images():
    return np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_model_from_a_file_has_the_same_maps(ending, tmp_path):
    model = small_network()
    model.save(tmp_path / f"model{ending}")
    copy = explain.read_model(tmp_path / f"model{ending}")
    images = small_images()
    np.testing.assert_array_equal(
        explain.GradCAM(copy).signed_maps(images, 1), explain.GradCAM(model).signed_maps(images, 1)
    )
    np.testing.assert_allclose(
        explain.Classifier(copy).probabilities(images), model.predict(images, verbose=0), atol=1e-6
    )


@pytest.mark.slow
def test_model_from_a_file_of_keras_2_has_the_probabilities_that_keras_2_computed():
    """The file and the probabilities are those of tf_keras 2.21.0, of its own `predict`."""
    model = explain.read_model(REFERENCE / "keras2.h5")
    classifier = explain.Classifier(model)
    expected = [
        [0.05913405, 0.17457730, 0.76628864],
        [0.06351372, 0.22818191, 0.70830435],
        [0.05846154, 0.18315260, 0.75838590],
    ]
    np.testing.assert_allclose(classifier.probabilities(small_images()), expected, atol=1e-6)
    assert str(classifier.input_range) == "0 to 255"
    explainer = explain.GradCAM(classifier)
    maps = explainer.signed_maps(small_images(), 1)
    reference = plain_grad_cam(model, explainer.layer, small_images(), 1)
    assert np.abs(maps).max() > 0
    np.testing.assert_allclose(maps, reference, atol=1e-6 * np.abs(reference).max())
