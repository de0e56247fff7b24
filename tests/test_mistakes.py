"""Mistakes sorted by whose they are, sure mistakes, and their figures, by hand."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cifarcam import figures
from cifarcam.data import CLASS_NAMES, evidence
from cifarcam.data.evidence import LabelVotes
from cifarcam.errors import CifarcamError
from cifarcam.figures.mistakes import PictureGroup
from cifarcam.report import mistakes as rows
from cifarcam.studies import agreement, answer, labels, mistakes, relabelled, sure
from cifarcam.studies.inference import Effect
from cifarcam.studies.mistakes import RIGHT, Kind

CAT, DOG, DEER, FROG = (CLASS_NAMES.index(name) for name in ("cat", "dog", "deer", "frog"))
# Five people do not confirm image 0 (corrected to frog) nor image 1 (no majority); they confirm 2.
VOTES = LabelVotes(
    np.array([0, 1, 2]),
    np.full(3, CAT),
    np.full(3, FROG),
    np.array([0, 2, 5]),
    np.array([5, 2, 0]),
    np.array([0, 1, 0]),
    np.array([0, 0, 0]),
)
TRUTH = np.full(7, CAT)
#                       corrected undecided majority 89%  90%  all
AGREEMENT = np.array([3, 0, 0, 3, 2, 1, 0])
MAJORITY = np.array([FROG, CAT, CAT, DOG, CAT, CAT, -1])
PEOPLE = mistakes.evidence_of(VOTES, TRUTH, AGREEMENT, MAJORITY)


def test_images_are_sorted_by_what_people_say():
    label, disagree, other = Kind.LABEL, Kind.PEOPLE, Kind.OTHER
    assert PEOPLE.kinds.tolist() == [label, label, other, label, disagree, other, other]
    assert PEOPLE.preferred.tolist() == [FROG, -1, -1, DOG, -1, -1, -1]
    assert PEOPLE.doubted.tolist() == [0, 1, 3]
    assert (PEOPLE.five, PEOPLE.many, PEOPLE.both, PEOPLE.either) == (2, 2, 1, 3)
    assert PEOPLE.disagree == 1
    assert (PEOPLE.judged_both, PEOPLE.undecided) == (1, 1)  # image 0, not 3; image 1
    assert "mostly doubt the same labels (2 and 2 labels, 1 of them the same)" in PEOPLE.sentence


@pytest.mark.parametrize(("cut", "disagree"), [(1, [4, 5]), (2, [4]), (3, [])])
def test_people_disagree_from_a_category_on(cut, disagree):
    other = mistakes.recut(PEOPLE, cut)
    assert np.flatnonzero(other.kinds == Kind.PEOPLE).tolist() == disagree
    assert other.disagree == len(disagree)
    assert other.doubted.tolist() == PEOPLE.doubted.tolist()
    assert mistakes.recut(other, mistakes.DISAGREE).kinds.tolist() == PEOPLE.kinds.tolist()


def test_sources_have_a_sentence_for_each_outcome():
    calm = np.zeros(7, int)
    apart = mistakes.evidence_of(VOTES, TRUTH, calm, np.where(np.arange(7) > 3, DOG, CAT))
    assert "mostly doubt different labels (2 and 3 labels, 0 of them" in apart.sentence
    assert apart.sentence.endswith("judged none of the labels that the fifty people doubt.")
    nobody = LabelVotes(*np.empty((7, 0), np.int64))
    none = mistakes.evidence_of(nobody, TRUTH, calm, TRUTH)
    assert none.sentence == "No label is in doubt according to either source."
    five = mistakes.evidence_of(VOTES, TRUTH, calm, TRUTH)
    assert five.sentence == "The fifty people doubt no label."
    many = mistakes.evidence_of(nobody, TRUTH, calm, MAJORITY)
    assert many.sentence == "The five people confirmed every label that they judged."
    with pytest.raises(CifarcamError, match="give N of each"):
        mistakes.evidence_of(VOTES, TRUTH, calm[:3], TRUTH)


@pytest.mark.parametrize(
    ("fifty", "words"),
    [
        (
            [2],
            "The five people judged only one label that the fifty people doubt, and confirmed it.",
        ),
        ([2, 5], "judged only one label that the fifty people doubt, and confirmed it."),
        ([2, 6, 7, 8], "judged only one label that the fifty people doubt, and confirmed it."),
        (
            [0, 7, 8, 9],
            "judged only one label that the fifty people doubt, and did not confirm it.",
        ),
        ([0, 2, 7, 8], "and did not confirm 1 of these 2 labels. The fifty people saw all images."),
        (
            [0, 2, 3],
            "judged all 3 labels that the fifty people doubt, and did not confirm 1 of these",
        ),
    ],
)
def test_sources_that_differ_tell_how_many_labels_both_judged(fifty, words):
    # Five people judge images 0 to 4 and 10, and confirm the labels of 2 and 3 only.
    judged = np.array([0, 1, 2, 3, 4, 10])
    confirm = np.isin(judged, [2, 3])
    votes = LabelVotes(
        judged,
        np.full(6, CAT),
        np.full(6, FROG),
        np.where(confirm, 5, 0),
        np.where(confirm, 0, 5),
        np.zeros(6, int),
        np.zeros(6, int),
    )
    truth, majority = np.full(11, CAT), np.full(11, CAT)
    majority[fifty] = DOG
    people = mistakes.evidence_of(votes, truth, np.zeros(11, int), majority)
    assert people.judged_both == np.isin(fifty, judged).sum()
    assert words in people.sentence
    assert "generous" not in people.sentence


def test_each_mistake_has_the_first_kind_that_fits():
    predicted = np.array([[DOG] * 7, [DEER] * 7, [CAT] * 7])
    kinds = mistakes.kinds_of(predicted, TRUTH, PEOPLE.kinds)
    label, disagree, alike, other = Kind
    assert kinds[0].tolist() == [label, label, alike, label, disagree, alike, alike]
    assert kinds[1].tolist() == [label, label, other, label, disagree, other, other]
    assert kinds[2].tolist() == [RIGHT] * 7


def test_look_alike_classes_are_the_four_pairs_in_both_directions():
    every = np.arange(10)
    kinds = mistakes.kinds_of(
        np.tile(every, (10, 1)).T, every, np.full(10, int(Kind.OTHER))
    )  # predicted x label
    found = {(CLASS_NAMES[j], CLASS_NAMES[i]) for i, j in np.argwhere(kinds == Kind.LOOKALIKE)}
    assert found == {*mistakes.LOOKALIKES, *(pair[::-1] for pair in mistakes.LOOKALIKES)}


def test_shares_by_chance():
    # Three of seven labels in doubt, one disagreement; of the other three cats one wrong class in
    # nine is a dog.
    chance = mistakes.by_chance(TRUTH, PEOPLE.kinds)
    assert chance == pytest.approx([300 / 7, 100 / 7, 300 / 63, 100 * (3 / 7) * 8 / 9])
    frogs = mistakes.by_chance(np.full(7, FROG), PEOPLE.kinds)  # no look-alike class
    assert frogs[Kind.LOOKALIKE] == 0
    assert frogs.sum() == pytest.approx(100)


def test_mistakes_of_networks_are_sorted():
    seeds = np.array([[FROG, CAT, DOG, CAT, DEER, CAT, DEER], [DEER, CAT, DOG, CAT, CAT, CAT, CAT]])
    worse = np.array([[DEER] * 7])
    first, second = mistakes.sort({"good": seeds, "worse": worse}, TRUTH, PEOPLE)
    assert (first.name, second.name) == ("worse", "good")
    assert (second.accuracy, second.mistakes) == (pytest.approx(100 * 8 / 14), 3)
    assert second.counts == (1, 0.5, 1, 0.5)
    assert [effect.value for effect in second.shares] == pytest.approx(
        [100 * k / 6 for k in (2, 1, 2, 1)]
    )
    assert second.own.value == pytest.approx(50)
    assert second.preferred == 50  # frog for image 0 with the first seed only
    assert first.preferred == 0  # deer for images 0 and 3, where people prefer frog and dog
    undecided = np.array([[CAT, FROG, CAT, CAT, CAT, CAT, CAT]])
    (alone,) = mistakes.sort({"undecided": undecided}, TRUTH, PEOPLE)
    assert math.isnan(alone.preferred)  # of image 1, people prefer no class
    (both,) = mistakes.sort({"both": np.array([[FROG, FROG, *[CAT] * 5]])}, TRUTH, PEOPLE)
    assert both.preferred == 100
    # Seeds have a share of 1/4 and 1/2 of the label.
    assert second.deviations[Kind.LABEL] == pytest.approx(25 / math.sqrt(2))
    assert math.isnan(first.deviations[0])
    assert all(effect.over == "test images" for effect in (*second.shares, second.own))
    with pytest.raises(CifarcamError, match="perfect makes no mistakes"):
        mistakes.sort({"perfect": TRUTH[np.newaxis]}, TRUTH, PEOPLE)


def test_interval_over_images_is_that_of_a_proportion_for_one_seed():
    count = 400
    people = SimpleNamespace(
        kinds=np.where(np.arange(count) < 100, Kind.LABEL, Kind.OTHER), preferred=np.full(count, -1)
    )
    (one,) = mistakes.sort({"a": np.full((1, count), FROG)}, np.full(count, CAT), people)
    half = 1.959964 * math.sqrt(0.25 * 0.75 / count)
    effect = one.shares[Kind.LABEL]
    assert (effect.low, effect.high) == pytest.approx((25 - 100 * half, 25 + 100 * half))
    assert math.isnan(one.preferred)


def network(name, accuracy, label, own, half=1.0, mistakes_=10.0, doubtful=1.0):
    def effect(value):
        return Effect(value, value - half, value + half, "%", "test images", 100, "x")

    shares = (effect(label), effect(100 - label - own), effect(own), effect(0.0))
    return mistakes.Sorted(
        name,
        accuracy,
        mistakes_,
        (doubtful, 2, 3, 4),
        shares,
        (1.0, 2.0, 3.0, math.nan),
        effect(own),
        40.0,
    )


CHANCE = np.array([1.0, 10.0, 8.0, 81.0])


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ((80, 70, 52), "most mistakes of every network are its own (52% to 80%, depending"),
        ((80, 70, 50.5), "In 2 of our 3 networks, most mistakes are the network's own (70% to 80%"),
        (
            (80, 70, 50.5),
            "About half of the mistakes of the most accurate network, the 2, are its own (50%, 95%",
        ),
        (
            (80, 70, 40),
            "Fewer than half of the mistakes of the most accurate network, the 2, are its own",
        ),
        ((80, 50, 60), "The most accurate network, the 2, is among them (60%"),
        ((50, 50, 60), "(60%). This is the most accurate network, the 2 (60%"),
        ((80, 50, 50), "In one of our 3 networks, most mistakes are the network's own (80%)."),
        (
            (50, 50, 50.5),
            "None of our 3 networks has a share of own mistakes measurably above half (50%",
        ),
        ((48, 45, 40), "fewer than half of the mistakes of every network are its own (40% to 48%"),
    ],
)
def test_answer_has_a_sentence_for_each_outcome(own, words):
    networks = [network(str(k), 80 + k, 5 + k, share) for k, share in enumerate(own)]
    result = answer.answer(networks, CHANCE, [])
    assert words in result.sentence
    assert result.sentence.startswith(
        "We call a mistake the network's own if people do not doubt the label and at least nine in "
    )
    assert (result.weakest, result.best) == ("0", "2")
    assert (result.weakest_label, result.best_label, result.label_ratio) == (5, 7, 7)
    assert result.people_ratio == pytest.approx((100 - 7 - own[-1]) / 10)


def test_trend_with_accuracy_and_published_networks():
    up = [network(str(k), 80 + k, 5 + k, 60) for k in range(6)]
    others = [network("p", 97, 20, 40), network("q", 96, 19, 49.5)]
    result = answer.answer(up, CHANCE, others)
    assert "networks have a larger share of mistakes whose label is in doubt" in result.trend
    assert "over our 6 networks and 2 published networks, where 1 would be the same" in result.trend
    assert (result.others, result.others_below_half) == (2, 1)
    assert result.further.startswith("One of the 2 published networks has a share")
    assert "a small difference between two very accurate networks" in result.further
    two = answer.answer(up, CHANCE, [others[0], network("q", 96, 19, 48)])
    assert two.further.startswith("Among the 2 published networks, 2 have a share")
    down = [network(str(k), 80 + k, 20 - k, 60) for k in range(6)]
    assert "a smaller share" in answer.answer(down, CHANCE, []).trend
    assert "over our 6 networks, where 1" in answer.answer(down, CHANCE, []).trend
    wild = [network(str(k), 80 + k, label, 60) for k, label in enumerate((5, 9, 4, 8))]
    result = answer.answer(wild, CHANCE, others[1:])
    assert "does not change measurably" in result.trend
    assert result.further.startswith("No published network has a share of own mistakes measurably")
    assert "therefore" not in result.further
    assert "at hand" in answer.answer(wild, CHANCE, []).further
    with pytest.raises(CifarcamError, match="at least one"):
        answer.answer([], CHANCE, others)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (
            (80, 60),
            "falls from 80 to 60, but more slowly than the number of all mistakes (from",
        ),
        ((80, 40), "falls from 80 to 40, no more slowly than the number of all mistakes"),
        ((80, 30), "falls from 80 to 30, no more slowly"),
        ((80, 80), "goes from 80 to 80, and the number of all mistakes goes from 2,000 to"),
    ],
)
def test_trend_gives_the_numbers_behind_the_shares(counts, words):
    whole = (2000, 1500, 1000)
    networks = [
        network(str(k), 80 + k, 5 + k, 60, mistakes_=whole[k], doubtful=one)
        for k, one in enumerate((counts[0], 70, counts[1]))
    ]
    assert words in answer.answer(networks, CHANCE, []).trend


def test_threshold_of_disagreement_matters_or_does_not():
    count = 400
    agreement = np.repeat([0, 1, 2, 3], count // 4)
    nobody = LabelVotes(*np.empty((7, 0), np.int64))
    truth = np.full(count, CAT)
    people = mistakes.evidence_of(nobody, truth, agreement, truth)
    wrong, weak = np.full((1, count), FROG), np.full((1, count), FROG)
    wrong[0, :4] = CAT  # the most accurate network, of 396 mistakes
    result = answer.thresholds({"best": wrong, "weak": weak}, truth, people)
    values = [one.value for one in (result.strict, result.printed, result.lenient)]
    assert values == pytest.approx([100 * k / 396 for k in (96, 196, 296)])
    assert result.sentence == (
        "The threshold matters. With nine in ten people, 49% of the mistakes of the best are its own. "
        "If we spoke of disagreement as soon as one person gave another class, the share would be "
        "24%. If we spoke of disagreement only where fewer than half of people gave the label, the "
        "share would be 75%."
    )
    calm = mistakes.evidence_of(nobody, truth, np.zeros(count, int), truth)
    little = answer.thresholds({"best": wrong}, truth, calm).sentence
    assert little.startswith("The threshold matters little: between 100% and 100% of the mistakes")
    with pytest.raises(CifarcamError, match="at least one"):
        answer.thresholds({}, truth, people)


def run(name, probabilities):
    settings = SimpleNamespace(name=name, training=SimpleNamespace(seed=0))
    return SimpleNamespace(name=name, experiment=settings, predictions=np.array([probabilities]))


def test_confidence_is_scaled_by_the_temperature_of_the_run():
    temperature = SimpleNamespace(experiment="a", seed=0, temperature=0.5)
    found = sure.confidences({"one": [run("a", [0.75, 0.25])]}, [temperature])
    assert found["one"] == pytest.approx(np.array([[0.9]]))  # 9 to 1 from 3 to 1, squared
    with pytest.raises(CifarcamError, match="cifarcam measure calibration"):
        sure.confidences({"one": [run("b", [0.75, 0.25])]}, [temperature])


def images(count, **kinds):
    """Cats, of which a number from the first on are of other kinds."""
    values = np.full(count, int(Kind.OTHER))
    values[: kinds.get("label", 0)] = Kind.LABEL
    return SimpleNamespace(kinds=values)


def test_sure_mistakes_are_counted_by_hand():
    truth, people = np.full(20, CAT), images(20, label=2)
    good = np.full((2, 20), CAT)
    good[:, 0], good[0, 5], good[1, 6] = FROG, DOG, FROG
    confidence = np.full((2, 20), 0.995)
    confidence[1, 6] = 0.99  # not above the threshold
    weak = np.full((1, 20), DOG)
    first, second = counted = sure.count(
        {"good": good, "weak": weak}, {"good": confidence, "weak": confidence[:1]}, truth, people
    )
    assert (first.name, first.is_good, second.is_good) == ("weak", False, True)
    assert (second.predictions, second.mistakes) == (19.5, 1.5)
    assert second.counts == (1, 0, 0.5, 0)
    assert np.flatnonzero(second.on_images).tolist() == [0, 5]
    assert second.on_images[[0, 5]].tolist() == [1, 0.5]
    assert second.all_mistakes == 50  # image 0 with both seeds; images 5 and 6 with one each
    result = sure.answer(counted, people)
    assert (result.networks, result.mistakes, result.images) == (1, 1.5, 2)
    assert (result.label.value, result.people.value) == pytest.approx((200 / 3, 0))
    assert result.together.value == pytest.approx(200 / 3)
    # Ratio of means: residuals 1 - 2/3 of image 0, and 0 - 2/3 * 1/2 of image 5.
    error = 100 * math.sqrt(2 / 9) / 1.5
    assert result.together.low == pytest.approx(200 / 3 - 1.959964 * error)
    assert "We cannot tell whether most of the networks' sure mistakes" in result.sentence
    assert result.makers == "One network makes 100% of these mistakes: the good."
    assert rows.sure_rows([second]) == [["Good", "20", "1.5", "1.0", "0.0", "0.5", "0.0"]]


def sure_row(name, on_images, all_mistakes=40.0, predictions=100.0):
    values = np.asarray(on_images, float)
    total = float(values.sum())
    return sure.SureMistakes(name, True, predictions, total, (0, 0, 0, 0), values, all_mistakes)


def of_kinds(label, people, other):
    """Evidence of 200 images, and a sure mistake on this many of each kind."""
    kinds = np.repeat([Kind.LABEL, Kind.PEOPLE, Kind.OTHER], [50, 50, 100])
    wrong = np.zeros(200)
    wrong[:label] = wrong[50 : 50 + people] = wrong[100 : 100 + other] = 1
    return SimpleNamespace(kinds=kinds), wrong


@pytest.mark.parametrize(
    ("counts", "words", "comparison"),
    [
        ((40, 40, 10), "Most of the networks' sure mistakes are on images whose label", "more"),
        (
            (10, 10, 20),
            "We cannot tell whether most of the networks' sure",
            "not measurably different",
        ),
        ((5, 0, 90), "Most of the networks' sure mistakes are their own", "less frequent"),
        ((1, 0, 0), "over the one image concerned", "more frequent"),
    ],
)
def test_sure_answer_has_a_sentence_for_each_outcome(counts, words, comparison):
    people, wrong = of_kinds(*counts)
    networks = [sure_row("a", wrong), sure_row("never", np.zeros(200), 90, predictions=0.0)]
    result = sure.answer(networks, people)
    assert words in result.sentence
    assert comparison in result.comparison
    assert "(40%)" in result.comparison  # of the network that makes sure mistakes alone
    assert "the good" not in result.sentence + result.comparison + result.makers
    assert result.makers.endswith("temperature scaling, the never is never more than 99% sure.")


def test_networks_that_make_most_sure_mistakes_are_named():
    people, wrong = of_kinds(40, 40, 20)
    networks = [sure_row("few", wrong / 10, 50), sure_row("a", 8 * wrong), sure_row("b", wrong)]
    result = sure.answer(networks, people)
    # 800 of 910 are fewer than nine in ten; with the mistakes of "b" they are 900.
    assert result.makers == "Of the 3 networks, 2 make 99% of these mistakes: the a and the b."
    assert "(40% to 50%)" in result.comparison
    just = sure.answer([sure_row("a", 9 * wrong), sure_row("b", wrong)], people)
    assert just.makers == "One network makes 90% of these mistakes: the a."


def test_networks_without_sure_mistakes():
    people, _ = of_kinds(0, 0, 0)
    right = sure.answer([sure_row("a", np.zeros(200))], people)
    assert right.sentence.startswith("None of these networks makes a mistake")
    assert (right.makers, right.comparison, right.together) == ("", "", None)
    never = [sure_row(name, np.zeros(200), predictions=0.0) for name in "abc"]
    assert "none of these networks is ever" in sure.answer(never, people).makers
    two = sure.answer([*never[:2], sure_row("d", np.zeros(200))], people)
    assert (
        two.makers
        == "Even after temperature scaling, the a and the b are never more than 99% sure."
    )


def test_pictures_of_sure_mistakes_are_those_of_most_runs():
    truth, people = np.full(20, CAT), images(20, label=1)
    good = np.full((3, 20), CAT)
    good[0, 7], good[:2, 8], good[2, 8], good[2, 0] = FROG, DOG, FROG, DEER
    confidence = np.ones((3, 20))
    networks, weak = {"good": good, "weak": np.full((1, 20), DOG)}, np.ones((1, 20))
    shown = sure.to_show(networks, {"good": confidence, "weak": weak}, truth, people)
    label, _, alike, other = shown
    assert (label.indices.tolist(), label.predicted.tolist()) == ([0], [DEER])
    # Two of three runs call image 8 a dog.
    assert (alike.indices.tolist(), alike.predicted.tolist(), alike.runs.tolist()) == (
        [8],
        [DOG],
        [2],
    )
    assert other.indices.tolist() == [7]
    few = sure.to_show(networks, {"good": confidence, "weak": weak}, truth, people, most=2)
    assert [len(group.indices) for group in few] == [1, 0, 1, 0]  # of equals the earlier image
    assert [group.count for group in few] == [1, 0, 1, 1]
    pictures = SimpleNamespace(
        is_sample=False,
        class_names=CLASS_NAMES,
        test=SimpleNamespace(labels=truth, images=np.zeros((20, 4, 4, 3), np.uint8)),
    )
    groups = rows.sure_pictures(few, pictures)
    assert groups[0].heading == "Label in doubt: 1 image"
    assert groups[3].heading == "None of these: 0 of 1 images"
    assert groups[2].titles == ["cat\ndog"]
    assert rows.sure_pictures(few, SimpleNamespace(is_sample=True)) == []


def test_bars_and_rows_begin_with_chance():
    networks = [network("one", 80, 5, 60)]
    bars = rows.bars(networks, CHANCE)
    assert list(bars) == [rows.CHANCE, "one"]
    assert bars["one"] == [5, 35, 60, 0]
    table = rows.sorted_rows(networks, CHANCE)
    assert table[0] == ["Any image, any wrong class", "–", "1.0", "10.0", "8.0", "81.0"]
    assert table[1][:3] == ["One", "10", "5.0 ± 1.0"]
    assert rows.largest_deviation(networks) == 3


def test_pictures_of_both_searches_and_of_the_hardest_images():
    dataset = SimpleNamespace(
        is_sample=False,
        class_names=CLASS_NAMES,
        test=SimpleNamespace(labels=TRUTH, images=np.zeros((7, 4, 4, 3), np.uint8)),
    )
    found = agreement.Suspects(np.array([1, 4, 5]), np.array([DEER, DOG, DEER]), 3, 2, "")
    search = labels.search(found.indices, VOTES, PEOPLE.doubted)
    ours, theirs = rows.search_pictures(search, found, VOTES, dataset, 1)
    assert ours.heading == (
        f"Contradicted by all good networks, not among the {len(VOTES.images)} candidates: "
        "1 of 2 images"
    )
    assert ours.titles == ["cat\ndog"]  # image 4, what the networks agree on
    assert theirs.heading == (
        "Not confirmed by the five people, not found by the networks: 1 image"
    )
    assert theirs.titles == ["cat\nfrog"]  # image 0, the suggested class
    hardest = SimpleNamespace(indices=np.array([0, 2, 5]))
    doubted, clear = rows.hardest_pictures(hardest, PEOPLE, dataset)
    assert (len(doubted.images), clear.titles) == (1, ["cat", "cat"])
    assert clear.heading == "Label not doubted by people: 2 images"
    sample = SimpleNamespace(is_sample=True)
    assert rows.search_pictures(search, found, VOTES, sample, 1) == []
    assert rows.hardest_pictures(hardest, PEOPLE, sample) == []


def test_rows_of_judged_labels():
    seeds = np.array([[FROG, CAT, CAT, CAT, CAT, CAT, CAT]])
    (followed,) = relabelled.followed({"one": seeds}, VOTES)
    assert rows.followed_rows([followed])[0][:4] == ["One", "100", "0", "0"]
    (rescored,) = relabelled.rescored({"one": seeds}, TRUTH, VOTES)
    assert rows.rescored_rows([rescored])[0] == [
        *("One", "85.71", "100.00", "+14.29", "100.00", "+14.29")
    ]


def test_stacked_bars_show_each_share():
    drawn = figures.stacked_shares({"chance": [10, 90], "one": [3.9, 96.1]}, ["a", "b"], "%", 1)
    (axes,) = drawn.axes
    assert [text.get_text() for text in axes.texts] == ["10", "90", "96"]  # no number below 4%
    assert [label.get_text() for label in axes.get_yticklabels()] == ["chance", "one"]
    widths = [patch.get_width() for patch in axes.patches]
    assert widths == pytest.approx([10, 3.9, 90, 96.1])
    first, second = axes.get_yticks()
    assert second - first == 1.5  # the gap after the comparison
    for shares in ({}, {"one": [10, 80]}, {"one": [100]}):
        with pytest.raises(CifarcamError, match="stacked_shares"):
            figures.stacked_shares(shares, ["a", "b"], "%")


def test_picture_groups_have_headings_and_titles():
    images = np.zeros((3, 4, 4, 3), np.uint8)
    groups = [PictureGroup("First", images, ["a", "b", "c"]), PictureGroup("None", images[:0], [])]
    drawn = figures.picture_groups(groups, columns=2)
    assert [text.get_text() for text in drawn.axes[0].texts] == ["First", "a", "b", "c"]
    assert len(drawn.axes[0].images) == 3
    empty = figures.picture_groups([])
    assert "no pictures to show" in empty.axes[0].texts[0].get_text()
    with pytest.raises(CifarcamError, match="one title a picture"):
        figures.picture_groups([PictureGroup("First", images, ["a"])])


@pytest.mark.slow
def test_committed_runs_are_those_of_the_chapter():
    networks = rows.networks()
    assert {"baseline", "ResNet-18", "speedrun"} <= set(networks)
    assert len(rows.all_runs()) >= sum(map(len, networks.values()))
    assert all(len(run.predictions) == len(evidence.test_labels()) for run in rows.all_runs())
