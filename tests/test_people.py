"""Networks beside people: hand-made cases, the outcomes in words, and the record's facts."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.text import Text
from scipy import stats

from cifarcam import _store, data, figures
from cifarcam.data import evidence
from cifarcam.errors import CifarcamError
from cifarcam.report import people as rows
from cifarcam.studies import (
    confusion_pairs,
    inference,
    people,
    people_findings,
    people_networks,
    people_table,
)

RECORD = _store.find_record("people")


def matrix(*cells):
    """A 3 x 3 matrix of mistakes, cells off the diagonal row by row."""
    off = np.zeros((3, 3))
    off[~np.eye(3, dtype=bool)] = cells
    return off


def test_pairs_take_both_ways_together_in_order():
    assert confusion_pairs.both_ways(matrix(1, 2, 3, 4, 5, 6)).tolist() == [4, 7, 10]


def test_answers_are_summed_by_class():
    shares = np.array([[0.5, 0.5, 0], [1, 0, 0], [0, 0.25, 0.75]])
    summed = confusion_pairs.by_class(shares, np.array([0, 0, 2]))
    assert summed.tolist() == [[1.5, 0.5, 0], [0, 0, 0], [0, 0.25, 0.75]]
    with pytest.raises(CifarcamError, match="give N x C and N"):
        confusion_pairs.by_class(shares, np.array([0, 0]))


def test_mistakes_expected_of_products_are_the_products():
    made = np.outer([1.0, 2, 3, 4], [5.0, 1, 2, 7])
    np.fill_diagonal(made, 100)  # does not count
    expected = confusion_pairs.expected(made)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_allclose(expected[off], made[off], rtol=1e-6)
    assert np.trace(expected) == 0
    np.testing.assert_allclose(confusion_pairs.residuals(made), 0, atol=1e-5)


def test_expected_mistakes_keep_how_often_classes_are_missed_and_answered():
    generator = np.random.default_rng(0)
    made = generator.integers(0, 50, (10, 10)).astype(float)
    np.fill_diagonal(made, 0)
    made[3] = 0  # a class that is never missed
    expected = confusion_pairs.expected(made)
    np.testing.assert_allclose(expected.sum(axis=0), made.sum(axis=0), rtol=1e-6)
    np.testing.assert_allclose(expected.sum(axis=1), made.sum(axis=1), rtol=1e-6, atol=1e-9)
    assert not expected[3].any()


def test_expected_mistakes_of_none_are_none_and_of_no_square_are_refused():
    assert not confusion_pairs.expected(np.zeros((3, 3))).any()
    assert confusion_pairs.residuals(np.zeros((3, 3))).tolist() == [0, 0, 0]
    for wrong in (np.zeros((2, 3)), -np.ones((2, 2)), np.full((2, 2), np.nan)):
        with pytest.raises(CifarcamError, match="give a square"):
            confusion_pairs.expected(wrong)


def test_residuals_are_positive_where_a_pair_is_confused_beyond_its_classes():
    made = np.ones((4, 4))
    made[0, 1] = made[1, 0] = 10
    pairs = confusion_pairs.residuals(made)
    assert pairs[0] > 0  # classes 0 and 1
    assert (pairs[1:5] < 0).all()  # one of the two with another class


def test_rank_correlation_is_that_of_ranks_and_unknown_for_constants():
    assert confusion_pairs.rank_correlation([1, 2, 30], [4, 50, 600]) == pytest.approx(1)
    assert confusion_pairs.rank_correlation([1, 2, 30], [9, 5, 1]) == pytest.approx(-1)
    one, other = np.random.default_rng(0).integers(0, 9, (2, 45))
    expected = stats.spearmanr(one, other).statistic
    assert confusion_pairs.rank_correlation(one, other) == pytest.approx(expected)
    assert math.isnan(confusion_pairs.rank_correlation([1, 1, 1], [1, 2, 3]))
    assert math.isnan(confusion_pairs.rank_correlation([1], [1]))


def test_equal_counts_lower_the_correlation_by_what_chance_takes():
    counts, theirs = np.array([40, 20, 10, 5, 3]), np.array([5.0, 4, 3, 2, 1])
    full = confusion_pairs.at_equal_count(counts, theirs, 78)
    many, few = (confusion_pairs.at_equal_count(counts, theirs, n) for n in (50, 8))
    assert full == pytest.approx(1)
    assert full > many > few > 0.3
    assert few == confusion_pairs.at_equal_count(counts, theirs, 8)
    with pytest.raises(CifarcamError, match="draw at most all"):
        confusion_pairs.at_equal_count(counts, theirs, 79)


def crowd(*answers):
    """People's distributions over three classes."""
    return np.array(answers, float)


