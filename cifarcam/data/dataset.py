"""CIFAR-10: loaded, verified against its published digests, and split."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.model_selection import train_test_split

from cifarcam import _store
from cifarcam.data import archives, download
from cifarcam.data.archives import Batches
from cifarcam.errors import CifarcamError

CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
SAMPLE_DIR = Path(__file__).parent / "sample"
SAMPLE_SEED = 2025
SAMPLE_PER_CLASS = 100
SAMPLE_BYTES = 10**7  # at most, of each file
SAMPLE_SHA256 = {
    "train.png": "317531834696f14c511246b160fa3cf5a1d8d7b8b340dcef311e29f9b19a5f9e",
    "test.png": "a72e65c5a9eac8900634ec0dd74b673e784ce373b8dd31a6195aba8180c68c55",
    "labels.json": "3ad676db610e2201725d2c08ca2dc8a0f7b25cf2caa6d360ddc42ac83a8f58f0",
}
# SHA-256 over training images and labels, then test images and labels (int64), before splitting.
DIGESTS = {
    "cifar10": "6b3883dca6c867f1e58def548c063d1865569b8575fcbce06b3e468a89f9895a",
    "sample": "882fc29a32e9f38af4dad8abddd5a47870fbd64169599c5c998b15d38caa3981",
}
VALIDATION_FRACTION = 0.15


@dataclass(frozen=True)
class Split:
    """Images (uint8, N x 32 x 32 x 3, RGB) and their labels (int64, N, 0-9)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """The three splits of a dataset.

    `digest` is the SHA-256 of all images and labels before splitting. `train_indices` and
    `validation_indices` (int64) are indices into the training images in their published order.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    train_indices: np.ndarray
    validation_indices: np.ndarray
    class_names: tuple[str, ...]
    digest: str
    split_seed: int

    @property
    def is_sample(self) -> bool:
        """Whether this is the small committed sample instead of the real dataset."""
        return self.name == "sample"


def load(
    name: str = "cifar10", *, seed: int = 0, say: Callable[[str], None] = download.to_stderr
) -> Dataset:
    """Load and split a dataset; download and verify it first if it is not in the cache.

    Parameters
    ----------
    name
        ``"cifar10"``, all 60,000 images, or ``"sample"``, the 2,000 that come with the package.
    seed
        Seed of the stratified 85 / 15 split of the training images.
    say
        Receives a line for each source of a download.

    Returns
    -------
    Dataset
        For ``"cifar10"``: 42,500 training, 7,500 validation and 10,000 test images, uint8.

    Raises
    ------
    CifarcamError
        When there is no dataset `name`, or no source serves CIFAR-10.
    """
    if name == "cifar10":
        train, test = _decode_batches(download.obtain(say=say))
    elif name == "sample":
        train, test = _read_sample()
    else:
        raise CifarcamError(f"dataset {name!r} is not one of cifar10, sample")
    train_indices, validation_indices = train_test_split(
        np.arange(len(train)),
        test_size=VALIDATION_FRACTION,
        stratify=train.labels,
        random_state=seed,
    )
    train_indices.sort()
    validation_indices.sort()
    _store.hand_out("datasets", name, digest=DIGESTS[name])
    return Dataset(
        name=name,
        train=Split(train.images[train_indices], train.labels[train_indices]),
        validation=Split(train.images[validation_indices], train.labels[validation_indices]),
        test=test,
        train_indices=train_indices,
        validation_indices=validation_indices,
        class_names=CLASS_NAMES,
        digest=DIGESTS[name],
        split_seed=seed,
    )


def _decode_batches(batches: Batches) -> tuple[Split, Split]:
    train = np.empty((5 * archives.BATCH_IMAGES, 32, 32, 3), np.uint8)
    labels = np.empty(5 * archives.BATCH_IMAGES, np.int64)
    names = list(archives.BATCH_MD5)
    for index, name in enumerate(names[:5]):
        part = slice(index * archives.BATCH_IMAGES, (index + 1) * archives.BATCH_IMAGES)
        train[part], labels[part] = _decode_batch(batches.pop(name))
    test = np.empty((archives.BATCH_IMAGES, 32, 32, 3), np.uint8)
    test[:], test_labels = _decode_batch(batches.pop(names[5]))
    return Split(train, labels), Split(test, test_labels)


def _decode_batch(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    rows = np.frombuffer(content, np.uint8).reshape(archives.BATCH_IMAGES, 1 + 3072)
    planes = rows[:, 1:].reshape(archives.BATCH_IMAGES, 3, 32, 32)
    return planes.transpose(0, 2, 3, 1), rows[:, 0].astype(np.int64)


def write_sample(directory: Path) -> None:
    """Write the sample: 100 training and 100 test images of each class, drawn with `SAMPLE_SEED`.

    The files are ``train.png`` and ``test.png``, in which each row is an image of 1,024 RGB
    pixels, and ``labels.json``.
    """
    train, test = _decode_batches(download.obtain())
    generator = np.random.default_rng(SAMPLE_SEED)
    labels = {}
    for name, split in (("train", train), ("test", test)):
        indices = np.sort(
            np.concatenate(
                [
                    generator.choice(
                        np.flatnonzero(split.labels == label), SAMPLE_PER_CLASS, replace=False
                    )
                    for label in range(len(CLASS_NAMES))
                ]
            )
        )
        rows = split.images[indices].reshape(len(indices), 1024, 3)
        Image.fromarray(rows).save(directory / f"{name}.png", optimize=True)
        labels[name] = split.labels[indices].tolist()
    (directory / "labels.json").write_text(json.dumps(labels) + "\n")


def _read_sample() -> tuple[Split, Split]:
    contents = {}
    for name, expected in SAMPLE_SHA256.items():
        path = SAMPLE_DIR / name
        content = b""
        with suppress(OSError):
            if path.is_file() and path.stat().st_size <= SAMPLE_BYTES:
                content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != expected:
            raise CifarcamError(f"{path}: missing or changed; install cifarcam again")
        contents[name] = content
    labels = json.loads(contents["labels.json"])
    splits = []
    for name in ("train", "test"):
        with Image.open(io.BytesIO(contents[f"{name}.png"])) as picture:
            images = np.asarray(picture).reshape(-1, 32, 32, 3)
        splits.append(Split(images, np.array(labels[name], np.int64)))
    return splits[0], splits[1]
