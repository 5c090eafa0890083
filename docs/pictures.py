"""Draw the pictures that need no training: ``uv run python docs/pictures.py``.

``tests/test_docs.py`` checks that they are those of the zoo's present weights and of the stored figures. Pictures of
trainings depend on the machine and are made by hand: ``training.svg`` by ``docs/terminal.py``, ``trouble-*.png`` by
``gancli doctor`` after the commands of docs/troubleshooting.md, ``tutorial-ring-*.png`` by those of docs/tutorial.md;
``explore.png`` and ``explore.gif`` are the page of ``gancli explore quick/mnist``, by ``python -m benchmarks.tour``.
"""

import json
from contextlib import suppress
from pathlib import Path

import gancli
from benchmarks import quality
from gancli.cli import main
from gancli.zoo import catalogue, publishing

FOLDER = Path(__file__).with_name("pictures")
COMMANDS = {
    "samples.png": "sample quick/mnist",
    "walk.gif": "interpolate quick/mnist --seeds 3,14,15 --loop",
    "mixing.png": "mix stylegan2-small/mnist --styles --rows 0-5 --columns 20-27 --layers coarse",
    "directions.png": "directions stylegan2-small/mnist -n 4 --method sefa --seed 3",
    "tutorial-sine.png": "sample sine-gan/sine",
    "tutorial-grid.png": "sample points-gan/grid",
}
CARDS = {entry.name: entry.path for entry in catalogue.entries() if entry.path and entry.header()["takes"] == "latent"}
"""Weights of the models whose pictures need no data."""


def draw(name: str, path: Path) -> None:
    """Draw the picture of that file name, or of the card of that model."""
    if name in CARDS:
        publishing.draw(gancli.load(CARDS[name], device="cpu"), path)
    elif name in COMMANDS:
        with suppress(SystemExit):
            main([*COMMANDS[name].split(), "--device", "cpu", "--out", str(path)])
    else:
        figures = json.loads((FOLDER.parent / "performance.json").read_text(encoding="utf-8"))
        quality.draw(figures["quality"]["found"], path)


PICTURES = {name: FOLDER / name for name in (*COMMANDS, "quality.png")}
PICTURES |= {name: weights.with_suffix(".png") for name, weights in CARDS.items()}
"""Where they are, by the names that :func:`draw` takes."""

if __name__ == "__main__":
    for name, path in PICTURES.items():
        draw(name, path)