def test_standard_error_is_zero_where_every_draw_has_the_same_order():
    # 300 images of class 0 as 1, 30 of class 0 as 2, 3 of 1 as 2, by people and by the network.
    labels = np.repeat([0, 0, 1], [3000, 300, 30])
    predicted = np.repeat([1, 2, 2], [3000, 300, 30])
    shares = np.eye(3)[predicted]
    errors = confusion_pairs.standard_errors({"a": predicted}, shares, labels)
    assert errors == {"a": pytest.approx(0)}
    noisy = np.repeat([1, 2, 2], [3000, 300, 30])
    labels = np.repeat([0, 0, 1], [1110, 1110, 1110])
    shares = np.eye(3)[np.repeat([1, 2, 2], 1110)]
    assert confusion_pairs.standard_errors({"a": noisy}, shares, labels)["a"] > 0.1


def test_network_that_answers_as_people_is_like_them():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 10, 3000)
    odds = np.eye(10) * 20 + generator.random((10, 10)) ** 3
    predicted = np.array([generator.choice(10, p=odds[k] / odds[k].sum()) for k in labels])
    alike = confusion_pairs.likeness(
        {"same": predicted, "other": (labels + 1) % 10}, np.eye(10)[predicted], labels
    )
    assert alike["same"].observed == pytest.approx(1)
    assert alike["same"].beyond == pytest.approx(1)
    assert alike["same"].by_margins < 0.9
    assert alike["other"].observed < 0.7


@pytest.mark.parametrize(
    ("share", "category"),
    [
        (1.0, people_table.UNANIMOUS),
        (62 / 63, people_table.MOST),
        (0.9, people_table.MOST),
        (0.89, people_table.HALF),
        (0.5, people_table.HALF),
        (0.49, people_table.FEWER),
        (0.0, people_table.FEWER),
    ],
)
def test_agreement_has_four_categories(share, category):
    table = crowd([share, 1 - share, 0])
    assert people_table.categories(table, np.array([0])).tolist() == [category]


def test_facts_of_three_images():
    table = crowd([1, 0, 0], [0.5, 0.25, 0.25], [1, 0, 0])
    facts = people_table.facts(table, np.array([0, 1, 1]))
    assert facts.images == 3
    assert facts.label == pytest.approx(100 * (1 + 0.25 + 0) / 3)
    assert facts.majority == pytest.approx(100 / 3)
    assert facts.entropy == pytest.approx((0.5 * math.log(2) + 0.5 * math.log(4)) / 3)
    assert facts.unanimous == pytest.approx(200 / 3)
    assert facts.minority == 2
    assert facts.another == 1
    # Of two answers of one half and two of a quarter each, one of six pairs agrees.
    exact = people_table.facts(table, np.array([0, 1, 1]), answers=4)
    assert exact.pair == pytest.approx(100 * (1 + 1 / 6 + 1) / 3)
    assert exact.pair < facts.pair < 100 * (1 + 0.375 + 1) / 3
    assert facts.by_class == pytest.approx((100, 12.5, 0))
    assert facts.mistakes == pytest.approx((1.5, 0, 0.25))


def test_answers_that_do_not_fit_are_refused():
    labels = np.array([0, 1])
    for wrong, word in (
        (crowd([1, 0, 0]), "labels of shape"),
        (np.empty((0, 3)), "N at least 1"),
        (crowd([1, 0, 0], [0.5, 0, 0]), "do not sum to 1"),
        (crowd([1, 0, 0], [2, -1, 0]), "do not sum to 1"),
    ):
        with pytest.raises(CifarcamError, match=word):
            people_table.facts(wrong, labels[: len(wrong)] if "least" in word else labels)


