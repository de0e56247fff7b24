"""Files that are whole or absent: writing, hashing and the user's cache."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pooch
from safetensors import SafetensorError

from cifarcam.errors import CifarcamError

# The place for a file's own SHA-256, in JSON as in the metadata of safetensors. The digest is that
# of the file with `UNSEALED` there.
_SEAL = re.compile(rb'"sha256": ?"([0-9a-f]{64})"')
UNSEALED = "0" * 64


def cache_dir() -> Path:
    """The user's cache directory for this project (moved by ``XDG_CACHE_HOME``)."""
    return Path(pooch.os_cache("cifarcam"))


@contextmanager
def writing_to(directory: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into one sentence that names the directory.

    Raises
    ------
    CifarcamError
        When writing fails inside the block.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "free space there or make it writable"
        if directory.is_relative_to(cache_dir()):
            remedy += ", or point XDG_CACHE_HOME at another directory"
        raise CifarcamError(f"cannot write to {directory}: {reason}; {remedy}") from error


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends without an error.

    The contents are flushed to the disk before the name changes, so that neither a reader nor a
    power cut ever meets half a file.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        _flush(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory that becomes `path`, replacing what stood there.

    The caller holds a lock, so that what a killed process left beside `path` can be cleared.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_leftovers(path)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        for file in temporary.iterdir():
            _flush(file)
            file.chmod(0o644)
        temporary.chmod(0o755)
        if path.exists():
            replaced = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
            path.replace(replaced / path.name)
            temporary.replace(path)
            shutil.rmtree(replaced)
        else:
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def clear_leftovers(path: Path) -> list[Path]:
    """Remove what a killed process left while it wrote `path`, and return what was removed.

    Where it had moved the old `path` aside and not yet put the new one in its place, the old one
    is put back. Nobody may be writing `path`.
    """
    removed = []
    for leftover in sorted(path.parent.glob(f".{glob.escape(path.name)}.*")):
        if leftover.is_dir():
            aside = leftover / path.name
            if aside.is_dir() and not path.exists():
                aside.replace(path)
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)
        removed.append(leftover)
    return removed


def sha256(path: Path) -> str:
    """SHA-256 of a file's contents, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(path: Path) -> None:
    """Write a file's SHA-256 into the file, where it holds ``"sha256": "000…"`` (`UNSEALED`)."""
    content = path.read_bytes()
    place = _SEAL.search(content)
    if place is None or place[1] != UNSEALED.encode():
        raise ValueError(f"{path} has no place for its digest")
    with path.open("rb+") as file:
        file.seek(place.start(1))
        file.write(hashlib.sha256(content).hexdigest().encode())


def read_sealed(path: Path, remedy: str) -> bytes:
    """The contents of a file that holds its own SHA-256 (`seal`), verified.

    Parameters
    ----------
    path
        The file.
    remedy
        What to do when it is damaged, in words that end the error's sentence.

    Raises
    ------
    CifarcamError
        When the file cannot be read, or a single byte differs from what was written.
    """
    content = _contents(path, remedy)
    place = _SEAL.search(content)
    if place is None:
        raise CifarcamError(
            f"{path}: holds no digest of its contents, as it was damaged or made by an older "
            f"version; {remedy}"
        )
    unsealed = content[: place.start(1)] + UNSEALED.encode() + content[place.end(1) :]
    if hashlib.sha256(unsealed).hexdigest().encode() != place[1]:
        raise _damaged(path, remedy)
    return content


def read_verified(path: Path, digest: str, remedy: str) -> bytes:
    """The contents of a file whose SHA-256 is noted elsewhere.

    Raises
    ------
    CifarcamError
        When the file cannot be read, or its digest differs.
    """
    content = _contents(path, remedy)
    if hashlib.sha256(content).hexdigest() != digest:
        raise _damaged(path, remedy)
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON that holds its own SHA-256, whole or not at all."""
    with atomic_file(path) as temporary:
        sealed = {"sha256": UNSEALED, **content}
        temporary.write_text(json.dumps(sealed, indent=1) + "\n")
        seal(temporary)


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """What `write_json` wrote.

    Raises
    ------
    CifarcamError
        When the file cannot be read, or a single byte differs from what was written.
    """
    content: dict[str, Any] = json.loads(read_sealed(path, remedy))
    del content["sha256"]
    return content


def _contents(path: Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CifarcamError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error


def _damaged(path: Path, remedy: str) -> CifarcamError:
    return CifarcamError(f"{path}: damaged, its contents are not those that were written; {remedy}")


@contextmanager
def stderr_aside() -> Iterator[IO[bytes]]:
    """Yield a temporary file that gets what this process and its children write to stderr.

    It is shown after all when the block fails, except by an error of ours, which says enough.
    """
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield notes
        except CifarcamError:
            raise
        except BaseException:
            notes.seek(0)
            os.write(terminal, notes.read())
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
