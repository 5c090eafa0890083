"""Images with transparency, from a PNG through training to a PNG."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gancli.alpha import all_opaque, composite, premultiply, straighten
from gancli.architectures import from_uint8, to_uint8
from gancli.data import load
from gancli.data.duplicates import groups
from gancli.data.pairs import degradations
from gancli.data.pairs.styles import STYLES, restyle
from gancli.data.pixels import convert, decode
from gancli.errors import UsageError
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.extractors import EXTRACTORS, Extractor
from gancli.evaluation.features import prepare
from gancli.evaluation.report import Report
from gancli.evaluation.subjects import Pictures
from gancli.metrics.images import psnr, ssim
from gancli.processes import ALONE
from gancli.rendering.animation import save_animation
from gancli.rendering.images import encode_png, enlarge, save_grid
from gancli.training.preprocessing import Preprocessor

WHITE = (255, 255, 255)


def every_pixel() -> Tensor:
    """All colours of one channel with all alphas, as one image (1, 4, 256, 256)."""
    values = torch.arange(256, dtype=torch.uint8)
    colour, alpha = values.expand(256, 256), values[:, None].expand(256, 256)
    return torch.stack([colour, colour.flip(1), colour // 2, alpha])[None].clone()


def seen(images: Tensor) -> Tensor:
    """Images whose transparent pixels are black."""
    return images * (images[:, 3:] > 0)


def as_file(image: Image.Image, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    file.seek(0)
    return file


def disc(colour: tuple[int, int, int], beneath: tuple[int, int, int] = (0, 0, 255), side: int = 32) -> np.ndarray:
    """An opaque disc on a transparent ground that hides a colour."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    inside = (x**2 + y**2 < (0.35 * side) ** 2)[..., None]
    return np.where(inside, [*colour, 255], [*beneath, 0]).astype(np.uint8)


def folder_of(path: Path, count: int = 24, side: int = 16) -> Path:
    path.mkdir()
    for number in range(count):
        Image.fromarray(disc((250 - number, 10 * number, 60), side=side - number % 3)).save(path / f"{number:02}.png")
    return path


# Pixels.


@pytest.mark.parametrize("limits", [(-1.0, 1.0), (0.0, 1.0)])
def test_a_transparent_png_comes_back_exactly(limits: tuple[float, float]) -> None:
    image = every_pixel()
    read = torch.tensor(decode(io.BytesIO(encode_png(image[0])), (256, 256), 4, "crop", WHITE))[None]
    assert torch.equal(read, seen(image))
    floats = from_uint8(read, limits)
    assert torch.equal(to_uint8(floats, limits), read)
    assert torch.equal(Preprocessor(1, 0, torch.device("cpu"), limits, False, ALONE).floats(read, None), floats)
    written = Image.open(io.BytesIO(encode_png(to_uint8(floats, limits)[0])))
    assert written.mode == "RGBA"
    assert np.array_equal(np.asarray(written).transpose(2, 0, 1), read[0].numpy())


def test_transparent_is_the_least_of_the_range_in_every_channel() -> None:
    pixels = torch.tensor([[9, 200, 255, 0], [100, 0, 255, 51]], dtype=torch.uint8)[:, :, None, None]
    assert torch.equal(from_uint8(pixels, (-1, 1))[0], torch.full((4, 1, 1), -1.0))
    # A fifth of the colour: 20, 0 and 51 of 255.
    torch.testing.assert_close(from_uint8(pixels, (0, 1))[1].flatten(), torch.tensor([20.0, 0, 51, 51]) / 255)


def test_compositing_by_hand() -> None:
    pixel = torch.tensor([200.0, 100, 0, 102]).view(1, 4, 1, 1)  # two fifths
    assert composite(pixel, 0).flatten().tolist() == [80, 40, 0]
    assert composite(pixel, 255).flatten().tolist() == [233, 193, 153]
    assert torch.equal(straighten(premultiply(pixel)), pixel)
    brighter_than_opaque = torch.tensor([300.0, 10, 0, 100]).view(1, 4, 1, 1)
    assert to_uint8(brighter_than_opaque / 255, (0, 1)).flatten().tolist() == [255, 26, 0, 100]


