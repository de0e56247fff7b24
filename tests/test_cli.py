"""The command line, from training to explaining a picture."""

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from test_training import TINY

from cifarcam import _store, cli, data, explain, figures, runs
from cifarcam.data import Split
from cifarcam.errors import CifarcamError

RUNS = Path(__file__).parents[1] / "runs"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A directory with an experiment and its run."""
    directory = tmp_path_factory.mktemp("home")
    (directory / "experiments").mkdir()
    (directory / "experiments" / "tiny.toml").write_text(TINY)
    patch = pytest.MonkeyPatch()
    patch.chdir(directory)
    patch.setenv("XDG_CACHE_HOME", str(directory / "cache"))
    made = CliRunner().invoke(cli.main, ["train", "tiny"])
    assert made.exit_code == 0, made.output
    yield directory
    patch.undo()


def call(*arguments):
    return CliRunner().invoke(cli.main, list(arguments))


@pytest.mark.slow
@pytest.mark.parametrize(
    "directory",
    sorted(path.parent for path in RUNS.glob("*/weights.safetensors")),
    ids=lambda path: path.name,
)
def test_committed_runs_load_and_are_as_accurate_as_they_say(directory):
    run, sample = runs.read(directory), data.load("sample")
    predicted = run.model().predict(sample.test.images, batch_size=500, verbose=0).argmax(axis=1)
    # A thousand images of the test split: three standard errors at 73% are four points.
    accuracy = float((predicted == sample.test.labels).mean())
    assert accuracy == pytest.approx(run.metrics["test"]["accuracy"], abs=0.04)


def test_committed_runs_are_found_from_anywhere_and_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert runs.load("baseline").directory == RUNS / "baseline"
    assert _store.find_record("classical") == RUNS / "records" / "classical.json"
    inside = list(_store.run_directories(start=RUNS.parent))
    assert inside.count(RUNS / "baseline") == 1


def test_a_run_keeps_heatmaps_of_the_first_image_of_each_class(home):
    run, sample = runs.load("tiny"), data.load("sample")
    indices, kept = run.heatmaps(sample)
    labels = sample.test.labels
    assert labels[indices].tolist() == list(range(10))
    assert all((labels[:place] != labels[place]).all() for place in indices)
    computed = explain.GradCAM(run.model())(sample.test.images[indices], labels[indices])
    np.testing.assert_allclose(kept, computed, rtol=1e-5, atol=1e-7)
    # Of another dataset the kept ones are not those that are meant.
    fewer = replace(sample, digest="other", test=Split(sample.test.images[50:], labels[50:]))
    elsewhere, maps = run.heatmaps(fewer)
    assert elsewhere.tolist() != indices.tolist()
    assert maps.shape == kept.shape


def test_a_trained_run_is_whole_and_says_what_was_measured(home):
    run = runs.load("tiny")
    assert run.directory == home / "runs" / "tiny-seed3-sample"
    sample = data.load("sample")
    predicted = run.model().predict(sample.test.images, batch_size=500, verbose=0)
    np.testing.assert_array_equal(predicted, run.predictions)
    accuracy = float((run.predictions.argmax(axis=1) == sample.test.labels).mean())
    assert run.metrics["test"]["accuracy"] == pytest.approx(accuracy)
    train = run.model().predict(sample.train.images, verbose=0).argmax(axis=1)
    assert run.metrics["train"]["accuracy"] == pytest.approx((train == sample.train.labels).mean())
    assert run.metrics["train_logged"]["accuracy"] == run.history["train_accuracy"][-1]
    assert run.fingerprint == run.experiment.fingerprint(sample.digest)
    assert run.provenance["versions"]["keras"]
    assert not list((home / "cache" / "cifarcam" / "checkpoints").glob("*.safetensors"))


def test_a_run_at_hand_is_not_trained_again_and_is_listed(home):
    again = call("train", "tiny")
    assert again.exit_code == 0
    assert "holds this run already" in again.output
    assert "tiny-seed3-sample" in call("runs").output


def test_a_run_of_another_seed_is_trained_where_none_is_found(home):
    run = runs.load("tiny", seed=5)
    assert run.directory == home / "cache" / "cifarcam" / "runs" / "tiny-seed5-sample"
    assert runs.load("tiny", seed=5).directory == run.directory


def test_changed_weights_and_half_runs_are_refused(home, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(home / "runs" / "tiny-seed3-sample", copy)
    weights = bytearray((copy / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(weights)
    with pytest.raises(CifarcamError, match=r"weights\.safetensors: damaged"):
        runs.read(copy).model()
    (copy / "metrics.json").unlink()
    with pytest.raises(CifarcamError, match=r"metrics\.json: cannot be read"):
        runs.read(copy)


def test_own_pictures_are_explained(home):
    generator = np.random.default_rng(1)
    Image.fromarray(generator.integers(0, 256, (90, 60, 3), dtype=np.uint8)).save("a.jpg")
    Image.fromarray(generator.integers(0, 256, (16, 16), dtype=np.uint8)).save("b.png")
    done = call("explain", "a.jpg", "b.png", "--run", "tiny", "--layer", "conv2", "-o", "out.png")
    assert done.exit_code == 0, done.output
    model = runs.load("tiny").model()
    pictures = np.stack([explain.read_picture(home / n, (32, 32)) for n in ("a.jpg", "b.png")])
    for name, row in zip(("a.jpg", "b.png"), model.predict(pictures, verbose=0), strict=True):
        assert f"{name}: {data.CLASS_NAMES[row.argmax()]} {row.max():.1%}" in done.output
    with Image.open("out.png") as drawn:
        assert min(drawn.size) > 300


def test_a_stranger_s_model_is_explained_in_one_command(home):
    keras.utils.set_random_seed(5)
    layers = keras.layers
    backbone = keras.Sequential(
        [keras.Input((24, 20, 1)), layers.Conv2D(4, 3, activation="relu", name="deep")],
        name="backbone",
    )
    inputs = keras.Input((24, 20, 1))
    pooled = layers.GlobalAveragePooling2D()(backbone(inputs))
    keras.Model(inputs, layers.Dense(3, activation="softmax")(pooled)).save("my.keras")
    (home / "labels.txt").write_text("ant\nbee\ncow\n")
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (50, 70, 3)).astype("uint8")).save(
        "own.png"
    )
    given = ["explain", "own.png", "--model", "my.keras", "--classes", "labels.txt"]
    done = call(*given, "--scale", "255", "--target", "bee", "-o", "own.svg")
    assert done.exit_code == 0, done.output
    grey = Image.fromarray(explain.read_picture(home / "own.png", (24, 20))).convert("L")
    row = explain.read_model(home / "my.keras").predict(
        np.asarray(grey)[None, ..., None] / 255, verbose=0
    )[0]
    assert f"own.png: {['ant', 'bee', 'cow'][row.argmax()]} {row.max():.1%}"[:18] in done.output
    assert (home / "own.svg").read_text().startswith("<?xml")
    for words, *wrong in (
        ("no class 'dog'; give 0 to 2, or one of ant, bee, cow", "--target", "dog"),
        ("no layer 'nosuch'", "--layer", "nosuch"),
        ("scale is 0.0", "--scale", "0"),
        ("own.png: not a model", "--model", "own.png"),
        ("none.keras: no such file", "--model", "none.keras"),
        ("2 class names for the model's 3", "--classes", "two.txt"),
    ):
        (home / "two.txt").write_text("a\nb\n")
        done = call(*given, *wrong)
        assert done.exit_code == 1
        assert words in done.output
        assert len(done.output.strip().splitlines()) == 1


def test_a_model_file_with_code_in_it_is_refused(home):
    layers = keras.layers
    keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Lambda(lambda x: x + 1), layers.Flatten(), layers.Dense(2)]
    ).save("code.keras")
    with pytest.raises(CifarcamError, match="not a model that Keras can read safely"):
        explain.read_model(home / "code.keras")


def test_the_help_lists_every_method(home):
    shown = call("explain", "--help").output
    assert all(f"  {name} " in shown for name in explain.METHODS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "nosuch"], "no experiment named 'nosuch'; there are"),
        (["train", "none.toml"], "none.toml: no such file"),
        (["explain", "none.png", "--run", "tiny"], "none.png: no such file"),
        (["explain", "none.png", "--method", "magic"], "'magic' is not one of grad-cam"),
        (["explain", "none.png", "-o", "out.gif"], "out.gif: give a name that ends in"),
        (["explain", "pic.png", "--run", "tiny", "--scale", "255"], "--scale is for a --model"),
        (["explain", "pic.png", "--run", "tiny", "--model", "x.keras"], "give one of them"),
        (["data", "--dataset", "mnist"], "'mnist' is not one of cifar10, sample"),
        (["data", "--from", "none.tar.gz"], "none.tar.gz: no such file"),
        (["measure", "magic"], "'magic' is not one of ablation"),
        (["report"], "not inside a checkout"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_a_failing_exit(home, arguments, words):
    (home / "pic.png").touch()
    done = call(*arguments)
    assert done.exit_code == 1
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A directory with a stranger's model, class names and picture."""
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(6)
    layers = keras.layers
    keras.Sequential(
        [
            keras.Input((None, None, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    ).save("my.keras")
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbf$$\r\nUS$ \xe7\x8a\xac\r\n" + b"c" * 5000)
    picture = np.random.default_rng(3).integers(0, 256, (48, 16, 3)).astype(np.uint8)
    Image.fromarray(picture).save("own.png")
    return tmp_path


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("name", ["explanation.png", "own.png", "./own.png", "link.png", "old.pdf"])
def test_a_user_s_file_is_not_replaced_by_the_figure(own, name):
    shutil.copy("own.png", "explanation.png")
    (own / "link.png").symlink_to("own.png")
    (own / "old.pdf").write_bytes(b"%PDF-1.7 somebody's own")
    before = contents(own)
    options = [] if name == "explanation.png" else ["-o", name]
    done = call("explain", "own.png", "explanation.png", "--model", "my.keras", *options)
    assert done.exit_code == 1
    assert len(done.output.strip().splitlines()) == 1
    assert contents(own) == before


def test_the_figure_replaces_an_older_one_of_ours(own):
    for classes in ([], ["--classes", "names.txt"]):
        done = call("explain", "own.png", "--model", "my.keras", *classes)
        assert done.exit_code == 0, done.output
    # Read as a picture, a figure of ours is a user's picture.
    before = contents(own)
    assert call("explain", "explanation.png", "--model", "my.keras").exit_code == 1
    assert contents(own) == before


@pytest.mark.slow
@pytest.mark.filterwarnings("error::UserWarning")  # a glyph that is missing
def test_names_of_any_kind_are_shown_in_the_figure_and_on_the_terminal(own):
    names = ["5$ or 6$.png", "x_$$_y.png", "$\\frac$.png", "new\nline.png", "\u732b.png"]
    names += ["caf\udce9.png", "e" * 200 + ".png"]
    for name in names:
        shutil.copy("own.png", name)
    for ending in ("png", "svg", "pdf"):
        command = ["explain", *names, "--model", "my.keras", "--classes", "names.txt"]
        done = call(*command, "--target", "$$", "-o", f"figure.{ending}")
        assert done.exit_code == 0, done.output
        lines = done.output.strip().splitlines()
        assert len(lines) == len(names) + 1
        assert lines[0].startswith("5$ or 6$.png: ")
        assert lines[3].startswith("new line.png: ")
        assert lines[5].startswith("caf\ufffd.png: ")
        assert all("$$ " in line and "US$ \u72ac" in line for line in lines[:-1])


def test_the_terminal_may_lack_letters(own):
    shutil.copy("own.png", "\u732b.png")
    command = ["explain", "\u732b.png", "--model", "my.keras"]
    done = CliRunner(charset="latin-1").invoke(cli.main, command)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("\\u732b.png: class ")


def test_a_hundred_pictures_make_a_figure_and_one_more_is_refused(own, monkeypatch):
    monkeypatch.setattr(figures, "MOST_ROWS", 2)
    given = ["own.png"] * 3 + ["--model", "my.keras"]
    assert call("explain", *given[1:]).exit_code == 0
    assert "give at most 2" in call("explain", *given).output


@pytest.mark.parametrize("name", ["/dev/zero", "pipe"])
@pytest.mark.parametrize("option", ["images", "--model", "--classes", "-o", "--from", "--runs"])
def test_devices_and_pipes_are_refused_and_never_waited_for(own, option, name):
    os.mkfifo("pipe")
    commands = {
        "images": ["explain", name, "--model", "my.keras"],
        "--from": ["data", "--from", name],
        "--runs": ["train", "baseline", "--runs", name],
    }
    explained = ["explain", "own.png", "--model", "my.keras", option, name]
    done = call(*commands.get(option, explained))
    assert done.exit_code == 1
    assert done.output == f"Error: {name}: a device or a pipe; give a file\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.ENOENT])
def test_what_the_system_refuses_is_told_and_our_own_faults_keep_their_traceback(
    own, monkeypatch, number
):
    def fail(*_):
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.setattr(data, "load", fail)
    done = call("data")
    assert done.exit_code == 1
    if number == errno.ENOENT:
        assert isinstance(done.exception, FileNotFoundError)
    else:
        assert done.output == f"Error: somewhere: {os.strerror(number)}\n"


def test_the_sample_is_told_of(home):
    done = call("data", "--dataset", "sample")
    assert "train         850 images" in done.output
    assert data.DIGESTS["sample"] in done.output
