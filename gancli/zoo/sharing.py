"""From a model to a repository of the Hub: weights, a picture, and a card that names data, licence and figures."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gancli import checkpoint
from gancli.data.synthetic import FORMULAS
from gancli.errors import GancliError, UsageError, printable
from gancli.evaluation.report import Report
from gancli.hub import client, names
from gancli.hub.upload import Uploaded, upload
from gancli.model import Model, discriminator_of
from gancli.zoo import catalogue
from gancli.zoo.hub_cards import PICTURE, card, figures
from gancli.zoo.publishing import draw


def push(
    model: Model, repo: str, *, licence: str = "", report: Report | None = None, private: bool = False
) -> Uploaded:
    """Upload a model with its card, a picture and, where there is one, its discriminator.

    Args:
        model: to upload.
        repo: "user/repo", which is made if need be.
        licence: of the data or of imported weights, where the model's header names none.
        report: of this model's evaluation, for one whose header has none.
        private: whether a new repository is shown to its owner alone.

    Raises:
        UsageError: no licence or another than the header's, a report of another model, or not allowed to write there.
        GancliError: the Hub cannot be reached, or a damaged file.
    """
    name = names.parse(f"{names.PREFIX}{repo.removeprefix(names.PREFIX)}")
    if name.revision:
        raise UsageError(f"'{repo}' has a revision, and a commit is what this makes", f"as in {name.repo}")
    header = completed(model, licence, report)
    client.library()
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        files: dict[str, Path | bytes] = {catalogue.MODEL_FILE: _weights(model, header, made)}
        if discriminator_of(model) is not None:
            files[catalogue.DISCRIMINATOR_FILE] = catalogue.discriminator_path(model.path)
        if picture := _picture(model, made):
            files[PICTURE] = picture
        files["README.md"] = card(model, header, name.repo, files).encode()
        stale = [each for each in (catalogue.DISCRIMINATOR_FILE, PICTURE) if each not in files]
        return upload(name.repo, files, stale, f"Upload {model.name}", private)


def completed(model: Model, licence: str, report: Report | None) -> dict[str, Any]:
    """The model's header with the licence of its data, and with its figures.

    Raises:
        UsageError: no licence or another than the header's, or a report of another model.
    """
    header = dict(model.header)
    dataset = header.get("dataset")
    dataset = dict(dataset) if isinstance(dataset, Mapping) else {}
    stored = model.licence
    if licence and stored and licence != stored:
        what = "weights" if "imported" in header else "data"
        raise UsageError(f"the {what} of '{model.name}' are under '{stored}', not '{licence}'", "leave out `licence`")
    terms = stored or printable(licence)
    if not terms and model.data_name not in FORMULAS:
        raise UsageError(
            f"'{model.name}' was trained on '{model.data_name}', whose licence is not known"
            if model.data_name
            else f"the licence of '{model.name}' is not known",
            "look it up, and name it, as in `licence=CC-BY-4.0`",
        )
    if model.inherited_licence not in terms:
        terms = "; ".join(filter(None, [model.inherited_licence, terms]))
    if terms:
        header["dataset"] = {**dataset, "licence": terms}
    if report is not None:
        if report.identity != model.identity:
            raise UsageError(f"the report is not that of '{model.name}' as it is now", "evaluate it again")
        header["evaluation"] = report.without_path().to_dict()
    elif (own := figures(header)) is not None and own.without_path() != own:
        header["evaluation"] = own.without_path().to_dict()
    return header


def _weights(model: Model, header: Mapping[str, Any], folder: Path) -> Path:
    """The model's file as it is, or with the completed header."""
    if header == model.header:
        return model.path
    path = folder / catalogue.MODEL_FILE
    checkpoint.write(path, checkpoint.read(model.path)[0], header)
    return path


def _picture(model: Model, folder: Path) -> Path | None:
    """Samples; of a translation, which has them of held-out images, those beside its weights."""
    if model.takes == "source":
        beside = [model.path.with_suffix(".png"), model.path.with_name(PICTURE)]
        return next((path for path in beside if path.is_file()), None)
    draw(model, folder / PICTURE)
    return folder / PICTURE


def read_report(path: Path) -> Report:
    """What ``gancli evaluate --json`` wrote.

    Raises:
        UsageError: something else.
    """
    try:
        if path.stat().st_size > 16 << 20:
            raise ValueError("too large")
        return Report.from_dict(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise UsageError(
            f"'{path}' cannot be read: {(error.strerror or str(error)).lower()}", "check the path"
        ) from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, GancliError):
        raise UsageError(
            f"'{path}' is no report of one model", "make one: `gancli evaluate MODEL --json > report.json`"
        ) from None
