"""Give records the digest of the present code, where their seeded checks come out as they were.

A change of code that leaves a measurement as it was, such as a move of modules, makes its record
one "of other code" all the same. This computes a part of each record again and, where every number
is equal within the rounding that is stated, writes the record with the present digest:

    python benchmarks/restamp.py architecture-search classical faithfulness

A record that cannot be checked in minutes is made anew by `cifarcam measure` instead.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cifarcam import _store, data, explain, runs
from cifarcam.errors import CifarcamError
from cifarcam.explain import metrics
from cifarcam.studies import architecture_search, classical, faithfulness, measurements

# Of a mean over 32 images. Between two processors two pixels of nearly equal evidence may change
# places in the order of removal, which moved one such mean by 8e-5; all others agree to 1e-7.
ROUNDING = 1e-4


def check_search(record: Mapping[str, Any]) -> float:
    """The baseline is the member that was chosen: its run logged the record's accuracies."""
    (chosen,) = (member for member in record["members"] if member["chosen"])
    history = runs.load("baseline", seed=0).history
    found = [tuple(member["filters"]) for member in record["members"]]
    if sorted(found) != sorted(options.filters for options in architecture_search.SEARCH_MEMBERS):
        return np.inf
    return max(
        abs(history[key][-1] - chosen[key]) for key in ("train_accuracy", "validation_accuracy")
    )


def check_classical(record: Mapping[str, Any]) -> float:
    """The chosen settings, fitted again, predict the same class for every test image."""
    dataset = data.load()
    differing = 0
    for row in record["rows"]:
        extract = classical.FEATURES[row["features"]]
        make, setting, _ = classical.CLASSIFIERS[row["classifier"]]
        model = make(row["chosen"], 0)
        model.fit(extract(dataset.train.images), dataset.train.labels)
        predicted = "".join(map(str, model.predict(extract(dataset.test.images))))
        differing += sum(a != b for a, b in zip(predicted, row["predictions"], strict=True))
        print(f"  {row['classifier']} on {row['features']}, {setting} {row['chosen']}: {differing}")
    return differing


def check_faithfulness(record: Mapping[str, Any]) -> float:
    """Every method's means over the first images, by every measure."""
    classifier = explain.Classifier(runs.load("baseline", seed=0).model())
    images = faithfulness.images_measured(data.load())[: record["check_images"]]
    greatest = 0.0
    for name, method in explain.METHODS.items():
        explainer = method(classifier, record["layer"] if method.takes_layer else None)
        card = metrics.scorecard(explainer, images)
        kept = record["methods"][name]["check"]
        gap = max(abs(float(np.nanmean(card[m])) - kept[m]) for m in metrics.MEASURES)
        print(f"  {name}: {gap:.1e}")
        greatest = max(greatest, gap)
    return greatest


CHECKS: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
    "architecture-search": check_search,
    "classical": check_classical,
    "faithfulness": check_faithfulness,
}


def main(names: list[str]) -> None:
    """Check and stamp the records of these names."""
    for name in names:
        if name not in CHECKS:
            raise CifarcamError(f"{name!r} has no check; there are {', '.join(CHECKS)}")
        path = _store.find_record(name)
        assert path is not None, name
        record = _store.read_record(path)
        difference = CHECKS[name](record)
        if difference > ROUNDING:
            print(f"{name}: differs by {difference:.2g}, left as it is")
            continue
        place = path.parents[1]
        written = measurements.write(name, record, Path(place))
        print(f"{name}: equal within {difference:.2g}; {written} is of the code at hand")


if __name__ == "__main__":
    main(sys.argv[1:])
