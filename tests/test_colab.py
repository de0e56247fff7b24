"""One address decides badge and install cell of every notebook."""

import shutil
import subprocess
import sys

import jupytext
import nbformat
import pytest
import yaml
from click.testing import CliRunner
from conftest import ROOT

from cifarcam import cli
from cifarcam.errors import CifarcamError
from cifarcam.publish import chapters, colab
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
def test_notebooks_agree_with_the_address_in_the_books_configuration(name):
    text = (ROOT / "notebooks" / f"{name}.md").read_text()
    assert text == colab.with_cells(text, name, colab.read_repository(ROOT)), (
        "say `make colab REPO=owner/name` with the repository in book/_config.yml"
    )


def test_a_badge_opens_the_notebook_and_a_cell_installs_from_the_same_address(project):
    colab.set_repository(project, "someone/a.fork")
    config = yaml.safe_load((project / "book" / "_config.yml").read_text())
    assert config["repository"]["url"] == "https://github.com/someone/a.fork"
    for path in (project / "notebooks").iterdir():
        notebook = jupytext.read(path)
        badge, install = colab_cells(notebook)
        assert notebook.cells[0] == badge
        assert f"/github/someone/a.fork/blob/main/notebooks/{path.stem}.ipynb" in badge.source
        assert "git+https://github.com/someone/a.fork@main" in install.source
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert "parameters" in code[0].metadata["tags"]
        assert code[1] == install
        if path.suffix == ".ipynb":
            nbformat.validate(nbformat.read(path, as_version=4))


def test_the_address_can_be_set_again_changed_and_taken_away(project):
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


def test_an_address_makes_no_chapter_stale(project):
    before = [chapters._inputs(project, name, Parameters()) for name in NAMES]
    colab.set_repository(project, "someone/fork")
    assert [chapters._inputs(project, name, Parameters()) for name in NAMES] == before
    assert not colab_cells(chapters.read_chapter(project, NAMES[0]))


def test_cells_stay_as_they_are_when_the_notebook_is_the_newer_of_its_pair(project):
    colab.set_repository(project, "someone/fork")
    path = project / "notebooks" / f"{NAMES[0]}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_markdown_cell("Added in Jupyter."))
    nbformat.write(notebook, path)
    chapters.read_chapter(project, NAMES[0])
    text = path.with_suffix(".md").read_text()
    assert "Added in Jupyter." in text
    assert text == colab.with_cells(text, NAMES[0], Repository("someone/fork", "main"))


def test_the_install_cell_does_nothing_outside_colab_and_installs_there(project, tmp_path):
    colab.set_repository(project, "someone/fork")
    _, install = colab_cells(jupytext.read(project / "notebooks" / f"{NAMES[0]}.md"))
    # A pip that only says what it was asked for, and a kernel that says it is Colab's or not.
    script = tmp_path / "cell.py"
    script.write_text(
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.register_magic_function(lambda line: print('pip', line), magic_name='pip')\n"
        "for colab in (False, True):\n"
        "    if colab:\n"
        "        sys.modules['google.colab'] = sys\n"
        f"    assert shell.run_cell({install.source!r}).success\n"
        "    print('colab' if colab else 'elsewhere')\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines() == [
        "elsewhere",
        'pip install --quiet "cifarcam[explain] @ git+https://github.com/someone/fork@main"',
        "colab",
    ]


@pytest.mark.parametrize(
    "wrong", ["fork", "https://github.com/someone/fork", "a/b/c", "someone/", "some one/fork"]
)
def test_a_wrong_repository_gets_one_sentence_and_changes_nothing(project, wrong, monkeypatch):
    before = texts(project)
    monkeypatch.chdir(project)
    answer = CliRunner().invoke(cli.main, ["colab", wrong])
    assert answer.exit_code == 1
    assert answer.output == (
        f"Error: repository {wrong!r}: give owner/name, as in https://github.com/owner/name\n"
    )
    assert texts(project) == before


def test_an_address_that_is_not_on_github_is_named(project):
    config = project / "book" / "_config.yml"
    config.write_text(config.read_text().replace('url: ""', "url: https://example.org/a/b"))
    with pytest.raises(CifarcamError, match=r"_config\.yml: repository: url: https://example"):
        colab.read_repository(project)
    config.write_text("title: x\n")
    with pytest.raises(CifarcamError, match=r"_config\.yml: needs a section `repository:`"):
        colab.set_repository(project, "someone/fork")


def test_the_command_says_what_it_wrote(project, monkeypatch):
    monkeypatch.chdir(project)
    assert ", ".join(NAMES) in CliRunner().invoke(cli.main, ["colab", "someone/fork"]).output
    again = CliRunner().invoke(cli.main, ["colab", "someone/fork"])
    assert again.output == "every notebook agrees already\n"
