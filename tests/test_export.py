"""Exports: what is written, for which runtimes, and whether it answers as the run does."""

import importlib
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from helpers import ROOT, TINY, left_in, sample_with

from cifarcam import cli, data, export, runs
from cifarcam.errors import CifarcamError, MissingExtra
from cifarcam.export import _worker, comparison, int8, network, writing
from cifarcam.export.calibration import calibration_images
from cifarcam.export.card import ENDINGS
from cifarcam.models import build, read_options
from cifarcam.training import experiment, prediction

WRITABLE = [
    (form, precision)
    for form in export.FORMATS
    for precision in export.PRECISIONS
    if precision != "int8" or form in ("litert", "onnx")
]
OPTIONS = {
    "custom_cnn": {"filters": [4, 8], "dense": 6, "dropout": 0.5, "batch_normalization": True},
    "transformer": {
        **{"convolutions": 2, "layers": 1, "heads": 2, "width": 24, "expansion": 2, "dropout": 0.1}
    },
    "speedrun": {"filters": [8, 8], "logit_scale": 0.1, "activation": "gelu", "identity": True},
    "resnet18": None,  # as in the experiment
}


def network_of(name):
    """An untrained network of a family."""
    if OPTIONS[name] is None:
        settings = experiment.find(f"{name}-long")
        return build(settings.architecture, settings.options)
    return build(name, read_options(name, OPTIONS[name], "model"))


@pytest.fixture(scope="module")
def sample():
    return sample_with(60)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A run of a second."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        settings = experiment.parse(TINY, "tiny", "tiny.toml")
        return runs.make(settings, home / "runs" / "tiny", dataset=data.load("sample"))


@pytest.fixture(scope="module")
def written(tiny, sample, tmp_path_factory):
    """The run in every format and precision, in one folder."""
    folder = tmp_path_factory.mktemp("exports")
    for form, precision in WRITABLE:
        path = path_of(folder, tiny, form, precision)
        export.write(tiny, form, path, precision=precision, dataset=sample)
    return folder


def path_of(folder, run, form, precision):
    return folder / export.default_name(run, form, precision)


def copied(path, folder):
    """A copy of an export in another folder."""
    copy = shutil.copytree if path.is_dir() else shutil.copy
    return Path(copy(path, folder / path.name))


def lite(path):
    """An interpreter of a LiteRT file that keeps all tensors, and their descriptions."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    return interpreter, interpreter.get_tensor_details()


@pytest.mark.slow
@pytest.mark.parametrize("form", export.FORMATS)
def test_float32_export_equals_the_run(written, tiny, sample, form):
    one = export.check(tiny, sample, path_of(written, tiny, form, "float32"))
    assert one.largest_difference < 1e-5
    assert one.agreement == 1 and one.is_equal
    predicted = tiny.model().predict(sample.test.images, verbose=0).argmax(axis=1)
    assert one.accuracy == one.run_accuracy == (predicted == sample.test.labels).mean()
    assert one.images == 60 and one.milliseconds > 0
    assert one.peak > one.runtime > 10**6
    assert export.verdict(one).startswith(f"{one.file} equals the run: no probability of 60 test")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "keras", "saved-model"])
def test_float16_export_has_the_kernels_of_half_precision(written, tiny, sample, form):
    """Keras with kernels rounded to float16 gives the export's probabilities."""
    model = tiny.model()
    for variable in model.weights:
        if variable.name == "kernel":
            variable.assign(variable.numpy().astype(np.float16).astype(np.float32))
    expected = prediction.predict(model, sample.test.images)
    path = path_of(written, tiny, form, "float16")
    assert export.check(tiny, sample, path, expected=expected).largest_difference < 1e-5
    whole = path_of(written, tiny, form, "float32")
    kernels = sum(one.numpy().size for one in model.weights if one.name == "kernel")
    assert comparison.size(whole) - comparison.size(path) > 1.5 * kernels


