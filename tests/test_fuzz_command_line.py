"""Every command refuses wrong command lines in one sentence, and begins and loses nothing.

``python tests/test_fuzz_command_line.py 500`` runs a long campaign.
"""

import os
import shutil
import socket
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cifarcam import cli, training
from cifarcam.data import download as source
from cifarcam.errors import CifarcamError
from cifarcam.publish import execution
from cifarcam.report import claims
from cifarcam.studies import measurements

ROOT = Path(__file__).parents[1]
DIGITS = "9" * 5000

PATHS = [
    *(
        "",
        ".",
        "..",
        "/",
        "-",
        "--",
        "~",
        "*",
        "none.png",
        "folder",
        "folder.toml",
        "own.png/none.png",
    ),
    *("x" * 300, "x" * 300 + ".png", "x" * 5000 + ".svg", "a/" * 2100, "a\0b.png", "none/none.pdf"),
    *("\ud800.png", "caf\udce9.png", "new\nline.png", "\x1b[31m.png", "a.toml", "\u732b.txt"),
    *(
        "/dev/zero",
        "/dev/full",
        "/dev/null",
        "/proc/self/mem",
        "pipe.png",
        "pipe.toml",
        "socket.png",
    ),
    *("loop.png", "dangling.png", "empty.png", "empty.toml", "own.png", "own.svg", "my.keras"),
    *(
        "text.png",
        "text.keras",
        "zeros.h5",
        "names.txt",
        "latin.txt",
        "closed/own.png",
        "figure.png",
    ),
]
NAMES = [
    *(
        "",
        " ",
        "nosuch",
        "Baseline",
        "baseline.",
        "baseline-seed",
        "baseline-seed-1",
        "../baseline",
    ),
    *(
        f"baseline-seed{DIGITS}",
        "baseline-seed99999999999",
        "x" * 5000,
        "a\0b",
        "\ud800",
        "caf\udce9",
    ),
    *("a\nb", "'; ls", "$HOME", "{}", "%s", "-1", "--", "/", DIGITS, "none.toml", "folder.toml"),
    *("pipe.toml", "text.toml", "empty.toml", "x" * 300 + ".toml", "\ud800.toml", "a\0b.toml"),
]
NUMBERS = [
    *("", " ", "a", "-1", "1.5", "0x10", "1_0", "\u00b2", "\uff12", "nan", "inf", "-inf", "1e400"),
    *(
        "1e-400",
        "0",
        "-0.0",
        DIGITS,
        f"-{DIGITS}",
        "2147483648",
        "4294967296",
        "1e",
        "\ud800",
        "a\0b",
    ),
]
LAYERS = ["", "nosuch", "dense", "my/conv", "/", "x" * 5000, "a\0b", "\ud800", "0", "*"]
MODULES = [*NAMES, "json", "none", "my.layers", "failing", "failing.py", "..", "os.path"]
RANGES = [*NUMBERS, "0,1", "-1,1", "0,0", "0,1,2", "0,0,0:1,1,1", "0,0:1,1", ":", "nan,1", "1,1e30"]
HEADS = ["", "nosuch", "0", "1", "-1", DIGITS, "\ud800"]
REPOSITORIES = [*NAMES, "owner", "owner/", "/name", "owner/name/more", "https://github.com/o/n"]

# For each command right arguments, and for each of its parts values that may be wrong.
COMMANDS = {
    "data": (["--dataset", "sample"], {"--dataset": NAMES, "--from": PATHS}),
    "train": (
        ["baseline"],
        {"": NAMES, "--seed": NUMBERS, "--dataset": NAMES, "--runs": PATHS, "--again": None},
    ),
    "runs": ([], {"--clean": None, "--seal": PATHS, "--runs": PATHS}),
    "explain": (
        ["own.png", "--model", "my.keras", "--input-range", "0,255"],
        {
            "": PATHS,
            "--run": NAMES,
            "--runs": PATHS,
            "--model": PATHS,
            "--classes": PATHS,
            "--import": MODULES,
            "--input-range": RANGES,
            "--preprocess": ["resnet50", "mobilenet_v2", *NAMES],
            "--tokens": ["2,2", "2,", *NUMBERS],
            "--against": [*NUMBERS, *NAMES],
            "--overlay-only": None,
            "--json": PATHS,
            "--method": NAMES,
            "--layer": LAYERS,
            "--target": [*NUMBERS, *NAMES],
            "--output-head": HEADS,
            "-o": PATHS,
            "--output": PATHS,
        },
    ),
    "measure": (["list"], {"": NAMES}),
    "claims": ([], {"--json": PATHS, "--diff": PATHS}),
    "report": (
        ["--dataset", "sample"],
        {"--kernel": NAMES, "--dataset": NAMES, "--run": NAMES, "--chapter": NAMES},
    ),
    "colab": (["owner/name"], {"": REPOSITORIES}),
}
STRANGE = ["--nosuch", "-x", "--seed", "--from", "--=", "-", "more", "", "\ud800", "a\0b", DIGITS]


class Begun(CifarcamError):
    """A long computation would have begun."""


def begin(*_, **__):
    """Replace a long computation."""
    raise Begun("begun")


