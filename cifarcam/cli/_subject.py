"""What `cifarcam explain` explains: the network of a run, of ImageNet, or of a user's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cifarcam.cli._base import quiet_tensorflow
from cifarcam.cli._texts import range_of_text, tokens_of_text
from cifarcam.errors import CifarcamError


class Subject(NamedTuple):
    """A model to explain, and how it takes pixels.

    Attributes
    ----------
    classifier
        A `cifarcam.explain.Classifier`, whose input range is known.
    class_names
        None where only the user knows them.
    preprocess
        From pixels to images, or None for the input range.
    origin
        Where the input range comes from, for the output.
    """

    classifier: Any
    class_names: Sequence[str] | None
    preprocess: Any
    origin: str


def check_source(
    of_run: Mapping[str, object], model_file: Path | None, of_model: Mapping[str, object]
) -> None:
    """Refuse options that do not fit a run, or do not fit a model file."""
    options = [option for option, value in of_model.items() if value is not None]
    if model_file is None and options:
        raise CifarcamError(
            f"{options[0]} is for a --model of your own; give --model FILE, or leave the option out"
        )
    if model_file is not None and any(value is not None for value in of_run.values()):
        raise CifarcamError("--run and --runs are for a run; leave them out with --model")
    if of_model["--input-range"] is not None and of_model["--preprocess"] is not None:
        raise CifarcamError("--preprocess has its own input range; leave out --input-range")


def run_to_explain(name: str, place: Path | None, head: str | None) -> Subject:
    """The network of a run, or the network that others trained on ImageNet."""
    with quiet_tensorflow():
        from cifarcam import explain as explainers
    if name == "imagenet":
        with quiet_tensorflow():
            from cifarcam import pretrained
        model, title = pretrained.imagenet()
        class_names = pretrained.class_names()
    else:
        with quiet_tensorflow():
            from cifarcam import data, runs  # they need the extra `train`
        model, title = runs.load(name, place=place).model(), name
        class_names = list(data.CLASS_NAMES)
    classifier = explainers.Classifier(model, head, input_range=(0, 255))
    return Subject(classifier, class_names, None, f"of {title}")


def model_to_explain(
    path: Path,
    module: str | None,
    range_text: str | None,
    family: str | None,
    head: str | None,
    tokens_text: str | None,
) -> Subject:
    """A model of the user."""
    with quiet_tensorflow():
        from cifarcam import explain as explainers
    preprocess = None
    tokens = None if tokens_text is None else tokens_of_text(tokens_text)
    input_range = None if range_text is None else range_of_text(range_text)
    origin = "from --input-range"
    if family is not None:
        preprocess, input_range = explainers.preprocessing(family)
        origin = f"from keras.applications.{family}.preprocess_input"
    objects = {} if module is None else explainers.module_objects(module)
    model = explainers.read_model(path, objects)
    classifier = explainers.Classifier(model, head, input_range=input_range, tokens=tokens)
    if classifier.input_range is None:
        raise CifarcamError(
            f"{path}: the model does not show which numbers it takes for black and white; give "
            "--input-range 0,255, or 0,1, or -1,1, or --preprocess NAME if it was trained with "
            "keras.applications.NAME.preprocess_input"
        )
    if input_range is None:
        origin = f"from {classifier.input_range.source}"
    return Subject(classifier, None, preprocess, origin)