@pytest.mark.slow
def test_float16_litert_file_has_kernels_and_biases_of_half_precision(written, tiny, sample):
    """LiteRT folds the scaling of pixels, 1/255, into the first kernel before it rounds."""
    model = tiny.model()
    for variable in model.weights:
        value = variable.numpy()
        if variable.path == "conv1/kernel":
            value /= 255
        value = value.astype(np.float16).astype(np.float32)
        variable.assign(255 * value if variable.path == "conv1/kernel" else value)
    expected = prediction.predict(model, sample.test.images)
    path = path_of(written, tiny, "litert", "float16")
    assert export.check(tiny, sample, path, expected=expected).largest_difference < 1e-5
    interpreter, details = lite(path)
    halves = [interpreter.get_tensor(one["index"]) for one in details if one["dtype"] == np.float16]
    assert len(halves) == len(model.weights)
    (dense,) = (one for one in halves if one.shape == (8, 256))
    np.testing.assert_array_equal(dense, model.get_layer("dense").kernel.numpy().T)


@pytest.mark.slow
@pytest.mark.parametrize(("form", "half"), [("litert", -64), ("onnx", -63)])
def test_int8_of_one_convolution_can_be_computed_by_hand(form, half, tmp_path):
    """A channel's step is its largest weight / 127; pixels are whole numbers, and their step is 1."""
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Conv2D(2, 1, use_bias=False, name="conv")(image)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(image, keras.layers.Softmax(name="softmax")(x))
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0, :, 0] = 0.02, -0.01, 0.0052
    kernel[0, 0, :, 1] = -0.004, 0.002, 0.001
    model.set_weights([kernel])
    images = np.stack([np.full((32, 32, 3), level, np.uint8) for level in (0, 255)])
    path = tmp_path / f"one{ENDINGS[form]}"
    writing.WRITERS[form](model, "int8", images, path)
    ((values, steps),) = stored_kernels(path)
    # -0.01 is half of 0.02, -63.5 steps: LiteRT rounds it away from zero. ONNX Runtime divides by
    # 0.02 / 127 in float32, which is a little more than in real numbers, and gets -63.49999.
    assert values.tolist() == [[127, half, 33], [-127, 64, 32]]
    np.testing.assert_array_equal(steps, np.float32([0.02, 0.004]) / np.float32(127))
    if form == "litert":
        whole, size = int8.quantised(kernel)
        np.testing.assert_array_equal(whole[0, 0].T, values)
        np.testing.assert_array_equal(size, steps)
    pixels = (100, 200, 50)
    answer = _worker.OPENERS[form]()(str(path))(np.full((1, 32, 32, 3), pixels, np.float32))[0]
    # Calibration saw scores from -0.001 x 255 to 0.0152 x 255, and there are 255 steps.
    score_step = 0.001 + 0.0152
    scores = np.rint(steps * (values @ pixels) / score_step) * score_step
    assert np.rint(scores / score_step).tolist() == [15 if form == "litert" else 17, 3]
    expected = np.exp(scores) / np.exp(scores).sum()
    if form == "litert":  # its softmax gives multiples of 1/256
        expected = np.rint(expected * 256) / 256
    np.testing.assert_allclose(answer, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["litert", "onnx"])
@pytest.mark.parametrize(("name", "count"), [("custom_cnn", 4), ("transformer", 9)])
def test_int8_kernels_in_the_file_are_those_of_dequantised(form, name, count, sample, tmp_path):
    keras.utils.set_random_seed(1)
    model = network_of(name)
    factors = {}  # by which a batch normalisation multiplies a channel, of both signs and zero
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(np.linspace(-1, 2, layer.gamma.shape[0]))
            factor = layer.gamma.numpy() / np.sqrt(1 + layer.epsilon)
            factors[layer.name.replace("bn", "conv")] = factor
    # What LiteRT folds in as well: the scaling of pixels, and of attention's 12 values a head.
    also = {"conv1": 1 / 255} if name == "custom_cnn" else {"query": 12**-0.5}
    path = tmp_path / f"tiny{ENDINGS[form]}"
    writing.WRITERS[form](model, "int8", calibration_images(sample, 0)[:20], path)
    stored = stored_kernels(path)
    after = {one.path: one.numpy() for one in export.dequantised(model).weights}
    found = 0
    for variable in model.weights:
        value, layer = variable.numpy(), variable.path.split("/")[-2]
        if variable.name != "kernel":
            np.testing.assert_array_equal(after[variable.path], value)
            continue
        whole, size = int8.quantised(value, 2 if layer in int8.PROJECTIONS else 1)
        np.testing.assert_array_equal(after[variable.path], whole * size)
        # Half a step, and two roundings to float32 of at most 127 steps.
        assert (np.abs(after[variable.path] - value) <= size * (0.5 + 2 * 127 * 2**-24)).all()
        if size.size == 1:  # one scale is no channel's
            continue
        factor = factors.get(layer, np.ones(size.size))
        # A folded factor changes signs and steps, and no whole number but to zero.
        expected = (whole.reshape(-1, size.size) * np.sign(factor)).T
        (steps,) = (steps for values, steps in stored if np.array_equal(values, expected))
        kept = factor != 0
        exact = size.ravel() * np.abs(factor) * (also.get(layer, 1) if form == "litert" else 1)
        np.testing.assert_allclose(steps[kept], exact[kept], rtol=1e-6)
        found += 1
    assert found == count == len(stored)


