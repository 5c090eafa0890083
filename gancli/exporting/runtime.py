"""onnxruntime-web, which runs ONNX graphs in a browser: one version of npm's package, known by its hash."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from gancli.errors import GancliError, UsageError
from gancli.files import refuse_special

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
INTEGRITY = "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""What npm knows this version's .tgz by."""
LARGEST = 64 << 20
"""Bytes of a .tgz that is read at most; this one has 33 million."""
MODULE = "package/dist/ort.wasm.bundle.min.mjs"
WASM = "package/dist/ort-wasm-simd-threaded.wasm"
TGZ = f"{PACKAGE}-{VERSION}.tgz"
SECONDS = 600

LICENCE = """MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
"""The package's licence; its .tgz names it and has no file with its text."""


@dataclass(frozen=True)
class Runtime:
    """The files of the package that a page contains.

    Attributes:
        module: JavaScript, an ES module.
        wasm: WebAssembly with SIMD, which runs in one thread.
    """

    module: bytes
    wasm: bytes


def read(path: Path | None = None) -> Runtime:
    """The runtime, from npm or from a .tgz.

    Args:
        path: the package's .tgz; None to download it with npm.

    Raises:
        UsageError: another file than this version's .tgz, or npm is not installed.
        GancliError: npm cannot download it.
    """
    if path is not None:
        return _unpacked(path)
    with TemporaryDirectory(prefix="gancli-npm-") as folder:
        download(Path(folder))
        return _unpacked(Path(folder) / TGZ)


def download(folder: Path) -> None:
    """Download the .tgz into a folder, by npm's own client.

    Raises:
        UsageError: npm is not installed.
        GancliError: it fails.
    """
    npm = shutil.which("npm")
    instead = f"name the package's file, as in `runtime={TGZ}`; `npm pack {PACKAGE}@{VERSION}` writes it"
    if npm is None:
        raise UsageError(f"npm, which downloads {PACKAGE} {VERSION}, is not installed", instead)
    environment = {"npm_config_fetch_retries": "1", **os.environ}  # by its default, npm waits for minutes
    command = [npm, "pack", f"{PACKAGE}@{VERSION}"]
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise GancliError(f"npm did not download {PACKAGE} {VERSION} in {SECONDS} seconds", instead) from None
    if done.returncode or not (folder / TGZ).is_file():
        code = re.search(r"\bcode ([A-Z0-9_]+)", done.stderr)
        why = code[1] if code else f"exit code {done.returncode}"
        raise GancliError(
            f"npm cannot download {PACKAGE} {VERSION}: {why}", f"check the network connection, or {instead}"
        )


def _unpacked(path: Path) -> Runtime:
    try:
        refuse_special(path)
        content = path.read_bytes() if path.stat().st_size <= LARGEST else b""
    except (FileNotFoundError, IsADirectoryError):
        raise UsageError(f"there is no file '{path}'", f"`npm pack {PACKAGE}@{VERSION}` writes {TGZ}") from None
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if f"sha512-{found}" != INTEGRITY:
        raise UsageError(
            f"'{path}' is not npm's {TGZ}: its SHA-512 is another", f"`npm pack {PACKAGE}@{VERSION}` writes it"
        )
    with tarfile.open(path, "r:gz") as archive:
        files = [archive.extractfile(name) for name in (MODULE, WASM)]
        return Runtime(*(file.read() for file in files if file is not None))
