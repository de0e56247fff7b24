"""Builds of the report: what is refused before it begins, and what a killed one leaves."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from helpers import BIN, HEAD, ROOT

from cifarcam.errors import CifarcamError
from cifarcam.publish import chapters, execution, pairs, sphinx_ext, staleness

PARAMETERS = """```{code-cell} ipython3
:tags: [parameters]

dataset_name = "cifar10"
run_name = "baseline"
```
"""
# A picture of one pixel, as a chapter shows one.
PICTURE = """import base64
from IPython.display import Image, display
display(Image(base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR4nGNgYAAAAAMAASsJTYQAAAAASUVORK5CYII=")))"""


def make_project(directory):
    (directory / "book").mkdir()
    (directory / "book" / "_config.yml").write_text("title: x\n")
    (directory / "notebooks").mkdir()
    (directory / "requirements.txt").write_text("numpy==1\n")
    return directory


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


def write(project, *codes, name="one", parameters=PARAMETERS):
    cells = "\n".join(f"```{{code-cell}} ipython3\n{code}\n```\n" for code in codes)
    path = project / "notebooks" / f"{name}.md"
    path.write_text(f"{HEAD}\n# Chapter {name}\n\n{parameters}\n{cells}")
    pairs.write_pair(path)


def copy_of(project, name="one"):
    return project / "book" / "notebooks" / f"{name}.ipynb"


def execute(project, **changes):
    return execution.execute_stale(project, chapters.Parameters(**changes), say=lambda line: None)


def say(project, *command, **environment):
    """The status and the words of a command of the environment."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=project,
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


UNTAGGED = PARAMETERS.replace(":tags: [parameters]\n\n", "")
REFUSED = {
    "no cell is tagged": {"codes": ["x = 1"], "parameters": ""},
    "the cell is not tagged": {"codes": ["x = 1"], "parameters": UNTAGGED},
    "prose is tagged": {
        "codes": [],
        "parameters": '+++ {"tags": ["parameters"]}\n\nWords.\n\n+++\n\n' + UNTAGGED,
    },
    "the dataset is not set": {
        "codes": ["x = 1"],
        "parameters": PARAMETERS.replace("dataset_name", "dataset"),
    },
    "it is set in a comment": {
        "codes": ["x = 1"],
        "parameters": PARAMETERS.replace("dataset_name", "# dataset_name"),
    },
    "another cell sets the dataset": {"codes": ["x = 1", 'dataset_name = "cifar10"']},
    "a second tagged cell sets it": {"codes": [], "parameters": PARAMETERS * 2},
    "a loop sets the run": {"codes": ['for run_name in ["baseline"]:\n    pass']},
    "under a magic": {"codes": ['%%time\nrun_name = "baseline"']},
    "a typing error": {"codes": ["x = ("]},
    "the marks of a merge": {"codes": ["x = 1\n<<<<<<<\nx = 2"]},
    "a typing error after a magic": {"codes": ["%matplotlib inline\nx = 1 2"]},
    "nested too deep": {"codes": ["(" * 300 + ")" * 300]},
}


@pytest.mark.parametrize("kind", REFUSED)
def test_wrong_chapter_is_refused_before_any_is_executed(project, kind):
    write(project, "x = 1", name="good")
    write(project, *REFUSED[kind]["codes"], parameters=REFUSED[kind].get("parameters", PARAMETERS))
    with pytest.raises(CifarcamError, match="chapter one: ") as refused:
        execute(project)
    assert "\n" not in str(refused.value)
    assert not copy_of(project, "good").exists()


@pytest.mark.slow
def test_magics_work_in_a_new_notebook_without_text(project):
    code = [
        "%matplotlib inline\n!true\nhere = !echo shell",
        "%%time\nx = 6 * 7",
        "%%bash\nfor i in 1; do echo bash; done",
    ]
    write(project, *code, "print(here, x)", name="mine")
    (project / "notebooks" / "mine.md").unlink()
    (project / "book" / "_toc.yml").write_text("root: index\nchapters:\n- file: notebooks/mine\n")
    assert execute(project) == ["mine"]
    assert "['shell'] 42" in copy_of(project, "mine").read_text()
    assert "%matplotlib inline" in (project / "notebooks" / "mine.md").read_text()


@pytest.mark.slow
def test_damaged_copy_is_made_anew(project):
    write(project, "print(6 * 7)")
    execute(project)
    copy, parameters = copy_of(project), chapters.Parameters()
    whole = copy.read_text()
    notebook = json.loads(whole)
    damages = {
        "": "empty",
        whole[: len(whole) // 2]: "half",
        whole.replace("42\\n", "43\\n"): "another number",
        "{}": "another structure",
        json.dumps(notebook | {"metadata": {}}): "executed by other means",
        json.dumps(notebook | {"metadata": {"cifarcam": {"inputs": {}, "used": {}}}}): "no digest",
        json.dumps(notebook | {"metadata": {"cifarcam": 3}}): "another type",
    }
    assert len(damages) == 7
    assert staleness.stale(project, ["one"], parameters) == {}
    for text, kind in damages.items():
        assert text != whole
        copy.write_text(text)
        assert "one" in staleness.stale(project, ["one"], parameters), kind
    leftover = copy.parent / ".one.ipynb.abc"
    leftover.touch()  # of a process that was killed while it wrote the copy
    assert execute(project) == ["one"]
    assert staleness.stale(project, ["one"], parameters) == {}
    assert "42" in copy.read_text()
    assert not leftover.exists()


@pytest.mark.slow
def test_kernel_without_its_python_is_named(project, monkeypatch):
    folder = project / "jupyter" / "kernels" / "broken"
    folder.mkdir(parents=True)
    spec = {"argv": ["/nowhere/python", "-f", "{connection_file}"], "display_name": "x"}
    (folder / "kernel.json").write_text(json.dumps(spec | {"language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(project / "jupyter"))
    write(project, "x = 1")
    with pytest.raises(CifarcamError, match="chapter one: the kernel 'broken'"):
        execute(project, kernel="broken")


def marked(mark):
    """The processes that a mark in their environment tells of, zombies left out."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("BUILD_UNDER_TEST") == mark:
                found.append(process)
    return found


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


SLEEPING = """import subprocess, time
from pathlib import Path
begun = subprocess.Popen(["sleep", "600"], start_new_session=True)
Path("NAME").touch()
time.sleep(600)"""


@pytest.mark.slow
def test_killed_build_leaves_no_process(project):
    for name in ("one", "two"):
        write(project, SLEEPING.replace("NAME", name), name=name)
    environment = os.environ | {"BUILD_UNDER_TEST": str(project)}
    command = [BIN / "cifarcam", "report"]
    build = subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: all((project / "notebooks" / n).exists() for n in ("one", "two")), 120)
        # Itself, two workers, their kernels, what these began, and multiprocessing's tracker.
        assert len(marked(str(project))) >= 7
        build.kill()
        build.wait()
        wait_until(lambda: not marked(str(project)), 15)
    finally:
        for process in marked(str(project)):
            process.kill()


@pytest.mark.slow
def test_killed_worker_is_reported_and_its_kernel_ends(project, monkeypatch):
    monkeypatch.setenv("BUILD_UNDER_TEST", str(project))
    write(
        project, "import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(600)"
    )
    mine = {process.pid for process in marked(str(project))}
    with pytest.raises(CifarcamError, match="one ended abruptly"):
        execute(project)
    tracker = "multiprocessing.resource_tracker"  # serves this process as long as it lives
    wait_until(
        lambda: all(
            p.pid in mine or tracker in " ".join(p.cmdline()) for p in marked(str(project))
        ),
        15,
    )


@contextlib.contextmanager
def read_only(project):
    """Words to put before a command, which then cannot write to the project."""
    if os.geteuid() != 0:
        folders = [path for path in project.rglob("*") if path.is_dir()]
        for folder in (project, *folders):
            folder.chmod(0o555)
        try:
            yield []
        finally:
            for folder in (project, *folders):
                folder.chmod(0o755)
        return
    # Permissions do not bind the superuser.
    mount = f"mount --bind {project} {project} && mount -o remount,ro,bind {project} {project}"
    words = ["unshare", "--mount", "sh", "-c", f'{mount} && cd {project} && exec "$@"', "sh"]
    if subprocess.run([*words, "true"], capture_output=True).returncode != 0:
        pytest.skip("a superuser who may not mount")
    yield words


@pytest.mark.slow
def test_read_only_checkout_builds_what_is_up_to_date(project, tmp_path_factory):
    write(project, PICTURE)
    shutil.copy(ROOT / "book" / "_config.yml", project / "book")
    for name in ("_static", "_mathjax", "_templates", "_latex"):
        shutil.copytree(ROOT / "book" / name, project / "book" / name)
    shutil.copy(ROOT / "book" / "references.bib", project / "book")
    (project / "book" / "index.md").write_text("# Title\n")
    (project / "book" / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n- file: notebooks/one\n"
    )
    for name in ("_config.yml", "_toc.yml"):
        (project / name).symlink_to(f"book/{name}")
    execute(project)
    elsewhere = tmp_path_factory.mktemp("pages")
    cache = {"XDG_CACHE_HOME": str(elsewhere / "cache")}
    before = {path: path.stat().st_mtime_ns for path in project.rglob("*")}
    with read_only(project) as words:
        status, said = say(project, *words, BIN / "cifarcam", "report", **cache)
        assert (status, said) == (0, "every chapter is up to date\n")
        build = (BIN / "jupyter-book", "build", "book", "--path-output", elsewhere)
        status, said = say(project, *words, *build, **cache)
        assert status == 0, said
        assert (elsewhere / "_build" / "html" / "notebooks" / "one.html").is_file()
        # What has to write says that it cannot, in one sentence.
        command = [BIN / "cifarcam", "report", "--dataset", "sample"]
        status, said = say(project, *words, *command, **cache)
        assert status == 1
        assert said.startswith("Error: cannot write to ")
        assert said.count("\n") == 1, said
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*")} == before

    # From the wrong folder nothing is executed and nothing is built.
    write(project, "x = 2")
    status, said = say(project, BIN / "jupyter-book", "build", ".", **cache)
    assert status != 0
    assert "run `jupyter-book build book`" in said
    assert "Traceback" not in said
    assert "executing" not in said
    assert not list((project / "_build").rglob("*.html"))


# Sphinx alone, without Jupyter Book's theme and time. A build ends itself at a moment that the
# environment names: when a page has been read or is being written, or when all are.
CONFIGURATION = """
import os

extensions = ["myst_nb", "cifarcam.publish.sphinx_ext"]
nb_execution_mode = "off"
html_theme = "basic"
exclude_patterns = ["_build"]


def die(moment):
    if os.environ.get("DIE") == moment:
        os.kill(os.getpid(), 9)


def setup(app):
    app.connect("doctree-read", lambda app, doctree: die(f"reading {app.env.docname}"))
    app.connect("html-page-context", lambda app, page, *_: die(f"writing {page}"))
    app.connect("html-collect-pages", lambda app: die("before the pictures") or [])
    app.connect("build-finished", lambda app, error: die("at the end"), priority=100)
"""
# Begins a build in a new process for each argument, without importing Sphinx anew.
BUILDER = """
import os, sys
import myst_nb, cifarcam.publish.sphinx_ext
from sphinx.cmd.build import main

for moment in sys.argv[1:]:
    process = os.fork()
    if process == 0:
        os.environ["DIE"] = moment
        os._exit(main(["-q", "-d", "_build/.doctrees", ".", "_build/html"]))
    killed = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert killed == (-9 if moment else 0), (moment, killed)
"""


def set_pages(project, *moments):
    """Build the pages once for each moment, at which the build is killed where it is not empty."""
    status, said = say(project / "book", sys.executable, "-c", BUILDER, *moments)
    assert status == 0, said


def site(project):
    """What the folder of pages holds, but for the versions that address style sheets."""
    html = project / "book" / "_build" / "html"
    files = {path.relative_to(html): path for path in html.rglob("*") if path.is_file()}
    return {name: re.sub(rb"\?v=\w+", b"", path.read_bytes()) for name, path in files.items()}


def write_pages(project, picture):
    """Two pages with a picture and a chapter's number."""
    shutil.copy(ROOT / "book" / "_static" / "report.png", project / "book" / picture)
    number = "{glue:text}`notebooks/one.ipynb::one-number:d`"
    for page in ("first", "last"):
        text = f"# {page}\n\n![]({picture})\n\nThe number is {number}.\n"
        (project / "book" / f"{page}.md").write_text(text)


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A book before it was built, after, and what its pages shall be once they have changed."""
    project = make_project(tmp_path_factory.mktemp("book"))
    write(project, "from cifarcam import report\nreport.glue('one-number', 42)", PICTURE)
    execute(project)
    toctree = "```{toctree}\nfirst\nnotebooks/one\nlast\n```\n"
    (project / "book" / "index.md").write_text(f"# Title\n\n{toctree}")
    (project / "book" / "conf.py").write_text(CONFIGURATION)
    build = project / "book" / "_build"
    write_pages(project, "old.png")
    set_pages(project, "")
    build.rename(project / "before")
    write_pages(project, "new.png")
    set_pages(project, "")
    whole = site(project)
    assert {path.name for path in whole if path.suffix == ".html"} >= {"first.html", "one.html"}
    assert b"The number is 42" in re.sub(rb"<.*?>", b"", whole[Path("last.html")])
    assert sum(path.parent.name == "_images" for path in whole) == 2
    return project, whole


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the builds here are forked")
@pytest.mark.parametrize(
    ("moment", "built_before"),
    [
        ("writing first", True),
        ("writing notebooks/one", False),
        ("before the pictures", True),
        ("at the end", True),
    ],
)
def test_build_after_a_killed_build_makes_the_pages_whole(book, moment, built_before):
    project, whole = book
    build = project / "book" / "_build"
    shutil.rmtree(build)
    if built_before:
        shutil.copytree(project / "before", build)
    set_pages(project, moment, "")
    after = site(project)
    assert after.keys() - {Path("_images/old.png")} == whole.keys()
    assert {name for name in whole if after[name] != whole[name]} == set()
    assert not list(build.rglob(f"{sphinx_ext.UNFINISHED}*"))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the builds here are forked")
def test_build_repairs_half_files_and_repeats_no_whole_page(book):
    project, whole = book
    build = project / "book" / "_build"
    shutil.rmtree(build)
    set_pages(project, "at the end")
    halves = [build / "html" / "last.html", build / "html" / "_images" / "new.png"]
    halves += [build / ".doctrees" / "last.doctree", *(build / "jupyter_execute").glob("*.png")]
    assert len(halves) == 4
    for path in halves:
        content, then = path.read_bytes(), path.stat().st_mtime
        path.write_bytes(content[: len(content) // 2])
        os.utime(path, (then, then))
    set_pages(project, "")
    assert site(project) == whole
    pages = list((build / "html").rglob("*.html"))
    before = {path: path.stat().st_mtime_ns for path in pages}
    set_pages(project, "")
    assert {path: path.stat().st_mtime_ns for path in pages} == before
