"""README, CONTRIBUTING and CHANGELOG: their numbers, and the files and commands that they name."""

import json
import re
import tomllib
from collections import defaultdict

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from helpers import ROOT
from PIL import Image

from cifarcam import cli, explain
from cifarcam.studies import inference

README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.S)
FILE = r"/|\.(md|py|toml|json|yml|txt|cff|ipynb|bib|pdf|png|jpg|keras)$"
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
# Files that are made by a command, or belong to the reader.
NOT_COMMITTED = {
    "cifarcam.pdf",
    "claims.json",
    "photo.jpg",
    "my.keras",
    "labels.txt",
    "out.png",
    ".venv",
}


def runs_of_experiments():
    """The directories of the committed runs, by experiment."""
    directories = defaultdict(list)
    for path in sorted((ROOT / "runs").glob("*/metrics.json")):
        directories[re.sub(r"-seed\d+$", "", path.parent.name)].append(path.parent)
    return directories


def read(directory, name):
    return json.loads((directory / name).read_text())


def interval_text(accuracies):
    effect = inference.over_seeds(accuracies, "%")
    return f"{effect.value:.2f} ± {effect.high - effect.value:.2f}"


def result_rows():
    """The rows of the README's table of results, the highest mean accuracy first.

    Experiments with a single run are left out: their order could change with the seed.
    """
    rows = {}
    for name, directories in runs_of_experiments().items():
        if len(directories) == 1:
            continue
        accuracies = [100 * read(d, "metrics.json")["test"]["accuracy"] for d in directories]
        stories = [read(directory, "provenance.json") for directory in directories]
        minutes = min(story["training_seconds"] for story in stories) / 60
        place = "GPU" if stories[0]["kind"] == "GPU" else f"two cores, {minutes:.0f} minutes"
        cells = [
            f"`{name}`",
            str(len(directories)),
            interval_text(accuracies),
            f"{stories[0]['parameters']:,}",
            place,
        ]
        rows[f"| {' | '.join(cells)} |"] = np.mean(accuracies)
    return sorted(rows, key=rows.get, reverse=True)


def augmented_accuracy():
    directories = runs_of_experiments()["speedrun"]
    return interval_text(
        [100 * read(d, "metrics.json")["test_augmented"]["accuracy"] for d in directories]
    )


def table(heading):
    """The rows under a heading of the README."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def test_readme_results_are_those_of_the_committed_runs():
    assert table("Results") == result_rows()
    assert f"it reaches {augmented_accuracy()}%" in " ".join(README.split())


def test_readme_lists_the_methods_of_the_registry():
    assert table("Explain your own model") == [
        f"| `{name}` | {method.__doc__.splitlines()[0]} | {method.reference} | {method.cost} |"
        for name, method in explain.METHODS.items()
    ]
    nulls = [m for m in explain.METHODS.values() if m.reference == "null baseline"]
    assert f"classifier: {len(explain.METHODS) - len(nulls)} methods" in README
    assert len(nulls) == 2 and "with two null baselines" in README


def test_readme_lists_the_extras_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [re.match(r"\| `(\w+)`", line)[1] for line in table("Install")]
    assert extras == list(project["optional-dependencies"])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_names_files_that_exist(name):
    text = (ROOT / name).read_text()
    prose = re.sub(r"(?s)```.*?```", "", text)
    paths = set(re.findall(r"\]\(([^)#]+)\)", prose))
    # Code in the text that is a path: with a slash, or with a file's ending.
    for code in re.findall(r"`([^`\n]+)`", prose):
        if re.fullmatch(r"[\w-][\w./-]*", code) and re.search(FILE, code):
            paths.add(code)
    paths = {path for path in paths if "://" not in path and "NAME" not in path}
    assert {p for p in paths - NOT_COMMITTED if not (ROOT / p).exists()} == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_document_names_commands_that_exist(name):
    text = (ROOT / name).read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^)make (\w+)", text, re.M):
        assert re.search(rf"(?m)^{target}:", makefile), target
    for command in re.findall(r"(?:`|^)cifarcam (\w+)", text, re.M):
        assert CliRunner().invoke(cli.main, [command, "--help"]).exit_code == 0, command


def test_changelog_begins_with_what_is_unreleased_and_names_the_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    headings = re.findall(r"(?m)^## (.+)$", (ROOT / "CHANGELOG.md").read_text())
    assert headings[0] == "Unreleased"
    assert headings[1].startswith(f"{project['version']} – ")


def test_readme_example_lays_the_heatmap_over_the_photograph(tmp_path, monkeypatch):
    """The score is the mean of the red channel, whose Grad-CAM map is the red channel itself."""
    monkeypatch.chdir(tmp_path)
    model = keras.Sequential(
        [
            keras.Input((224, 224, 3)),
            keras.layers.Conv2D(1, 1, use_bias=False),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, "softmax"),
        ]
    )
    red = np.reshape([1.0, 0.0, 0.0], (1, 1, 3, 1))
    model.set_weights([red, np.array([[1.0, -1.0]]), np.zeros(2)])
    model.save("my.keras")
    photograph = np.zeros((448, 448, 3), np.uint8)
    photograph[:, 224:] = 255  # white on the right, where the map has its maximum
    Image.fromarray(photograph).save("photo.jpg")
    exec(compile(EXAMPLES[0], "README.md", "exec"), {})
    drawn = np.asarray(Image.open("overlay.png"))
    assert drawn.shape == (224, 224, 3)
    assert (drawn[:, :104] == 0).all()
    # The highest colour of Viridis, red 253, green 231 and blue 37, at an opacity of 0.65.
    assert (drawn[:, 120:] == [254, 239, 113]).all()


@pytest.mark.slow
def test_readme_example_draws_the_picture_above_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(EXAMPLES[1], "README.md", "exec"), {})
    drawn = np.asarray(Image.open("explanation.png").convert("RGB"), float)
    shown = np.asarray(Image.open(ROOT / "book/_static/explanation.png").convert("RGB"), float)
    assert drawn.shape == shown.shape
    assert np.abs(drawn - shown).mean() < 2
