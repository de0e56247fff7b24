"""The two files of a chapter: no edit of either is lost, whatever was done to them."""

import errno
import json
import os
import random
import shutil
from collections import Counter

import jupytext
import nbformat
import pytest
from helpers import HEAD

from cifarcam import _files
from cifarcam.errors import CifarcamError
from cifarcam.publish import chapters, pairs

CHAPTER = f"""{HEAD}
# A chapter

Words.

```{{code-cell}} ipython3
:tags: [parameters]

dataset_name = "cifar10"
```

```{{code-cell}} ipython3
:mystnb: {{figure: {{name: fig-a}}}}

%matplotlib inline
x = 1
```
"""


class Pair:
    """A chapter's two files in a project of their own."""

    def __init__(self, project):
        self.project = project
        self.text = project / "notebooks" / "one.md"
        self.notebook = project / "notebooks" / "one.ipynb"

    def write_both(self):
        self.text.write_text(CHAPTER)
        pairs.write_pair(self.text)

    def read(self):
        return pairs.read(self.project, "one")

    def edit_text(self, old="x = 1", new="x = 2"):
        text = self.text.read_text()
        assert old in text
        self.text.write_text(text.replace(old, new))

    def open(self):
        return nbformat.read(self.notebook, as_version=4)

    def edit_notebook(self, source="y = 3", index=-1, **metadata):
        """What Jupyter does: the rest of the file stays."""
        notebook = self.open()
        if source is not None:
            notebook.cells[index].source = source
        notebook.cells[index].metadata.update(metadata)
        nbformat.write(notebook, self.notebook)

    def contents(self):
        return {path: path.read_bytes() for path in (self.text, self.notebook) if path.exists()}

    def assert_refused(self):
        """Reading says one sentence that names the file, and writes nothing."""
        before = self.contents()
        with pytest.raises(CifarcamError, match=r"one\.(md|ipynb)") as refused:
            self.read()
        assert "\n" not in str(refused.value)
        assert self.contents() == before
        return str(refused.value)

    def assert_agree(self):
        before = self.contents()
        text = self.text.read_text("utf-8-sig")
        from_text, from_notebook = jupytext.reads(text, fmt="md:myst"), self.open()
        assert pairs.digest(from_text) == pairs.digest(from_notebook)
        assert pairs.digest(self.read()) == pairs.digest(from_text)
        assert self.contents() == before  # reading again writes nothing


@pytest.fixture
def pair(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "notebooks").mkdir()
    one = Pair(tmp_path)
    one.write_both()
    return one


def unpacked(pair):
    """All files at the same time, as an archive or a clone may leave them."""
    for path in pair.project.rglob("*"):
        os.utime(path, (1e9, 1e9))


def text_newer(pair):
    os.utime(pair.text, (2e9, 2e9))
    os.utime(pair.notebook, (1e9, 1e9))


def notebook_newer(pair):
    os.utime(pair.text, (1e9, 1e9))
    os.utime(pair.notebook, (2e9, 2e9))


TIMES = [unpacked, text_newer, notebook_newer]


@pytest.mark.parametrize("times", TIMES)
def test_edited_file_is_followed_whatever_the_times(pair, times):
    pair.edit_notebook("y = 3")
    times(pair)
    assert pair.read().cells[-1].source == "y = 3"
    assert "y = 3" in pair.text.read_text()
    pair.assert_agree()

    pair.edit_text("y = 3", "z = 4")
    times(pair)
    assert pair.read().cells[-1].source == "z = 4"
    assert pair.open().cells[-1].source == "z = 4"
    pair.assert_agree()


@pytest.mark.parametrize("times", TIMES)
def test_edits_of_both_files_are_kept_and_named(pair, times):
    pair.edit_notebook("y = 3")
    pair.edit_text("Words.", "Other words.")
    times(pair)
    assert "one.md and notebooks/one.ipynb were both edited" in pair.assert_refused()

    pair.edit_text("x = 1", "y = 3")  # carried over, and the notebook moved away
    pair.notebook.rename(pair.project / "aside.ipynb")
    assert "y = 3" in pair.read().cells[-1].source
    assert "Other words." in pair.open().cells[0].source
    pair.assert_agree()


