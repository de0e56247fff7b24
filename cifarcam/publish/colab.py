"""Notebooks on Colab: a badge that opens each there, and a cell that installs the library there.

The repository's address stands in ``book/_config.yml`` alone, and both cells are written from it.
They carry the tag `chapters.COLAB`, by which the report leaves them out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cifarcam import _files
from cifarcam.errors import CifarcamError
from cifarcam.publish import chapters, pairs

GITHUB = "https://github.com/"
COLAB = "https://colab.research.google.com"

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")
SETTING = re.compile(r"(?m)^(repository:\n  url: )(.*)(\n  branch: )(.+)$")
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n\n", re.DOTALL)
PARAMETERS = re.compile(r"```\{code-cell\}[^\n]*\n:tags: \[parameters\]\n.*?\n```\n\n", re.DOTALL)
TAGGED = re.compile(
    rf'\+\+\+ \{{"tags": \["{chapters.COLAB}"\]\}}\n.*?\n\+\+\+\n\n'
    rf"|```\{{code-cell\}}[^\n]*\n:tags: \[{chapters.COLAB}\]\n.*?\n```\n\n",
    re.DOTALL,
)


@dataclass(frozen=True)
class Repository:
    """Where the notebooks are on GitHub. `name` is ``"owner/name"``, or empty when not set."""

    name: str
    branch: str


def read_repository(project: Path) -> Repository:
    """The repository that is set in ``book/_config.yml``.

    Raises
    ------
    CifarcamError
        When the setting is missing, or is no address on GitHub.
    """
    _, url, _, branch = _setting(project).groups()
    name = url.strip("\"' ").removeprefix(GITHUB)
    _check(name, f"book/_config.yml: repository: url: {url}: give {GITHUB}owner/name")
    return Repository(name, branch)


def set_repository(project: Path, name: str) -> list[str]:
    """Set the repository, and write badge and install cell into every notebook.

    Parameters
    ----------
    project
        The checkout.
    name
        ``"owner/name"``; an empty text takes address, badges and cells away.

    Returns
    -------
    list of str
        The chapters that changed.

    Raises
    ------
    CifarcamError
        When `name` is neither empty nor of that form, or a notebook has no place for the cells.
        Nothing is written then.
    """
    _check(name, f"repository {name!r}: give owner/name, as in {GITHUB}owner/name")
    setting = _setting(project)
    repository = Repository(name, setting[4])
    texts = {}
    for chapter in chapters.chapters(project):
        chapters.read_chapter(project, chapter)  # brings the pair into step
        path = project / "notebooks" / f"{chapter}.md"
        before = path.read_text()
        text = with_cells(before, chapter, repository)
        if text != before:
            texts[path] = text
    address = f'"{GITHUB}{name}"' if name else '""'
    config = setting.string[: setting.start(2)] + address + setting.string[setting.end(2) :]
    _write(project / "book" / "_config.yml", config)
    for path, text in texts.items():
        _write(path, text)
        pairs.write_pair(path)
    return [path.stem for path in texts]


def with_cells(text: str, chapter: str, repository: Repository) -> str:
    """The text of a chapter's ``.md`` with a repository's badge and install cell, and no others.

    Raises
    ------
    CifarcamError
        When the chapter lacks a front matter or a cell of parameters, which they come after.
    """
    text = TAGGED.sub("", text)
    address = f"{COLAB}/github/{repository.name}/blob/{repository.branch}/notebooks/{chapter}.ipynb"
    source = f"git+{GITHUB}{repository.name}@{repository.branch}"
    badge = (
        f'+++ {{"tags": ["{chapters.COLAB}"]}}\n\n'
        f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({address})\n\n+++\n\n"
    )
    install = (
        f"```{{code-cell}} ipython3\n:tags: [{chapters.COLAB}]\n\n"
        'import sys\n\nif "google.colab" in sys.modules:\n'
        f'    %pip install --quiet "cifarcam[explain] @ {source}"\n```\n\n'
    )
    for place, cell in ((FRONT_MATTER, badge), (PARAMETERS, install)):
        found = place.search(text)
        if found is None:
            raise CifarcamError(
                f"notebooks/{chapter}.md: needs a front matter and a cell tagged parameters"
            )
        if repository.name:
            text = text[: found.end()] + cell + text[found.end() :]
    return text


def _check(name: str, complaint: str) -> None:
    if name and not NAME.fullmatch(name):
        raise CifarcamError(complaint)


def _setting(project: Path) -> re.Match[str]:
    found = SETTING.search((project / "book" / "_config.yml").read_text())
    if found is None:
        raise CifarcamError(
            "book/_config.yml: needs a section `repository:` that begins with `url:` and `branch:`"
        )
    return found


def _write(path: Path, text: str) -> None:
    with _files.atomic_file(path) as temporary:
        temporary.write_text(text)