def test_network_is_judged_by_label_by_majority_and_by_people():
    table = crowd([0.2, 0.8, 0], [0.6, 0.4, 0], [0, 0, 1], [0.3, 0.3, 0.4])
    labels = np.array([0, 0, 2, 1])
    found = people.compare({"a": np.array([1, 0, 2, 0])}, table, labels)["a"]
    assert found.accuracy == 50
    assert found.by_majority == 75
    assert found.by_people == pytest.approx(100 * (0.8 + 0.6 + 1 + 0.3) / 4)
    assert found.mistakes == (2, 0, 0)


def test_cross_entropy_is_lowest_and_the_entropy_where_probabilities_are_people_s():
    table = crowd([0.2, 0.8, 0], [0.6, 0.4, 0])
    lowest = people.cross_entropy(table, table)
    assert lowest == pytest.approx(people_table.entropies(table).mean())
    assert people.cross_entropy(np.full((2, 3), 1 / 3), table) == pytest.approx(math.log(3))
    assert lowest < people.cross_entropy(crowd([0.3, 0.7, 0], [0.6, 0.4, 0]), table)
    assert math.isfinite(people.cross_entropy(crowd([0, 0, 1], [0, 0, 1]), table))


def test_certainty_follows_people_where_the_network_is_less_sure_with_them():
    sure = np.linspace(0.99, 0.45, 20).repeat(2)  # the same in both halves
    probabilities = np.column_stack([sure, 1 - sure, np.zeros(40)])
    labels = np.tile([0, 0, 0, 1], 5).repeat(2)
    found = people.certainty(probabilities, probabilities, labels)
    inside = probabilities[sure > 0.5]
    assert people.certainty(inside, inside, labels[: len(inside)]).entropy == pytest.approx(-1)
    assert found.confidence[-1] is None  # nobody is certain
    assert found.confidence[0] is None  # one of two classes always has half
    assert 50 < found.confidence[1] < found.confidence[5]
    assert found.loss == pytest.approx(people_table.entropies(probabilities).mean())
    assert found.temperature > 0


def test_how_sure_a_network_is_does_not_depend_on_its_temperature():
    generator = np.random.default_rng(0)
    one = generator.dirichlet([4, 1, 1], 4000)
    labels = np.array([generator.choice(3, p=row) for row in one])
    sharp = one**3 / (one**3).sum(axis=1, keepdims=True)
    first, second = (people.certainty(p, one, labels) for p in (one, sharp))
    assert second.temperature == pytest.approx(3 * first.temperature, rel=1e-4)
    assert second.entropy == pytest.approx(first.entropy, abs=1e-4)
    assert second.confidence[:-1] == pytest.approx(first.confidence[:-1], abs=0.01)
    assert second.loss > first.loss


@pytest.mark.parametrize(
    ("largest", "place"), [(0.49, 0), (0.5, 1), (0.6, 2), (0.89, 4), (0.9, 5), (62 / 63, 5), (1, 6)]
)
def test_bins_of_agreement_hold_their_lower_edge(largest, place):
    rest = (1 - largest) / 2
    assert people_table.agreement_bins(crowd([rest, largest, rest])).tolist() == [place]


def test_images_easy_for_one_and_hard_for_the_other():
    table = crowd([1, 0, 0], [1, 0, 0], [0.9, 0.1, 0], [0.4, 0.6, 0], [0.4, 0.6, 0], [0.5, 0.5, 0])
    labels = np.zeros(6, int)
    votes = np.array([[1, 1, 1, 0, 0, 0], [2, 0, 1, 0, 1, 0]])
    assert people.easy_for_people(votes, table, labels).tolist() == [0]
    assert people.easy_for_networks(votes, table, labels).tolist() == [3]
    for search in (people.easy_for_people, people.easy_for_networks):
        assert search(votes[:0], table, labels).tolist() == []


def run(name, accuracy, probabilities):
    return SimpleNamespace(
        experiment=SimpleNamespace(name=name),
        metrics={"test": {"accuracy": accuracy}},
        predictions=np.array(probabilities),
    )


def test_good_networks_have_one_vote_an_experiment():
    votes = people.good_votes(
        [
            run("a", 0.84, [[0.6, 0.4]]),
            run("a", 0.86, [[0.1, 0.9]]),
            run("b", 0.849, [[0.9, 0.1]]),
        ]
    )
    assert {name: vote.tolist() for name, vote in votes.items()} == {"a": [1]}


