"""The gallery: which images, what is packed, and the page itself in a browser."""

import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from cifarcam import gallery
from cifarcam.errors import CifarcamError

# Twelve pictures of one
# colour each, three classes, two networks. By network a, pictures 1, 4, 7 and 10 are wrong; network
# b is right on all. The map of picture 2 by method "first" of network a is zero.
CODE = """
import numpy as np

from cifarcam import gallery

classes = ["cat", "dog", "ship"]
labels = np.repeat([0, 1, 2], 4)
places = 100 + np.arange(12)
colours = np.stack([20 * np.arange(12), 255 - 20 * np.arange(12), np.full(12, 90)], 1)
pictures = np.broadcast_to(colours[:, None, None], (12, 32, 32, 3)).astype(np.uint8)
confidence = np.linspace(0.45, 0.945, 12)
predicted = np.where(np.arange(12) % 3 == 1, (labels + 1) % 3, labels)
probabilities = {
    name: np.where(np.arange(3) == top[:, None], confidence[:, None], (1 - confidence[:, None]) / 2)
    for name, top in (("a", predicted), ("b, second", labels))
}
ramp = np.linspace(0, 7, 32 * 32).reshape(32, 32)
maps = {
    "first": np.stack([(i != 2) * (i + 1) * ramp for i in range(12)]).astype(np.float32),
    "other": np.stack([(i + 1) * ramp[::-1] for i in range(12)]).astype(np.float32),
}
answers = {
    "a": gallery.Answers(probabilities["a"], maps),
    "b, second": gallery.Answers(
        probabilities["b, second"], {"first": maps["other"], "other": maps["first"] + 1}
    ),
}
files = gallery.encode(pictures, labels, places, classes, answers)
"""


@pytest.fixture(scope="module")
def made():
    namespace = {}
    exec(CODE, namespace)
    return namespace


def read_data(content):
    match = re.fullmatch(r"window\.cifarcamGallery = (.*);\n", content.decode())
    return json.loads(match[1])


