"""``gancli evaluate``, through the command line."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from gancli import model as models
from gancli.data import load
from gancli.evaluation.subjects import Subject
from gancli.metrics import METRICS
from gancli.rendering.images import save_images

FEW = (
    "warning: 355 images are few for 128 features: FID is biased upwards, so compare it only with the floor and with "
    "figures from as many images\n"
    "warning: 355 images are fewer than KID's subsets of 1,000: it scatters more, so compare it only with the floor "
    "and with figures from as many images\n"
)


class Planted(Subject):
    """Training images of the digits in place of a generator's."""

    name, shape, data_name = "planted[x]/digits", (1, 8, 8), "digits"

    def __init__(self) -> None:
        self.header: dict[str, Any] = {"recipe": {"training": {"ema": {"kimg": 10}}}}
        self.stock = load("digits").images

    def images(self, seeds: Sequence[int], batch: int) -> Iterator[Tensor]:
        for part in torch.as_tensor(list(seeds)).split(batch):
            yield self.stock[part % len(self.stock)]


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, str]]:
    """Puts the planted model in place of any that is named; gives what was asked for."""
    names: list[tuple[str | None, str]] = []

    def find(name: str | None = None, *, device: str = "auto", truncation: float | None = None) -> Planted:
        names.append((name, device))
        return Planted()

    monkeypatch.setattr(models, "load", find)
    return names


def test_the_table_fits_and_says_what_was_done(run_cli: Callable[..., Any], asked: list[Any]) -> None:
    result = run_cli("evaluate", "some/model", "--device", "cpu")
    assert (result.code, result.err) == (0, FEW)
    assert asked == [("some/model", "cpu")]
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "planted[x]/digits against digits, test split"
    assert lines[2].split() == ["metric", "generated", "floor", "baseline", "better"]
    end = 3 + len(METRICS)
    rows = [line.split() for line in lines[3:end]]
    assert [" ".join(row[:-4]) for row in rows] == [metric.title for metric in METRICS.values()]
    assert [row[-1] for row in rows] == [metric.better for metric in METRICS.values()]
    assert lines[end + 1].split() == ["class", "%", "generated", "held", "out"]
    assert [line.split()[0] for line in lines[end + 2 : end + 13]] == [*"0123456789", "confident"]
    assert lines[end + 14].startswith("extractor  digits-cnn, ")
    assert lines[end + 15].startswith("data       digits, test split, ")
    assert lines[-1].startswith("protocol   ")
    assert lines[end + 16 : -1] == [
        "images     355 generated, 355 held out, 355 training for the floor",
        "seeds      0-354",
        "weights    running average",
        "resize     none",
        "colour     none",
    ]


