"""Results of other programs beside the true images, by the names of their files."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from gancli.errors import UsageError
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.report import Report
from gancli.evaluation.subjects import open_subject
from gancli.metrics.images import compare
from gancli.rendering.images import save_images

ALL = ["psnr", "psnr_all", "ssim"]


@pytest.fixture
def images(tmp_path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """True images of 80 pixels in a folder, and results in a zip: larger than what sets of images are brought to."""
    true = torch.randint(0, 256, (7, 3, 80, 80), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    made = (true.float() * 0.9).byte()
    save_images([true], range(7), tmp_path / "true")
    save_images([made], range(7), tmp_path / "made.zip")
    return made, true


def judged(made: Path, true: Path, metrics: list[str] = ALL, count: int | None = None) -> Report:
    report = evaluate(open_subject(str(made)), str(true), metrics, count)
    assert isinstance(report, Report)
    return report


def test_files_of_the_same_names_are_pairs(tmp_path: Path, images: tuple[torch.Tensor, torch.Tensor]) -> None:
    report = judged(tmp_path / "made.zip", tmp_path / "true")
    expected = compare(*reversed(images))
    assert [(result.metric, result.value) for result in report.results] == [
        (name, pytest.approx(expected[name], rel=1e-9)) for name in ALL
    ]
    assert (report.model, report.protocol.data, report.protocol.generated_images) == ("made", "true", 7)
    assert all(result.baseline is None for result in report.results)
    assert judged(tmp_path / "made.zip", tmp_path / "true", ["ssim"], 3).protocol.real_images == 3
    same = judged(tmp_path / "true", tmp_path / "true")
    assert [result.value for result in same.results] == [60, 60, pytest.approx(1)]


def test_grey_and_colour_are_compared_in_colour_and_sizes_may_differ_from_pair_to_pair(tmp_path: Path) -> None:
    for folder, mode in (("made", "L"), ("true", "RGB")):
        (tmp_path / folder).mkdir()
        for number in (1, 2, 3):
            Image.new(mode, (10 * number, 20), 50 if mode == "L" else (50, 50, 60)).save(
                tmp_path / folder / f"{number}.png"
            )
    # Ten off in one of three channels.
    assert judged(tmp_path / "made", tmp_path / "true", ["psnr"]).results[0].value == pytest.approx(
        float(10 * torch.log10(torch.tensor(255**2 * 3 / 100))), rel=1e-6
    )
    with pytest.raises(UsageError) as error:
        judged(tmp_path / "made", tmp_path / "true", ["ssim"])
    assert error.value.message == "'1': SSIM is of images of 11x11 pixels or more, and these are 20x10"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("rename", "not every file has a partner of its name: 'made' alone has other; 'true' alone has 1"),
        ("resize", "the result of '1' is 6x9, and its true image 8x8"),
        ("break", "'1.png' of "),
        ("data", "psnr is of files of the same names, and 'digits' has none"),
        ("mix", "psnr is of pairs of images, and fid of sets"),
    ],
)
def test_what_is_no_pair_is_named(tmp_path: Path, change: str, message: str) -> None:
    for folder in ("made", "true"):
        (tmp_path / folder).mkdir()
        for number in (1, 2):
            Image.new("L", (8, 8), 50).save(tmp_path / folder / f"{number}.png")
    file = tmp_path / "made" / "1.png"
    if change == "rename":
        file.rename(tmp_path / "made" / "other.png")
    if change == "resize":
        Image.new("L", (9, 6)).save(file)
    if change == "break":
        file.write_bytes(file.read_bytes()[:40])
    metrics = ["psnr", "fid"] if change == "mix" else ["psnr"]
    with pytest.raises(UsageError) as error:
        evaluate(
            open_subject(str(tmp_path / "made")), "digits" if change == "data" else str(tmp_path / "true"), metrics
        )
    assert error.value.message.startswith(message)
