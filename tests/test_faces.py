import json
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from cifarcam import data, figures
from cifarcam._files import write_json
from cifarcam.data import faces
from cifarcam.data.faces import cat_faces, overlaps
from cifarcam.errors import CifarcamError
from cifarcam.figures.style import SKY, WIDTH
from cifarcam.report import where as rows


def content():
    return json.loads(faces.PATH.read_text())


def rewritten(tmp_path, **changes):
    """The path of a copy with other entries, sealed anew."""
    path = tmp_path / "cat_faces.json"
    whole = {**content(), **changes}
    del whole["sha256"]
    write_json(path, whole)
    return path


def test_cat_faces_are_boxes_inside_their_images():
    marked = cat_faces()
    assert len(marked.images) == len(marked.boxes) >= 110
    assert marked.images.dtype == marked.boxes.dtype == np.int64
    assert len(set(marked.images.tolist())) == len(marked.images)
    left, top, right, bottom = marked.boxes.T
    assert ((left >= 0) & (left + 3 < right) & (right <= 32)).all()
    assert ((top >= 0) & (top + 3 < bottom) & (bottom <= 32)).all()
    assert len(marked.images) + marked.without + marked.unclear == marked.sampled


def test_cat_faces_of_every_image_looked_at_are_accounted_for():
    statuses = [entry["status"] for entry in content()["entries"]]
    assert set(statuses) == {"face", "no face", "unclear"}
    assert all((entry["status"] == "face") == ("box" in entry) for entry in content()["entries"])


@pytest.mark.slow
def test_cat_faces_follow_the_sampling_rule():
    labels = data.load().test.labels
    cats = np.flatnonzero(labels == data.CLASS_NAMES.index("cat"))
    order = np.random.default_rng(0).permutation(cats)
    drawn = [entry["image"] for entry in content()["entries"]]
    assert drawn == [image for image in order.tolist() if image != 2405][: len(drawn)]


def test_cat_faces_repeat_agreement_is_that_of_the_stored_boxes():
    marked, repeat = cat_faces(), content()["repeat"]
    boxes = dict(zip(marked.images.tolist(), marked.boxes.tolist(), strict=True))
    assert all(boxes[pair["image"]] == pair["first"] for pair in repeat["boxes"])
    assert marked.repeats == repeat["count"] == len(repeat["boxes"]) == 30
    assert marked.repeat_iou == pytest.approx(repeat["mean_iou"], abs=5e-5)


def test_overlaps_by_hand():
    first = np.array([[0, 0, 4, 4], [0, 0, 4, 4], [0, 0, 2, 2], [1, 2, 5, 8]])
    second = np.array([[0, 0, 4, 4], [2, 2, 6, 6], [2, 0, 4, 2], [2, 3, 4, 6]])
    # Whole; 2 x 2 of 16 + 16 - 4; edges that only touch; a box of 6 inside a box of 24.
    assert overlaps(first, second).tolist() == [1.0, 4 / 28, 0.0, 0.25]


def test_masks_are_the_pixels_of_the_boxes():
    marked = cat_faces()
    masks = marked.masks()
    assert masks.shape == (len(marked.images), 32, 32)
    left, top, right, bottom = marked.boxes[0]
    assert masks[0].sum() == (right - left) * (bottom - top)
    assert masks[0, top, left] and masks[0, bottom - 1, right - 1]
    assert not masks[0, top - 1, left] and not masks[0, bottom - 1, right]


def test_cat_faces_refuse_a_damaged_file(tmp_path):
    whole = faces.PATH.read_bytes()
    for damaged in (whole.replace(b'"box": [14,', b'"box": [15,', 1), whole[:-9], b""):
        assert damaged != whole
        path = tmp_path / "cat_faces.json"
        path.write_bytes(damaged)
        with pytest.raises(CifarcamError, match=r"cat_faces\.json: .*install cifarcam again"):
            cat_faces(path)
    with pytest.raises(CifarcamError, match=r"none\.json: cannot be read"):
        cat_faces(tmp_path / "none.json")


@pytest.mark.parametrize("box", [[-1, 0, 4, 4], [0, 0, 33, 4], [4, 0, 4, 4], [0, 9, 4, 8]])
def test_cat_faces_refuse_a_box_that_cannot_be(tmp_path, box):
    entries = [{"image": 7, "status": "face", "box": box}]
    with pytest.raises(CifarcamError, match="is no box inside 32 x 32 pixels"):
        cat_faces(rewritten(tmp_path, entries=entries))
    entries[0]["box"] = [0, 0, 32, 32]
    assert cat_faces(rewritten(tmp_path, entries=entries)).boxes.tolist() == [[0, 0, 32, 32]]


@pytest.mark.parametrize("images", [[7, 7], [7, 10_000], [-1, 7]])
def test_cat_faces_refuse_images_that_cannot_be(tmp_path, images):
    entries = [{"image": image, "status": "face", "box": [0, 0, 9, 9]} for image in images]
    with pytest.raises(CifarcamError, match="an image stands twice or outside 0-9999"):
        cat_faces(rewritten(tmp_path, entries=entries))


def test_boxes_are_drawn_along_the_edges_of_their_pixels():
    images = np.zeros((3, 32, 32, 3), np.uint8)
    edges = np.array([[0, 0, 32, 32], [4, 8, 12, 24], [31, 31, 32, 32]])
    figure = figures.boxes(images, edges, ["1", "2", "3"], columns=2)
    (axes,) = figure.axes
    lines = [patch for patch in axes.patches if to_hex(patch.get_edgecolor()) == SKY.lower()]
    assert len(axes.images) == len(lines) == 3
    for image, line, (left, top, right, bottom) in zip(axes.images, lines, edges, strict=True):
        x, end, low, high = image.get_extent()  # its upper edge is `high`
        pixel = (end - x) / 32
        assert pixel == pytest.approx((low - high) / 32)
        assert line.get_xy() == pytest.approx((x + left * pixel, high + top * pixel))
        assert line.get_width() == pytest.approx((right - left) * pixel)
        assert line.get_height() == pytest.approx((bottom - top) * pixel)
    assert WIDTH - 0.05 < axes.images[1].get_extent()[1] < WIDTH


def test_boxes_refuse_other_numbers_and_show_none():
    images = np.zeros((2, 32, 32, 3), np.uint8)
    with pytest.raises(CifarcamError, match="2 images and 1 titles"):
        figures.boxes(images, np.zeros((2, 4)), ["1"])
    with pytest.raises(CifarcamError, match=r"boxes: shape \(1, 4\) for 2 images"):
        figures.boxes(images, np.zeros((1, 4)), ["1", "2"])
    empty = figures.boxes(images[:0], np.zeros((0, 4)), [])
    assert [text.get_text() for text in empty.axes[0].texts] == ["no images to show"]


def test_marked_faces_are_those_of_the_full_test_set():
    images = np.arange(10_000, dtype=np.int64)
    full = SimpleNamespace(is_sample=False, test=SimpleNamespace(images=images))
    pictures, boxes, titles = rows.marked_faces(cat_faces(), full)
    assert pictures.tolist() == cat_faces().images.tolist() == list(map(int, titles))
    assert np.array_equal(boxes, cat_faces().boxes)
    sample = SimpleNamespace(is_sample=True, test=SimpleNamespace(images=images[:100]))
    assert [len(part) for part in rows.marked_faces(cat_faces(), sample)] == [0, 0, 0]
