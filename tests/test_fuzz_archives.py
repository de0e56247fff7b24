"""Damage to archives of every kind that is handed over: refused in one sentence, or the same data.

``python tests/test_fuzz_archives.py 500`` runs the long campaign.
"""

import gzip
import io
import json
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from miniature import (
    archive_of,
    binary_members,
    folder_of,
    npm_members,
    shrink,
    zip_of,
)

from cifarcam import data
from cifarcam.errors import CifarcamError

SECONDS = 5  # the longest that a case may take

CONTAINERS = {
    "tar.gz": archive_of,
    "tar": lambda members: archive_of(members, "w:"),
    "zip": zip_of,
    "folder": dict,
}


def damaged_bytes(content, generator):
    """Bits, a cut, zeros, garbage, or bytes left out, put in, or written twice; and its name."""
    content = bytearray(content)
    # Half of the damages hit the beginning or the end, where an archive says what it is.
    length = len(content)
    place = int(generator.integers(max(length, 1)))
    if generator.random() < 0.5:
        place = [place % 1024, max(length - 1 - place % 1024, 0)][generator.integers(2)]
    extent = int(generator.integers(1, 2000))
    kind = str(generator.choice(["bits", "cut", "zeros", "garbage", "gap", "insertion", "echo"]))
    if kind == "bits":
        for position in range(place, min(place + 4, length)):
            content[position] ^= 1 << int(generator.integers(8))
    elif kind == "cut":
        del content[place:]
    elif kind == "zeros":
        content[place : place + extent] = bytes(len(content[place : place + extent]))
    elif kind == "garbage":
        content[place : place + extent] = generator.bytes(len(content[place : place + extent]))
    elif kind == "gap":
        del content[place : place + extent]
    elif kind == "insertion":
        content[place:place] = generator.bytes(extent)
    else:
        content[place:place] = content[place : place + extent]
    return bytes(content), kind


def misshapen_labels(content, generator):
    """Labels that are valid JSON, and no list of numbers from 0 to 9."""
    labels = json.loads(content)
    odd = [10, 256, -1, 10**400, 1.5, True, None, "7", [7], {"7": 7}, 1e400, float("nan")]
    place = int(generator.integers(len(labels)))
    labels[place] = odd[generator.integers(len(odd))]
    choices = [labels, labels[:-1], labels[place], {"labels": labels}, [labels], labels * 2]
    text = json.dumps(choices[generator.integers(len(choices))])
    depth = 0 if generator.random() < 0.8 else 10 ** int(generator.integers(1, 6))
    return ("[" * depth + text + "]" * depth).encode()


def misshapen_sprite(content, generator):
    """A PNG whose header says something else, with the header's check put right."""
    header = bytearray(content[16:29])
    field = int(generator.integers(4))
    if field < 2:
        sizes = [0, 1, 3, 4, 5, 1023, 1025, 10**4, 10**5, 2**31 - 1, 2**32 - 1]
        size = sizes[generator.integers(len(sizes))]
        header[4 * field : 4 * field + 4] = size.to_bytes(4, "big")
    else:
        header[int(generator.integers(8, 13))] = int(generator.integers(256))
    check = zlib.crc32(b"IHDR" + header).to_bytes(4, "big")
    return content[:16] + bytes(header) + check + content[33:]


