"""Labels in doubt, what people said of them, and what networks make of them, by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from cifarcam import data
from cifarcam.data import evidence
from cifarcam.data.evidence import LabelVotes
from cifarcam.errors import CifarcamError
from cifarcam.studies import labels, relabelled
from cifarcam.studies.mistakes import Kind


def votes(rows, label=0, suggested=1):
    """Votes by image: (image, for the label, for the suggested class, for both, for neither)."""
    images, *counts = np.array(rows, np.int64).reshape(-1, 5).T
    constant = np.full(len(images), 0, np.int64)
    return LabelVotes(images, constant + label, constant + suggested, *counts)


# Image 0 is confirmed, 1 corrected, 2 without a majority; 3 is confirmed by the smallest majority.
JUDGED = votes([(0, 5, 0, 0, 0), (1, 1, 4, 0, 0), (2, 2, 2, 1, 0), (3, 3, 2, 0, 0)])
CLEAR = np.full(8, int(Kind.OTHER))


def test_votes_are_counted():
    assert labels.judged(JUDGED) == labels.Judged(4, 2, 2, 1, 1)


def test_people_have_the_last_word_on_a_label():
    kinds = CLEAR.copy()
    kinds[[1, 2]] = Kind.LABEL
    kinds[[3, 4]] = Kind.PEOPLE
    # Networks contradict 1 (people doubt it), 3 (five people confirm it), 4 (people disagree) and 5
    # (people agree on it).
    answer = labels.doubt(kinds, JUDGED, np.array([1, 3, 4, 5]))
    assert answer.indices.tolist() == [1, 2, 4]
    assert answer.reasons == (labels.BY_PEOPLE, labels.BY_PEOPLE, labels.BY_NETWORKS)
    assert (answer.count, answer.by_people, answer.by_networks, answer.trusted) == (3, 2, 1, 2)
    assert answer.sentence == (
        "We call 3 labels in doubt. People doubt 2 of these labels. All good networks contradict the "
        "other 1 label, and people disagree on it. We trust 2 labels that all good networks "
        "contradict and people confirm."
    )


def test_doubt_has_a_sentence_for_each_outcome():
    nobody, none = votes([]), np.empty(0, np.int64)
    assert labels.doubt(CLEAR, nobody, none).sentence == "No label is in doubt."
    kinds = np.full(8, int(Kind.PEOPLE))
    assert labels.doubt(kinds, nobody, np.array([3])).sentence == (
        "We call 1 label in doubt, because all good networks contradict it and people disagree on it."
    )
    kinds = np.where(np.arange(8) == 2, Kind.LABEL, Kind.OTHER)
    assert labels.doubt(kinds, nobody, none).sentence == (
        "We call 1 label in doubt, because people do."
    )


def test_on_the_sample_nothing_is_known_of_people():
    suspects = np.array([5, 9])
    answer = labels.in_doubt(data.load("sample"), suspects)
    assert answer.indices.tolist() == [5, 9]
    assert answer.by_people == 0


def test_the_frog_that_is_labelled_cat_is_in_doubt():
    truth = evidence.test_labels()
    dataset = SimpleNamespace(is_sample=False, test=SimpleNamespace(labels=truth))
    answer = labels.in_doubt(dataset, np.empty(0, np.int64))
    assert data.CLASS_NAMES[truth[2405]] == "cat"
    assert 2405 in answer.indices
    people = labels.of_cifar10(truth)
    assert data.CLASS_NAMES[people.preferred[2405]] == "frog"
    assert people.five == 54


def test_search_beside_peoples_judgement():
    answer = labels.search(np.array([1, 3, 6]), JUDGED, np.array([1, 6, 7]))
    assert answer.doubted == 2
    assert (answer.suspects, answer.judged, answer.confirmed) == (3, 2, 1)
    assert (answer.doubtful, answer.corrected) == (1, 1)
    assert answer.unlisted.tolist() == [6]
    assert answer.missed.tolist() == [2]
    assert (answer.precision, answer.of_candidates, answer.recall) == (50, 50, 50)
    assert answer.precision_low < 50 < answer.precision_high
    assert answer.sentence == (
        "According to at least one of the two sources, people doubt 2 of these labels. Networks that "
        "agree therefore mostly contradict a label that people doubt too. The five people judged 2 "
        "of the suspects and did not confirm 1 of these (50%, 95% interval 9% to 91%, Wilson). They "
        "did not confirm 50% of all candidates. The agreement of networks finds 1 of the 2 labels "
        "that they did not confirm."
    )


@pytest.mark.parametrize(
    ("doubted", "reading"),
    [
        ([0], "Agreement of networks alone therefore does not show a wrong label"),
        ([0, 1], "This is half of the suspects"),
        ([0, 1, 2], "contradict a label that people doubt too"),
    ],
)
def test_search_has_a_sentence_for_each_outcome(doubted, reading):
    answer = labels.search(np.arange(4), JUDGED, np.array(doubted))
    assert f"people doubt {len(doubted)} of these labels." in answer.sentence
    assert reading in answer.sentence


def test_search_without_suspects_or_judged_ones():
    none = np.empty(0, np.int64)
    assert labels.search(none, JUDGED, none).sentence == "There is no suspect."
    answer = labels.search(np.array([7]), JUDGED, none)
    assert answer.sentence.endswith("The five people judged none of the suspects.")
    assert np.isnan(answer.precision)


def test_search_needs_a_doubtful_label():
    with pytest.raises(CifarcamError, match="no label"):
        labels.search(np.array([0]), votes([(0, 5, 0, 0, 0)]), np.array([0]))


def test_networks_that_follow_the_suggested_class():
    seeds = np.array([[0, 1, 1, 0], [1, 1, 0, 0]])
    (one,) = relabelled.followed({"one": seeds}, JUDGED)
    assert (one.corrected.value, one.undecided.value, one.confirmed.value) == (100, 50, 25)
    assert one.difference.value == pytest.approx(75 - 25)  # images: 100 and 50 against 50 and 0
    assert one.difference.over == "test images"
    assert one.by_image.tolist() == [50, 100, 50, 0]
    summary = relabelled.following([one], JUDGED)
    assert (summary.doubtful, summary.corrected, summary.confirmed) == (75, 100, 25)
    assert summary.difference == one.difference
    assert summary.sentence.startswith("We cannot tell whether networks predict")
    with pytest.raises(CifarcamError, match="at least one of each"):
        relabelled.followed({"one": seeds}, votes([(0, 5, 0, 0, 0)]))


def many(doubted, confirmed):
    """A network that gives the suggested class on shares of 40 doubted and 40 confirmed labels."""
    rows = [(k, 0, 5 * (k < 20), 0, 5 * (k >= 20)) for k in range(40)]
    rows += [(40 + k, 5, 0, 0, 0) for k in range(40)]
    seeds = np.zeros((1, 80), int)
    seeds[0, : round(40 * doubted)] = 1
    seeds[0, 40 : 40 + round(40 * confirmed)] = 1
    return seeds, votes(rows)


def test_following_has_a_sentence_for_each_outcome():
    strong, judged = many(0.9, 0.1)
    weak, _ = many(0.5, 0.5)
    more = "On average, the networks predict the suggested class more often"
    for networks, opening, end in (
        ({"a": strong, "b": strong}, more, "Every single network does so"),
        ({"a": strong, "b": weak}, more, "Of the 2 networks, 1 do so measurably"),
        ({"a": weak}, "We cannot tell whether networks predict", "no single network does so"),
        ({"a": many(0.1, 0.9)[0]}, more.replace("more", "less"), "no single network does so"),
    ):
        result = relabelled.following(relabelled.followed(networks, judged), judged)
        assert result.sentence.startswith(opening)
        assert end in result.sentence


def test_the_mean_of_networks_shows_what_no_single_network_shows():
    # Each of eight networks follows on other images: one difference is far more certain than each.
    _, judged = many(0, 0)
    networks = {}
    for k in range(8):
        seeds = np.zeros((1, 80), int)
        seeds[0, (5 * k + np.arange(14)) % 40] = 1
        seeds[0, 40 + (5 * k + np.arange(8)) % 40] = 1
        networks[str(k)] = seeds
    result = relabelled.following(relabelled.followed(networks, judged), judged)
    assert (result.doubtful, result.confirmed, result.beyond) == (35, 20, 0)
    assert result.difference.value == pytest.approx(15)
    assert result.difference.low > 0
    assert "(35% against 20%, difference +15.0 points, 95% interval" in result.sentence
    assert "no single network does so" in result.sentence


def test_following_of_too_few_images():
    judged = votes([(0, 0, 5, 0, 0), (1, 0, 0, 0, 5), (2, 5, 0, 0, 0)])
    networks = relabelled.followed({"a": np.array([[1, 1, 0]])}, judged)
    result = relabelled.following(networks, judged)
    assert result.sentence.startswith("These are too few images to tell")


def test_accuracy_without_doubtful_and_with_corrected_labels():
    truth = np.zeros(4, int)
    seeds = np.array([[0, 1, 0, 0], [0, 1, 1, 1]])
    (one,) = relabelled.rescored({"one": seeds}, truth, JUDGED)
    assert one.accuracy.value == 100 * (3 + 1) / 8
    assert one.without.value == 100 * (2 + 1) / 4  # without images 1 and 2
    assert one.corrected.value == 100 * (4 + 2) / 8  # image 1 is right now
    assert one.gain_without.value == 25
    assert one.gain_corrected.value == 25


def test_rescoring_tells_whether_the_order_changes():
    truth = np.zeros(4, int)
    good, other = np.array([[0, 0, 0, 1]]), np.array([[0, 1, 1, 0]])
    changed = relabelled.rescored({"good": good, "other": other}, truth, JUDGED)
    result = relabelled.rescoring(changed)
    assert not result.same_order
    assert result.sentence.startswith("The labels that the five people did not confirm change")
    assert "the order of the networks" in result.sentence
    assert (result.least, result.most) == (-25, 50)
    same = relabelled.rescoring(changed[:1])
    assert same.same_order
    assert "no network's rank" in same.sentence


def test_predicted_classes_are_stacked_by_seed():
    runs = [
        SimpleNamespace(predictions=np.eye(3)[[0, 2]]),
        SimpleNamespace(predictions=np.eye(3)[[1, 1]]),
    ]
    assert relabelled.predicted_classes({"a": runs})["a"].tolist() == [[0, 2], [1, 1]]
