"""The predictions of published networks come as they were published, and damage is noticed."""

import shutil

import numpy as np
import pytest

from cifarcam.data import evidence
from cifarcam.errors import CifarcamError


def test_published_predictions_are_classes_of_thirty_networks_for_all_test_images():
    predictions = evidence.published_predictions()
    assert len(predictions) == 30
    for classes in predictions.values():
        assert classes.shape == (10_000,)
        assert classes.dtype == np.uint8
        assert classes.max() == 9
    assert set(evidence.DEPTHS) < set(predictions)


def test_labels_hold_a_thousand_images_of_each_class():
    labels = evidence.test_labels()
    assert labels.dtype == np.int64
    assert np.bincount(labels).tolist() == [1000] * 10
    assert labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]  # of the official archive


def test_published_networks_reach_their_published_accuracies():
    # Recht et al. (2018), table 1: original accuracies of VGG-16, ResNet-110 and DenseNet-BC.
    labels, predictions = evidence.test_labels(), evidence.published_predictions()
    for name, percent in (
        ("vgg16_keras", 93.6),
        ("resnet_basic_110", 93.5),
        ("densenet_BC_100_12", 95.5),
        ("random_features_256k_aug", 85.6),
    ):
        assert 100 * (predictions[name] == labels).mean() == pytest.approx(percent, abs=0.05)


def test_damaged_predictions_are_refused_in_one_sentence(tmp_path, monkeypatch):
    damaged = tmp_path / "predictions.npz"
    shutil.copyfile(evidence.PUBLISHED, damaged)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    monkeypatch.setattr(evidence, "PUBLISHED", damaged)
    evidence._published.cache_clear()
    with pytest.raises(CifarcamError, match=r"predictions\.npz: damaged.*restore it"):
        evidence.published_predictions()
    damaged.unlink()
    with pytest.raises(CifarcamError, match=r"predictions\.npz.*restore it"):
        evidence.test_labels()


def test_license_lies_beside_the_predictions():
    text = (evidence.PUBLISHED.parent / "LICENSE").read_text()
    assert "MIT License" in text
    assert "Copyright (c) 2018 modestyachts" in text
