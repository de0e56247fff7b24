"""Downloads that end: a source that is silent, slow or endless is given up."""

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

# Its lines about each download; those that say which source is tried and served are ours.
pooch.get_logger().setLevel("WARNING")

NO_ANSWER_SECONDS = 5  # allowed for a connection, and again for each answer: 10 s in all
SLOWEST = 50_000  # bytes a second, averaged over each WINDOW_SECONDS
WINDOW_SECONDS = 20
POLL_SECONDS = 0.2
CHUNK_BYTES = 2**14


class Unreachable(Exception):
    """A source did not answer, or too slowly."""


class Corrupt(Exception):
    """A source answered, but not with what was published."""


class Pace:
    """Gives up on a download that grows by less than `SLOWEST` over a window.

    A source that falls below the rate is given up 20 to 40 s later, wherever it hangs: looking up
    its name, connecting, redirecting, in its headers, or in the file.
    """

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._before = 0

    def check(self, received: int) -> None:
        """Compare the bytes received so far with those at the last window's end.

        Raises
        ------
        Unreachable
            When they are too few.
        """
        now = time.monotonic()
        if now - self._since < WINDOW_SECONDS:
            return
        if received - self._before < SLOWEST * (now - self._since):
            raise Unreachable(f"it sent less than {SLOWEST // 1000} kB a second")
        self._since, self._before = now, received


def fetch(url: str, path: Path, *, sha256: str, size_limit: int, what: str) -> Path:
    """Download a file and verify its SHA-256; nothing stays behind when that fails.

    A silent source is given up after 10 s, a slow one after about 40 s at most (see `Pace`), and
    reading stops at `size_limit`. The longest download is therefore one at 50 kB/s: 57 minutes
    for the 170 MB of CIFAR-10, 16 minutes for the 47 MB of ResNet-18's weights.

    Parameters
    ----------
    url, path
        From where and to where.
    sha256
        The published digest, hexadecimal.
    size_limit
        The length of the file, or the most that it can have, in bytes.
    what
        What the file is called in an error, such as ``"the archive"``.

    Raises
    ------
    Unreachable
        When the source does not answer, or too slowly.
    Corrupt
        When it sends something else, or only a part.
    OSError
        When the file cannot be written.
    """

    def download(url: str, output: str, _: object) -> None:
        # The file is opened here: a thread that is given up cannot make it anew.
        with Path(output).open("wb") as file, progress("downloading", size_limit) as bar:
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
    except (requests.ConnectTimeout, requests.ReadTimeout) as error:
        raise Unreachable("no answer within 10 seconds") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise Corrupt("the download broke off") from error
    except requests.ConnectionError as error:
        if "timed out" in str(error):
            raise Unreachable("it stopped answering") from error
        raise Unreachable("no connection") from error
    except requests.RequestException as error:
        raise Unreachable(first_line(error)) from error
    except ValueError as error:
        raise Corrupt(f"{what} differs from its published SHA-256") from error


class _Transfer(threading.Thread):
    """Reads a source into a file, in a thread, since one byte now and then passes every timeout.

    A daemon: given up while it waits for the source, it ends with the next piece, or else with the
    process.
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
        """Read until the source ends, sends too much, or nobody wants it any longer."""
        try:
            self._read()
        except (requests.RequestException, Corrupt) as error:
            self.failure = error
        except Exception as error:  # requests passes on some of urllib3's and http.client's
            self.failure = Unreachable(first_line(error))

    def _read(self) -> None:
        # A tar.gz is compressed already; a source that compressed it again could send a bomb.
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
    """A bar of bytes on standard error, shown where that is a terminal."""
    return tqdm(
        desc=description,
        unit="B",
        unit_scale=True,
        total=total,
        leave=False,
        disable=None,  # where standard error is no terminal
        file=sys.stderr,
    )


@contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """Yield a temporary directory beside `path`, and clear those that killed processes left.

    The caller holds a lock, so that no other process is downloading `path`.
    """
    _files.clear_leftovers(path)
    with tempfile.TemporaryDirectory(
        dir=path.parent, prefix=f".{path.name}.", ignore_cleanup_errors=True
    ) as temporary:
        yield Path(temporary)
