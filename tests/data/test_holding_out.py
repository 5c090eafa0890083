"""Near-duplicates, and images that are held out of training by whole groups of them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gancli.data import Dataset, load
from gancli.data.duplicates import ALIKE, copies, descriptors, groups
from gancli.data.holding_out import Split, divide, hold_out, remaining, stored_split
from gancli.errors import GancliError, UsageError


def shapes(count: int, seed: int = 0) -> Tensor:
    """Different images of three rectangles each, uint8 (N, 3, 24, 24)."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.full((count, 3, 24, 24), 255, dtype=torch.uint8)
    for image in images:
        for _ in range(3):
            top, left, height, width = torch.randint(2, 12, (4,), generator=generator).tolist()
            colour = torch.randint(0, 200, (3, 1, 1), generator=generator, dtype=torch.uint8)
            image[:, top : top + height, left : left + width] = colour
    return images


def recoloured(images: Tensor) -> Tensor:
    """The same shapes, darker and in other hues."""
    return (images.float() * torch.tensor([0.5, 0.7, 0.4]).view(3, 1, 1)).byte()


@pytest.fixture
def dataset() -> Dataset:
    """Forty shapes, each in two colours; two classes, the second a quarter."""
    images = torch.cat([shapes(40), recoloured(shapes(40))])
    labels = (torch.arange(80) % 40 >= 30).long()
    return Dataset("shapes", "train", images, labels, ("many", "few"), "0123456789abcdef")


def test_copies_have_the_position_of_the_first() -> None:
    images = shapes(4)[[0, 1, 0, 2, 1, 3]]
    assert copies(images).tolist() == [0, 1, 0, 3, 1, 5]


def test_near_duplicates_have_the_same_edges() -> None:
    images = shapes(12)
    assert groups(images).tolist() == list(range(12))
    noisy = (images.int() + torch.randint(-3, 4, images.shape)).clamp(0, 255).byte()
    assert groups(torch.cat([images, recoloured(images), images, noisy[:2]])).tolist() == [*range(12)] * 3 + [0, 1]


def test_groups_do_not_depend_on_blocks_of_comparisons(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.cat([shapes(20), recoloured(shapes(20))])
    monkeypatch.setattr("gancli.data.duplicates._BLOCK", 40 * 3)
    assert groups(images).tolist() == [*range(20)] * 2


def test_no_pair_is_missed_by_the_comparison_of_short_vectors() -> None:
    random = torch.Generator().manual_seed(0)
    base = torch.randint(256, (30, 3, 32, 32), generator=random, dtype=torch.uint8)
    strength = torch.linspace(0, 1, 30).view(-1, 1, 1, 1)  # from a copy to another image
    other = torch.randint(256, base.shape, generator=random)
    changed = torch.lerp(base.float(), other.float(), strength).byte()
    images = torch.cat([base, changed])
    vectors = descriptors(images)
    alike = vectors @ vectors.T > ALIKE * 2000**2
    first = torch.where(alike, torch.arange(60), 60).amin(1)  # each has one near-duplicate at most
    assert 0 < int((first[30:] < 30).sum()) < 30
    assert groups(images).tolist() == first.tolist()


def test_images_without_edges_are_groups_of_their_own() -> None:
    flat = torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 1, 8, 8).contiguous()
    assert groups(flat).tolist() == [0, 1, 2, 3]
    assert groups(flat[[1, 1]]).tolist() == [0, 0]


@pytest.mark.parametrize("amount", [0.2, 16])
def test_whole_groups_are_held_out_evenly_over_classes(dataset: Dataset, amount: float) -> None:
    divided = hold_out(dataset, amount, seed=3)
    assert divided.held_out is not None
    assert divided.divided is not None
    positions = torch.tensor(divided.divided.positions)
    assert (len(positions), divided.divided.groups) == (16, 8)
    assert set((positions % 40).bincount(minlength=40).tolist()) == {0, 2}
    assert divided.held_out.labels is not None
    assert divided.held_out.labels.bincount().tolist() == [12, 4]
    assert torch.equal(divided.held_out.images, dataset.images[positions])
    assert torch.equal(divided.images, dataset.images[remaining(divided.divided, 80)])
    assert len({dataset.fingerprint, divided.fingerprint, divided.held_out.fingerprint}) == 3
    assert "16 held out, in 8 groups of near-duplicates" in divided.summary()


