"""The project's files agree with each other."""

import ast
import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import jupytext
import nbformat
import pytest
import yaml
from helpers import ROOT, tracked_files

from cifarcam.publish import pairs
from cifarcam.studies.claims import CLAIMS

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
    macos = {"MACOSX_DEPLOYMENT_TARGET": "14.0"}  # the oldest that ONNX Runtime has wheels for
    done = subprocess.run(
        [str(uv), *command[1:]], capture_output=True, text=True, env=os.environ | macos
    )
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


LONGEST_CELL = 15  # lines
HIDING = ("hide-", "remove-")  # how the tags of hidden cells begin
COMPREHENSIONS = ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp
COMPUTING_NAMES = {"abs", "divmod", "max", "min", "pow", "range", "round", "sorted", "sum"}
COMPUTING_PACKAGES = {"np", "numpy", "scipy", "math"}


def computing(source):
    """What a hidden cell does besides importing, loading, calling and gluing, by line."""
    faults = []
    for statement in ast.parse(source).body:
        if not isinstance(statement, ast.Import | ast.ImportFrom | ast.Assign | ast.Expr):
            faults.append((statement.lineno, type(statement).__name__))
        for node in ast.walk(statement):
            if _computes(node):
                faults.append((node.lineno, type(node).__name__))
    return faults


def _computes(node):
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
            return False  # a negative number
        case ast.Call(func=ast.Name(id=name)):
            return name in COMPUTING_NAMES
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))):
            return name in COMPUTING_PACKAGES
        case ast.BinOp() | ast.UnaryOp() | ast.BoolOp() | ast.Compare() | ast.IfExp():
            return True
        case ast.Lambda() | ast.NamedExpr():
            return True
    if not isinstance(node, COMPREHENSIONS):
        return False
    inside = [child for child in ast.walk(node) if child is not node]
    choosing = any(generator.ifs for generator in node.generators)
    nested = len(node.generators) > 1 or any(isinstance(one, COMPREHENSIONS) for one in inside)
    return choosing or nested


@pytest.mark.parametrize(
    "source",
    [
        "from cifarcam import data\n\ndataset = data.load('sample')",
        "first, second = record['steps'][:2], dataset.test.images[-1]",
        "networks = {name: runs.load(name, seed=0) for name in names}",
        "report.glue('a', len(names))\nreport.glue('b', f'{run.name}, {run.seed:d}')",
        "figures.curves([run.history['loss'] for run in seeds], **options)",
    ],
)
def test_computing_finds_nothing_in_cells_that_load_call_and_glue(source):
    assert computing(source) == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import a\nshare = 100 * a.b", (2, "BinOp")),
        ("total += 1", (1, "AugAssign")),
        ("for run in runs:\n    show(run)", (1, "For")),
        ("if found:\n    show(found)", (1, "If")),
        ("def double(x):\n    return x", (1, "FunctionDef")),
        ("class A:\n    pass", (1, "ClassDef")),
        ("show(lambda x: x)", (1, "Lambda")),
        ("show(a if b else c)", (1, "IfExp")),
        ("show(a or b)", (1, "BoolOp")),
        ("show(not a)", (1, "UnaryOp")),
        ("right = predicted == labels", (1, "Compare")),
        ("rows = [run for run in runs if run.good]", (1, "ListComp")),
        ("maps = {m for run in runs for m in run.maps}", (1, "SetComp")),
        ("shares = [100 * x for x in values]", (1, "BinOp")),
        ("mean = np.mean(values)", (1, "Call")),
        ("show(sum(values))", (1, "Call")),
    ],
)
def test_computing_names_line_and_kind(source, fault):
    assert fault in computing(source)


@pytest.mark.parametrize("text", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_hidden_cells_do_not_compute(text):
    cells = [c for c in jupytext.read(text).cells if c.cell_type == "code"]
    for cell in cells:
        assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.source
        if any(tag.startswith(HIDING) for tag in cell.metadata.get("tags", [])):
            assert computing(cell.source) == [], cell.source
        assert not re.search(r"^\s*(def|class) ", cell.source, re.M)
        assert "matplotlib" not in cell.source
        assert "../" not in cell.source
    assert "parameters" in cells[0].metadata["tags"]
    assert re.search(r"report\.computed_from\(", cells[-1].source)


def test_no_large_file_is_committed_but_weights():
    paths = [ROOT / name for name in filter(None, tracked_files())]
    large = [p for p in paths if p.is_file() and p.stat().st_size > 2.5e6]
    assert [p for p in large if p.name != "weights.safetensors"] == []


def test_table_of_contents_names_every_chapter():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    chapters += [section for chapter in chapters for section in chapter.get("sections", [])]
    files = [chapter["file"] for chapter in chapters if "file" in chapter]
    files = [name for name in files if not name.startswith("reference/")]  # written by the build
    notebooks = {f"notebooks/{path.stem}" for path in NOTEBOOKS}
    assert {name for name in files if name.startswith("notebooks/")} == notebooks
    for name in set(files) - notebooks:
        assert (ROOT / "book" / f"{name}.md").is_file()


GLUED = r"\{glue:(?:text|md)\}`(?:notebooks/)?(?:(\w+)\.ipynb::)?([\w-]+)"
FINDING = r"verdict|sentence|basis|interval|effect-(value|low|high|unit|over|count|test|p|null)"


def produced(path):
    """Patterns of the names that a chapter's code glues."""
    code = [c.source for c in jupytext.read(path).cells if c.cell_type == "code"]
    conditions = [condition.id for claim in CLAIMS for condition in claim.conditions]
    calls = r'report\.(glue|values|findings)\(\s*(f?)"([^"]+)"'
    for function, dynamic, name in re.findall(calls, "\n".join(code)):
        prefix = path.stem.replace("_", "")
        assert name == prefix or name.startswith(prefix + "-"), name
        name = re.sub(r"\{[^}]+\}", r"[\\w-]+", name) if dynamic else re.escape(name)
        if function == "glue":
            yield name
        elif function == "values":
            yield name + r"-[\w-]+"
        else:
            for condition in conditions:
                yield f"{name}-{condition.replace('.', '-')}-({FINDING})"


def test_every_glued_name_is_produced_by_its_chapter():
    patterns = {path.stem: list(produced(path)) for path in NOTEBOOKS}
    missing = []
    for path in [*NOTEBOOKS, *(ROOT / "book").glob("*.md")]:
        for chapter, name in re.findall(GLUED, path.read_text()):
            known = patterns.get(chapter or path.stem, [])
            if not any(re.fullmatch(pattern, name) for pattern in known):
                missing.append((path.name, name))
    assert missing == []


def test_values_of_other_pages_are_glued_with_a_format():
    # Without a format, MyST-NB takes the name for one.
    for path in [*NOTEBOOKS, *(ROOT / "book").glob("*.md")]:
        assert re.findall(r"\.ipynb::[\w-]+`", path.read_text()) == [], path.name


def test_glued_names_are_unique():
    names = [
        name
        for path in NOTEBOOKS
        for name in re.findall(r'report\.glue\(\s*"([^"]+)"', path.read_text())
    ]
    assert len(names) == len(set(names))
