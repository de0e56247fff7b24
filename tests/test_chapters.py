"""Chapters: what makes one stale, and what an executed copy carries."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jupytext
import nbformat
import pytest
from helpers import HEAD, ROOT, TINY

from cifarcam import _closure, _files, _store, report
from cifarcam.errors import CifarcamError
from cifarcam.publish import chapters, execution, pairs, sphinx_ext, staleness
from cifarcam.report import provenance
from cifarcam.studies import measurements, records

CHAPTER = f"""{HEAD}
# A chapter

```{{code-cell}} ipython3
:tags: [parameters]

dataset_name = "cifar10"
run_name = "baseline"
```

```{{code-cell}} ipython3
import numpy
from cifarcam import _files

print(ANSWER, dataset_name, run_name)
```
"""
REPORTING = """from cifarcam import report

report.glue("a-value", 41 + 1)
report.table([["1"]], header=["n"], caption="A table", name="tab-a")
report.computed_from()
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "_config.yml").write_text("title: x\n")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "requirements.txt").write_text("numpy==1\n")
    write(tmp_path, "41 + 1")
    return tmp_path


def write(project, answer, name="one"):
    path = project / "notebooks" / f"{name}.md"
    path.write_text(CHAPTER.replace("ANSWER", answer))
    pairs.write_pair(path)


def begin_with(project, code):
    """Put code before the chapter's own."""
    path = project / "notebooks" / "one.md"
    path.write_text(path.read_text().replace("import numpy\n", code + "import numpy\n"))
    pairs.write_pair(path)


def why_stale(project, **changes):
    return staleness.stale(project, ["one"], chapters.Parameters(**changes)).get("one")


def execute(project, **changes):
    """The chapters executed, and what was said beforehand."""
    lines = []
    parameters = chapters.Parameters(**changes)
    executed = execution.execute_stale(project, parameters, say=lines.append)
    done = [lines.pop() for _ in executed]
    assert sorted(done) == [f"chapter {name}: executed" for name in executed]
    return executed, lines


def outputs(project, name="one"):
    copy = nbformat.read(project / "book" / "notebooks" / f"{name}.ipynb", as_version=4)
    return copy, [o for cell in copy.cells for o in cell.get("outputs", [])]


@pytest.mark.slow
def test_chapter_is_executed_once_until_something_changes(project):
    begin_with(project, REPORTING)
    sample = {"dataset": "sample", "run": "tiny"}
    assert execute(project, **sample)[0] == ["one"]
    assert execute(project, **sample) == ([], [])
    copy, displayed = outputs(project)
    assert displayed[0]["metadata"]["scrapbook"]["name"] == "a-value"
    assert "42" in json.dumps(displayed[0]["data"])
    assert "sample tiny" in displayed[-1]["text"]
    text = json.dumps(copy)
    assert str(project) not in text
    assert "papermill" not in json.dumps(copy.metadata)
    assert str(Path.home()) not in text

    assert why_stale(project, **sample) is None
    assert why_stale(project, dataset="sample") == "parameter run changed"
    assert why_stale(project) == "parameter dataset changed"
    (project / "requirements.txt").write_text("numpy==2\n")
    assert why_stale(project, **sample) == "requirements.txt: numpy changed"
    write(project, "2")
    assert execute(project) == (["one"], ["chapter one: the notebook changed, executing"])
    assert execute(project) == ([], [])


def test_the_longest_chapters_are_begun_first(project, monkeypatch):
    assert set(execution.LONGEST) <= set(chapters.chapters(ROOT))
    monkeypatch.setattr(execution, "LONGEST", ("three", "two", "absent"))
    assert execution.longest_first(["one", "two", "three"]) == ["three", "two", "one"]
    write(project, "1", "two")
    begun = []
    monkeypatch.setattr(execution, "_execute_all", lambda project, names, *_: begun.append(names))
    execution.execute_stale(project, chapters.Parameters(), say=str)
    assert begun[0] == ["two", "one"]