def test_other_images_stay_as_they_are() -> None:
    for channels in (1, 3):
        image = torch.rand(2, channels, 3, 3)
        assert premultiply(image) is image
        assert straighten(image) is image


@pytest.mark.parametrize(("fit", "size"), [("crop", (20, 20)), ("stretch", (24, 12)), ("pad", (24, 40))])
def test_hidden_colours_stay_hidden_when_images_are_resized(fit: Any, size: tuple[int, int]) -> None:
    image = Image.fromarray(disc((250, 0, 0)))
    made = decode(as_file(image), size, 4, fit, WHITE)
    assert made.shape == (4, *size)
    assert made[2].max() <= 2
    assert made[0][made[3] > 20].min() >= 240
    assert (made[:, 0, 0] == 0).all()
    again = convert(torch.tensor(np.asarray(image)).permute(2, 0, 1)[None], size, 4, fit, WHITE)
    assert np.array_equal(again[0].numpy(), made)


def test_every_kind_of_transparency_is_alpha() -> None:
    palette = Image.new("P", (5, 4), 1)
    palette.putpalette([0, 0, 255, 0, 255, 0])
    palette.putpixel((0, 0), 0)
    read = decode(as_file(palette, transparency=0), (4, 5), 4, "crop", WHITE)
    assert read[:, 0, 0].tolist() == [0, 0, 0, 0]
    assert read[:, 1, 1].tolist() == [0, 255, 0, 255]
    grey = decode(as_file(Image.new("LA", (5, 5), (80, 40))), (5, 5), 4, "crop", WHITE)
    assert grey[:, 2, 2].tolist() == [80, 80, 80, 40]
    keyed = decode(as_file(Image.new("RGB", (5, 5), (1, 2, 3)), transparency=(1, 2, 3)), (5, 5), 4, "crop", WHITE)
    assert not keyed.any()
    deep = Image.fromarray(np.full((5, 5), 40000, np.uint16))
    assert decode(as_file(deep), (5, 5), 4, "crop", WHITE)[:, 0, 0].tolist() == [156, 156, 156, 255]


def test_channels_are_converted_in_both_directions() -> None:
    pixels = torch.tensor([200, 100, 0, 102], dtype=torch.uint8).view(1, 4, 1, 1).expand(-1, -1, 4, 4)
    assert convert(pixels, (4, 4), 3, "crop", WHITE)[0, :, 0, 0].tolist() == [233, 193, 153]
    assert convert(pixels, (4, 4), 3, "crop", (0, 0, 0))[0, :, 0, 0].tolist() == [80, 40, 0]
    opaque = convert(pixels[:, :3].contiguous(), (4, 4), 4, "crop", WHITE)
    assert opaque[0, :, 0, 0].tolist() == [200, 100, 0, 255]
    assert all_opaque(opaque)
    assert not all_opaque(pixels)


# Data.


def test_a_folder_with_alpha(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "icons", 6)
    flat, rgba = load(str(path), size=(16, 16)), load(str(path), size=(16, 16), channels=4)
    assert (flat.images.shape, rgba.images.shape) == ((6, 3, 16, 16), (6, 4, 16, 16))
    assert flat.fingerprint != rgba.fingerprint
    assert load(str(path), size=(16, 16), channels=4).fingerprint == rgba.fingerprint
    assert "6 images of 16x16, colour with alpha;" in rgba.summary()
    over_white = composite(rgba.images.float(), 255)
    # Those that were not resized; bicubic overshoots are cut off elsewhere.
    assert float((over_white - flat.images).abs()[::3].max()) <= 1


