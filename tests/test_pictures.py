"""Pictures, model files and class names of users: read correctly, or refused in one sentence."""

import io
import os
import resource
import struct
import sys
import warnings
import zipfile
import zlib
from contextlib import contextmanager

import h5py
import keras
import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from cifarcam import explain, figures
from cifarcam.errors import CifarcamError, check_readable, printable
from cifarcam.explain.pictures import within

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
PLAIN = Image.fromarray(PIXELS)
SHORT, RATIONAL, SIGNED_RATIONAL = 3, 5, 10
TURN = (0x0112, SHORT, 1, struct.pack("<H", 6))


def read(path):
    """A picture at its own size, read without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return explain.read_picture(path, (None, None))


def exif(*entries):
    """EXIF data of a first directory with entries (tag, type, count, value)."""
    data, extra, offset = b"", b"", 8 + 2 + 12 * len(entries) + 4
    for tag, kind, count, value in entries:
        field = value.ljust(4, b"\0")
        if len(value) > 4:
            field, extra = struct.pack("<L", offset + len(extra)), extra + value
        data += struct.pack("<HHL", tag, kind, count) + field
    head = b"II*\0" + struct.pack("<LH", 8, len(entries))
    return b"Exif\0\0" + head + data + b"\0\0\0\0" + extra


def chunk(name, data):
    return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))


def png(*chunks, size=(8, 8), depth=8, channels=3, samples=None):
    """A PNG with these chunks before its pixels."""
    width, height = size
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = np.zeros((height, width * channels)) if samples is None else np.asarray(samples)
    rows = rows.reshape(height, -1).astype(">u2" if depth == 16 else np.uint8)
    header = struct.pack(">LLBBBBB", width, height, depth, kind, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(values, bits, *, white_is_zero=False):
    """A grey TIFF of 12 bits, two values in three bytes, or of 16."""
    height, width = values.shape
    if bits == 16:
        data = values.astype("<u2").tobytes()
    else:
        first, second = values.reshape(-1, 2).astype(np.uint32).T
        packed = first << 12 | second
        data = b"".join(int(pair).to_bytes(3, "big") for pair in packed)
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, 0 if white_is_zero else 1)]
    tags += [(273, 8 + 2 + 12 * 8 + 4), (278, height), (279, len(data))]
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<LH", 8, len(tags)) + entries + b"\0\0\0\0" + data


@pytest.mark.parametrize("orientation", range(1, 9))
def test_picture_is_turned_upright(tmp_path, orientation):
    data = Image.Exif()
    data[0x0112] = orientation
    PLAIN.save(tmp_path / "turned.png", exif=data)
    with Image.open(tmp_path / "turned.png") as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    np.testing.assert_array_equal(read(tmp_path / "turned.png"), expected)


@pytest.mark.parametrize(
    "damaged",
    [
        (0x011A, SIGNED_RATIONAL, 1, struct.pack("<ll", -1, 0)),
        (0x010E, RATIONAL, 1, struct.pack("<LL", 6, 1)),
        (0x0100, 9, 1, struct.pack("<l", -5)),
        (0x8769, 4, 1, struct.pack("<L", 99999)),
        (0x8825, 2, 3, b"ab\0"),
        (0x011A, 12, 1, struct.pack("<d", float("inf"))),
        (0x9286, 7, 0, b""),
    ],
    ids=["rational", "text", "negative", "pointer", "gps", "infinite", "count"],
)
def test_exif_with_damage_elsewhere_turns_the_picture(tmp_path, damaged):
    PLAIN.save(tmp_path / "damaged.jpg", exif=exif(TURN, damaged))
    PLAIN.save(tmp_path / "right.jpg", exif=exif(TURN))
    assert read(tmp_path / "right.jpg").shape == (60, 40, 3)
    np.testing.assert_array_equal(read(tmp_path / "damaged.jpg"), read(tmp_path / "right.jpg"))


@pytest.mark.parametrize(
    "data",
    [
        b"Exif\0\0garbage!",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01",
        exif((0x0112, 2, 2, b"6\0")),
        exif((0x0112, SHORT, 1, struct.pack("<H", 9))),
        exif((0x0112, RATIONAL, 1, struct.pack("<LL", 6, 1))),
    ],
    ids=["garbage", "cut", "text", "nine", "rational"],
)
def test_exif_without_orientation_does_not_turn_the_picture(tmp_path, data):
    PLAIN.save(tmp_path / "damaged.jpg", exif=data)
    PLAIN.save(tmp_path / "plain.jpg")
    np.testing.assert_array_equal(read(tmp_path / "damaged.jpg"), read(tmp_path / "plain.jpg"))


@pytest.mark.parametrize(
    "damaged",
    [
        chunk(b"eXIf", b"\x00\x08\x00\x02\x01\x12\x00\x03"),
        chunk(b"zTXt", b"note\0\0" + zlib.compress(b"a" * 2_000_000)),
        chunk(b"iTXt", b"note\0\1\0\0\0" + zlib.compress(b"a" * 2_000_000)),
        chunk(b"iCCP", b"x\0\0garbage"),
        chunk(b"gAMA", b""),
        chunk(b"pHYs", b"12"),
        chunk(b"tEXt", b"note\0text")[:-4] + b"\0\0\0\0",
        chunk(b"eXIf", b"II*\0")[:-4] + b"\0\0\0\0",
    ],
    ids=["eXIf", "zTXt", "iTXt", "iCCP", "gAMA", "pHYs", "text's sum", "eXIf's sum"],
)
def test_png_is_read_despite_damaged_annotations(tmp_path, damaged):
    pixels = np.arange(192).reshape(8, 8, 3)
    turn = chunk(b"eXIf", exif(TURN)[6:])
    (tmp_path / "a.png").write_bytes(png(damaged, samples=pixels))
    np.testing.assert_array_equal(read(tmp_path / "a.png"), pixels)
    (tmp_path / "b.png").write_bytes(png(damaged, turn, samples=pixels))
    if b"eXIf" not in damaged:
        np.testing.assert_array_equal(read(tmp_path / "b.png"), np.rot90(pixels, -1))


RAMP = np.linspace(0, 1, 2400).reshape(40, 60)
GREY = np.rint(255 * RAMP).astype(np.uint8)


@pytest.mark.parametrize(
    ("values", "name", "tolerance"),
    [
        (RAMP.astype(np.float32), "a.tif", 1),
        ((255 * RAMP).astype(np.float32), "a.tif", 1),
        (np.rint(65535 * RAMP).astype(np.uint16), "a.png", 1),
        (np.rint(65535 * RAMP).astype(np.uint16), "a.tif", 1),
        (np.rint(65535 * RAMP).astype(np.int32), "a.tif", 1),
        (GREY.astype(np.int32), "a.tif", 0),
        (GREY, "a.tif", 0),
    ],
    ids=["0-1", "0-255.0", "16-bit PNG", "16-bit TIFF", "16 in 32 bits", "8 in 32 bits", "8 bits"],
)
def test_grey_values_are_scaled_to_eight_bits(tmp_path, values, name, tolerance):
    Image.fromarray(values).save(tmp_path / name)
    picture = read(tmp_path / name).astype(int)
    assert np.abs(picture - GREY[..., None]).max() <= tolerance


def test_twelve_bits_and_negatives_are_read_as_the_file_says(tmp_path):
    (tmp_path / "twelve.tif").write_bytes(tiff(np.rint(4095 * RAMP), 12))
    assert np.abs(read(tmp_path / "twelve.tif").astype(int) - GREY[..., None]).max() <= 1
    (tmp_path / "negative.tif").write_bytes(tiff(np.rint(65535 * RAMP), 16, white_is_zero=True))
    assert np.abs(255 - read(tmp_path / "negative.tif") - GREY[..., None].astype(int)).max() <= 1


@pytest.mark.parametrize(
    "values",
    [
        np.rint(4095 * RAMP).astype(np.uint16),
        np.rint(16383 * RAMP).astype(np.uint16),
        GREY.astype(np.uint16),
        np.rint(4095 * RAMP).astype(np.int32),
        np.rint(1e6 * RAMP).astype(np.int32),
        (GREY - 100.0).astype(np.int32),
        (1000 * RAMP).astype(np.float32),
        (RAMP - 0.5).astype(np.float32),
        np.where(RAMP > 0.5, np.nan, RAMP).astype(np.float32),
        np.where(RAMP > 0.5, np.inf, RAMP).astype(np.float32),
    ],
    ids=[
        "12",
        "14",
        "8-in-16",
        "12-in-32",
        "million",
        "negative",
        "thousand",
        "minus",
        "nan",
        "inf",
    ],
)
def test_grey_values_without_a_known_white_are_refused(tmp_path, values):
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(CifarcamError, match=r"a\.tif.*8 bits"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_sixteen_bits_filled_by_twelve_are_refused(tmp_path, channels):
    samples = np.linspace(0, 1, 64 * channels).reshape(64, channels)
    if channels in (2, 4):
        samples[:, -1] = 1 / 0.0625  # opaque
    for share, name in ((1, "full.png"), (0.0625, "dark.png")):
        values = np.minimum(np.rint(65535 * share * samples), 65535)
        (tmp_path / name).write_bytes(png(depth=16, channels=channels, samples=values))
    assert read(tmp_path / "full.png").max() >= 253
    with pytest.raises(CifarcamError, match="what is white"):
        read(tmp_path / "dark.png")
    (tmp_path / "black.png").write_bytes(png(depth=16, samples=np.zeros((8, 24))))
    assert not read(tmp_path / "black.png").any()


def test_picture_of_many_pixels_is_read_or_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)  # Pillow warns at it, fails at twice
    Image.new("1", (1500, 1000), 1).save(tmp_path / "warned.png")
    assert read(tmp_path / "warned.png").min() == 255
    Image.new("1", (2500, 1000), 1).save(tmp_path / "large.png")
    with pytest.raises(CifarcamError, match="more than 2 million pixels; scale it down"):
        read(tmp_path / "large.png")


def test_transparent_picture_lies_on_white(tmp_path):
    rng = np.random.default_rng(1)
    alpha = rng.integers(0, 256, (40, 60)).astype(np.uint8)
    for mode in ("RGBA", "LA", "P"):
        picture = PLAIN.convert(mode)
        options = {"transparency": bytes(range(256))} if mode == "P" else {}
        if mode != "P":
            picture.putalpha(Image.fromarray(alpha))
        picture.save(tmp_path / "a.png", **options)
        with Image.open(tmp_path / "a.png") as opened:
            layered = np.asarray(opened.convert("RGBA"), np.float64)
        share = layered[..., 3:] / 255
        expected = layered[..., :3] * share + 255 * (1 - share)
        assert np.abs(read(tmp_path / "a.png") - expected).max() <= 1


def not_pictures(folder):
    """Files that are not pictures, named by their kind."""
    buffer = io.BytesIO()
    PLAIN.save(buffer, "JPEG")
    contents = {
        "empty.jpg": b"",
        "cut.jpg": buffer.getvalue()[:-400],
        "cut.png": png()[:45],
        "photo.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
        "page.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "page.pdf": b"%PDF-1.7\n",
        "notes.png": b"no picture",
        "script.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
        "dot.pgm": b"P5 0 0 255\n",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    names = [*contents, "folder.png", "pipe.png", "none.png", "cut.jpg/none.png", "x" * 5000]
    return [*names, "a\0b.png", "\ud800.png", "/dev/zero"]


def test_folder_gives_its_pictures_by_name_and_nothing_else(tmp_path):
    folder = tmp_path / "mixed"
    (folder / "inner.png").mkdir(parents=True)
    for name in (
        "b.png",
        "a.JPG",
        "c.tif",
        ".hidden.png",
        "notes.txt",
        "model.h5",
        "inner.png/d.png",
    ):
        (folder / name).touch()
    own = tmp_path / "z.dat"
    own.touch()  # a file that is named needs no ending
    files = explain.picture_files([own, folder, tmp_path / "none.png"])
    assert files == [own, *(folder / name for name in ("a.JPG", "b.png", "c.tif")), files[-1]]
    assert files[-1].name == "none.png"  # reading says that it is missing
    (tmp_path / "empty").mkdir()
    with pytest.raises(CifarcamError, match="empty: a folder without pictures"):
        explain.picture_files([folder, tmp_path / "empty"])


def test_read_picture_refuses_other_files_in_one_sentence(tmp_path):
    for name in not_pictures(tmp_path):
        with pytest.raises(CifarcamError) as refusal:
            read(tmp_path / name)
        assert name in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_decoder_errors_become_one_sentence(tmp_path, monkeypatch):
    PLAIN.save(tmp_path / "a.png")
    for error in (KeyError("a"), RuntimeError(), MemoryError(), RecursionError("deep")):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
        with pytest.raises(CifarcamError, match=r"a\.png: not a picture"):
            read(tmp_path / "a.png")


@contextmanager
def without_rights():
    """Run as an ordinary user, where root may read everything."""
    if os.geteuid() == 0:
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)
    else:
        yield


def test_permission_errors_are_named(tmp_path):
    (tmp_path / "closed").mkdir()
    PLAIN.save(tmp_path / "closed" / "a.png")
    (tmp_path / "closed").chmod(0)
    try:
        with without_rights():
            for refused in (
                lambda: check_readable(tmp_path / "closed" / "a.png"),
                lambda: figures.check_output(tmp_path / "closed" / "b.png"),
            ):
                with pytest.raises(CifarcamError, match="Permission denied"):
                    refused()
    finally:
        (tmp_path / "closed").chmod(0o755)


def figure():
    return figures.predictions(PIXELS[None], ["a"])


@pytest.mark.parametrize(
    "ending",
    [
        "png",
        pytest.param("svg", marks=pytest.mark.slow),
        pytest.param("pdf", marks=pytest.mark.slow),
    ],
)
def test_figure_replaces_only_figures_of_cifarcam(tmp_path, ending):
    path = tmp_path / f"figure.{ending}"
    figures.save(figure(), path)
    first = path.read_bytes()
    figures.save(figures.predictions(PIXELS[None], ["b"]), path)
    assert path.read_bytes() != first
    for content in (b"", b"something else", PIXELS.tobytes()):
        path.write_bytes(content)
        with pytest.raises(CifarcamError, match="was not written by cifarcam"):
            figures.save(figure(), path)
        assert path.read_bytes() == content


def test_figure_replaces_no_links_folders_or_pipes(tmp_path):
    PLAIN.save(tmp_path / "own.png")
    (tmp_path / "link.png").symlink_to("own.png")
    (tmp_path / "dangling.png").symlink_to("nowhere.png")
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    before = sorted((path.name, path.lstat().st_mode) for path in tmp_path.iterdir())
    for name in ("link.png", "dangling.png", "folder.png", "pipe.png", "own.png/a.png"):
        with pytest.raises(CifarcamError, match=name):
            figures.save(figure(), tmp_path / name)
    assert sorted((path.name, path.lstat().st_mode) for path in tmp_path.iterdir()) == before


def test_figure_replaces_none_of_its_inputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    figures.save(figure(), tmp_path / "own.png")  # ours, and yet read now
    os.link("own.png", "second.png")
    (tmp_path / "third.png").symlink_to("own.png")
    names = ["own.png", "second.png", "third.png", "./own.png", f"../{tmp_path.name}/own.png"]
    for name in [*names, str(tmp_path / "own.png")]:
        with pytest.raises(CifarcamError, match="would be replaced"):
            figures.check_output(tmp_path / name, [tmp_path / "none.png", tmp_path / "own.png"])
    figures.check_output(tmp_path / "other.png", [tmp_path / "own.png"])


def test_figure_on_a_full_disk_leaves_nothing(tmp_path):
    (tmp_path / "old.png").write_bytes(b"")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(CifarcamError, match=r"new\.png: cannot be written"):
            figures.save(figure(), tmp_path / "new.png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path.name for path in tmp_path.iterdir()] == ["old.png"]


@keras.saving.register_keras_serializable("strangers")
class Known(keras.layers.Layer):
    """A layer that a test makes unknown."""

    def call(self, inputs):
        return inputs


def network(*extra):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            *extra,
            layers.DepthwiseConv2D(3),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def as_of_keras_2(path):
    """Change a model's file to the format of Keras 2: its version, and a setting that Keras 3 lacks."""
    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            file.attrs["keras_version"] = "2.15.0"
            config = file.attrs["model_config"]
            file.attrs["model_config"] = config.replace('"strides"', '"groups": 1, "strides"')
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["metadata.json"] = b'{"keras_version": "2.15.0", "date_saved": "2024-01-01"}'
    members["config.json"] = members["config.json"].replace(b'"strides"', b'"groups": 1, "strides"')
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_model_file_refusals_name_the_reason(tmp_path, ending):
    def refusal(path):
        with pytest.raises(CifarcamError) as caught:
            explain.read_model(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    path = tmp_path / f"model{ending}"
    network().save(path)
    content = path.read_bytes()
    assert explain.read_model(path).count_params() == network().count_params()
    as_of_keras_2(path)
    assert "{'groups': 1}" in refusal(path)
    assert "Keras 2.15.0" in refusal(path)

    network(Known()).save(path)
    registered = keras.saving.get_custom_objects().pop("strangers>Known")
    try:
        assert "Known" in refusal(path)
    finally:
        keras.saving.get_custom_objects()["strangers>Known"] = registered

    network(keras.layers.Lambda(lambda x: x + 1)).save(path)
    assert "Lambda" in refusal(path)

    other = tmp_path / f"named{'.h5' if ending == '.keras' else '.keras'}"
    other.write_bytes(content)
    assert f"end in {ending}" in refusal(other)
    for damaged in (b"", b"no model", content[: len(content) // 2], b"\x80\x04}q\0."):
        path.write_bytes(damaged)
        refusal(path)
    path.unlink()
    path.mkdir()
    assert "folder" in refusal(path)
    (path / "saved_model.pb").touch()
    assert "SavedModel" in refusal(path)


OWN = """
import keras
class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs
@keras.saving.register_keras_serializable("strangers")
class Tripled(keras.layers.Layer):
    def call(self, inputs):
        return 3 * inputs
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize(("name", "factor"), [("Doubled", 2), ("Tripled", 3)])
def test_layers_of_a_user_s_module_are_read_when_it_is_imported(
    tmp_path, monkeypatch, ending, name, factor
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    module = f"own_{name}_{ending[1:]}".lower()
    (tmp_path / f"{module}.py").write_text(OWN)
    objects = explain.module_objects(module)
    assert set(objects) == {"Doubled", "Tripled"}
    keras.Sequential([keras.Input((4, 4, 3)), objects[name]()]).save(f"own{ending}")
    model = explain.read_model(tmp_path / f"own{ending}", objects)
    np.testing.assert_array_equal(model(np.ones((1, 4, 4, 3))), factor)
    keras.saving.get_custom_objects().clear()
    with pytest.raises(CifarcamError, match=f"{name}' is not one of Keras's own.*--import MODULE"):
        explain.read_model(tmp_path / f"own{ending}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nosuchmodule", "No module named 'nosuchmodule'"),
        ("broken", "ZeroDivisionError: division by zero"),
        ("torn", "SyntaxError"),
        ("broken.py", "give NAME for a file NAME.py"),
        ("a b", "not the name of a module"),
        ("", "not the name of a module"),
        ("..x", "not the name of a module"),
    ],
)
def test_module_that_cannot_be_imported_is_refused(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "broken.py").write_text("1 / 0")
    (tmp_path / "torn.py").write_text("def")
    with pytest.raises(CifarcamError, match=f"^module '{name}'") as refusal:
        explain.module_objects(name)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_model_file_without_a_model_is_refused(tmp_path):
    network().save_weights(tmp_path / "a.weights.h5")
    with zipfile.ZipFile(tmp_path / "b.keras", "w") as archive:
        archive.writestr("a.txt", "x")
    for name in ("a.weights.h5", "b.keras"):
        with pytest.raises(CifarcamError, match=f"{name}: not a model that Keras can read safely"):
            explain.read_model(tmp_path / name)


@pytest.fixture(scope="module")
def classifier():
    return explain.Classifier(network())


def test_class_names_are_read_as_editors_write_them(tmp_path, classifier):
    path = tmp_path / "names.txt"
    for content in (
        b"cat\ndog\ncow\n",
        b"\xef\xbb\xbfcat\r\ndog\r\ncow\r\n",
        b"cat\rdog\rcow",
        b"\n cat \n\ndog\ncow",
    ):
        path.write_bytes(content)
        assert explain.class_names(classifier, path) == ["cat", "dog", "cow"]
    path.write_text("a\u2028b\nUS$\n\x0b\u732b\n")  # neither of these ends a line
    assert explain.class_names(classifier, path) == ["a\u2028b", "US$", "\u732b"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"cat\ndog\n",
        "chat\nch\u00e8vre\nvache\n".encode("latin-1"),
        "cat\ndog\ncow\n".encode("utf-16"),
        "cat\ndog\ncow\n".encode("utf-16-le"),
        b'{"cat": 0, "dog": 1, "cow": 2}',
        b'["cat",\n"dog",\n"cow"]',
        b"cat\n" * 2**23,
    ],
    ids=["empty", "two", "latin-1", "utf-16", "utf-16-le", "json", "json-lines", "huge"],
)
def test_class_names_of_other_files_are_refused(tmp_path, classifier, content):
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(CifarcamError, match=r"names\.txt"):
        explain.class_names(classifier, tmp_path / "names.txt")


def test_printable_text_is_on_one_line():
    assert printable("new\nline\ttab\u202fspace") == "new line tab space"
    assert printable("caf\udce9 \x1b[31m \0") == "caf\ufffd \ufffd[31m \ufffd"
    assert printable("\u202egnp.exe\u200b") == "gnp.exe"
    assert printable("US$ \u732b \u00b7") == "US$ \u732b \u00b7"
    assert len(printable("9" * 5000)) == 201


@pytest.mark.parametrize(
    ("height", "width", "most", "expected"),
    [
        (30, 40, 1200, (30, 40)),
        (30, 40, 300, (15, 20)),
        (40, 30, 300, (20, 15)),
        (1, 500, 100, (1, 100)),
        (500, 1, 100, (100, 1)),
        (3, 4, 1, (1, 1)),
        (4000, 3000, 2**21, (1672, 1254)),
    ],
)
def test_picture_within_a_number_of_pixels_keeps_its_shape(height, width, most, expected):
    # A ramp from left to right stays one.
    ramp = np.linspace(0, 255, width)[None, :, None]
    picture = np.rint(np.broadcast_to(ramp, (height, width, 3))).astype(np.uint8)
    smaller = within(picture, most)
    assert smaller.shape == (*expected, 3)
    if height * width <= most:
        assert smaller is picture
    elif expected[1] > 10:
        places = (np.arange(expected[1]) + 0.5) * width / expected[1] - 0.5
        wanted = np.interp(places, np.arange(width), ramp[0, :, 0])[2:-2]
        assert np.abs(smaller[0, 2:-2, 0] - wanted).max() < 1.6


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((None, None), (60, 90)),
        ((30, 30), (30, 30)),
        ((30, None), (30, 45)),
        ((None, 30), (20, 30)),
        ((120, None), (120, 180)),
        ((None, 1), (1, 1)),
    ],
)
def test_open_side_of_a_picture_is_in_proportion_to_the_other(tmp_path, size, expected):
    """Red from left to right and green from top to bottom: the whole picture is there."""
    down, right = np.mgrid[:60, :90]
    pixels = np.stack([255 * right / 89, 255 * down / 59, 0 * down], axis=2)
    Image.fromarray(np.rint(pixels).astype(np.uint8)).save(tmp_path / "a.png")
    picture = explain.read_picture(tmp_path / "a.png", size)
    assert picture.shape == (*expected, 3)
    if None in size and min(expected) > 1:
        for axis, side in ((0, expected[1]), (1, expected[0])):
            ramp = picture[..., axis].mean(axis=axis)
            np.testing.assert_allclose(ramp, 255 * (np.arange(side) + 0.5) / side, atol=3)


def test_open_side_of_a_very_long_picture_is_bounded_and_its_centre_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("cifarcam.explain.pictures.MOST_PIXELS", 4000)
    pixels = np.zeros((2, 1000, 3), np.uint8)
    pixels[:, 490:510] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    picture = explain.read_picture(tmp_path / "a.png", (20, None))  # in proportion 20 x 10,000
    assert picture.shape == (20, 200, 3)
    assert picture.min() > 127  # the middle 2 x 20 pixels; Lanczos mixes in those beyond
    Image.fromarray(pixels.transpose(1, 0, 2)).save(tmp_path / "b.png")
    assert explain.read_picture(tmp_path / "b.png", (None, 20)).shape == (200, 20, 3)
