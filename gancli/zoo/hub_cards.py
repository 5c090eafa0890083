"""Cards of models on the Hub: the repository's README.md, with metadata that the Hub reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import tomli_w

from gancli.errors import printable
from gancli.evaluation.report import Report
from gancli.evaluation.scores import title
from gancli.hub import client, names
from gancli.model import Model
from gancli.zoo import catalogue
from gancli.zoo.cards import REFERENCES, basis, figure, size

PICTURE = "samples.png"
SPDX = {
    "apache-2.0", "bsd-3-clause", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0",
    "cc0-1.0", "gpl-3.0", "mit", "openrail",
}  # fmt: skip
"""Licences that the Hub knows by an identifier; others are named beside "other"."""


def card(model: Model, header: Mapping[str, Any], repo: str, files: Mapping[str, Path | bytes]) -> str:
    """The repository's README.md: metadata that the Hub reads, and text.

    Args:
        model: whose card it is.
        header: with the licence of the data, and with figures where there are some.
        repo: "user/repo".
        files: what is uploaded beside it.
    """
    hub = client.library()
    report, data = figures(header), model.data_name or ""
    terms = header.get("dataset", {}).get("licence", "")
    tag = "image-to-image" if model.takes == "source" else None if model.numbers else "unconditional-image-generation"
    metadata = hub.ModelCardData(
        library_name="gancli",
        pipeline_tag=tag,
        datasets=names.parse(data).repo if names.is_hub(data) else None,
        tags=["gan", model.recipe.model],
        model_name=repo.partition("/")[2] if report else None,
        eval_results=_results(report, tag) if report else None,
        **_licence(terms),
    )
    return f"---\n{metadata.to_yaml()}\n---\n\n" + "\n\n".join(_text(model, header, repo, files, report)) + "\n"


def figures(header: Mapping[str, Any]) -> Report | None:
    """The evaluation in a header; None where there is none of ours."""
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        return Report.from_dict(header["evaluation"])
    return None


def _licence(terms: str) -> dict[str, str]:
    """The card's fields for a licence."""
    short = re.sub(r"[ _]+", "-", terms.strip().lower())
    if not terms or short in SPDX:
        return {"license": short} if terms else {}
    return {"license": "other", "license_name": terms[:100]}


def _results(report: Report, tag: str | None) -> list[Any]:
    """The figures for the card's ``model-index``, with their protocol."""
    hub, protocol = client.library(), report.protocol
    by = f", features of {protocol.extractor}" if protocol.extractor else ""
    return [
        hub.EvalResult(
            task_type=tag or "other",
            dataset_type=names.parse(protocol.data).repo if names.is_hub(protocol.data) else protocol.data,
            dataset_name=protocol.data,
            dataset_split=protocol.split,
            dataset_args=protocol.to_dict(),
            metric_type=row.metric,
            metric_name=title(row.metric) + by,
            metric_value=row.value,
            metric_args={
                key: list(value) if isinstance(value, tuple) else value
                for key in ("floor", "baseline", "interval")
                if (value := getattr(row, key)) is not None
            }
            or None,
        )
        for row in report.results
    ]


def _text(
    model: Model, header: Mapping[str, Any], repo: str, files: Mapping[str, Path | bytes], report: Report | None
) -> list[str]:
    """The parts of the card below its metadata."""
    weights, dataset = files[catalogue.MODEL_FILE], header.get("dataset", {})
    assert isinstance(weights, Path)
    terms = dataset.get("licence")
    summary = (
        catalogue.recipe_table(model.recipe.model).get("summary") if model.recipe.model in catalogue.models() else ""
    )
    use = "translate {} IMAGES --out translated" if model.takes == "source" else "sample {} --seeds 0-63"
    parts = [
        f"# {repo.partition('/')[2]}",
        f"![samples]({PICTURE})" if PICTURE in files else "",
        f"`{model.recipe.model}` of gancli" + (f": {summary}." if summary else "."),
        f"{size(weights)}. {_origin(model, header, terms)}",
        f"```\npip install 'gancli[hub]'\ngancli {use.format(names.PREFIX + repo)}\n```",
    ]
    if report is not None:
        rows = [row.to_dict() for row in report.results]
        found = {key: head for key, head in REFERENCES.items() if any(row.get(key) is not None for row in rows)}
        lines = [["metric", "this model", *found.values()], ["---", *["---:"] * (1 + len(found))]]
        lines += [[row["metric"], *(figure(row, key) for key in ("value", *found))] for row in rows]
        parts += ["\n".join(f"| {' | '.join(line)} |" for line in lines), basis(report.protocol.to_dict())]
    recipe = tomli_w.dumps(model.recipe.to_dict())
    return [*filter(None, parts), f"The recipe, which the weights hold too:\n\n```toml\n{recipe.replace('```', '')}```"]


def _origin(model: Model, header: Mapping[str, Any], terms: Any) -> str:
    """Where the weights are from, and the licence."""
    imported = header.get("imported")
    if isinstance(imported, Mapping):
        made = f"Imported from `{_plain(imported.get('file'))}`, weights of another program."
        return made + (f" Licence: {_plain(terms)}." if terms else "")
    made = f"Trained on {header.get('images', 0):,} images of `{_plain(model.data_name)}` in "
    made += f"{header.get('rounds', 0):,} rounds."
    what = (
        "Licences of the weights it started from and of the data" if model.inherited_licence else "Licence of the data"
    )
    return made + (f" {what}: {_plain(terms)}." if terms else "")


def _plain(text: Any) -> str:
    """A text of a header, without what Markdown would take for its own."""
    return re.sub(r"[`<>\[\]|\n]", "", printable(str(text)[:200]))
