"""The project's files agree with each other."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml
from helpers import ROOT

from cifarcam.publish import pairs

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.md"))
LOCK = (ROOT / "requirements.txt").read_text()


def locked():
    return dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK, re.M))


def test_lock_file_holds_every_dependency_in_its_range():
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    extras = project["project"]["optional-dependencies"].values()
    asked += [line for extra in extras for line in extra if not line.startswith("cifarcam[")]
    for line in asked:
        requirement = Requirement(line)
        versions = re.findall(rf"^{re.escape(requirement.name)}==([^\s;\\]+)", LOCK, re.M)
        assert versions, line
        assert all(requirement.specifier.contains(version) for version in versions), line


def test_installed_versions_are_the_locked_ones():
    import importlib.metadata

    for name in ("tensorflow", "keras", "jupyter-book", "papermill", "matplotlib"):
        assert importlib.metadata.version(name) == locked()[name]


def test_make_and_conda_install_the_lock_file():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert pip == ["-r requirements.txt"]
    assert "--require-hashes -r requirements.txt" in (ROOT / "Makefile").read_text()


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("platform", ["x86_64-manylinux_2_28", "aarch64-apple-darwin"])
def test_lock_file_resolves_to_wheels_on_every_platform(version, platform, tmp_path):
    command = ["uv", "pip", "compile", "-q", "--no-deps", "--only-binary", ":all:"]
    command += ["--no-binary", "lime"]  # pure Python, published as source alone
    command += ["--python-version", version, "--python-platform", platform]
    command += [str(ROOT / "requirements.txt"), "-o", str(tmp_path / "out.txt")]
    uv = Path(__import__("sys").executable).parent / "uv"
    done = subprocess.run([str(uv), *command[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "tensorflow==" in (tmp_path / "out.txt").read_text()


@pytest.mark.parametrize("text", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_agree_with_their_pairs_and_have_no_outputs(text):
    notebook = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    agreed = json.loads((ROOT / pairs.AGREED).read_text())
    assert pairs.digest(jupytext.read(text)) == pairs.digest(notebook) == agreed[text.stem]
    assert notebook.metadata["kernelspec"] == pairs.KERNEL
    assert all(not cell.get("outputs") for cell in notebook.cells)
    nbformat.validate(notebook)


@pytest.mark.parametrize("text", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_defines_nothing(text):
    cells = [c for c in jupytext.read(text).cells if c.cell_type == "code"]
    for cell in cells:
        assert not re.search(r"^\s*(def|class) ", cell.source, re.M)
        assert "matplotlib" not in cell.source
        assert "../" not in cell.source
    assert "parameters" in cells[0].metadata["tags"]
    assert re.search(r"report\.computed_from\(", cells[-1].source)


def test_table_of_contents_names_every_chapter():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    files = [name for name in files if not name.startswith("reference/")]  # written by the build
    notebooks = {f"notebooks/{path.stem}" for path in NOTEBOOKS}
    assert {name for name in files if name.startswith("notebooks/")} == notebooks
    for name in set(files) - notebooks:
        assert (ROOT / "book" / f"{name}.md").is_file()


def test_glued_names_are_unique_and_every_reference_has_its_value():
    chapters, patterns = {}, {}
    for path in NOTEBOOKS:
        dynamic = re.findall(r'report\.glue\(\s*f"([^"]+)"', path.read_text())
        patterns[path.stem] = [re.sub(r"\{[^}]+\}", r"[\\w-]+", name) for name in dynamic]
        for name in re.findall(r'report\.glue\(\s*"([^"]+)"', path.read_text()):
            assert name not in chapters, name
            assert name.startswith(path.stem.replace("_", "") + "-"), name
            chapters[name] = path.stem
    for path in (ROOT / "book").glob("*.md"):
        for chapter, name in re.findall(
            r"\{glue:text\}`notebooks/(\w+)\.ipynb::([\w-]+)", path.read_text()
        ):
            matches = any(re.fullmatch(pattern, name) for pattern in patterns[chapter])
            assert chapters.get(name) == chapter or matches, name
