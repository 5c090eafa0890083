"""Files of weights from other programs: read in a process of its own, which hands back safetensors."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli import checkpoint
from gancli.errors import GancliError, UsageError, printable
from gancli.files import refuse_special

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 8 << 30
"""Bytes of a file at most."""
MEMORY = 2 << 30
"""Bytes of memory that reading any file may take, besides :data:`TIMES` its size."""
TIMES = 6
SECONDS = 300
HINT = "save its state dict alone, as in `torch.save(generator.state_dict(), FILE)`, or as safetensors"


@dataclass(frozen=True)
class Part:
    """An object in a file that was more than a dict of tensors.

    Attributes:
        kind: the name of its class.
        values: its attributes that are numbers and short texts.
    """

    kind: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Weights:
    """What is in a file.

    Attributes:
        tensors: by dotted name, in the order of the file.
        parts: objects by dotted name.
        sha256: of the file, in hex.
    """

    tensors: Mapping[str, Tensor]
    parts: Mapping[str, Part]
    sha256: str


def read(path: Path) -> Weights:
    """The tensors in a file of PyTorch, of safetensors, or in a pickle. Nothing that is in it is run.

    Raises:
        UsageError: no such file, or no file.
        GancliError: it contains something else, is damaged, or takes too much memory or time.
    """
    try:
        refuse_special(path)
        size = path.stat().st_size
        if path.is_dir():
            raise UsageError(f"'{path}' is a folder", "name a file of weights")
        if size > LARGEST:
            raise UsageError(f"'{path}' has {size / 2**30:,.1f} GiB", f"at most {LARGEST >> 30} are read")
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"'{path}' cannot be read: {reason}", "check the path") from None
    with tempfile.TemporaryDirectory(prefix="gancli-", ignore_cleanup_errors=True) as folder:
        out = Path(folder) / "read.safetensors"
        _convert(path, out, MEMORY + TIMES * size)
        tensors, header = checkpoint.read(out)
    found = {name: tensors[str(number)] for number, name in enumerate(header["names"])}
    parts = {name: Part(kind, header["values"][name]) for name, kind in header["classes"].items()}
    return Weights(found, parts, sha256)


def _convert(path: Path, out: Path, memory: int) -> None:
    """Have the file read, and what is in it written to ``out``.

    Raises:
        GancliError: it is refused, or takes too much memory or time.
    """
    asked = {"path": str(path.resolve()), "out": str(out), "memory": memory, "seconds": SECONDS}
    # The package as this process has it, and no folder in which a file might lie that is called like a module.
    source = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "gancli.importing.worker"]
    try:
        done = subprocess.run(
            command, input=json.dumps(asked), capture_output=True, text=True, env=environment, timeout=2 * SECONDS
        )
    except subprocess.TimeoutExpired:
        raise GancliError(f"'{path}' is not read: that takes more than {2 * SECONDS} seconds", HINT) from None
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError:  # it was ended by a limit, or by the system
        told = {"error": f"it is damaged, or takes too much memory or time (code {done.returncode})"}
    if "error" in told:
        raise GancliError(f"'{path}' is not read: {printable(str(told['error'])[:500])}", HINT)