def misshapen_tar(content, generator):
    """A tar in one of whose headers a number or the kind is another, with the check put right."""
    content = bytearray(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = archive.getmembers()
    start = members[generator.integers(len(members))].offset
    if generator.random() < 0.7:
        size = int(generator.integers(-(2**62), 2**62)) >> int(generator.integers(62))
        content[start + 124 : start + 136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
    else:
        content[start + 156] = int(generator.choice(list(b"01234567KLNSVxgDAM\0\xff")))
    content[start + 148 : start + 156] = b" " * 8
    total = sum(content[start : start + 512])
    content[start + 148 : start + 156] = b"%06o\0 " % total
    return bytes(content)


def damaged_members(members, generator):
    """Members swapped, renamed, left out, misshapen, damaged, or empty; and its name."""
    members = dict(members)
    one, other = generator.choice(sorted(members), 2, replace=False)
    kinds = ["swapped", "renamed", "left out", "damaged", "emptied", "added"]
    kind = str(generator.choice(kinds))
    labels = [name for name in members if name.endswith(".json")]
    if labels and generator.random() < 0.5:
        kind = "misshapen"
        one = labels[generator.integers(2)] if generator.random() < 0.5 else one
    if kind == "swapped":
        members[one], members[other] = members[other], members[one]
    elif kind == "renamed":
        name, _ = damaged_bytes(one.encode(), generator)
        name = name.decode("latin-1").replace("\0", "")[:100].strip("./") or "nameless"
        members[name] = members.pop(one)
    elif kind == "left out":
        del members[one]
    elif kind == "emptied":
        members[one] = b""
    elif kind == "added":
        members[f"more/{one}"] = members[other]
    elif kind == "misshapen" and one.endswith(".json"):
        members[one] = misshapen_labels(members[one], generator)
    elif kind == "misshapen" and one.endswith(".png"):
        members[one] = misshapen_sprite(members[one], generator)
    else:
        members[one], how = damaged_bytes(members[one], generator)
        kind += f" by {how}"
    return members, kind


def write_damaged(path, batches, generator):
    """Write an archive of a random kind with one damage, and return what was done to what."""
    source = str(generator.choice(["batches", "npm"]))
    members = binary_members(batches) if source == "batches" else npm_members(batches)
    container = str(generator.choice(sorted(CONTAINERS)))
    if container == "folder":
        members = {Path(name).name: content for name, content in members.items()}
    within = container == "folder" or generator.random() < 0.4
    if within:
        members, damage = damaged_members(members, generator)
    content = CONTAINERS[container](members)
    if container == "folder":
        folder_of(path, {name.replace("/", "_"): content for name, content in content.items()})
        return f"{source} in a folder: {damage}"
    if not within:
        if container == "tar" and generator.random() < 0.5:
            content, damage = misshapen_tar(content, generator), "a misshapen header"
        elif container == "tar.gz" and generator.random() < 0.5:  # so that its own check passes
            content, damage = damaged_bytes(gzip.decompress(content), generator)
            content, damage = gzip.compress(content, 1), f"repacked after {damage}"
        else:
            content, damage = damaged_bytes(content, generator)
    path.write_bytes(content)
    return f"{source} in a {container}: {damage}"


def outcome(path, batches):
    """What came of handing over the archive, in a word, and the trouble where there was any."""
    started = time.monotonic()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            same = data.obtain(path, say=lambda line: None) == batches
        except CifarcamError as error:
            message = str(error)
            told = message.startswith(f"{path}: ") and "\n" not in message and len(message) < 900
            word, trouble = ("refused", "") if told else ("not told well", message)
        except Exception:
            word, trouble = "foreign", traceback.format_exc()
        else:
            word, trouble = ("same", "") if same else ("changed", "other data were read")
    if warned:
        word, trouble = "warned", str(warned[0].message)
    if time.monotonic() - started > SECONDS:
        word, trouble = "slow", f"{time.monotonic() - started:.0f} s"
    return word, trouble


def campaign(count, seed=0):
    """Damage `count` archives; how often what came of it, and the troubles by case."""
    generator = np.random.default_rng(seed)
    outcomes, troubles = Counter(), []
    with pytest.MonkeyPatch.context() as patches, tempfile.TemporaryDirectory() as folder:
        batches = shrink(patches)
        patches.setenv("XDG_CACHE_HOME", f"{folder}/cache")
        for number in range(count):
            path = Path(folder) / f"case{number}"
            done = write_damaged(path, batches, generator)
            word, trouble = outcome(path, batches)
            outcomes[word] += 1
            if trouble:
                troubles.append(f"case {number}, {done}: {word}: {trouble}")
    return outcomes, troubles


@pytest.mark.slow
def test_damaged_archive_is_refused_in_one_sentence_or_gives_the_same_data():
    outcomes, troubles = campaign(200)
    assert not troubles
    assert outcomes["refused"] > 100
    assert outcomes["same"] > 10
    assert outcomes.total() == outcomes["refused"] + outcomes["same"] == 200


if __name__ == "__main__":
    print(*campaign(int(sys.argv[1]), *map(int, sys.argv[2:])), sep="\n")
