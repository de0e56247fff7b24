"""The whole book, built once in a run: on the sample, with a tiny network, in a copy of the checkout."""

import functools
import re
import shutil

import pytest
from helpers import (
    BROWSER,
    HEAD,
    ROOT,
    Server,
    run,
    tracked_files,
    write_small_book,
    write_tiny_experiments,
)
from xdist.scheduler import LoadScopeScheduling

# A small book for the network in the page: a section of the front page, and a chapter.
FRONT_PAGE = (ROOT / "book" / "index.md").read_text()
SECTION = re.search(r"^\(section-draw\)=.*?(?=^## Three answers)", FRONT_PAGE, re.M | re.S)[0]
CHAPTER = f"""{HEAD}
# Chapter

```{{code-cell}} ipython3
:tags: [parameters]

dataset_name = "sample"
run_name = "tiny"
```

```{{code-cell}} ipython3
:tags: [hide-input]

from cifarcam import data, runs
from cifarcam.report import live

dataset = data.load("sample")
networks = {{name: runs.load(name, dataset=dataset) for name in ("tiny", "tiny-early-stopping")}}
predicted = networks["tiny"].predictions.argmax(axis=1)
chosen = live.choose(dataset.test.labels, predicted)
live.show(live.encode(networks, dataset, chosen))
```
"""


@functools.cache
def uses_the_book(path):
    return "(built" in path.read_text()


@functools.cache
def uses_the_live_page(path):
    return "live_html" in path.read_text()


def pytest_collection_modifyitems(items):
    """The longest tests first, so that of two workers neither is left with them at the end."""
    items.sort(key=lambda item: not (uses_the_book(item.path) or item.path.stem == "test_wheel"))


def pytest_xdist_make_scheduler(config, log):
    """For `pytest -n 2`: a file's tests go to one worker, and all tests of one built book.

    xdist's own marks for groups have no effect with pytest 9.2, which keeps a test's name elsewhere.
    """
    return Together(config, log)


class Together(LoadScopeScheduling):
    def _split_scope(self, nodeid):
        path = nodeid.split("::")[0]
        if uses_the_live_page(ROOT / path):
            return "live page"
        return "book" if uses_the_book(ROOT / path) else path


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of the checkout with the tiny experiments, and without a repository's address."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in filter(None, tracked_files()):
        if (ROOT / name).exists() and not name.startswith("runs/baseline"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name, follow_symlinks=False)
    write_tiny_experiments(copy / "experiments")
    run(copy, "cifarcam", "colab", "")
    return copy


@pytest.fixture(scope="session")
def built(project):
    said = run(project, "cifarcam", "report", "--dataset", "sample", "--run", "tiny")
    log = run(project, "jupyter-book", "build", "book", "-n", "-W", "--keep-going")
    return project, said, log


@pytest.fixture(scope="session")
def live_html(tmp_path_factory):
    """A book of two pages: the front page's section, and a chapter that explains."""
    project = tmp_path_factory.mktemp("book")
    front = f"# Top\n\n{SECTION}\n## Abstract\n\nWords.\n"
    write_small_book(project, front, {"heatmaps": CHAPTER})
    (project / "experiments").mkdir()
    write_tiny_experiments(project / "experiments")
    for builder in ("html", "latex"):
        assert "WARNING" not in run(project, "jupyter-book", "build", "book", "--builder", builder)
    return project / "book" / "_build" / "html"


@pytest.fixture(scope="session")
def chromium():
    if BROWSER is None:
        pytest.skip("no Chromium or Chrome is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER)
        yield browser
        browser.close()


@pytest.fixture
def kept():
    """Notes a page, which is closed after the test, and returns it."""
    pages = []

    def keep(page):
        pages.append(page)
        return page

    yield keep
    for page in pages:
        page.context.close()


@pytest.fixture
def server():
    started = Server()
    yield started
    started.server.shutdown()
    started.server.server_close()
