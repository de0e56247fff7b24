"""What several test modules share: paths, commands, tiny experiments, pages, a local server."""

import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from bs4 import BeautifulSoup

import cifarcam  # before the tests' own imports of TensorFlow, which reads what it sets
from cifarcam.publish import pairs

ROOT = Path(cifarcam.__file__).parents[1]
BIN = Path(sys.executable).parent
PAGES = [
    *("index", "introduction", "conclusion", "glossary", "bibliography"),
    *(f"notebooks/{path.stem}" for path in sorted((ROOT / "notebooks").glob("*.md"))),
]
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
# What a chapter's text begins with.
HEAD = """---
jupytext:
  formats: md:myst,ipynb
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---
"""

# An experiment on the sample that trains in a second.
TINY = """
description = "For tests"
[model]
architecture = "custom_cnn"
filters = [4, 4]
dense = 8
dropout = 0.5
[data]
dataset = "sample"
split_seed = 0
[training]
seed = 3
epochs = 3
batch_size = 64
optimizer = "adam"
learning_rate = 0.01
precision = "float32"
"""


def tracked_files():
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")


def sample_with(count):
    """The sample with its first test images alone."""
    from cifarcam import data  # with TensorFlow, which other helpers do without

    whole = data.load("sample")
    few = replace(whole.test, images=whole.test.images[:count], labels=whole.test.labels[:count])
    return replace(whole, test=few)


def write_tiny_experiments(directory):
    """Write the baseline and its twin with three epochs on two layers of filters, named tiny."""
    for name in ("baseline", "baseline-early-stopping"):
        text = (ROOT / "experiments" / f"{name}.toml").read_text()
        text = re.sub(r"epochs = \d+", "epochs = 3", text)
        text = re.sub(r"learning_rate = [\d.]+", "learning_rate = 0.01", text)
        text = re.sub(r"filters = \[.*\]", "filters = [8, 16]", text)
        (directory / f"{name.replace('baseline', 'tiny')}.toml").write_text(text)