def test_same_edit_in_both_files_is_no_conflict(pair):
    # As `jupytext --sync` and its server in Jupyter do.
    pair.edit_text()
    pair.edit_notebook(None)
    notebook = pair.open()
    notebook.cells[-1].source = notebook.cells[-1].source.replace("x = 1", "x = 2")
    nbformat.write(notebook, pair.notebook)
    pair.read()
    pair.edit_text("Words.", "Other words.")
    pair.read()
    assert "Other words." in pair.open().cells[0].source


@pytest.mark.parametrize("note", ["", "<<<<<<< ours\n", "[]", '{"one": 3}', None])
def test_missing_note_of_agreement_overwrites_no_difference(pair, note):
    pair.edit_notebook("y = 3")
    if note is None:
        (pair.project / pairs.AGREED).unlink()
    else:
        (pair.project / pairs.AGREED).write_text(note)
    pair.assert_refused()
    pair.edit_notebook("%matplotlib inline\nx = 1")
    pair.read()
    pair.edit_text()
    pair.read()
    pair.assert_agree()


def test_older_version_of_a_file_is_an_edit(pair):
    older = pair.notebook.read_bytes()
    pair.edit_text()
    pair.read()
    pair.notebook.write_bytes(older)  # as `git checkout` of one file
    assert "x = 1" in pair.read().cells[-1].source
    pair.assert_agree()


HEADLESS = CHAPTER.removeprefix(HEAD)
MERGE = "<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> theirs"
DAMAGED_TEXTS = {
    "empty": b"",
    "blank": b"\n\n",
    "no cells": HEAD.encode(),
    "no front matter": HEADLESS.encode(),
    "front matter that never ends": CHAPTER.replace("\n---\n", "\n", 1).encode(),
    "front matter that is no YAML": CHAPTER.replace("jupytext:", "jupytext: [", 1).encode(),
    "front matter of another kind": f"---\n- a\n---\n{HEADLESS}".encode(),
    "front matter of other types": f"---\njupytext: 3\n---\n{HEADLESS}".encode(),
    "merge": CHAPTER.replace("x = 1", MERGE).encode(),
    "options that are no YAML": CHAPTER.replace("[parameters]", "[parameters").encode(),
    "tags that are none": CHAPTER.replace("[parameters]", "parameters").encode(),
    "dates": CHAPTER.replace("{name: fig-a}", "{name: 2020-01-01}").encode(),
    "not UTF-8": CHAPTER.encode().replace(b"Words", b"W\xf6rds"),
    "another encoding": CHAPTER.encode("utf-16"),
}


@pytest.mark.parametrize("kind", DAMAGED_TEXTS)
def test_damaged_text_overwrites_nothing_and_is_made_anew(pair, kind):
    pair.edit_notebook("y = 3")
    pair.text.write_bytes(DAMAGED_TEXTS[kind])
    pair.assert_refused()
    pair.text.unlink()
    assert pair.read().cells[-1].source == "y = 3"
    pair.assert_agree()


def whole_notebook():
    notebook = jupytext.reads(CHAPTER, fmt="md:myst")
    return json.loads(nbformat.writes(notebook))


DAMAGED_NOTEBOOKS = {
    "empty": "",
    "half": json.dumps(whole_notebook())[:400],
    "merge": json.dumps(whole_notebook(), indent=1).replace('"Words.', f'"{MERGE}\nWords.'),
    "null": "null",
    "list": "[]",
    "empty object": "{}",
    "no cells": json.dumps(whole_notebook() | {"cells": []}),
    "cells of another type": json.dumps(whole_notebook() | {"cells": 3}),
    "cells without a type": json.dumps(whole_notebook() | {"cells": [{"source": "x"}]}),
    "metadata of another type": json.dumps(whole_notebook() | {"metadata": []}),
    "a later format": json.dumps(whole_notebook() | {"nbformat": 9}),
    "nested without end": "[" * 100_000,
}