def tiles(content, count, columns=gallery.COLUMNS):
    pixels = np.asarray(Image.open(io.BytesIO(content)))
    return np.stack(
        [pixels[32 * (k // columns) :, 32 * (k % columns) :][:32, :32] for k in range(count)]
    )


def test_images_are_the_first_of_each_class_and_then_its_surest_other_mistakes():
    labels = np.array([1, 0, 1, 0, 1, 1, 0, 1, 1])
    # Class 0 stands at 1, 3, 6 and class 1 at 0, 2, 4, 5, 7, 8.
    wrong = np.array([0.9, 0.8, 0.2, 0.1, 0.6, 0.7, 0.3, 0.95, 0.7])
    probabilities = np.where(np.arange(2) == labels[:, None], 1 - wrong[:, None], wrong[:, None])
    chosen = gallery.choose(labels, probabilities, first=1, mistakes=3)
    # Of class 0 nothing but the first: the others are right. Of class 1 number 0 is first, though it
    # is a mistake too; then by confidence, the earlier of the equals first, 4 not among the three.
    assert chosen.tolist() == [1, 0, 7, 5, 8]
    assert chosen.dtype == np.int64
    assert gallery.choose(labels, probabilities, first=9, mistakes=3).tolist() == [
        *(1, 3, 6),
        *(0, 2, 4, 5, 7, 8),
    ]
    assert gallery.choose(labels, probabilities, first=0, mistakes=1).tolist() == [1, 7]
    with pytest.raises(CifarcamError, match="-1"):
        gallery.choose(labels, probabilities, first=-1, mistakes=1)
    with pytest.raises(CifarcamError, match="-2"):
        gallery.choose(labels, probabilities, first=1, mistakes=-2)


def test_pictures_are_packed_without_loss():
    generator = np.random.default_rng(3)
    pictures = generator.integers(0, 256, (23, 32, 32, 3), dtype=np.uint8)
    probabilities = np.full((23, 2), 0.5)
    maps = generator.uniform(0, 9, (23, 32, 32)).astype(np.float32)
    maps[5] = 0
    labels = np.zeros(23, np.int64)
    answers = {"n": gallery.Answers(probabilities, {"m": maps})}
    files = gallery.encode(pictures, labels, np.arange(23), ["x", "y"], answers)
    assert np.array_equal(tiles(files["pictures.webp"], 23), pictures)
    opacity = tiles(files["heatmaps-0-0.webp"], 23)[..., 3].astype(float)
    peaks = np.where(maps.any(axis=(1, 2)), maps.max(axis=(1, 2)), 1)
    assert np.abs(opacity - 255 * maps / peaks[:, None, None]).max() <= 0.5 + 1e-4
    assert not opacity[5].any()
    assert read_data(files["data.js"])["networks"][0]["heatmaps"]["m"]["blank"] == [5]


def test_heatmaps_have_the_colours_of_the_report(made):
    from cifarcam.figures.heatmaps import coloured, scaled_for_display

    found = tiles(made["files"]["heatmaps-0-1.webp"], 12)
    for tile, heatmap in zip(found, made["maps"]["other"], strict=True):
        expected = coloured(scaled_for_display(heatmap))
        visible = tile[..., 3] > 0
        assert np.abs(tile[..., :3].astype(int) - expected)[visible].max() <= 4


def test_data_hold_what_the_networks_said(made):
    data = read_data(made["files"]["data.js"])
    assert data["classes"] == made["classes"]
    assert data["labels"] == made["labels"].tolist()
    assert data["places"] == made["places"].tolist()
    for network, (name, answers) in zip(data["networks"], made["answers"].items(), strict=True):
        assert network["name"] == name
        assert network["predicted"] == answers.probabilities.argmax(axis=1).tolist()
        given = np.array(network["probabilities"]) / data["units"]
        assert np.abs(given - answers.probabilities).max() <= 0.5 / data["units"] + 1e-12
    assert [n["heatmaps"]["first"]["blank"] for n in data["networks"]] == [[2], []]


def test_addresses_of_sprites_change_with_their_content(made):
    data = read_data(made["files"]["data.js"])
    named = [n["heatmaps"][m]["file"] for n in data["networks"] for m in data["methods"]]
    named.append(data["pictures"])
    assert {name.split("?")[0] for name in named} == set(made["files"]) - {"data.js"}
    versions = {name.split("?v=")[1] for name in named}
    assert len(versions) == len({content for n, content in made["files"].items() if n != "data.js"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answers": {}}, "at least one image and one network"),
        ({"labels": np.zeros(3, int)}, "12 images, 3 labels and 12 places"),
        ({"class_names": ["cat", "dog"]}, "a: probabilities of shape"),
        ({"images": np.zeros((12, 16, 32, 3), np.uint8)}, "a, first: heatmaps of shape"),
        ({"images": np.zeros((12, 32, 32, 3))}, "is not N x H x W x 3 uint8"),
    ],
)
def test_what_does_not_fit_together_is_refused(made, change, message):
    given = {
        "images": made["pictures"],
        "labels": made["labels"],
        "places": made["places"],
        "class_names": made["classes"],
        "answers": made["answers"],
    }
    with pytest.raises(CifarcamError, match=message):
        gallery.encode(**given | change)


def test_networks_with_other_methods_or_negative_maps_are_refused(made):
    arguments = (made["pictures"], made["labels"], made["places"], made["classes"])
    probabilities, maps = made["probabilities"]["a"], made["maps"]
    other = gallery.Answers(probabilities, {"first": maps["first"]})
    with pytest.raises(CifarcamError, match="c: not the methods of the others, first, other"):
        gallery.encode(*arguments, {**made["answers"], "c": other})
    negative = gallery.Answers(probabilities, {"first": -maps["first"]})
    with pytest.raises(CifarcamError, match=">= 0"):
        gallery.encode(*arguments, {"c": negative})
