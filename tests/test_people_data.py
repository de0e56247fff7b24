"""CIFAR-10H: fetched once, verified at each reading, given as a file, refused in one sentence."""

import errno
import hashlib
import io
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers import dripping, endless, failing, left_in, serving

from cifarcam import cli
from cifarcam.data import people, transfer
from cifarcam.errors import CifarcamError

TABLE = np.random.default_rng(0).dirichlet(np.full(10, 0.1), 50)


def npy(table):
    file = io.BytesIO()
    np.save(file, table)
    return file.getvalue()


CONTENT = npy(TABLE)


def digest(content):
    return hashlib.sha256(content).hexdigest()


def publish(monkeypatch, **changes):
    monkeypatch.setattr(people, "TABLE", replace(people.TABLE, **changes))


def give(path):
    """What `cifarcam data --dataset cifar10h --from` does."""
    people.TABLE.obtain(path)
    return people.people()


@pytest.fixture(autouse=True)
def source(server, monkeypatch, tmp_path):
    """A server of a small table, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(transfer, "NO_ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(transfer, "WINDOW_SECONDS", 0.3)
    monkeypatch.setattr(transfer, "POLL_SECONDS", 0.02)
    publish(monkeypatch, url=server.url, sha256=digest(CONTENT), size=len(CONTENT))
    server.answers = [serving(CONTENT)]
    return server


def cached():
    return people.TABLE.path


def test_table_is_fetched_once_and_kept(source):
    first, second = people.people(), people.people()
    np.testing.assert_array_equal(first, TABLE)
    np.testing.assert_array_equal(second, TABLE)
    assert source.asked == 1
    assert left_in(cached().parent) == [cached().name]


@pytest.mark.parametrize(
    "damaged", [b"", CONTENT[:-1], CONTENT[:-1] + b"x", CONTENT + b"x", b"<html>"]
)
def test_table_damaged_in_the_cache_is_fetched_anew(source, damaged):
    people.people()
    cached().write_bytes(damaged)
    np.testing.assert_array_equal(people.people(), TABLE)
    assert cached().read_bytes() == CONTENT
    assert source.asked == 2


BAD_SOURCES = {
    "damaged": (serving(CONTENT[:-1] + b"x"), "differs from its published SHA-256"),
    "half": (serving(CONTENT[:1000], declared=len(CONTENT)), "the download broke off"),
    "too-long": (serving(CONTENT + b"x"), f"longer than {len(CONTENT):,} bytes"),
    "never-ends": (endless, f"longer than {len(CONTENT):,} bytes"),
    "a-page": (serving(b"<html>"), "differs from its published SHA-256"),
    "none": (failing(404), "404"),
    "silent": (serving(b"", declared=len(CONTENT), pause=3), ""),
    "drips": (dripping, "sent less than"),
}


@pytest.mark.parametrize("kind", BAD_SOURCES)
def test_source_of_another_table_is_reported_in_one_sentence_and_leaves_nothing(source, kind):
    answer, words = BAD_SOURCES[kind]
    source.answers = [answer]
    started = time.monotonic()
    with pytest.raises(CifarcamError) as failure:
        people.people()
    assert time.monotonic() - started < 2.5
    message = str(failure.value)
    assert source.url in message
    assert words in message
    assert "\n" not in message
    assert left_in(cached().parent) == []


def test_unreachable_source_is_reported_in_one_sentence(monkeypatch):
    publish(monkeypatch, url="http://127.0.0.1:9/cifar10h-probs.npy")
    words = r"cannot be fetched from http://127.*--dataset cifar10h --from FILE"
    with pytest.raises(CifarcamError, match=words):
        people.people()


def test_file_of_the_user_is_kept_in_the_cache(source, tmp_path):
    own = tmp_path / "own.npy"
    own.write_bytes(CONTENT)
    np.testing.assert_array_equal(give(own), TABLE)
    own.unlink()
    np.testing.assert_array_equal(people.people(), TABLE)
    assert source.asked == 0


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT[:-1] + b"x", CONTENT + b"x", b"<html>"])
def test_another_file_of_the_user_is_refused_and_not_kept(tmp_path, content):
    own = tmp_path / "own.npy"
    own.write_bytes(content)
    with pytest.raises(CifarcamError, match=r"own\.npy: not the table.*download http"):
        give(own)
    assert not cached().exists()


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(CifarcamError, match="none: no such file"):
        give(tmp_path / "none")
    with pytest.raises(CifarcamError, match="a folder; give a file"):
        give(tmp_path)
    (tmp_path / "empty").touch()
    with pytest.raises(CifarcamError, match="the file is empty"):
        give(tmp_path / "empty")


def test_a_pickle_is_never_opened(monkeypatch, tmp_path):
    content = npy(np.array([{"a": 1}], object))
    publish(monkeypatch, sha256=digest(content), size=len(content))
    (tmp_path / "own.npy").write_bytes(content)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        give(tmp_path / "own.npy")


def test_table_in_the_cache_needs_no_writable_cache(monkeypatch):
    people.people()

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    np.testing.assert_array_equal(people.people(), TABLE)
    cached().unlink()
    with pytest.raises(CifarcamError, match="Read-only file system"):
        people.people()


def test_table_is_fetched_once_for_several_threads(source):
    source.answers = [serving(CONTENT, pause=0.3)]
    results = []
    threads = [threading.Thread(target=lambda: results.append(people.people())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert source.asked == 1


def test_command_keeps_the_file_and_says_its_digest(source, tmp_path):
    (tmp_path / "own.npy").write_bytes(CONTENT)
    command = ["data", "--dataset", "cifar10h", "--from", str(tmp_path / "own.npy")]
    done = CliRunner().invoke(cli.main, command)
    assert done.exit_code == 0
    assert done.output == f"cifar10h-probs.npy  SHA-256 {digest(CONTENT)}\n"
    assert cached().read_bytes() == CONTENT
    (tmp_path / "own.npy").write_bytes(b"another")
    refused = CliRunner().invoke(cli.main, command)
    assert refused.exit_code == 1
    assert "not the table of people's labels" in refused.output
