"""The closed list of names that a pickle of weights may contain, and what is made of each: tensors and plain values.

What PyTorch and NumPy write for tensors, storages and arrays; ordered dicts; and the objects of NVIDIA's persistence,
which stay the plain states that they are. The source code that these bring along is text, and is dropped.
"""

from __future__ import annotations

import io
import math
import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gancli.importing.pickles import Budget, Buildable, Interpreter, Name, Names, Refused

MAGIC = 0x1950A86A20F9469CFC6C
"""The number that a file of PyTorch begins with, in the format before zips."""
VERSION = 1001
"""Of that format."""

DEEPEST = 2
"""Files of PyTorch within each other: a storage in a pickle is one."""

MOST_SIDES = 16

STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bf16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
"""Storages of PyTorch, with the type of their values as NumPy writes it."""


def size_of(kind: str) -> int:
    """Bytes of a value of a type."""
    return 2 if kind == "bf16" else int(kind[-1])


@dataclass(eq=False)
class Storage:
    """Values in a row.

    Attributes:
        kind: their type, one of :data:`STORAGES`.
        count: how many there are.
        data: their bytes; empty until they have been read.
    """

    kind: str
    count: int
    data: bytes | bytearray = b""


@dataclass(eq=False)
class Tensor:
    """A view of a storage, which lies within it and has no more values than it.

    Attributes:
        storage: what it views.
        offset: its first value.
        size: of each dimension.
        stride: values between neighbours, of each dimension.
    """

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = [self.offset, *self.size, *self.stride]
        if any(type(number) is not int or number < 0 for number in numbers) or len(self.size) > MOST_SIDES:
            raise Refused("it has a tensor whose shape is none")
        last = sum((size - 1) * stride for size, stride in zip(self.size, self.stride, strict=True))
        count = math.prod(self.size)
        if count > self.storage.count or (count and self.offset + last >= self.storage.count):
            shape = "x".join(map(str, self.size))[:100]
            raise Refused(f"it has a tensor of {shape} values in a storage of {self.storage.count:,}")


@dataclass(eq=False)
class Persistent:
    """An object of NVIDIA's persistence.

    Attributes:
        kind: the name of its class.
        state: its attributes.
    """

    kind: str
    state: dict[Any, Any]


class Table(dict, Buildable):
    """An ordered dict, or one with attributes; what else it carries, such as versions of layers, is dropped."""

    def build(self, state: Any) -> None:
        """Attributes, which are dropped."""
        if not isinstance(state, dict):
            raise Refused("it gives a dict a state that is no dict")


@dataclass(eq=False)
class NumpyType(Buildable):
    """A type of NumPy's numbers, such as f4; it takes its byte order as a state."""

    kind: str

    def build(self, state: Any) -> None:
        """(version, byte order, …)."""
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", "|", "="):
            raise Refused("it has numbers that are not little-endian")


@dataclass(eq=False)
class NumpyArray(Buildable):
    """An array, which takes its values as a state."""

    tensor: Tensor | None = None

    def build(self, state: Any) -> None:
        """(version, shape, type, in the order of Fortran, bytes)."""
        _, shape, kind, fortran, data = state
        self.tensor = _array(data, kind, shape, fortran is True)


@dataclass(eq=False)
class Reader:
    """The file that is read.

    Args:
        budget: of the file.
        depth: files of PyTorch around this one.
    """

    budget: Budget
    depth: int = 0
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        self.names = {
            **dict.fromkeys(("collections.OrderedDict", "dnnlib.util.EasyDict"), _table),
            **dict.fromkeys(("builtins.set", "__builtin__.set"), _set),
            "_codecs.encode": self._encoded,
            "torch._utils._rebuild_tensor": lambda arguments: _tensor(*arguments),
            "torch._utils._rebuild_tensor_v2": lambda arguments: _tensor(*arguments[:4]),
            "torch._utils._rebuild_parameter": lambda arguments: _instance(arguments[0], Tensor),
            "torch.storage._load_from_bytes": self._nested,
            "torch.Size": lambda arguments: tuple(_instance(arguments[0], tuple | list)),
            **dict.fromkeys(f"torch.{name}" for name in STORAGES),
            "torch_utils.persistence._reconstruct_persistent_obj": _persistent,
            **{
                f"numpy.{core}.{name}": make
                for core in ("core", "_core")
                for name, make in (
                    ("multiarray._reconstruct", lambda _: NumpyArray()),
                    ("multiarray.scalar", _scalar),
                    ("numeric._frombuffer", lambda given: NumpyArray(_array(given[0], *given[1:3], given[3] == "F"))),
                )
            },
            "numpy.dtype": _numpy_type,
            "numpy.ndarray": None,
        }

    def read(self, stream: Any) -> Any:
        """The value in a file: of its pickle, or of what PyTorch wrote before there were zips.

        Raises:
            Refused: what is not read.
        """
        value = self._run(stream)
        return self._of_pytorch(stream) if type(value) is int and value == MAGIC else value

    def _run(self, stream: Any, persistent: Any = None) -> Any:
        return Interpreter(stream, self.budget, self.names, persistent).run()

    def _encoded(self, arguments: tuple[Any, ...]) -> bytes:
        """Bytes, as protocols before 3 have them."""
        text, encoding = arguments
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            raise Refused("it has bytes in an encoding of its own")
        self.budget.copy(len(text))
        return text.encode("latin-1")

    def _nested(self, arguments: tuple[Any, ...]) -> Any:
        """What is in the bytes of another file, which is read in the same way."""
        (content,) = arguments
        if self.depth >= DEEPEST:
            raise Refused(f"it has files within each other, more than {DEEPEST} deep")
        value = Reader(self.budget, self.depth + 1).read(io.BytesIO(_instance(content, bytes | bytearray)))
        return _instance(value, Storage)

    def _of_pytorch(self, stream: Any) -> Any:
        """The rest of a file of PyTorch: version, machine, value, and then the bytes of storages."""
        version, machine = self._run(stream), self._run(stream)
        if version != VERSION or not isinstance(machine, dict) or machine.get("little_endian") is not True:
            raise Refused("it is in a format of PyTorch that is not read")
        storages: dict[str, Storage] = {}
        value = self._run(stream, partial(_identified, storages))
        keys = _instance(self._run(stream), list)
        for key in keys:
            storage = storages.pop(_instance(key, str), None)
            count = int.from_bytes(stream.read(8), "little")
            if storage is None or count != storage.count:
                raise Refused("it has a storage that is not the one it announced")
            size = count * size_of(storage.kind)
            self.budget.copy(size)
            storage.data = stream.read(size)
            if len(storage.data) != size:
                raise Refused("it ends within a storage")
        if storages:
            raise Refused("it lacks the bytes of a storage")
        return value


