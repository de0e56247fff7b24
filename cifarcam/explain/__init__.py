"""Heatmaps: what an image classifier's score rests on, one method a file, one registry."""

from __future__ import annotations

from collections.abc import Mapping

from cifarcam.explain.base import Explainer
from cifarcam.explain.grad_cam import GradCAM
from cifarcam.explain.pictures import Explained, explain_pictures, read_picture

METHODS: Mapping[str, type[Explainer]] = {
    "grad-cam": GradCAM,
}

__all__ = [
    "METHODS",
    "Explained",
    "Explainer",
    "GradCAM",
    "explain_pictures",
    "read_picture",
]