def write_small_book(project, front, chapters):
    """A project whose book has a front page and chapters made from notebooks, by their texts."""
    for name in ("_static", "_mathjax", "_templates", "_latex"):
        shutil.copytree(ROOT / "book" / name, project / "book" / name)
    for name in ("_config.yml", "references.bib"):
        shutil.copy(ROOT / "book" / name, project / "book" / name)
    toc = "".join(f"  - file: notebooks/{name}\n" for name in chapters)
    (project / "book" / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{toc}")
    (project / "book" / "index.md").write_text(front)
    for name in ("_config.yml", "_toc.yml"):
        (project / name).symlink_to(f"book/{name}")
    (project / "requirements.txt").write_text("numpy==1\n")
    (project / "notebooks").mkdir()
    for name, text in chapters.items():
        (project / "notebooks" / f"{name}.md").write_text(text)
        pairs.write_pair(project / "notebooks" / f"{name}.md")


def call(*command, cwd, **environment):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done


def run(project, command, *arguments):
    """What a command of the environment says in a project, whose own cache it uses."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    cache = str(project / "cache")
    done = call(BIN / command, *arguments, cwd=project, XDG_CACHE_HOME=cache, PATH=path)
    return done.stdout + done.stderr


def pages(project):
    html = project / "book" / "_build" / "html"
    return {
        name: BeautifulSoup((html / f"{name}.html").read_text(), "html.parser") for name in PAGES
    }


class OpenPage:
    """A page opened from the disk in a browser without a network, and what it asks for and reports."""

    def __init__(self, browser, path, address="", before="", **options):
        self.requests = []
        self.errors = []
        # Without motion a colour is what it will be, and not on its way there.
        options = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce"} | options
        self.context = browser.new_context(offline=True, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        self.page.add_init_script(before)  # JavaScript that runs before the page's own
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda said: self.errors.append(said.text) if said.type == "error" else None,
        )
        self.page.goto(path.as_uri() + address)

    def asked_outside(self, html):
        """Addresses asked for that are not in a folder."""
        inside = (html.as_uri() + "/", "data:", "blob:")
        return [url for url in self.requests if not url.startswith(inside)]

    def barriers(self, context=None, rule=None):
        """What axe-core finds that is serious or critical, by all rules or by one."""
        from axe_playwright_python.sync_playwright import Axe

        # The rule is new: labels must hold the words that are seen.
        rules = {"label-content-name-mismatch": {"enabled": True}}
        # Without asking for the style sheets again, which a page from the disk may not.
        options = {"resultTypes": ["violations"], "rules": rules, "preload": False}
        if rule is not None:
            options["runOnly"] = {"type": "rule", "values": [rule]}
        found = Axe().run(self.page, context=context, options=options).response["violations"]
        return [
            (rule["id"], node["html"][:200], node["failureSummary"])
            for rule in found
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]


# JavaScript that waits until the network has answered for the newest picture.
SETTLE = """
const rest = () => new Promise((resolve) => setTimeout(resolve, 150));
const app = cifarcamLive.apps[0];
for (let last = null; last !== app.answer; await rest()) last = app.answer;
"""


class LivePage(OpenPage):
    """The page with the network, with words for what a reader does and sees."""

    def __init__(self, browser, path, address="", before="", **options):
        super().__init__(browser, path, address, before, **options)
        self.app = self.page.locator(".live-app")
        self.canvas = self.app.locator(".live-stage canvas").first
        if options.get("java_script_enabled", True):
            self.page.wait_for_function("window.cifarcamLive.apps?.[0].answer")
            self.settle()

    def settle(self):
        """Wait until the network has answered for the newest picture."""
        self.page.evaluate(f"async () => {{ {SETTLE} }}")

    def now(self, expression):
        self.settle()
        return self.page.evaluate(
            f"(() => {{ const app = cifarcamLive.apps[0]; return {expression} }})()"
        )

    @property
    def pixels(self):
        return np.array(self.now("[...app.pixels]")).reshape(32, 32, 3)

    @property
    def probabilities(self):
        return np.array(self.now("[...app.answer.probabilities]"))

    @property
    def map(self):
        return np.array(self.now("[...app.mapOf(app.answer)]")).reshape(32, 32)

    @property
    def hash(self):
        return self.page.evaluate("location.hash")

    @property
    def failure(self):
        return self.app.locator(".live-failure").inner_text()

    @property
    def fact(self):
        self.settle()
        return self.app.locator(".live-fact").inner_text()

    def button(self, name):
        return self.app.get_by_role("button", name=name, exact=True)

    def place(self, x, y):
        box = self.canvas.bounding_box()
        return box["x"] + x / 32 * box["width"], box["y"] + y / 32 * box["height"]

    def drag(self, *places):
        self.canvas.scroll_into_view_if_needed()
        self.page.mouse.move(*self.place(*places[0]))
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*self.place(*place), steps=5)
        self.page.mouse.up()

    def slide(self, name, value):
        """Move a visible slider, which the label of another may contain."""
        self.app.get_by_role("slider", name=re.compile(f"^{name}")).fill(str(value))


def left_in(directory):
    """Names in a directory without locks, which some versions of filelock remove."""
    return sorted(path.name for path in directory.iterdir() if path.suffix != ".lock")


class Server:
    """Serves one answer after the other; the last one again and again."""

    def __init__(self):
        self.answers = []
        self.asked = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = outer.answers[min(outer.asked, len(outer.answers) - 1)]
                outer.asked += 1
                answer(self)

            def log_message(self, *arguments):
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # a client that gave up is none
        self.url = f"http://127.0.0.1:{self.server.server_port}/cifar-10-binary.tar.gz"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


def serving(content, declared=None, pause=0.0):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(declared or len(content)))
        handler.end_headers()
        handler.wfile.write(content)
        handler.wfile.flush()
        if pause:
            time.sleep(pause)
        handler.close_connection = True

    return answer


def failing(status):
    return lambda handler: handler.send_error(status)


def dripping(handler):
    """A byte now and then, which passes every timeout."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.05)


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(2**16))
