"""One address decides badge and install cell of every notebook."""

import os
import shutil
import subprocess
import sys

import jupytext
import nbformat
import pytest
import yaml
from click.testing import CliRunner
from helpers import ROOT

from cifarcam import cli
from cifarcam.errors import CifarcamError
from cifarcam.publish import chapters, colab, staleness
from cifarcam.publish.chapters import Parameters
from cifarcam.publish.colab import Repository

NAMES = chapters.chapters(ROOT)


def texts(project):
    """All that `set_repository` may write, by path."""
    paths = [project / "book" / "_config.yml", *(project / "notebooks").iterdir()]
    return {path: path.read_bytes() for path in paths}


@pytest.fixture
def project(tmp_path):
    """The notebooks and the book's configuration, without an address."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    (tmp_path / "book").mkdir()
    for name in ("book/_config.yml", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    colab.set_repository(tmp_path, "")
    return tmp_path


def colab_cells(notebook):
    return [c for c in notebook.cells if chapters.COLAB in c.metadata.get("tags", [])]


@pytest.mark.parametrize("name", NAMES)
def test_notebook_agrees_with_the_address_in_the_configuration(name):
    text = (ROOT / "notebooks" / f"{name}.md").read_text()
    assert text == colab.with_cells(text, name, colab.read_repository(ROOT)), (
        "say `make colab REPO=owner/name` with the repository in book/_config.yml"
    )


@pytest.mark.slow
def test_badge_and_install_cell_name_the_same_address(project):
    colab.set_repository(project, "someone/a.fork")
    config = yaml.safe_load((project / "book" / "_config.yml").read_text())
    assert config["repository"]["url"] == "https://github.com/someone/a.fork"
    for path in (project / "notebooks").iterdir():
        notebook = jupytext.read(path)
        badge, install = colab_cells(notebook)
        assert notebook.cells[0] == badge
        assert f"/github/someone/a.fork/blob/main/notebooks/{path.stem}.ipynb" in badge.source
        address = "https://github.com/someone/a.fork"
        assert f"git clone --quiet --depth 1 --branch main {address} " in install.source
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert "parameters" in code[0].metadata["tags"]
        assert code[1] == install
        if path.suffix == ".ipynb":
            nbformat.validate(nbformat.read(path, as_version=4))


@pytest.mark.slow
def test_set_repository_can_repeat_change_and_remove_the_address(project):
    before = texts(project)
    assert colab.set_repository(project, "someone/fork") == NAMES
    first = texts(project)
    assert colab.set_repository(project, "someone/fork") == []
    assert texts(project) == first
    colab.set_repository(project, "else/where")
    assert b"someone" not in b"".join(texts(project).values())
    assert colab.read_repository(project) == Repository("else/where", "main")
    assert colab.set_repository(project, "") == NAMES
    assert texts(project) == before
    assert colab.read_repository(project) == Repository("", "main")


@pytest.mark.slow
def test_address_makes_no_chapter_stale(project):
    before = [staleness.inputs(project, name, Parameters()) for name in NAMES[:2]]
    colab.set_repository(project, "someone/fork")
    assert [staleness.inputs(project, name, Parameters()) for name in NAMES[:2]] == before
    assert not colab_cells(chapters.read_chapter(project, NAMES[0]))


@pytest.mark.slow
def test_cells_stay_when_the_notebook_of_a_pair_is_edited(project):
    colab.set_repository(project, "someone/fork")
    path = project / "notebooks" / f"{NAMES[0]}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell("Added in Jupyter."))
    nbformat.write(notebook, path)
    chapters.read_chapter(project, NAMES[0])
    text = path.with_suffix(".md").read_text()
    assert "Added in Jupyter." in text
    assert text == colab.with_cells(text, NAMES[0], Repository("someone/fork", "main"))


SCRIPT = """
import sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
# A pip that only prints what it was asked for, and a kernel that is Colab's or not.
shell.register_magic_function(lambda line: print("pip", line), magic_name="pip")
for colab in (False, True, True):
    if colab:
        sys.modules["google.colab"] = sys
    assert shell.run_cell(SOURCE).success
    print("colab" if colab else "elsewhere")
    shell.run_cell("import os; print(os.getcwd(), sorted(os.listdir('..')))")
"""


def git(*arguments, cwd):
    names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *names, *arguments], cwd=cwd, check=True, capture_output=True)


@pytest.mark.slow
def test_install_cell_clones_installs_and_enters_the_clone_on_colab_only(project, tmp_path):
    colab.set_repository(project, "someone/fork")
    _, install = colab_cells(jupytext.read(project / "notebooks" / f"{NAMES[0]}.md"))
    # A repository on this machine, which git takes for the one on GitHub, with two commits.
    origin, content = tmp_path / "github" / "someone" / "fork", tmp_path / "content"
    (origin / "notebooks").mkdir(parents=True)
    (origin / "runs").mkdir()
    (origin / "notebooks" / "one.md").write_text("one")
    git("init", "--quiet", "--initial-branch", "main", cwd=origin)
    for text in ("first", "second"):
        (origin / "runs" / "a.txt").write_text(text)
        git("add", ".", cwd=origin)
        git("commit", "--quiet", "--message", text, cwd=origin)
    content.mkdir()
    source = install.source.replace("/content", str(content))
    script = tmp_path / "cell.py"
    script.write_text(SCRIPT.replace("SOURCE", repr(source)))
    elsewhere = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{(tmp_path / 'github').as_uri()}/.insteadOf",
        "GIT_CONFIG_VALUE_0": colab.GITHUB,
    }
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
        cwd=project / "book",
        env=os.environ | elsewhere,
    )
    clone = content / "fork"
    inside = f"{clone / 'notebooks'} ['.git', 'notebooks', 'runs']"
    asked = f'pip install --quiet "{clone}[all]"'
    assert done.stdout.splitlines() == [
        "elsewhere",
        f"{project / 'book'} {sorted(path.name for path in project.iterdir())}",
        *(asked, "colab", inside),
        *(asked, "colab", inside),  # executed again, it does not clone again
    ]
    assert (clone / "runs" / "a.txt").read_text() == "second"
    assert (clone / ".git" / "shallow").is_file()


@pytest.mark.parametrize(
    "wrong", ["fork", "https://github.com/someone/fork", "a/b/c", "someone/", "some one/fork"]
)
def test_wrong_repository_is_refused_and_changes_nothing(project, wrong, monkeypatch):
    before = texts(project)
    monkeypatch.chdir(project)
    answer = CliRunner().invoke(cli.main, ["colab", wrong])
    assert answer.exit_code == 1
    assert answer.output == (
        f"Error: repository {wrong!r}: give owner/name, as in https://github.com/owner/name\n"
    )
    assert texts(project) == before


def test_address_outside_github_is_refused(project):
    config = project / "book" / "_config.yml"
    config.write_text(config.read_text().replace('url: ""', "url: https://example.org/a/b"))
    with pytest.raises(CifarcamError, match=r"_config\.yml: repository: url: https://example"):
        colab.read_repository(project)
    config.write_text("title: x\n")
    with pytest.raises(CifarcamError, match=r"_config\.yml: needs a section `repository:`"):
        colab.set_repository(project, "someone/fork")


@pytest.mark.slow
def test_command_lists_the_chapters_it_wrote(project, monkeypatch):
    monkeypatch.chdir(project)
    assert ", ".join(NAMES) in CliRunner().invoke(cli.main, ["colab", "someone/fork"]).output
    again = CliRunner().invoke(cli.main, ["colab", "someone/fork"])
    assert again.output == "every notebook agrees already\n"
