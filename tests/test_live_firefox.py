"""The network in the page, driven in Firefox, which answers as Chromium does."""

import itertools
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from helpers import SETTLE, LivePage
from websockets.sync.client import connect

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FIREFOX is None, reason="no Firefox is installed"),
]


class Firefox:
    """A page opened from the disk, driven over WebDriver BiDi (W3C), and the errors it reports."""

    def __init__(self, socket):
        self.socket = socket
        self.ids = itertools.count()
        self.errors = []
        self.send("session.new", capabilities={})
        self.send("session.subscribe", events=["log.entryAdded"])
        self.tab = self.send("browsingContext.getTree")["contexts"][0]["context"]

    def send(self, method, **params):
        """The answer to a command. Errors of the page that come before it are kept."""
        number = next(self.ids)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            said = json.loads(self.socket.recv(timeout=60))
            if said.get("id") == number:
                assert said["type"] == "success", said
                return said["result"]
            if said.get("method") == "log.entryAdded" and said["params"]["level"] == "error":
                self.errors.append(said["params"]["text"])

    def open(self, path, width, height):
        viewport = {"width": width, "height": height}
        self.send("browsingContext.setViewport", context=self.tab, viewport=viewport)
        self.send("browsingContext.navigate", context=self.tab, url=path.as_uri(), wait="complete")
        self.value(
            """new Promise((resolve) => {
              const look = () =>
                globalThis.cifarcamLive?.apps?.[0]?.answer ? resolve(1) : setTimeout(look, 50);
              look();
            })"""
        )

    def value(self, expression):
        """What an expression is, or the promise of it."""
        text = f"(async () => JSON.stringify({{ value: await ({expression}) }}))()"
        result = self.send(
            "script.evaluate",
            expression=text,
            target={"context": self.tab},
            awaitPromise=True,
        )
        assert result["type"] == "success", result
        return json.loads(result["result"]["value"]).get("value")

    def settled(self, expression):
        """What an expression about the page's `app` is, once the network has answered."""
        return self.value(f"(async () => {{ {SETTLE} return {expression}; }})()")

    def drag(self, *places):
        """Press the mouse at the first place of the picture, and lift it at the last, in its pixels."""
        x, y, width, height = self.value(
            """(() => {
              const canvas = document.querySelector('.live-stage canvas');
              canvas.scrollIntoView({ block: 'center', behavior: 'instant' });
              const { x, y, width, height } = canvas.getBoundingClientRect();
              return [x, y, width, height];
            })()"""
        )
        moves = [
            {
                "type": "pointerMove",
                "x": round(x + across / 32 * width),
                "y": round(y + down / 32 * height),
            }
            for across, down in places
        ]
        moves[1:1] = [{"type": "pointerDown", "button": 0}]
        moves.append({"type": "pointerUp", "button": 0})
        hand = {"type": "pointer", "id": "hand", "actions": moves}
        self.send("input.performActions", context=self.tab, actions=[hand])


@pytest.fixture
def firefox(tmp_path):
    options = ["--headless", "--no-remote", "--profile", str(tmp_path)]
    command = [FIREFOX, *options, "--remote-debugging-port", "0", "about:blank"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = next(
            found[1]
            for line in process.stderr
            if (found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line))
        )
        with connect(f"{address}/session", max_size=None) as socket:
            yield Firefox(socket)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def page(firefox, live_html):
    firefox.open(live_html / "index.html", 1200, 900)
    return firefox


def test_firefox_answers_as_chromium_does(page, chromium, live_html, kept):
    other = kept(LivePage(chromium, live_html / "index.html"))
    strokes = [None, ((4, 4), (28, 9)), ((16, 30), (16, 3)), ((2, 2), (30, 30), (2, 30))]
    answers = []
    for stroke in strokes:
        if stroke:
            page.drag(*stroke)
        pixels, probabilities, heat = page.settled(
            "[[...app.pixels], [...app.answer.probabilities], [...app.mapOf(app.answer)]]"
        )
        other.now(f"app.open(Uint8ClampedArray.from({pixels}))")
        assert other.pixels.ravel().tolist() == pixels
        np.testing.assert_allclose(probabilities, other.probabilities, rtol=1e-5, atol=1e-7)
        assert np.abs(np.subtract(heat, other.map.ravel())).max() <= 1e-5 * max(heat)
        answers.append(pixels)
    assert all(before != after for before, after in itertools.pairwise(answers))
    assert page.errors == []


def test_firefox_answers_in_every_panel(page):
    page.value("document.querySelectorAll('.live-panel').forEach((panel) => (panel.open = true))")
    page.drag((4, 4), (28, 9))
    most, heat = page.settled("[Math.max(...app.mapOf(app.answer)), [...app.mapOf(app.answer)]]")
    whole = page.settled("app.answer.probabilities[app.target()]")
    page.settled(
        """new Promise((resolve) => {
          const { inside, questions } = cifarcamLive;
          const asked = ["deletion", "occlusion"].map((name) => questions.viewOf(name, app));
          const isNew = ({ found }) => found?.pixels === app.pixels;
          const look = () =>
            [inside.viewOf(app), ...asked].every(isNew) ? resolve(1) : setTimeout(look, 50);
          look();
        })"""
    )
    deletion, occlusion = page.settled(
        """["deletion", "occlusion"].map((name) => cifarcamLive.questions.viewOf(name, app).found)
             .map(({ curves, whole }) => whole ?? curves[0][0])"""
    )
    assert deletion == pytest.approx(whole, abs=1e-6)
    assert occlusion == pytest.approx(whole, abs=1e-6)
    added = page.settled("[...cifarcamLive.inside.viewOf(app).shown.heat]")
    assert np.abs(np.subtract(added, heat)).max() <= 1e-6 * most
    assert page.errors == []
