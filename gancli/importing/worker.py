"""Reads one file of weights from a stranger, in a process of its own with bounded memory and time, and writes what is
in it as safetensors.

Run as a program with a JSON document on standard input. This is the only code that reads pickles: by the interpreter of
:mod:`gancli.importing.pickles`, or, of PyTorch's zips, by ``torch.load`` with ``weights_only``.
"""

from __future__ import annotations

import json
import math
import mmap
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gancli.files import natural
from gancli.importing import names, pickles
from gancli.importing.pickles import Refused

KEY = "gancli"
"""Under which the header has its JSON document, as in all files of gancli."""

MOST_VALUES = 200_000
"""Values and containers that are looked at."""
MOST_TENSORS = 20_000
DEEPEST = 32
LONGEST_NAME = 200
EXPANDED = 4
"""Bytes that may be made of each byte of a file: nested pickles are copied, and so are tensors that are views."""
LEAST = 1 << 26
"""Bytes that may be made of any file."""
LAYERS = ("_parameters", "_buffers", "_modules")
"""Attributes of a module of PyTorch whose names are those of its tensors and parts."""


@dataclass
class Found:
    """What is in a file.

    Attributes:
        tensors: NumPy arrays or tensors of PyTorch by dotted name, in the order of the file.
        classes: of persistent objects, by dotted name.
        values: numbers and texts that are their attributes.
    """

    tensors: dict[str, Any] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, Any]] = field(default_factory=dict)


def found_in(value: Any, kind: type = names.Tensor) -> Found:
    """The tensors of a kind and the objects in a value.

    Raises:
        Refused: it is endless or too large, or two tensors have one name.
    """
    found, waiting, count = Found(), [("", value, 0)], 0  # count: of what was ever waiting
    while waiting:
        name, value, depth = waiting.pop()
        parts = list(_parts(value))
        count += len(parts)
        if count > MOST_VALUES or depth > DEEPEST or len(found.tensors) + len(found.classes) > MOST_TENSORS:
            raise Refused(f"it holds more than {MOST_TENSORS:,} tensors, or lists and tables without end")
        if isinstance(value, names.NumpyArray):
            value = value.tensor
        known = name in found.tensors or name in found.classes or len(name) > LONGEST_NAME
        if known and isinstance(value, (kind, names.Persistent)):
            raise Refused(f"it has two parts of one name, or a long one: {name[:LONGEST_NAME]}")
        if isinstance(value, kind):
            found.tensors[name] = value
        elif isinstance(value, names.Persistent):
            found.classes[name] = value.kind
            found.values[name] = {key: inner for key, inner in value.state.items() if _is_plain(key, inner)}
        # The last one that is added comes first, so that tensors keep the order of the file.
        waiting += [(_joined(name, key), inner, depth + 1) for key, inner in reversed(parts)]
    return found


def _joined(name: str, key: Any) -> str:
    """A dotted name, cut where it is longer than any that is read."""
    own = (key if isinstance(key, str) else str(key))[: LONGEST_NAME + 1]
    return f"{name}.{own}" if name else own


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """What a container holds, by name."""
    if isinstance(value, names.Persistent):
        for layer in LAYERS:
            inner = value.state.get(layer)
            yield from inner.items() if isinstance(inner, Mapping) else ()
    elif isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)


def _is_plain(key: Any, value: Any) -> bool:
    """Whether an attribute is a finite number or a short text."""
    if not isinstance(key, str) or len(key) > LONGEST_NAME:
        return False
    if isinstance(value, str):
        return len(value) <= LONGEST_NAME
    if isinstance(value, int):
        return value.bit_length() < 64
    return isinstance(value, float) and math.isfinite(value)


def as_array(tensor: names.Tensor) -> Any:
    """A tensor as NumPy's array, whose values lie one after the other; bf16 as float32, which holds the same values."""
    import numpy as np

    kind = tensor.storage.kind
    own = {"bf16": "<u2", "|b1": "|u1"}.get(kind, kind)
    size = names.size_of(kind)
    view = np.ndarray(
        tensor.size,
        np.dtype(own),
        tensor.storage.data,
        tensor.offset * size,
        tuple(size * stride for stride in tensor.stride),
    )
    if kind == "bf16":
        return (view.astype("<u4") << 16).view("<f4")
    if kind == "|b1":
        return view != 0
    return view if view.flags.c_contiguous else view.copy()


