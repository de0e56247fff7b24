"""Drawings of networks from their lists of blocks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon

from cifarcam.errors import CifarcamError
from cifarcam.figures.sheet import sheet
from cifarcam.figures.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    WIDTH,
    styled,
)
from cifarcam.figures.text import LINE, TEXT, fitted

# For each kind its colour and its name in the legend.
KINDS = {
    "input": (PALE, "input"),
    "convolution": (SKY, "convolution"),
    "pooling": (ORANGE, "pooling"),
    "block": (GREEN, "block"),
    "dense": (PURPLE, "dense"),
    "dropout": ("#F2F2F2", "dropout"),
}
PER_ROW = 8
SLANT = 0.28  # depth of a box's side, as a share of its height
STACK = 0.22  # inches above the boxes, for repeats and shortcuts


class Block(Protocol):
    """The attributes of `cifarcam.models.summary.Block` that this module reads."""

    @property
    def kind(self) -> str:
        """A key of `KINDS`."""

    @property
    def label(self) -> str:
        """The block's name."""

    @property
    def detail(self) -> str:
        """A description of its layers; may be empty."""

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Height, width, channels; or units."""

    @property
    def parameters(self) -> int:
        """Number of its parameters."""

    @property
    def repeat(self) -> int:
        """How many times its layers are repeated."""


@dataclass(frozen=True)
class _Scale:
    """Size of a box in inches: the logarithms of spatial size (height) and channels (width)."""

    largest: int
    deepest: int

    def box(self, shape: tuple[int, ...]) -> tuple[float, float, float]:
        """Width and height of a box's front, and the depth of its side, in inches."""
        channels = math.log2(1 + shape[-1]) / math.log2(1 + self.deepest)
        if len(shape) == 1:  # units have no spatial size: a narrow bar, higher for more units
            return 0.07, 0.14 + 0.28 * channels, 0.05
        spatial = math.log2(1 + shape[0]) / math.log2(1 + self.largest)
        height = 0.1 + 0.33 * spatial**2
        return 0.06 + 0.3 * channels**2, height, SLANT * height


