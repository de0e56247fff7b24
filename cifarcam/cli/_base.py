"""What all commands share: errors on one line, paths as options, TensorFlow without its notes."""

from __future__ import annotations

import errno
import io
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cifarcam.errors import CifarcamError, file_mode, printable

# Errors of a disk, a memory or permissions. Any other OSError that reaches the command line is a
# fault of ours, and keeps its traceback.
SYSTEM_ERRORS = (
    errno.EACCES,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
)


class Group(click.Group):
    """A group of commands that shows the library's errors as one line."""

    def invoke(self, ctx: click.Context) -> Any:
        if isinstance(sys.stdout, io.TextIOWrapper):  # the terminal may lack letters of a name
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise click.UsageError(printable(error.format_message()), error.ctx) from error
        except CifarcamError as error:
            raise click.ClickException(printable(str(error))) from error
        except OSError as error:
            if error.errno not in SYSTEM_ERRORS or error.filename is None:
                raise
            raise click.ClickException(printable(f"{error.filename}: {error.strerror}")) from error


class FilePath(click.ParamType):
    """A path that the system accepts and that is no device or pipe, which may have no end."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not str(value):
            self.fail("an empty name", param, ctx)
        path = Path(value)
        mode = file_mode(path)
        if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise CifarcamError(f"{path}: a device or a pipe; give a file")
        return path


def check_directory(place: Path | None) -> None:
    """Refuse a directory of runs that does not exist."""
    if place is not None and not place.is_dir():
        raise CifarcamError(f"{place}: no such directory; give a directory of runs")


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Prepare the device, without the notes that TensorFlow prints in C++ on import."""
    from cifarcam import _files

    with _files.stderr_aside():
        from cifarcam import _devices

        _devices.prepare()
        _devices.describe()
        yield


written_runs = click.option(
    "--runs",
    "place",
    type=FilePath(),
    default=Path("runs"),
    show_default=True,
    help="The directory of runs in which a run is looked up first and written.",
)


def run_line(run: Any) -> str:
    """A run on one line: accuracy with its interval, epochs, parameters, duration."""
    test = run.metrics["test"]
    low, high = test["accuracy_interval"]
    return (
        f"{run.name:32s} test accuracy {test['accuracy']:.2%} ({low:.1%} to {high:.1%})  "
        f"weights of epoch {run.provenance['kept_epoch']}/{run.provenance['epochs']}  "
        f"{run.provenance['parameters']:,} parameters  "
        f"{run.provenance['training_seconds'] / 60:.1f} min"
    )
