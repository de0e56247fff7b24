"""The command line, from training to explaining a picture."""

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import matplotlib
import numpy as np
import pytest
from click.testing import CliRunner
from helpers import TINY
from PIL import Image

from cifarcam import _store, cli, data, explain, runs
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
    done = CliRunner().invoke(cli.main, ["train", "tiny"])
    assert done.exit_code == 0, done.output
    yield directory
    patch.undo()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*arguments):
    return CliRunner().invoke(cli.main, list(arguments))


@pytest.mark.slow
@pytest.mark.parametrize(
    "directory",
    sorted(path.parent for path in RUNS.glob("*/weights.safetensors")),
    ids=lambda path: path.name,
)
def test_committed_weights_give_the_committed_predictions(directory):
    run, images = runs.read(directory), data.load("sample").test.images[:64]
    logarithms = [
        np.log(np.maximum(probabilities.astype(np.float64), 1e-6))
        for probabilities in (run.model().predict(images, verbose=0), run.predictions)
    ]
    # The sample does not say which of the 10,000 test images its own are.
    differences = np.abs(logarithms[0][:, None] - logarithms[1]).max(axis=2)
    assert differences.min(axis=1).max() < 0.01


def test_committed_runs_are_looked_up_from_anywhere_and_listed_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert runs.load("baseline").directory == RUNS / "baseline"
    assert _store.find_record("classical") == RUNS / "records" / "classical.json"
    inside = list(_store.run_directories(start=RUNS.parent))
    assert inside.count(RUNS / "baseline") == 1


@pytest.mark.slow
def test_train_writes_a_whole_run_and_its_metrics(home):
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


@pytest.mark.slow
def test_train_keeps_a_run_that_exists_and_runs_lists_it(home):
    again = call("train", "tiny")
    assert again.exit_code == 0
    assert again.output.startswith("runs/tiny-seed3-sample is this run")
    assert "tiny-seed3-sample" in call("runs").output


@pytest.mark.slow
def test_load_trains_a_run_of_another_seed_in_the_cache(home):
    run = runs.load("tiny", seed=5)
    assert run.directory == home / "cache" / "cifarcam" / "runs" / "tiny-seed5-sample"
    assert runs.load("tiny", seed=5).directory == run.directory


@pytest.mark.slow
def test_read_refuses_changed_weights_and_incomplete_runs(home, tmp_path):
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


@pytest.mark.slow
def test_explain_explains_pictures_by_a_run(home):
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


def test_explain_explains_pictures_by_a_model_file(folder):
    keras.utils.set_random_seed(5)
    layers = keras.layers
    backbone = keras.Sequential(
        [keras.Input((24, 20, 1)), layers.Conv2D(4, 3, activation="relu", name="deep")],
        name="backbone",
    )
    inputs = keras.Input((24, 20, 1))
    pooled = layers.GlobalAveragePooling2D()(backbone(inputs))
    keras.Model(inputs, layers.Dense(3, activation="softmax")(pooled)).save("my.keras")
    (folder / "labels.txt").write_text("ant\nbee\ncow\n")
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (50, 70, 3)).astype("uint8")).save(
        "own.png"
    )
    command = ["explain", "own.png", "--model", "my.keras", "--classes", "labels.txt"]
    command += ["--input-range", "0,1"]
    done = call(*command, "--target", "bee", "-o", "own.svg")
    assert done.exit_code == 0, done.output
    grey = Image.fromarray(explain.read_picture(folder / "own.png", (24, 20))).convert("L")
    row = explain.read_model(folder / "my.keras").predict(
        np.asarray(grey)[None, ..., None] / 255, verbose=0
    )[0]
    assert f"own.png: {['ant', 'bee', 'cow'][row.argmax()]} {row.max():.1%}"[:18] in done.output
    assert (folder / "own.svg").read_text().startswith("<?xml")
    for words, *wrong in (
        ("no class 'dog'; give a number from 0 to 2, or a name: ant, bee, cow", "--target", "dog"),
        ("no layer 'nosuch'", "--layer", "nosuch"),
        ("input_range is (0.0, 0.0)", "--input-range", "0,0"),
        ("own.png: not a model", "--model", "own.png"),
        ("none.keras: no such file", "--model", "none.keras"),
        ("2 class names for the model's 3", "--classes", "two.txt"),
    ):
        (folder / "two.txt").write_text("a\nb\n")
        done = call(*command, *wrong)
        assert done.exit_code == 1
        assert words in done.output
        assert len(done.output.strip().splitlines()) == 1