def _identified(storages: dict[str, Storage], identity: Any) -> Storage:
    """The storage of ("storage", type, key, device, number of values, view)."""
    kind, name, key, _, count, *view = _instance(identity, tuple)
    if kind != "storage" or not isinstance(name, Name) or any(each is not None for each in view):
        raise Refused("it asks its reader for what is no storage")
    found = STORAGES.get(name.full.removeprefix("torch."))
    if found is None or type(key) is not str or type(count) is not int or count < 0:
        raise Refused(f"it has a storage of {name.full[:100]}, which is not read")
    storage = storages.setdefault(key, Storage(found, count))
    if (storage.kind, storage.count) != (found, count):
        raise Refused("it has a storage of two sizes or types")
    return storage


def _instance(value: Any, kind: Any) -> Any:
    """The value, which must be of a kind."""
    if not isinstance(value, kind):
        raise Refused(f"it has a {type(value).__name__} where a {getattr(kind, '__name__', kind)} belongs")
    return value


def _tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    return Tensor(_instance(storage, Storage), offset, tuple(_instance(size, tuple)), tuple(_instance(stride, tuple)))


def _table(arguments: tuple[Any, ...]) -> Table:
    """Empty, or of one list of pairs."""
    if not arguments:
        return Table()
    (pairs,) = arguments
    made = Table()
    for key, value in _instance(pairs, list | tuple):
        made[_instance(key, str | int)] = value
    return made


def _set(arguments: tuple[Any, ...]) -> set[Any]:
    (values,) = arguments
    return {_instance(value, str | int | float | None) for value in _instance(values, list)}


def _persistent(arguments: tuple[Any, ...]) -> Persistent:
    (meta,) = arguments
    if not isinstance(meta, dict) or meta.get("type") != "class":
        raise Refused("it has a persistent object that is none of a class")
    return Persistent(_instance(meta.get("class_name"), str)[:200], _instance(meta.get("state"), dict))


def _numpy_type(arguments: tuple[Any, ...]) -> NumpyType:
    code = _instance(arguments[0], str)
    if not re.fullmatch(r"b1|[iu][1248]|f[248]", code):
        raise Refused(f"it has numbers of NumPy's type {code[:20]!r}")
    return NumpyType(f"{'|' if code[-1] == '1' else '<'}{code}")


def _array(data: Any, kind: Any, shape: Any, fortran: bool) -> Tensor:
    kind = _instance(kind, NumpyType).kind
    data, shape = _instance(data, bytes | bytearray), _instance(shape, tuple)
    if len(shape) > MOST_SIDES or any(type(side) is not int or side < 0 for side in shape):
        raise Refused("it has an array whose shape is none")
    sides = shape if fortran else shape[::-1]
    strides = [math.prod(sides[:index]) for index in range(len(sides))]
    storage = Storage(kind, len(data) // size_of(kind), data)
    return Tensor(storage, 0, shape, tuple(strides if fortran else strides[::-1]))


def _scalar(arguments: tuple[Any, ...]) -> Any:
    """One number of NumPy, as Python's."""
    import numpy as np

    kind, data = arguments
    tensor = _array(data, kind, (), False)
    return np.frombuffer(tensor.storage.data, tensor.storage.kind, 1)[0].item()
