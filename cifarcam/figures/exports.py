"""What exported networks cost, drawn with Seaborn's style."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from cifarcam.errors import CifarcamError
from cifarcam.figures.labels import End, label_ends
from cifarcam.figures.networks import COLOURS, logarithmic
from cifarcam.figures.style import GREY, WIDTH, styled

MARKS = ("o", "s", "^", "D")


@styled
def accuracy_by_price(
    accuracy: Mapping[str, Mapping[str, float]],
    prices: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> Figure:
    """Accuracy against what an export costs, one panel for each price, on logarithmic scales.

    A line joins the precisions of one network.

    Parameters
    ----------
    accuracy
        Percent, by network and precision. The precisions have one order in all networks.
    prices
        For each price, whose name is its axis's label, a positive number by network and precision.

    Raises
    ------
    CifarcamError
        When a price is missing or not positive.
    """
    figure = Figure(figsize=(WIDTH, 2.6), layout="constrained")
    panels = figure.subplots(1, len(prices), sharey=True, squeeze=False)[0]
    colours = {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(accuracy)}
    precisions = list(dict.fromkeys(one for values in accuracy.values() for one in values))
    marks = dict(zip(precisions, MARKS, strict=False))
    for axes, (label, price) in zip(panels, prices.items(), strict=True):
        for name, values in accuracy.items():
            points = []
            for precision, percent in values.items():
                x = price.get(name, {}).get(precision, 0.0)
                if x <= 0:
                    raise CifarcamError(
                        f"accuracy_by_price: {name} in {precision} has no {label} above 0; give "
                        "one for each precision"
                    )
                points.append((x, percent))
                axes.plot(
                    *points[-1],
                    color=colours[name],
                    marker=marks[precision],
                    markersize=6.5,
                    markeredgewidth=0,
                )
            axes.plot(*zip(*points, strict=True), color=colours[name], linewidth=0.9, zorder=1)
        logarithmic(axes)
        axes.set_xlabel(label)
        axes.margins(x=0.12, y=0.08)
        axes.grid()
    panels[0].set_ylabel("test accuracy (%)")
    if not accuracy:  # nothing is measured yet
        return figure
    for precision, mark in marks.items():
        panels[0].plot([], [], mark, color=GREY, markersize=6.5, markeredgewidth=0, label=precision)
    panels[0].legend(loc="lower right")
    border = panels[-1].get_xlim()[1]
    label_ends(
        panels[-1],
        [
            End(name, border, next(iter(one.values())), colours[name])
            for name, one in accuracy.items()
        ],
    )
    return figure
