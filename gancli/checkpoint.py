"""Files that outlive the process: safetensors with one JSON document in the header, written whole or not at all.

No pickle: a tree of dicts, lists, numbers, strings and tensors becomes named tensors and one JSON document.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
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

TYPES = ("BOOL", "U8", "I8", "U16", "I16", "F16", "BF16", "U32", "I32", "F32", "U64", "I64", "F64", "C64")
"""Types of tensors that are read, as safetensors names them; torch computes with no smaller ones."""

MOST_SIDES = 16
"""Dimensions of a tensor at most."""

LEFTOVERS = (".*.part", ".tmp??????")
"""What a process that dies while it writes leaves beside a file: this module's temporary file, and safetensors' own."""

NAME = "name a model of `gancli zoo list`, the folder of a training, or its model.safetensors"
"""What to name instead of a file that is no model."""


def write(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any], *, make: bool = True) -> None:
    """Write tensors and header to a temporary name, flush to disk, rename.

    The same content gives the same bytes: all metadata stands under one key, with sorted names.

    Args:
        path: of the file.
        tensors: by name.
        header: a JSON document.
        make: make its folder if need be.

    Raises:
        OSError: it cannot be written, as where the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    document = json.dumps(header, sort_keys=True, ensure_ascii=False, allow_nan=False)
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic(path, make=make) as temporary:
        try:
            save_file(whole, temporary, metadata={KEY: document})
        except SafetensorError as error:
            found = re.search(r"os error (\d+)", str(error))
            code = int(found[1]) if found else errno.EIO
            raise OSError(code, os.strerror(code), str(path)) from error
        temporary.chmod(0o644)  # safetensors keeps its files from everyone else


def _metadata(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(JSON document under our key, entry by tensor name), read without torch and without the tensors.

    What the entries claim of the file is checked by safetensors, in :func:`read`.
    """
    try:
        refuse_special(path)
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > LARGEST_HEADER:
                raise ValueError(f"its header claims {length:,} bytes")
            table = _json(file.read(length).decode())
        header = _json(table.pop("__metadata__")[KEY])
        if not isinstance(header, dict):
            raise ValueError("its header is not a table")
        if len(table) > MOST_TENSORS:
            raise ValueError(f"it holds {len(table):,} tensors, and at most {MOST_TENSORS:,} are read")
        for name, entry in table.items():
            if entry.get("dtype") not in TYPES or len(entry.get("shape", ())) > MOST_SIDES:
                raise ValueError(f"its tensor {name[:64]!r} has a type or a shape that no network has")
        # A file that was cut off is seen here already: a run with a whole header counts as finished.
        end = max((entry.get("data_offsets", ())[1] for entry in table.values()), default=0)
        if path.stat().st_size != 8 + length + end:
            raise ValueError("its size is not what its header says")
    except KeyError:
        raise GancliError(f"{path} was not written by gancli: its header does not say how to use it", NAME) from None
    except (ValueError, TypeError, AttributeError, IndexError, struct.error, RecursionError) as error:
        if path.suffix != ".safetensors":
            raise UsageError(f"{path} is not a model's .safetensors file", NAME) from None
        raise GancliError(f"{path} is not a whole safetensors file: {error}", NAME) from None
    return header, table


def _json(text: str) -> Any:
    """JSON as the format has it: no NaN, and no more tables than any file of ours has."""
    if text.count("[") + text.count("{") > MOST_BRACKETS:
        raise ValueError(f"its header holds more than {MOST_BRACKETS:,} lists and tables")
    return json.loads(text, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"its header has {name}, which is no number")


def read_header(path: Path) -> dict[str, Any]:
    """The JSON document of a file, without torch and without reading tensors.

    Raises:
        UsageError: not a safetensors file, nor called one.
        GancliError: no safetensors file, not one of ours, or a header of absurd size.
    """
    return _metadata(path)[0]


def count_parameters(path: Path) -> int:
    """Number of values in a file, from its header alone, without torch."""
    return sum(math.prod(entry["shape"]) for entry in _metadata(path)[1].values())


def is_half(path: Path) -> bool:
    """Whether weights are stored in half precision, from the header alone, without torch."""
    return any(entry["dtype"] == "F16" for entry in _metadata(path)[1].values())


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All tensors, on the CPU, and the JSON document.

    Raises:
        GancliError: as :func:`read_header`, or entries that do not describe the bytes of the file exactly.
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