def test_agreement_and_majority_are_read_from_the_record():
    record = {"agreement": "0132", "majority": {"2": 7}}
    assert people.agreement(record).tolist() == [0, 1, 3, 2]
    labels = np.array([4, 4, 4, 4])
    assert people.majority(record, labels).tolist() == [4, 4, 7, 4]
    assert labels.tolist() == [4, 4, 4, 4]


def answers(accuracy=90.0, observed=0.9, by_margins=0.4, error=0.02, mistakes=None):
    return {
        "accuracy": accuracy,
        "by_majority": accuracy - 0.1,
        "by_people": accuracy - 3,
        "mistakes": list(range(45)) if mistakes is None else mistakes,
        "likeness": {
            "observed": observed,
            "by_margins": by_margins,
            "beyond": observed - 0.1,
            "equal": observed - 0.05,
            "error": error,
        },
    }


def certainty(loss=0.5, scaled=0.4, entropy=-0.2, confidence=(70.0,) * 6 + (90.0,)):
    return {
        "loss": loss,
        "loss_scaled": scaled,
        "temperature": 1.2,
        "entropy": entropy,
        "entropy_right": entropy / 2,
        "confidence": list(confidence),
        "right": [50.0] * 6 + [95.0],
    }


def record(*entries, published=None, **others):
    return {
        "facts": {
            "images": 10_000,
            "label": 95.0,
            "majority": 99.0,
            "entropy": 0.15,
            "unanimous": 44.0,
            "minority": 12,
            "another": 1,
            "pair": 92.0,
            "by_class": [95.0, 97, 94, 91, 90, 95, 96, 98, 97, 96],
            "mistakes": [float(k) for k in range(45)],
        },
        "bins": {"count": [1] * 7, "share": [45.0, 55, 65, 75, 85, 95, 100]},
        "runs": [
            {"experiment": name, "seed": seed, "answers": one, "certainty": sure}
            for name, seed, one, sure in entries
        ],
        "published": published
        or {str(k): answers(80.0 + k, 0.9 + 0.01 * (k % 3)) for k in range(6)},
        "good": ["a", "b"],
        "easy_for_people": [1, 2],
        "easy_for_networks": [3],
        **others,
    }


def two_networks(**best):
    return record(
        ("baseline", 0, answers(72.0), certainty()),
        ("resnet18-long", 0, answers(**{"accuracy": 94.8, **best}), certainty()),
        ("resnet18-long", 1, answers(**{"accuracy": 95.2, **best}), certainty()),
        ("unknown", 0, answers(99.0), certainty()),
    )


def test_networks_are_ordered_by_accuracy_with_means_over_seeds():
    made = two_networks()
    first, second = people_networks.of_record(made)
    assert (first.name, second.name) == ("ResNet-18", "baseline")
    assert first.accuracy.value == pytest.approx(95)
    assert first.accuracy.count == 2
    assert first.seeds == pytest.approx(1)
    assert math.isnan(second.seeds)
    assert first.confidence.tolist() == [70] * 6 + [90]


def test_empty_bins_are_unknown():
    empty = certainty(confidence=(None,) * 6 + (90.0,))
    (only,) = people_networks.of_record(record(("baseline", 0, answers(), empty)))
    assert np.isnan(only.confidence).sum() == 6


def test_table_names_classes_and_pairs():
    table = people_networks.table(record())
    assert (table.lowest, table.second, table.highest) == ("deer", "cat", "horse")
    assert table.confused == ("ship and truck, horse and truck, horse and ship, and frog and truck")


@pytest.mark.parametrize(
    ("accuracies", "words"),
    [
        ((94.8, 95.2), "gives the label about as often as a single person"),
        ((95.9, 96.0), "gives the label more often than a single person"),
        ((94.0, 94.1), "gives the label less often than a single person"),
        ((94.9,), "gives the label less often than a single person"),
    ],
)
def test_score_compares_the_best_network_with_a_person(accuracies, words):
    made = record(
        *(("resnet18-long", k, answers(one), certainty()) for k, one in enumerate(accuracies))
    )
    found = people_findings.score(people_networks.of_record(made), made)
    assert words in found.sentence
    assert "nan" not in found.sentence