def test_several_subjects_are_ranked_and_kept_apart(run_cli: Callable[..., Any], tmp_path: Any) -> None:
    noise = torch.randint(0, 256, (400, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for name, count in (("noise", 400), ("few", 50)):
        save_images([noise[:count]], range(count), tmp_path / name)
    subjects = ["evaluate", str(tmp_path / "noise"), "m", str(tmp_path / "few"), "--data", "digits"]
    result = run_cli(*subjects, "--metrics", "fid,recall")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "against digits, ranked by FID"
    assert lines[2].split() == ["FID", "recall"]
    assert [line.split()[0] for line in lines[3:7]] == ["planted[x]/digits", "noise", "floor", "baseline"]
    apart = "measured differently, not ranked with those above: real_images 50 rather than 355; "
    assert any(line.startswith(apart) for line in lines)
    assert [line.split()[0] for line in lines[-7:-4]] == ["few", "floor", "baseline"]
    everything = run_cli(*subjects)
    assert max(map(len, everything.out.split("not shown")[0].splitlines())) <= 80
    assert "not shown: " in everything.out
    document = json.loads(run_cli(*subjects, "--metrics", "recall", "--json").out)
    assert [[one["model"] for one in group] for group in document["groups"]] == [
        ["planted[x]/digits", "noise"],
        ["few"],
    ]


def test_repeats_say_where_a_further_set_would_lie(run_cli: Callable[..., Any]) -> None:
    lines = run_cli("evaluate", "m", "-n", "60", "--repeats", "3", "--metrics", "fid,recall").out.splitlines()
    assert lines[2].split() == ["metric", "generated", "a", "further", "set", "floor", "baseline", "better"]
    name, mean, low, to, high, *_, better = lines[3].split()
    assert (name, to, better) == ("FID", "to", "lower")
    assert float(low) <= float(mean) <= float(high)
    assert "images     3 sets of 60 generated, 60 held out, 60 training for the floor" in lines


def test_neighbours_are_drawn_in_pairs(run_cli: Callable[..., Any], home: Any) -> None:
    assert run_cli("evaluate", "m", "-n", "30", "--neighbours", "near.png").code == 0
    with Image.open("near.png") as picture:
        columns, rows = 8, 6
        assert picture.width / picture.height == pytest.approx(columns / rows, rel=0.1)


def test_without_a_model_the_newest_run_is_judged(run_cli: Callable[..., Any], asked: list[Any]) -> None:
    assert run_cli("evaluate", "--metrics", "kid").code == 0
    assert asked == [(None, "auto")]


def test_json_is_one_document_and_nothing_else(run_cli: Callable[..., Any]) -> None:
    result = run_cli("evaluate", "m", "--json", "--metrics", "recall, fid", "-n", "50", "--seed-start", "3")
    assert result.code == 0
    document = json.loads(result.out)
    assert document["model"] == "planted[x]/digits"
    assert [one["metric"] for one in document["results"]] == ["recall", "fid"]
    assert document["protocol"]["seeds"] == "3-52"
    assert document["protocol"]["ema"] is True
    assert result.err == f"warning: {document['warnings'][0]}\n"


def test_more_images_than_are_held_out(run_cli: Callable[..., Any]) -> None:
    result = run_cli("evaluate", "m", "--images", "1200", "--metrics", "kid")
    assert "images     1,200 generated, 355 held out, 1,200 training for the floor\n" in result.out
    assert result.err == (
        "warning: 355 images are fewer than KID's subsets of 1,000: it scatters more, so compare it only with the "
        "floor and with figures from as many images\n"
        "warning: 1,200 generated images stand against 355 real ones: precision, recall, density and "
        "coverage are not comparable with figures from equal numbers\n"
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["--neighbours", "x.gif"],
            "error: --neighbours 'x.gif' is not the name of a picture\n\nhint: end it in .png, .jpg or .webp\n",
        ),
        (
            ["--neighbours", "x.png", "--metrics", "fid"],
            "error: --neighbours needs the nearest training images\n\nhint: add memorisation to --metrics\n",
        ),
        (
            ["n", "--neighbours", "x.png"],
            "error: --neighbours x.png is one picture of one subject\n\nhint: name one\n",
        ),
        (["--metrics", "kidd"], "error: unknown metric 'kidd'\n\nhint: did you mean 'kid'?\n"),
        (
            ["--metrics", ","],
            "error: no metric was named\n\nhint: as in --metrics fid,kid\n",
        ),
        (
            ["--extractor", "imagenet", "--metrics", "fid,score"],
            "error: score needs classes, and imagenet knows none\n\nhint: fid needs no classes\n",
        ),
        (
            ["--data", "nowhere", "--extractor", "digits-cnn"],
            "error: there is no data set 'nowhere'\n\nhint: a folder or a zip of images, or a name that "
            "`gancli data list` shows\n",
        ),
        (
            ["--extractor", "digit-cnn"],
            "error: unknown extractor 'digit-cnn'\n\nhint: one of: cifar, digits-cnn, imagenet, "
            "imagenet-lite2, inception, mnist-cnn, mnist-mlp, stacked-cnn\n",
        ),
        (["-n", "2"], "error: cannot evaluate by 2 images\n\nhint: from 6 to 100,000 can be generated\n"),
        (
            ["--seed-start", "-5"],
            "error: 355 seeds from -5 on leave the range\n\nhint: seeds go from 0 to 4294967295\n",
        ),
    ],
)
def test_faults_are_named(run_cli: Callable[..., Any], arguments: list[str], error: str) -> None:
    result = run_cli("evaluate", "m", *arguments)
    assert (result.code, result.out, result.err) == (2, "", error)


def test_a_folder_with_the_title_of_a_named_set_is_not_that_set(
    run_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Planted()
    planted.data_name = "old/digits"
    monkeypatch.setattr(models, "load", lambda name=None, *, device="auto", truncation=None: planted)
    result = run_cli("evaluate", "m", "--extractor", "digits-cnn")
    assert result.code == 2
    assert result.err.startswith("error: 'planted[x]/digits' was trained on 'old/digits', which is not here\n")
    assert run_cli("evaluate", "m", "--data", "digits", "--metrics", "fid", "-n", "20").code == 0


def test_other_images_under_the_same_name_are_noticed(
    run_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = Planted()
    monkeypatch.setattr(models, "load", lambda name=None, *, device="auto", truncation=None: planted)
    planted.header["dataset"] = {"name": "digits", "fingerprint": load("digits").fingerprint}
    assert run_cli("evaluate", "m", "--metrics", "fid", "-n", "20").code == 0
    planted.header["dataset"] = {"name": "digits", "fingerprint": "0123456789abcdef"}
    result = run_cli("evaluate", "m", "--metrics", "fid", "-n", "20")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: 'planted[x]/digits' was trained on other images than the data set 'digits' here\n\n"
        "hint: --data NAME says what to compare with\n"
    )
    assert run_cli("evaluate", "m", "--metrics", "fid", "-n", "20", "--data", "digits").code == 0
    planted.header["recipe"] = {"data": {"fit": "pad"}}
    assert run_cli("evaluate", "m", "--metrics", "fid", "-n", "20").code == 0


def test_help_shows_examples(run_cli: Callable[..., Any]) -> None:
    result = run_cli("evaluate", "--help")
    assert result.code == 0
    assert "gancli evaluate dcgan/mnist --metrics fid,kid -n 2000" in result.out