def stored_kernels(path):
    """Kernels of an int8 export that have a step for each output.

    Whole numbers, outputs x inputs (those of a convolution in the order height, width, channel),
    and the steps.
    """
    if path.suffix == ".tflite":
        interpreter, details = lite(path)
        return [
            (interpreter.get_tensor(one["index"]).reshape(len(steps), -1), steps)
            for one in details
            if len(steps := one["quantization_parameters"]["scales"]) > 1
            and one["dtype"] == np.int8
        ]
    import onnx

    graph = onnx.load(path).graph
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    kernels = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in arrays:
            values, steps = arrays[node.input[0]], arrays[node.input[1]]
            if steps.size > 1 and values.dtype == np.int8:
                if values.ndim == 4:  # outputs, inputs, height, width
                    values = values.transpose(2, 3, 1, 0)
                kernels.append((values.reshape(-1, steps.size).T, steps))
    return kernels


def test_quantised_keeps_a_channel_of_zeros():
    steps, size = int8.quantised(np.array([[0.0, 1.0], [0.0, -0.25]], np.float32))
    assert steps.tolist() == [[0, 127], [0, -32]]
    assert size.tolist() == [0, np.float32(1 / 127)]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["litert", "onnx"])
def test_int8_export_is_small_and_near_the_run(written, tiny, sample, form):
    one = export.check(tiny, sample, path_of(written, tiny, form, "int8"))
    assert 0 < one.largest_difference < 0.2
    assert one.agreement > 0.8
    assert "the run" in export.verdict(one)


@pytest.mark.slow
def test_calibration_seed_draws_the_images_and_same_seed_gives_same_bytes(tiny, sample, tmp_path):
    first = calibration_images(sample, 0)
    assert len(first) == min(export.IMAGES, len(sample.train)) == len(np.unique(first, axis=0))
    np.testing.assert_array_equal(first, calibration_images(sample, 0))
    assert (first != calibration_images(sample, 1)).any()
    contents = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        path = tmp_path / f"{name}.tflite"
        export.write(tiny, "litert", path, precision="int8", dataset=sample, seed=seed)
        contents.append(path.read_bytes())
        calibration = {"dataset": sample.digest, "images": len(first), "seed": seed}
        assert export.read_card(path).calibration == calibration
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.slow
@pytest.mark.parametrize(("form", "precision"), WRITABLE)
def test_card_names_run_use_and_versions(written, tiny, form, precision):
    card = export.read_card(path_of(written, tiny, form, precision))
    assert (card.run, card.format, card.precision) == (tiny.name, form, precision)
    assert card.weights == tiny.provenance["files"]["weights.safetensors"]
    assert card.classes[3] == "cat"
    assert card.input.startswith("pixels 0-255, float32") and "probabilities" in card.output
    assert card.versions["keras"] == keras.__version__ and ("tf2onnx" in card.versions) == (
        form == "onnx"
    )
    assert (card.calibration is None) == (precision != "int8")