@pytest.mark.parametrize(
    ("best", "other", "words"),
    [
        (0.4, 0.4, "brings every network closer to people"),
        (0.5, 0.5, "brings no network closer to people"),
        (0.6, 0.6, "brings no network closer to people"),
        (0.4, 0.6, "1 of 2 networks closer to people, among them the most accurate network."),
        (0.6, 0.4, "1 of 2 networks closer to people, but not the most accurate network."),
    ],
)
def test_temperature_has_a_sentence_for_each_outcome(best, other, words):
    made = record(
        ("resnet18-long", 0, answers(95), certainty(0.5, best)),
        ("baseline", 0, answers(72), certainty(0.5, other)),
    )
    found = people_findings.score(people_networks.of_record(made), made)
    assert words in found.loss_sentence


@pytest.mark.parametrize(
    ("closer", "words"),
    [
        ("001", "1 of 3 networks closer to people, but not the two most accurate networks."),
        ("010", "1 of 3 networks closer to people, but not the most accurate network."),
        ("011", "2 of 3 networks closer to people, but not the most accurate network."),
        ("0000001", "1 of 7 networks closer to people, but not the 6 most accurate networks."),
    ],
)
def test_temperature_names_the_most_accurate_networks_that_it_does_not_help(closer, words):
    found = [
        SimpleNamespace(
            loss=SimpleNamespace(value=0.5), loss_scaled=SimpleNamespace(value=0.5 - int(one))
        )
        for one in closer
    ]
    assert people_findings._loss_sentence(found).endswith(words)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (0.9, 0.9, "Every network confuses the classes that people confuse"),
        (0.9, 0.41, "Of the 2 networks, 1 confuse the classes that people confuse"),
        (0.41, 0.43, "no more than their classes explain"),
    ],
)
def test_confusion_is_compared_with_what_the_classes_alone_give(first, second, words):
    made = record(
        ("resnet18-long", 0, answers(95, first), certainty()),
        ("baseline", 0, answers(72, second), certainty()),
    )
    found = people_findings.confusion(people_networks.of_record(made), made)
    assert words in found.sentence
    assert found.lowest == min(first, second)
    assert found.highest == max(first, second)
    assert found.published == 6


def effect(low, high):
    value = (low + high) / 2
    return inference.Effect(value, low, high, "rank correlation", "networks", 30, "p", 0.01)


@pytest.mark.parametrize(
    ("plain", "equal", "words"),
    [
        (
            effect(-0.8, -0.4),
            effect(0.2, 0.8),
            "with equally many mistakes of each network, they are more",
        ),
        (effect(-0.8, -0.4), effect(-0.2, 0.4), "no difference remains beyond chance (0.10)"),
        (effect(-0.8, -0.4), effect(-0.6, -0.2), "are less like people (rank correlation −0.40)"),
        (effect(-0.1, 0.5), effect(0.2, 0.8), "are more like people (rank correlation 0.50)"),
        (effect(0.1, 0.5), effect(-0.2, 0.4), "does not tell how much the network is like people"),
    ],
)
def test_accuracy_and_likeness_have_a_sentence_for_each_outcome(plain, equal, words):
    assert words in people_findings._accuracy_sentence(plain, equal)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (-0.49, -0.1, "Every network tends to be less sure where people disagree, but the link is"),
        (-0.51, -0.1, "Every network tends to be less sure where people disagree: the rank"),
        (
            -0.3,
            -0.0195,
            "Of the 2 networks, 1 tend to be less sure where people disagree: the rank",
        ),
        (0.1, -0.0195, "No network is measurably less sure"),
    ],
)
def test_sureness_has_a_sentence_for_each_outcome(first, second, words):
    made = record(
        ("resnet18-long", 0, answers(95), certainty(entropy=first)),
        ("baseline", 0, answers(72), certainty(entropy=second)),
    )
    found = people_findings.sureness(people_networks.of_record(made), made)
    assert words in found.sentence
    assert found.weakest == max(first, second)
    assert (found.agreed, found.disputed) == (90, 70)
    assert (found.agreed_right, found.disputed_right) == (95, 50)
    assert "From agreed to disputed images, its accuracy falls further" in found.fall_sentence
    assert "than its probability (45 and 20 points)" in found.fall_sentence


