"""The explanation methods, one module each, and `METHODS`, which lists them in order."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cifarcam.explain.base import Explainer
from cifarcam.explain.methods.ablation_cam import AblationCAM
from cifarcam.explain.methods.attention_relevance import AttentionRelevance
from cifarcam.explain.methods.attention_rollout import AttentionRollout
from cifarcam.explain.methods.eigen_cam import EigenCAM
from cifarcam.explain.methods.expected_gradients import ExpectedGradients
from cifarcam.explain.methods.finer_cam import FinerCAM
from cifarcam.explain.methods.full_grad import FullGrad
from cifarcam.explain.methods.grad_cam import GradCAM
from cifarcam.explain.methods.grad_cam_plus_plus import GradCAMPlusPlus
from cifarcam.explain.methods.guided_backpropagation import GuidedBackpropagation
from cifarcam.explain.methods.hires_cam import HiResCAM
from cifarcam.explain.methods.integrated_gradients import IntegratedGradients
from cifarcam.explain.methods.layer_cam import LayerCAM
from cifarcam.explain.methods.lime import LIME
from cifarcam.explain.methods.null import CentreBlob, RandomMap
from cifarcam.explain.methods.occlusion import Occlusion
from cifarcam.explain.methods.rise import RISE
from cifarcam.explain.methods.saliency import Saliency
from cifarcam.explain.methods.score_cam import ScoreCAM
from cifarcam.explain.methods.shap import SHAP
from cifarcam.explain.methods.shapley_cam import ShapleyCAM
from cifarcam.explain.methods.smoothgrad import SmoothGrad, SmoothGradSquared, VarGrad
from cifarcam.explain.methods.xgrad_cam import XGradCAM

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
            ShapleyCAM,
            FinerCAM,
            Saliency,
            IntegratedGradients,
            SmoothGrad,
            SmoothGradSquared,
            VarGrad,
            ExpectedGradients,
            GuidedBackpropagation,
            FullGrad,
            Occlusion,
            RISE,
            LIME,
            SHAP,
            AttentionRollout,
            AttentionRelevance,
            RandomMap,
            CentreBlob,
        )
    }
)

__all__ = [
    "LIME",
    "METHODS",
    "RISE",
    "SHAP",
    "AblationCAM",
    "AttentionRelevance",
    "AttentionRollout",
    "CentreBlob",
    "EigenCAM",
    "ExpectedGradients",
    "FinerCAM",
    "FullGrad",
    "GradCAM",
    "GradCAMPlusPlus",
    "GuidedBackpropagation",
    "HiResCAM",
    "IntegratedGradients",
    "LayerCAM",
    "Occlusion",
    "RandomMap",
    "Saliency",
    "ScoreCAM",
    "ShapleyCAM",
    "SmoothGrad",
    "SmoothGradSquared",
    "VarGrad",
    "XGradCAM",
]
