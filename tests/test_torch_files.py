"""Tensors out of PyTorch's files: by hand-made files, and by files made to do harm."""

import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from cifarcam.errors import CifarcamError
from cifarcam.pretrained import torch_files

LITTLE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}


def word(text):
    """A text as an opcode of a pickle."""
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def number(value):
    return b"J" + struct.pack("<i", value)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def entry(name, key, count, shape, strides, offset=0, storage="torch FloatStorage"):
    """A tensor as PyTorch pickles it: a function, and a storage by its persistent identity."""
    kind = b"c" + storage.replace(" ", "\n").encode() + b"\n"
    place = b"(" + word("storage") + kind + word(key) + word("cpu") + number(count) + b"NtQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    arguments = b"(" + place + number(offset) + numbers(shape) + numbers(strides) + b"\x89" + hooks
    return word(name) + b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"tR"


def torch_file(entries, storages, magic=torch_files.MAGIC, system=LITTLE):
    """A file as PyTorch before 1.6 wrote it: pickles, then the values of each storage."""
    tensors = b"\x80\x02ccollections\nOrderedDict\n)R(" + b"".join(entries) + b"u."
    head = [pickle.dumps(one, 2) for one in (magic, 1001, system)]
    keys = pickle.dumps(list(storages), 2)
    values = [struct.pack("<q", len(one)) + one.tobytes() for one in storages.values()]
    return b"".join([*head, tensors, keys, *values])


MATRIX = np.arange(6, dtype="<f4")
WHOLE = torch_file(
    [
        entry("rows", "1", 6, (2, 3), (3, 1)),
        entry("columns", "1", 6, (3, 2), (1, 3)),
        entry("last", "1", 6, (2,), (1,), offset=4),
        entry("count", "2", 1, (), (), storage="torch LongStorage"),
    ],
    {"1": MATRIX, "2": np.array([7], "<i8")},
)


def test_tensors_are_read_with_their_offsets_and_strides():
    tensors = torch_files.read_tensors(WHOLE, "weights.pth")
    assert list(tensors) == ["rows", "columns", "last", "count"]
    assert tensors["rows"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["columns"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert tensors["last"].tolist() == [4, 5]
    assert tensors["count"].tolist() == 7
    assert tensors["count"].dtype == np.int64
    assert tensors["rows"].dtype == np.float32
    assert all(one.flags.writeable and one.flags.owndata for one in tensors.values())


class Harm:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("place", ["head", "tensors", "keys"])
@pytest.mark.parametrize("name", ["exec", "eval", "getattr"])
def test_pickle_that_calls_another_function_is_refused_and_calls_nothing(tmp_path, place, name):
    trace = tmp_path / "trace"
    code = f"open({str(trace)!r}, 'w').close()"
    function = {"exec": exec, "eval": eval, "getattr": getattr}[name]
    harm = pickle.dumps(Harm(function, *((code,) if name != "getattr" else (int, "real"))), 2)
    head = [pickle.dumps(one, 2) for one in (torch_files.MAGIC, 1001, LITTLE)]
    tensors = pickle.dumps(OrderedDict(), 2)
    content = {
        "head": [harm],
        "tensors": [*head, harm],
        "keys": [*head, tensors, harm],
    }[place]
    with pytest.raises(CifarcamError, match=f"asks for .*{name}") as refusal:
        torch_files.read_tensors(b"".join(content), "weights.pth")
    assert not trace.exists()
    assert str(refusal.value).startswith("weights.pth is refused: ")


@pytest.mark.parametrize("storage", ["torch DoubleStorage", "builtins float", "numpy dtype"])
def test_storage_of_another_kind_is_refused(storage):
    content = torch_file([entry("a", "1", 1, (1,), (1,), storage=storage)], {"1": MATRIX[:1]})
    with pytest.raises(CifarcamError, match=storage.replace(" ", ".")):
        torch_files.read_tensors(content, "weights.pth")


def test_admitted_names_are_those_of_a_file_of_weights():
    assert set(torch_files.ADMITTED) == {
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch", "FloatStorage"),
        ("torch", "LongStorage"),
    }


def test_file_cut_anywhere_is_reported_in_one_sentence():
    for length in range(len(WHOLE)):
        with pytest.raises(CifarcamError) as failure:
            torch_files.read_tensors(WHOLE[:length], "weights.pth")
        assert str(failure.value).startswith("weights.pth ")
        assert "\n" not in str(failure.value)


def test_file_with_a_byte_changed_gives_tensors_within_the_file_or_one_sentence():
    generator = np.random.default_rng(0)
    for place in range(len(WHOLE)):
        damaged = bytearray(WHOLE)
        damaged[place] ^= int(generator.integers(1, 256))
        try:
            tensors = torch_files.read_tensors(bytes(damaged), "weights.pth")
        except CifarcamError as error:
            assert "\n" not in str(error)
            continue
        for one in tensors.values():
            assert one.dtype in (np.float32, np.int64)
            assert one.size <= 6
            # Every value is one of the file's, which a changed byte elsewhere does not touch.
            size = one.itemsize
            stored = damaged[-40:-16] if one.dtype == np.float32 else damaged[-8:]
            bits = {bytes(stored[i : i + size]) for i in range(0, len(stored), size)}
            assert {value.tobytes() for value in one.reshape(-1)} <= bits


def test_byte_of_a_value_changes_the_tensors_that_hold_the_value():
    first = len(WHOLE) - 40  # six values of 4 bytes, a count of 8 bytes, one value of 8 bytes
    whole = torch_files.read_tensors(WHOLE, "weights.pth")
    for index in range(6):
        damaged = bytearray(WHOLE)
        damaged[first + 4 * index + 2] ^= 0x20
        values = np.frombuffer(damaged[first : first + 24], "<f4")
        tensors = torch_files.read_tensors(bytes(damaged), "weights.pth")
        assert np.array_equal(tensors["rows"], values.reshape(2, 3))
        assert np.array_equal(tensors["columns"], values.reshape(2, 3).T)
        assert np.array_equal(tensors["last"], values[4:])
        assert tensors["count"] == whole["count"]
        assert (tensors["rows"] != whole["rows"]).sum() == 1


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((7,), (1,), 0),
        ((6,), (1,), 1),
        ((2, 3), (4, 1), 0),
        ((2,), (-1,), 1),
        ((1,), (1,), -1),
        ((10**6, 10**3), (0, 0), 0),  # a billion copies of one value
    ],
)
def test_tensor_beyond_its_storage_is_refused(shape, strides, offset):
    content = torch_file([entry("a", "1", 6, shape, strides, offset)], {"1": MATRIX})
    with pytest.raises(CifarcamError, match="the tensor a reaches beyond its storage"):
        torch_files.read_tensors(content, "weights.pth")


BAD_FILES = {
    "longer": (WHOLE + b"x", "longer than its contents"),
    "another-magic": (torch_file([], {}, magic=1), "not in PyTorch's format"),
    "big-endian": (torch_file([], {}, system=LITTLE | {"little_endian": False}), "big-endian"),
    "zip": (b"PK\x03\x04" + bytes(100), "damaged"),
    "another-count": (
        torch_file([entry("a", "1", 5, (1,), (1,))], {"1": MATRIX}),
        "6 values instead of 5",
    ),
    "no-storage": (torch_file([entry("a", "9", 6, (1,), (1,))], {}), "damaged"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_file_of_another_kind_is_refused(kind):
    content, words = BAD_FILES[kind]
    with pytest.raises(CifarcamError, match=words):
        torch_files.read_tensors(content, "weights.pth")
