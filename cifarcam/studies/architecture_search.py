"""The search for the sizes that the original report leaves open: members trained and ranked."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

from cifarcam import data, models, runs, training
from cifarcam.models import custom_cnn
from cifarcam.studies import records
from cifarcam.training import experiment

# What the original report gives for epoch 50, in percent: the training accuracy that it logged
# and its test accuracy, for which the validation accuracy stands in here.
ORIGINAL_TRAINING, ORIGINAL_TEST = 94.9, 71.5

SEARCH_MEMBERS = (
    custom_cnn.Options(filters=(32, 64), dense=128, dropout=0.5),
    custom_cnn.Options(filters=(32, 64, 64), dense=64, dropout=0.2),
    custom_cnn.Options(filters=(32, 64, 64), dense=128, dropout=0.3),
    custom_cnn.Options(filters=(32, 64, 128), dense=64, dropout=0.2),
)


def measure() -> dict[str, Any]:
    """Train members of the custom CNN's family as the baseline is trained, and rank them.

    Each is judged at the last epoch by its distance in percentage points from the original's
    training and test accuracy; the validation accuracy stands in for the latter. The test split
    is not used. A member whose training was interrupted goes on from its checkpoint.
    """
    baseline = experiment.find("baseline")
    dataset = data.load(baseline.data.dataset, seed=baseline.data.split_seed)
    members = []
    fingerprints = []
    for options in SEARCH_MEMBERS:
        member = replace(baseline, options=options, early_stopping=None)
        fingerprint = member.fingerprint(dataset.digest)
        fingerprints.append(fingerprint)
        checkpoint = runs.checkpoint_path(fingerprint)
        trained = training.train(
            member, dataset, checkpoint=checkpoint, report=runs.show_progress(member)
        )
        last = trained.history[-1]
        members.append(
            {
                **asdict(options),
                "parameters": models.build(member.architecture, options).count_params(),
                "train_accuracy": last.train_accuracy,
                "validation_accuracy": last.validation_accuracy,
                "distance": math.hypot(
                    100 * last.train_accuracy - ORIGINAL_TRAINING,
                    100 * last.validation_accuracy - ORIGINAL_TEST,
                ),
                "chosen": options == baseline.options,
            }
        )
    for fingerprint in fingerprints:  # one is the baseline's, which a run would go on from
        runs.checkpoint_path(fingerprint).unlink(missing_ok=True)
    members.sort(key=lambda found: found["distance"])
    return {"inputs": records.inputs(dataset, [baseline]), "members": members}
