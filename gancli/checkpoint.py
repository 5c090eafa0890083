"""Files that outlive the process: safetensors with one JSON document in the header, written whole or not at all.

No pickle: a tree of dicts, lists, numbers, strings and tensors becomes named tensors and one JSON document.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.errors import GancliError, UsageError
from gancli.files import atomic, refuse_special

if TYPE_CHECKING:
    from torch import Tensor

KEY = "gancli"
FORMAT = 1
"""Version of the layout of state and model files."""

LARGEST_HEADER = 8 << 20
"""Bytes of header that are read at most: names, shapes and the JSON document."""

MOST_BRACKETS = 1_000_000
"""Tables and lists in a header at most: each takes Python many times the room that it takes in the file."""

MOST_TENSORS = 20_000
"""Tensors of a file at most."""

SIZES = {
    **dict.fromkeys(("BOOL", "U8", "I8"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
"""Bytes of a value, by the name that safetensors gives its type."""

LEFTOVERS = (".*.part", ".tmp??????")
"""What a process that dies while it writes leaves beside a file: this module's temporary file, and safetensors' own."""

NAME = "name a model of `gancli zoo list`, the folder of a training, or its model.safetensors"
"""What to name instead of a file that is no model."""


def write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and header to a temporary name, flush to disk, rename.

    The same content gives the same bytes: all metadata stands under one key, with sorted names.

    Raises:
        OSError: it cannot be written, as where the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    document = json.dumps(header, sort_keys=True, ensure_ascii=False, allow_nan=False)
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        try:
            save_file(whole, temporary, metadata={KEY: document})
        except SafetensorError as error:
            found = re.search(r"os error (\d+)", str(error))
            code = int(found[1]) if found else errno.EIO
            raise OSError(code, os.strerror(code), str(path)) from error
        temporary.chmod(0o644)  # safetensors keeps its files from everyone else


def _metadata(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(JSON document under our key, entry by tensor name), read without torch and without the tensors.

    A header's claims are checked against the file before anything is read by them.
    """
    try:
        refuse_special(path)
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            (length,) = struct.unpack("<Q", file.read(8))
            if length > LARGEST_HEADER:
                raise ValueError(f"its header claims {length:,} bytes")
            if 8 + length > size:
                raise ValueError(f"its header claims {length:,} bytes of the {size - 8:,} that follow")
            table = _json(file.read(length).decode())
        document = table.pop("__metadata__")[KEY]
        header = _json(document)
        if not isinstance(header, dict):
            raise ValueError("its header is not a table")
        _check_tensors(table, size - 8 - length)
    except KeyError:
        raise GancliError(f"{path} was not written by gancli: its header does not say how to use it", NAME) from None
    except (ValueError, TypeError, AttributeError, struct.error, RecursionError) as error:
        if path.suffix != ".safetensors":
            raise UsageError(f"{path} is not a model's .safetensors file", NAME) from None
        raise GancliError(f"{path} is not a whole safetensors file: {error}", NAME) from None
    return header, table


def _json(text: str) -> Any:
    """JSON as the format has it: no name twice in a table, and no NaN."""
    if text.count("[") + text.count("{") > MOST_BRACKETS:
        raise ValueError(f"its header holds more than {MOST_BRACKETS:,} lists and tables")
    return json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("its header has a name twice")
    return table


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"its header has {name}, which is no number")


def _check_tensors(table: Mapping[str, Any], body: int) -> None:
    """Hold every entry against the bytes after the header, each of which belongs to one tensor.

    Args:
        table: entry by name.
        body: bytes after the header.

    Raises:
        ValueError: saying which entry lies.
    """
    if len(table) > MOST_TENSORS:
        raise ValueError(f"it holds {len(table):,} tensors, and at most {MOST_TENSORS:,} are read")
    reached = 0
    ranges = sorted((_range(name, entry, body), name) for name, entry in table.items())
    for (begin, end), name in ranges:
        if begin != reached:
            raise ValueError(
                f"its tensor {name[:64]!r} begins at byte {begin:,}, and the one before ends at {reached:,}"
            )
        reached = end
    if reached != body:
        raise ValueError(f"its tensors take {reached:,} bytes, and {body:,} follow the header")


