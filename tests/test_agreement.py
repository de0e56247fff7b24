"""Agreement of seeds, labels in doubt, early stopping, and classes over seeds, by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cifarcam import runs
from cifarcam.errors import CifarcamError
from cifarcam.report import results
from cifarcam.studies import agreement, classes, stopping


def sure(predicted, confidence=0.8, count=3):
    """Probabilities that give each predicted class its confidence."""
    probabilities = np.full((len(predicted), count), (1 - confidence) / (count - 1))
    probabilities[np.arange(len(predicted)), predicted] = confidence
    return probabilities


def test_agreement_and_the_mean_of_the_seeds_by_hand():
    labels = np.array([0, 0, 0, 0])
    seeds = [sure([0, 0, 1, 1]), sure([0, 0, 0, 2]), sure([0, 1, 0, 1])]
    answer = agreement.of_seeds(seeds, labels)
    assert answer.seeds == 3
    # First and second agree on two images, first and third on two, second and third on two.
    assert (answer.share, answer.lowest, answer.highest) == (50, 50, 50)
    assert answer.single == pytest.approx(100 * 7 / 12)
    assert answer.ensemble == pytest.approx(75)  # two of three are right on all but the last
    assert answer.gain.value == pytest.approx(100 * (3 / 4 - 7 / 12))
    assert answer.gain.over == "test images"


def test_mean_of_the_seeds_weighs_their_confidence():
    seeds = [sure([0], 0.9), sure([1], 0.5), sure([1], 0.5)]
    assert agreement.of_seeds(seeds, np.array([0])).ensemble == 100


def test_agreement_has_a_sentence_for_each_outcome():
    labels = np.zeros(60, int)
    wrong = [np.where(np.arange(60) % 3 == seed, 1 + seed % 2, 0) for seed in range(3)]
    gains = agreement.of_seeds([sure(one) for one in wrong], labels).sentence
    assert "raises the accuracy by 33.3 points (100.0% against 66.7%)" in gains
    assert "fewer than a single seed classifies correctly" in gains
    same = agreement.of_seeds([sure(wrong[0])] * 2, labels).sentence
    assert "does not change the accuracy measurably" in same
    assert "although each is right" in same
    bold = [sure(np.zeros(60, int), 0.4), sure(np.where(np.arange(60) < 30, 1, 0), 0.9)]
    assert "lowers the accuracy" in agreement.of_seeds([bold[0], bold[0], bold[1]], labels).sentence
    alone = agreement.of_seeds([sure(wrong[0])], labels)
    assert "single seed" in alone.sentence
    assert math.isnan(alone.share)


@pytest.mark.parametrize("seeds", [[], [sure([0, 1])], [sure([0]), sure([0, 1])]])
def test_agreement_refuses_what_does_not_fit(seeds):
    with pytest.raises(CifarcamError):
        agreement.of_seeds(seeds, np.array([0]))


def test_label_is_contradicted_only_by_all_networks():
    labels = np.array([0, 0, 0, 0])
    predicted = np.array([[0, 1, 1, 1], [0, 1, 2, 1], [0, 1, 1, 0]])
    assert agreement.contradicted_labels(predicted, labels).tolist() == [1]
    assert agreement.contradicted_labels(predicted[:1], labels).tolist() == []
    assert agreement.contradicted_labels(predicted[:0], labels).tolist() == []
    with pytest.raises(CifarcamError, match="networks x N"):
        agreement.contradicted_labels(predicted, labels[:3])


def network(accuracy, predicted, name="one", confidence=0.8):
    return SimpleNamespace(
        metrics={"test": {"accuracy": accuracy}},
        predictions=sure(predicted, confidence),
        experiment=SimpleNamespace(name=name),
    )


def test_suspects_ask_only_good_networks():
    labels = np.array([0, 0])
    weak = network(0.849, [0, 0], "weak")
    good = [network(0.85, [0, 1]), network(0.9, [0, 1], "two")]
    answer = agreement.suspects([weak, *good], labels)
    assert answer.indices.tolist() == [1]
    assert (answer.count, answer.networks) == (1, 2)
    assert answer.sentence.startswith("On 1 test image, all 2 networks")
    assert "Too few" in agreement.suspects([weak, good[0]], labels).sentence
    assert "Too few" in agreement.suspects([], labels).sentence
    none = agreement.suspects([network(0.9, [0, 0], name) for name in "ab"], labels)
    assert none.count == 0
    assert "for no label" in none.sentence


def test_seeds_of_one_experiment_have_one_vote_together():
    labels = np.array([0])
    seeds = [network(0.9, [1], confidence=0.9), network(0.9, [0], confidence=0.5)]
    assert agreement.suspects(seeds, labels).networks == 1
    both = agreement.suspects([*seeds, network(0.9, [1], "two")], labels)
    assert (both.networks, both.count) == (2, 1)


def test_surest_mistakes_tell_whose_label_is_in_doubt():
    labels = np.zeros(4, int)
    probabilities = np.concatenate([sure([1], 0.6), sure([1], 0.9), sure([2], 0.7), sure([0])])
    surest = agreement.surest_mistakes(probabilities, labels, np.array([1]), 2)
    assert surest.indices.tolist() == [1, 2]
    assert surest.doubtful == 1
    assert "1 of the 2 surest has a label in doubt" in surest.sentence
    for doubtful, opening in (([], "None of"), ([1, 2], "All of"), ([0], "None of")):
        answer = agreement.surest_mistakes(probabilities, labels, np.array(doubtful, int), 2)
        assert answer.sentence.startswith(opening)
    right = agreement.surest_mistakes(probabilities[3:], labels[3:], np.array([0]))
    assert "no mistakes" in right.sentence
    titles = results.mistake_titles(surest.indices, labels, probabilities, "xyz", [1])
    assert titles == ["x as y\n90.0%\nlabel in doubt", "x as z\n70.0%"]
    for share, written in ((0.9989, "99.9%"), (0.99985, "99.985%"), (0.999999, "over 99.999%")):
        title = results.mistake_titles(np.array([0]), labels, sure([1], share), "xyz", [])
        assert title == [f"x as y\n{written}"]


def history(loss, seconds=1.0):
    epochs = len(loss)
    return {
        "epoch": np.arange(1, epochs + 1),
        "train_accuracy": np.linspace(0.2, 0.9, epochs),
        "validation_accuracy": np.array([0.3, 0.5, 0.7, 0.6, 0.6][:epochs]),
        "validation_loss": np.array(loss),
        "seconds": np.full(epochs, seconds),
    }


def test_same_training_agrees_up_to_the_stop_except_in_its_seconds():
    full = history([3.0, 2.0, 1.0, 1.5, 2.5])
    stopped = {key: values[:3] for key, values in full.items()} | {"seconds": np.full(3, 9.0)}
    assert stopping.is_same_training(full, stopped)
    assert not stopping.is_same_training(stopped, full)
    changed = stopped | {"validation_loss": np.array([3.0, 2.0, 1.0 + 1e-15])}
    assert not stopping.is_same_training(full, changed)


def test_course_of_the_training_by_hand():
    course = stopping.course(
        [history([3.0, 2.0, 1.0, 1.5, 2.5]), history([3.0, 2.0, 2.0, 1.5, 2.5])]
    )
    assert (course.seeds, course.epochs, course.tail) == (2, 5, 2)
    assert (course.first_validation, course.best_validation, course.best_epoch) == (30, 70, 3)
    assert course.late_mean == pytest.approx(60)
    # The third and the fourth epoch have the same mean; the earlier epoch counts.
    assert (course.lowest_loss, course.lowest_loss_epoch, course.last_loss) == (1.5, 3, 2.5)
    assert "lowest at epoch 3 (1.50 nats) and then rises to 2.50" in course.loss_sentence


@pytest.mark.parametrize(("last", "said"), [(1.11, "then rises"), (1.09, "stays near its lowest")])
def test_loss_rises_when_it_ends_a_tenth_above_its_lowest_value(last, said):
    assert said in stopping.course([history([3.0, 2.0, 1.0, 1.0, last])]).loss_sentence


def finished(accuracy, kept, seconds=1.0):
    return SimpleNamespace(
        metrics={"test": {"accuracy": accuracy}, "train": {"accuracy": 0.9}},
        history=history([3.0, 2.0, 1.0], seconds),
        provenance={"kept_epoch": kept},
    )


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ((0.82, 0.82, 0.83), "Early stopping raises the test accuracy (+2"),
        ((0.78, 0.78, 0.77), "Early stopping lowers the test accuracy (−2"),
        ((0.82, 0.77, 0.80), "does not change the test accuracy measurably"),
        ((0.82,), "With the single seed at hand, early stopping changes the test accuracy by +2.0"),
    ],
)
def test_early_stopping_is_compared_seed_by_seed(after, said):
    full = [finished(accuracy, 3) for accuracy in (0.80, 0.80, 0.80)]
    stopped = [finished(accuracy, 2 + seed, 5.0) for seed, accuracy in enumerate(after)]
    answer = stopping.compare(full, stopped)
    assert said in answer.sentence
    assert answer.effect.count == len(after)
    assert answer.effect.value == pytest.approx(100 * (np.mean(after) - 0.8))
    assert answer.gap.value == pytest.approx(-answer.effect.value)
    assert ("narrows the gap" in answer.gap_sentence) == ("raises" in answer.sentence)
    assert ("widens the gap" in answer.gap_sentence) == ("lowers" in answer.sentence)
    assert answer.same_training
    assert "digit for digit up to the stop" in answer.basis
    kept = "epoch 2." if len(after) == 1 else "an epoch from 2 to 4, depending on the seed."
    assert answer.kept_sentence == f"Early stopping keeps the weights of {kept}"


def test_other_training_is_said_to_be_another():
    other = finished(0.8, 2)
    other.history["validation_loss"] = np.array([3.0, 2.0, 1.1])
    answer = stopping.compare([finished(0.8, 3)], [other])
    assert not answer.same_training
    assert "do not agree digit for digit" in answer.basis


def test_pairs_over_seeds_by_hand():
    one = np.array([[5, 2, 0], [2, 5, 1], [0, 0, 5]])  # a-b has four of five mistakes
    other = np.array([[5, 1, 0], [0, 5, 2], [0, 1, 5]])  # a-b has one of four
    first, second, third = classes.confused_pairs([one, other], "abc")
    assert (first.first, first.second) == ("a", "b")
    assert (first.first_as_second, first.second_as_first) == (1.5, 1.0)
    assert first.share.value == pytest.approx((80 + 25) / 2)
    assert (first.best_rank, first.worst_rank) == (1, 2)
    assert (second.first, second.second, third.share.value) == ("b", "c", 0)
    assert classes.mean_confusion([one, other]).tolist() == [[5, 2, 0], [1, 5, 2], [0, 0, 5]]
    assert results.pair_rows([first])[0][:3] == ["a – b", "2", "1"]
    assert results.pair_rows([first])[0][-1] == "1 to 2"


def test_scores_over_seeds_by_hand():
    def seed(precision):
        score = {"precision": precision, "recall": 0.5, "f1": 0.6}
        return {"per_class": {"a": score | {"support": 7}}, "macro": score, "count": 7}

    first, average = classes.scores([seed(0.7), seed(0.9)])
    assert first.precision.value == pytest.approx(80)
    assert first.recall.low == first.recall.high == 50
    assert (average.name, average.images) == ("macro average", 7)
    assert results.score_rows([first])[0][2:] == ["50.0 [50.0, 50.0]", "60.0 [60.0, 60.0]", "7"]


def test_steadiness_by_hand():
    def seed(precision, recall, f1):
        scores = ("precision", "recall", "f1")
        return {"per_class": {"a": dict(zip(scores, (precision, recall, f1), strict=True))}}

    answer = classes.steadiness([seed(0.5, 0.7, 0.6), seed(0.7, 0.5, 0.6)])
    assert answer.precision == answer.recall == pytest.approx(20 / np.sqrt(2))
    assert answer.f1 == pytest.approx(0)
    assert "varies less" in answer.sentence
    assert "no less" in classes.steadiness([seed(0.5, 0.5, 0.5), seed(0.5, 0.5, 0.6)]).sentence
    assert "single seed" in classes.steadiness([seed(0.5, 0.5, 0.5)]).sentence


def test_mistakes_by_hand():
    labels = np.zeros(4, int)
    probabilities = np.concatenate([sure([1], 0.995), sure([1], 0.99), sure([0], 0.999), sure([2])])
    answer = classes.mistakes(probabilities, labels)
    assert (answer.count, answer.sure, answer.accuracy) == (3, 1, 25)
    assert answer.sure_share == pytest.approx(100 / 3)
    assert classes.mistakes(probabilities[2:3], labels[:1]).sure_share == 0


def test_accuracy_table_ends_with_the_original():
    metrics = {
        key: {"accuracy": 0.5} for key in ("train_kept_logged", "train", "validation", "test")
    }
    rows = results.accuracy_rows({"One": [metrics]})
    assert rows[0] == ["One", *["50.0"] * 4]
    assert [row[0] for row in rows[1:]] == ["Original, epoch 50", "Original, its Table 1"]
    assert all(len(row) == len(results.ACCURACY_HEADER) for row in rows)


def test_committed_runs_stopped_early_are_the_same_training():
    full, stopped = runs.at_hand("baseline"), runs.at_hand("baseline-early-stopping")
    assert len(stopped) >= 3
    assert all(
        stopping.is_same_training(one.history, other.history)
        for one, other in zip(full, stopped, strict=False)
    )
