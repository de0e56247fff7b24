"""What the chapter on other pictures shows of CIFAR-10.1 and CIFAR-100."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from IPython.display import Markdown, display

from cifarcam.data import evidence, others
from cifarcam.data.dataset import Split
from cifarcam.report import mistakes
from cifarcam.report.page import interval, table
from cifarcam.runs import Run
from cifarcam.studies import other_images
from cifarcam.training import prediction

PUBLISHED_HEADER = (
    "Network",
    "CIFAR-10 (%)",
    "CIFAR-10.1 v4 (%)",
    "CIFAR-10.1 v6 (%)",
    "v6 − CIFAR-10",
)
NEW_HEADER = ("Network", "CIFAR-10 (%)", "CIFAR-10.1 v6 (%)", "Difference (points)")
UNKNOWN_HEADER = (
    "Network",
    "Confidence, CIFAR-10 (%)",
    "Confidence, CIFAR-100 (%)",
    "Sure of CIFAR-100 (%)",
    "AUROC",
)


def published_rows() -> list[list[Any]]:
    """Rows under `PUBLISHED_HEADER`, the most accurate network first."""
    return [
        [
            other_images.TITLES[name],
            *(f"{accuracy:.1f}" for accuracy in accuracies),
            f"−{accuracies[0] - accuracies[2]:.1f}",
        ]
        for name, accuracies in other_images.PUBLISHED.items()
    ]


def networks() -> dict[str, Run]:
    """The first seed of each network of this report that comes with weights, by display name."""
    first = {name: seeds[0] for name, seeds in mistakes.networks().items()}
    return {name: run for name, run in first.items() if run.has_weights}


def new_images(asked: Mapping[str, Run]) -> None:
    """A table of accuracy on CIFAR-10.1 v6 and on CIFAR-10, or a sentence where it is missing.

    Parameters
    ----------
    asked
        Runs on CIFAR-10 with weights, by the network's name.
    """
    split = _split("cifar10.1-v6")
    if split is None:
        return
    labels = evidence.test_labels()
    falls = {
        name: other_images.fall(
            run.predictions.argmax(axis=1) == labels,
            prediction.predict(run.model(), split.images).argmax(axis=1) == split.labels,
        )
        for name, run in asked.items()
    }
    table(
        [
            [name, f"{one.before:.1f}", f"{one.after:.1f}", interval(one.change)]
            for name, one in falls.items()
        ],
        header=NEW_HEADER,
        caption="**Accuracy on the usual test images and on CIFAR-10.1 v6.** The last column has the "
        "difference and its 95% interval over images.",
        name="tab-shifts-new",
    )


def unknown_classes(asked: Mapping[str, Run]) -> None:
    """A table of confidence in images of CIFAR-100, or a sentence where they are missing.

    Parameters
    ----------
    asked
        Runs on CIFAR-10 with weights, by the network's name.
    """
    split = _split("cifar100")
    if split is None:
        return
    results = {
        name: other_images.unknown(run.predictions, prediction.predict(run.model(), split.images))
        for name, run in asked.items()
    }
    table(
        [
            [
                name,
                f"{100 * one.known:.1f}",
                f"{100 * one.unknown:.1f}",
                f"{100 * one.sure:.1f}",
                f"{one.auroc:.3f}",
            ]
            for name, one in results.items()
        ],
        header=UNKNOWN_HEADER,
        caption="**Confidence in the test images of CIFAR-10 and of CIFAR-100.** The networks never saw "
        "the classes of CIFAR-100. Sure is the share of CIFAR-100's images with a confidence above "
        f"{100 * other_images.SURE:.0f}%. We draw one image of each dataset, and AUROC says how often "
        "the image of CIFAR-10 gets the higher confidence.",
        name="tab-shifts-unknown",
    )


def _split(name: str) -> Split | None:
    """The images where the cache holds them; else None, and the page says how to get them.

    Nothing is downloaded, so that a build does not depend on a network.
    """
    if others.is_at_hand(name):
        return others.load(name)
    display(
        Markdown(
            f"These images were not at hand when this page was made. `cifarcam data --dataset "
            f"{name}` fetches and verifies them, and the next build measures."
        )
    )
    return None
