"""Files that are whole or absent: writing, hashing and the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pooch
from safetensors import SafetensorError

from cifarcam.errors import CifarcamError


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
        raise CifarcamError(
            f"cannot write to {directory}: {reason}; free space there, make it writable, "
            "or point XDG_CACHE_HOME at another directory"
        ) from error


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
    """Yield a temporary directory that becomes `path`, replacing what stood there."""
    path.parent.mkdir(parents=True, exist_ok=True)
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


def sha256(path: Path) -> str:
    """SHA-256 of a file's contents, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_all(paths: Iterable[Path]) -> str:
    """SHA-256 over the contents of files in the order given, hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


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