def test_images_without_transparency_are_opaque_and_said_to_be() -> None:
    digits = load("digits", channels=4)
    assert all_opaque(digits.images)
    assert "8x8, colour with alpha (all opaque: none is transparent anywhere); 10 classes" in digits.summary()
    with pytest.raises(UsageError, match="numbers a sample, not images"):
        load("ring", channels=4)


def test_near_duplicates_are_found_by_what_is_seen() -> None:
    one, other = (torch.tensor(disc((200, 30, 30), beneath)).permute(2, 0, 1) for beneath in ((0, 0, 0), (0, 255, 9)))
    flat = torch.zeros_like(one)
    flat[:, :16] = 255
    assert groups(torch.stack([one, other, flat])).tolist() == [0, 0, 2]


@pytest.mark.parametrize("name", [*degradations.KINDS, *STYLES])
def test_sources_keep_to_what_is_seen(name: str) -> None:
    image = torch.tensor(disc((200, 30, 30))).permute(2, 0, 1)[None]
    degradation = degradations.parse(name)
    made = degradation.spoil(image) if degradation else restyle(name, image)
    assert made.shape == image.shape
    assert not torch.equal(made, seen(image))
    if name in ("gray", "inverted"):
        assert torch.equal(made[:, 3], image[:, 3])
    if name == "gray":
        assert made[0, :, 16, 16].tolist() == [81, 81, 81, 255]  # luma
    if name == "edges":
        assert all_opaque(made)


# Pictures.


def test_enlarging_keeps_edges_clean() -> None:
    image = torch.tensor(disc((250, 0, 0), side=8)).permute(2, 0, 1)[None]
    large = enlarge(image, 4)
    assert int(large[0, 2].max()) <= 1
    assert int(large[0, 0][large[0, 3] > 25].min()) >= 240


def test_formats_without_alpha_are_white(tmp_path: Path) -> None:
    image = torch.tensor(disc((250, 0, 0))).permute(2, 0, 1)[None]
    for name, ground in (("a.png", (255, 255, 255, 0)), ("a.webp", None), ("a.jpg", (255, 255, 255))):
        save_grid(image, tmp_path / name, scale=1)
        with Image.open(tmp_path / name) as picture:
            corner = picture.getpixel((5, 5))
            assert (picture.mode, corner[3:]) == (("RGBA", (0,)) if name != "a.jpg" else ("RGB", ()))
            assert ground is None or name == "a.png" or corner == ground


@pytest.mark.parametrize("suffix", [".webp", ".apng"])
def test_animations_keep_alpha(tmp_path: Path, suffix: str) -> None:
    first = torch.tensor(disc((250, 0, 0))).permute(2, 0, 1)
    frames = seen(torch.stack([first, first.roll(4, 2), torch.zeros_like(first)]))
    save_animation(frames, tmp_path / f"a{suffix}", fps=10)
    with Image.open(tmp_path / f"a{suffix}") as picture:
        for number, frame in enumerate(frames):
            picture.seek(number)
            shown = torch.tensor(np.asarray(picture.convert("RGBA"))).permute(2, 0, 1)[None]
            assert torch.equal(seen(shown)[0], frame)


# Evaluation.


