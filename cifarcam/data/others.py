"""Images other than CIFAR-10's: the new test images of CIFAR-10.1, and those of CIFAR-100.

CIFAR-10.1 (Recht et al. 2018) is published in https://github.com/modestyachts/CIFAR-10.1: images
of the same ten classes, drawn anew from the source of CIFAR-10; version 4 has 2,021, version 6
2,000 with equal numbers by class. CIFAR-100 (Krizhevsky 2009, section 3.1) has images of a hundred
other classes. The digests are those of TensorFlow Datasets (``url_checksums``).
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cifarcam.data.dataset import CLASS_NAMES, Split
from cifarcam.data.publication import Publication
from cifarcam.errors import CifarcamError, first_line

_REPOSITORY = "https://github.com/modestyachts/CIFAR-10.1/raw/master/datasets"
CIFAR100_IMAGES = 10_000
CIFAR100_CLASSES = 100
_CIFAR100_MEMBER = "cifar-100-binary/test.bin"
_CIFAR100_ROW = 1 + 1 + 32 * 32 * 3  # coarse label, fine label, pixels by channel


def _remedy(name: str) -> str:
    return (
        "download its files elsewhere into one folder and run "
        f"`cifarcam data --dataset {name} --from FOLDER`"
    )


def _of_version(
    version: str, images: tuple[str, int], labels: tuple[str, int]
) -> dict[str, Publication]:
    return {
        f"cifar10.1_{version}_{part}.npy": Publication(
            name=f"cifar-10.1/cifar10.1_{version}_{part}.npy",
            title=f"the {what} of CIFAR-10.1 {version}",
            url=f"{_REPOSITORY}/cifar10.1_{version}_{part}.npy",
            sha256=digest,
            size=size,
            remedy=_remedy(f"cifar10.1-{version}"),
        )
        for part, what, (digest, size) in (("data", "images", images), ("labels", "labels", labels))
    }


# The files of each dataset, by the name under which they are published.
FILES: Mapping[str, Mapping[str, Publication]] = {
    "cifar10.1-v4": _of_version(
        "v4",
        ("5aaedc268df8f4cffca2ac0cf9e608ae1897a8cddb630c7a850a2ea8f6558e75", 6_208_640),
        ("1f9544300ded199539b6662364ce7fe6c2e1ea9f87408f06db4b1a6184cffb18", 8_212),
    ),
    "cifar10.1-v6": _of_version(
        "v6",
        ("2997188e5816f5bd545dc77771b6227828c28146049fcecf3fa10775474cacc6", 6_144_128),
        ("ae40beda001693674edc94d925ee8268cfe68905f8f9aff800c8dcdfcd6c9448", 8_128),
    ),
    "cifar100": {
        "cifar-100-binary.tar.gz": Publication(
            name="cifar-100/cifar-100-binary.tar.gz",
            title="the archive of CIFAR-100",
            url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            size=168_513_733,
            remedy=_remedy("cifar100"),
        )
    },
}


def is_at_hand(name: str) -> bool:
    """Whether the cache holds all files of a dataset of `FILES`, undamaged."""
    at_hand = [file.is_at_hand() for file in FILES[name].values()]  # each of them is noted
    return all(at_hand)


def load(name: str) -> Split:
    """Read a dataset of `FILES` from the cache, fetched and verified first where it is missing.

    Returns
    -------
    Split
        Images (uint8, N x 32 x 32 x 3, RGB) and labels (int64, N): CIFAR-10's classes 0-9 for
        CIFAR-10.1; the fine classes 0-99 of the 10,000 test images for CIFAR-100.

    Raises
    ------
    CifarcamError
        When `name` is unknown, or a file cannot be fetched or is not the published file.
    """
    if name not in FILES:
        raise CifarcamError(f"dataset {name!r} is not one of {', '.join(FILES)}")
    paths = [file.obtain() for file in FILES[name].values()]
    if name == "cifar100":
        return _read_cifar100(paths[0])
    images, labels = (_read_array(path) for path in paths)
    if (
        images.dtype != np.uint8
        or images.shape != (len(labels), 32, 32, 3)
        or labels.ndim != 1
        or not np.isin(labels, range(len(CLASS_NAMES))).all()
    ):
        raise CifarcamError(
            f"{paths[0]}: images {images.dtype} {images.shape} with labels {labels.shape}; "
            "not CIFAR-10.1"
        )
    return Split(images, labels.astype(np.int64))


def _read_array(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]
    except (ValueError, EOFError) as error:
        raise CifarcamError(f"{path}: not an array ({first_line(error)})") from error


def _read_cifar100(path: Path) -> Split:
    """The test images in the archive of CIFAR-100; nothing is extracted to a path."""
    expected = CIFAR100_IMAGES * _CIFAR100_ROW
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                if member.name == _CIFAR100_MEMBER and member.size == expected:
                    content = archive.extractfile(member)
                    break
            else:
                content = None
            rows = content.read() if content is not None else b""
    except (OSError, tarfile.TarError, EOFError) as error:
        raise CifarcamError(f"{path}: not an archive ({first_line(error)})") from error
    if len(rows) != expected:
        raise CifarcamError(f"{path}: it holds no {_CIFAR100_MEMBER} of {expected:,} bytes")
    table = np.frombuffer(rows, np.uint8).reshape(CIFAR100_IMAGES, _CIFAR100_ROW)
    planes = table[:, 2:].reshape(CIFAR100_IMAGES, 3, 32, 32)
    return Split(planes.transpose(0, 2, 3, 1), table[:, 1].astype(np.int64))
