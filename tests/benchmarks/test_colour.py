"""The benchmark of colour: its pieces, its images, and its page."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks import colour, tutorial


def test_pieces_are_in_turn_and_told_classes_only_where_there_are_any() -> None:
    found = [piece.name for piece in colour.pieces()]
    assert found[:4] == ["emoji-default-0-15", "emoji-dcgan-0-15", "emoji-quick-0-15", "clothing-default-0-15"]
    assert "clothing-dcgan-told-2-15" in found
    assert "emoji-default-0-60" in found
    assert not [name for name in found if name.startswith("emoji") and "told" in name]
    assert len(found) == len(set(found)) == 4 * (3 + 5 + 5)


def test_images_are_read_once_and_whole_groups_are_held_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    emoji = home / "noto-emoji-72"
    emoji.mkdir()
    for code in range(20):
        for tone in ("", "_1f3fb", "_1f3ff"):
            Image.new("RGBA", (9, 9), (255, 12 * code, 0, 255)).save(emoji / f"emoji_u{code:04x}{tone}.png")
    monkeypatch.setenv("GANCLI_DATA", str(home))
    folder = colour.prepared(colour.Images("noto-emoji-72", "", 8, labelled=False), home / "made", None)
    shades = {
        split: {Image.open(path).getpixel((4, 4))[1] for path in (folder / split).glob("*.png")}
        for split in ("train", "test")
    }
    assert shades["test"] == {0, 120}
    assert shades["train"] == {12 * code for code in range(20)} - {0, 120}
    assert len(list((folder / "train").glob("*.png"))) == 54


def test_the_conditional_tutorial_is_told_classes_on_both_sides() -> None:
    labels = torch.tensor([0, 2, 2, 2])
    data = [(torch.full((3, 16, 16), 0.5), int(label)) for label in labels] * tutorial.BATCH
    training = tutorial.Tutorial(0, 4, 0, tutorial.Images(data, 3, 16, 3, labels))
    batch = next(training.batches())
    assert batch.shape == (tutorial.BATCH, 6, 16, 16)
    planes = batch[:, 3:, 0, 0]
    assert torch.equal(planes.sum(1), torch.ones(tutorial.BATCH))
    assert float(planes[:, 1].sum()) == 0
    z, y = training.draw(64)
    assert set(y.tolist()) == {0, 2}
    fakes = training.generator((z, y))
    assert torch.equal(fakes[:, 3:, 5, 5].argmax(1), y)
    before = training.sample(4)
    assert before.shape == (4, 3, 16, 16)
    next(training.loop())
    assert not torch.equal(training.sample(4), before)
    assert training.steps == 1


def test_the_network_at_64_pixels_is_that_of_the_tutorial() -> None:
    generator, discriminator = tutorial.dcgan(64, 3, 64)
    counts = [sum(p.numel() for p in network.parameters()) for network in (generator, discriminator)]
    # 4x4 kernels: 100 -> 512 -> 256 -> 128 -> 64 -> 3 and back to 1, two values a channel of batch norm.
    inner = 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3
    assert counts == [16 * (100 * 512 + inner) + 2 * (512 + 256 + 128 + 64), 16 * (inner + 512) + 2 * (128 + 256 + 512)]


def test_the_page_shows_medians_and_what_is_missing() -> None:
    def point(side: str, seed: int, fid: float) -> dict:
        piece = colour.Piece("emoji", side, seed, 15)
        figures = {"fid": {"value": fid, "floor": 50.0}, "kid": {"value": 0.5, "floor": 0.0}}
        facts = {"seconds": 900, "updates": 4000, "seen": 32000, "images": 1600}
        return {"name": piece.name, **vars(piece), **facts, "figures": figures, "lite2": {"value": 90, "floor": 40}}

    points = [point("default", seed, fid) for seed, fid in enumerate((450, 550, 350))] + [point("quick", 0, 950)]
    text = colour.markdown(colour.found(points, {}))
    assert "| `gancli train`, unconditional | 4,000 | 32,000 | 400 (400, 500, 300) | 50 (50, 50, 50) | 0.5" in text
    assert "colour-emoji-quick-15.png" in text
    assert "Not measured yet: 48 trainings." in text