def _range(name: str, entry: Any, body: int) -> tuple[int, int]:
    """Where the bytes of a tensor begin and end."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"its tensor {name[:64]!r} lacks a type, a shape or offsets, or has more")
    kind, shape, places = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in SIZES:
        raise ValueError(f"its tensor {name[:64]!r} has an unknown type {str(kind)[:16]!r}")
    if not _whole(shape) or len(shape) > 16:
        raise ValueError(f"its tensor {name[:64]!r} has a shape that none can have")
    if not _whole(places) or len(places) != 2 or not places[0] <= places[1] <= body:
        raise ValueError(f"its tensor {name[:64]!r} lies outside of the file")
    size = SIZES[kind]
    for side in shape if 0 not in shape else [0]:
        size *= side
        if size > body:
            break  # a product of huge sides would itself be huge
    if size != places[1] - places[0]:
        raise ValueError(f"its tensor {name[:64]!r} does not fill its bytes")
    return places[0], places[1]


def _whole(values: Any) -> bool:
    """Whether it is a list of whole numbers from 0 on."""
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def read_header(path: Path) -> dict[str, Any]:
    """The JSON document of a file, without torch and without reading tensors.

    Raises:
        UsageError: not a safetensors file, nor called one.
        GancliError: not a whole safetensors file, not one of ours, or a header of absurd size.
    """
    return _metadata(path)[0]


def count_parameters(path: Path) -> int:
    """Number of values in a file, from its header alone, without torch."""
    total = 0
    for entry in _metadata(path)[1].values():
        size = 1
        for side in entry["shape"]:
            size *= side
        total += size
    return total


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors, on the CPU, and the JSON document.

    Raises:
        GancliError: as :func:`read_header`, or offsets that lie.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    header = read_header(path)
    try:
        return load_file(path), header
    except SafetensorError as error:
        raise GancliError(f"{path} is not a whole safetensors file: {error}", NAME) from None


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, in hex, over names, types, shapes and values: two files that differ only in their notes are one."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.cpu().contiguous().numpy().tobytes())
    return total.hexdigest()


def flatten(tree: Any, prefix: str = "") -> tuple[dict[str, Tensor], Any]:
    """A tree of dicts, lists, scalars and tensors as named tensors and plain JSON.

    In the JSON a tensor leaves ``{"tensor": name}``. Dict keys may be strings or integers; the latter are marked.
    """
    import torch

    if isinstance(tree, torch.Tensor):
        return {prefix: tree}, {"tensor": prefix}
    tensors: dict[str, Tensor] = {}
    if isinstance(tree, Mapping):
        pairs = []
        for key, value in tree.items():
            found, plain = flatten(value, f"{prefix}.{key}" if prefix else str(key))
            tensors |= found
            pairs.append([key, plain])
        return tensors, {"table": pairs}
    if isinstance(tree, list | tuple):
        items = []
        for index, value in enumerate(tree):
            found, plain = flatten(value, f"{prefix}.{index}")
            tensors |= found
            items.append(plain)
        return tensors, items
    if tree is None or isinstance(tree, bool | int | float | str):
        return {}, tree
    raise TypeError(f"{prefix}: {type(tree).__name__} cannot be saved")


def unflatten(plain: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The tree that :func:`flatten` took apart (tuples come back as lists)."""
    if isinstance(plain, dict):
        if "tensor" in plain:
            return tensors[plain["tensor"]]
        return {key: unflatten(value, tensors) for key, value in plain["table"]}
    if isinstance(plain, list):
        return [unflatten(item, tensors) for item in plain]
    return plain