def test_accuracy_on_disputed_images_has_an_interval_over_them():
    made = two_networks()
    made["bins"]["count"][0] = 70
    found = people_findings.sureness(people_networks.of_record(made), made)
    # Newcombe (1998), method 3: 35 of 70.
    assert (found.disputed_low, found.disputed_high) == pytest.approx((38.6, 61.4), abs=0.05)
    made["bins"]["count"][0] = 0
    found = people_findings.sureness(people_networks.of_record(made), made)
    assert math.isnan(found.disputed_low)


def test_fall_has_a_sentence_for_each_outcome():
    assert "no further than its probability (10 and 20" in people_findings._fall_sentence(10, 20)
    assert "too few images" in people_findings._fall_sentence(math.nan, 20)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "2 networks are that accurate. 2 images follow the first rule, and 1 image"),
        ({"good": ["a"], "easy_for_people": [5]}, "One network is that accurate. 1 image follows "),
        (
            {"easy_for_networks": []},
            "2 images follow the first rule, and no image follows the second rule.",
        ),
        ({"easy_for_people": []}, "No image follows the first rule, and 1 image follows the sec"),
        ({"easy_for_people": [], "easy_for_networks": []}, "No image follows either rule."),
        ({"good": []}, "No network at hand is that accurate"),
    ],
)
def test_lists_have_a_sentence_for_each_outcome(changes, words):
    assert words in people_networks.lists(record(**changes)).sentence


def test_lists_count_labels_in_doubt():
    votes = evidence.label_votes()
    doubtful, confirmed = votes.images[votes.doubtful][0], votes.images[votes.confirmed][0]
    made = record(easy_for_people=[int(doubtful)], easy_for_networks=[int(confirmed)])
    assert people_networks.lists(made).doubtful == 1


def test_tables_have_a_row_for_each_network():
    found = people_networks.of_record(two_networks())
    scores, confusions = rows.score_rows(found), rows.confusion_rows(found)
    assert {len(row) for row in scores} == {len(rows.SCORE_HEADER)}
    assert {len(row) for row in confusions} == {len(rows.CONFUSION_HEADER)}
    assert [row[0] for row in scores] == ["ResNet-18", "Baseline"]
    assert confusions[0][1:] == ["0.90 ± 0.02", "0.40", "0.80", "0.85", "1.00"]
    assert confusions[1][-1] == "–"


def test_figures_take_what_the_report_prepares():
    made = two_networks()
    found = people_networks.of_record(made)
    drawn = [
        figures.confusions_beside_people(
            **rows.confusion_points(found, made, ("ResNet-18", "baseline"))
        ),
        figures.likeness_by_accuracy(**rows.likeness_points(found, made)),
        figures.sureness_by_agreement(**rows.sureness_points(found, made)),
    ]
    for figure in drawn:
        figure.canvas.draw()
        texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
        assert min(text.get_fontsize() for text in texts) >= 8
        assert figure.get_figwidth() <= 6.5
    assert "Ship – truck".lower() in {text.get_text() for text in drawn[0].findobj(Text)}
    places = np.concatenate([one.get_offsets() for one in drawn[1].axes[0].collections])
    assert [95.0, 0.9] in places.round(6).tolist()
    line = drawn[2].axes[1].get_lines()[1]
    assert line.get_ydata().tolist() == [50] * 6 + [95]


def test_figures_refuse_numbers_that_do_not_match():
    ones = np.ones(3)
    with pytest.raises(CifarcamError, match="each pair"):
        figures.confusions_beside_people(ones, {"a": np.ones(2)}, ["a", "b", "c"])
    with pytest.raises(CifarcamError, match="at most three"):
        figures.likeness_by_accuracy(ones, dict.fromkeys("abcd", ones), ones)
    with pytest.raises(CifarcamError, match="each network"):
        figures.likeness_by_accuracy(ones, {"a": np.ones(2)}, ones)
    with pytest.raises(CifarcamError, match="each bin"):
        figures.sureness_by_agreement(ones, {"a": np.ones(2)}, {})