@pytest.mark.slow
def test_keras_file_and_saved_model_need_no_cifarcam(written, tiny, sample):
    code = (
        "import sys, numpy as np, keras, tensorflow as tf\n"
        "images = np.load('images.npy').astype('float32')\n"
        f"one = keras.saving.load_model('{tiny.name}-float32.keras').predict(images, verbose=0)\n"
        f"other = tf.saved_model.load('{tiny.name}-float32').serve(images)\n"
        "assert not any(name.startswith('cifarcam') for name in sys.modules)\n"
        "np.save('answers.npy', [one, other])"
    )
    np.save(written / "images.npy", sample.test.images)
    subprocess.run([sys.executable, "-c", code], cwd=written, check=True, capture_output=True)
    expected = prediction.predict(tiny.model(), sample.test.images)
    for answer in np.load(written / "answers.npy"):
        np.testing.assert_allclose(answer, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["speedrun", "resnet18"])
def test_plain_layers_compute_the_same_and_are_keras_own(name, sample):
    model = network_of(name)
    plain = network.with_plain_layers(model, erf=True)
    assert network.foreign_layer(model) is not None
    assert network.foreign_layer(plain) is None
    images = sample.test.images[:2].astype(np.float32)
    np.testing.assert_allclose(plain(images), model(images), atol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_keras_refuses_a_layer_that_keras_lacks(precision):
    model = network_of("transformer")
    reason = writing.refusal(model, "keras", precision)
    assert reason.startswith("keras: the layer positions is a PositionEmbedding, which Keras does")
    assert writing.refusal(model, "onnx", "int8") is None


@pytest.mark.slow
@pytest.mark.parametrize("form", ["keras", "saved-model"])
def test_int8_is_refused_where_no_runtime_computes_in_it(form, tiny, sample, tmp_path):
    path = path_of(tmp_path, tiny, form, "int8")
    with pytest.raises(export.Unrepresentable, match=rf"to {form} with int8: .*; export to litert"):
        export.write(tiny, form, path, precision="int8", dataset=sample)
    assert left_in(tmp_path) == []


@pytest.mark.slow
def test_converter_that_fails_is_one_sentence_and_leaves_nothing(
    tiny, sample, tmp_path, monkeypatch
):
    def fail(model, precision, images, path):
        path.write_bytes(b"half")
        raise ValueError("no such operation\nand more")

    monkeypatch.setitem(writing.WRITERS, "litert", fail)
    with pytest.raises(export.Unrepresentable, match="the converter says 'no such operation'; ch"):
        export.write(tiny, "litert", tmp_path / "a.tflite")
    assert left_in(tmp_path) == []


class Digamma(keras.layers.Layer):
    """What neither LiteRT nor ONNX has."""

    def call(self, x):
        return tf.math.digamma(x)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ("litert", r"in float32: the converter says \"'tf\.Digamma' op is neither a custom op"),
        ("onnx", r"in float32: the converter says 'No Op registered for Digamma"),
        ("keras", r": the layer digamma is a Digamma, which Keras does not have; export to"),
    ],
)
def test_network_that_a_format_cannot_represent_is_refused(
    form, reason, tiny, tmp_path, monkeypatch, capfd
):
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.GlobalAveragePooling2D()(Digamma(name="digamma")(image))
    model = keras.Model(image, keras.layers.Softmax(name="softmax")(x))
    monkeypatch.setattr(runs.Run, "model", lambda run: model)
    with pytest.raises(export.Unrepresentable) as caught:
        export.write(tiny, form, path_of(tmp_path, tiny, form, "float32"))
    message = str(caught.value)
    start = f"{tiny.name} cannot be exported to {form}"
    assert message.startswith(start) and re.match(f" ?{reason}", message.removeprefix(start))
    assert "\n" not in message and capfd.readouterr().err == ""
    assert left_in(tmp_path) == []


def with_bias(value):
    """A network whose last convolution has one bias for all channels, ReLU behind it."""
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="first")(keras.layers.Rescaling(1)(image))
    bias = keras.initializers.Constant(value)
    x = keras.layers.Conv2D(4, 3, activation="relu", bias_initializer=bias, name="last")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(image, keras.layers.Dense(10, activation="softmax")(x))