@pytest.mark.parametrize("kind", DAMAGED_NOTEBOOKS)
def test_damaged_notebook_overwrites_nothing_and_is_made_anew(pair, kind):
    pair.edit_text()
    pair.notebook.write_text(DAMAGED_NOTEBOOKS[kind])
    pair.assert_refused()
    pair.notebook.unlink()
    assert "x = 2" in pair.read().cells[-1].source
    pair.assert_agree()


def test_notebook_without_text_is_a_chapter_in_the_contents(pair):
    shutil.copy(pair.notebook, pair.project / "notebooks" / "mine.ipynb")
    shutil.copy(pair.notebook, pair.project / "notebooks" / "Untitled.ipynb")
    (pair.project / "notebooks" / ".one.md").write_text("of an editor")
    assert chapters.chapters(pair.project) == ["one"]
    for entry in ("notebooks/mine", "notebooks/mine.ipynb", '"notebooks/mine"  # new'):
        (pair.project / "book" / "_toc.yml").write_text(
            f"root: index\nchapters:\n- file: {entry}\n"
        )
        assert chapters.chapters(pair.project) == ["mine", "one"]
    mine = pairs.read(pair.project, "mine")
    assert pairs.digest(mine) == pairs.digest(pair.read())
    text = (pair.project / "notebooks" / "mine.md").read_text()
    assert pairs.digest(jupytext.reads(text, fmt="md:myst")) == pairs.digest(mine)
    assert "formats: md:myst,ipynb" in text


def test_tags_and_figures_are_edits_too(pair):
    pair.edit_notebook(None, tags=["hide-input"])
    pair.read()
    assert ":tags: [hide-input]" in pair.text.read_text().replace("\ntags:", "\n:tags:")
    pair.edit_text("fig-a", "fig-b")
    pair.read()
    assert pair.open().cells[-1].metadata["mystnb"]["figure"]["name"] == "fig-b"


def test_front_matter_stays_and_editors_metadata_stays_out(pair):
    front = HEAD.replace("---\n", "---\n# A comment\ntitle: A title\nmystnb:\n  a: 1\n", 1)
    pair.text.write_text(CHAPTER.replace(HEAD, front))
    pair.read()
    notebook = pair.open()
    notebook.metadata["kernelspec"] = {"display_name": ".venv", "language": "python", "name": "v"}
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    notebook.metadata["vscode"] = {"a": 1}
    nbformat.write(notebook, pair.notebook)
    pair.edit_notebook("y = 3", vscode={"languageId": "python"}, collapsed=True, tags=[])
    pair.read()
    text = pair.text.read_text()
    assert text.startswith(front)
    assert "y = 3" in text
    for word in ("vscode", "venv", "collapsed", "language_info", "tags: []"):
        assert word not in text
    # papermill finds the kernel, and what the editor keeps besides stays.
    assert pair.open().metadata["kernelspec"] == pairs.KERNEL
    assert pair.open().metadata["vscode"] == {"a": 1}
    pair.assert_agree()


def test_front_matter_without_jupytext_is_enough(pair):
    front = "---\nkernelspec:\n  display_name: P\n  name: p\n---\n"
    pair.text.write_text(front + "\nWords.\n")
    pair.read()
    pair.edit_notebook("Other words.")
    pair.read()
    assert pair.text.read_text() == front + "\nOther words.\n"
    pair.assert_agree()


def test_metadata_in_the_text_is_kept_in_step(pair):
    pair.edit_text(":tags: [parameters]", ":tags: [parameters]\n:editable: false")
    pair.read()
    assert pair.open().cells[1].metadata["editable"] is False
    pair.edit_notebook("y = 3")
    pair.read()
    assert ":editable: false" in pair.text.read_text()


