"""The wheel, really built and installed: what a stranger gets who wants one heatmap."""

import re
import subprocess
import sys
import tomllib
import zipfile
from functools import partial
from pathlib import Path

import helpers
import pytest
from helpers import ROOT, tracked_files

LARGEST = 6 * 10**6  # bytes
UV = Path(sys.executable).parent / "uv"
# Nothing of the checkout may be found by way of PYTHONPATH.
call = partial(helpers.call, PYTHONPATH="")

MODEL = """
import keras
image = keras.Input((48, 48, 3))
x = keras.layers.Rescaling(1 / 255)(image)
x = keras.layers.Conv2D(4, 3, activation="relu")(x)
x = keras.layers.GlobalAveragePooling2D()(x)
keras.Model(image, keras.layers.Dense(3, activation="softmax")(x)).save("my.keras")
from PIL import Image
Image.linear_gradient("L").convert("RGB").save("photo.jpg")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dist")
    # As `python -m build`, with the faster of its two installers.
    call(sys.executable, "-m", "build", "--installer", "uv", "--outdir", directory, ROOT, cwd=ROOT)
    (path,) = directory.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def stranger(wheel, tmp_path_factory):
    """A directory outside the checkout, with an environment that holds the base wheel alone."""
    directory = tmp_path_factory.mktemp("stranger")
    python = directory / "venv" / "bin" / "python"
    call(UV, "venv", "-q", "--python", sys.executable, directory / "venv", cwd=directory)
    lock = directory / "lock.txt"  # the versions alone: constraints have no hashes
    lines = re.findall(r"^[\w.-]+==[^\\\n]+", (ROOT / "requirements.txt").read_text(), re.M)
    lock.write_text("\n".join(line.strip() for line in lines))
    call(UV, "pip", "install", "-q", "--python", python, wheel, "-c", lock, cwd=directory)
    call(python, "-c", MODEL, cwd=directory)
    return directory


@pytest.mark.slow
def test_wheel_holds_code_experiments_and_sample_alone(wheel):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        f"cifarcam/{name.removeprefix('cifarcam/')}"
        for name in tracked_files()
        if name.partition("/")[0] in ("cifarcam", "experiments") and (ROOT / name).exists()
    }
    assert inside == expected
    assert wheel.stat().st_size <= LARGEST


@pytest.mark.slow
@pytest.mark.network
def test_stranger_explains_a_photo_with_the_base_wheel_alone(stranger):
    said = call(
        stranger / "venv" / "bin" / "cifarcam", "explain", "photo.jpg", "--model", "my.keras",
        cwd=stranger, XDG_CACHE_HOME=str(stranger / "cache"),
    ).stdout  # fmt: skip
    assert said.startswith("photo.jpg: class ")
    assert (stranger / "explanation.png").read_bytes().startswith(b"\x89PNG")
    installed = call(
        UV, "pip", "list", "--python", stranger / "venv" / "bin" / "python", cwd=stranger
    )
    names = {line.split()[0] for line in installed.stdout.splitlines()[2:]}
    assert not {"sphinx", "jupyter-book", "papermill", "scikit-learn", "seaborn", "lime"} & names


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["train", "baseline"], "train"),
        (["data"], "train"),
        (["runs"], "train"),
        (["measure", "list"], "train"),
        (["report"], "report"),
        (["explain", "photo.jpg"], "train"),  # of a run
    ],
)
def test_stranger_is_given_the_line_that_installs_what_is_missing(stranger, words, extra):
    done = subprocess.run(
        [stranger / "venv" / "bin" / "cifarcam", *words],
        cwd=stranger,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: "), done.stderr
    assert done.stderr.rstrip().endswith(f"pip install 'cifarcam[{extra}]'")


@pytest.mark.slow
@pytest.mark.network
def test_lowest_versions_resolve():
    """The bounds in pyproject.toml go together: every direct dependency at its lowest."""
    resolved = call(
        UV, "pip", "compile", "-q", "--resolution", "lowest-direct", "--extra", "all",
        "--python-version", "3.11", ROOT / "pyproject.toml", cwd=ROOT,
    ).stdout  # fmt: skip
    versions = dict(re.findall(r"^([\w.-]+)==(\S+)", resolved, re.M))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    bounds = dict(
        re.findall(r"([\w-]+)>=([\d.]+)", "\n".join(sum(extras, project["dependencies"])))
    )
    assert bounds.keys() <= versions.keys()
    # Not equal: of requests 2.32 the first release is 2.32.2.
    assert [
        name for name in bounds if not f"{versions[name]}.".startswith(f"{bounds[name]}.")
    ] == []