def command_line(draw):
    """A command and arguments, some of which are probably wrong."""

    def one_of(options):
        return options[draw.integers(len(options))]

    if draw.random() < 0.03:  # of the whole program
        return [
            one_of([*STRANGE, *NAMES]),
            *([one_of(list(COMMANDS))] if draw.random() < 0.5 else []),
        ]
    # `explain` has the most parts.
    command = one_of([*COMMANDS, *["explain"] * 5, "train", "data", "report"])
    right, parts = COMMANDS[command]
    arguments = [] if draw.random() < 0.2 else list(right)
    for _ in range(draw.integers(1, 4)):
        kind = draw.random()
        if kind < 0.85:
            part = one_of(list(parts))
            values = parts[part]
            added = [*([part] if part else []), *([one_of(values)] if values else [])]
            if part.startswith("--") and values and draw.random() < 0.1:
                added = [f"{part}={added[1]}"]
        elif kind < 0.95:
            added = [one_of(STRANGE)]
        else:  # an option without its value, or with the value of another option
            added = [one_of([part for part in parts if part] or ["--help"])]
        place = 0 if draw.random() < 0.5 else len(arguments)
        arguments[place:place] = added
    return [command, *arguments]


def prepare(folder):
    """Write files of a user and a small checkout."""
    for name in ("folder", "folder.toml", "closed", "runs", "experiments"):
        (folder / name).mkdir()
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (20, 30, 3)).astype("uint8")
    )
    for name in ("own.png", "caf\udce9.png", "new\nline.png", "closed/own.png"):
        picture.save(folder / name)
    (folder / "closed").chmod(0)
    contents = {"own.svg": b"<svg/>", "text.png": b"text", "text.keras": b"text"}
    contents |= {"text.toml": b"text", "zeros.h5": bytes(5000), "empty.png": b"", "empty.toml": b""}
    contents |= {"failing.py": b"raise ValueError('failing')"}
    contents |= {"names.txt": b"ant\nbee\ncow\n", "latin.txt": b"caf\xe9\n"}
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    for name in ("pipe.png", "pipe.toml"):
        os.mkfifo(folder / name)
    socket.socket(socket.AF_UNIX).bind(str(folder / "socket.png"))
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "dangling.png").symlink_to("nowhere.png")
    layers = keras.layers
    keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(2, 3, name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    ).save(folder / "my.keras")
    (folder / "book" / "notebooks").mkdir(parents=True)
    (folder / "notebooks").mkdir()
    for name in ("book/_config.yml", "requirements.txt", "notebooks/provenance.md"):
        shutil.copy(ROOT / name, folder / name)


def belongings(folder):
    """The bytes or the mode of everything in a folder except `runs`, to which commands write."""
    return {
        path.name: path.read_bytes() if path.is_file() else path.lstat().st_mode
        for path in folder.iterdir()
        if path.name != "runs"
    }


def outcome_of(result):
    """The end of a command line: refused, accepted, begun, or a fault."""
    if not isinstance(result.exception, SystemExit | None):
        traceback.print_exception(result.exception)
        return "fault"
    *usage, last = result.output.rstrip("\n").split("\n")
    if result.exit_code == 0:
        return "accepted"
    if last == "Error: begun":
        return "begun"
    # For a mistake of form, Click shows first how a command is used.
    is_sentence = last.startswith("Error: ") and last.isprintable() and len(last) < 2000
    return "refused" if is_sentence and (not usage or usage[0].startswith("Usage: ")) else "fault"


def campaign(count, seed=0):
    """Outcomes of distinct command lines, until `count` are refused or end in a fault.

    Prints each fault. Lines that are right by chance are counted too, but begin nothing.
    """
    outcomes, seen = Counter(), set()
    draw = np.random.default_rng(seed)
    patch = pytest.MonkeyPatch()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "home"
        folder.mkdir()
        prepare(folder)
        patch.chdir(folder)
        patch.setenv("XDG_CACHE_HOME", str(Path(scratch) / "cache"))
        patch.setattr(training, "train", begin)
        patch.setattr(measurements, "MEASUREMENTS", dict.fromkeys(measurements.MEASUREMENTS, begin))
        patch.setattr(claims, "ledger", begin)
        patch.setattr(execution, "_execute_all", begin)
        patch.setattr(source, "_fetch", begin)
        before = belongings(folder)
        try:
            while outcomes["refused"] + outcomes["fault"] < count:
                arguments = command_line(draw)
                if tuple(arguments) in seen:
                    continue
                seen.add(tuple(arguments))
                started = time.monotonic()
                result = CliRunner().invoke(cli.main, arguments)
                outcome = outcome_of(result)
                after = belongings(folder)
                if time.monotonic() - started > 60 or not before.items() <= after.items():
                    outcome = "fault"
                    before = after
                    print("slow, or a file has changed")
                if outcome == "fault":
                    print(f"fault: {shown(arguments)}\n  {result.output[-600:]!r}")
                outcomes[outcome] += 1
        finally:
            patch.undo()
            (folder / "closed").chmod(0o700)
    return outcomes


def shown(arguments):
    """A command line with its long words cut, for reading."""
    return [word if len(word) < 60 else f"{word[:20]}...{len(word)}" for word in arguments]


@pytest.mark.slow
def test_commands_refuse_wrong_command_lines_in_one_sentence():
    outcomes = campaign(60)
    assert outcomes["fault"] == 0
    assert outcomes["refused"] == 60


if __name__ == "__main__":
    print(dict(campaign(int(sys.argv[1]), *map(int, sys.argv[2:]))))
