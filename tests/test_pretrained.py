"""ResNet-18 for ImageNet: equal to PyTorch's, and refused from any other file."""

import errno
import functools
import hashlib
import http.server
import importlib.util
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import dripping, endless, failing, left_in, serving
from safetensors.numpy import save, save_file

from cifarcam import _files, _store, explain
from cifarcam.data import transfer
from cifarcam.errors import CifarcamError
from cifarcam.pretrained import resnet18

REFERENCE = Path(__file__).parent / "reference"
spec = importlib.util.spec_from_file_location("drawn", REFERENCE / "resnet18_weights.py")
drawn = importlib.util.module_from_spec(spec)
spec.loader.exec_module(drawn)


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(drawn.draw(), path)
    return path


@pytest.fixture(scope="module")
def model(weights_file):
    return resnet18.read_resnet18(weights_file)


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE / "resnet18.npz", allow_pickle=False) as stored:
        return dict(stored)


@pytest.fixture
def served(weights_file):
    """The address of the file, and the list of requests so far."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(arguments)

    handler = functools.partial(Handler, directory=weights_file.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{weights_file.name}", asked
    server.shutdown()


@pytest.mark.slow
def test_logits_equal_pytorch_s(model, reference):
    classifier = explain.Classifier(model)
    result = classifier.scores(drawn.images())
    spread = reference["logits"].std()
    np.testing.assert_allclose(result, reference["logits"], atol=1e-4 * spread, rtol=1e-4)


@pytest.mark.slow
def test_grad_cam_equals_pytorch_s(model, reference):
    explainer = explain.GradCAM(model, "stage4_block2_relu2")
    result = explainer(drawn.images(), np.array(drawn.CLASSES))[:, ::8, ::8]
    assert reference["heatmaps"].max() > 0
    scale = reference["heatmaps"].max()
    np.testing.assert_allclose(result / scale, reference["heatmaps"] / scale, atol=1e-4)


@pytest.mark.slow
def test_file_of_other_tensors_is_refused(tmp_path):
    whole = drawn.draw()
    lacking = {k: v for k, v in whole.items() if k != "layer3.0.downsample.0.weight"}
    whole_numbers = whole | {"layer1.0.bn1.bias": np.arange(64, dtype=np.int32)}
    other_shape = whole | {"fc.bias": np.zeros(10, np.float32)}
    more = whole | {"layer5.0.conv1.weight": np.zeros((1, 1, 1, 1), np.float32)}
    for tensors, word in (
        (lacking, "stage3_block1_shortcut"),
        (other_shape, "logits"),
        (whole_numbers, "stage1_block1_bn1"),
        (more, "layer5"),
    ):
        path = tmp_path / "model.safetensors"
        save_file(tensors, path)
        with pytest.raises(CifarcamError, match=word):
            resnet18.read_resnet18(path)


@pytest.mark.slow
def test_weights_are_fetched_once_verified_and_kept(weights_file, served, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    digest = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    address, asked = served
    with pytest.raises(CifarcamError, match="not the file of SHA-256"):
        resnet18.resnet18(address, "0" * 64)
    first = resnet18.resnet18(address, digest)
    assert len(asked) == 2
    second = resnet18.resnet18(address, digest)
    assert len(asked) == 2
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_weights_that_cannot_be_fetched_are_reported_in_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(CifarcamError, match="cannot be fetched from http://127") as refusal:
        resnet18.resnet18("http://127.0.0.1:9/model.safetensors")
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.fixture
def source(server, monkeypatch, tmp_path):
    """A server of small weights, in a cache of its own; the function fetches them."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(transfer, "NO_ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(transfer, "WINDOW_SECONDS", 0.3)
    monkeypatch.setattr(transfer, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(resnet18, "BYTES", len(WEIGHTS))
    monkeypatch.setattr(resnet18, "read_resnet18", Path.read_bytes)
    server.answers = [serving(WEIGHTS)]
    return server, lambda: resnet18.resnet18(server.url, hashlib.sha256(WEIGHTS).hexdigest())


WEIGHTS = save({"weights": np.arange(20_000, dtype=np.float32)})
BAD_SOURCES = {
    "silent": serving(b"", declared=len(WEIGHTS), pause=3),
    "half": serving(WEIGHTS[:1000], declared=len(WEIGHTS)),
    "drips": dripping,
    "never-ends": endless,
    "none": failing(404),
    "a-page": serving(b"<html>"),
}


@pytest.mark.parametrize("kind", BAD_SOURCES)
def test_source_of_wrong_weights_is_reported_in_one_sentence_and_leaves_nothing(source, kind):
    server, fetch = source
    server.answers = [BAD_SOURCES[kind]]
    started = time.monotonic()
    with pytest.raises(CifarcamError) as failure:
        fetch()
    assert time.monotonic() - started < 2.5
    assert server.url in str(failure.value)
    assert "\n" not in str(failure.value)
    assert left_in(_files.cache_dir() / "pretrained") == []


def test_weights_are_noted_as_handed_out_once_the_file_is_there(source, monkeypatch):
    server, fetch = source
    monkeypatch.setattr(_store, "_handed_out", {})
    server.answers = [failing(404)]
    with pytest.raises(CifarcamError):
        fetch()
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    name = f"pretrained/resnet18-{digest[:12]}.safetensors"
    assert _store.handed_out("cached") == {name: {"digest": None}}
    server.answers = [serving(WEIGHTS)]
    fetch()
    assert _store.handed_out("cached") == {name: {"digest": digest}}
    assert (_files.cache_dir() / name).is_file()


def test_weights_damaged_in_the_cache_are_fetched_anew(source):
    server, fetch = source
    assert fetch() == WEIGHTS
    (path,) = _files.cache_dir().rglob("*.safetensors")
    path.write_bytes(WEIGHTS[:-1])
    assert fetch() == fetch() == WEIGHTS
    assert server.asked == 2


def test_weights_are_downloaded_once_for_several_threads(source):
    server, fetch = source
    server.answers = [serving(WEIGHTS, pause=0.3)]
    results = []
    threads = [threading.Thread(target=lambda: results.append(fetch())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [WEIGHTS] * 4
    assert server.asked == 1


def test_weights_in_the_cache_need_no_writable_cache(source, monkeypatch):
    _, fetch = source
    fetch()

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    assert fetch() == WEIGHTS
    (path,) = _files.cache_dir().rglob("*.safetensors")
    path.unlink()
    with pytest.raises(CifarcamError, match="Read-only file system"):
        fetch()


DAMAGED_FILES = {
    "empty": b"",
    "cut": WEIGHTS[:-1],
    "cut-in-its-header": WEIGHTS[:20],
    "longer": WEIGHTS + b"x",
    "zeros": bytes(1000),
    "a-page": b"<html>" * 100,
    "header-beyond-the-file": (2**63).to_bytes(8, "little") + WEIGHTS[8:],
    "no-json": WEIGHTS[:8] + b"x" + WEIGHTS[9:],
    "of-an-unknown-type": WEIGHTS.replace(b'"F32"', b'"F99"'),
    "of-another-type": WEIGHTS.replace(b'"F32"', b'"F64"'),
    "three-axes": save({"conv1.weight": np.zeros((2, 2, 2), np.float32)}),
    "no-axis": save({"conv1.weight": np.array(1, np.float32)}),
}


@pytest.mark.parametrize("kind", DAMAGED_FILES)
def test_file_that_is_damaged_is_reported_in_one_sentence(tmp_path, kind):
    path = tmp_path / "model.safetensors"
    path.write_bytes(DAMAGED_FILES[kind])
    with pytest.raises(CifarcamError) as failure:
        resnet18.read_resnet18(path)
    assert str(path) in str(failure.value)
    assert "\n" not in str(failure.value)


def test_file_that_is_missing_is_reported_in_one_sentence(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(CifarcamError, match=str(path)):
            resnet18.read_resnet18(path)
