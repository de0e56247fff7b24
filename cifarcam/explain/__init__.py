"""Heatmaps of the evidence for a class in images, for any Keras image classifier.

`METHODS` maps the name of each method to its class. An explainer is a method bound to a model and a
layer: ``GradCAM(model, "conv5")(images)`` returns heatmaps, float32, N x H x W.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cifarcam.errors import check_backend

check_backend()  # before Keras is imported

from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.methods import (
    LIME,
    SHAP,
    AblationCAM,
    CentreBlob,
    EigenCAM,
    GradCAM,
    GradCAMPlusPlus,
    HiResCAM,
    IntegratedGradients,
    LayerCAM,
    RandomMap,
    Saliency,
    ScoreCAM,
    SmoothGrad,
    XGradCAM,
)
from cifarcam.explain.model_files import class_index, class_names, read_model
from cifarcam.explain.pictures import Explained, explain_pictures, read_picture

METHODS: Mapping[str, type[Explainer]] = MappingProxyType(
    {
        method.name: method
        for method in (
            GradCAM,
            HiResCAM,
            GradCAMPlusPlus,
            XGradCAM,
            LayerCAM,
            ScoreCAM,
            AblationCAM,
            EigenCAM,
            Saliency,
            IntegratedGradients,
            SmoothGrad,
            LIME,
            SHAP,
            RandomMap,
            CentreBlob,
        )
    }
)

__all__ = [
    "LIME",
    "METHODS",
    "SHAP",
    "AblationCAM",
    "CentreBlob",
    "Classifier",
    "EigenCAM",
    "Explained",
    "Explainer",
    "GradCAM",
    "GradCAMPlusPlus",
    "HiResCAM",
    "IntegratedGradients",
    "LayerCAM",
    "RandomMap",
    "Saliency",
    "ScoreCAM",
    "SmoothGrad",
    "XGradCAM",
    "class_index",
    "class_names",
    "explain_pictures",
    "read_model",
    "read_picture",
]