def test_read_model_refuses_a_file_with_code_in_it(folder):
    layers = keras.layers
    keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Lambda(lambda x: x + 1), layers.Flatten(), layers.Dense(2)]
    ).save("code.keras")
    with pytest.raises(CifarcamError, match="not a model that Keras can read safely"):
        explain.read_model(folder / "code.keras")


def test_explain_help_lists_every_method():
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
        (["explain", "pic.png", "--input-range", "0,1"], "--input-range is for a --model"),
        (["explain", "pic.png", "--preprocess", "vgg16"], "--preprocess is for a --model"),
        (["explain", "pic.png", "--import", "layers"], "--import is for a --model"),
        (["explain", "pic.png", "--tokens", "2,2"], "--tokens is for a --model"),
        (["explain", "."], "pic.png: the file is empty"),
        (
            ["explain", "pic.png", "--run", "tiny", "--model", "x.keras"],
            "leave them out with --model",
        ),
        (["explain", "pic.png", "--runs", "none"], "none: no such directory"),
        (["runs", "--runs", "none"], "none: no such directory"),
        (["runs", "--runs", ".", "--clean"], "--runs is for the list of runs"),
        (["data", "--dataset", "mnist"], "'mnist' is not one of cifar10, sample"),
        (["data", "--from", "none.tar.gz"], "none.tar.gz: no such file"),
        (["measure", "magic"], "'magic' is not one of ablation"),
        (["report"], "not inside a checkout"),
    ],
)
def test_command_refuses_a_wrong_input_in_one_sentence(folder, arguments, words):
    (folder / "pic.png").touch()
    done = call(*arguments)
    assert done.exit_code == 1
    assert words in done.output
    assert len(done.output.strip().splitlines()) == 1


@pytest.fixture
def own(folder):
    """A working directory with a user's model, class names and picture."""
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
    (folder / "names.txt").write_bytes(b"\xef\xbb\xbf$$\r\nUS$ \xe7\x8a\xac\r\n" + b"c" * 5000)
    picture = np.random.default_rng(3).integers(0, 256, (48, 16, 3)).astype(np.uint8)
    Image.fromarray(picture).save("own.png")
    return folder


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("name", ["explanation.png", "own.png", "./own.png", "link.png", "old.pdf"])
def test_explain_does_not_replace_a_file_of_the_user(own, name):
    shutil.copy("own.png", "explanation.png")
    (own / "link.png").symlink_to("own.png")
    (own / "old.pdf").write_bytes(b"%PDF-1.7 somebody's own")
    before = contents(own)
    options = [] if name == "explanation.png" else ["-o", name]
    done = call("explain", "own.png", "explanation.png", "--model", "my.keras", *options)
    assert done.exit_code == 1
    assert len(done.output.strip().splitlines()) == 1
    assert contents(own) == before


def test_explain_replaces_an_older_figure_of_its_own(own):
    for classes in ([], ["--classes", "names.txt"]):
        done = call("explain", "own.png", "--model", "my.keras", *classes)
        assert done.exit_code == 0, done.output
    # As an input, a figure of ours is a picture of the user.
    before = contents(own)
    assert call("explain", "explanation.png", "--model", "my.keras").exit_code == 1
    assert contents(own) == before


@pytest.mark.slow
@pytest.mark.filterwarnings("error::UserWarning")  # a glyph that is missing
def test_explain_shows_names_of_any_kind_in_figure_and_terminal(own):
    names = ["5$ or 6$.png", "x_$$_y.png", "$\\frac$.png", "new\nline.png", "\u732b.png"]
    names += ["caf\udce9.png", "e" * 200 + ".png"]
    for name in names:
        shutil.copy("own.png", name)
    for ending in ("png", "svg", "pdf"):
        command = ["explain", *names, "--model", "my.keras", "--classes", "names.txt"]
        done = call(*command, "--target", "$$", "-o", f"figure.{ending}")
        assert done.exit_code == 0, done.output
        lines = done.output.strip().splitlines()
        assert len(lines) == len(names) + 2
        assert lines[0].startswith("5$ or 6$.png: ")
        assert lines[3].startswith("new line.png: ")
        assert lines[5].startswith("caf\ufffd.png: ")
        assert all("$$ " in line and "US$ \u72ac" in line for line in lines[:-2])


