"""The network in the page: what a reader does with it, in a browser, on a small book."""

import base64
import io
import re

import numpy as np
import pytest
from helpers import (
    BROWSER,
    ROOT,
    LivePage,
    OpenPage,
)
from PIL import Image

from cifarcam.explain.pictures import read_picture
from cifarcam.publish import sphinx_ext

SCRIPTS = ROOT / "book" / "_static" / "live"
METHODS = ("grad-cam", "hires-cam", "layer-cam", "grad-cam++")


@pytest.fixture(scope="module")
def html(live_html):
    return live_html


@pytest.fixture
def open_page(chromium, html, kept):
    def open_one(address="", page="index", **options):
        return kept(LivePage(chromium, html / f"{page}.html", address, **options))

    return open_one


def mean_of(pixels):
    return np.rint(pixels.mean(axis=(0, 1)))


# ---- the files ----


def test_scripts_are_all_loaded_in_an_order_and_nowhere_else():
    listed = {name for names in sphinx_ext.EQUIPMENT.values() for name in names}
    present = {f"live/{path.name}" for path in SCRIPTS.iterdir()}
    assert {name for name in listed if name.startswith("live/") and "/data/" not in name} == present


def test_scripts_ask_for_nothing_and_are_short():
    for path in SCRIPTS.iterdir():
        text = path.read_text()
        assert not re.search(
            r"\bfetch\(|XMLHttpRequest|\bimport\b.*from|https?://(?!www.w3.org)", text
        )
        assert len(text.splitlines()) <= 350, path.name


@pytest.mark.slow
def test_files_are_beside_the_pages_that_need_them(html):
    data = html / "_static" / "live" / "data"
    names = {"pictures.js", "network-tiny-sample.js", "network-tiny-early-stopping-sample.js"}
    assert {path.name for path in data.iterdir()} == names
    assert "live/" not in (html / "genindex.html").read_text()
    for page in ("index", "notebooks/heatmaps"):
        text = (html / f"{page}.html").read_text()
        for name in sphinx_ext.EQUIPMENT['class="live-app"']:
            assert text.count(f"_static/{name}?v=") == 1, name


@pytest.mark.slow
def test_page_in_print_and_without_scripts_says_where_it_works(html, open_page):
    latex = (html.parent / "latex" / "cifarcam.tex").read_text()
    assert "live-app" not in latex
    assert "Draw on a picture" not in latex
    page = open_page(java_script_enabled=False)
    assert "a browser that runs JavaScript" in page.app.inner_text()


# ---- pictures of the reader's own ----