@styled
def architecture(blocks: Sequence[Block]) -> Figure:
    """A network as boxes from input to output, in one to three rows.

    A box is higher if its feature maps are larger and wider if it has more channels, both on
    logarithmic scales. Its name, its layers, the shape of its output and its number of parameters
    are written below it; above it the number of repeats, and an arc when it is a ``block``.

    Parameters
    ----------
    blocks
        From `cifarcam.models.summary.blocks`.

    Raises
    ------
    CifarcamError
        When there is no block, or the kind of a block is unknown.
    """
    if not blocks:
        raise CifarcamError("architecture: no blocks to draw; give at least one")
    for block in blocks:
        if block.kind not in KINDS:
            raise CifarcamError(
                f"block {block.label!r}: kind {block.kind!r}; give one of {', '.join(KINDS)}"
            )
    row_count = -(-len(blocks) // PER_ROW)
    per_row = -(-len(blocks) // row_count)
    slot = WIDTH / per_row
    texts = [_texts(block, slot) for block in blocks]
    scale = _Scale(
        max((block.output_shape[0] for block in blocks if len(block.output_shape) > 1), default=1),
        max(block.output_shape[-1] for block in blocks),
    )
    rows = [
        range(start, min(start + per_row, len(blocks))) for start in range(0, len(blocks), per_row)
    ]
    # Heights in inches of a row's boxes, of what is above them and of the texts below them.
    rooms = [max(sum(scale.box(blocks[i].output_shape)[1:]) for i in row) for row in rows]
    heads = [STACK if any(_marked(blocks[i]) for i in row) else 0.04 for row in rows]
    feet = [LINE * max(len(texts[i]) for i in row) + 0.06 for row in rows]
    top, gap = 0.0, 0.12
    height = sum(heads) + sum(rooms) + sum(feet) + len(rows) * gap + 0.2
    figure, axes = sheet(height)
    for index, row in enumerate(rows):
        middle = top + heads[index] + rooms[index] / 2
        base = top + heads[index] + rooms[index]
        _row(axes, [blocks[i] for i in row], [texts[i] for i in row], slot, middle, base, scale)
        top = base + feet[index] + gap
        if row is not rows[-1]:
            next_middle = top + heads[index + 1] + rooms[index + 1] / 2
            _turn(axes, slot * len(row), middle, top - gap / 2, next_middle)
    _legend(axes, blocks, height - 0.1)
    return figure


def _texts(block: Block, slot: float) -> list[tuple[str, str]]:
    """The lines of text below a box, each with its font weight."""
    shape = "×".join(str(size) for size in block.output_shape)
    lines = [(line, "bold") for line in fitted(block.label.replace("_", " "), 0.9 * slot)]
    lines += [(line, "normal") for line in fitted(block.detail, slot - 0.06) if block.detail]
    lines.append((shape, "normal"))
    if block.parameters:
        lines.append((f"{block.parameters:,}", "normal"))
    return lines


def _marked(block: Block) -> bool:
    return block.repeat > 1 or block.kind == "block"


def _row(
    axes: Axes,
    blocks: Sequence[Block],
    texts: Sequence[list[tuple[str, str]]],
    slot: float,
    middle: float,
    base: float,
    scale: _Scale,
) -> None:
    """Draw boxes centred at the height `middle`, their texts below `base`, arrows between them."""
    edges = []
    for index, (block, lines) in enumerate(zip(blocks, texts, strict=True)):
        centre = slot * (index + 0.5)
        width, height, back = scale.box(block.output_shape)
        left = centre - (width + back) / 2
        _box(axes, left, middle, width, height, back, KINDS[block.kind][0])
        edges.append((left, left + width + back))
        roof = middle - (height + back) / 2
        if block.kind == "block":
            _arc(axes, left - 0.05, left + width + back + 0.05, middle, roof - 0.02)
        if block.repeat > 1:
            lift = 0.22 if block.kind == "block" else 0.04
            axes.text(centre, roof - lift, f"×{block.repeat}", ha="center", va="bottom")
        for line, (text, weight) in enumerate(lines):
            axes.text(centre, base + 0.06 + line * LINE, text, ha="center", va="top", weight=weight)
    for (_, end), (start, _) in itertools.pairwise(edges):
        _arrow(axes, (end + 0.05, middle), (start - 0.04, middle))


def _box(
    axes: Axes, left: float, middle: float, width: float, height: float, back: float, colour: str
) -> None:
    """Draw a box in perspective: front, roof and side."""
    up, down = middle - (height - back) / 2, middle + (height + back) / 2
    right = left + width
    faces = (
        (1.0, [(left, up), (right, up), (right, down), (left, down)]),
        (1.25, [(left, up), (left + back, up - back), (right + back, up - back), (right, up)]),
        (
            0.75,
            [(right, up), (right + back, up - back), (right + back, down - back), (right, down)],
        ),
    )
    for light, corners in faces:
        tone = tuple(min(1.0, channel * light) for channel in to_rgb(colour))
        axes.add_patch(Polygon(corners, facecolor=tone, edgecolor=BLACK, linewidth=0.6))


def _arc(axes: Axes, start: float, end: float, middle: float, roof: float) -> None:
    """Draw an arrow over a box, from its left to its right."""
    axes.add_patch(
        FancyArrowPatch(
            (start, roof),
            (end, roof),
            connectionstyle=f"arc3,rad={-0.16 / max(0.5 * (end - start), 0.1):.3f}",
            arrowstyle="-|>",
            mutation_scale=6,
            color=BLUE,
            linewidth=1,
            shrinkA=0,
            shrinkB=0,
        )
    )


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=6, color=GREY, shrinkA=0, shrinkB=0
        )
    )


def _turn(axes: Axes, end: float, middle: float, between: float, below: float) -> None:
    """Draw a line from the end of a row to the start of the next row."""
    edge = min(end, WIDTH) - 0.02
    axes.plot(
        [edge - 0.12, edge, edge, 0.02, 0.02],
        [middle, middle, between, between, below],
        color=GREY,
        linewidth=1,
    )
    _arrow(axes, (0.02, below), (0.16, below))


def _legend(axes: Axes, blocks: Sequence[Block], y: float) -> None:
    """The colours of the kinds that occur, and the meaning of an arc."""
    kinds = [kind for kind in KINDS if any(block.kind == kind for block in blocks)]
    x = 0.05
    for kind in kinds:
        colour, name = KINDS[kind]
        corners = [(x, y - 0.05), (x + 0.12, y - 0.05), (x + 0.12, y + 0.05), (x, y + 0.05)]
        axes.add_patch(Polygon(corners, facecolor=colour, edgecolor=BLACK, linewidth=0.6))
        axes.text(x + 0.17, y, name, va="center", size=TEXT)
        x += 0.17 + 0.075 * len(name) + 0.16
    if "block" in kinds:
        _arc(axes, x, x + 0.25, y, y + 0.05)
        axes.text(x + 0.32, y, "shortcut connections", va="center", size=TEXT)
