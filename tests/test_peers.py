"""Published networks beside ours: pairs of classes, consistency, images that all get wrong."""

import math

import numpy as np
import pytest

from cifarcam.errors import CifarcamError
from cifarcam.report import mistakes as rows
from cifarcam.studies import hardest, peers


def test_published_networks_are_thirty():
    published = peers.published()
    assert peers.stacked(published).shape == (30, 10_000)
    assert peers.deep_networks(published) == 26
    assert peers.deep_networks(["random_features_32k_aug"]) == 0


def test_shares_of_pairs_by_hand():
    truth = np.array([3, 5, 3, 0, 0])
    shares = peers.pair_shares(np.array([[5, 3, 3, 8, 0], [3, 5, 3, 0, 9]]), truth)
    cat_dog, airplane_ship = peers.PAIRS.index((3, 5)), peers.PAIRS.index((0, 8))
    assert shares[0, cat_dog] == pytest.approx(200 / 3)
    assert shares[0, airplane_ship] == pytest.approx(100 / 3)
    assert shares.sum(axis=1) == pytest.approx([100, 100])
    with pytest.raises(CifarcamError, match="network 0 makes no mistakes"):
        peers.pair_shares(truth[np.newaxis], truth)


def test_pairs_are_ordered_by_published_networks():
    truth = np.array([3, 5, 0, 0])
    published = np.array([[5, 3, 8, 0], [5, 5, 0, 0]])
    first, second, *_ = pairs = peers.by_pair(published, {"one": np.array([[3, 5, 8, 8]])}, truth)
    assert (first.pair, first.networks) == ("cat – dog", 2)
    assert first.published == pytest.approx((200 / 3 + 100) / 2)
    assert (first.lowest, first.highest) == (pytest.approx(200 / 3), 100)
    assert (second.pair, second.ours["one"]) == ("airplane – ship", 100)
    assert rows.pair_rows(pairs[:1], ["one"]) == [["Cat – dog", "83.3 (66.7 to 100.0)", "0.0"]]
    assert rows.pair_header(pairs, ["one"])[1:] == ("Published, mean of 2 (range)", "One")


def test_pairs_expected_from_the_classes():
    # Cat and dog are confused both ways: margins that leave only this pair.
    truth = np.array([3, 5, 5])
    shares = peers.by_pair(truth[::-1][np.newaxis], {"one": np.array([[5, 3, 5]])}, truth)
    assert shares[0].by_margins["one"] == pytest.approx(100)
    # Each of four classes is missed twice and answered twice: each of their six pairs is expected
    # equally often, although two pairs take all mistakes.
    truth, given = np.array([3, 3, 5, 5, 0, 0, 8, 8]), np.array([[5, 5, 3, 3, 8, 8, 0, 0]])
    expected = {one.pair: one for one in peers.by_pair(given, {"one": given}, truth)}
    for name, share in (("cat – dog", 50), ("airplane – ship", 50), ("airplane – cat", 0)):
        assert expected[name].ours["one"] == pytest.approx(share)
        assert expected[name].by_margins["one"] == pytest.approx(100 / 6)
    assert expected["bird – deer"].by_margins["one"] == 0


def pair(published, ours, by_margins):
    return peers.PairShare("x", 2, published, published, published, ours, by_margins)


@pytest.mark.parametrize(
    ("ours", "least", "opening"),
    [
        ({"a": (1, 2, 3), "b": (2, 4, 9)}, 1, "Our networks confuse what"),
        ({"a": (1, 2, 3), "b": (3, 2, 1)}, -1, "Some of our networks"),
        ({"a": (3, 2, 1)}, -1, "Our networks confuse other classes"),
    ],
)
def test_profile_has_a_sentence_for_each_outcome(ours, least, opening):
    shares = [
        pair(k + 1, {name: one[k] for name, one in ours.items()}, dict.fromkeys(ours, (2, 3, 1)[k]))
        for k in range(3)
    ]
    result = peers.profile(shares)
    assert result.sentence.startswith(opening)
    assert (result.pairs, result.least) == (3, pytest.approx(least))
    assert (result.margins_least, result.margins_most) == (
        pytest.approx(-0.5),
        result.margins_least,
    )
    if least > -0.5:
        assert "The classes alone do not explain this" in result.sentence
        assert "the rank correlation is only −0.50." in result.sentence
    elif "Some of" in opening:
        assert "The classes alone may explain this in part" in result.sentence
    else:
        assert "For comparison, if we spread the mistakes by chance" in result.sentence


def test_error_consistency_of_known_networks():
    right = np.array([True, True, False, False])
    assert peers.consistency(right, right) == 1
    assert peers.consistency(right, ~right) == -1
    # Observed 1/2, as chance gives for two networks that are right on half of the images.
    assert peers.consistency(right, np.array([True, False, True, False])) == 0
    # 3/4 and 1/2: observed 3/4, expected 1/2, (3/4 - 1/2) / (1 - 1/2).
    assert peers.consistency(np.array([True, True, True, False]), right) == pytest.approx(0.5)
    assert math.isnan(peers.consistency(np.ones(3, bool), np.ones(3, bool)))


def test_same_wrong_class_among_images_that_both_get_wrong():
    truth = np.zeros(4, int)
    one, other = np.array([1, 1, 0, 2]), np.array([1, 2, 1, 2])
    assert peers.same_wrong(one, other, truth) == pytest.approx(2 / 3)
    assert math.isnan(peers.same_wrong(truth, other, truth))


