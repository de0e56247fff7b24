"""Files and directories that are replaced as a whole or not at all, at every step that can fail."""

import errno
import os
import sys
from pathlib import Path

import platformdirs
import pooch
import pytest
from safetensors import SafetensorError

from cifarcam import _files
from cifarcam.errors import CifarcamError

OLD, NEW = {"a.txt": "old a", "b.txt": "old b"}, {"a.txt": "new a"}


def contents(directory):
    return {path.name: path.read_text() for path in directory.iterdir()}


@pytest.fixture
def directory(tmp_path):
    path = tmp_path / "runs" / "tiny"
    path.mkdir(parents=True)
    for name, text in OLD.items():
        (path / name).write_text(text)
    return path


def write_new(directory):
    with _files.atomic_directory(directory) as temporary:
        for name, text in NEW.items():
            (temporary / name).write_text(text)


def failing(function, at, after=False):
    """A function that fails in its call number `at` (from 1), before or after its work."""
    calls = []

    def call(*arguments, **settings):
        calls.append(arguments)
        if len(calls) == at and not after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        result = function(*arguments, **settings)
        if len(calls) == at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return result

    return call


@pytest.mark.parametrize(
    ("owner", "name", "at", "after", "expected"),
    [
        (_files.tempfile, "mkdtemp", 1, False, OLD),  # the temporary directory
        (_files, "_flush", 1, False, OLD),
        (_files.tempfile, "mkdtemp", 2, False, OLD),  # the directory for the old contents
        (Path, "replace", 1, False, OLD),  # the old directory moves aside
        (Path, "replace", 1, True, OLD),
        (Path, "replace", 2, False, OLD),  # the new directory takes its place
        (Path, "replace", 2, True, NEW),
        (_files.shutil, "rmtree", 1, False, NEW),  # what is left over is removed
        (_files.shutil, "rmtree", 1, True, NEW),
    ],
)
def test_atomic_directory_holds_old_or_new_contents_after_a_failure(
    directory, monkeypatch, owner, name, at, after, expected
):
    with monkeypatch.context() as patch, pytest.raises(OSError, match="Errno"):
        patch.setattr(owner, name, failing(getattr(owner, name), at, after))
        write_new(directory)
    assert contents(directory) == expected
    _files.clear_leftovers(directory)
    assert contents(directory) == expected
    write_new(directory)
    assert contents(directory) == NEW
    assert [path.name for path in directory.parent.iterdir()] == ["tiny"]


def test_atomic_directory_that_cannot_be_put_back_is_put_back_later(directory, monkeypatch):
    replace, calls = Path.replace, []

    def second_and_later_fail(self, target):
        calls.append(target)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(self, target)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(Path, "replace", second_and_later_fail)
        write_new(directory)
    assert not directory.exists()
    _files.clear_leftovers(directory)
    assert contents(directory) == OLD
    assert [path.name for path in directory.parent.iterdir()] == ["tiny"]


def test_atomic_directory_keeps_the_old_contents_when_the_block_fails(directory):
    with pytest.raises(ZeroDivisionError), _files.atomic_directory(directory) as temporary:
        (temporary / "new.txt").write_text("new")
        raise ZeroDivisionError
    assert contents(directory) == OLD
    assert [path.name for path in directory.parent.iterdir()] == ["tiny"]


def test_atomic_directory_is_readable_by_others(directory):
    write_new(directory)
    assert directory.stat().st_mode & 0o777 == 0o755
    assert (directory / "a.txt").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("name", "owner"), [("_flush", _files), ("replace", Path)])
def test_atomic_file_keeps_the_old_contents_after_a_failure(tmp_path, monkeypatch, name, owner):
    path = tmp_path / "record.json"
    path.write_text("old")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(owner, name, failing(getattr(owner, name), 1))
        with _files.atomic_file(path) as temporary:
            temporary.write_text("new")
    assert contents(tmp_path) == {"record.json": "old"}
    with _files.atomic_file(path) as temporary:
        temporary.write_text("new")
    assert contents(tmp_path) == {"record.json": "new"}


def test_clear_leftovers_removes_only_what_belongs_to_the_path(directory):
    place = directory.parent
    (place / ".tiny.x7k").mkdir()
    (place / ".tiny.x7k" / "half.csv").touch()
    (place / ".tiny.q2").touch()
    (place / ".tiny-seed1.x7k").mkdir()
    (place / ".tiny.toml.q2").touch()
    aside = place / ".tiny.old.k2" / "tiny"
    aside.mkdir(parents=True)
    removed = _files.clear_leftovers(directory)
    assert [path.name for path in removed] == [".tiny.old.k2", ".tiny.q2", ".tiny.x7k"]
    assert sorted(path.name for path in place.iterdir()) == [
        ".tiny-seed1.x7k",
        ".tiny.toml.q2",
        "tiny",
    ]
    assert contents(directory) == OLD  # it stands; what is aside is older


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("No space left")]
)
def test_writing_to_names_the_directory(tmp_path, monkeypatch, error):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    refused = pytest.raises(CifarcamError, match=f"cannot write to {tmp_path}/new: No space")
    with refused as raised, _files.writing_to(tmp_path / "new"):
        raise error
    assert "XDG_CACHE_HOME" not in str(raised.value)
    refused = pytest.raises(CifarcamError, match="XDG_CACHE_HOME")
    with refused, _files.writing_to(_files.cache_dir() / "runs"):
        raise error
    with pytest.raises(ZeroDivisionError), _files.writing_to(tmp_path):
        raise ZeroDivisionError


def test_cache_dir_is_where_pooch_and_the_system_put_it(monkeypatch, tmp_path):
    assert _files.cache_dir() == pooch.os_cache("cifarcam")
    if sys.platform == "linux":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert _files.cache_dir() == tmp_path / "cifarcam"
    assert _files.cache_dir() == Path(platformdirs.user_cache_dir("cifarcam"))


def test_read_json_returns_what_write_json_wrote(tmp_path):
    path = tmp_path / "record.json"
    _files.write_json(path, {"rows": [0.1, 1 / 3], "text": "ü"})
    assert _files.read_json(path, "") == {"rows": [0.1, 1 / 3], "text": "ü"}
    content = path.read_bytes()
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CifarcamError, match=r"record\.json: .*; restore it"):
            _files.read_json(path, "restore it")
    with pytest.raises(CifarcamError, match=r"none\.json: cannot be read .*; restore it"):
        _files.read_json(tmp_path / "none.json", "restore it")


def test_seal_needs_a_place(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{}")
    with pytest.raises(ValueError, match="no place"):
        _files.seal(path)
