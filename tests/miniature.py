"""CIFAR-10 in miniature, of 24 images, and its archives in every published layout."""

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from cifarcam.data import archives

COUNT = 4  # images in a batch of the miniature
NAMES = list(archives.BATCH_MD5)


def miniature_batches():
    generator = np.random.default_rng(5)
    rows = generator.integers(0, 256, (6, COUNT, 3073), dtype=np.uint8)
    rows[:, :, 0] = generator.integers(0, 10, (6, COUNT))
    return {name: batch.tobytes() for name, batch in zip(NAMES, rows, strict=True)}


def toronto_archive(batches, prefix="cifar-10-batches-bin/"):
    return archive_of({f"{prefix}{name}": content for name, content in batches.items()})


def archive_of(members, mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def npm_archive(batches):
    return archive_of(npm_members(batches))


def npm_members(batches):
    members, labels = {}, {}
    for name, content in batches.items():
        rows = np.frombuffer(content, np.uint8).reshape(COUNT, 3073)
        pixels = rows[:, 1:].reshape(COUNT, 3, 1024).transpose(0, 2, 1)
        picture = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(picture, "png")
        members[f"package/{Path(name).stem}.png"] = picture.getvalue()
        labels[name] = rows[:, 0].tolist()
    train = [label for name in NAMES[:5] for label in labels[name]]
    members["package/train_lables.json"] = json.dumps(train).encode()
    members["package/test_lables.json"] = json.dumps(labels[NAMES[5]]).encode()
    return members


def zip_of(members, packing=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def folder_of(path, members):
    for name, content in members.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)


def binary_members(batches, prefix="cifar-10-batches-bin/"):
    """As in the published archive, with its two texts."""
    texts = {"batches.meta.txt": b"airplane\n", "readme.html": b"<html>"}
    return {f"{prefix}{name}": content for name, content in (batches | texts).items()}


def shrink(monkeypatch):
    """Six batches of four images, which are CIFAR-10 until the patches are undone."""
    batches = miniature_batches()
    monkeypatch.setattr(archives, "BATCH_IMAGES", COUNT)
    monkeypatch.setattr(archives, "BATCH_BYTES", COUNT * 3073)
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in batches.items()}
    monkeypatch.setattr(archives, "BATCH_MD5", md5)
    return batches
