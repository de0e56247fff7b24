"""ResNet-18 for ImageNet: equal to PyTorch's, and only from a file that is the right one."""

import functools
import hashlib
import http.server
import importlib.util
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from cifarcam import explain
from cifarcam.errors import CifarcamError
from cifarcam.models import pretrained

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
    return pretrained.read_resnet18(weights_file)


@pytest.fixture(scope="module")
def reference():
    with np.load(REFERENCE / "resnet18.npz", allow_pickle=False) as stored:
        return dict(stored)


@pytest.fixture
def served(weights_file):
    """The address of the file, and the list of requests that were made."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            asked.append(arguments)

    handler = functools.partial(Handler, directory=weights_file.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{weights_file.name}", asked
    server.shutdown()


def test_logits_equal_those_of_pytorch(model, reference):
    classifier = explain.Classifier(model)
    found = classifier.scores(drawn.images())
    spread = reference["logits"].std()
    np.testing.assert_allclose(found, reference["logits"], atol=1e-4 * spread, rtol=1e-4)


def test_grad_cam_equals_that_of_pytorch(model, reference):
    explainer = explain.GradCAM(model, "stage4_block2_relu2")
    found = explainer(drawn.images(), np.array(drawn.CLASSES))[:, ::8, ::8]
    assert reference["heatmaps"].max() > 0
    scale = reference["heatmaps"].max()
    np.testing.assert_allclose(found / scale, reference["heatmaps"] / scale, atol=1e-4)


def test_a_file_of_other_tensors_is_refused(tmp_path):
    whole = drawn.draw()
    lacking = {k: v for k, v in whole.items() if k != "layer3.0.downsample.0.weight"}
    other_shape = whole | {"fc.bias": np.zeros(10, np.float32)}
    more = whole | {"layer5.0.conv1.weight": np.zeros((1, 1, 1, 1), np.float32)}
    for tensors, word in (
        (lacking, "stage3_block1_shortcut"),
        (other_shape, "logits"),
        (more, "layer5"),
    ):
        path = tmp_path / "model.safetensors"
        save_file(tensors, path)
        with pytest.raises(CifarcamError, match=word):
            pretrained.read_resnet18(path)


def test_weights_are_fetched_once_verified_and_kept(weights_file, served, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    digest = hashlib.sha256(weights_file.read_bytes()).hexdigest()
    address, asked = served
    with pytest.raises(CifarcamError, match="not the file of SHA-256"):
        pretrained.resnet18(address, "0" * 64)
    first = pretrained.resnet18(address, digest)
    assert len(asked) == 2
    second = pretrained.resnet18(address, digest)
    assert len(asked) == 2
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_weights_that_cannot_be_had_are_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(CifarcamError, match="cannot be fetched from http://127") as refusal:
        pretrained.resnet18("http://127.0.0.1:9/model.safetensors")
    assert "\n" not in str(refusal.value)
    assert not list(tmp_path.rglob("*.safetensors"))