def test_pictures_are_explained_for_the_predicted_class_and_named(monkeypatch):
    images = np.zeros((4, 32, 32, 3), np.uint8)
    dataset = SimpleNamespace(
        test=SimpleNamespace(images=images, labels=np.array([0, 1, 2, 3])), is_sample=False
    )
    network = SimpleNamespace(predictions=np.eye(10)[[0, 1, 5, 3]], has_weights=True)
    judged = {"agreement": "0030", "majority": {"2": 7}}
    asked = []

    def gradcam(pictures, targets):
        asked.append(targets.tolist())
        return np.ones(pictures.shape[:3], np.float32)

    shown = rows.explained(gradcam, [1, 2], network, dataset, judged)
    assert asked == [[1, 5]]
    assert shown[2] == ["1, label: automobile", "2, label: bird, network: dog, people: horse"]
    assert figures.heatmaps(*shown, columns=3)
    nothing = rows.explained(None, [1, 2], network, dataset, judged)
    assert len(nothing[0]) == len(nothing[1]) == len(nothing[2]) == 0
    assert len(rows.explained(gradcam, [], network, dataset, judged)[0]) == 0
    many = rows.explained(gradcam, [1] * 20, network, dataset, judged)
    assert len(many[0]) == rows.MOST


@pytest.mark.parametrize(
    ("is_sample", "has_weights", "words"),
    [(True, True, "small sample"), (False, False, "weights are not at hand")],
)
def test_why_there_are_no_pictures_is_said_in_a_sentence(
    is_sample, has_weights, words, monkeypatch
):
    said = []
    monkeypatch.setattr(rows, "display", lambda shown: said.append(shown.data))
    network = SimpleNamespace(has_weights=has_weights)
    assert rows.explainer(network, SimpleNamespace(is_sample=is_sample)) is None
    assert words in said[0]


@pytest.mark.skipif(RECORD is None, reason="no record of people")
def test_record_holds_the_published_facts_and_no_answer_of_a_single_image():
    stored = _store.read_record(RECORD)
    facts, table = stored["facts"], people_networks.table(stored)
    # Peterson et al. (2019); recomputed from the published table.
    assert facts["images"] == 10_000
    assert facts["label"] == pytest.approx(95.23, abs=0.005)
    assert facts["majority"] == pytest.approx(99.21, abs=0.005)
    assert facts["entropy"] == pytest.approx(0.154, abs=0.0005)
    assert facts["unanimous"] == pytest.approx(43.9, abs=0.05)
    assert facts["minority"] == 122
    assert (table.lowest, table.second, table.highest) == ("deer", "cat", "horse")
    assert table.lowest_share == pytest.approx(90.5, abs=0.05)
    assert table.second_share == pytest.approx(91.5, abs=0.05)
    assert table.highest_share == pytest.approx(97.9, abs=0.05)
    assert table.confused == (
        "cat and dog, deer and horse, automobile and truck, and airplane and ship"
    )
    assert "CC BY-NC-SA 4.0" in stored["source"]
    assert RECORD.stat().st_size < 300_000


@pytest.mark.skipif(RECORD is None, reason="no record of people")
def test_record_s_categories_and_majority_agree_with_its_facts():
    stored = _store.read_record(RECORD)
    labels, categories = evidence.test_labels(), people.agreement(stored)
    majority = people.majority(stored, labels)
    assert categories.shape == (10_000,)
    assert (categories == people_table.FEWER).sum() == stored["facts"]["minority"]
    assert 100 * (majority == labels).mean() == pytest.approx(stored["facts"]["majority"])
    # Where most people choose another class, the label has half of them at most.
    assert (categories[majority != labels] >= people_table.HALF).all()
    assert data.CLASS_NAMES[majority[2405]] == "frog"  # labelled a cat
    assert labels[2405] == 3


@pytest.mark.skipif(RECORD is None, reason="no record of people")
def test_record_s_networks_are_as_accurate_as_their_predictions():
    stored = _store.read_record(RECORD)
    labels = evidence.test_labels()
    for name, predicted in evidence.published_predictions().items():
        entry = stored["published"][name]
        assert entry["accuracy"] == pytest.approx(100 * (predicted == labels).mean())
        assert sum(entry["mistakes"]) == (predicted != labels).sum()
    assert len(people_networks.of_record(stored)) == len(people_networks.NETWORKS)