@pytest.mark.parametrize("form", ["litert", "onnx"])
def test_int8_refuses_a_layer_that_is_always_zero(form, tiny, sample, tmp_path, monkeypatch):
    images = calibration_images(sample, 0)
    alive, dead = with_bias(0.0), with_bias(-1e6)
    assert network.silent_layer(alive, images) is None
    assert network.silent_layer(dead, images) == "last"
    monkeypatch.setattr(runs.Run, "model", lambda run: dead)
    path = path_of(tmp_path, tiny, form, "int8")
    with pytest.raises(export.Unrepresentable, match=r"its layer last gives zeros alone on 200 tr"):
        export.write(tiny, form, path, precision="int8", dataset=sample)
    assert left_in(tmp_path) == []


def test_a_layer_that_answers_a_single_image_is_not_silent():
    """The image may stand anywhere, also in the last and smaller batch."""
    images = np.zeros((120, 32, 32, 3), np.uint8)
    image = keras.Input((32, 32, 3), name="image")
    model = keras.Model(image, keras.layers.ReLU(name="relu")(image))
    assert network.silent_layer(model, images) == "relu"
    for place in (0, 49, 50, 119):
        one = images.copy()
        one[place, 31, 31, 2] = 1
        assert network.silent_layer(model, one) is None


def test_read_card_says_that_a_foreign_onnx_file_has_none(tmp_path):
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "foreign.onnx"
    graph = onnx.helper.make_graph([], "empty", [], [])
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    with pytest.raises(
        CifarcamError, match=r"not an export of cifarcam, or damaged \(it has no card"
    ):
        export.read_card(path)


def test_int8_needs_a_dataset(tiny, tmp_path):
    with pytest.raises(CifarcamError, match="int8 is calibrated on training images; give a data"):
        export.write(tiny, "litert", tmp_path / "a.tflite", precision="int8")
    assert left_in(tmp_path) == []


@pytest.mark.slow
def test_missing_packages_name_the_extra(tiny, tmp_path, monkeypatch, written, sample):
    usual = importlib.util.find_spec
    missing = ("ai_edge_litert", "onnxruntime")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in missing else usual(name)
    )
    say = r"this needs {}, not installed here; pip install 'cifarcam\[export\]'"
    with pytest.raises(MissingExtra, match=say.format("onnxruntime")):
        export.write(tiny, "onnx", tmp_path / "a.onnx")
    for form, name in (("litert", "ai_edge_litert"), ("onnx", "onnxruntime")):
        with pytest.raises(MissingExtra, match=say.format(name)):
            export.check(tiny, sample, path_of(written, tiny, form, "float32"))
    assert left_in(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("form", ["litert", "saved-model"])
def test_interrupted_writing_leaves_the_old_export(
    written, tiny, sample, tmp_path, monkeypatch, form
):
    path = copied(path_of(written, tiny, form, "float32"), tmp_path)

    def interrupted(model, precision, images, target):
        if form == "saved-model":
            target.mkdir()
            target /= "saved_model.pb"
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setitem(writing.WRITERS, form, interrupted)
    with pytest.raises(KeyboardInterrupt):
        export.write(tiny, form, path, precision="float16")
    assert export.read_card(path).precision == "float32"
    assert left_in(tmp_path) == [path.name]


def test_old_folder_comes_back_when_the_new_one_cannot_take_its_name(tmp_path):
    path = tmp_path / "net"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(FileNotFoundError), writing._whole(path):
        pass  # and nothing is written
    assert left_in(tmp_path) == ["net"] and left_in(path) == ["old"]


@pytest.mark.slow
def test_own_export_is_replaced_and_a_foreign_file_or_folder_is_not(tiny, sample, tmp_path):
    for form in ("onnx", "saved-model"):
        path = tmp_path / f"mine{ENDINGS[form]}"
        export.write(tiny, form, path)
        export.write(tiny, form, path, precision="float16")
        assert export.read_card(path).precision == "float16"
    foreign = tmp_path / "theirs"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    (tmp_path / "theirs.onnx").write_bytes(b"theirs")
    for form in ("saved-model", "onnx"):
        with pytest.raises(CifarcamError, match="exists and is not an export of cifarcam; give an"):
            export.write(tiny, form, tmp_path / f"theirs{ENDINGS[form]}")
    assert (foreign / "thesis.txt").read_text() == "years of work"
    assert (tmp_path / "theirs.onnx").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    ("form", "name", "message"),
    [
        ("litert", "a.onnx", "give a name that ends in .tflite for litert"),
        ("saved-model", "a.pb", "give a name without an ending for saved-model"),
        ("coreml", "a", "'coreml' is not a format; give one of litert, onnx, keras, saved-model"),
        ("onnx", "/proc/a.onnx", "cannot write to /proc"),
    ],
)
def test_names_that_do_not_fit_are_refused_before_any_work(form, name, message, tmp_path, sample):
    with pytest.raises(CifarcamError, match=message):
        export.write(None, form, tmp_path / name)