class Mean(nn.Module):
    """Mean colours as features."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images.mean((2, 3)), images.new_zeros(len(images), 0)


TOY = Extractor("toy", (16, 16), 3, 3, Mean, (), weights=dict, classless=True)


def test_extractors_get_three_channels() -> None:
    pixel = torch.tensor([200, 100, 0, 102], dtype=torch.uint8).view(1, 4, 1, 1).expand(-1, -1, 16, 16)
    for background, expected in (("black", [80, 40, 0]), ("white", [233, 193, 153])):
        torch.testing.assert_close(prepare(pixel, TOY, background)[0, :, 0, 0] * 255, torch.tensor(expected).float())


def test_what_cannot_be_seen_does_not_count() -> None:
    one, other = (torch.tensor(disc((200, 30, 30), beneath)).permute(2, 0, 1)[None] for beneath in ((0, 0, 0), WHITE))
    assert float(psnr(one, other)) == 60
    assert float(ssim(one, other)) == 1


@pytest.fixture
def evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    monkeypatch.setitem(EXTRACTORS, "toy", TOY)
    path = folder_of(tmp_path / "icons")
    made = load(str(path), size=(16, 16), channels=4).images.clone()
    made[:, 3] //= 2
    return evaluate(Pictures("made", made), str(path), ("fid", "diversity"), extractor="toy", repeats=2)


def test_figures_are_means_over_black_and_over_white(evaluated: Report) -> None:
    fid = evaluated.results[0]
    assert fid.over is not None
    assert set(fid.over) == {"black", "white"}
    assert fid.value == pytest.approx(sum(fid.over.values()) / 2)
    assert fid.over["black"] != fid.over["white"]
    assert fid.interval is not None
    assert evaluated.protocol.alpha == "over black and over white, figures are means of both"
    table = json.loads(json.dumps(evaluated.to_dict()))
    assert table["results"][0]["over"] == fid.over
    assert Report.from_dict(table).results[0] == fid
    assert "alpha" not in Report.from_dict(table | {"protocol": {"data": "x", "data_fingerprint": "", "split": "test",
        "real_images": 1, "generated_images": 1}}).protocol.to_dict()  # fmt: skip


def test_classifiers_of_digits_refuse_alpha() -> None:
    made = Pictures("made", load("digits", channels=4).images)
    with pytest.raises(UsageError) as refused:
        evaluate(made, "digits")
    assert refused.value.message == "the images have alpha, and digits-cnn knows grey images without"
    assert refused.value.hint == "`extractor=imagenet`"


# All commands.


def test_a_model_with_alpha(tmp_path: Path, run_cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    icons = folder_of(tmp_path / "icons")
    narrow = [f"networks.{name}.{key}={value}" for name in ("generator", "discriminator")
              for key, value in (("width", 4), ("most", 8), ("fine", 2))]  # fmt: skip
    sets = ["data.channels=4", "data.size=[16,16]", "training.batch=4", "training.samples=4", *narrow]
    options = [word for each in sets for word in ("--set", each)]
    made = run_cli("train", icons, "--rounds", 2, "--out", "r", "--precision", "fp32", *options)
    assert made.code == 0, made.err
    assert "colour with alpha" in made.err

    def mode(path: str) -> str:
        with Image.open(path) as picture:
            return picture.mode

    assert mode("r/samples.png") == "RGBA"
    commands = [
        ("sample", "r", "-n", 3, "--out", "s"),
        ("sample", "r", "-n", 3, "--out", "s.png"),
        ("interpolate", "r", "--seeds", "0,1", "--frames", 3, "--out", "i.webp"),
        ("reconstruct", "r", icons, "-n", 2, "--steps", 1, "--out", "rec"),
        ("inpaint", "r", icons / "00.png", "--mask", "4,4,6,6", "--steps", 1, "--out", "in.png"),
        ("data", "show", icons, "--channels", 4, "--size", 16, "--out", "d.png", "--augmented", "diffaugment"),
    ]
    for command in commands:
        done = run_cli(*command)
        assert done.code == 0, done.err
    for path in ("s/seed0000000.png", "s.png", "rec/00.png", "d.png"):
        assert mode(path) == "RGBA", path
    assert mode("in.png") == "RGB"  # its captions need a ground
    monkeypatch.setitem(EXTRACTORS, "toy", TOY)
    done = run_cli("evaluate", "r", "--extractor", "toy", "--metrics", "fid", "-n", 6)
    assert done.code == 0, done.err
    assert "over black" in done.out
    assert "alpha      over black and over white, figures are means of both" in done.out
