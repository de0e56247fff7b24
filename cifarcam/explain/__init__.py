"""Heatmaps: what an image classifier's score rests on, one method a file, one registry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cifarcam.errors import check_backend

check_backend()  # before Keras is imported

from cifarcam.explain.base import Explainer
from cifarcam.explain.classifier import Classifier
from cifarcam.explain.methods.ablation_cam import AblationCAM
from cifarcam.explain.methods.eigen_cam import EigenCAM
from cifarcam.explain.methods.grad_cam import GradCAM
from cifarcam.explain.methods.grad_cam_plus_plus import GradCAMPlusPlus
from cifarcam.explain.methods.hires_cam import HiResCAM
from cifarcam.explain.methods.integrated_gradients import IntegratedGradients
from cifarcam.explain.methods.layer_cam import LayerCAM
from cifarcam.explain.methods.lime import LIME
from cifarcam.explain.methods.null import CentreBlob, RandomMap
from cifarcam.explain.methods.saliency import Saliency
from cifarcam.explain.methods.score_cam import ScoreCAM
from cifarcam.explain.methods.shapley import SHAP
from cifarcam.explain.methods.smoothgrad import SmoothGrad
from cifarcam.explain.methods.xgrad_cam import XGradCAM
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
