"""What is wrong with a network that fails on its images, in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from cifarcam.errors import CifarcamError, first_line
from cifarcam.explain._targets import ONE_EACH


@contextmanager
def named_failures(
    images: tuple[int, ...], targets: tuple[int, ...] | None = None
) -> Iterator[None]:
    """Name the shapes of the images, and of the targets of a `score`, where a graph fails.

    Raises
    ------
    CifarcamError
        When it does: images of another size do not fit the network, or a `score` returns another
        number of values than there are images.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if ONE_EACH in str(error):
            raise CifarcamError(
                f"score returns another number of values than there are images; {ONE_EACH}"
            ) from error
        model, of_targets = "the model", ""
        if targets is not None:
            model, of_targets = "the model or its score", f" with targets of shape {targets[1:]}"
        raise CifarcamError(
            f"{model} fails on images of shape {images[1:]}{of_targets}: {failure(error)}"
        ) from error


def failure(error: Exception) -> str:
    """The line of an error that says what is wrong: of a running graph, the line before the node."""
    lines = str(error).splitlines()
    node = next((index for index, line in enumerate(lines) if "[[{{node" in line), 0)
    is_of_graph = node > 0 and lines[0].startswith("Graph execution error")
    line = lines[node - 1].strip() if is_of_graph else first_line(error)
    return re.sub(r"^\{\{function_node .*?\}\} ", "", line)
