"""Heatmaps of the evidence for a class in images, for any Keras 3 image classifier.

An explainer is a method bound to a model and, unless it explains pixels, to a layer:
``GradCAM(model, "conv5")(images)`` returns heatmaps, float32, N x H x W. `METHODS` maps the name of
each method to its class.

A `Classifier` holds what explainers and metrics of one model share: its scores before the softmax
or sigmoid, and its input range, which says what black and white are for the model. Methods that
hide parts of an image or add noise need the range. It is read from a leading Rescaling or
Normalization layer, or given as `input_range`.

`read_picture` reads a file, `explain_pictures` explains pictures of 0-255, `overlay` draws a
heatmap over its picture, and `compare` draws several methods side by side. `blurred` makes controls
for methods that explain single pixels. Every error is a `CifarcamError` of one sentence.
"""

from __future__ import annotations

from cifarcam.errors import CifarcamError, check_backend

check_backend()  # before Keras is imported

from cifarcam.explain import methods
from cifarcam.explain.base import Explainer
from cifarcam.explain.blur import blurred
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.comparison import compare
from cifarcam.explain.explanation import Explanation, explain_pictures
from cifarcam.explain.methods import *
from cifarcam.explain.model_files import class_names, module_objects, read_model
from cifarcam.explain.overlays import overlay
from cifarcam.explain.pictures import picture_files, read_picture
from cifarcam.explain.preprocessing import preprocessing

__all__ = [
    *methods.__all__,
    "CifarcamError",
    "Classifier",
    "Explainer",
    "Explanation",
    "blurred",
    "class_names",
    "compare",
    "explain_pictures",
    "module_objects",
    "overlay",
    "picture_files",
    "preprocessing",
    "read_model",
    "read_picture",
]
