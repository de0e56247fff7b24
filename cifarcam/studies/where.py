"""The record `where`: on what the heatmaps of Grad-CAM lie, and what removing it costs, by run.

All runs are explained at the same place: the layer that the last max pooling takes, which is the
last convolution with its normalisation, ReLU and attention where a network has them. All values are
percentages or percentage points, except correlations, Gini indices and counts. The errors in the
record are standard errors over test images; seeds are separate entries.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from cifarcam import _closure, _devices, _files, _store, data, explain, runs
from cifarcam.data import Dataset
from cifarcam.data.faces import PATH as FACES
from cifarcam.data.faces import CatFaces, cat_faces
from cifarcam.errors import CifarcamError
from cifarcam.explain import metrics
from cifarcam.runs import Run
from cifarcam.studies import contrast, records, swaps

RECORD = "where"
EXPERIMENTS = (
    "baseline",
    "baseline-early-stopping",
    "custom-cnn-augmented",
    "custom-cnn-attention",
    "custom-cnn-augmented-long",
    "custom-cnn-attention-long",
)
BORDER = 8  # width of the frame in pixels
LAYER_IMAGES = 2000  # the first test images, explained at every stage
SWAPS_OF_CLASS = 300  # pictures of each class on the backgrounds of any other class
SWAPS_OF_PAIR = 500  # pictures of a class on the backgrounds of one other class
PAIRED_CLASSES = (("airplane", "deer"), ("deer", "airplane"), ("ship", "frog"), ("frog", "ship"))
CONTRASTS = (("cat", "dog"), ("automobile", "truck"), ("airplane", "ship"))
CONTRAST_IMAGES = 400


@dataclass(frozen=True)
class Material:
    """What all runs are measured on, computed once.

    Attributes
    ----------
    images, labels, class_names
        The test images, their classes, and the classes' names.
    masks
        The estimated foregrounds, bool, N x H x W.
    by_class
        For each class its objects on backgrounds of any other class; None where too few pictures
        are eligible.
    by_pair
        Objects of one class on the backgrounds of another class, by name (``"airplane-deer"``).
    faces
        Marked faces, or None where there are none.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: tuple[str, ...]
    masks: np.ndarray
    by_class: tuple[swaps.Swaps | None, ...]
    by_pair: Mapping[str, swaps.Swaps] = field(default_factory=dict)
    faces: CatFaces | None = None


def measure() -> Iterator[dict[str, Any]]:
    """Measure every run of `EXPERIMENTS` whose weights are at hand, on all test images.

    The results are yielded after each run. Entries of an earlier record of the same weights, code
    and marked faces are copied, so that an interrupted measurement resumes.
    """
    dataset = data.load()
    chosen = [run for run in runs.every(dataset) if _experiment(run) in EXPERIMENTS]
    chosen = [run for run in chosen if run.has_weights]
    chosen.sort(key=lambda run: (EXPERIMENTS.index(_experiment(run)), _seed(run)))
    height, breadth = dataset.test.images.shape[1:3]
    entries = _earlier()
    prepared = material(dataset, cat_faces())
    for run in tqdm(chosen, desc="runs"):
        if _weights(run) not in entries:
            entries[_weights(run)] = _entry(run, prepared)
        measured = [run for run in chosen if _weights(run) in entries]
        yield {
            "inputs": records.inputs(dataset, runs=measured),
            "device": _devices.describe()["device"],
            "images": len(dataset.test),
            "class_names": list(dataset.class_names),
            "faces": _files.sha256(FACES),
            "border": BORDER,
            "border_area": 100 * metrics.border_area(height, breadth, width=BORDER),
            "area": by_group(100 * (1 - prepared.masks.mean(axis=(1, 2))), prepared.labels),
            "eligible": int(swaps.eligible(prepared.masks).sum()),
            "runs": {run.name: entries[_weights(run)] for run in measured},
        }


