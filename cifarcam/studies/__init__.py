"""What this report asks of its runs and images: each module one question.

Importing this package imports none of them, so that a record rests on its own question's code.
"""

__all__ = [
    "ablation",
    "architecture_search",
    "classical",
    "faithfulness",
    "heatmaps",
    "measurements",
    "records",
]
