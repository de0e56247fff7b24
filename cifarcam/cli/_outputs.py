"""What `cifarcam explain` writes: a sheet, an overlay of each picture, or numbers as JSON."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from cifarcam.cli._base import quiet_tensorflow
from cifarcam.errors import CifarcamError, file_mode, printable

STDOUT = Path("-")
MARK = b'{"cifarcam":'  # how the JSON begins, by which it is known as ours


class Outputs(NamedTuple):
    """Where the results go; None leaves an output out.

    Attributes
    ----------
    sheet
        A figure of all pictures.
    overlays
        A folder for one overlay a picture.
    numbers
        A file of JSON; `STDOUT` prints it.
    """

    sheet: Path | None
    overlays: Path | None
    numbers: Path | None


def outputs_of(output: Path | None, is_overlay_only: bool, numbers: Path | None) -> Outputs:
    """The outputs that the options -o, --overlay-only and --json ask for."""
    if is_overlay_only:
        return Outputs(None, output or Path("overlays"), numbers)
    if numbers is not None:
        return Outputs(output, None, numbers)
    return Outputs(output or Path("explanation.png"), None, None)


def check_outputs(outputs: Outputs, files: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Refuse outputs that would replace somebody's file or hold too many of the pictures `files`.

    `inputs` are all files that are read.
    """
    from cifarcam import figures

    if outputs.sheet is not None:
        figures.check_output(outputs.sheet, inputs)
        if len(files) > figures.MOST_ROWS:
            raise CifarcamError(
                f"{len(files)} pictures, and a sheet shows at most {figures.MOST_ROWS}; give "
                "--overlay-only for an overlay of each, or --json for numbers"
            )
    if outputs.overlays is not None:
        mode = file_mode(outputs.overlays)
        if mode is not None and not outputs.overlays.is_dir():
            raise CifarcamError(f"{outputs.overlays}: a file; with --overlay-only, give a folder")
        for name in overlay_names(files):
            figures.check_output(outputs.overlays / name, inputs)
    if outputs.numbers not in (None, STDOUT):
        folder, names = outputs.overlays, overlay_names(files)
        pictures = [outputs.sheet] if folder is None else [folder / name for name in names]
        for path in pictures:
            if path is not None and _is_same(path, outputs.numbers):
                raise CifarcamError(
                    f"{outputs.numbers}: --json would replace {path}, which the same call writes; "
                    "give another name"
                )
        _check_numbers(outputs.numbers)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names may be those of one file; on some systems their case makes no difference."""
    return _folded(str(one.resolve())) == _folded(str(other.resolve()))


def _check_numbers(path: Path) -> None:
    """Refuse to replace a file that is no JSON of ours, and a folder that cannot be written to."""
    from cifarcam import figures

    mode = file_mode(path)
    if path.is_dir() or (mode is None and path.is_symlink()):
        raise CifarcamError(f"{path}: a folder or a link to nothing; give the name of a file")
    if mode is None:
        figures.check_folder(path)
        return
    with path.open("rb") as file:
        is_ours = file.read(len(MARK)) == MARK
    if not is_ours:
        raise CifarcamError(
            f"{path}: exists and was not written by cifarcam; give another name to write to, or "
            "remove the file"
        )


def overlay_names(files: Sequence[Path]) -> list[str]:
    """A name for the overlay of each picture, ``cat-overlay.png`` for ``cat.jpg``, all different.

    They differ by more than case and composition of letters, which file systems may ignore.
    """
    names: dict[str, str] = {}
    for file in files:
        name, number = f"{file.stem}-overlay.png", 1
        while _folded(name) in names:
            number += 1
            name = f"{file.stem}-overlay-{number}.png"
        names[_folded(name)] = name
    return list(names.values())


def _folded(name: str) -> str:
    """What is equal for names that a file system may take for one."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", name).casefold())


class Results:
    """The results of a command: an overlay is written at once, sheet and numbers at the end.

    Parameters
    ----------
    outputs
        Where they go.
    files
        All pictures, in order.
    """

    def __init__(self, outputs: Outputs, files: Sequence[Path]) -> None:
        self.outputs = outputs
        self.files = files
        self.names = overlay_names(files)
        self.items: list[Any] = []  # only for a sheet, since they hold the pictures
        self.rows: list[dict[str, Any]] = []
        self.lines: list[str] = []

    def add(self, item: Any, explainer: Any) -> None:
        """Take in the next picture, explained."""
        number = len(self.lines)
        self.lines.append(_answer(item))
        if self.outputs.sheet is not None:
            self.items.append(item)
        if self.outputs.overlays is not None:
            _save_overlay(item, self.outputs.overlays / self.names[number])
        if self.outputs.numbers is not None:
            self.rows.append(_row(item, self.files[number], explainer))

    def write(self) -> list[Path]:
        """Write sheet and numbers, and return what was written: files, or the overlays' folder."""
        from cifarcam import __version__, _files, figures

        sheet, overlays, numbers = self.outputs
        if sheet is not None:
            figures.save(figures.explanations(self.items), sheet)
        if numbers is not None:
            text = json.dumps({"cifarcam": __version__, "pictures": self.rows})
            if numbers == STDOUT:
                click.echo(text)
            else:
                with (
                    _files.writing_to(numbers.absolute().parent),
                    _files.atomic_file(numbers) as temporary,
                ):
                    temporary.write_text(text + "\n", encoding="utf-8")
        files = None if numbers == STDOUT else numbers
        return [path for path in (sheet, overlays, files) if path is not None]


def _answer(item: Any) -> str:
    """An explained picture on one line: its likeliest classes with their probabilities."""
    top = ", ".join(f"{label} {share:.1%}" for label, share in item.top)
    rival = "" if item.against is None else f" rather than {item.against}"
    nothing = "" if item.heatmap.any() else f"; no positive evidence for {item.target}{rival}"
    return f"{item.name}: {top}{nothing}"


def _row(item: Any, file: Path, explainer: Any) -> dict[str, Any]:
    """An explained picture as JSON."""
    input_range = explainer.classifier.input_range
    return {
        "file": str(file),
        "name": printable(item.name),
        "top": [{"class": label, "probability": share} for label, share in item.top],
        "target": item.target,
        "against": item.against,
        "method": explainer.name,
        "layers": list(explainer.layers),
        "input_range": {
            "black": input_range.black.tolist(),
            "white": input_range.white.tolist(),
        },
        "heatmap": {
            "sum": float(item.heatmap.sum(dtype="float64")),
            "maximum": float(item.heatmap.max()),
            "is_zero": not item.heatmap.any(),
        },
    }


def _save_overlay(item: Any, path: Path) -> None:
    """Write a picture's overlay as a PNG that names cifarcam, so that it may be replaced."""
    from PIL import Image, PngImagePlugin

    with quiet_tensorflow():
        from cifarcam import _files
        from cifarcam import explain as explainers
    from cifarcam.figures.style import METADATA

    note = PngImagePlugin.PngInfo()
    for key, value in METADATA["png"].items():
        note.add_text(key, str(value))
    overlay = explainers.overlay(item.picture, item.heatmap)
    with _files.writing_to(path.parent), _files.atomic_file(path) as temporary:
        Image.fromarray(overlay).save(temporary, "PNG", pnginfo=note)