@pytest.mark.slow
def test_changed_library_module_makes_importing_chapters_stale(project, monkeypatch):
    execute(project)
    real = _closure.module_digest

    def changed(module):
        return lambda name: "other" if name == module else real(name)

    monkeypatch.setattr(_closure, "module_digest", changed("cifarcam.evaluation"))
    assert execute(project) == ([], [])  # the chapter does not import it
    monkeypatch.setattr(_closure, "module_digest", changed("cifarcam.errors"))
    # It stays stale and is executed once more: the process that does it sees the real module.
    assert execute(project)[1] == [
        "chapter one: cifarcam.errors changed, executing",
        "chapter one: executed",
    ]


@pytest.mark.slow
def test_pins_make_stale_only_chapters_that_import_the_package(project):
    lock = project / "requirements.txt"
    lock.write_text("numpy==1\nruff==1\nmatplotlib==3\n")
    execute(project)
    lock.write_text("numpy==1\nruff==2\n# a comment\nmatplotlib==4\n")
    assert why_stale(project) is None
    lock.write_text("numpy==2\nruff==2\n")
    assert why_stale(project) == "requirements.txt: numpy changed"


@pytest.mark.slow
def test_failing_chapter_is_named_and_its_last_copy_stays(project):
    execute(project)
    before = (project / "book" / "notebooks" / "one.ipynb").read_bytes()
    write(project, "1 / 0")
    with pytest.raises(CifarcamError) as failure:
        execute(project)
    message = str(failure.value)
    assert "chapter one failed in cell" in message
    assert "ZeroDivisionError: division by zero" in message
    assert (project / "book" / "notebooks" / "one.ipynb").read_bytes() == before


MEETING = """import time
from pathlib import Path
Path("OWN").touch()
end = time.monotonic() + 60
while not Path("OTHER").exists():
    assert time.monotonic() < end, "not executed together"
    time.sleep(0.05)
"""


@pytest.mark.slow
def test_chapters_are_executed_together_and_fail_alone(project):
    # Each waits until the other has begun.
    for own, other in (("one", "two"), ("two", "one")):
        write(project, "42", name=own)
        path = project / "notebooks" / f"{own}.md"
        waiting = MEETING.replace("OWN", own).replace("OTHER", other)
        path.write_text(path.read_text().replace("import numpy\n", waiting))
        pairs.write_pair(path)
    assert execute(project)[0] == ["one", "two"]

    write(project, "1 / 0")
    write(project, "50 + 1", name="two")
    with pytest.raises(CifarcamError, match="chapter one failed"):
        execute(project)
    assert outputs(project, "two")[1][0]["text"] == "51 cifar10 baseline\n"


@pytest.mark.slow
def test_unknown_chapters_and_kernels_are_refused_by_name(project):
    with pytest.raises(CifarcamError, match="no chapter named 'two'; there are one"):
        execution.execute_stale(project, chapters.Parameters(), only=["two"])
    with pytest.raises(CifarcamError, match="no Jupyter kernel named 'nosuch'"):
        execute(project, kernel="nosuch")
    with pytest.raises(CifarcamError, match="'mnist' should be 'cifar10' or 'sample'"):
        chapters.choose_parameters(project, {"dataset": "mnist"})
    with pytest.raises(CifarcamError, match="no Jupyter kernel named 'nosuch'"):
        chapters.choose_parameters(project, {"kernel": "nosuch"})
    assert chapters.read_parameters(project) == chapters.Parameters()  # nothing was stored


@pytest.mark.slow
def test_copy_of_a_removed_chapter_is_deleted(project):
    write(project, "1", name="two")
    execute(project)
    for ending in ("md", "ipynb"):
        (project / "notebooks" / f"two.{ending}").unlink()
    execute(project)
    assert not (project / "book" / "notebooks" / "two.ipynb").exists()