def material(dataset: Dataset, marked: CatFaces | None = None) -> Material:
    """Foregrounds and swaps of a dataset's test images."""
    images, labels = dataset.test.images, dataset.test.labels
    names = list(dataset.class_names)
    masks = metrics.foreground(images)

    def swapped(of_class: int, hosts: int | None, count: int) -> swaps.Swaps | None:
        try:
            return swaps.swap(images, labels, masks, of_class, hosts, count)
        except CifarcamError:  # too few pictures, as in a small sample
            return None

    pairs = {
        f"{one}-{other}": swapped(names.index(one), names.index(other), SWAPS_OF_PAIR)
        for one, other in PAIRED_CLASSES
    }
    return Material(
        images,
        labels,
        tuple(names),
        masks,
        tuple(swapped(index, None, SWAPS_OF_CLASS) for index in range(len(names))),
        {name: pair for name, pair in pairs.items() if pair is not None},
        marked,
    )


def explained_layer(model: keras.Model) -> str:
    """The name of the layer that the last max pooling takes.

    Raises
    ------
    CifarcamError
        When the model has no max pooling.
    """
    return stages(model)[-1]


def stages(model: keras.Model) -> list[str]:
    """The names of the layers that the max poolings take, from first to last.

    Raises
    ------
    CifarcamError
        When the model has no max pooling.
    """
    names = [
        before.name
        for before, after in zip(model.layers, model.layers[1:], strict=False)
        if isinstance(after, keras.layers.MaxPooling2D)
    ]
    if not names:
        raise CifarcamError(f"the model {model.name} has no max pooling; give a custom CNN")
    return names


def of_model(model: keras.Model, on: Material, *, in_detail: bool = False) -> dict[str, Any]:
    """All measurements of one network; earlier layers and contrast only `in_detail`."""
    classifier = explain.Classifier(model)
    explainer = explain.GradCAM(classifier, explained_layer(classifier.model))
    probabilities = classifier.probabilities(on.images)
    predicted = probabilities.argmax(axis=1)
    is_wrong = predicted != on.labels
    of_predicted = explainer(on.images)
    of_true = of_predicted.copy()
    if is_wrong.any():
        of_true[is_wrong] = explainer(on.images[is_wrong], on.labels[is_wrong])
    kept = 100 * probabilities[np.arange(len(on.labels)), on.labels]
    found = {
        "layer": explainer.layer,
        "correct": int((~is_wrong).sum()),
        "zero_predicted": int((~of_predicted.any(axis=(1, 2))).sum()),
        "zero_true_wrong": int((~of_true[is_wrong].any(axis=(1, 2))).sum()),
        **background(classifier, on, of_true, kept),
        "border": border(of_predicted, predicted, on.labels, len(on.class_names)),
        "counter": counter(of_predicted, of_true, np.flatnonzero(is_wrong)),
        "mean_maps": packed(mean_maps(of_true, on.labels, len(on.class_names))),
        "cats": cats(classifier, on, of_true, kept),
        "swaps": swapped_backgrounds(classifier, on),
        "faces": marked_faces(classifier, on, of_true, kept),
    }
    if in_detail:
        found["layers"] = by_layer(classifier, on, ~is_wrong)
        found["contrast"] = contrasts(classifier, explainer, on, predicted)
    return found


def background(
    classifier: explain.Classifier, on: Material, of_true: np.ndarray, kept: np.ndarray
) -> dict[str, Any]:
    """Energy on the estimated background minus its area, and the probability lost without it.

    Parameters
    ----------
    classifier, on
        The network, and what it is measured on.
    of_true
        Heatmaps of the true class, N x H x W.
    kept
        Probability of the true class for whole images, percent, N.
    """
    outside = 1 - metrics.energy_inside(of_true, on.masks)
    excess = 100 * (outside - (1 - on.masks.mean(axis=(1, 2))))
    no_ground, no_object = (
        100 * metrics.probability_without(classifier, on.images, region, on.labels)
        for region in (~on.masks, on.masks)
    )
    return {
        "excess": by_group(excess, on.labels),
        "kept": by_group(kept, on.labels),
        "lost_background": by_group(kept - no_ground, on.labels),
        "lost_object": by_group(kept - no_object, on.labels),
        "object_over_background": by_group(no_ground - no_object, on.labels),
    }