def test_the_seed_decides(dataset: Dataset) -> None:
    one, same, other = (hold_out(dataset, 0.2, seed).divided for seed in (0, 0, 1))
    assert one == same != other


def test_a_stored_split_divides_the_same_data_alone(dataset: Dataset) -> None:
    divided = hold_out(dataset, 0.2, 0)
    assert divided.divided is not None
    split = stored_split({"dataset": {"held_out": divided.divided.to_dict()}})
    assert split == divided.divided
    assert divide(dataset, split).fingerprint == divided.fingerprint
    with pytest.raises(UsageError, match="is not the one of which images were held out"):
        divide(replace(dataset, fingerprint="other"), split)
    assert stored_split({}) is None


@pytest.mark.parametrize(
    "found",
    [{}, [], {"fingerprint": "a", "groups": 1, "positions": [2, 1]}, {"fingerprint": "a", "groups": 1, "positions": []},
     {"fingerprint": 1, "groups": 1, "positions": [1]}, {"fingerprint": "a", "groups": 1, "positions": [-1]},
     {"fingerprint": "a", "groups": 1, "positions": "12"}, {"fingerprint": "a", "groups": True, "positions": [1]}],
)  # fmt: skip
def test_a_damaged_split_is_refused(found: object) -> None:
    with pytest.raises(GancliError, match="says wrongly which images were held out"):
        stored_split({"dataset": {"held_out": found}})


def test_a_position_beyond_the_data_is_refused(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match="not the one"):
        divide(dataset, Split(dataset.fingerprint, (1, 80), 2))


@pytest.mark.parametrize(
    ("amount", "message"),
    [(41, "41 images cannot be held out"), (3, "3 images"), (0.9, "a share of 0.9, 72 of 80 images, cannot")],
)
def test_too_many_and_too_few_are_refused(dataset: Dataset, amount: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        hold_out(dataset, amount, 0)


def test_a_group_that_is_too_large_is_never_torn(dataset: Dataset) -> None:
    copied = replace(dataset, images=dataset.images[:1].expand(80, -1, -1, -1).contiguous(), labels=None, classes=())
    with pytest.raises(UsageError, match="1 groups of near-duplicates, and they are too large"):
        hold_out(copied, 0.2, 0)


def test_data_with_a_held_out_split_and_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="'digits' has a held-out split of 355 images already"):
        hold_out(load("digits"), 0.1, 0)
    with pytest.raises(UsageError, match="'sine' is numbers"):
        hold_out(load("sine"), 0.1, 0)


def test_a_run_holds_out_what_evaluation_compares_with(run_cli, home: Path) -> None:
    from gancli import checkpoint
    from gancli.rendering.images import save_images

    save_images([torch.cat([shapes(30), recoloured(shapes(30))])], range(60), home / "photos")
    small = ["--set", "training.batch=4", "--set", "training.precision=fp32", "--set", "training.threads=1"]
    train = ["train", "photos", "--set", "data.size=16", *small, "--out", "r"]
    result = run_cli(*train, "--hold-out", "0.25", "--rounds", 1)
    assert result.code == 0
    assert "15 held out, in" in result.err
    header = checkpoint.read_header(home / "r/model.safetensors")
    assert header["dataset"]["images"] == 45
    assert len(header["dataset"]["held_out"]["positions"]) == 15
    # Moved data are the same ones, both to resume and to evaluate.
    (home / "photos").rename(home / "moved")
    assert run_cli("train", "moved", "--resume", "r", "--rounds", 1, "-q").code == 0
    assert checkpoint.read_header(home / "r/model.safetensors")["dataset"]["held_out"] == header["dataset"]["held_out"]
    for data in ([], ["--data", "moved"]):
        shown = run_cli("evaluate", "r", *data, "--metrics", "memorisation,coverage")
        assert shown.code == 0
        assert "15 held out for coverage and memorisation" in shown.out


def test_hold_out_takes_a_share_or_a_number(run_cli, home: Path) -> None:
    for text in ("half", "1.5", "-1", "0.1e-3"):
        result = run_cli("train", "digits", f"--hold-out={text}", "--rounds", 1)
        assert result.code == 2
        assert f"--hold-out {text} is neither a share nor a number of images" in result.err
