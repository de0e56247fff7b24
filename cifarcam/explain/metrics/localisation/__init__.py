"""Localisation: the share of a heatmap on known objects, the estimated foreground, the border."""

from cifarcam.explain.metrics.localisation.energy import energy_inside, pointing_game
from cifarcam.explain.metrics.localisation.grids import Grids, make_grids, recognised
from cifarcam.explain.metrics.localisation.regions import (
    border_area,
    border_share,
    foreground,
    upper_half,
)

__all__ = [
    "Grids",
    "border_area",
    "border_share",
    "energy_inside",
    "foreground",
    "make_grids",
    "pointing_game",
    "recognised",
    "upper_half",
]
