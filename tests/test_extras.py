"""Each part of the package imports with its own extra alone, and says which extra it lacks."""

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib

import pytest
from helpers import ROOT
from PIL import Image

from cifarcam import _closure

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# The part's modules, and the extra that they need beyond the base.
PARTS = {
    "explain": None,
    "explain.metrics": None,
    "figures": None,
    "errors": None,
    "cli": None,
    "models": None,
    "pretrained": None,
    "data": "train",
    "data.quality": "train",
    "evaluation": "train",
    "pretrained.resnet18": "train",
    "training": "train",
    "runs": "train",
    "export": "train",
    "sweeps": "train",
    "studies.ablation": "train",
    "studies.records": "train",
    "studies.heatmaps": "train",
    "studies.faithfulness": "train",
    "studies.exports": "train",
    "report": "report",
    "report.gallery": "report",
    "publish.chapters": "report",
    "publish.sphinx_ext": "report",
}
ALONE = ("explain", "explain.metrics")  # imports no other part
PROVIDED = importlib.metadata.packages_distributions()


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(extra):
    """The distributions that an extra names, extras within it followed."""
    listed = set()
    for line in EXTRAS[extra] if extra else PROJECT["dependencies"]:
        name = normalised(re.match(r"[\w.-]+", line)[0])
        inner = re.match(r"cifarcam\[(.*?)\]", line)
        listed |= set().union(*map(distributions, inner[1].split(","))) if inner else {name}
    return listed


def modules(names):
    """The names by which distributions are imported."""
    return {
        module
        for module, owners in PROVIDED.items()
        if names & {normalised(owner) for owner in owners}
    }


# Blocked for the import system, as if not installed: `sys.modules[name] = None` breaks SciPy.
BLOCK = """
import importlib, importlib.machinery, json, sys
finder = importlib.machinery.PathFinder
find_spec = finder.find_spec
def visible(name, *rest):
    return None if name.partition(".")[0] in BLOCKED else find_spec(name, *rest)
finder.find_spec = visible
said = {}
for part in PARTS:
    try:
        importlib.import_module(f"cifarcam.{part}")
    except Exception as error:
        said[part] = f"{type(error).__name__}: {error}"
THEN
print(json.dumps([said, [name for name in sys.modules if name.startswith("cifarcam.")]]))
"""


def importing(parts, blocked, then=""):
    """What importing some parts in one process raises, by part, and the modules it has then.

    `then` is code that runs last; it may use `said`, by part, for more.
    """
    script = BLOCK.replace("BLOCKED", repr(sorted(blocked))).replace("PARTS", repr(list(parts)))
    script = script.replace("THEN", then)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def required(names):
    """Some distributions and all that they require."""
    waiting, seen = list(names), set()
    while waiting:
        name = normalised(waiting.pop())
        if name not in seen:
            seen.add(name)
            waiting += _closure._required(name) or ()
    return seen


def beyond(extra):
    """What only other extras install."""
    own = required(distributions(None) | (distributions(extra) if extra else set()))
    return modules(set().union(*map(distributions, EXTRAS)) - own)


@pytest.mark.slow
@pytest.mark.parametrize("extra", dict.fromkeys(PARTS.values()))
def test_parts_import_with_their_own_extra_alone(extra):
    parts = [part for part, own in PARTS.items() if own == extra and part not in ALONE]
    assert importing(parts, beyond(extra))[0] == {}


@pytest.mark.slow
def test_explainer_imports_no_other_part():
    said, names = importing(ALONE, beyond(None))
    assert said == {}
    assert {name.split(".")[1] for name in names} == {"explain", "errors"}


# A small network in the place of EfficientNet-Lite0; where ResNet-18 comes from stays as it is.
EXPLAINED = """
import keras
from click.testing import CliRunner
from cifarcam import cli
from cifarcam.pretrained import networks
image = keras.Input((32, 32, 3))
x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(image))
x = keras.layers.Dense(1000, "softmax")(keras.layers.GlobalAveragePooling2D()(x))
source = networks.Source(lambda: False, lambda: keras.Model(image, x))
networks.NETWORKS = dict(networks.NETWORKS) | {"EfficientNet-Lite0": source}
options = ["PHOTO", "--run", "imagenet", "-o", "SHEET"]
said["imagenet"] = CliRunner().invoke(cli.main, ["explain", *options]).output
said["baseline"] = CliRunner().invoke(cli.main, ["explain", "PHOTO"]).output
"""


@pytest.mark.slow
def test_base_explains_a_photograph_by_a_network_of_imagenet(tmp_path):
    photo, sheet = tmp_path / "photo.png", tmp_path / "sheet.png"
    Image.new("RGB", (40, 30), "red").save(photo)
    then = EXPLAINED.replace("PHOTO", str(photo)).replace("SHEET", str(sheet))
    said, _ = importing([], beyond(None), then)
    assert "the network is EfficientNet-Lite0, trained on ImageNet by others" in said["imagenet"]
    assert f"wrote {sheet}" in said["imagenet"]
    assert sheet.is_file()
    assert said["baseline"].strip().endswith("pip install 'cifarcam[train]'")


@pytest.mark.slow
def test_parts_without_their_extra_name_the_line_that_installs_it():
    parts = [part for part, extra in PARTS.items() if extra]
    said, _ = importing(parts, beyond(None))
    assert said.keys() == set(parts)
    for part in parts:
        assert said[part].startswith("MissingExtra: "), said[part]
        assert said[part].endswith(f"pip install 'cifarcam[{PARTS[part]}]'")


def test_every_foreign_import_is_declared():
    """What the package imports is in its own dependencies, not only in those of others."""
    declared = modules(distributions(None).union(*map(distributions, EXTRAS)))
    used = set()
    for path in (ROOT / "cifarcam").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                used |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                used.add(node.module.partition(".")[0])
    assert used - declared - set(sys.stdlib_module_names) - {"cifarcam"} == set()


def test_every_dependency_of_an_extra_is_imported():
    """Nothing is declared that no module, command or build needs."""
    text = "\n".join(
        path.read_text()
        for pattern in ("cifarcam/**/*.py", "notebooks/*.md", "book/_config.yml", "Makefile")
        for path in ROOT.glob(pattern)
    )
    # Commands that `make` and papermill call.
    elsewhere = {"jupyter-book", "ipykernel", "cifarcam"}
    for name in set().union(*map(distributions, EXTRAS)) - elsewhere:
        names = modules({name})
        assert any(re.search(rf"\b{module}\b", text) for module in names), name
