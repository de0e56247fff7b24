"""CIFAR-10.1 and CIFAR-100: fetched, verified, read; and what networks make of other images."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from helpers import failing, left_in, serving

from cifarcam import _files, _store, cli
from cifarcam.data import evidence, others
from cifarcam.data.publication import obtain_all
from cifarcam.errors import CifarcamError
from cifarcam.studies import other_images


def saved(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def archive(member, content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, part in (
            ("cifar-100-binary/fine_label_names.txt", b"apple\n"),
            (member, content),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(part)
            tar.addfile(info, io.BytesIO(part))
    return gzip.compress(buffer.getvalue(), 1, mtime=0)


@pytest.fixture
def publish(server, monkeypatch, tmp_path):
    """A function that publishes contents, in order, under the names of a dataset's files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def publish(name, *contents):
        files = {
            file_name: replace(
                file,
                url=f"{server.url}/{file_name}",
                sha256=hashlib.sha256(content).hexdigest(),
                size=len(content),
            )
            for (file_name, file), content in zip(others.FILES[name].items(), contents, strict=True)
        }
        monkeypatch.setattr(others, "FILES", {**others.FILES, name: files})
        server.answers = [serving(content) for content in contents]
        return server

    return publish


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
LABELS = np.array([3, 9, 0, 1, 1], np.int32)


def test_new_images_are_fetched_once_and_read_as_published(publish):
    server = publish("cifar10.1-v6", saved(IMAGES), saved(LABELS))
    assert not others.is_at_hand("cifar10.1-v6")
    for _ in range(2):
        split = others.load("cifar10.1-v6")
        assert np.array_equal(split.images, IMAGES)
        assert split.labels.tolist() == LABELS.tolist()
        assert split.labels.dtype == np.int64
    assert server.asked == 2
    assert others.is_at_hand("cifar10.1-v6")


def test_whether_images_are_at_hand_is_noted_for_the_chapter(publish, monkeypatch):
    monkeypatch.setattr(_store, "_handed_out", {})
    publish("cifar10.1-v4", saved(IMAGES), saved(LABELS))
    others.is_at_hand("cifar10.1-v4")
    names = [f"cifar-10.1/cifar10.1_v4_{part}.npy" for part in ("data", "labels")]
    assert _store.handed_out("cached") == {name: {"digest": None} for name in names}
    others.load("cifar10.1-v4")
    digests = [hashlib.sha256(saved(array)).hexdigest() for array in (IMAGES, LABELS)]
    noted = {name: {"digest": digest} for name, digest in zip(names, digests, strict=True)}
    assert _store.handed_out("cached") == noted


@pytest.mark.parametrize("answer", [serving(b"<html>"), failing(404), serving(saved(IMAGES)[:-1])])
def test_other_bytes_are_refused_and_leave_nothing(publish, answer):
    server = publish("cifar10.1-v6", saved(IMAGES), saved(LABELS))
    server.answers = [answer]
    with pytest.raises(CifarcamError, match=r"cifar10\.1_v6_data\.npy"):
        others.load("cifar10.1-v6")
    assert left_in(_files.cache_dir() / "cifar-10.1") == []


def test_damage_in_the_cache_is_noticed_and_mended(publish):
    publish("cifar10.1-v6", saved(IMAGES), saved(LABELS)).answers = [
        serving(saved(IMAGES)),
        serving(saved(LABELS)),
        serving(saved(IMAGES)),
    ]
    others.load("cifar10.1-v6")
    path = _files.cache_dir() / "cifar-10.1" / "cifar10.1_v6_data.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert not others.is_at_hand("cifar10.1-v6")
    assert not path.exists()  # a chapter that asked is stale once the file is there again
    assert np.array_equal(others.load("cifar10.1-v6").images, IMAGES)


def test_files_can_be_given_in_a_folder(publish, tmp_path):
    server = publish("cifar10.1-v6", saved(IMAGES), saved(LABELS))
    for part, array in (("data", IMAGES), ("labels", LABELS)):
        (tmp_path / f"cifar10.1_v6_{part}.npy").write_bytes(saved(array))
    obtain_all(others.FILES["cifar10.1-v6"], tmp_path)
    assert others.load("cifar10.1-v6").labels.tolist() == LABELS.tolist()
    assert server.asked == 0
    (tmp_path / "cifar10.1_v6_data.npy").write_bytes(saved(IMAGES[:1]))
    with pytest.raises(CifarcamError, match=r"not the images of CIFAR-10\.1 v6"):
        obtain_all(others.FILES["cifar10.1-v6"], tmp_path)
    assert len(others.load("cifar10.1-v6")) == 5  # what was there stays


def test_one_file_or_a_folder_of_one_is_refused_for_a_dataset_of_two(publish, tmp_path):
    publish("cifar10.1-v6", saved(IMAGES), saved(LABELS))
    files = others.FILES["cifar10.1-v6"]
    alone = tmp_path / "cifar10.1_v6_data.npy"
    alone.write_bytes(saved(IMAGES))
    with pytest.raises(CifarcamError, match=r"one file; give a folder that holds .*labels\.npy"):
        obtain_all(files, alone)
    with pytest.raises(CifarcamError, match=r"holds no cifar10\.1_v6_labels\.npy; download http"):
        obtain_all(files, tmp_path)
    with pytest.raises(CifarcamError, match="no such file"):
        obtain_all(files, tmp_path / "none")
    assert not others.is_at_hand("cifar10.1-v6")
    assert not any(file.path.exists() for file in files.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset", "cifar11"], "'cifar11' is not one of cifar10, sample, cifar10.1-v4"),
        (["--dataset", "cifar11", "--from", "x"], "'cifar11' is not one of"),
        (["--dataset", "sample", "--from", "x"], "leave out --from"),
    ],
)
def test_command_refuses_other_names_before_it_reads_anything(arguments, words):
    done = CliRunner().invoke(cli.main, ["data", *arguments])
    assert done.exit_code == 1
    assert words in done.output


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (IMAGES.astype(np.int16), LABELS),
        (IMAGES[:4], LABELS),
        (IMAGES, LABELS + 1),
        (IMAGES, LABELS[:, None]),
    ],
)
def test_arrays_of_another_form_are_refused(publish, images, labels):
    publish("cifar10.1-v6", saved(images), saved(labels))
    with pytest.raises(CifarcamError, match=r"not CIFAR-10\.1"):
        others.load("cifar10.1-v6")


