"""Heatmaps: what an image classifier's score rests on, one method a file, one registry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cifarcam import _backend  # noqa: F401  (checks Keras's backend first)
from cifarcam.explain.ablation_cam import AblationCAM
from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.eigen_cam import EigenCAM
from cifarcam.explain.examples import Example, choose_examples, first_of_each_class
from cifarcam.explain.grad_cam import GradCAM
from cifarcam.explain.grad_cam_plus_plus import GradCAMPlusPlus
from cifarcam.explain.hires_cam import HiResCAM
from cifarcam.explain.integrated_gradients import IntegratedGradients
from cifarcam.explain.layer_cam import LayerCAM
from cifarcam.explain.lime import LIME
from cifarcam.explain.model_files import class_index, class_names, read_model
from cifarcam.explain.null import CentreBlob, RandomMap
from cifarcam.explain.pictures import Explained, explain_pictures, read_picture
from cifarcam.explain.saliency import Saliency
from cifarcam.explain.score_cam import ScoreCAM
from cifarcam.explain.shapley import SHAP
from cifarcam.explain.smoothgrad import SmoothGrad
from cifarcam.explain.xgrad_cam import XGradCAM

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
    "Example",
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
    "choose_examples",
    "class_index",
    "class_names",
    "explain_pictures",
    "first_of_each_class",
    "read_model",
    "read_picture",
]
