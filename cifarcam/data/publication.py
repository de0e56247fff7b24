"""Files that others publish under an address: fetched into the user's cache, verified at each use."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from cifarcam import _files, _store
from cifarcam.data import transfer
from cifarcam.errors import CifarcamError, check_readable, file_mode, unreadable


@dataclass(frozen=True)
class Publication:
    """A published file.

    Attributes
    ----------
    name
        Where it lies in the user's cache, such as ``"cifar10h/probs.npy"``.
    title
        What it is, for messages: ``"the ImageNet weights of ResNet-18"``.
    url
        The address that serves it.
    sha256
        Its published digest, hexadecimal.
    size
        Its length in bytes, or an upper bound.
    remedy
        What to do where the address cannot be reached, as the end of a sentence.
    """

    name: str
    title: str
    url: str
    sha256: str
    size: int
    remedy: str = "try again with a network"

    @property
    def path(self) -> Path:
        """Where the file lies once it has been fetched."""
        return _files.cache_dir() / self.name

    def is_at_hand(self) -> bool:
        """Whether the cache holds the file; a chapter that asks depends on it.

        A damaged file is removed from the cache.
        """
        try:
            at_hand = _files.sha256(self.path) == self.sha256
        except OSError:
            at_hand = False
        else:
            if not at_hand:
                with suppress(OSError):
                    self.path.unlink()
        _store.hand_out("cached", self.name, digest=self.sha256 if at_hand else None)
        return at_hand

    def obtain(self, local: Path | None = None) -> Path:
        """The verified file in the cache, fetched first where it is missing or damaged.

        Parameters
        ----------
        local
            A copy of the file to use instead of the network.

        Raises
        ------
        CifarcamError
            When the file cannot be fetched or has another digest, or the cache cannot be written.
        """
        if local is None and self.is_at_hand():
            return self.path
        lock = self.path.with_name(f"{self.path.name}.lock")
        with _files.writing_to(self.path.parent), FileLock(lock):
            # Another process may have fetched it meanwhile.
            if local is not None:
                self._copy(local)
            elif not self.is_at_hand():
                self._fetch()
        if not self.is_at_hand():
            raise CifarcamError(f"{self.path}: changed while it was written; try again")
        return self.path

    def _copy(self, local: Path) -> None:
        check_readable(local)
        try:
            content = local.read_bytes() if local.stat().st_size <= self.size else b""
        except OSError as error:
            raise unreadable(local, error) from error
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise CifarcamError(
                f"{local}: not {self.title} (its length or SHA-256 differs from the published); "
                f"download {self.url} and give that file"
            )
        with _files.atomic_file(self.path) as temporary:
            temporary.write_bytes(content)

    def _fetch(self) -> None:
        try:
            with transfer.scratch(self.path) as scratch:
                fetched = transfer.fetch(
                    self.url,
                    scratch / self.path.name,
                    sha256=self.sha256,
                    size_limit=self.size,
                    what="the file",
                )
                fetched.replace(self.path)
        except transfer.Unreachable as error:
            raise CifarcamError(
                f"{self.title} cannot be fetched from {self.url} ({error}); {self.remedy}"
            ) from error
        except transfer.Corrupt as error:
            raise CifarcamError(
                f"{self.url}: not the file of SHA-256 {self.sha256} ({error}); try again"
            ) from error


def obtain_all(files: Mapping[str, Publication], local: Path | None = None) -> None:
    """Fetch and verify the files of a dataset that are not in the cache.

    Parameters
    ----------
    files
        By the names under which they are published.
    local
        A folder of these files, or the file where there is only one, to use instead of the network.
        Nothing is kept unless the folder holds all of them.

    Raises
    ------
    CifarcamError
        When a file cannot be fetched, or is not the published file.
    """
    mode = None if local is None else file_mode(local)
    if local is None or mode is None or (len(files) == 1 and not stat.S_ISDIR(mode)):
        for file in files.values():
            file.obtain(local)
        return
    if not stat.S_ISDIR(mode):
        raise CifarcamError(f"{local}: one file; give a folder that holds {' and '.join(files)}")
    for name in files:
        if file_mode(local / name) is None:
            raise CifarcamError(
                f"{local}: the folder holds no {name}; download {files[name].url} into it"
            )
    for name, file in files.items():
        file.obtain(local / name)
