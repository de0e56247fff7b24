"""Files that are written as a whole or not at all, their SHA-256, and the user's cache."""

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

import platformdirs

from cifarcam.errors import CifarcamError, unreadable

# A file's own SHA-256, in JSON or in the metadata of safetensors. The digest is taken while
# `UNSEALED` stands in its place.
_SEAL = re.compile(rb'"sha256": ?"([0-9a-f]{64})"')
UNSEALED = "0" * 64


def cache_dir() -> Path:
    """The user's cache directory for this project; on Linux ``XDG_CACHE_HOME`` moves it."""
    return Path(platformdirs.user_cache_dir("cifarcam"))


@contextmanager
def writing_to(directory: Path) -> Iterator[None]:
    """Make a directory, and turn an error of writing in the block into one that names it.

    Raises
    ------
    CifarcamError
        When the disk is full or a permission is missing.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        yield
    except _writing_errors() as error:
        reason = getattr(error, "strerror", None) or str(error)
        remedy = "free space there or make it writable"
        if directory.is_relative_to(cache_dir()):
            remedy += ", or point XDG_CACHE_HOME at another directory"
        raise CifarcamError(f"cannot write to {directory}: {reason}; {remedy}") from error


def _writing_errors() -> tuple[type[Exception], ...]:
    """`OSError`, and where safetensors is in use the error by which it reports a full disk."""
    safetensors = sys.modules.get("safetensors")
    return (OSError,) if safetensors is None else (OSError, safetensors.SafetensorError)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes `path` when the block ends without an error.

    The contents are flushed to the disk before the name changes, so that no reader sees half a
    file, not even after a power cut.
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
    """Yield a temporary directory that becomes `path` when the block ends without an error.

    A directory that stands at `path` is replaced as a whole; when that fails, it is put back.
    The caller holds a lock on `path`.
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
            aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
            path.replace(aside / path.name)
        temporary.replace(path)
    finally:
        clear_leftovers(path)


def clear_leftovers(path: Path) -> list[Path]:
    """Remove what a killed process left beside `path` while it wrote it; return what was removed.

    If the process had moved an old directory aside and not yet put the new one in its place, the
    old directory is put back. The caller holds a lock on `path`.
    """
    removed = []
    for leftover in sorted(path.parent.glob(f".{glob.escape(path.name)}.*")):
        if target_name(leftover) != path.name:  # such as .baseline.toml.x beside baseline
            continue
        if leftover.is_dir():
            aside = leftover / path.name
            if aside.is_dir() and not path.exists():
                aside.replace(path)
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)
        removed.append(leftover)
    return removed


def target_name(path: Path) -> str:
    """The final name of a temporary file or directory; any other file's own name."""
    if not path.name.startswith("."):
        return path.name
    return path.name[1:].rpartition(".")[0].removesuffix(".old")


def sha256(path: Path) -> str:
    """SHA-256 of a file's contents, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(path: Path) -> None:
    """Write a file's SHA-256 into the file, in the place of ``"sha256": "000…"`` (`UNSEALED`)."""
    content = path.read_bytes()
    place = _SEAL.search(content)
    if place is None or place[1] != UNSEALED.encode():
        raise ValueError(f"{path} has no place for its digest")
    with path.open("rb+") as file:
        file.seek(place.start(1))
        file.write(hashlib.sha256(content).hexdigest().encode())


def read_sealed(path: Path, remedy: str) -> bytes:
    """The verified contents of a file that holds its own SHA-256 (`seal`).

    Parameters
    ----------
    path
        The file.
    remedy
        What to do when the file is damaged; the error's sentence ends with these words.

    Raises
    ------
    CifarcamError
        When the file cannot be read, or a single byte differs from what was written.
    """
    content = _contents(path, remedy)
    place = _SEAL.search(content)
    if place is None:
        raise CifarcamError(
            f"{path}: holds no digest of its contents; the file is damaged or was made by an "
            f"older version; {remedy}"
        )
    unsealed = content[: place.start(1)] + UNSEALED.encode() + content[place.end(1) :]
    if hashlib.sha256(unsealed).hexdigest().encode() != place[1]:
        raise _damaged(path, remedy)
    return content


def read_verified(path: Path, digest: str, remedy: str) -> bytes:
    """The verified contents of a file whose SHA-256 stands elsewhere.

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
    """Write JSON that holds its own SHA-256, as a whole or not at all."""
    with atomic_file(path) as temporary:
        sealed = {"sha256": UNSEALED, **content}
        temporary.write_text(json.dumps(sealed, indent=1) + "\n")
        seal(temporary)


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The verified contents of a file that `write_json` wrote, without the digest.

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
        raise unreadable(path, error, remedy) from error


def _damaged(path: Path, remedy: str) -> CifarcamError:
    return CifarcamError(f"{path}: damaged, its contents differ from its SHA-256; {remedy}")


@contextmanager
def stderr_aside() -> Iterator[IO[bytes]]:
    """Yield a temporary file that receives what this process and its children write to stderr.

    When the block fails with an error other than `CifarcamError`, the text is written to stderr.
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
