"""Copies are found however they were processed; accuracy on twins and others is counted right."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from cifarcam import figures
from cifarcam.data import duplicates, evidence
from cifarcam.data.duplicates import JudgedPairs, Match
from cifarcam.data.evidence import Twins
from cifarcam.errors import CifarcamError
from cifarcam.report import twins as rows
from cifarcam.studies import duplicates as measurement
from cifarcam.studies import records, twin_control, twins
from cifarcam.studies import twin_search as searches


def pictures(count, seed=0, side=48):
    """Smooth random pictures, larger than an image, so that they can be cropped."""
    rough = np.random.default_rng(seed).normal(size=(count, side, side, 3))
    smooth = ndimage.gaussian_filter(rough, (0, 1.2, 1.2, 0))
    low, high = smooth.min(axis=(1, 2, 3), keepdims=True), smooth.max(axis=(1, 2, 3), keepdims=True)
    return (30 + 190 * (smooth - low) / (high - low)).astype(np.uint8)


def crop(picture, top=8, left=8):
    return picture[top : top + 32, left : left + 32]


@pytest.fixture
def references():
    return np.stack([crop(picture) for picture in pictures(40)])


def search(query, references, threshold=0.8):
    return duplicates.aligned_duplicates(query[None], references, threshold)


@pytest.mark.parametrize(
    ("change", "least"),
    [
        (lambda large: crop(large), 0.999),
        (lambda large: crop(large, 10, 6), 0.97),  # shifted by two pixels
        (lambda large: crop(large) // 2 + 100, 0.95),  # brighter, with less contrast
        (lambda large: crop(large)[..., [1, 1, 1]], 0.8),  # one colour
    ],
)
def test_a_processed_copy_is_found(change, least, references):
    (match,) = search(change(pictures(40)[7]), references)
    assert (match.query, match.reference, match.mirrored) == (0, 7, False)
    assert match.correlation >= least


def test_a_mirrored_shifted_copy_is_found_as_mirrored(references):
    (match,) = search(crop(pictures(40)[7], 9, 7)[:, ::-1], references)
    assert (match.reference, match.mirrored) == (7, True)
    assert match.correlation > 0.97


def test_an_enlarged_copy_is_found_by_the_zoom(references, monkeypatch):
    enlarged = ndimage.zoom(pictures(40)[7].astype(float), (1.1, 1.1, 1), order=1)
    query = crop(enlarged.clip(0, 255).astype(np.uint8), 10, 10)
    ((match,), zooms) = search(query, references, 0.7), duplicates.ZOOMS
    assert match.reference == 7
    monkeypatch.setattr(duplicates, "ZOOMS", (1.0,))
    without = search(query, references, 0.01)[0]
    assert without.correlation < match.correlation
    assert 0.9 in zooms  # which undoes the enlargement


def test_another_picture_is_no_copy(references):
    assert search(crop(pictures(1, seed=1)[0]), references, 0.6) == []


def test_a_shift_beyond_the_margin_is_no_copy(references):
    assert search(crop(pictures(40)[7], 15, 8), references) == []


def test_constant_images_are_no_copies(references):
    references[3] = 128
    assert search(np.full((32, 32, 3), 200, np.uint8), references, 0.1) == []


@pytest.mark.slow
def test_matches_are_sorted_and_independent_of_the_parts(references, monkeypatch):
    queries = np.stack([crop(picture, 9, 8) for picture in pictures(40)])
    whole = duplicates.aligned_duplicates(queries, references)
    assert sorted((one.query, one.reference) for one in whole) == [(k, k) for k in range(40)]
    assert [one.correlation for one in whole] == sorted(o.correlation for o in whole)[::-1]
    monkeypatch.setattr(duplicates, "CHUNK", 36)  # three queries at once
    parts = duplicates.aligned_duplicates(queries, references)
    assert {one.query: one.correlation for one in parts} == pytest.approx(
        {one.query: one.correlation for one in whole}, abs=1e-5
    )


def test_the_threshold_is_the_least_correlation(references):
    (match,) = search(crop(pictures(40)[7], 10, 6), references)
    assert search(crop(pictures(40)[7], 10, 6), references, match.correlation - 1e-4) == [match]
    assert search(crop(pictures(40)[7], 10, 6), references, match.correlation + 1e-4) == []


def test_the_search_refuses_bad_input(references):
    with pytest.raises(CifarcamError, match="32 x 32"):
        duplicates.aligned_duplicates(references[:, :16], references)
    with pytest.raises(CifarcamError, match=r"threshold 1\.5"):
        duplicates.aligned_duplicates(references, references, 1.5)
    assert duplicates.aligned_duplicates(references[:0], references) == []
    assert duplicates.aligned_duplicates(references, references[:0]) == []


def test_judged_pairs_lie_outside_the_list_and_damage_is_noticed(tmp_path):
    judged, listed = duplicates.judged_pairs(), evidence.twins()
    assert len(np.unique(judged.images)) == len(judged.images)
    assert not np.isin(judged.images, listed.images).any()
    assert judged.images.max() < 10_000
    assert judged.twins.max() < 50_000
    assert not (judged.same_shot & judged.similar).any()
    assert 0 < judged.confirmed.sum() < len(judged.images)
    assert 0 < judged.agreed <= judged.repeats < len(judged.images)
    damaged = tmp_path / "judged.json"
    shutil.copyfile(duplicates.JUDGED, damaged)
    damaged.write_bytes(damaged.read_bytes().replace(b"[", b"{", 1))
    with pytest.raises(CifarcamError, match="install cifarcam again"):
        duplicates.judged_pairs(damaged)


def listed_pairs(images, partners, same=None):
    same = [True] * len(images) if same is None else same
    return Twins(np.array(images), np.array(partners), np.zeros(len(images)), np.array(same))


def judgements(*rows):
    images, partners, values = np.array(rows, np.int64).reshape(-1, 3).T
    return JudgedPairs(images, partners, values == 1, values == 2, 0, 0)


MATCHES = [
    Match(1, 10, 0.9, False),
    Match(1, 11, 0.95, True),
    Match(2, 20, 0.85, False),
    Match(5, 50, 0.83, False),
    Match(6, 60, 0.82, True),
    Match(7, 70, 0.81, False),
]


def test_best_matches_keep_the_closest_image_above_the_threshold():
    found = searches.best_matches(MATCHES, 0.82)
    assert found.images.tolist() == [1, 2, 5, 6]
    assert found.twins.tolist() == [11, 20, 50, 60]
    assert found.mirrored.tolist() == [True, False, False, True]
    assert not len(searches.best_matches(MATCHES, 0.96).images)


def test_recall_and_precision_against_the_list_and_after_looking():
    listed = listed_pairs([1, 2, 3, 4], [10, 20, 30, 40], [True, False, True, True])
    judged = judgements((5, 50, 1), (6, 60, 2), (7, 70, 3))
    one = searches.against_list("s", 0.8, searches.best_matches(MATCHES, 0.8), listed, judged)
    assert (one.found, one.listed, one.missed, one.extra) == (5, 2, 2, 3)
    assert (one.recall, one.precision) == (50, 40)
    assert one.recall_same_shot == pytest.approx(100 / 3)
    assert (one.same_shot, one.similar, one.different, one.unjudged) == (1, 1, 1, 0)
    assert one.precision_judged == 80
    # A judgement is of one pair; of another pair with the same image nothing is known.
    other = judgements((5, 51, 1), (6, 60, 2), (7, 70, 3))
    one = searches.against_list("s", 0.8, searches.best_matches(MATCHES, 0.8), listed, other)
    assert one.unjudged == 1
    assert np.isnan(one.precision_judged)
    nothing = searches.against_list("s", 1, searches.best_matches([], 1), listed, judged)
    assert (nothing.found, nothing.recall) == (0, 0)
    assert np.isnan(nothing.precision)
    with pytest.raises(CifarcamError, match="list of twins is empty"):
        searches.against_list("s", 1, searches.best_matches([], 1), listed_pairs([], []), judged)


def test_the_listed_twin_itself_may_be_named_beside_a_closer_image():
    listed = listed_pairs([1, 2, 3, 5], [10, 20, 30, 51])
    # Of image 1 the search names 11 and the listed 10, of image 5 another image only.
    assert searches.listed_twins_named(listed, MATCHES, 0.85) == 50
    assert searches.listed_twins_named(listed, MATCHES, 0.86) == 25
    assert searches.listed_twins_named(listed, MATCHES, 0.91) == 0
    with pytest.raises(CifarcamError, match="list of twins is empty"):
        searches.listed_twins_named(listed_pairs([], []), MATCHES, 0.8)


@pytest.mark.parametrize(
    ("repeats", "agreed", "words"),
    [
        (72, 72, "the same judgement on all 72. This shows that the reader is consistent,"),
        (72, 71, "the same judgement on 71 of them. This shows how consistent the reader is"),
        (0, 0, "The reader looked at no pair again"),
    ],
)
def test_repeated_judgements_show_consistency_and_no_truth(repeats, agreed, words):
    nothing = np.zeros(0, int)
    judged = JudgedPairs(nothing, nothing, nothing == 1, nothing == 1, repeats, agreed)
    assert words in searches.repeated(judged)


def test_every_image_that_the_committed_record_adds_was_judged():
    record = records.load(measurement.RECORD)
    found = searches.best_matches(measurement.of_record(record), duplicates.THRESHOLD)
    listed, judged = evidence.twins(), duplicates.judged_pairs()
    one = searches.against_list("aligned", duplicates.THRESHOLD, found, listed, judged)
    assert one.unjudged == 0
    assert one.extra == len(judged.images)
    assert one.recall > 80
    named = searches.listed_twins_named(listed, measurement.of_record(record), duplicates.THRESHOLD)
    assert named == pytest.approx(100 * 228 / 286)
    assert one.precision_judged > 90
    assert len(record["labels"]["listed"]) == len(listed.images)


def test_known_images_are_the_list_and_what_was_confirmed():
    listed = listed_pairs([1, 2, 3, 4], [10, 20, 30, 40])
    judged = judgements((5, 50, 1), (6, 60, 2), (7, 70, 3))
    found = searches.best_matches(MATCHES, 0.8)
    known = searches.known(listed, found, judged, total=100)
    assert known.images.tolist() == [1, 2, 3, 4, 5, 6]
    assert (known.count, known.share, known.listed, known.added) == (6, 6, 4, 2)
    # Four and four images, two of them shared: 5 x 5 / 3 - 1.
    assert known.estimate == pytest.approx(25 / 3 - 1)
    assert np.isnan(searches.known(listed, searches.best_matches([], 1), judged).estimate)


def test_an_image_is_held_out_only_when_all_its_twins_are():
    listed = listed_pairs([1, 2, 3], [10, 20, 30])
    judged = judgements((5, 50, 1), (7, 70, 3))
    seen, held_out = searches.by_training(listed, judged, MATCHES, [10, 20, 50, 70])
    # Of image 1 the search found image 11 as well, which is trained on; image 7 has no twin.
    assert seen.tolist() == [1, 3]
    assert held_out.tolist() == [2, 5]


class Images(SimpleNamespace):
    def __len__(self):
        return len(self.labels)


def test_training_images_and_labels_stand_in_published_order():
    def split(values):
        images = np.array(values, np.uint8)[:, None, None, None].repeat(3, axis=3)
        return Images(images=images, labels=np.array(values) + 5)

    dataset = SimpleNamespace(
        train=split([0, 2, 3]),
        validation=split([1]),
        train_indices=np.array([0, 2, 3]),
        validation_indices=np.array([1]),
    )
    assert measurement.training_images(dataset)[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert measurement.training_labels(dataset).tolist() == [5, 6, 7, 8]


def test_pairs_of_a_record_come_back():
    record = {"aligned": [[1, 10, 0.9, 1]], "plain": [[2, 20, 0.95, 0]]}
    assert measurement.of_record(record) == [Match(1, 10, 0.9, True)]
    assert measurement.of_record(record, "plain") == [Match(2, 20, 0.95, False)]


def answers(*seeds):
    return np.array([[letter == "1" for letter in seed] for seed in seeds])


def test_gap_of_hand_made_answers():
    # Images 0 to 3 have twins: 4 and 3 of 4 right; of the other six 3 and 2.
    correct = answers("1111" + "111000", "1110" + "110000")
    (gap,) = twins.gaps({"net": correct}, np.arange(4))
    assert (gap.name, gap.seeds, gap.overall) == ("net", 2, 60)
    assert gap.twins == 87.5
    assert gap.others == pytest.approx(100 * 5 / 12)
    assert gap.over_seeds.value == pytest.approx(87.5 - 500 / 12)
    assert (gap.over_seeds.over, gap.over_images.over) == ("seeds", "test images")
    assert gap.over_images.value == pytest.approx(gap.over_seeds.value)
    assert (gap.over_images.count, gap.twin_images, gap.other_images) == (10, 4, 6)
    assert gap.fall.value == pytest.approx(60 - 500 / 12)
    assert gap.fall.low == pytest.approx(0.4 * gap.over_images.low)


def test_gaps_are_ordered_by_accuracy_and_refuse_bad_sets():
    correct = {"low": answers("1000"), "high": answers("1101")}
    assert [gap.name for gap in twins.gaps(correct, np.array([0]))] == ["high", "low"]
    for images in ([], [4], [0, 1, 2, 3]):
        with pytest.raises(CifarcamError, match="twin"):
            twins.gaps(correct, np.array(images, int))


def test_newcombe_interval_of_published_example():
    # Newcombe (1998), table II, method 10: 56/70 - 48/80 is 0.0524 to 0.3339.
    effect = twins.of_groups(answers("1" * 56 + "0" * 14), answers("1" * 48 + "0" * 32))
    assert effect.value == pytest.approx(20)
    assert (effect.low, effect.high) == pytest.approx((5.24, 33.39), abs=0.01)
    # 10/10 - 0/10: 0.6075 to 1.
    sure = twins.of_groups(answers("1" * 10), answers("0" * 10))
    assert (sure.low, sure.high) == pytest.approx((60.75, 100), abs=0.01)
    with pytest.raises(CifarcamError, match="give images in both groups"):
        twins.of_groups(answers("1"), np.empty((1, 0), bool))


def test_overview_says_which_networks_do_better_on_twins():
    ahead = answers("1" * 20 + "0" * 20)
    level = answers("10" * 20)
    images = np.arange(20)
    every = twins.overview(twins.gaps({"a": ahead}, images), "networks here")
    assert every.sentence.startswith("All 1 networks here do better")
    assert (every.ahead, every.lowest_twins, every.highest_others) == (1, 100, 0)
    assert (every.least_fall, every.most_fall) == (50, 50)
    some = twins.overview(twins.gaps({"a": ahead, "b": level}, images), "networks here")
    assert some.sentence.startswith("Of the 2 networks here, 1 do")
    none = twins.overview(twins.gaps({"b": level}, images), "networks here")
    assert none.sentence.startswith("None of the 1 networks")
    with pytest.raises(CifarcamError, match="at least one"):
        twins.overview([], "networks")


def control(seen, held_out, others):
    """A control of 100 images of each kind, of which so many are right."""
    right = "".join("1" * n + "0" * (100 - n) for n in (seen, held_out, others))
    return twin_control.controls({"net": answers(right)}, np.arange(100), np.arange(100, 200))


def test_control_compares_seen_held_out_and_other_images():
    (one,) = control(95, 80, 70)
    assert (one.seen, one.held_out, one.others) == (95, 80, 70)
    assert (one.seen_images, one.held_out_images) == (100, 100)
    assert (one.memory.value, one.ease.value) == pytest.approx((15, 10))


def test_networks_trained_on_validation_images_are_no_control():
    one, other = (
        SimpleNamespace(experiment=SimpleNamespace(data=SimpleNamespace(fit=fit)))
        for fit in ("train", "train+validation")
    )
    networks = {"a": [one, one], "b": [other], "c": [one, other]}
    assert twin_control.without_validation(networks) == {"a": [one, one]}


def test_network_alone_without_augmentation():
    plain, augmented = (
        SimpleNamespace(experiment=SimpleNamespace(augmentation=one)) for one in (None, object())
    )
    networks = {"net": [plain], "net, stopped": [plain], "a": [augmented, augmented]}
    assert twin_control.alone_without_augmentation("net", networks)
    assert not twin_control.alone_without_augmentation("net", networks | {"b": [plain]})
    assert not twin_control.alone_without_augmentation("net", networks | {"net": [augmented]})


# 100 images each whose twin was trained on, was held out, and that have none.
SEEN, HELD_OUT = np.arange(100), np.arange(100, 200)


def right(seen, held_out, others):
    return answers("".join("1" * n + "0" * (100 - n) for n in (seen, held_out, others)))


def test_cause_finds_ease_and_the_one_network_that_remembers():
    correct = {"net": right(95, 60, 40), "a": right(80, 80, 50), "b": right(80, 80, 60)}
    cause = twin_control.cause("net", correct, SEEN, HELD_OUT)
    assert cause.networks == 2
    assert (cause.ease.value, cause.memory.value, cause.more.value) == pytest.approx((25, 0, 35))
    assert (cause.ease.over, cause.more.unit) == ("test images", "points")
    assert "Images with a twin are easy, so a high accuracy" in cause.sentence
    assert "mean accuracy of the 2 networks other than the net is higher than" in cause.sentence
    assert "does not change this accuracy measurably (+0.0 points" in cause.sentence
    assert "With 100 images whose twins were held out, we cannot exclude a gain" in cause.sentence
    assert f"a gain of up to {cause.memory.high:.1f} points." in cause.sentence
    assert "The net may remember: training on the twin helps the net more" in cause.sentence
    assert "the other networks (+35.0 points" in cause.sentence
    assert "augmentation" not in cause.sentence
    alone = twin_control.cause("net", correct, SEEN, HELD_OUT, alone=True)
    assert "It is the only network here trained without augmentation." in alone.sentence


def test_cause_finds_memory_of_all_and_no_ease():
    correct = {"net": right(95, 60, 60), "a": right(95, 60, 60)}
    cause = twin_control.cause("net", correct, SEEN, HELD_OUT)
    assert "the one network other than the net is no higher beyond chance" in cause.sentence
    assert "proves no memory" not in cause.sentence
    assert "Training on the twin raises this accuracy (+35.0" in cause.sentence
    assert "cannot exclude" not in cause.sentence
    alone = twin_control.cause("net", correct, SEEN, HELD_OUT, alone=True)
    assert (
        "Training on the twin does not help the net more than the other networks" in alone.sentence
    )
    assert "augmentation" not in alone.sentence
    assert (cause.ease.value, cause.more.value) == (0, 0)


def test_cause_says_when_training_on_the_twin_goes_with_lower_accuracy():
    correct = {"net": right(60, 95, 60), "a": right(60, 95, 60)}
    cause = twin_control.cause("net", correct, SEEN, HELD_OUT)
    assert "Training on the twin lowers this accuracy (−35.0" in cause.sentence


def test_cause_leaves_out_relatives_of_the_network():
    correct = {"net": right(95, 60, 60), "net, stopped": right(50, 50, 50)}
    with pytest.raises(CifarcamError, match="no network beside net"):
        twin_control.cause("net", correct, SEEN, HELD_OUT)
    correct["a"] = right(80, 80, 50)
    assert twin_control.cause("net", correct, SEEN, HELD_OUT).networks == 1


def test_other_labels_follow_the_twin_or_the_image():
    labels, images = np.array([9, 0, 1, 2]), np.array([1, 2, 3])
    predicted = {"a": np.array([[9, 0, 5, 2]]), "b": np.array([[9, 0, 1, 2]])}
    same = twin_control.other_labels(labels, images, labels[images], predicted)
    assert (same.pairs, same.differing) == (3, 0)
    assert same.sentence.startswith("No known twin has another label")
    other = twin_control.other_labels(labels, images, np.array([0, 5, 2]), predicted)
    assert other.differing == 1
    assert "(1 of 3 pairs)" in other.sentence
    assert "50% of the answers and the image's own label in 50%" in other.sentence
    with pytest.raises(CifarcamError, match="at least one"):
        twin_control.other_labels(labels, images, labels[images], {})


def test_labelled_pairs_are_the_listed_and_the_confirmed():
    listed, judged = listed_pairs([1, 2], [10, 20]), judgements((5, 50, 1), (7, 70, 3))
    images, labels = searches.labelled_pairs(listed, judged, {"listed": [3, 4], "judged": [5, 6]})
    assert images.tolist() == [1, 2, 5]
    assert labels.tolist() == [3, 4, 5]


def test_rows_and_marks_of_hand_made_gaps():
    found = twins.gaps({"net": answers("1111" + "111000", "1110" + "110000")}, np.arange(4))
    ((name, inside, outside, *_, fall),) = rows.gap_rows(found)
    assert (name, inside, outside) == ("Net", "87.5", "41.7")
    assert fall.startswith("18.33 [")
    ((*_, over_seeds, _),) = rows.gap_rows(twins.gaps({"net": answers("1100")}, np.arange(2)))
    assert over_seeds == "–"
    axes = rows.gap_figure(found).axes[0]
    marks = [line.get_xdata().tolist() for line in axes.lines if line.get_marker() in "so"]
    assert marks == [[87.5], [pytest.approx(500 / 12)]]
    low, high = twins.interval_of(87.5, 4)
    assert any(line.get_xdata() == pytest.approx([low, high]) for line in axes.lines)


def test_rows_of_searches_and_controls():
    listed, judged = listed_pairs([1, 2, 3, 4], [10, 20, 30, 40]), judgements((5, 50, 1))
    plain, *aligned = rows.searches(MATCHES[:2], MATCHES, listed, judged)
    assert (plain.name, plain.threshold, plain.found) == ("all pixels", 0.95, 1)
    assert [one.found for one in aligned] == [1, 1, 2, 5]
    assert aligned[0].threshold == plain.threshold  # the text compares the two
    last = rows.search_rows([plain, *aligned])[-1]
    assert last == ["aligned details", "0.80", 5, "50.0", "50.0", "40.0", "–"]
    assert rows.control_rows(control(95, 80, 70))[0][:4] == ["Net", "95.0", "80.0", "70.0"]


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ((1, 1), "Each row rests on one seed."),
        ((2, 3), "means over several seeds of each network."),
        ((5, 1), "over several seeds: the net 0 (5). The other rows rest on one seed."),
    ],
)
def test_note_says_which_rows_rest_on_several_seeds(seeds, words):
    correct = {f"net {k}": np.ones((count, 4), bool) for k, count in enumerate(seeds)}
    assert words in rows.seeds_note(correct)


def test_pictures_of_missed_pairs_and_none_on_the_sample():
    def split(count):
        return Images(images=np.zeros((count, 32, 32, 3), np.uint8), labels=np.zeros(count, int))

    dataset = SimpleNamespace(
        train=split(60),
        validation=split(40),
        test=split(9),
        train_indices=np.arange(60),
        validation_indices=np.arange(60, 100),
        class_names=("airplane",),
        is_sample=False,
    )
    listed = listed_pairs([1, 3, 4], [10, 30, 40], [True, False, True])
    found = searches.best_matches(MATCHES, 0.8)

    def titles(figure):
        return [text.get_text() for text in figure.axes[0].texts]

    missed = rows.missed_by_us(dataset, listed, found)
    assert titles(missed) == ["airplane 4", "airplane 3"]  # the same photograph first
    judged = judgements((5, 50, 1), (6, 60, 1), (7, 70, 3))
    assert titles(rows.missed_by_them(dataset, judged, found)) == ["airplane 5", "airplane 6"]
    dataset.is_sample = True
    for figure in (
        rows.missed_by_us(dataset, listed, found),
        rows.missed_by_them(dataset, judged, found),
    ):
        assert titles(figure) == ["no pairs to show"]


def test_two_sets_refuses_values_that_do_not_fit():
    with pytest.raises(CifarcamError, match="give K x 2"):
        figures.two_sets(["a"], [[1.0]], [[[1.0, 2.0]]], ("one", "other"))


def test_accuracy_on_the_published_list_is_as_measured_before():
    """Short runs of seed 0, counted by another script over the same list."""
    from cifarcam import runs

    labels = evidence.test_labels()
    images = evidence.twins().images
    for name, inside, outside in (
        ("baseline", 94.4, 71.9),
        ("vgg19", 99.3, 90.1),
        ("resnet18", 100.0, 94.4),
    ):
        correct = twins.correct_by_seed({name: runs.at_hand(name)[:1]}, labels)
        (gap,) = twins.gaps(correct, images)
        assert (gap.twins, gap.others) == pytest.approx((inside, outside), abs=0.05)


def test_published_networks_are_measured_on_the_same_images():
    correct = twins.published_correct()
    assert len(correct) == 30
    assert correct["resnet_basic_110"].shape == (1, 10_000)
    assert 100 * correct["resnet_basic_110"].mean() == pytest.approx(93.5, abs=0.05)
