"""Tensors out of files that PyTorch wrote, read without PyTorch.

Such a file holds pickles, which may name any function and call it. The reader here admits four
names, the names that a file of plain weights needs, and refuses every other.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from cifarcam.errors import CifarcamError, first_line

MAGIC = 0x1950A86A20F9469CFC6C  # what such a file begins with, as a pickled number
PROTOCOL = 1001  # of PyTorch's format before 1.6


class _Storage(NamedTuple):
    """Where the values of tensors lie: an entry of the list of storages."""

    dtype: str
    key: str
    length: int


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> tuple[_Storage, int, tuple[int, ...], tuple[int, ...]]:
    """What a tensor is in the pickle: a storage, and the numbers that pick its values from it."""
    return storage, offset, shape, strides


ADMITTED: Mapping[tuple[str, str], Any] = MappingProxyType(
    {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }
)


class _Reader(pickle.Unpickler):
    """An unpickler that knows `ADMITTED` and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for."""
        if (module, name) not in ADMITTED:
            raise CifarcamError(
                f"it asks for {module}.{name}, which a file of weights does not need"
            )
        return ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage, from the tuple that stands for it in the pickle."""
        _, dtype, key, _, count, _ = pid
        if dtype not in ("<f4", "<i8"):
            raise CifarcamError("it has a storage of unknown type")
        return _Storage(dtype, str(key), int(count))


def read_tensors(content: bytes, title: str) -> dict[str, np.ndarray]:
    """The tensors of a file that PyTorch before 1.6 wrote by ``torch.save(model.state_dict())``.

    Parameters
    ----------
    content
        The bytes of the file.
    title
        What the file is, the beginning of an error's sentence.

    Returns
    -------
    dict
        Arrays by name: float32, and int64 for counts.

    Raises
    ------
    CifarcamError
        When the bytes are not such a file or are cut off, when they name anything but `ADMITTED`,
        or a tensor reaches beyond its storage.
    """
    file = io.BytesIO(content)
    try:
        if _Reader(file).load() != MAGIC or _Reader(file).load() != PROTOCOL:
            raise CifarcamError("it is not in PyTorch's format before 1.6")
        if _Reader(file).load()["little_endian"] is not True:
            raise CifarcamError("its numbers are big-endian")
        entries: dict[str, Any] = dict(_Reader(file).load())
        keys = _Reader(file).load()
        sizes = {one[0].key: one[0] for one in entries.values()}
        storages = {key: _values(file, sizes[key]) for key in keys}
        if file.read(1):
            raise CifarcamError("it is longer than its contents")
        return {str(name): _viewed(str(name), storages, *one) for name, one in entries.items()}
    except CifarcamError as error:
        raise CifarcamError(f"{title} is refused: {error}") from error
    except Exception as error:  # damaged pickles raise many kinds
        raise CifarcamError(
            f"{title} cannot be read as a file of PyTorch's ({first_line(error)}); it is damaged"
        ) from error


def _values(file: io.BytesIO, storage: _Storage) -> np.ndarray:
    """The values of a storage, behind their number in eight bytes."""
    (count,) = struct.unpack("<q", file.read(8))
    if count != storage.length:
        raise CifarcamError(f"a storage has {count} values instead of {storage.length}")
    content = file.read(count * np.dtype(storage.dtype).itemsize)
    values = np.frombuffer(content, storage.dtype)
    if len(values) != count:
        raise CifarcamError("it is cut off")
    return values


def _viewed(
    name: str,
    storages: Mapping[str, np.ndarray],
    storage: _Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
) -> np.ndarray:
    """The tensor's values as an array of its own; strides count values."""
    values = storages[storage.key]
    reach = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    fits = min((offset, *shape, *strides), default=0) >= 0 and reach < len(values)
    if not fits or math.prod(shape) > len(values):
        raise CifarcamError(f"the tensor {name} reaches beyond its storage")
    steps = [step * values.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(values[offset:], shape, steps).copy()
