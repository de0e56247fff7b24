"""Notebooks on Colab: a badge that opens a notebook there, and a cell that clones and installs.

Both cells are written from the repository's address in ``book/_config.yml``. They carry the tag
`chapters.COLAB`, and the report leaves cells with this tag out.
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
CLONE = "/content"  # the folder on Colab that a clone goes into

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
    """A repository on GitHub: ``"owner/name"``, empty when not set, and a branch."""

    name: str
    branch: str


def read_repository(project: Path) -> Repository:
    """The repository that ``book/_config.yml`` sets.

    Raises
    ------
    CifarcamError
        When the setting is missing, or is not an address on GitHub.
    """
    _, url, _, branch = _setting(project).groups()
    name = url.strip("\"' ").removeprefix(GITHUB)
    _check(name, f"book/_config.yml: repository: url: {url}: give {GITHUB}owner/name")
    return Repository(name, branch)


def set_repository(project: Path, name: str) -> list[str]:
    """Set the repository, and write the badge and the install cell into every notebook.

    Parameters
    ----------
    project
        The checkout.
    name
        ``"owner/name"``; an empty text removes the address, the badges and the cells.

    Returns
    -------
    list of str
        Names of the chapters that changed.

    Raises
    ------
    CifarcamError
        When `name` is neither empty nor ``"owner/name"``, or a notebook has no place for the cells.
        In this case nothing is written.
    """
    _check(name, f"repository {name!r}: give owner/name, as in {GITHUB}owner/name")
    setting = _setting(project)
    repository = Repository(name, setting[4])
    changes = {}
    for chapter in chapters.chapters(project):
        chapters.read_chapter(project, chapter)  # brings the pair into step
        path = project / "notebooks" / f"{chapter}.md"
        before = path.read_text()
        text = with_cells(before, chapter, repository)
        if text != before:
            changes[path] = text
    address = f'"{GITHUB}{name}"' if name else '""'
    config = setting.string[: setting.start(2)] + address + setting.string[setting.end(2) :]
    _write(project / "book" / "_config.yml", config)
    for path, text in changes.items():
        _write(path, text)
        pairs.write_pair(path)
    return [path.stem for path in changes]


def with_cells(text: str, chapter: str, repository: Repository) -> str:
    """The text of a chapter's ``.md`` with the badge and install cell of a repository.

    Cells of another repository are removed. The install cell clones the repository without its
    history, because runs are not part of the package, installs the clone, and moves into it, so
    that its runs are found.

    Raises
    ------
    CifarcamError
        When the chapter has no front matter or no cell with the tag `parameters`.
    """
    text = TAGGED.sub("", text)
    address = f"{COLAB}/github/{repository.name}/blob/{repository.branch}/notebooks/{chapter}.ipynb"
    folder = repository.name.rpartition("/")[2]
    clone = f"--depth 1 --branch {repository.branch} {GITHUB}{repository.name} {CLONE}/{folder}"
    badge = (
        f'+++ {{"tags": ["{chapters.COLAB}"]}}\n\n'
        f"[![Open in Colab]({COLAB}/assets/colab-badge.svg)]({address})\n\n+++\n\n"
    )
    install = (
        f"```{{code-cell}} ipython3\n:tags: [{chapters.COLAB}]\n\n"
        'import sys\n\nif "google.colab" in sys.modules:\n'
        f"    !test -d {CLONE}/{folder} || git clone --quiet {clone}\n"
        f'    %pip install --quiet "{CLONE}/{folder}[all]"\n'
        f"    %cd -q {CLONE}/{folder}/notebooks\n```\n\n"
    )
    for place, cell in ((FRONT_MATTER, badge), (PARAMETERS, install)):
        match = place.search(text)
        if match is None:
            raise CifarcamError(
                f"notebooks/{chapter}.md: needs a front matter and a cell with the tag parameters"
            )
        if repository.name:
            text = text[: match.end()] + cell + text[match.end() :]
    return text


def _check(name: str, complaint: str) -> None:
    if name and not NAME.fullmatch(name):
        raise CifarcamError(complaint)


def _setting(project: Path) -> re.Match[str]:
    setting = SETTING.search((project / "book" / "_config.yml").read_text())
    if setting is None:
        raise CifarcamError(
            "book/_config.yml: needs a section `repository:` that begins with `url:` and `branch:`"
        )
    return setting


def _write(path: Path, text: str) -> None:
    with _files.atomic_file(path) as temporary:
        temporary.write_text(text)
