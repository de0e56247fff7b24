"""How fast the network in the page answers a stroke, in headless Chromium.

It opens the first page of the built book from the disk. Of 200 changes of the picture it measures the
time to ten new heatmaps, from the question to the answer of the page's worker; then it draws with the
mouse for five seconds and counts frames and answers.

    .venv/bin/python benchmarks/live.py [book/_build/html/index.html]
"""

import statistics
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

BROWSER = "/usr/bin/chromium"
ANSWERS = 200
SECONDS = 5.0  # of drawing
# Times in milliseconds. A stroke changes a square of seven pixels; without `isStroke` the whole
# picture is new, so that nothing can be kept from the answer before.
ASK = """async ([count, isStroke]) => {
  const app = cifarcamLive.apps[0];
  const times = [];
  for (let i = 0; i < count; i++) {
    const pixels = Float32Array.from(app.pixels);
    if (!isStroke) for (let k = 0; k < 3072; k++) pixels[k] = (pixels[k] + 7 * i + k) % 256;
    else {
      const [top, left] = [(7 * i) % 25, (11 * i) % 25];
      for (let y = top; y < top + 7; y++) pixels.fill((5 * i) % 256, 96 * y + 3 * left, 96 * y + 3 * left + 21);
    }
    const start = performance.now();
    await cifarcamLive.engine.answer(app.state.network, pixels, {method: "grad-cam", layer: null, against: null});
    times.push(performance.now() - start);
  }
  return times;
}"""
COUNT = """() => {
  const app = cifarcamLive.apps[0];
  window.counted = {frames: 0, answers: 0};
  const answered = app.answered;
  app.answered = (...all) => { counted.answers++; answered(...all); };
  const frame = () => { counted.frames++; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}"""


def report(name, times):
    times = sorted(times[10:])  # after the first, in which the browser compiles
    last = times[int(0.95 * len(times))]
    print(f"{name}: median {statistics.median(times):.1f} ms, 95th percentile {last:.1f} ms")


def main():
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "book/_build/html/index.html").resolve()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(path.as_uri())
        page.wait_for_function("window.cifarcamLive?.apps?.[0].answer")
        report("a stroke of seven pixels", page.evaluate(ASK, [ANSWERS, True]))
        report("a new picture", page.evaluate(ASK, [ANSWERS, False]))
        canvas = page.locator(".live-stage canvas").first
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        page.evaluate(COUNT)
        page.mouse.move(box["x"] + 20, box["y"] + 20)
        page.mouse.down()
        started, steps = time.perf_counter(), 0
        while (passed := time.perf_counter() - started) < SECONDS:
            steps += 1
            x, y = 20 + steps * 7 % 380, 20 + steps * 3 % 380
            page.mouse.move(box["x"] + x, box["y"] + y)
        page.mouse.up()
        counted = page.evaluate("counted")
        for what, count in counted.items():
            print(f"while drawing: {count / passed:.0f} {what} a second")
        browser.close()


if __name__ == "__main__":
    main()
