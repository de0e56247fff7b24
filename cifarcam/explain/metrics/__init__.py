"""Metrics of heatmaps: faithfulness, robustness, complexity, localisation, randomisation.

Each metric has values for every image; `bootstrap_mean` computes a mean with its interval, and
`scorecard` measures one explainer by all `MEASURES`. Names and definitions are those of Quantus
where Quantus has the metric, and the docstring says where they differ.

Heatmaps are N x H x W. Probabilities are those of the target class, by default the class that the
model predicts for the unchanged image. A `score` of your own in the `Classifier` takes the place of
probabilities and scores, with the targets that it takes. Random numbers come from a seed, a whole
number of at least 0. Nothing is measured in pixels or in pixel values: noise and radii are shares
of the range from black to white, and widths are shares of the image. A metric that runs the network
takes `batch_size`, the number of altered images that exist at a time. It does not change the
result.
"""

from cifarcam.explain.metrics import (
    complexity,
    faithfulness,
    localisation,
    randomisation,
    robustness,
)
from cifarcam.explain.metrics.complexity import *
from cifarcam.explain.metrics.faithfulness import *
from cifarcam.explain.metrics.intervals import MeanInterval, bootstrap_mean
from cifarcam.explain.metrics.localisation import *
from cifarcam.explain.metrics.randomisation import *
from cifarcam.explain.metrics.robustness import *
from cifarcam.explain.metrics.scorecard import MEASURES, Measure, scorecard

__all__ = [
    "MEASURES",
    "MeanInterval",
    "Measure",
    "bootstrap_mean",
    "scorecard",
    *complexity.__all__,
    *faithfulness.__all__,
    *localisation.__all__,
    *randomisation.__all__,
    *robustness.__all__,
]