def test_a_pickle_is_never_opened(publish):
    publish("cifar10.1-v6", saved(np.array([{"a": 1}])), saved(LABELS))
    with pytest.raises(CifarcamError, match="Object arrays"):
        others.load("cifar10.1-v6")


def test_test_images_of_cifar_100_are_read_from_the_archive(publish, tmp_path):
    generator = np.random.default_rng(1)
    rows = generator.integers(0, 100, (10_000, 2 + 3072), np.uint8)
    content = archive("cifar-100-binary/test.bin", rows.tobytes())
    publish("cifar100", content)
    split = others.load("cifar100")
    assert split.images.shape == (10_000, 32, 32, 3)
    assert np.array_equal(split.labels, rows[:, 1])  # the fine label comes second
    # Pixel (row 1, column 2) of channel 1 lies at 1 * 1024 + 1 * 32 + 2.
    assert np.array_equal(split.images[:, 1, 2, 1], rows[:, 2 + 1024 + 34])
    local = tmp_path / "mine.tar.gz"
    local.write_bytes(content)
    obtain_all(others.FILES["cifar100"], local)


@pytest.mark.parametrize(
    "content",
    [
        archive("cifar-100-binary/test.bin", b"short"),
        archive("cifar-100-binary/train.bin", bytes(30_740_000)),
        gzip.compress(b"no tar"),
        b"no archive",
    ],
    ids=["too short", "train only", "no tar", "no archive"],
)
def test_archive_of_another_content_is_refused(publish, content):
    publish("cifar100", content)
    with pytest.raises(CifarcamError, match=r"cifar-100-binary\.tar\.gz"):
        others.load("cifar100")


def test_unknown_dataset_is_named():
    with pytest.raises(CifarcamError, match=r"'cifar11' is not one of cifar10\.1-v4"):
        others.load("cifar11")


def test_published_accuracies_are_those_of_the_published_predictions():
    predictions, labels = evidence.published_predictions(), evidence.test_labels()
    for name, (accuracy, _, _) in other_images.PUBLISHED.items():
        assert 100 * (predictions[name] == labels).mean() == pytest.approx(accuracy, abs=0.051)
    assert set(other_images.TITLES) == set(other_images.PUBLISHED)


def test_fall_by_hand():
    before = np.repeat([True, False], [90, 10])
    after = np.repeat([True, False], [80, 20])
    result = other_images.fall(before, after)
    assert result.before == pytest.approx(90)
    assert result.after == pytest.approx(80)
    # Newcombe (1998), method 10: Wilson bounds of 90/100 are 0.8256 and 0.9448, of 80/100 0.7112
    # and 0.8666; the distances from the proportions add up as squares.
    assert result.change.value == pytest.approx(-10)
    assert result.change.low == pytest.approx(-10 - 100 * np.hypot(0.0888, 0.0448), abs=0.02)
    assert result.change.high == pytest.approx(-10 + 100 * np.hypot(0.0666, 0.0744), abs=0.02)
    # z = 0.1 / sqrt(0.85 * 0.15 * 2 / 100) = 1.980
    assert result.change.p == pytest.approx(0.0477, abs=1e-4)


def test_fall_without_images_is_refused():
    with pytest.raises(CifarcamError, match="0 and 2 images"):
        other_images.fall(np.zeros(0, bool), np.ones(2, bool))


def test_equal_and_perfect_sets_do_not_differ():
    result = other_images.fall(np.ones(10, bool), np.ones(20, bool))
    assert result.change.value == 0
    assert result.change.p == 1
    assert result.change.low < 0 < result.change.high


def test_published_falls_in_words_on_each_side():
    better_lose_less = other_images.published_falls({"a": (90, 0, 85), "b": (80, 0, 70)})
    assert (better_lose_less.least, better_lose_less.most) == (5, 10)
    assert better_lose_less.slope == pytest.approx(1.5)
    assert better_lose_less.same_order
    assert "Better networks lose less:" in better_lose_less.sentence
    better_lose_more = other_images.published_falls({"a": (90, 0, 70), "b": (80, 0, 75)})
    assert better_lose_more.slope == pytest.approx(-0.5)
    assert not better_lose_more.same_order
    assert "do not lose less" in better_lose_more.sentence
    gain = other_images.published_falls({"a": (90, 0, 91), "b": (80, 0, 75)})
    assert gain.sentence.startswith("Not every network that we cite")


def test_confidence_in_unknown_classes_by_hand():
    known = np.array([[0.95, 0.05], [0.6, 0.4]])
    others_ = np.array([[0.5, 0.5], [0.08, 0.92]])
    result = other_images.unknown(known, others_)
    assert result.known == pytest.approx(0.775)
    assert result.unknown == pytest.approx(0.71)
    assert result.sure == 0.5
    assert result.auroc == 0.75  # of four pairs, 0.6 against 0.92 alone is in the wrong order
    assert other_images.unknown(known, known).auroc == 0.5
