"""The animation of the page in use: small enough for the docs, and its colours are the page's."""

from pathlib import Path

from PIL import Image, ImageSequence

from benchmarks import tour

ROOT = Path(__file__).parents[2]


def test_rare_colours_and_durations_survive(tmp_path: Path) -> None:
    frames = []
    for number in range(3):
        frame = Image.linear_gradient("L").convert("RGB")
        frame.paste(tour.RARE[number], (number, 0, number + 2, 2))
        frames.append((frame, 100 * (number + 1)))
    tour.save(frames, tmp_path / "made.gif")
    with Image.open(tmp_path / "made.gif") as image:
        found = [(frame.convert("RGB").getpixel((number, 0)), frame.info["duration"])
                 for number, frame in enumerate(ImageSequence.Iterator(image))]  # fmt: skip
    assert [duration for _, duration in found] == [100, 200, 300]
    for (colour, _), wanted in zip(found, tour.RARE, strict=True):
        assert max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) <= 12


def test_the_stored_one_is_small() -> None:
    path = ROOT / "docs/pictures/explore.gif"
    with Image.open(path) as image:
        assert image.width <= 800
        assert 10 <= image.n_frames <= 20
    assert path.stat().st_size <= 600_000
