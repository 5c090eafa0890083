"""Export a model: write the file, run it on 64 seeds, and keep it only if it gives what the model gives."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gancli import files
from gancli.checkpoint import KEY
from gancli.errors import GancliError, UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

    from gancli.model import Model

Format = Literal["onnx", "torch", "html"]
FORMATS: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2", "html": ".html"}
"""Formats, and how their files end."""

SEEDS = range(64)
"""The images that an exported file is compared on."""
SIZES = (1, 7, 56)
"""Batches that they are computed in, so that a batch of any size is known to work."""
TOLERANCE = 1e-4
"""The largest difference that is accepted: images go from 0 to 1, a step of a PNG is 0.0039."""

Run = Callable[[dict[str, "Tensor"]], "Tensor"]
"""An exported file that is run on inputs."""
Page = Callable[[dict[str, Any], bytes], bytes]
"""From metadata and an ONNX graph to a page."""


@dataclass(frozen=True)
class Exported:
    """An exported file.

    Attributes:
        path: where it is.
        difference: the largest difference from the model's own images in [0, 1], or numbers.
        metadata: the document that it contains.
    """

    path: Path
    difference: float
    metadata: dict[str, Any]


def check_installed(to: Format) -> None:
    """Make sure that what a format takes is installed, without importing it.

    Raises:
        UsageError: it is not; the hint names the extra.
    """
    needed = () if to == "torch" else ("onnx", "onnxscript", "onnxruntime")
    if absent := [name for name in needed if find_spec(name) is None]:
        raise UsageError(
            f"export to {'ONNX' if to == 'onnx' else 'a page'} needs {', '.join(absent)}",
            "pip install 'gancli[onnx]', or write a program of torch.export with `to=torch`",
        )


def export(
    model: Model, path: Path, to: Format, network: str | None = None, *, runtime: Path | None = None
) -> Exported:
    """Write a model as a file that runs without gancli. It is computed on the CPU.

    Args:
        model: any, without truncation.
        path: the file to write.
        to: "onnx", "torch" for a program of torch.export, or "html" for a page that generates images in a browser.
        network: of a translator, another of its networks than the first, such as the ``back`` of a CycleGAN.
        runtime: for a page, npm's .tgz of onnxruntime-web; None to download it with npm.

    Raises:
        UsageError: what the format takes is not installed, there is no such network, or the model makes nothing that a
            page shows.
        GancliError: onnxruntime-web cannot be downloaded, the network cannot be exported, or its images differ by more
            than :data:`TOLERANCE`; nothing is written then.
    """
    from gancli.exporting import metadata
    from gancli.exporting.program import examples, program_of

    check_installed(to)
    page = None
    if to == "html":
        from gancli.exporting import html

        page = html.page_of(model, runtime)
    about = metadata.describe(model, network, mixing=page is not None)
    with files.atomic(path) as temporary, _exporting(model.name):
        program = traced(program_of(model, network), examples(model, range(3), mixing=page is not None))
        run = _write_torch(program, temporary, about) if to == "torch" else _write_onnx(program, temporary, about, page)
        difference = largest_difference(model, run, network, mixing=page is not None)
        if not difference <= TOLERANCE:
            raise GancliError(
                f"the exported file of '{model.name}' differs from the model by {difference:.2g}, and at most "
                f"{TOLERANCE:g} is accepted; nothing was written",
                "try another `to`",
            )
    return Exported(path, difference, about)


@contextmanager
def _exporting(name: str) -> Generator[None]:
    """Everything that the exporters raise as one error, and without the warnings that they give of themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (GancliError, OSError, MemoryError):
            raise
        except Exception as error:  # of many kinds, by what a network's code does
            what = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise GancliError(
                f"'{name}' cannot be exported: {what}",
                "its network's code does what torch.export cannot follow, such as len(x) of a tensor for x.shape[0]",
            ) from error


def traced(program: nn.Module, inputs: dict[str, Tensor]) -> ExportedProgram:
    """A program of torch.export for a batch of any size, with the names of the inputs.

    It contains neither paths of this machine nor the inputs that it was traced by.
    """
    import torch

    batch = torch.export.Dim("batch", min=1)
    shapes = {name: {0: batch} if values.dim() else {} for name, values in inputs.items()}
    with torch.no_grad():
        program(**inputs)  # constants that layers cache must not be the symbols of a trace
        made = torch.export.export(program, (), inputs, dynamic_shapes=shapes)
    graphs = [module.graph for module in made.graph_module.modules() if isinstance(module, torch.fx.GraphModule)]
    for node in (node for graph in graphs for node in graph.nodes):
        node.meta.pop("stack_trace", None)
    made.example_inputs = None
    return made


def _write_torch(program: ExportedProgram, path: Path, about: dict[str, Any]) -> Run:
    import torch

    with path.open("wb") as file:
        torch.export.save(program, file, extra_files={f"{KEY}.json": json.dumps(about, sort_keys=True)})
    with path.open("rb") as file:
        loaded = torch.export.load(file).module()
    return lambda inputs: loaded(**inputs)


def _write_onnx(program: ExportedProgram, path: Path, about: dict[str, Any], page: Page | None) -> Run:
    from gancli.exporting import graph

    content = graph.serialized(program, about)
    path.write_bytes(content if page is None else page(about, content))
    return graph.running(content)


def largest_difference(model: Model, run: Run, network: str | None = None, *, mixing: bool = False) -> float:
    """Between what an exported file and the model make of :data:`SEEDS`, without truncation and with."""
    import torch

    from gancli.exporting.program import PSI, examples, expected

    inputs = examples(model, SEEDS, mixing=mixing)
    worst = 0.0
    for psi in (1.0, PSI) if "psi" in inputs else (1.0,):
        scalars = {"psi": torch.tensor(psi)} if "psi" in inputs else {}
        rows = {name: values for name, values in inputs.items() if values.dim()}
        reference = expected(model, rows | scalars, network)
        parts = zip(*(values.split(SIZES) for values in rows.values()), strict=True)
        made = torch.cat([run(dict(zip(rows, part, strict=True)) | scalars) for part in parts])
        if made.shape != reference.shape:
            return float("nan")
        worst = max(worst, float((made - reference).abs().max()))
    return worst