def border(
    of_predicted: np.ndarray, predicted: np.ndarray, labels: np.ndarray, classes: int
) -> dict[str, Any]:
    """Energy in the frame, of right and of wrong predictions, by *predicted* class."""
    share = 100 * metrics.border_share(of_predicted, width=BORDER)
    right = predicted == labels
    return {
        "right": by_group(np.where(right, share, np.nan), predicted, classes),
        "wrong": by_group(np.where(right, np.nan, share), predicted, classes),
    }


def counter(of_predicted: np.ndarray, of_true: np.ndarray, wrong: np.ndarray) -> dict[str, Any]:
    """Rank correlation of the maps for the predicted and the true class, of wrong predictions.

    `negative` is the share of negative correlations, percent.
    """
    alike = np.array([])
    if wrong.size:
        alike = metrics.rank_correlation(of_predicted[wrong], of_true[wrong])
    alike = alike[~np.isnan(alike)]
    negative = round(100 * float((alike < 0).mean()), 3) if alike.size else None
    return {**summary(alike), "negative": negative}


def mean_maps(of_true: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The mean map of each class on 8 x 8 squares, each map divided by its own mean first."""
    levels = of_true.mean(axis=(1, 2), keepdims=True)
    relative = np.divide(of_true, levels, out=np.zeros_like(of_true), where=levels > 0)
    count, height, width = relative.shape
    coarse = relative.reshape(count, 8, height // 8, 8, width // 8).mean(axis=(2, 4))
    used = levels[:, 0, 0] > 0
    return np.stack(
        [
            coarse[used & (labels == k)].sum(axis=0) / max(int((used & (labels == k)).sum()), 1)
            for k in range(classes)
        ]
    )


def cats(
    classifier: explain.Classifier, on: Material, of_true: np.ndarray, kept: np.ndarray
) -> dict[str, Any]:
    """The upper half of the foreground of cats: its share of the energy there, and its removal."""
    own = on.labels == on.class_names.index("cat")
    masks, images, labels = on.masks[own], on.images[own], on.labels[own]
    upper = metrics.upper_half(masks)
    falls = [
        kept[own] - 100 * metrics.probability_without(classifier, images, half, labels)
        for half in (upper, masks & ~upper)
    ]
    return {
        "upper": summary(100 * metrics.energy_inside(of_true[own] * masks, upper)),
        "fall_upper": summary(falls[0]),
        "fall_lower": summary(falls[1]),
        "fall_difference": summary(falls[0] - falls[1]),
    }


def swapped_backgrounds(classifier: explain.Classifier, on: Material) -> dict[str, Any]:
    """Accuracy and probability of the true class with a background of its own or another class.

    `accuracy_lost` and `probability_lost` compare the same objects: with the background of another
    picture of the class, minus with the background of another class. `host_gained` is what the
    class of the foreign background gains in probability.
    """
    present = [each for each in on.by_class if each is not None]
    measured = [_swapped(classifier, each) for each in present]
    labels = np.concatenate([each.labels for each in present]) if present else np.array([], int)
    return {
        "by_class": {
            name: by_group(np.concatenate([values[name] for values in measured]), labels)
            for name in ("accuracy_own", "accuracy_lost", "probability_own", "probability_lost")
            if measured
        },
        "by_pair": {
            name: {key: summary(values) for key, values in _swapped(classifier, each).items()}
            for name, each in on.by_pair.items()
        },
    }


def _swapped(classifier: explain.Classifier, pictures: swaps.Swaps) -> dict[str, np.ndarray]:
    """Values of each object, percent or points, N each."""
    own, foreign = (classifier.probabilities(each) for each in (pictures.own, pictures.foreign))
    rows = np.arange(len(pictures.labels))
    of_true = [100 * each[rows, pictures.labels] for each in (own, foreign)]
    right = [100.0 * (each.argmax(axis=1) == pictures.labels) for each in (own, foreign)]
    return {
        "probability_own": of_true[0],
        "probability_lost": of_true[0] - of_true[1],
        "host_gained": 100 * (foreign - own)[rows, pictures.hosts],
        "accuracy_own": right[0],
        "accuracy_lost": right[0] - right[1],
    }


def by_layer(classifier: explain.Classifier, on: Material, right: np.ndarray) -> dict[str, Any]:
    """Energy on the estimated foreground minus its area at every stage, of right predictions.

    `last_minus_first` compares the same images, those whose two maps are both not zero.
    """
    chosen = np.flatnonzero(right[:LAYER_IMAGES])
    names = stages(classifier.model)
    if not chosen.size:
        return {"stages": {}, "last_minus_first": summary(np.array([]))}
    images, masks = on.images[chosen], on.masks[chosen]
    excess, gini, zero = {}, {}, {}
    for name in names:
        maps = explain.GradCAM(classifier, name)(images, on.labels[chosen])
        excess[name] = 100 * (metrics.energy_inside(maps, masks) - masks.mean(axis=(1, 2)))
        gini[name] = metrics.gini(maps)
        zero[name] = int((~maps.any(axis=(1, 2))).sum())
    return {
        "stages": {
            name: {
                "object": summary(excess[name]),
                "gini": summary(gini[name]),
                "zero": zero[name],
            }
            for name in names
        },
        "last_minus_first": summary(excess[names[-1]] - excess[names[0]]),
    }


def contrasts(
    classifier: explain.Classifier,
    explainer: explain.Explainer,
    on: Material,
    predicted: np.ndarray,
) -> dict[str, Any]:
    """How often removing the pixels that a map marks turns the answer to the pair's other class.

    The images are right predictions of two classes. The contrast map explains the score of the
    true class minus the score of the other class, the plain map the true class.
    """
    found = {}
    for pair in CONTRASTS:
        first, second = (on.class_names.index(name) for name in pair)
        indices, rivals = contrast.chosen(predicted, on.labels, (first, second), CONTRAST_IMAGES)
        if not indices.size:
            continue
        images, labels = on.images[indices], on.labels[indices]
        maps = {
            "contrast": explainer(images, np.stack([labels, rivals], axis=1)),
            "plain": explainer(images, labels),
            "random": explain.RandomMap(classifier)(images, labels),
            "centre": explain.CentreBlob(classifier)(images, labels),
        }
        turned = contrast.turned(classifier, images, rivals, maps)
        rates = {name: 100.0 * values for name, values in turned.items()}
        found["-".join(pair)] = {
            "turned": {name: summary(values) for name, values in rates.items()},
            "contrast_minus": {
                name: summary(rates["contrast"] - rates[name])
                for name in ("plain", "random", "centre")
            },
        }
    return found


def marked_faces(
    classifier: explain.Classifier, on: Material, of_true: np.ndarray, kept: np.ndarray
) -> dict[str, Any] | None:
    """Energy in marked face boxes, and what removing them costs; None without marked faces.

    `energy` is the box's share of the energy minus its share of the area. `centre` is the same for
    an equal box in the image's centre, and `blob` for the face box and a map that is always the
    same blob in the centre. `removal` is the probability lost without the face box minus the
    probability lost without an equal box elsewhere, see `elsewhere`.
    """
    if on.faces is None:
        return None
    indices, boxes = on.faces.images, on.faces.masks()
    images, labels, maps = on.images[indices], on.labels[indices], of_true[indices]
    area = boxes.mean(axis=(1, 2))
    centres = np.stack([centred(box) for box in boxes])
    others, found = elsewhere(boxes, on.masks[indices])
    blob = explain.CentreBlob(classifier)(images, labels)
    lost_face, lost_other = (
        kept[indices] - 100 * metrics.probability_without(classifier, images, region, labels)
        for region in (boxes, others)
    )
    in_face, in_centre = (100 * metrics.energy_inside(maps, each) for each in (boxes, centres))
    return {
        "area": summary(100 * area),
        "energy": summary(in_face - 100 * area),
        "centre": summary(in_centre - 100 * area),
        "face_minus_centre": summary(in_face - in_centre),
        "blob": summary(100 * (metrics.energy_inside(blob, boxes) - area)),
        "lost_face": summary(lost_face),
        "lost_elsewhere": summary(np.where(found, lost_other, np.nan)),
        "removal": summary(np.where(found, lost_face - lost_other, np.nan)),
    }


def centred(box: np.ndarray) -> np.ndarray:
    """A box (one rectangle of true pixels, H x W) moved to the image's centre."""
    rows, columns = np.flatnonzero(box.any(axis=1)), np.flatnonzero(box.any(axis=0))
    top, left = (box.shape[0] - rows.size) // 2, (box.shape[1] - columns.size) // 2
    moved = np.zeros_like(box)
    moved[top : top + rows.size, left : left + columns.size] = True
    return moved


def elsewhere(boxes: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Equal boxes that do not touch the given boxes and hold most of the foreground.

    Of equal places the first row by row is taken.

    Parameters
    ----------
    boxes
        One rectangle of true pixels for each image, bool, N x H x W.
    masks
        Foregrounds, bool, N x H x W.

    Returns
    -------
    tuple of numpy.ndarray
        The other boxes, bool, N x H x W, and whether there is such a place, bool, N. Where there is
        none, the other box is empty.
    """
    others, found = np.zeros_like(boxes), np.zeros(len(boxes), bool)
    for index, (box, mask) in enumerate(zip(boxes, masks, strict=True)):
        shape = (int(box.any(axis=1).sum()), int(box.any(axis=0).sum()))

        def sums(values: np.ndarray, shape: tuple[int, int] = shape) -> np.ndarray:
            windows = np.lib.stride_tricks.sliding_window_view(values.astype(int), shape)
            return windows.sum(axis=(2, 3))

        inside = np.where(sums(box) == 0, sums(mask), -1)
        if inside.max() < 0:
            continue
        top, left = np.unravel_index(inside.argmax(), inside.shape)
        others[index, top : top + shape[0], left : left + shape[1]] = True
        found[index] = True
    return others, found


def summary(values: np.ndarray) -> dict[str, Any]:
    """Mean, standard error over images, and count of the values that are not NaN.

    The mean of no value and the error of one are None.
    """
    numbers = np.asarray(values, np.float64)
    numbers = numbers[~np.isnan(numbers)]
    mean = round(float(numbers.mean()), 3) if numbers.size else None
    error = None
    if numbers.size > 1:
        error = round(float(numbers.std(ddof=1) / np.sqrt(numbers.size)), 3)
    return {"mean": mean, "error": error, "count": int(numbers.size)}


def by_group(values: np.ndarray, groups: np.ndarray, count: int = 10) -> dict[str, Any]:
    """`summary` for each group of images (lists) and for ``"all"`` images."""
    each = [summary(values[groups == k]) for k in range(count)]
    return {key: [one[key] for one in each] for key in ("mean", "error", "count")} | {
        "all": summary(values)
    }


def packed(values: np.ndarray) -> str:
    """Values of 0 to 5 as text, in steps of 1/51."""
    steps = np.rint(51 * np.clip(values, 0, 5)).astype(np.uint8)
    return base64.b64encode(zlib.compress(steps.tobytes(), 9)).decode()


def unpacked(text: str) -> np.ndarray:
    """The mean maps that `packed` stored, float32, classes x 8 x 8."""
    steps = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
    return steps.reshape(-1, 8, 8).astype(np.float32) / 51


def _entry(run: Run, on: Material) -> dict[str, Any]:
    about = {"experiment": _experiment(run), "seed": _seed(run), "weights": _weights(run)}
    return about | of_model(run.model(), on, in_detail=_experiment(run) == EXPERIMENTS[0])


def _earlier() -> dict[str, dict[str, Any]]:
    """Entries of the record at hand by weights, where code and marked faces are the same."""
    if not records.is_at_hand(RECORD):
        return {}
    record = records.load(RECORD)
    code = _closure.code_digest(__name__)
    if record["code"] != code or record["faces"] != _files.sha256(FACES):
        return {}
    return {entry["weights"]: entry for entry in record["runs"].values()}


def _experiment(run: Run) -> str:
    return run.name.partition("-seed")[0]


def _seed(run: Run) -> int:
    return int(run.experiment.training.seed)


def _weights(run: Run) -> str:
    return str(run.provenance["files"][_store.WEIGHTS])
