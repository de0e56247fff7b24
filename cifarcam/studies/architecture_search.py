"""The search for the sizes that the original report does not state: networks trained and ranked."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

from cifarcam import data, models, runs, training
from cifarcam.models import custom_cnn
from cifarcam.studies import records
from cifarcam.training import experiment

# The original report's results at epoch 50, in percent: logged training accuracy and test accuracy.
ORIGINAL_TRAINING, ORIGINAL_TEST = 94.9, 71.5

SEARCH_MEMBERS = (
    custom_cnn.Options(filters=(32, 64), dense=128, dropout=0.5),
    custom_cnn.Options(filters=(32, 64, 64), dense=64, dropout=0.2),
    custom_cnn.Options(filters=(32, 64, 64), dense=128, dropout=0.3),
    custom_cnn.Options(filters=(32, 64, 128), dense=64, dropout=0.2),
)


def measure() -> dict[str, Any]:
    """Train `SEARCH_MEMBERS` with the baseline's settings, and rank them.

    They are ranked by the distance, in percentage points at the last epoch, of training and
    validation accuracy from the original's training and test accuracy. The test split is not
    used. Interrupted training resumes from its checkpoint.
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
    for fingerprint in fingerprints:  # a run of the baseline would resume from its checkpoint
        runs.checkpoint_path(fingerprint).unlink(missing_ok=True)
    members.sort(key=lambda member: member["distance"])
    return {"inputs": records.inputs(dataset, [baseline]), "members": members}
