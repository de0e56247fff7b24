"""Heatmaps: what an image classifier's score rests on, one method a file, one registry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cifarcam.explain.base import Explainer
from cifarcam.explain.examples import Example, choose_examples
from cifarcam.explain.grad_cam import GradCAM
from cifarcam.explain.pictures import Explained, explain_pictures, read_picture

METHODS: Mapping[str, type[Explainer]] = MappingProxyType({"grad-cam": GradCAM})

__all__ = [
    "METHODS",
    "Example",
    "Explained",
    "Explainer",
    "GradCAM",
    "choose_examples",
    "explain_pictures",
    "read_picture",
]
