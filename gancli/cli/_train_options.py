"""Arguments and options of commands that train, in the groups of their help. No torch is imported here."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from gancli.cli._help import BUDGET, DATA, EVALUATION, HARDWARE, MODEL, OTHER
from gancli.errors import UsageError

Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="A zoo model, a recipe's TOML file, or a run folder or hf:USER/REPO whose recipe is used. Default: "
        "quick for grey images of at most 28 pixels, pictures for all others, a small GAN for numbers.",
        rich_help_panel=MODEL,
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a recipe value. Repeatable.", rich_help_panel=MODEL),
]
OnlyClass = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Train on one class only, by its name or number.", rich_help_panel=DATA),
]
HoldOut = Annotated[
    str | None,
    typer.Option(
        "--hold-out",
        metavar="SHARE|COUNT",
        help="Never train on this share or number of images, with all their near-duplicates, so that evaluation "
        "notices copies. Default: 0.",
        rich_help_panel=DATA,
    ),
]
Minutes = Annotated[
    float | None, typer.Option(help="Train for N minutes.", min=0.001, metavar="N", rich_help_panel=BUDGET)
]
Epochs = Annotated[
    float | None, typer.Option(help="Train for N epochs.", min=0.0001, metavar="N", rich_help_panel=BUDGET)
]
Kimg = Annotated[
    float | None, typer.Option(help="Train for N thousand images.", min=0.0001, metavar="N", rich_help_panel=BUDGET)
]
Rounds = Annotated[int | None, typer.Option(help="Train for N rounds.", min=1, metavar="N", rich_help_panel=BUDGET)]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="auto|fp32|tf32|bf16|fp16",
        help="Floating-point format of the networks. Default: auto.",
        rich_help_panel=HARDWARE,
    ),
]
EvaluateEvery = Annotated[
    float | None,
    typer.Option(
        help="Evaluate after every N thousand images, as `gancli evaluate` does, and keep the best model. "
        "Default: 0, never.",
        min=0,
        metavar="N",
        rich_help_panel=EVALUATION,
    ),
]
BestBy = Annotated[
    str | None,
    typer.Option(
        help="The metric that decides which model is best. Default: fid.", metavar="METRIC", rich_help_panel=EVALUATION
    ),
]
EvaluateImages = Annotated[
    int | None,
    typer.Option(
        help="Images generated for each evaluation. Default: as many as are held out, at most 2000.",
        min=6,
        max=100_000,
        metavar="N",
        rich_help_panel=EVALUATION,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the files made.", rich_help_panel=OTHER)]


def data_assignments(only_class: str | None, hold_out: str | None) -> list[tuple[str, object]]:
    """What these options assign in the recipe's section ``data``.

    Raises:
        UsageError: --hold-out is neither a share nor a number.
    """
    found: list[tuple[str, object]] = [] if only_class is None else [("data.only_class", only_class)]
    return found if hold_out is None else [*found, ("data.hold_out", _amount(hold_out))]


def _amount(text: str) -> float:
    """A share such as 0.1, or a number of images."""
    typed = text.strip()
    if re.fullmatch(r"0|[1-9][0-9]{0,8}", typed):
        return int(typed)
    if re.fullmatch(r"0?\.[0-9]{1,12}", typed):
        return float(typed)
    raise UsageError(
        f"--hold-out {text} is neither a share nor a number of images", "as in --hold-out 0.1, or --hold-out 300"
    )
