"""The claims of the original report: rules, fixed in words, and the functions that apply them."""

from __future__ import annotations

from cifarcam.errors import CifarcamError
from cifarcam.studies.claims import (
    accuracy,
    attention,
    backgrounds,
    classical,
    confusion,
    depth,
    explanations,
    faces,
    networks,
    scores,
    training,
)
from cifarcam.studies.claims.base import Claim, Condition, Finding, Timing, Verdict
from cifarcam.studies.claims.sources import Sources

__all__ = [
    "CLAIMS",
    "Claim",
    "Condition",
    "Finding",
    "Sources",
    "Timing",
    "Verdict",
    "judge",
]

# In the order of the original report.
CLAIMS: tuple[Claim, ...] = (
    *accuracy.CLAIMS,
    *confusion.CLAIMS,
    *scores.CLAIMS,
    *backgrounds.CLAIMS,
    faces.CLAIM,
    training.DROPOUT,
    networks.OVER_90,
    depth.CLAIM,
    classical.CLAIM,
    networks.DENSENET_OVER_RESNET,
    training.AUGMENTATION,
    attention.CLAIM,
    *explanations.CLAIMS,
)


def judge(sources: Sources, *claims: str) -> dict[str, Finding]:
    """Findings by condition, of the claims named or of all claims.

    Raises
    ------
    CifarcamError
        When there is no claim of a name.
    """
    names = {claim.id for claim in CLAIMS}
    for name in claims:
        if name not in names:
            raise CifarcamError(
                f"there is no claim {name!r}; give one of {', '.join(sorted(names))}"
            )
    return {
        condition.id: condition.finding(sources)
        for claim in CLAIMS
        if not claims or claim.id in claims
        for condition in claim.conditions
    }