def scene(width, height, mode="RGB"):
    """A picture with soft and sharp parts."""
    generator = np.random.default_rng(width + height)
    bands = len(Image.new(mode, (1, 1)).getbands())
    size = (max(2, height // 7), max(2, width // 7), bands)
    grid = generator.integers(0, 256, size, dtype=np.uint8)
    picture = Image.merge(mode, [Image.fromarray(band) for band in np.moveaxis(grid, 2, 0).copy()])
    return picture.resize((width, height), Image.Resampling.BICUBIC)


def encoded(picture, form, **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def turned(form, orientation, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(scene(150, 91), form, exif=exif, **options)


PICTURES = {
    "tall.png": encoded(scene(200, 701), "PNG"),
    "a little tall.png": encoded(scene(120, 171), "PNG"),
    "wide.jpg": encoded(scene(901, 300), "JPEG", quality=92),
    "photograph.jpg": encoded(scene(1600, 1201), "JPEG", quality=90),
    "small.png": encoded(scene(20, 17), "PNG"),
    "one row.png": encoded(scene(300, 1), "PNG"),
    "own size.png": encoded(scene(32, 32), "PNG"),
    "transparent.png": encoded(scene(130, 90, "RGBA"), "PNG"),
    "grey.png": encoded(scene(100, 80, "L"), "PNG"),
    "palette.gif": encoded(scene(120, 70).convert("P"), "GIF"),
    **{f"turned {k}.jpg": turned("JPEG", k, quality=95) for k in range(1, 9)},
    **{f"turned {k}.png": turned("PNG", k) for k in (3, 6)},
    **{f"turned {k}.webp": turned("WEBP", k, lossless=True) for k in range(1, 9)},
}
READ = """async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return [...(await cifarcamLive.picture.fromFile(new Blob([bytes]))).pixels];
}"""


@pytest.mark.slow
def test_crops_are_those_of_read_picture(open_page, tmp_path):
    page = open_page().page
    for name, content in PICTURES.items():
        (tmp_path / name).write_bytes(content)
        expected = read_picture(tmp_path / name, (32, 32)).astype(float)
        crop = page.evaluate(READ, base64.b64encode(content).decode())
        assert np.abs(np.reshape(crop, (32, 32, 3)) - expected).max() <= 2, name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty or cannot be read; give a PNG or JPEG."),
        (b"words", "The file is not a picture that this browser can read; give a PNG or JPEG."),
        (b"<svg xmlns='a'/>", "The file is a drawing without pixels; give a PNG or JPEG."),
        (b"%PDF-1.7", "The file is a drawing without pixels; give a PNG or JPEG."),
        (b"\0\0\0\x18ftypheic", "HEIC and related formats are not supported; give a PNG or JPEG."),
        (
            PICTURES["tall.png"][:80],
            "The picture is damaged or too large; give another PNG or JPEG.",
        ),
    ],
)
def test_bad_file_gets_one_sentence_and_the_picture_stays(open_page, content, sentence):
    page = open_page()
    before = page.pixels
    chooser = page.app.locator("input[type=file]")
    chooser.set_input_files({"name": "a", "mimeType": "image/png", "buffer": content})
    page.page.wait_for_function("document.querySelector('.live-failure').textContent")
    assert page.failure == sentence
    assert np.array_equal(page.pixels, before)
    assert page.errors == []
    good = {"name": "b.png", "mimeType": "image/png", "buffer": PICTURES["own size.png"]}
    chooser.set_input_files(good)
    page.page.wait_for_function("!document.querySelector('.live-failure').textContent")
    assert np.array_equal(page.pixels, np.asarray(scene(32, 32)))


# A file given to the page as the browser gives it when a reader drops or pastes it.
GIVE = """([kind, text]) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], "a.png", { type: "image/png" }));
  const options = { bubbles: true, cancelable: true };
  const give = (event) => document.querySelector("h1").dispatchEvent(event);
  if (kind === "paste") return give(new ClipboardEvent(kind, { ...options, clipboardData: transfer }));
  for (const one of ["dragenter", "dragover"]) {
    give(new DragEvent(one, { ...options, dataTransfer: transfer }));
  }
  const marked = document.querySelector(".live-dropping") !== null;
  return [marked, give(new DragEvent("drop", { ...options, dataTransfer: transfer }))];
}"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["open", "drop", "paste"])
def test_own_picture_is_opened_dropped_and_pasted(open_page, way):
    page = open_page()
    before = page.probabilities
    content = PICTURES["own size.png"]
    if way == "open":
        with page.page.expect_file_chooser() as chooser:
            page.button("Open a picture").click()
        chooser.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": content})
    else:
        said = page.page.evaluate(GIVE, [way, base64.b64encode(content).decode()])
        # The browser does not open the file itself, and the picture was marked as its place.
        assert said == ([True, False] if way == "drop" else False)
        assert page.page.locator(".live-dropping").count() == 0
    page.page.wait_for_function("cifarcamLive.apps[0].state.picture === 'own'")
    assert np.array_equal(page.pixels, np.asarray(scene(32, 32)))
    assert not np.allclose(page.probabilities, before)
    assert page.fact == "Your picture, as the network sees it: 32 x 32 pixels."
    assert page.hash == ""
    # It stays in the strip when another picture is chosen.
    page.app.locator(".live-tile").first.click()
    assert page.fact.startswith("Test image")
    page.button("yours").click()
    assert np.array_equal(page.pixels, np.asarray(scene(32, 32)))
    assert page.errors == []


@pytest.mark.slow
def test_camera_is_asked_for_after_its_button_and_stopped_after_the_picture(chromium, html):
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    spy = """const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        window.streams = [];
        navigator.mediaDevices.getUserMedia = async (wishes) => {
          const stream = await ask(wishes);
          window.streams.push(stream);
          return stream;
        };"""
    browser = chromium.browser_type.launch(executable_path=BROWSER, args=fake)
    page = LivePage(browser, html / "index.html")
    page.page.add_init_script(spy)
    page.page.reload()
    page.page.wait_for_function("window.cifarcamLive.apps?.[0].answer")
    assert page.page.evaluate("window.streams.length") == 0
    alive = "window.streams.flatMap((s) => s.getTracks()).filter((t) => t.readyState === 'live')"
    page.button("Take a photo").click()
    shoot = page.button("Take the picture")
    shoot.wait_for()
    page.page.wait_for_function("document.querySelector('video').videoWidth > 0")
    assert page.page.evaluate(f"{alive}.length") == 1
    page.button("Cancel").click()
    assert page.page.evaluate(f"{alive}.length") == 0
    assert not shoot.is_visible()
    page.button("Take a photo").click()
    page.page.wait_for_function("document.querySelector('video').videoWidth > 0")
    shoot.click()
    page.page.wait_for_function("cifarcamLive.apps[0].state.picture === 'own'")
    assert page.page.evaluate(f"{alive}.length") == 0
    assert page.fact.startswith("Your photograph")
    assert page.pixels.std() > 10  # the fake camera's green with a clock
    assert page.errors == []
    browser.close()


@pytest.mark.slow
def test_camera_that_is_refused_gets_one_sentence(open_page):
    page = open_page(permissions=[])
    page.page.evaluate(
        """() => {
             navigator.mediaDevices.getUserMedia = () =>
               Promise.reject(new DOMException("", "NotAllowedError"));
           }"""
    )
    page.button("Take a photo").click()
    page.page.wait_for_function("document.querySelector('.live-failure').textContent")
    assert page.failure == "The camera was not allowed; open a picture instead."


# ---- tools ----


def tool(page, name):
    page.app.locator(".live-bar").get_by_role("button", name=name, exact=True).click()


@pytest.mark.slow
@pytest.mark.parametrize("fill", ["its mean colour", "black", "a blur"])
def test_eraser_leaves_the_mean_black_or_a_blur(open_page, fill):
    page = open_page()
    before, answers = page.pixels, page.probabilities
    page.button(fill).click()
    page.slide("Size of the brush", 7)
    page.drag((10.5, 16.5), (22.5, 16.5))
    after = page.pixels
    changed = (before != after).any(axis=2)
    assert changed[16, 11:22].any()
    assert not changed[:12].any()
    assert not changed[21:].any()
    if fill == "a blur":
        detail = np.abs(np.diff(after[14:19, 10:23], axis=1)).mean()
        assert detail < np.abs(np.diff(before[14:19, 10:23], axis=1)).mean()
    else:
        colour = mean_of(before) if fill == "its mean colour" else np.zeros(3)
        assert np.abs(after[14:19, 10:23] - colour).max() <= 1
    assert not np.array_equal(page.probabilities, answers)
    assert page.fact.endswith(", changed by hand.")


@pytest.mark.slow
def test_brush_paints_a_colour(open_page):
    page = open_page()
    tool(page, "Paint")
    page.button("blue").click()
    page.slide("Size of the brush", 4)
    page.drag((4, 4), (12, 4), (12, 12))
    assert np.array_equal(page.pixels[4, 5:12], [[0x1F, 0x77, 0xB4]] * 7)
    assert np.array_equal(page.pixels[5:12, 12], [[0x1F, 0x77, 0xB4]] * 7)
    page.app.get_by_label("Another colour").fill("#010203")
    page.drag((20, 20), (20, 21))
    assert np.array_equal(page.pixels[20, 20], [1, 2, 3])


@pytest.mark.slow
def test_piece_is_moved_and_leaves_the_mean(open_page):
    page = open_page()
    before = page.pixels
    tool(page, "Move")
    page.slide("Size of the piece", 5)
    page.drag((8.5, 8.5), (20.5, 23.5))
    after = page.pixels
    assert np.array_equal(after[22:25, 19:22], before[7:10, 7:10])
    assert np.abs(after[7:10, 7:10] - mean_of(before)).max() <= 1


@pytest.mark.slow
def test_piece_of_another_picture_is_pasted_where_the_hand_is(open_page):
    page = open_page()
    tool(page, "Paste")
    names = page.app.get_by_label("A piece of this").locator("option").all_inner_texts()
    assert len(names) == 10
    page.app.get_by_label("A piece of this").select_option("ship")
    page.slide("Size of the piece", 8)
    source = page.app.locator(".live-source canvas")
    box = source.bounding_box()
    source.click(position={"x": box["width"] * 10.5 / 32, "y": box["height"] * 20.5 / 32})
    index = page.app.get_by_label("A piece of this").input_value()
    ship = np.array(page.now(f"[...cifarcamLive.picture.ofSprite({index})]")).reshape(32, 32, 3)
    page.drag((5.5, 5.5), (25.5, 6.5))
    after = page.pixels
    assert np.array_equal(after[4:9, 23:28], ship[18:23, 8:13])
    assert np.array_equal(
        after[5, :20], np.array(page.now("[...app.original]")).reshape(32, 32, 3)[5, :20]
    )


@pytest.mark.slow
def test_whole_picture_is_shifted_turned_and_mirrored(open_page):
    page = open_page()
    before = page.pixels
    tool(page, "Turn")
    page.drag((10, 10), (15, 8))
    assert np.array_equal(page.pixels[:30, 5:], before[2:, :27])
    assert np.abs(page.pixels[31, 20] - mean_of(before)).max() <= 1
    page.slide("Shift right", 0)
    page.slide("Shift down", 0)
    assert np.array_equal(page.pixels, before)
    page.app.get_by_label("Mirror").check()
    assert np.array_equal(page.pixels, before[:, ::-1])
    page.app.get_by_label("Mirror").uncheck()
    page.slide("Turn", 90)
    assert np.array_equal(page.pixels, np.rot90(before, -1))
    # What is drawn lies where the hand is.
    tool(page, "Paint")
    page.button("white").click()
    page.drag((4.5, 27.5), (4.5, 28.5))
    assert np.array_equal(page.pixels[27, 4], [255, 255, 255])


@pytest.mark.slow
def test_light_is_changed(open_page):
    page = open_page()
    before = page.pixels
    tool(page, "Light")
    page.slide("Brightness", 20)
    assert np.array_equal(page.pixels, np.clip(np.rint(before + 51), 0, 255))
    page.slide("Brightness", 0)
    page.slide("Contrast", -50)
    expected = np.rint((before - 127.5) / 2 + 127.5)
    assert np.abs(page.pixels - expected).max() <= 1  # halves are rounded otherwise
    page.slide("Contrast", 0)
    page.slide("Noise", 30)
    noise = page.pixels - before
    inside = (before > 100) & (before < 155)
    assert 24 < noise[inside].std() < 36
    page.slide("Noise", 0)
    assert np.array_equal(page.pixels, before)


@pytest.mark.slow
def test_steps_are_undone_redone_and_reset(open_page):
    page = open_page()
    first = page.pixels
    assert page.button("Undo").get_attribute("aria-disabled") == "true"
    page.drag((10, 10), (20, 10))
    second = page.pixels
    tool(page, "Light")
    page.slide("Brightness", 30)
    third = page.pixels
    page.button("Undo").click()
    assert np.array_equal(page.pixels, second)
    assert page.app.get_by_role("slider", name="Brightness").input_value() == "0"
    page.page.keyboard.press("Control+z")
    assert np.array_equal(page.pixels, first)
    page.page.keyboard.press("Control+y")
    page.button("Redo").click()
    assert np.array_equal(page.pixels, third)
    page.button("Reset").click()
    assert np.array_equal(page.pixels, first)
    assert page.button("Reset").get_attribute("aria-disabled") == "true"
    page.page.keyboard.press("Control+z")
    assert np.array_equal(page.pixels, third)


@pytest.mark.slow
def test_every_tool_works_by_the_keyboard_alone(open_page):
    page = open_page()
    keyboard = page.page.keyboard

    def reach(name):
        """Press Tab until a control of this name has the focus."""
        focused = """(() => { const e = document.activeElement;
          return e.getAttribute('aria-label') ?? e.labels?.[0]?.innerText ?? e.innerText; })()"""
        for _ in range(150):
            keyboard.press("Tab")
            if page.page.evaluate(f"{focused} ?? ''").startswith(name):
                return
        raise AssertionError(f"{name} is not reached")

    before = page.pixels
    reach("Erase")
    keyboard.press("Enter")
    reach("black")
    keyboard.press("Space")
    page.canvas.focus()
    for key in ("ArrowLeft", "ArrowUp", "Space"):
        keyboard.press(key)
    erased = page.pixels
    assert not erased[15, 15].any()
    assert (erased != before).any(axis=2).sum() < 60
    keyboard.down("Space")  # a line
    keyboard.press("Shift+ArrowRight")
    keyboard.press("Shift+ArrowRight")
    keyboard.up("Space")
    keyboard.press("ArrowRight")  # the brush is lifted
    assert not page.pixels[15, 15:24].any()
    keyboard.press("Enter")  # the brush is down until Enter or Escape
    keyboard.press("Shift+ArrowDown")
    assert not page.pixels[19, 24].any()
    keyboard.press("Escape")
    assert page.pixels[19, 24].any()
    for name in ("Paint", "Move", "Paste", "Turn"):
        page.page.locator(".live-bar button").first.focus()
        keyboard.press("Shift+Tab")
        reach(name)
        keyboard.press("Space")
        page.canvas.focus()
        last = page.pixels
        keyboard.press("Enter")
        keyboard.press("Shift+ArrowLeft")
        keyboard.press("Enter")
        assert not np.array_equal(page.pixels, last), name
        keyboard.press("Control+z")
        assert np.array_equal(page.pixels, last), name
    tool(page, "Light")
    for name in ("Brightness", "Contrast", "Noise"):
        last = page.pixels
        reach(name)
        keyboard.press("PageUp")
        assert not np.array_equal(page.pixels, last), name
    assert page.errors == []


@pytest.mark.slow
def test_piece_to_paste_is_chosen_by_the_keyboard(open_page):
    page = open_page()
    tool(page, "Paste")
    source = page.app.locator(".live-source canvas")
    source.focus()
    for _ in range(3):
        page.page.keyboard.press("ArrowRight")
    assert (
        source.get_attribute("aria-label")
        == "The piece around column 20, row 17; arrow keys move it"
    )


@pytest.mark.slow
def test_finger_draws_and_the_page_stays(open_page):
    page = open_page(has_touch=True, viewport={"width": 375, "height": 800})
    page.canvas.scroll_into_view_if_needed()
    before, top = page.pixels, page.page.evaluate("scrollY")
    page.page.touchscreen.tap(*page.place(16, 16))
    assert not np.array_equal(page.pixels[16, 16], before[16, 16])
    assert page.canvas.evaluate("(canvas) => getComputedStyle(canvas).touchAction") == "none"
    assert page.page.evaluate("scrollY") == top


# ---- answers ----


@pytest.mark.slow
def test_answers_show_probabilities_and_the_chosen_class_its_heatmap(open_page):
    page = open_page()
    probabilities = page.probabilities
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    shown = page.app.locator(".live-percent:visible").all_inner_texts()
    expected = ["<1%" if 0 < p < 0.005 else f"{int(100 * p + 0.5)}%" for p in probabilities]
    assert shown == expected
    pressed = page.app.locator(".live-answer[aria-pressed=true]")
    first = probabilities.argmax()
    names = page.now("app.data.classes")
    assert pressed.inner_text().startswith(names[first])
    assert f"says {names[first]} with" in page.app.locator(".live-verdict").inner_text()
    other = (first + 3) % 10
    map_of_first = page.map
    page.app.locator(".live-answer").nth(other).click()
    assert pressed.inner_text().split() == [names[other], expected[other]]
    assert not np.array_equal(page.map, map_of_first)
    assert f"for {names[other]}" in page.app.locator(".live-caption").first.inner_text()
    pressed.click()  # again: back to the first answer
    assert np.array_equal(page.map, map_of_first)


@pytest.mark.slow
def test_methods_and_contrast_change_the_heatmap(open_page):
    page = open_page()
    maps = {}
    for method in METHODS:
        page.app.get_by_label("Method").select_option(method)
        maps[method] = page.map / page.map.max()
    distances = [np.abs(maps[a] - maps[b]).max() for a in METHODS for b in METHODS if a < b]
    assert min(distances) > 1e-3
    page.app.get_by_label("Method").select_option("grad-cam")
    other = (page.probabilities.argmax() + 1) % 10
    contrast = page.app.get_by_label("and not the class")
    contrast.select_option(str(other))
    caption = page.app.locator(".live-caption").first.inner_text()
    assert f"and not {page.now('app.data.classes')[other]}" in caption
    assert np.abs(page.map / max(page.map.max(), 1e-9) - maps["grad-cam"]).max() > 1e-3
    # A class is not contrasted with itself.
    page.app.locator(".live-answer").nth(other).click()
    assert contrast.input_value() == ""


@pytest.mark.slow
def test_second_network_answers_beside_the_first(open_page):
    page = open_page()
    assert page.app.locator(".live-percent:visible").count() == 10
    page.app.get_by_label("Second network").select_option("tiny-early-stopping-sample")
    page.page.wait_for_function("cifarcamLive.apps[0].second")
    assert page.app.locator(".live-percent:visible").count() == 20
    assert page.app.locator(".live-stage canvas:visible").count() == 2
    caption = page.app.locator(".live-side .live-caption").inner_text()
    assert re.fullmatch(r"Tiny-early-stopping says \w+ with \d+%\.", caption)
    page.drag((8, 8), (24, 24))
    pixels = page.now("[...app.pixels]")
    assert pixels == [int(p) for p in page.pixels.ravel()]
    page.app.get_by_label("Network", exact=True).select_option("tiny-early-stopping-sample")
    page.settle()
    assert page.app.locator(".live-percent:visible").count() == 10  # there is no second one now
    assert page.errors == []


@pytest.mark.slow
def test_live_region_says_the_first_answer_when_the_hand_rests(open_page):
    page = open_page()
    region = page.app.locator(".live-heard[role=status]")
    page.page.wait_for_timeout(1000)
    assert region.inner_text() == ""  # the page does not speak first
    page.app.locator(".live-tile").nth(2).click()
    page.page.wait_for_function(
        "document.querySelector('.live-heard[role=status]').textContent.includes('%')"
    )
    order = page.probabilities.argsort()[::-1]
    names = page.now("app.data.classes")
    text = region.inner_text()
    assert re.fullmatch(rf"{names[order[0]]} <?\d+%, then {names[order[1]]} <?\d+%", text)


# ---- pictures and addresses ----


@pytest.mark.slow
def test_pictures_are_filtered_by_class_and_outcome(open_page):
    page = open_page()
    labels, predicted = page.now("[app.data.labels, app.data.networks[0].predicted]")
    page.app.locator("summary").first.click()
    tiles = page.app.locator("details .live-tile")
    tiles.first.wait_for()
    assert tiles.count() == len(labels)
    page.app.get_by_label("The network is").select_option("wrong")
    assert tiles.count() == sum(a != b for a, b in zip(labels, predicted, strict=True))
    page.app.get_by_label("Class", exact=True).select_option("ship")
    ship = page.now("app.data.classes.indexOf('ship')")
    wrong = [k for k, pair in enumerate(zip(labels, predicted, strict=True)) if pair[0] != pair[1]]
    expected = [k for k in wrong if labels[k] == ship]
    assert [int(tile.get_attribute("data-picture")) for tile in tiles.all()] == expected
    if expected:
        tiles.first.click()
        assert page.now("app.state.picture") == expected[0]
        assert tiles.first.get_attribute("aria-pressed") == "true"


@pytest.mark.slow
def test_address_holds_the_view_of_a_test_picture(open_page):
    page = open_page()
    assert page.hash == ""
    page.app.locator(".live-tile").nth(3).click()
    page.app.locator(".live-answer").nth(8).click()
    page.app.get_by_label("Method").select_option("layer-cam")
    page.app.get_by_label("and not the class").select_option("0")
    page.app.get_by_label("Second network").select_option("tiny-early-stopping-sample")
    place = page.now("app.data.places[app.state.picture]")
    assert page.hash == (
        f"#image={place}&second=tiny-early-stopping-sample&method=layer-cam&class=ship&against=airplane"
    )
    again = open_page(page.hash)
    state = (
        "[app.state.picture, app.state.second, app.state.method, app.target(), app.state.against]"
    )
    assert again.now(state) == page.now(state)
    assert np.array_equal(again.map, page.map)
    again.page.evaluate("location.hash = 'image=-5&class=unicorn&method=grad-cam%2B%2B'")
    again.settle()
    assert again.now("app.state.method") == "grad-cam++"
    assert again.now("app.state.target") == "first"
    again.page.evaluate("location.hash = 'abstract'")  # a heading
    assert again.now("app.state.method") == "grad-cam++"
    assert again.errors == []


@pytest.mark.slow
def test_saved_picture_shows_what_the_page_shows(open_page):
    page = open_page()
    page.drag((8, 8), (20, 20))
    pixels = page.pixels
    with page.page.expect_download() as download:
        page.button("Save picture").click()
    assert re.fullmatch(r"\w+-grad-cam\.png", download.value.suggested_filename)
    saved = np.asarray(Image.open(download.value.path()).convert("RGB")).astype(int)
    picture = saved[24 : 24 + 384, 24 : 24 + 384][6::12, 6::12]
    assert np.array_equal(picture, pixels)
    overlay = saved[24 : 24 + 384, 432 : 432 + 384][6::12, 6::12]
    assert np.abs(overlay - pixels).max() > 20
    caption = saved[24 + 384 :]
    assert (caption < 100).any()
    assert (caption[:, :20] == 255).all()


# ---- the page as a whole ----


@pytest.mark.slow
def test_nothing_leaves_the_page_and_it_says_so(open_page, html):
    page = open_page()
    page.drag((8, 8), (20, 20))
    page.app.get_by_label("Second network").select_option("tiny-early-stopping-sample")
    for summary in page.app.locator("summary").all():
        summary.click()
    page.settle()
    assert page.asked_outside(html) == []
    assert page.errors == []
    assert page.app.get_by_text("Nothing leaves this page").is_visible()
    networks = [url for url in page.requests if "data/network-" in url]
    assert len(networks) == 2  # the second was asked for by the reader
    assert len([url for url in open_page().requests if "data/network-" in url]) == 1


@pytest.mark.slow
def test_page_works_where_workers_are_refused(open_page):
    page = open_page(before="Worker = class { constructor() { throw new Error('refused'); } };")
    before = page.page.evaluate("[...cifarcamLive.apps[0].answer.probabilities]")
    assert sum(before) == pytest.approx(1, abs=1e-5)
    page.canvas.click()
    page.page.wait_for_function(
        "(before) => cifarcamLive.apps[0].answer.probabilities.some((p, k) => p !== before[k])",
        arg=before,
    )
    assert page.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["index", "notebooks/heatmaps"])
def test_page_is_free_of_barriers_before_its_first_answer(chromium, html, name, kept):
    silent = "Worker = class { postMessage() {} };"
    page = kept(OpenPage(chromium, html / f"{name}.html", before=silent))
    page.page.wait_for_function("cifarcamLive.apps?.length")
    page.page.evaluate(
        "document.querySelectorAll('.live-app details').forEach((one) => (one.open = true))"
    )
    assert page.page.evaluate("cifarcamLive.apps[0].answer") is None
    assert page.barriers(".live-app") == []


@pytest.mark.slow
def test_memory_does_not_grow_over_200_strokes(open_page):
    page = open_page()
    session = page.context.new_cdp_session(page.page)
    session.send("Performance.enable")

    def used():
        session.send("HeapProfiler.collectGarbage")
        metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
        return metrics["JSHeapUsedSize"] / 2**20, metrics["Nodes"]

    def strokes(count):
        for number in range(count):
            y = 2 + number % 28
            page.page.mouse.move(*page.place(4, y))
            page.page.mouse.down()
            page.page.mouse.move(*page.place(28, y))
            page.page.mouse.up()
        page.settle()

    page.canvas.scroll_into_view_if_needed()
    strokes(80)  # more than can be undone
    before = used()
    strokes(200)
    after = used()
    assert after[0] - before[0] < 1  # MiB
    assert after[1] - before[1] < 20


@pytest.mark.slow
def test_page_is_free_of_barriers_in_both_themes_and_narrow(open_page):
    page = open_page(viewport={"width": 375, "height": 800}, color_scheme="dark")
    page.app.locator("summary").first.click()
    page.app.get_by_label("Second network").select_option("tiny-early-stopping-sample")
    page.page.wait_for_function("cifarcamLive.apps[0].second")
    for name in ("Erase", "Paint", "Move", "Paste", "Turn", "Light"):
        tool(page, name)
        assert page.barriers(".live-app") == []
        assert page.page.evaluate("document.documentElement.scrollWidth") <= 375
        small = page.page.evaluate(
            """[...document.querySelectorAll('.live-app :is(button, select, input, summary)')]
                 .filter((one) => one.checkVisibility() && !one.closest('.live-heard'))
                 .map((one) => [(one.closest('label') ?? one).getBoundingClientRect().height, one])
                 .filter(([height]) => height < 39.5).map(([height, one]) => [height, one.outerHTML])"""
        )
        assert small == []
    page.page.emulate_media(color_scheme="light")
    page.page.wait_for_function("document.documentElement.dataset.theme === 'light'")
    for name in ("Erase", "Paint", "Move", "Paste", "Turn", "Light"):
        tool(page, name)
        assert page.barriers(".live-app", rule="color-contrast") == []


@pytest.mark.slow
def test_bars_stand_still_where_the_reader_wants_less_motion(open_page):
    duration = "getComputedStyle(document.querySelector('.live-share')).transitionDuration"
    assert open_page().page.evaluate(duration) == "0s"
    assert open_page(reduced_motion="no-preference").page.evaluate(duration) != "0s"


@pytest.mark.slow
def test_chapter_has_one_picture_without_tools_and_keeps_its_address(open_page):
    page = open_page(page="notebooks/heatmaps")
    assert page.app.locator(".live-bar, .live-tile, input[type=file]").count() == 0
    assert page.app.locator(".live-answer").count() == 10
    assert page.app.get_by_label("Network", exact=True).count() == 0
    page.app.locator(".live-answer").nth(4).click()
    page.settle()
    assert page.hash == ""
    assert page.app.locator("details").first.evaluate("(panel) => panel.open")
    assert page.barriers(".live-app") == []
    assert page.errors == []
