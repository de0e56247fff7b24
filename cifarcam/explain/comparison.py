"""One picture explained by several methods, side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import keras
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cifarcam.errors import CifarcamError
from cifarcam.explain._options import checked_count
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.explanation import Preprocess, model_images
from cifarcam.explain.overlays import coloured, overlay, scaled_for_display

TILE = 224  # pixels, about the width of a small picture, and the width of any other
FONT = 16  # pixels, the height of titles
GAP = 8  # pixels, around pictures and titles


def compare(
    model: keras.Model | Classifier,
    image: np.ndarray,
    target: int | None = None,
    *,
    against: int | None = None,
    methods: Sequence[str] | None = None,
    layer: str | None = None,
    preprocess: Preprocess | None = None,
    columns: int = 4,
) -> np.ndarray:
    """A picture beside its overlays by several methods, each with its heatmap below it.

    The pixels of a small picture are repeated; a picture wider than `TILE` pixels is scaled down.
    If a default method refuses the model, the reason stands in the place of its overlay.

    Parameters
    ----------
    model
        A Keras classifier, or a `Classifier`.
    image
        The picture, uint8, H x W x 3, of the size that the model takes.
    target, against
        The class to explain, by default the class that the model predicts, and the class against
        which it is explained.
    methods
        Names in `METHODS`; by default every method that `is_fast`, without those that
        explain attention where the model has none.
    layer
        The layer that methods explain, except those that explain pixels.
    preprocess
        As for `explain_pictures`.
    columns
        Pictures side by side.

    Returns
    -------
    numpy.ndarray
        Uint8, height x width x 3, to be shown or saved with ``PIL.Image.fromarray``.

    Raises
    ------
    CifarcamError
        When there is no such method, class or layer, a method that you name cannot explain the
        model, or the picture does not fit it.
    """
    from cifarcam.explain import METHODS  # only now are all methods defined

    unknown = [name for name in methods or () if name not in METHODS]
    if unknown:
        raise CifarcamError(f"method {unknown[0]!r} is not one of {', '.join(METHODS)}")
    columns = checked_count("columns", columns, least=1)
    names = [name for name in METHODS if METHODS[name].is_fast] if methods is None else methods
    classifier = model if isinstance(model, Classifier) else Classifier(model)
    if layer is not None:
        classifier.flat.split(layer)  # refuses a wrong layer, once for all methods
    picture = np.asarray(image)
    images = classifier.checked_images(model_images(classifier, picture[np.newaxis], preprocess))
    if target is None and classifier.classes:  # else it depends on what a score takes
        target = int(classifier.scores(images)[0].argmax())
    classifier.checked_targets(target, against, len(images))
    tiles = [("picture", _sized(np.concatenate([picture, np.full_like(picture, 255)])))]
    for method in (METHODS[name] for name in names):
        title = f"{method.title[0].upper()}{method.title[1:]}"
        try:
            explainer = method(classifier, layer if method.takes_layer else None)
            heatmap = explainer(images, target, against=against)[0]
        except CifarcamError as error:
            if methods is not None:
                raise
            if not method.needs_attention:
                tiles.append((title, _notice(str(error), tiles[0][1].shape)))
            continue
        note = "" if heatmap.any() else ": no positive evidence"
        tile = np.concatenate([overlay(picture, heatmap), coloured(scaled_for_display(heatmap))])
        tiles.append((f"{title}{note}", _sized(tile)))
    return _side_by_side(tiles, columns)


def _sized(tile: np.ndarray) -> np.ndarray:
    """A tile of about `TILE` pixels' width, uint8, H x W x 3."""
    height, width = tile.shape[:2]
    if width > TILE:
        size = (TILE, max(1, round(height * TILE / width)))
        return np.asarray(Image.fromarray(tile).resize(size, Image.Resampling.BOX))
    factor = round(TILE / width)  # each pixel is repeated, so that nothing is blurred
    return tile.repeat(factor, axis=0).repeat(factor, axis=1)


def _notice(reason: str, shape: Sequence[int]) -> np.ndarray:
    """A tile that says why there is no map: uint8, H x W x 3."""
    font = ImageFont.load_default(FONT)
    tile = Image.new("RGB", (shape[1], shape[0]), "white")
    text = textwrap.fill(reason, max(1, int(shape[1] / font.getlength("n"))))
    ImageDraw.Draw(tile).multiline_text((0, 0), text, fill="black", font=font)
    return np.asarray(tile)


def _side_by_side(tiles: Sequence[tuple[str, np.ndarray]], columns: int) -> np.ndarray:
    """Tiles of one size in rows, each below its title: uint8, H x W x 3."""
    font = ImageFont.load_default(FONT)
    height, width = tiles[0][1].shape[:2]
    head = FONT + GAP
    widest = max(width, *(int(font.getlength(title)) + 1 for title, _ in tiles))
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    size = (columns * (widest + GAP) + GAP, rows * (head + height + GAP) + GAP)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for index, (title, tile) in enumerate(tiles):
        row, column = divmod(index, columns)
        left, top = GAP + column * (widest + GAP), GAP + row * (head + height + GAP)
        pen.text((left, top), title, fill="black", font=font)
        sheet.paste(Image.fromarray(tile), (left, top + head))
    return np.asarray(sheet)
