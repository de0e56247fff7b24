"""Sources that are slow, endless, or talk nonsense: given up in time, and nothing is left behind."""

import gzip
import hashlib
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import threading
import time

import pytest
from helpers import failing, serving

from cifarcam.data import transfer
from cifarcam.data.transfer import Corrupt, Unreachable

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(transfer, "NO_ANSWER_SECONDS", 0.4)
    monkeypatch.setattr(transfer, "WINDOW_SECONDS", 0.3)
    monkeypatch.setattr(transfer, "POLL_SECONDS", 0.02)


def fetch(url, directory):
    return transfer.fetch(
        url, directory / "file", sha256=SHA256, size_limit=len(CONTENT), what="the file"
    )


def dripping(content, piece, pause):
    """Send a piece after each pause, which is shorter than the patience for an answer."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        for start in range(0, len(content), piece):
            handler.wfile.write(content[start : start + piece])
            handler.wfile.flush()
            time.sleep(pause)

    return answer


def endless(sent, declared=None):
    """Send until the client hangs up, counting the bytes."""

    def answer(handler):
        handler.send_response(200)
        if declared is not None:
            handler.send_header("Content-Length", str(declared))
        handler.end_headers()
        while True:
            handler.wfile.write(bytes(2**16))
            sent.append(2**16)

    return answer


def saying(*pieces, pause=0.0):
    """Send raw bytes, whatever they are, again and again where there is a pause."""

    def answer(handler):
        while True:
            for piece in pieces:
                handler.wfile.write(piece)
                handler.wfile.flush()
                time.sleep(pause)
            if not pause:
                break
        handler.close_connection = True

    return answer


def redirecting(target):
    def answer(handler):
        handler.send_response(302)
        handler.send_header("Location", target)
        handler.end_headers()

    return answer


def test_fetch_writes_the_whole_file_and_nothing_beside_it(server, tmp_path):
    server.answers = [serving(CONTENT)]
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


SLOW = {
    "drips": dripping(CONTENT, 1, 0.05),
    "drips-pieces": dripping(CONTENT, 500, 0.05),
    "drips-headers": saying(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n", pause=0.05),
    "goes-on-continuing": saying(b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.05),
    "hangs-after-headers": serving(b"", declared=len(CONTENT), pause=5),
    "hangs-half-way": serving(CONTENT[:150_000], declared=len(CONTENT), pause=5),
}


@pytest.mark.parametrize("kind", SLOW)
def test_fetch_gives_up_a_slow_source_in_two_windows(server, tmp_path, kind):
    server.answers = [SLOW[kind]]
    started = time.monotonic()
    with pytest.raises(Unreachable):
        fetch(server.url, tmp_path)
    assert time.monotonic() - started < 3
    assert not list(tmp_path.iterdir())


def test_fetch_gives_up_redirects_that_wait(server, tmp_path):
    def answer(handler):
        time.sleep(0.1)
        redirecting(server.url)(handler)

    server.answers = [answer]
    started = time.monotonic()
    with pytest.raises(Unreachable):
        fetch(server.url, tmp_path)
    assert time.monotonic() - started < 3
    assert server.asked < 10


def test_fetch_gives_up_a_name_that_is_looked_up_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(5))
    started = time.monotonic()
    with pytest.raises(Unreachable):
        fetch("http://nowhere.invalid/file", tmp_path)
    assert time.monotonic() - started < 3


@pytest.mark.slow
def test_fetch_waits_for_a_source_just_above_the_rate(server, tmp_path):
    """200 kB a second at most, over several windows."""
    server.answers = [dripping(CONTENT, 4000, 0.02)]
    started = time.monotonic()
    assert fetch(server.url, tmp_path).read_bytes() == CONTENT
    assert time.monotonic() - started > 3 * transfer.WINDOW_SECONDS


@pytest.mark.parametrize("declared", [None, 10**15])
def test_fetch_stops_reading_at_the_size_limit(server, tmp_path, declared):
    sent = []
    server.answers = [endless(sent, declared)]
    with pytest.raises(Corrupt, match="longer than 300,000 bytes"):
        fetch(server.url, tmp_path)
    time.sleep(0.1)
    count = sum(sent)
    time.sleep(0.2)
    assert sum(sent) == count < 20 * 2**20  # what the sockets hold
    assert not list(tmp_path.iterdir())


def packed_bomb(handler):
    """Against the request, packed: 100 MB in 100 kB."""
    bomb = gzip.compress(bytes(10**8))
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(bomb)))
    handler.end_headers()
    handler.wfile.write(bomb)


ODD = {
    "empty": serving(b"", declared=0),
    "half": serving(CONTENT[:1000], declared=len(CONTENT)),
    "declared-short": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", CONTENT),
    "declared-negative": saying(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"x"),
    "declared-words": saying(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", b"x"),
    "declared-twice": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", b"x"),
    "bad-chunks": saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\nx"),
    "bad-packing": saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", b"x" * 99),
    "bomb": packed_bomb,
    "no-http": saying(b"220 mail.example ESMTP\r\n"),
    "noise": saying(os.urandom(1000) + b"\r\n"),
    "long-header": saying(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10**6),
    "many-headers": saying(b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 1000),
    "redirect-to-nowhere": redirecting("http://"),
    "redirect-to-a-file": redirecting("file:///etc/hostname"),
    "redirect-to-odd-letters": redirecting("http://" + "ü" * 70 + ".invalid/"),
    "redirect-to-bad-address": redirecting("http://[::1/"),
    "redirect-to-bad-port": redirecting("http://127.0.0.1:99999999/"),
    **{f"status-{status}": failing(status) for status in (400, 403, 404, 429, 500, 503)},
}


@pytest.mark.parametrize("kind", ODD)
def test_fetch_of_an_odd_answer_is_one_of_two_errors_and_leaves_nothing(server, tmp_path, kind):
    server.answers = [ODD[kind]]
    with pytest.raises((Unreachable, Corrupt)) as failure:
        fetch(server.url, tmp_path)
    assert str(failure.value)
    assert "\n" not in str(failure.value)
    assert not list(tmp_path.iterdir())


def test_fetch_ends_a_redirect_loop(server, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "WINDOW_SECONDS", 20)
    server.answers = [redirecting(server.url)]
    with pytest.raises(Unreachable, match="redirects"):
        fetch(server.url, tmp_path)


def test_fetch_without_certificates_is_no_error_of_the_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(Unreachable, match=r"none\.pem"):
        fetch("https://127.0.0.1:9/file", tmp_path)


@pytest.mark.slow
def test_fetch_that_cannot_write_raises_the_systems_error(server, tmp_path):
    """Beyond the size that the process may write, as on a full disk."""
    server.answers = [serving(CONTENT)]
    script = (
        "import resource, sys; from pathlib import Path; from cifarcam.data import transfer\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"try: transfer.fetch({server.url!r}, Path({str(tmp_path)!r}) / 'file',"
        f" sha256={SHA256!r}, size_limit=10**6, what='the file')\n"
        "except OSError as error: sys.exit(f'{error.strerror}, {type(error).__name__}')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == "File too large, OSError\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_fetch_interrupted_leaves_nothing(server, tmp_path):
    server.answers = [dripping(CONTENT, 5000, 0.02)]
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pathlib import Path; from cifarcam.data import transfer\n"
        f"with transfer.scratch(Path({str(tmp_path)!r}) / 'file') as scratch:\n"
        f"  transfer.fetch({server.url!r}, scratch / 'file', sha256={SHA256!r},"
        f" size_limit=10**6, what='the file')"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not any(
        path.is_file() and path.stat().st_size for path in tmp_path.rglob("*")
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=5)[1].endswith("KeyboardInterrupt\n")
    assert not list(tmp_path.iterdir())


def test_scratch_removes_what_a_killed_download_left(tmp_path):
    (tmp_path / ".file.abc").mkdir()
    (tmp_path / ".file.abc" / "half").write_text("x")
    (tmp_path / "other").write_text("x")
    with transfer.scratch(tmp_path / "file") as scratch:
        assert sorted(tmp_path.iterdir()) == sorted([scratch, tmp_path / "other"])
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@pytest.mark.slow
def test_fetch_thread_that_is_given_up_ends_with_the_next_chunk(server, tmp_path):
    before = set(threading.enumerate())
    server.answers = [dripping(CONTENT, 500, 0.05)]
    with pytest.raises(Unreachable):
        fetch(server.url, tmp_path)
    (thread,) = [
        thread
        for thread in set(threading.enumerate()) - before
        if isinstance(thread, transfer._Transfer)
    ]
    thread.join(5)
    assert not thread.is_alive()
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_fetch_shows_its_progress_in_a_terminal(server, tmp_path):
    server.answers = [dripping(CONTENT, 30_000, 0.05)]
    script = (
        "from pathlib import Path; from cifarcam.data import transfer\n"
        f"transfer.fetch({server.url!r}, Path({str(tmp_path)!r}) / 'file', sha256={SHA256!r},"
        f" size_limit={len(CONTENT)}, what='the file')"
    )
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen([sys.executable, "-c", script], stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            shown += os.read(ours, 1000)
        except OSError:  # its end, on Linux
            break
    assert process.wait() == 0
    assert b"downloading" in shown
    assert b"/300k" in shown
