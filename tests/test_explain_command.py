"""`cifarcam explain` for many pictures: ranges, folders, overlays, JSON, contrast, own layers."""

import json
import sys

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cifarcam import cli, explain, figures, pretrained
from cifarcam.cli import _explain, _outputs
from cifarcam.errors import CifarcamError
from cifarcam.explain import pictures

LAYERS = """
import keras
class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs
"""


def call(*arguments):
    return CliRunner().invoke(cli.main, ["explain", *arguments])


def refused(*arguments):
    done = call(*arguments)
    assert done.exit_code == 1, done.output
    (line,) = done.output.strip().splitlines()
    return line


def network(*lead, size=(16, 16, 3), before=()):
    keras.utils.set_random_seed(7)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(size),
            *lead,
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            *before,
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory with a folder of pictures, and models with and without a known range."""
    monkeypatch.chdir(tmp_path)
    network(keras.layers.Rescaling(1 / 255)).save("my.keras")
    network().save("bare.keras")
    (tmp_path / "pictures").mkdir()
    rng = np.random.default_rng(3)
    for name, shape in (("b.png", (16, 16)), ("a.jpg", (40, 30)), ("a.png", (20, 50))):
        pixels = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pictures" / name)
    return tmp_path


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(*arguments):
    done = call(*arguments, "--json", "-")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)["pictures"]


def test_json_has_the_numbers_of_each_picture_of_a_folder(place):
    model = explain.read_model(place / "my.keras")
    explainer = explain.LayerCAM(model)
    numbers = rows("pictures", "--model", "my.keras", "--method", "layer-cam")
    assert [row["name"] for row in numbers] == ["a.jpg", "a.png", "b.png"]
    for row in numbers:
        picture = explain.read_picture(place / row["file"], (16, 16))[None].astype(np.float32)
        probabilities = model.predict(picture, verbose=0)[0]
        order = np.argsort(-probabilities)
        assert [top["class"] for top in row["top"]] == [f"class {k}" for k in order]
        shares = [top["probability"] for top in row["top"]]
        np.testing.assert_allclose(shares, probabilities[order], rtol=1e-4)
        heatmap = explainer(picture)[0]
        assert row["heatmap"]["sum"] == pytest.approx(heatmap.sum(), rel=1e-4)
        assert row["heatmap"]["maximum"] == pytest.approx(heatmap.max(), rel=1e-4)
        assert row["heatmap"]["is_zero"] == (not heatmap.any())
        assert row["target"] == f"class {order[0]}"
        assert row["against"] is None
        assert (row["method"], row["layers"]) == ("layer-cam", ["conv"])
        assert row["input_range"] == {"black": [0.0] * 3, "white": [255.0] * 3}
    assert sorted(path.name for path in place.iterdir()) == ["bare.keras", "my.keras", "pictures"]


def test_json_alone_is_printed_and_the_sentences_go_to_stderr(place):
    done = call("pictures/b.png", "--model", "my.keras", "--json", "-")
    json.loads(done.stdout)
    assert "b.png: class " in done.stderr
    assert "Grad-CAM of layer conv, the default; black to white is 0 to 255, from layer" in (
        done.stderr
    )
    chosen = call("pictures/b.png", "--model", "my.keras", "--layer", "conv", "--json", "n.json")
    assert "Grad-CAM of layer conv; black" in chosen.output
    assert not (place / "explanation.png").exists()


@pytest.mark.slow
def test_range_of_a_bare_model_has_to_be_given(place):
    words = refused("pictures", "--model", "bare.keras")
    assert "--input-range" in words and "--preprocess" in words
    model = explain.read_model(place / "bare.keras")
    picture = explain.read_picture(place / "pictures" / "b.png", (16, 16))[None].astype(np.float32)
    own = keras.applications.resnet50.preprocess_input
    for options, images in (
        (["--input-range", "0,1"], picture / 255),
        (["--input-range", "-1,1"], picture / 127.5 - 1),
        (["--input-range", "0,0,-1:1,1,1"], picture / [255, 255, 127.5] - [0, 0, 1]),
        (["--preprocess", "mobilenet_v2"], picture / 127.5 - 1),
        (["--preprocess", "resnet50"], own(picture.copy())),
    ):
        (row,) = rows("pictures/b.png", "--model", "bare.keras", *options)
        expected = model.predict(np.asarray(images, np.float32), verbose=0)[0].max()
        assert row["top"][0]["probability"] == pytest.approx(expected, rel=1e-4), options
    both = ["--input-range", "0,1", "--preprocess", "resnet50"]
    assert "leave out --input-range" in refused("pictures", "--model", "bare.keras", *both)


def test_overlays_are_written_under_names_of_their_own(place):
    done = call("pictures", "--model", "my.keras", "--overlay-only", "-o", "out/deep")
    assert done.exit_code == 0, done.output
    names = ["a-overlay.png", "a-overlay-2.png", "b-overlay.png"]
    assert {path.name for path in (place / "out" / "deep").iterdir()} == set(names)
    explainer = explain.GradCAM(explain.read_model(place / "my.keras"))
    for name, file in zip(names, ("a.jpg", "a.png", "b.png"), strict=True):
        picture = explain.read_picture(place / "pictures" / file, (16, 16))
        with Image.open(place / "out" / "deep" / name) as image:
            expected = explain.overlay(picture, explainer(picture[None])[0])
            assert np.abs(np.asarray(image).astype(int) - expected).max() <= 1
    # A second call replaces them, and does not take them for pictures of the user.
    for _ in range(2):
        done = call("pictures", "--model", "my.keras", "--overlay-only", "-o", "pictures")
        assert done.exit_code == 0, done.output
        assert len(list((place / "pictures").iterdir())) == 6


def test_overlays_of_names_that_differ_in_case_alone_do_not_meet(place):
    accent = "caf\u00e9", "cafe\u0301"  # one name to a file system that composes letters
    names = _outputs.overlay_names([_outputs.Path(f"{n}.jpg") for n in ("Cat", "cat", *accent)])
    assert names[:2] == ["Cat-overlay.png", "cat-overlay-2.png"]
    assert names[2:] == [f"{accent[0]}-overlay.png", f"{accent[1]}-overlay-2.png"]
    (place / "pictures" / "A.bmp").write_bytes((place / "pictures" / "b.png").read_bytes())
    done = call("pictures", "--model", "my.keras", "--overlay-only")
    assert done.exit_code == 0, done.output
    written = {path.name.lower() for path in (place / "overlays").iterdir()}
    assert len(written) == 4


def test_outputs_of_one_call_do_not_replace_each_other(place):
    before = everything(place)
    model = ["pictures/b.png", "--model", "my.keras"]
    (place / "link").symlink_to(place, target_is_directory=True)
    for name in ("x.png", "./x.png", "X.PNG", "link/x.png"):
        words = refused(*model, "-o", "x.png", "--json", name)
        assert "would replace x.png" in words and "another name" in words
    words = refused(*model, "--overlay-only", "-o", "out", "--json", "out/b-overlay.png")
    assert "would replace out/b-overlay.png" in words
    (place / "link").unlink()
    assert everything(place) == before
    assert call(*model, "-o", "x.png", "--json", "x.json").exit_code == 0


def test_large_pictures_are_scaled_down_for_a_model_of_any_size(place, monkeypatch):
    network(keras.layers.Rescaling(1 / 255), size=(None, None, 3)).save("any.keras")
    monkeypatch.setattr(pictures, "MOST_PIXELS", 600)
    done = call("pictures", "--model", "any.keras", "--overlay-only")
    assert done.exit_code == 0, done.output
    assert "a.jpg: scaled down from 30 x 40 to 21 x 28 pixels" in done.output
    assert "a.png: scaled down from 50 x 20 to 38 x 15 pixels" in done.output
    assert done.output.count("scaled down") == 2
    sizes = {}
    for path in (place / "overlays").iterdir():
        with Image.open(path) as image:
            sizes[path.name] = image.size
    assert sizes == {
        "a-overlay.png": (21, 28),
        "a-overlay-2.png": (38, 15),
        "b-overlay.png": (16, 16),
    }
    fixed = call("pictures", "--model", "my.keras", "--json", "-")
    assert "scaled down" not in fixed.stderr


def test_open_side_of_a_model_follows_from_the_picture(place):
    network(keras.layers.Rescaling(1 / 255), size=(16, None, 3)).save("wide.keras")
    done = call("pictures", "--model", "wide.keras", "--overlay-only")
    assert done.exit_code == 0, done.output
    for name, file, width in (("a-overlay", "a.jpg", 12), ("a-overlay-2", "a.png", 40)):
        assert explain.read_picture(f"pictures/{file}", (16, width)).shape == (16, width, 3)
        with Image.open(f"overlays/{name}.png") as image:
            assert image.size == (width, 16)


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_number_without_a_sigmoid_is_said_to_count_as_a_logit(place, activation):
    model = network(keras.layers.Rescaling(1 / 255))
    head = keras.layers.Dense(1, activation=activation)
    keras.Model(model.inputs, head(model.layers[-2].output)).save("one.keras")
    (place / "names.txt").write_text("cheap\ndear\n")
    done = call("pictures/b.png", "--model", "one.keras", "--classes", "names.txt")
    assert done.exit_code == 0, done.output
    words = "the model's one number counts as the logit of dear against cheap; if it is a quantity"
    assert (words in done.output) == (activation is None)


def test_sheet_of_an_earlier_call_in_the_folder_is_no_picture(place):
    for _ in range(2):
        done = call("pictures", "--model", "my.keras", "-o", "pictures/sheet.png")
        assert done.exit_code == 0, done.output
        assert len(done.output.splitlines()) == 3 + 2


def test_damaged_picture_leaves_no_sheet_or_numbers_and_whole_overlays_of_those_before_it(
    place, monkeypatch
):
    monkeypatch.setattr(_explain, "AT_A_TIME", 2)
    assert call("pictures", "--model", "my.keras", "--overlay-only", "-o", "whole").exit_code == 0
    (place / "pictures" / "aa.png").write_bytes(b"no picture")
    before = everything(place)
    for options in (["--json", "n.json"], ["-o", "sheet.png"]):
        assert "aa.png: not a picture" in refused("pictures", "--model", "my.keras", *options)
        assert everything(place) == before
    assert "aa.png: not a picture" in refused("pictures", "--model", "my.keras", "--overlay-only")
    names = ["a-overlay-2.png", "a-overlay.png"]
    assert sorted(path.name for path in (place / "overlays").iterdir()) == names
    for name in names:
        expected = (place / "whole" / name).read_bytes()
        assert (place / "overlays" / name).read_bytes() == expected


def test_files_of_the_user_are_not_replaced(place):
    (place / "n.json").write_text('{"mine": 1}')
    (place / "overlays").mkdir()
    (place / "overlays" / "b-overlay.png").write_bytes(b"mine")
    (place / "file").write_text("mine")
    before = everything(place)
    model = ["pictures", "--model", "my.keras"]
    assert "was not written by cifarcam" in refused(*model, "--json", "n.json")
    assert "was not written by cifarcam" in refused(*model, "--overlay-only")
    assert "file: a file; with --overlay-only" in refused(*model, "--overlay-only", "-o", "file")
    assert "a folder or a link" in refused(*model, "--json", "pictures")
    assert "cannot be written to" in refused(*model, "--json", "file/n.json", "-o", "sheet.png")
    assert everything(place) == before
    for _ in range(2):  # its own file is replaced
        assert call("pictures", "--model", "my.keras", "--json", "ours.json").exit_code == 0
    assert len(json.loads((place / "ours.json").read_text())["pictures"]) == 3


def test_sheet_of_too_many_pictures_is_refused_and_the_other_outputs_are_not(place, monkeypatch):
    monkeypatch.setattr(figures, "MOST_ROWS", 2)
    words = refused("pictures", "--model", "my.keras")
    assert "3 pictures" in words and "--overlay-only" in words and "--json" in words
    assert len(rows("pictures", "--model", "my.keras")) == 3
    assert call("pictures/a.jpg", "pictures/b.png", "--model", "my.keras").exit_code == 0


@pytest.mark.slow
def test_contrast_changes_the_map(place):
    (place / "names.txt").write_text("ant\nbee\ncow\n")
    base = ["pictures/b.png", "--model", "my.keras", "--classes", "names.txt", "--target", "ant"]
    (plain,), (rival,) = rows(*base), rows(*base, "--against", "cow")
    assert (rival["target"], rival["against"]) == ("ant", "cow")
    explainer = explain.GradCAM(explain.read_model(place / "my.keras"))
    picture = explain.read_picture(place / "pictures" / "b.png", (16, 16))[None]
    expected = explainer(picture, 0, against=2)[0].sum()
    assert rival["heatmap"]["sum"] == pytest.approx(expected, rel=1e-4, abs=1e-9)
    assert rival["heatmap"]["sum"] != plain["heatmap"]["sum"]
    assert "against itself" in refused(*base, "--against", "ant")
    assert "there is no class 'dog'" in refused(*base, "--against", "dog")
    assert call(*base, "--against", "2", "-o", "sheet.svg").exit_code == 0


def test_layers_of_one_s_own_are_imported_from_the_working_directory(place, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    (place / "layers_of_mine.py").write_text(LAYERS)
    objects = explain.module_objects("layers_of_mine")
    network(keras.layers.Rescaling(1 / 255), before=[objects["Doubled"]()]).save("own.keras")
    words = refused("pictures/b.png", "--model", "own.keras")
    assert "'Doubled'" in words and "--import MODULE" in words
    (row,) = rows("pictures/b.png", "--model", "own.keras", "--import", "layers_of_mine")
    picture = explain.read_picture(place / "pictures" / "b.png", (16, 16))[None].astype(np.float32)
    expected = explain.read_model(place / "own.keras", objects).predict(picture, verbose=0).max()
    assert row["top"][0]["probability"] == pytest.approx(expected, rel=1e-4)
    words = refused("pictures/b.png", "--model", "own.keras", "--import", "layers_of_nobody")
    assert "No module named 'layers_of_nobody'" in words


def test_layers_that_a_package_takes_from_its_own_modules_are_imported(place, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    package = place / "package_of_mine"
    package.mkdir()
    (package / "deep.py").write_text(LAYERS)
    (package / "__init__.py").write_text(
        "from pathlib import Path\nimport keras\nfrom keras.layers import Dense\n"
        "from package_of_mine.deep import Doubled\ndef own(x): return x\n"
    )
    objects = explain.module_objects("package_of_mine")
    assert set(objects) == {"Doubled", "own"}
    network(keras.layers.Rescaling(1 / 255), before=[objects["Doubled"]()]).save("own.keras")
    done = call("pictures/b.png", "--model", "own.keras", "--import", "package_of_mine")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("name", ["layers.py", "my layers", "", "a..b"])
def test_refused_name_of_a_module_leaves_the_search_path_as_it_is(place, monkeypatch, name):
    before = [path for path in sys.path if path != str(place)]
    monkeypatch.setattr(sys, "path", [*before])
    with pytest.raises(CifarcamError, match="not the name of a module"):
        explain.module_objects(name)
    assert sys.path == before


def test_names_of_files_may_be_texts(place):
    (place / "names.txt").write_text("ant\nbee\ncow\n")
    model = explain.read_model("my.keras")
    names = explain.class_names(explain.Classifier(model), "names.txt")
    assert names == ["ant", "bee", "cow"]
    files = explain.picture_files(["pictures", "pictures/b.png"])
    assert [file.name for file in files] == ["a.jpg", "a.png", "b.png", "b.png"]
    assert explain.read_picture("pictures/b.png", (4, 5)).shape == (4, 5, 3)
    with pytest.raises(CifarcamError, match=r"none\.keras: no such file"):
        explain.read_model("none.keras")


@pytest.mark.parametrize("text", ["", "4", "4,a", "4,4,4", "-1,4", "99999,1"])
def test_tokens_are_rows_and_columns(place, text):
    words = refused("pictures/b.png", "--model", "my.keras", "--tokens", text)
    assert "give ROWS,COLUMNS" in words


@pytest.mark.parametrize(("method", "positions"), [("grad-cam", [0]), ("score-cam", [0, 1, 2])])
def test_progress_is_shown_on_a_terminal_only(place, monkeypatch, method, positions):
    command = ["pictures", "--model", "my.keras", "--method", method]
    assert "explaining" not in call(*command).stderr

    class Terminal:
        def __init__(self, stream):
            self.stream = stream

        def isatty(self):
            return True

        def __getattr__(self, name):
            return getattr(self.stream, name)

    bars = []
    original = _explain.click.progressbar

    def progressbar(**options):
        bars.append(original(**options))
        return bars[-1]

    monkeypatch.setattr(_explain.click, "progressbar", progressbar)
    places = []
    pictures_explained = explain.explain_pictures
    monkeypatch.setattr(
        explain,
        "explain_pictures",
        lambda *args, **options: places.append(bars[0].pos) or pictures_explained(*args, **options),
    )
    monkeypatch.setattr(_explain, "sys", type("S", (), {"stderr": Terminal(sys.stderr)}))
    assert call(*command).exit_code == 0
    (bar,) = bars
    assert places == positions  # a slow method moves it on after each picture
    assert (bar.length, bar.pos, bar.finished) == (3, 3, True)


def test_imagenet_is_a_run_of_its_own(place, monkeypatch):
    model = network(keras.layers.Rescaling(1 / 255))
    monkeypatch.setattr(pretrained, "imagenet", lambda: pretrained.Network(model, "Some network"))
    monkeypatch.setattr(pretrained, "class_names", lambda: ["tench", "shark", "ray"])
    done = call("pictures/b.png", "--run", "imagenet", "-o", "sheet.png")
    assert done.exit_code == 0, done.output
    picture = explain.read_picture(place / "pictures" / "b.png", (16, 16))[None]
    row = model.predict(picture, verbose=0)[0]
    assert f"b.png: {['tench', 'shark', 'ray'][row.argmax()]} {row.max():.1%}" in done.output
    assert "black to white is 0 to 255, of Some network" in done.output
