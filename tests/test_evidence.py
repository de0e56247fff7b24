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
    text = (evidence.PUBLISHED.parent / "LICENSE-MIT").read_text()
    assert "MIT License" in text
    assert "Copyright (c) 2018 modestyachts" in text


def test_license_lies_beside_the_votes():
    assert "Apache License" in (evidence.PUBLISHED.parent / "LICENSE-APACHE").read_text()


def test_twins_are_those_that_barz_and_denzler_count():
    # 286 test images with a near duplicate among the training images; 39 test pairs.
    pairs = evidence.twins()
    assert len(pairs.images) == len(np.unique(pairs.images)) == 286
    assert pairs.same_shot.sum() == 249
    assert (np.diff(pairs.distances) >= 0).all()
    assert pairs.twins.max() < 50_000
    assert len(evidence.twins("test").images) == 39


def test_votes_are_five_for_each_image_and_doubt_54_labels():
    # Northcutt et al. (2021), table 1: 275 images judged, 54 labels in doubt.
    votes = evidence.label_votes()
    total = votes.for_label + votes.for_suggested + votes.for_both + votes.for_neither
    assert (total == 5).all()
    assert len(votes.images) == 275
    assert (np.diff(votes.images) > 0).all()
    assert np.array_equal(votes.labels, evidence.test_labels()[votes.images])
    assert votes.doubtful.sum() == 54
    assert votes.corrected.sum() == 18
    assert (votes.for_neither >= 3).sum() == 4
    assert not (votes.confirmed & votes.corrected).any()


@pytest.mark.parametrize("name", ["twins-train.csv", "twins-test.csv", "label-votes.csv"])
def test_damaged_tables_are_refused_in_one_sentence(name, tmp_path, monkeypatch):
    for table in evidence.PUBLISHED.parent.glob("*.csv"):
        shutil.copyfile(table, tmp_path / table.name)
    damaged = tmp_path / name
    damaged.write_bytes(damaged.read_bytes().replace(b",1", b",2", 1))
    monkeypatch.setattr(evidence, "PUBLISHED", tmp_path / "predictions.npz")
    with pytest.raises(CifarcamError, match=rf"{name}: damaged.*restore it"):
        {
            "twins-train.csv": evidence.twins,
            "twins-test.csv": lambda: evidence.twins("test"),
            "label-votes.csv": evidence.label_votes,
        }[name]()
