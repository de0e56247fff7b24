"""The card in every export: which run it was made from, and how it is used.

The card is JSON. Keras files are ZIP archives, and LiteRT keeps associated files in a ZIP archive
that follows the network; both hold the card as a member. ONNX has entries for metadata, and a
SavedModel a folder for additional files.
"""

from __future__ import annotations

import json
import stat
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cifarcam.errors import CifarcamError, file_mode, first_line, require

NAME = "cifarcam.json"
KEY = "cifarcam"  # of ONNX's metadata
FOLDER = "assets.extra"  # of a SavedModel
INPUT = "pixels 0-255, float32, N x 32 x 32 x 3 (LiteRT: N = 1), red, green, blue"
OUTPUT = "class probabilities, float32, N x 10"
LITERT, ONNX, KERAS, SAVED_MODEL = "litert", "onnx", "keras", "saved-model"
ENDINGS = {LITERT: ".tflite", ONNX: ".onnx", KERAS: ".keras", SAVED_MODEL: ""}


@dataclass(frozen=True)
class Card:
    """What an export says of itself.

    Attributes
    ----------
    run, fingerprint, weights
        The run's name, its fingerprint, and the SHA-256 of its weights.
    format, precision
        One of `cifarcam.export.FORMATS` and of `cifarcam.export.PRECISIONS`.
    classes
        The names of the classes, in the order of the probabilities.
    calibration
        For int8 the dataset's digest, the number of training images, and the seed that drew them;
        otherwise None.
    versions
        Versions of what made the export, by package.
    input, output
        What the network takes and gives.
    """

    run: str
    fingerprint: str
    weights: str
    format: str
    precision: str
    classes: tuple[str, ...]
    calibration: dict[str, Any] | None
    versions: dict[str, str]
    input: str = INPUT
    output: str = OUTPUT


def add_card(card: Card, path: Path) -> None:
    """Put a card into an export."""
    text = json.dumps(asdict(card), indent=1)
    if card.format == ONNX:
        import onnx

        network = onnx.load(path)
        onnx.helper.set_model_props(network, {KEY: text})
        path.write_bytes(network.SerializeToString())
    elif card.format == SAVED_MODEL:
        (path / FOLDER).mkdir()
        (path / FOLDER / NAME).write_text(text, encoding="utf-8")
    else:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(zipfile.ZipInfo(NAME), text)  # always of the same date


def read_card(path: Path) -> Card:
    """The card of an export.

    Raises
    ------
    CifarcamError
        When there is no such file, or it is not an export of cifarcam.
    """
    mode = file_mode(path)
    if mode is None:
        raise CifarcamError(f"{path}: no such file; give an export of `cifarcam export`")
    try:
        card = Card(**json.loads(_text(path, stat.S_ISDIR(mode))))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise CifarcamError(
            f"{path}: not an export of cifarcam, or damaged ({first_line(error)}); make it by "
            "`cifarcam export`"
        ) from error
    if card.format not in ENDINGS or path.suffix.lower() != ENDINGS[card.format]:
        raise CifarcamError(
            f"{path}: its card says {card.format}, which does not fit its name; export it again"
        )
    return card


def _text(path: Path, is_folder: bool) -> str:
    if is_folder:
        return (path / FOLDER / NAME).read_text(encoding="utf-8")
    if path.suffix.lower() != ENDINGS[ONNX]:
        with zipfile.ZipFile(path) as archive:
            return archive.read(NAME).decode()
    require("export", "onnx")
    import onnx

    try:
        network = onnx.load(path, load_external_data=False)
    except Exception as error:  # of protobuf
        raise ValueError(first_line(error)) from error
    cards = [entry.value for entry in network.metadata_props if entry.key == KEY]
    if not cards:
        raise ValueError("it has no card")
    return cards[0]