def test_same_wrong_class_by_confusions_alone():
    # On true class 0 the first gives 1 and 2 equally often, the second gives 1 three times of four:
    # 1/2 3/4 + 1/2 1/4. Image 4 is right in the first.
    truth = np.zeros(5, int)
    one, other = np.array([1, 1, 2, 2, 0]), np.array([1, 2, 1, 1, 0])
    assert peers.same_by_confusions(one, other, truth) == pytest.approx(0.5)
    # True classes count as often as both miss them: four times 0, once 3, where both give 5.
    truth, one, other = np.append(truth, 3), np.append(one, 5), np.append(other, 5)
    assert peers.same_by_confusions(one, other, truth) == pytest.approx((4 * 0.5 + 1) / 5)
    assert math.isnan(peers.same_by_confusions(truth, other, truth))


def test_likeness_with_published_networks():
    truth = np.zeros(4, int)
    published = np.array([[0, 0, 1, 1], [0, 0, 1, 2]])
    ours = {"same": np.array([[0, 0, 1, 1]]), "other": np.array([[1, 1, 0, 0], [1, 2, 0, 0]])}
    same, other, among = peers.likeness(published, ours, truth)
    assert (same.name, same.accuracy, same.consistency) == ("same", 50, 1)
    assert math.isnan(same.consistency_of_seeds)
    assert same.same == pytest.approx(75)  # both images with the first, one of two with the second
    assert (other.consistency, other.consistency_of_seeds) == (-1, 1)
    assert (among.name, among.consistency) == ("published networks", 1)
    assert peers.likeness_sentence([same, among]).startswith("Each of our networks shares")
    assert "on 75% of the images" in peers.likeness_sentence([same, among])
    assert same.same_expected == pytest.approx(75)  # 1 with the first, 1/2 with the second
    assert (
        "For some of our networks, their confusions of the classes can explain this"
        in peers.likeness_sentence([same, among])
    )
    assert rows.likeness_rows([same]) == [["Same", "50.0", "1.00", "–", "75", "75"]]


def test_likeness_beyond_confusions_has_a_sentence():
    truth = np.zeros(4, int)
    published = np.array([[1, 1, 2, 2], [1, 1, 2, 2]])
    same, among = peers.likeness(published, {"same": published[:1]}, truth)
    assert (same.same, same.same_expected) == (100, 50)
    assert math.isnan(same.consistency)
    assert "if each network drew its wrong class according to its own confusions" in (
        peers.likeness_sentence([same, among])
    )
    assert "Their confusions of the classes do not explain this" in (
        peers.likeness_sentence([same, among])
    )
    right, among = peers.likeness(published, {"right": truth[np.newaxis]}, truth)
    assert math.isnan(right.same)
    assert "are both wrong" not in peers.likeness_sentence([right, among])


def test_likeness_below_chance_has_a_sentence():
    truth = np.zeros(6, int)
    published = np.array([[0, 0, 1, 1, 0, 1], [0, 0, 1, 2, 0, 1]])
    mixed = peers.likeness(published, {"other": np.array([[1, 1, 0, 0, 0, 1]])}, truth)
    assert mixed[0].consistency < 0
    assert peers.likeness_sentence(mixed).startswith("Not all of our networks share")


def test_images_that_all_networks_get_wrong():
    truth = np.zeros(20, int)
    published = np.zeros((2, 20), int)
    published[:, :3] = 1
    good, weak = np.zeros((2, 20), int), np.ones((1, 20), int)
    good[:, 1:3] = 1
    good[1, 2] = 2
    answer = hardest.find(published, {"good": good, "weak": weak}, truth, np.array([1, 2]))
    assert (answer.published, answer.ours, answer.both) == (3, 2, 2)
    assert (answer.networks, answer.good, answer.alike, answer.doubtful) == (2, 2, 1, 2)
    assert answer.indices.tolist() == [1, 2]
    assert answer.apart == (
        "On 3 images, every published network is wrong. On 2 images, all 2 runs of our networks of "
        "at least 85% accuracy are wrong."
    )
    assert answer.sentence == (
        "On 2 images, all 2 published networks and all 2 runs of our networks are wrong, and people "
        "doubt the label of 2 of them (among all images, people doubt 10.0% of the labels). All "
        "networks give the same wrong class on 1 of these images."
    )
    half = hardest.find(published, {"good": good}, truth, np.array([1]))
    assert (
        "people doubt the label of 1 of them (among all images, people doubt 5.0%" in half.sentence
    )
    none = hardest.find(published, {"good": good}, truth, np.array([9]))
    assert "people doubt none of these labels" in none.sentence
    right = hardest.find(published, {"good": np.zeros((1, 20), int)}, truth, np.array([9]))
    assert right.sentence == (
        "There is no image on which all 2 published networks and the one run of our networks are "
        "wrong."
    )
    assert right.apart == (
        "On 3 images, every published network is wrong. There is no image on which the one run of "
        "our networks of at least 85% accuracy is wrong."
    )
    one = np.zeros((2, 20), int)
    one[:, 2] = 1
    same = hardest.find(one, {"good": one}, truth, np.array([2]))
    assert same.apart.startswith("On one image, every published network is wrong. On one image,")
    assert same.sentence == (
        "On one image, all 2 published networks and all 2 runs of our networks are wrong, and people "
        "doubt its label (among all images, people doubt 5.0% of the labels). All networks give it "
        "the same wrong class."
    )
    single = hardest.find(one, {"good": 2 * one}, truth, np.array([9]))
    assert single.sentence.endswith(
        "although people do not doubt its label. The networks do not all give it the same wrong "
        "class."
    )
    with pytest.raises(CifarcamError, match="85%"):
        hardest.find(published, {"weak": weak}, truth, np.array([1]))
