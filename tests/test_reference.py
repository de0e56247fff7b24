"""The reference pages: one for each method and public module, read from the source alone."""

import re
import subprocess
import sys

import griffe
import pytest
from helpers import ROOT

from cifarcam import explain, export, runs, training
from cifarcam.errors import CifarcamError
from cifarcam.explain import metrics
from cifarcam.publish import reference


@pytest.fixture(scope="module")
def pages():
    return reference.build_pages(ROOT)


def test_pages_are_built_without_tensorflow():
    code = (
        "import sys; from pathlib import Path; from cifarcam.publish import reference\n"
        f"reference.build_pages(Path({str(ROOT)!r})); sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_methods_are_those_of_the_registry_in_its_order():
    assert list(reference.METHODS) == list(explain.METHODS)


@pytest.mark.parametrize("name", explain.METHODS)
def test_page_of_a_method_has_source_cost_equation_signature_and_example(pages, name):
    method, (title, key) = explain.METHODS[name], reference.METHODS[name]
    page = pages[f"methods/{name}"]
    assert page.startswith(f"# {title}\n")
    assert f": {method.cost}\n" in page
    assert method.__doc__.splitlines()[0] in page
    assert f"{{py:class}} {method.__name__}(model: keras.Model | Classifier" in page
    example = re.search(r"```python\n(.*?)```", page, re.S)[1]
    assert f">>> explainer = {method.__name__}(model" in example
    if key is None:
        assert method.reference == "null baseline"
        return
    entry = re.search(
        rf"@\w+{{{key},(.*?)\n}}", (ROOT / "book" / "references.bib").read_text(), re.S
    )
    assert method.reference.split()[0] in entry[1]
    assert re.search(r"\((\d{4})\)", method.reference)[1] in entry[1]


@pytest.mark.parametrize(
    "part", [explain, metrics, runs, export, training], ids=lambda part: part.__name__
)
def test_modules_describe_every_public_name(pages, part):
    text = "\n".join(pages.values())
    for name in part.__all__:
        assert re.search(rf"\{{py:(?:class|function|data)\}} {name}[(\n]", text), name
    listed = pages[f"modules/{part.__name__.removeprefix('cifarcam.')}"]
    assert all(re.search(rf"[ .]{name}[(`\n]", listed) for name in part.__all__)


def test_docstrings_are_read_without_complaint(caplog):
    package = griffe.load("cifarcam", search_paths=[ROOT], docstring_parser="numpy")
    with caplog.at_level("WARNING", logger="griffe"):
        for module in reference._modules(package):
            for obj in reference._public(module).values():
                list(reference._sections(obj))
    assert caplog.messages == []


@pytest.mark.slow
def test_unchanged_pages_stay_and_pages_of_what_is_gone_are_deleted(tmp_path):
    (tmp_path / "cifarcam").symlink_to(ROOT / "cifarcam")
    reference.write_pages(tmp_path)
    folder = tmp_path / reference.FOLDER
    page, gone = folder / "methods" / "lime.md", folder / "methods" / "gone.md"
    text, time = page.read_text(), page.stat().st_mtime_ns
    gone.write_text("# Gone\n")
    (folder / "modules.md").write_text("changed")
    reference.write_pages(tmp_path)
    assert page.stat().st_mtime_ns == time
    assert page.read_text() == text
    assert not gone.exists()
    assert (folder / "modules.md").read_text().startswith("# Modules\n")


def test_checkout_without_the_package_gets_no_pages(tmp_path):
    reference.write_pages(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_method_without_an_entry_is_refused(monkeypatch):
    entries = {name: entry for name, entry in reference.METHODS.items() if name != "lime"}
    monkeypatch.setattr(reference, "METHODS", entries)
    with pytest.raises(CifarcamError, match="explanation method lime: not in METHODS"):
        reference.build_pages(ROOT)


SOURCE = '''
"""A module."""

LIMIT = 3
"""Greatest number."""


class Thing:
    """A thing.

    Parameters
    ----------
    size
        In pixels.
    """

    def __init__(self, size: int = 4, *, name: str | None = None) -> None: ...

    def grow(self, by: float) -> "Thing":
        """Make it larger.

        Raises
        ------
        CifarcamError
            When `by` is negative.
        """

    def _hidden(self):
        """Hidden."""

    @property
    def area(self) -> float:
        """In square pixels."""


class Part(Thing):
    """A part."""
'''


def test_directives_have_signatures_members_and_sections(tmp_path):
    (tmp_path / "something.py").write_text(SOURCE)
    module = griffe.load("something", search_paths=[tmp_path], docstring_parser="numpy")
    public = reference._public(module)
    assert list(public) == ["LIMIT", "Thing", "Part"]
    assert list(reference._render(public["LIMIT"], "LIMIT")) == [
        *(":::::{py:data} LIMIT", ":value: 3", "", "Greatest number.", "", ":::::", ""),
    ]
    assert list(reference._render(public["Thing"], "Thing")) == [
        *(":::::{py:class} Thing(size: int = 4, *, name: str | None = None)", ""),
        *("A thing.", "", "**Parameters**", "", "`size` (`int`)", ": In pixels.", ""),
        *("::::{py:method} grow(by: float) -> Thing", "", "Make it larger.", ""),
        *("**Raises**", "", "`CifarcamError`", ": When `by` is negative.", "", "::::", ""),
        *("::::{py:property} area", ":type: float", "", "In square pixels.", "", "::::", ""),
        *(":::::", ""),
    ]
    constructor = ":::::{py:class} Part(size: int = 4, *, name: str | None = None)"
    assert next(reference._render(public["Part"], "Part")) == constructor