def of_pickle(stream: Any, size: int) -> Found:
    """What is in a pickle, or in a file that PyTorch wrote before there were zips.

    Args:
        stream: with ``read``, ``readline`` and ``tell``, as a file.
        size: bytes in it.

    Raises:
        Refused: what is not read.
    """
    budget = pickles.Budget(LEAST + EXPANDED * size)
    found = found_in(names.Reader(budget).read(stream))
    for name, tensor in found.tensors.items():
        budget.copy(math.prod(tensor.size) * names.size_of(tensor.storage.kind))
        found.tensors[name] = as_array(tensor)
    return found


def of_zip(path: Path, size: int) -> Found:
    """What is in a zip of PyTorch.

    Raises:
        Refused: what is not read.
    """
    import torch

    try:
        found = found_in(torch.load(path, map_location="cpu", weights_only=True), torch.Tensor)
    except (Refused, MemoryError):
        raise
    except Exception as error:  # of many kinds, whose texts advise to read the file without a cage
        named = re.search(r"(?:GLOBAL|class|function|instruction) ([\w.]+)", str(error))
        raise Refused(
            f"it names {named[1][:200]}, which PyTorch does not take for weights"
            if named
            else "PyTorch does not take it for a whole file of weights"
        ) from None
    return _of_torch(found, LEAST + EXPANDED * size)


def of_safetensors(path: Path, size: int) -> Found:
    """What is in a file of safetensors, sorted as people would: 2 before 10.

    Raises:
        Refused: no whole file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        loaded = load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise Refused(f"it is no whole safetensors file: {str(error)[:200]}") from None
    if len(loaded) > MOST_TENSORS or any(len(name) > LONGEST_NAME for name in loaded):
        raise Refused(f"it holds more than {MOST_TENSORS:,} tensors, or one of a long name")
    found = Found({name: loaded[name] for name in sorted(loaded, key=natural)})
    return _of_torch(found, LEAST + EXPANDED * size)


def _of_torch(found: Found, most: int) -> Found:
    """Tensors of PyTorch as NumPy's arrays."""
    import torch

    budget = pickles.Budget(most)
    known = {torch.float16, torch.float32, torch.float64, torch.bool, torch.uint8}
    known |= {torch.int8, torch.int16, torch.int32, torch.int64}
    for name, tensor in found.tensors.items():
        plain = tensor.layout == torch.strided and not tensor.is_quantized
        if not plain or tensor.device.type != "cpu" or tensor.is_complex():
            raise Refused(f"its tensor {name} is of a kind that is not read")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise Refused(f"its tensor {name} has more values than its storage")
        budget.copy(tensor.numel() * tensor.element_size())
        tensor = tensor.detach()
        if tensor.dtype not in known:
            if not tensor.is_floating_point():
                raise Refused(f"its tensor {name} is of the type {tensor.dtype}, which is not read")
            tensor = tensor.float()
        found.tensors[name] = tensor.contiguous().numpy()
    return found


def write(found: Found, out: Path) -> None:
    """Write what was found: tensors by number, and in the header their names and the objects."""
    from safetensors.numpy import save_file

    document = {"names": list(found.tensors), "classes": found.classes, "values": found.values}
    arrays = {str(number): array for number, array in enumerate(found.tensors.values())}
    save_file(arrays, out, {KEY: json.dumps(document, sort_keys=True, allow_nan=False)})


def read(path: Path) -> Found:
    """What is in a file, by how it begins.

    Raises:
        Refused: what is not read.
    """
    size = path.stat().st_size
    if not size:
        raise Refused("it is empty")
    with path.open("rb") as file:
        begin = file.read(9)
        if begin.startswith(b"PK\x03\x04"):
            return of_zip(path, size)
        if begin[8:] == b"{" and int.from_bytes(begin[:8], "little") < size:
            return of_safetensors(path, size)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return of_pickle(content, size)


def limit(memory: int, seconds: int) -> None:
    """Let this process take no more than so many bytes of address space more than now, and so much time."""
    with suppress(ImportError, ValueError, OSError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main() -> None:
    """Read what standard input names; prints a JSON document, with ``error`` if it is refused."""
    asked = json.load(sys.stdin)
    path = Path(asked["path"])
    with path.open("rb") as file:
        if not file.read(1).startswith(b"\x80"):
            import torch  # noqa: F401 - before the limit, since its libraries take a part of the address space
    import safetensors.numpy  # noqa: F401 - the same

    limit(asked["memory"], asked["seconds"])
    try:
        write(read(path), Path(asked["out"]))
        told = {}
    except Refused as refused:
        told = {"error": str(refused)}
    except (MemoryError, RecursionError):
        told = {"error": "it takes too much memory"}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
