"""Damaged pictures of every format that Pillow writes are read, or refused in one sentence.

``python tests/test_fuzz_pictures.py 2000`` runs a long campaign.
"""

import io
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifarcam import explain
from cifarcam.errors import CifarcamError

SIZE = (24, 24)


def originals():
    """A picture as the bytes of a file, for each format and kind."""
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(0, 256, (5, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    colour = Image.fromarray(smooth)
    deep = np.linspace(0, 65535, 40 * 48).reshape(40, 48)
    clear = colour.convert("RGBA")
    clear.putalpha(Image.fromarray(rng.integers(0, 256, (40, 48)).astype(np.uint8)))
    data = Image.Exif()
    data[0x0112] = 6
    kinds = {
        "png": (colour, {"exif": data}),
        "png-palette": (colour.convert("P"), {"transparency": bytes(range(256))}),
        "png-alpha": (clear, {}),
        "png-deep": (Image.fromarray(deep.astype(np.uint16)), {}),
        "jpeg": (colour, {"exif": data}),
        "jpeg-progressive": (colour, {"progressive": True}),
        "jpeg-cmyk": (colour.convert("CMYK"), {}),
        "gif": (colour, {}),
        "webp": (colour, {"exif": data}),
        "webp-alpha": (clear, {"lossless": True}),
        "tiff": (colour, {"exif": data}),
        "tiff-lzw": (colour, {"compression": "tiff_lzw"}),
        "tiff-jpeg": (colour, {"compression": "jpeg"}),
        "tiff-float": (Image.fromarray((deep / 65535).astype(np.float32)), {}),
        "bmp": (colour, {}),
        "avif": (colour, {"exif": data}),
        "dds": (clear, {}),
        "dds-blocks": (clear, {"pixel_format": "DXT5"}),
        "ppm": (colour, {}),
        "ico": (clear, {}),
        "tga": (colour, {"compression": "tga_rle"}),
        "jpeg2000": (colour, {}),
        "pcx": (colour, {}),
        "sgi": (colour, {}),
        "qoi": (colour, {}),
        "icns": (clear.resize((32, 32)), {}),
    }
    files = {}
    for kind, (picture, options) in kinds.items():
        buffer = io.BytesIO()
        picture.save(buffer, kind.split("-")[0], **options)
        files[kind] = buffer.getvalue()
    return files


def damaged(content, rng):
    """A kind of damage, and a file's bytes after it."""
    data = bytearray(content)
    # Half of the damages fall on the first 200 bytes, where a format's structure is.
    reach = len(data) if rng.random() < 0.5 else min(200, len(data))
    start = int(rng.integers(reach))
    length = int(rng.integers(1, 65))
    damage = str(rng.choice(["bits", "end", "zeros", "garbage", "twice", "gap", "digits"]))
    if damage == "bits":
        for place in rng.integers(reach, size=rng.integers(1, 9)):
            data[place] ^= 1 << int(rng.integers(8))
    elif damage == "end":
        del data[int(rng.integers(len(data))) :]
    elif damage == "zeros":
        data[start : start + length] = bytes(len(data[start : start + length]))
    elif damage == "garbage":
        data[start : start + length] = rng.bytes(len(data[start : start + length]))
    elif damage == "twice":
        data[start:start] = data[start : start + length]
    elif damage == "gap":
        del data[start : start + length]
    else:  # a number, which may be a size or a place, becomes another
        data[start : start + 4] = rng.choice(
            [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0", b"\0\1\0\1", b"\xff\0\0\0"]
        )
    return damage, bytes(data)


def campaign(count, seed=0):
    """How many of `count` damaged pictures were read, were refused, or raised another error.

    Prints each other error, and each picture that took more than ten seconds.
    """
    files = originals()
    outcomes = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for case in range(count):
            rng = np.random.default_rng([seed, case])
            kind = list(files)[case % len(files)]
            damage, content = damaged(files[kind], rng)
            path = Path(folder) / f"picture.{kind.split('-')[0]}"
            path.write_bytes(content)
            begun = time.monotonic()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    picture = explain.read_picture(path, SIZE)
                whole = picture.shape == (*SIZE, 3) and picture.dtype == np.uint8
                outcome = "read" if whole else "foreign"
            except CifarcamError as error:
                outcome = "refused" if "\n" not in str(error) else "foreign"
            except Exception:
                outcome = "foreign"
                traceback.print_exc()
            if time.monotonic() - begun > 10:
                outcome = "slow"
            if outcome in ("foreign", "slow"):
                print(f"{outcome}: case {case} of seed {seed}, {kind}, {damage}")
            outcomes[outcome] += 1
    return outcomes


def test_undamaged_pictures_of_every_format_are_read(tmp_path):
    for kind, content in originals().items():
        (tmp_path / "picture").write_bytes(content)
        assert explain.read_picture(tmp_path / "picture", SIZE).std() > 10, kind


@pytest.mark.slow
def test_damaged_pictures_are_read_or_refused():
    outcomes = campaign(260)
    assert set(outcomes) == {"read", "refused"}
    assert outcomes.total() == 260


if __name__ == "__main__":
    print(dict(campaign(int(sys.argv[1]), *map(int, sys.argv[2:]))))