def test_explain_escapes_letters_that_the_terminal_lacks(own):
    shutil.copy("own.png", "\u732b.png")
    command = ["explain", "\u732b.png", "--model", "my.keras"]
    done = CliRunner(charset="latin-1").invoke(cli.main, command)
    assert done.exit_code == 0, done.output
    assert done.output.startswith("\\u732b.png: class ")


@pytest.mark.parametrize("name", ["/dev/zero", "pipe"])
@pytest.mark.parametrize("option", ["images", "--model", "--classes", "-o", "--from", "--runs"])
def test_command_refuses_devices_and_pipes_without_waiting_for_them(own, option, name):
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
def test_command_shows_errors_of_the_system_and_keeps_the_traceback_of_faults(
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


def test_data_prints_the_sample_s_splits_and_digest(folder):
    done = call("data", "--dataset", "sample")
    assert "train         850 images" in done.output
    assert data.DIGESTS["sample"] in done.output


@pytest.mark.slow
def test_runs_option_names_a_place_that_is_searched_first(home, tmp_path):
    shutil.copytree(home / "runs" / "tiny-seed3-sample", tmp_path / "copied")
    listed = call("runs", "--runs", str(tmp_path)).output.splitlines()
    assert listed[0].endswith(f"  {tmp_path / 'copied'}")
    assert any(line.endswith("runs/tiny-seed3-sample") for line in listed[1:])
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save("black.png")
    weights = tmp_path / "copied" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])  # so that reading this copy fails
    command = ["explain", "black.png", "--run", "tiny", "-o", "black-explained.png"]
    assert call(*command).exit_code == 0
    refused = call(*command, "--runs", str(tmp_path))
    assert refused.exit_code == 1
    assert f"{weights}: damaged" in refused.output


BASE = """
import sys
for name in {blocked!r}:
    sys.modules[name] = None
from click.testing import CliRunner
from cifarcam import cli
for command in {commands!r}:
    done = CliRunner().invoke(cli.main, command)
    print(done.exit_code, done.output.replace(chr(10), " / "))
"""
BLOCKED = [
    *("sklearn", "skimage", "pooch", "safetensors", "filelock", "tqdm", "pydantic", "grimp"),
    *(
        "seaborn",
        "pandas",
        "IPython",
        "papermill",
        "jupytext",
        "nbformat",
        "sphinx",
        "lime",
        "shap",
    ),
]


def without_extras(folder, commands):
    """What commands print, and how they exit, where only the base is installed."""
    script = BASE.format(blocked=BLOCKED, commands=commands)
    environment = os.environ | {"MPLCONFIGDIR": matplotlib.get_cachedir()}  # fonts are listed there
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.slow
def test_explain_of_a_model_file_needs_only_the_base_installation(own):
    command = ["explain", "own.png", "--model", "my.keras", "-o", "own.svg"]
    assert call(*command).exit_code == 0
    expected = (own / "own.svg").read_bytes()
    (own / "own.svg").unlink()
    helped, explained, listed = without_extras(own, [["--help"], command, ["explain", "--help"]])
    assert helped.startswith("0 Usage")
    assert re.fullmatch(r"0 own.png: class \d .*% / Grad-CAM .* / wrote own.svg / ", explained)
    assert (own / "own.svg").read_bytes() == expected
    assert all(f"  {name} " in listed for name in explain.METHODS)


@pytest.mark.slow
def test_command_without_its_extra_names_the_line_that_installs_it(own):
    extras = {
        "train": (["train", "baseline"], ["runs"], ["data"], ["measure", "list"]),
        "report": (["report"], ["colab", "owner/name"], ["claims"]),
    }
    commands = [command for group in extras.values() for command in group]
    lines = iter(without_extras(own, [*commands, ["explain", "own.png"]]))
    for extra, group in (*extras.items(), ("train", [["explain", "own.png"]])):
        for command in group:
            line = next(lines)
            assert line.startswith("1 Error: this needs "), (command, line)
            assert line.endswith(f"pip install 'cifarcam[{extra}]' / "), (command, line)
            assert line.count(" / ") == 1
