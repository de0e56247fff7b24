"""Localisation: the share of a heatmap on known objects, the estimated foreground, the border."""

from cifarcam.explain.metrics.localisation.grids import (
    Grids,
    make_grids,
    pointing,
    recognised,
)
from cifarcam.explain.metrics.localisation.regions import (
    border_area,
    border_share,
    foreground,
    upper_half,
)
from cifarcam.explain.metrics.localisation.scenes import Scenes, energy_inside, make_scenes

__all__ = [
    "Grids",
    "Scenes",
    "border_area",
    "border_share",
    "energy_inside",
    "foreground",
    "make_grids",
    "make_scenes",
    "pointing",
    "recognised",
    "upper_half",
]
