"""``gancli evaluate``: metrics of models or images, with the real-data floor of each."""

from __future__ import annotations

from typing import Annotated

import typer

from gancli.cli import _options
from gancli.cli._imports import import_quickly
from gancli.cli._outputs import picture_path
from gancli.cli._processes import launch_or_meet
from gancli.cli.terminal.console import print_json, say
from gancli.cli.terminal.progress import progress_bar
from gancli.errors import UsageError
from gancli.processes import ALONE, distributing


def evaluate(
    context: typer.Context,
    subjects: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SUBJECT",
            help="A zoo model such as dcgan/mnist, a run folder, a .safetensors file, hf:USER/REPO, or a folder or zip "
            "of images. Default: the newest run.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="The data set to compare with. Default: the one the model was trained on."),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Which metrics, separated by commas. Default: all."),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(
            "--images",
            "-n",
            metavar="N",
            help="How many images to generate. Default: as many as are held out, at most 10,000.",
        ),
    ] = None,
    seed_start: Annotated[int, typer.Option(metavar="SEED", help="The first seed.")] = 0,
    repeats: Annotated[
        int,
        typer.Option(
            min=1,
            max=30,
            metavar="R",
            help="Independent sets of generated images: reports means, and the interval for a further set.",
        ),
    ] = 1,
    truncation: _options.Truncation = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The feature extractor. Default: the one trained on the data, or else imagenet."
        ),
    ] = None,
    device: _options.Device = "auto",
    data_dir: _options.DataDir = None,
    neighbours: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw the generated images nearest to training images, each beside its neighbour.",
        ),
    ] = None,
    processes: _options.Processes = None,
    as_json: _options.AsJson = False,
) -> None:
    """Evaluate models, or images, on held-out data.

    Metrics are FID, KID, precision, recall, coverage and more.

    The floor of a metric is what real training images score against the same held-out images. Models of numbers are
    compared with their formula: RMSE to the curve, modes covered. Translations of pairs are compared with their
    targets: PSNR and SSIM, beside a simple baseline; without pairs, by cycle consistency and whether the class is
    kept. For a class-conditional model, the accuracy of the requested class is reported too.

    Several subjects are ranked by the first metric, if all of them were measured by the same protocol.

    \b
    Examples:
      gancli evaluate dcgan/mnist
      gancli evaluate dcgan/mnist --metrics fid,kid -n 2000 --repeats 5
      gancli evaluate runs/mine --data mnist --json > report.json
      gancli evaluate dcgan/mnist wgan-gp/mnist images.zip --data mnist
      gancli evaluate quick/mnist --neighbours nearest.png
      gancli evaluate sine-gan/sine
      gancli evaluate pix2pix/mnist
    """
    world = launch_or_meet(context.obj, processes)
    import_quickly("gancli.evaluation.evaluate")
    from gancli.cli.terminal import reports
    from gancli.evaluation.comparison import rank
    from gancli.evaluation.subjects import open_subject
    from gancli.library.evaluate import evaluate as measure

    names = [name.strip() for name in (metrics or "").split(",") if name.strip()]
    if metrics is not None and not names:
        raise UsageError("no metric was named", "as in --metrics fid,kid")
    picture, found = picture_path(neighbours, "--neighbours"), []
    if picture is not None and len(subjects or ()) > 1:
        raise UsageError(f"--neighbours {picture} is one picture of one subject", "name one")
    if picture is not None and names and "memorisation" not in names:
        raise UsageError("--neighbours needs the nearest training images", "add memorisation to --metrics")
    with distributing(world), progress_bar() as progress:
        for name in subjects or [None]:
            subject = open_subject(name, device=device, truncation=truncation, progress=progress)
            report = measure(
                subject,
                data,
                names,
                images,
                extractor=extractor,
                seed_start=seed_start,
                repeats=repeats,
                data_dir=data_dir,
                progress=progress,
            )
            if repeats > 1 and report.protocol.repeats is None:
                say(f"warning: --repeats does not apply to '{report.model}': its images are not made from seeds")
            found.append(report)
            if picture is not None and world.first:
                with distributing(ALONE):
                    reports.save_neighbours(subject, report, picture, data_dir)
    if not world.first:
        return
    if len(found) == 1:
        print_json(found[0].to_dict()) if as_json else reports.show(found[0])
    else:
        groups = rank(found)
        if as_json:
            print_json({"groups": [[report.to_dict() for report in group] for group in groups]})
        else:
            reports.show_ranked(groups)
    of_all = set.intersection(*(set(report.warnings) for report in found))
    told = [(report.model, warning) for report in found for warning in report.warnings]
    for text in dict.fromkeys(text if text in of_all else f"{model}: {text}" for model, text in told):
        say(f"warning: {text}")