def test_byte_order_mark_and_windows_line_ends_are_read(pair):
    pair.edit_text()
    pair.text.write_bytes(pair.text.read_text().replace("\n", "\r\n").encode("utf-8-sig"))
    assert "x = 2" in pair.read().cells[-1].source
    pair.assert_agree()


@pytest.mark.parametrize(
    "source", ["```python\nnever closed", "```{code-cell} ipython3\nx = 1\n```", "a\n\n+++\n\nb"]
)
def test_prose_that_the_text_would_misread_is_refused(pair, source):
    pair.edit_notebook(source, index=0)
    assert "cell 0" in pair.assert_refused()


def test_pasted_picture_is_refused(pair):
    notebook = pair.open()
    notebook.cells[0]["attachments"] = {"a.png": {"image/png": "aGk="}}
    notebook.cells[0].source += "\n\n![a](attachment:a.png)"
    nbformat.write(notebook, pair.notebook)
    assert "picture" in pair.assert_refused()


@pytest.mark.parametrize("edit", [Pair.edit_text, Pair.edit_notebook])
def test_read_only_folder_is_reported_and_nothing_changes(pair, edit, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    pair.read()
    monkeypatch.setattr(_files.tempfile, "mkstemp", read_only)
    pair.read()  # in step: nothing is to be written
    (pair.project / pairs.AGREED).write_text("{}")
    pair.read()  # nor is the note needed
    monkeypatch.undo()
    pair.read()
    edit(pair)
    monkeypatch.setattr(_files.tempfile, "mkstemp", read_only)
    before = pair.contents()
    with pytest.raises(CifarcamError, match="Read-only file system"):
        pair.read()
    assert pair.contents() == before


SOURCES = [
    "x = 1",
    "a\n\n\nb  ",
    "",
    "\n\nx",
    "  x\ny",
    "---\na: b\n---",
    ":a: b",
    "# T\n\n```py\nx\n```",
]
SOURCES += [
    "%%bash\necho `a`",
    "!ls",
    '"""\n```\n"""',
    "é 漢 \u2028",
    "a\r\nb",
    "+++ {}",
    "% c",
    "<div>\n\nb",
]
SOURCES += [
    "* a\n  * b",
    "    indented",
    "```{note}\nx\n```",
    "````\n```{code-cell}\n```\n````",
    "\tx",
    "$$\na\n$$",
]


def random_edit(random, notebook):
    kinds = (nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell, nbformat.v4.new_raw_cell)
    for _ in range(random.randint(1, 3)):
        cell = random.choice(kinds)(random.choice(SOURCES))
        if random.random() < 0.4:
            cell.metadata["tags"] = random.sample(["hide-input", "a: b", "ü", "2"], 2)
        notebook.cells.insert(random.randint(0, len(notebook.cells)), cell)
    if random.random() < 0.3:
        del notebook.cells[random.randrange(1, len(notebook.cells))]


def campaign(pair, count, seed=0):
    """Edit a file of a pair again and again; how often the other followed, and was refused to."""
    choice = random.Random(seed)
    outcomes = Counter()
    for _ in range(count):
        notebook = pair.open()
        random_edit(choice, notebook)
        edited = choice.choice([pair.text, pair.notebook])
        jupytext.write(notebook, edited, fmt="md:myst" if edited == pair.text else "ipynb")
        before = pair.contents()
        try:
            pair.read()
        except CifarcamError:
            assert pair.contents() == before
            pair.write_both()
            outcomes["refused"] += 1
            continue
        assert pair.contents()[edited] == before[edited]
        pair.assert_agree()
        outcomes[f"followed {edited.suffix}"] += 1
    return outcomes


@pytest.mark.slow
def test_random_edits_of_either_file_arrive_in_the_other_or_are_refused(pair):
    outcomes = campaign(pair, 20)
    assert len(outcomes) == 3, outcomes
