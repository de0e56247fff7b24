"""The wheel, really built and installed: notebooks copied alone into an empty folder run with it."""

import shutil
import sys
import sysconfig
import venv
import zipfile
from functools import partial
from pathlib import Path

import conftest
import pytest
from conftest import ROOT, tracked_files, write_tiny_experiments

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PYPI_LIMIT = 100 * 10**6  # bytes that the Python Package Index takes for one file
# Nothing of the checkout may be found by way of PYTHONPATH.
call = partial(conftest.call, PYTHONPATH="")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dist")
    # As `python -m build`, with the faster of its two installers.
    call(sys.executable, "-m", "build", "--installer", "uv", "--outdir", directory, ROOT, cwd=ROOT)
    (path,) = directory.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def home(wheel, tmp_path_factory):
    """A directory with an environment that holds the wheel, and folders for the notebooks.

    The wheel's dependencies are those of the environment around, which a ``.pth`` file adds to the
    path: installing TensorFlow anew takes minutes. The ``.pth`` files there are not read, and so
    the checkout that is installed there in place stays out.
    """
    directory = tmp_path_factory.mktemp("elsewhere")
    venv.create(directory / "venv")
    python = directory / "venv" / "bin" / "python"
    uv = Path(sys.executable).parent / "uv"
    call(uv, "pip", "install", "--offline", "--no-deps", "--python", python, wheel, cwd=directory)
    (inside,) = (directory / "venv" / "lib").glob("python3.*/site-packages")
    (inside / "around.pth").write_text(sysconfig.get_path("purelib") + "\n")
    call(python, "-m", "ipykernel", "install", "--prefix", directory / "venv", cwd=directory)
    # Found upwards from a notebook's folder, so that no chapter trains for long.
    (directory / "experiments").mkdir()
    write_tiny_experiments(directory / "experiments")
    return directory


@pytest.mark.slow
def test_the_wheel_holds_what_is_committed_and_can_be_handed_on(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    for name in tracked_files():
        place, _, rest = name.partition("/")
        if place in ("cifarcam", "experiments"):
            assert f"cifarcam/{name.removeprefix('cifarcam/')}" in held
        elif place == "runs":
            assert f"cifarcam/committed_runs/{rest}" in held
    assert wheel.stat().st_size < PYPI_LIMIT


@pytest.mark.slow
def test_the_environment_has_the_wheel_and_not_the_checkout(home):
    script = "import cifarcam; print(cifarcam.__file__)"
    found = Path(call(home / "venv" / "bin" / "python", "-c", script, cwd=home).stdout.strip())
    assert found.is_relative_to(home / "venv")


@pytest.mark.slow
def test_committed_runs_are_found_outside_a_checkout(home):
    cache = str(home / "cache")
    listed = call(home / "venv" / "bin" / "cifarcam", "runs", cwd=home, XDG_CACHE_HOME=cache).stdout
    committed = {path.parent.name for path in (ROOT / "runs").glob("*/provenance.json")}
    assert {line.split()[0] for line in listed.splitlines()} == committed
    assert str(ROOT) not in listed


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_alone_in_an_empty_folder(home, notebook):
    folder = home / notebook.stem
    folder.mkdir()
    shutil.copy(notebook, folder)
    command = ["papermill", notebook.name, "out.ipynb", "--kernel", "python3", "--log-output"]
    command += ["-p", "dataset_name", "sample", "-p", "run_name", "tiny"]
    call(
        home / "venv" / "bin" / "python", "-m", *command,
        cwd=folder, XDG_CACHE_HOME=str(home / "cache"),
    )  # fmt: skip
    # The environment around, whose packages may warn, can lie within the checkout.
    made = (folder / "out.ipynb").read_text()
    for place in ("cifarcam", "experiments", "notebooks", "runs"):
        assert str(ROOT / place) not in made, place
    assert {path.name for path in folder.iterdir()} == {notebook.name, "out.ipynb"}
