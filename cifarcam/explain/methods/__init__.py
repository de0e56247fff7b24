"""The explanation methods, one module each."""

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

__all__ = [
    "LIME",
    "SHAP",
    "AblationCAM",
    "CentreBlob",
    "EigenCAM",
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
]
