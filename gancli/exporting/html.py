"""A page in one file that generates images offline: the graph, onnxruntime-web and our own HTML, CSS and JavaScript."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gancli.alpha import KINDS
from gancli.errors import UsageError
from gancli.exporting import runtime
from gancli.rendering.layout import file_stem

if TYPE_CHECKING:
    from gancli.model import Model

PARTS = Path(__file__).with_name("page")


def page_of(model: Model, package: Path | None) -> Callable[[dict[str, Any], bytes], bytes]:
    """What makes the page from metadata and graph, once it is known that there can be one.

    Args:
        model: of images from seeds.
        package: npm's .tgz of onnxruntime-web; None to download it.

    Raises:
        UsageError: no such model, or another file.
        GancliError: it cannot be downloaded.
    """
    check(model)
    read = runtime.read(package)
    return lambda metadata, graph: page(model, metadata, graph, read)


def check(model: Model) -> None:
    """Make sure that a model makes what a page shows.

    Raises:
        UsageError: it makes no images from seeds, or of channels that no PNG has.
    """
    instead = "write it with `to=onnx`; dcgan/mnist is a model of images from seeds"
    if model.takes == "source":
        raise UsageError(f"a page makes images from seeds, and '{model.name}' makes them from images", instead)
    if model.numbers:
        raise UsageError(f"a page shows images, and '{model.name}' makes numbers", instead)
    if model.shape[0] not in KINDS:
        raise UsageError(
            f"a page shows grey, colour and alpha, and '{model.name}' has {model.shape[0]} channels", instead
        )


def page(model: Model, metadata: dict[str, Any], graph: bytes, package: runtime.Runtime) -> bytes:
    """The whole file.

    Args:
        model: that the graph is of.
        metadata: of the export.
        graph: an .onnx file that takes the classes y as weights (N, classes).
        package: onnxruntime-web.
    """
    # In a script of JSON only "<" could end it.
    document = json.dumps(_about(model, metadata)).replace("<", "\\u003c")
    script = "\n".join((PARTS / name).read_text(encoding="utf-8") for name in ("random.js", "page.js"))
    values = {
        "title": html.escape(model.name),
        "style": (PARTS / "style.css").read_text(encoding="utf-8").rstrip(),
        "script": script.rstrip(),
        "metadata": document,
        "version": runtime.VERSION,
        "licence": html.escape(runtime.LICENCE),
        "runtime": _packed(package.module),
        "wasm": _packed(package.wasm),
        "model": _packed(graph),
    }
    template = (PARTS / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], template).encode()


def _about(model: Model, metadata: dict[str, Any]) -> dict[str, Any]:
    """What the page's script works with."""
    latent, data = model.latent, metadata["data"]
    facts = [
        ("Model", model.name),
        ("Data", " ".join(filter(None, (data["name"] or "not recorded", data["licence"] and f"({data['licence']})")))),
        ("Weights and recipe", f"SHA-256 {metadata['identity']}"),
        ("Recipe", f"SHA-256 {metadata['recipe_sha256']}"),
        ("Written by", f"gancli {metadata['gancli']}"),
    ]
    return {
        "stem": file_stem(model.name),
        "shape": model.shape,
        "spec": {
            "dim": latent.dim,
            "distribution": latent.distribution,
            "classes": latent.classes,
            "shares": list(latent.shares),
            "codes": latent.codes,
        },
        "classes": list(model.classes),
        "strategy": model.latents().truncation,
        "data": data["name"],
        "licence": data["licence"],
        "facts": facts,
        "command": f"`gancli sample {shlex.quote(model.name)} --seeds 0-23`",
    }


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