@pytest.mark.slow
def test_check_refuses_an_export_of_another_run(written, tiny, sample):
    path = path_of(written, tiny, "onnx", "float32")
    files = tiny.provenance["files"] | {"weights.safetensors": "0" * 64}
    other = replace(tiny, provenance=tiny.provenance | {"files": files})
    with pytest.raises(CifarcamError, match="an export of other weights of tiny-seed3-sample; co"):
        export.check(other, sample, path)
    with pytest.raises(CifarcamError, match="an export of tiny-seed3-sample; compare it with its"):
        export.check(runs.read(ROOT / "runs" / "baseline"), sample, path)


@pytest.mark.slow
@pytest.mark.parametrize("form", export.FORMATS)
def test_check_says_of_a_damaged_export_that_it_cannot_be_run(
    written, tiny, sample, form, tmp_path
):
    path = copied(path_of(written, tiny, form, "float32"), tmp_path)
    file = path / "saved_model.pb" if form == "saved-model" else path
    content = file.read_bytes()
    if form == "keras":  # the card stays readable
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, member in members.items():
                archive.writestr(name, b"no weights" if name.endswith(".h5") else member)
    elif form == "onnx":
        file.write_bytes(content.replace(b"Conv", b"Cunv"))
    else:
        file.write_bytes(b"\xff" * 2000 + content[2000:])
    with pytest.raises(CifarcamError, match=r"cannot run it \(.+\); export it again"):
        export.check(tiny, sample, path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x08\x07"])
@pytest.mark.parametrize("name", ["a.tflite", "a.onnx", "a.keras", "a"])
def test_read_card_refuses_files_that_are_no_exports(name, content, tmp_path):
    path = tmp_path / name
    with pytest.raises(CifarcamError, match="no such file"):
        export.read_card(path)
    path.write_bytes(content)
    with pytest.raises(CifarcamError, match="not an export of cifarcam, or damaged"):
        export.read_card(path)


@pytest.mark.slow
def test_read_card_refuses_another_ending(written, tiny, tmp_path):
    path = tmp_path / "renamed.keras"
    shutil.copy(path_of(written, tiny, "litert", "float32"), path)
    with pytest.raises(CifarcamError, match="its card says litert, which does not fit its name"):
        export.read_card(path)


@pytest.mark.skipif(not _worker.STATUS.exists(), reason="Linux tells what a process held itself")
def test_memory_of_a_process_begins_anew():
    """`ru_maxrss` of a child begins with what its parent held."""
    held = np.ones(60 * 2**20, np.float64)  # 480 MiB, really there
    code = f"import sys; sys.path.insert(0, {str(Path(_worker.__file__).parent)!r}); import _worker"
    command = [sys.executable, "-c", f"{code}; print(_worker.peak_memory())"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert held[-1] == 1 and int(done.stdout) < 200 * 2**20


@pytest.mark.slow
def test_interrupted_comparison_ends_the_runtime(written, tiny, sample, monkeypatch):
    started = []

    class Process(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    def interrupted(bar, count):
        raise KeyboardInterrupt

    monkeypatch.setattr(comparison.subprocess, "Popen", Process)
    monkeypatch.setattr(comparison.tqdm, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export.check(tiny, sample, path_of(written, tiny, "litert", "float32"))
    assert [one.returncode for one in started] == [-9]


COMPARISON = export.Comparison(
    *("net-int8.onnx", "onnx", "int8", 10_000, 0.7121, 0.7254, 0.9832, 0.23, 248_616, 0.12, 0.11),
    *(64 * 2**20, 60 * 2**20, 40, 53, None),
)


def test_verdict_speaks_of_classes_and_probabilities():
    assert export.verdict(COMPARISON) == (
        "net-int8.onnx approximates the run in int8: 168 of 10,000 test images get another class, "
        "and a probability differs by up to 0.23."
    )
    broken = replace(COMPARISON, precision="float32", largest_difference=float("inf"))
    assert export.verdict(broken).startswith("net-int8.onnx does not equal the run: 168 of")
    equal = replace(broken, largest_difference=1e-4, agreement=1.0)
    assert export.verdict(equal).endswith("differs by more than 0.0001 (1.0e-04).")


def test_table_has_a_line_for_each_export():
    lines = export.table([COMPARISON, replace(COMPARISON, file="x.onnx")]).splitlines()
    assert len(lines) == 3 and lines[0].split()[:3] == ["export", "format", "precision"]
    assert lines[1].split() == [
        *("net-int8.onnx", "onnx", "int8", "71.21%", "98.32%", "2.3e-01", "248,616", "0.12"),
        *("1.32", "64", "MiB"),  # 0.11 ms of processor time at 12 W
    ]
    assert lines[0].index("bytes") + len("bytes") == lines[1].index("248,616") + len("248,616")


def test_busy_machine_is_said_to_be_so():
    assert export.busy([COMPARISON]) is None
    slowed = replace(COMPARISON, milliseconds=3.0)
    assert "took longer than the processor worked for it, as 3.00 instead of 0.11 ms" in (
        export.busy([COMPARISON, slowed])
    )


@pytest.fixture
def home(tiny, tmp_path, monkeypatch):
    """A working directory with the tiny experiment and its run."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "tiny.toml").write_text(TINY)
    shutil.copytree(tiny.directory, tmp_path / "runs" / "tiny")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def call(*words):
    return CliRunner().invoke(cli.main, ["export", *words])


@pytest.mark.slow
def test_one_command_exports_and_another_proves_the_export_equal(home):
    for words in (["litert"], ["litert", "--precision", "int8", "--seed", "3"]):
        done = call("tiny", "--to", *words)
        assert done.exit_code == 0, done.output
    files = "tiny-seed3-sample-float32.tflite", "tiny-seed3-sample-int8.tflite"
    assert export.read_card(Path(files[1])).calibration["seed"] == 3
    done = call("tiny", *(word for file in files for word in ("--check", file)))
    assert done.exit_code == 0, done.output
    assert "tiny-seed3-sample itself: accuracy " in done.output
    assert f"{files[0]} equals the run: no probability of " in done.output
    assert f"{files[1]} approximates the run in int8: " in done.output


@pytest.mark.slow
def test_check_of_an_export_that_differs_ends_with_status_1(home):
    """The card is that of the run, and the network another one."""
    import onnx

    assert call("tiny", "--to", "onnx").exit_code == 0
    path = home / "tiny-seed3-sample-float32.onnx"
    changed = onnx.load(path)
    kernel = next(one for one in changed.graph.initializer if list(one.dims) == [4, 3, 3, 3])
    kernel.raw_data = (5 * np.frombuffer(kernel.raw_data, np.float32)).tobytes()
    path.write_bytes(changed.SerializeToString())
    done = call("tiny", "--check", path.name)
    assert done.exit_code == 1
    assert f"{path.name} does not equal the run: " in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tiny"], "give --to FORMAT to write an export, or --check FILE to compare one"),
        (["tiny", "--to", "onnx", "--check", "a"], "--to is for writing an export; leave it out"),
        (["tiny", "--check", "a", "-o", "b"], "--output is for writing an export; leave it out"),
        (["tiny", "--to", "onnx", "--seed", "1"], "--seed calibrates int8; give --precision int8"),
        (["tiny", "--to", "onnx", "--dataset", "sample"], "--dataset calibrates int8; give --pr"),
        (["tiny", "--to", "onnx", "--runs", "none"], "none: no such directory; give a directory"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words, message):
    done = call(*words)
    assert done.exit_code == 1
    assert message in done.output and len(done.output.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("form", export.FORMATS)
def test_baseline_of_the_checkout_is_carried_to_every_format(form, sample, tmp_path):
    run = runs.read(ROOT / "runs" / "baseline")
    path = path_of(tmp_path, run, form, "float32")
    export.write(run, form, path)
    assert export.check(run, sample, path).is_equal
    assert export.read_card(path).run == "baseline"
