"""Downloads that give up a source that is silent, slow or endless."""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pooch
import requests
from tqdm.auto import tqdm

from cifarcam import _files
from cifarcam.errors import first_line

# Its messages about each download; `download` says which source is tried and which served.
pooch.get_logger().setLevel("WARNING")

NO_ANSWER_SECONDS = 5  # for a connection, and again for each answer: 10 s together
SLOWEST = 50_000  # bytes per second, averaged over WINDOW_SECONDS
WINDOW_SECONDS = 20
POLL_SECONDS = 0.2
CHUNK_BYTES = 2**14


class Unreachable(Exception):
    """A source did not answer, or sent too slowly."""


class Corrupt(Exception):
    """A source sent other bytes than were published."""


class Pace:
    """Check that a download grows by at least `SLOWEST` in each window.

    A slower source is given up after 20 to 40 s, whether it hangs in the look-up of its name,
    while connecting, in a redirect, in its headers, or in the file.
    """

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._before = 0

    def check(self, received: int) -> None:
        """Compare the number of bytes received with the number at the end of the last window.

        Raises
        ------
        Unreachable
            When too few bytes arrived in between.
        """
        now = time.monotonic()
        if now - self._since < WINDOW_SECONDS:
            return
        if received - self._before < SLOWEST * (now - self._since):
            raise Unreachable(f"it sent less than {SLOWEST // 1000} kB a second")
        self._since, self._before = now, received


def fetch(url: str, path: Path, *, sha256: str, size_limit: int, what: str) -> Path:
    """Download a file and verify its SHA-256; after a failure no part of it stays.

    A silent source is given up after 10 s, a slow source after at most about 40 s (see `Pace`),
    and reading stops at `size_limit`. At the lowest rate, 50 kB/s, the 170 MB of CIFAR-10 take
    57 minutes and the 47 MB of ResNet-18's weights 16 minutes.

    Parameters
    ----------
    url
        The address of the file.
    path
        The file to write.
    sha256
        The published digest, hexadecimal.
    size_limit
        The length of the file or an upper bound, in bytes.
    what
        Name of the file in an error, such as ``"the archive"``.

    Raises
    ------
    Unreachable
        When the source does not answer, or sends too slowly.
    Corrupt
        When the source sends other bytes, or only a part.
    OSError
        When the file cannot be written.
    """

    def download(url: str, output: str, _: object) -> None:
        _download(url, Path(output), size_limit, what)

    try:
        return Path(
            pooch.retrieve(
                url,
                known_hash=f"sha256:{sha256}",
                path=path.parent,
                fname=path.name,
                downloader=download,
            )
        )
    except requests.RequestException as error:
        raise _failure(error) from error
    except ValueError as error:
        raise Corrupt(f"{what} differs from its published SHA-256") from error


def _download(url: str, path: Path, size_limit: int, what: str) -> None:
    """Download to a file in a thread, which is given up when it is too slow."""
    # The file is opened here: a thread that is given up cannot create it again.
    with path.open("wb") as file, progress("downloading", size_limit) as bar:
        transfer = _Transfer(url, file, size_limit, what)
        transfer.start()
        pace = Pace()
        try:
            transfer.join(POLL_SECONDS)
            while transfer.is_alive():
                pace.check(transfer.received)
                bar.update(transfer.received - bar.n)
                transfer.join(POLL_SECONDS)
            bar.update(transfer.received - bar.n)
        finally:
            transfer.unwanted = True
    if transfer.failure is not None:
        raise transfer.failure


def _failure(error: requests.RequestException) -> Unreachable | Corrupt:
    """What an error of requests says about the source."""
    if isinstance(error, requests.ConnectTimeout | requests.ReadTimeout):
        return Unreachable("no answer within 10 seconds")
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return Corrupt("the download broke off")
    if isinstance(error, requests.ConnectionError):
        return Unreachable("it stopped answering" if "timed out" in str(error) else "no connection")
    return Unreachable(first_line(error))


class _Transfer(threading.Thread):
    """A thread that downloads to a file: a source that sends single bytes meets every timeout.

    It is a daemon. After it is given up, it ends with the next chunk that the source sends, or
    with the process.
    """

    def __init__(self, url: str, file: IO[bytes], size_limit: int, what: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._file = file
        self._size_limit = size_limit
        self._what = what
        self.received = 0
        self.failure: Exception | None = None
        self.unwanted = False

    def run(self) -> None:
        """Read until the source ends or sends too much, or `unwanted` is set."""
        try:
            self._read()
        except (requests.RequestException, Corrupt) as error:
            self.failure = error
        except Exception as error:  # requests lets some errors of urllib3 and http.client through
            self.failure = Unreachable(first_line(error))

    def _read(self) -> None:
        # A tar.gz is compressed already; a second compression could hide a decompression bomb.
        headers = {"Accept-Encoding": "identity"}
        with requests.get(
            self._url, stream=True, timeout=NO_ANSWER_SECONDS, headers=headers
        ) as response:
            response.raise_for_status()
            for chunk in response.iter_content(CHUNK_BYTES):
                if self.unwanted:
                    return
                self.received += len(chunk)
                if self.received > self._size_limit:
                    raise Corrupt(f"{self._what} is longer than {self._size_limit:,} bytes")
                try:
                    self._file.write(chunk)
                except OSError as error:
                    self.failure = error
                    return


def progress(description: str, total: int) -> tqdm:
    """A progress bar of bytes on standard error, shown only in a terminal."""
    return tqdm(
        desc=description,
        unit="B",
        unit_scale=True,
        total=total,
        leave=False,
        disable=None,  # unless standard error is a terminal
        file=sys.stderr,
    )


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Yield a temporary directory beside `path`; first remove what killed processes left there.

    The caller holds a lock on `path`.
    """
    _files.clear_leftovers(path)
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f".{path.name}.", ignore_cleanup_errors=True
    ) as temporary:
        yield Path(temporary)