@pytest.mark.slow
def test_inputs_that_a_chapter_read_make_it_stale(project, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
    (project / "experiments").mkdir()
    settings = project / "experiments" / "mine.toml"
    settings.write_text(TINY)
    (project / "runs" / "records").mkdir(parents=True)
    code = """from cifarcam import data, report, runs, training
training.find("mine")
len(runs.every(data.load("sample")))
report.computed_from()
"""
    begin_with(project, code)
    execute(project)
    assert execute(project) == ([], [])
    settings.write_text(TINY.replace("dropout = 0.5", "dropout = 0.25"))
    assert why_stale(project) == "experiment mine changed"
    settings.write_text(TINY)
    assert why_stale(project) is None
    record = project / "runs" / "records" / "new.json"
    _files.write_json(record, {"name": "new"})
    assert why_stale(project) == "the runs or records at hand changed"
    record.unlink()
    (project / "runs" / "other").mkdir()
    assert why_stale(project) is None  # no run
    shutil.copytree(ROOT / "runs" / "baseline", project / "runs" / "baseline-copy")
    assert why_stale(project) == "the runs or records at hand changed"


def test_computed_from_lists_inputs_and_records_of_other_code(project, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(project / "cache"))
    monkeypatch.chdir(project)
    monkeypatch.setattr(_store, "_handed_out", {})
    (project / "runs" / "records").mkdir(parents=True)
    path = measurements.write("classical", {"inputs": {}}, project / "runs")
    shown = []
    monkeypatch.setattr(
        provenance, "display", lambda data, **options: shown.append((data, options))
    )
    records.load("classical")
    report.computed_from()
    record = _files.read_json(path, "")
    _files.write_json(path, record | {"code": "0" * 64})
    assert capsys.readouterr().err == ""
    records.load("classical")
    assert "`cifarcam measure classical`" in capsys.readouterr().err
    report.computed_from()
    line = f"- Record `classical`: fingerprint `{record['fingerprint'][:16]}`"
    for (data, options), ending in zip(shown, ("\n", ", made by other code\n"), strict=True):
        assert line + ending in data["text/markdown"]
        assert list(options["metadata"][_store.USED]["records"]) == ["classical"]
        assert options["metadata"][_store.USED]["runs"] == {}


def test_download_of_a_removed_chapter_is_deleted(project):
    sources = project / "book" / "_build" / "html" / "_sources" / "notebooks"
    sources.mkdir(parents=True)
    for name in ("one", "gone"):
        (sources / f"{name}.ipynb").write_text("executed")
    app = SimpleNamespace(outdir=sources.parents[1], srcdir=project / "book")
    sphinx_ext._offer_unexecuted(app, None)
    assert [path.name for path in sources.iterdir()] == ["one.ipynb"]
    original = project / "notebooks" / "one.ipynb"
    assert (sources / "one.ipynb").read_bytes() == original.read_bytes()


@pytest.mark.slow
def test_edited_file_of_a_pair_is_followed(project):
    import os

    notebook = project / "notebooks" / "one.ipynb"
    edited = jupytext.read(notebook)
    edited.cells[-1].source = edited.cells[-1].source.replace("41 + 1", "7")
    jupytext.write(edited, notebook)
    os.utime(notebook, (2e9, 2e9))
    assert execute(project)[0] == ["one"]
    text = project / "notebooks" / "one.md"
    assert "print(7, " in text.read_text()
    text.write_text(text.read_text().replace("print(7, ", "print(8, "))
    os.utime(text, (2.1e9, 2.1e9))
    assert execute(project)[0] == ["one"]
    assert "print(8, " in notebook.read_text()


def test_parameters_are_stored(project):
    chapters.choose_parameters(project, {"dataset": "sample"})
    chapters.choose_parameters(project, {"run": "tiny"})
    assert chapters.read_parameters(project) == chapters.Parameters("sample", "tiny", "python3")


def test_sphinx_stays_free_of_tensorflow():
    code = "import sys, cifarcam.publish.sphinx_ext; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
