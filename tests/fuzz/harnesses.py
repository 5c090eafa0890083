"""What is fuzzed: functions from bytes to nothing, which raise only where the code under test is at fault."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "importing"))

import ada

from benchmarks import hostile
from gancli import checkpoint, model, recipe
from gancli.data import pixels
from gancli.data.folder import layout
from gancli.data.folder.files import open_source
from gancli.errors import GancliError, printable
from gancli.importing import worker
from gancli.importing.pickles import Refused
from gancli.runs.doctor import examine
from gancli.zoo import catalogue

CORPUS = Path(__file__).parent / "corpus"


def _place() -> Path:
    """A folder of this process, in memory where the system has one there."""
    global _made
    if _made is None:
        memory = Path("/dev/shm")
        _made = Path(mkdtemp(prefix="gancli-fuzz-", dir=memory if os.access(memory, os.W_OK) else None))
    return _made


_made: Path | None = None


def headers(data: bytes) -> None:
    """A file of weights: refused, or read so that what its header says holds."""
    path = _place() / "x.safetensors"
    path.write_bytes(data)
    try:
        tensors, header = checkpoint.read(path)
    except GancliError as refused:
        _said(refused.message)
        return
    assert sum(tensor.numel() for tensor in tensors.values()) == checkpoint.count_parameters(path)
    try:
        made = model.Model(path, "x", header, tensors)
    except GancliError:
        return
    _said(*made.classes)


def _said(*lines: str) -> None:
    """What is told of an input is told in printable lines."""
    assert all(printable(line) is line for line in lines), lines


def recipes(data: bytes) -> None:
    """A recipe: refused in printable lines, or the same recipe when it is written and read again."""
    path = _place() / "x.toml"
    path.write_bytes(data)
    try:
        parsed = recipe.parse(recipe.for_data(recipe.read(path), "digits", recipe.PARTS[: len(data) % 4]))
    except GancliError as refused:
        _said(*refused.message.splitlines())
        return
    path.write_text(parsed.to_toml(), encoding="utf-8")
    assert recipe.parse(recipe.read(path)) == parsed


def archives(data: bytes) -> None:
    """A zip of images, listed and decoded."""
    path = _place() / "x.zip"
    path.write_bytes(data)
    try:
        source = open_source(path)
        for split in ("train", "test"):
            found = layout.listing(source, split)
            _said(*found.classes)
            for name in found.names[:8]:
                _decode(source.open, name)
    except GancliError:
        return


def pictures(data: bytes) -> None:
    """One file of a folder, decoded: the first byte says what becomes of it."""
    if data:
        _decode(lambda _name: io.BytesIO(data[1:]), "x", data[0])


def _decode(bring: Callable[[str], Any], name: str, way: int = 0) -> None:
    fit, channels = pixels.FITS[way % 3], (1, 3)[way // 3 % 2]
    with warnings.catch_warnings():
        # As where folders are read.
        warnings.filterwarnings("ignore", module="PIL")
        try:
            with bring(name) as file:
                size, _, _ = pixels.probe(file)
            with bring(name) as file:
                if size[0] * size[1] <= 2**22:  # larger ones take long, and nothing else happens to them
                    made = pixels.decode(file, (8, 6), channels, fit, (255, 0, 9))
                    assert made.shape == (channels, 8, 6)
        except pixels.BadImageError as odd:
            _said(str(odd))


def runs(data: bytes) -> None:
    """The metrics of a run, explained."""
    (_place() / "metrics.jsonl").write_bytes(data)
    try:
        found = examine(_place())
    except GancliError:
        return
    json.dumps(found.to_dict(), allow_nan=False)


def pickles(data: bytes) -> None:
    """A pickle of weights: refused, or read so that it fits into the process that hands it back; and never run."""
    try:
        found = worker.of_pickle(io.BytesIO(data), len(data))
    except Refused:
        return
    finally:
        assert not (_place() / "canary").exists()
    assert sum(array.nbytes for array in found.tensors.values()) <= worker.LEAST + worker.EXPANDED * len(data)
    json.dumps([list(found.tensors), found.classes, found.values], allow_nan=False)


@dataclass(frozen=True)
class Harness:
    """What is fuzzed, and whole inputs to begin with."""

    one: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def _of_headers() -> list[bytes]:
    small = [made for made in hostile.headers().values() if len(made) < 4096]
    table = json.dumps(checkpoint.read_header(catalogue.find("points-gan/grid")))
    one, two = hostile.entry([2, 3], 0, 24), hostile.entry([4], 24, 32, "F16")
    return [*small, hostile.tensor_file({"a": one, "b": two}, bytes(32), document=table)]


def _of_recipes() -> list[bytes]:
    return [path.read_bytes() for path in sorted(catalogue.zoo_folder().glob("*/recipe.toml"))]


def _of_archives() -> list[bytes]:
    picture = hostile._picture()
    named = {"train/a/1.png": picture, "train/b/2.png": picture, "test/a/3.png": picture}
    labelled = {"x/1.png": picture, "dataset.json": b'{"labels": [["x/1.png", 3]]}'}
    whole = [hostile._archive(entries, method) for entries in (named, labelled) for method in (0, 8, 12, 14)]
    return [*whole, *(made for made in hostile.archives(picture).values() if len(made) < 4096)]


def _of_pictures() -> list[bytes]:
    kinds = [
        ("PNG", "P"),
        ("PNG", "RGBA"),
        ("JPEG", "CMYK"),
        ("GIF", "P"),
        ("WEBP", "RGB"),
        ("TIFF", "L"),
        ("BMP", "RGB"),
    ]
    kinds += [
        ("ICO", "RGBA"),
        ("TGA", "RGB"),
        ("PPM", "L"),
        ("DDS", "RGBA"),
        ("JPEG2000", "RGB"),
        ("PCX", "P"),
        ("SGI", "L"),
    ]
    return [bytes([number]) + hostile._picture(*kind) for number, kind in enumerate(kinds)]


def _of_runs() -> list[bytes]:
    row = {"round": 5, "images": 64, "loss/generator": 0.7, "loss/discriminator": 0.01, "probability/real": 0.99}
    row |= {"probability/fake": 0.01, "diversity": 0.1, "change": 0.9, "nearest": 0.1, "noise": 0.9}
    lines = [{**row, "round": 400 * number, "health": {}} for number in range(1, 12)]
    return ["\n".join(map(json.dumps, lines)).encode(), json.dumps(row).encode()]


class _Calls:
    """Pickled, it is a call."""

    def __init__(self, function: Callable[..., Any], argument: Any) -> None:
        self.call = function, (argument,)

    def __reduce__(self) -> Any:
        return self.call


def _of_pickles() -> list[bytes]:
    import numpy as np
    import torch

    layer = {"weight": torch.arange(6.0).view(2, 3).T, "bias": torch.zeros(3).half(), "array": np.arange(4.0)}
    whole = [pickle.dumps({"layer": layer, "epoch": 3}, protocol) for protocol in range(6)]
    evil = pickle.dumps(_Calls(os.system, f"touch {_place()}/canary"))
    nested = pickle.dumps(_Calls(torch.storage._load_from_bytes, evil))
    return [*whole, ada.legacy(layer), ada.dumped(ada.SynthesisLayer(2, 2, 2, 4, 1)), evil, nested]


HARNESSES = {
    "headers": Harness(headers, _of_headers),
    "recipes": Harness(recipes, _of_recipes),
    "archives": Harness(archives, _of_archives),
    "pictures": Harness(pictures, _of_pictures),
    "runs": Harness(runs, _of_runs),
    "pickles": Harness(pickles, _of_pickles),
}
