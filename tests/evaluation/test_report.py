"""``evaluate`` on planted sets: what is better must come out better, and the report must say what was done."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import gancli
from gancli.data import load
from gancli.errors import GancliError, UsageError
from gancli.evaluation import reference
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.evaluators import checks
from gancli.evaluation.evaluators import images as evaluator
from gancli.evaluation.extractors import EXTRACTORS
from gancli.evaluation.extractors.networks import Classifier
from gancli.evaluation.report import Report
from gancli.evaluation.subjects import Subject
from gancli.metrics import METRICS


class Planted(Subject):
    """A "model" whose images are known: seed s gives image s of a tensor, over and over."""

    name = "planted"
    device = torch.device("cpu")

    def __init__(
        self, images: Tensor, data_name: str | None = "digits", header: Mapping[str, Any] | None = None
    ) -> None:
        self.stock, self.data_name, self.header = images, data_name, header or {}
        _, channels, height, width = images.shape
        self.shape = channels, height, width

    def images(self, seeds: Sequence[int], batch: int) -> Iterator[Tensor]:
        for part in torch.as_tensor(list(seeds)).split(batch):
            yield self.stock[part % len(self.stock)]


def planted() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    training, held_out = load("digits"), load("digits", split="test")
    assert training.labels is not None
    order = torch.randperm(len(training.images), generator=generator)
    shuffled = training.images[order]
    return {
        "copies": held_out.images,
        "training": shuffled,
        "half the classes": shuffled[training.labels[order] < 5],
        "blurred": F.avg_pool2d(shuffled.float(), 3, 1, 1).byte(),
        "collapsed": shuffled[:1],
        "noise": torch.randint(0, 256, (400, 1, 8, 8), dtype=torch.uint8, generator=generator),
    }


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANCLI_CACHE", str(tmp_path_factory.mktemp("cache")))
        return {name: evaluate(Planted(images)) for name, images in planted().items()}


def value(found: Report, metric: str) -> float:
    return next(result.value for result in found.results if result.metric == metric)


def test_copies_of_the_held_out_images_are_perfect(reports: dict[str, Report]) -> None:
    found = reports["copies"]
    assert value(found, "fid") == pytest.approx(0, abs=1e-5)
    assert value(found, "kid") < 0
    assert value(found, "precision") == value(found, "recall") == 1
    assert found.generated == found.real


def test_the_floor_is_the_same_for_every_model_and_is_what_training_images_get(reports: dict[str, Report]) -> None:
    assert len({tuple(result.floor for result in found.results) for found in reports.values()}) == 1
    for result in reports["training"].results:
        if result.metric != "memorisation":
            assert result.value == pytest.approx(result.floor, rel=0.5, abs=0.02)


@pytest.mark.parametrize("metric", ["fid", "kid"])
def test_distances_order_the_planted_faults(reports: dict[str, Report], metric: str) -> None:
    values = {name: value(found, metric) for name, found in reports.items()}
    floor = next(result.floor for result in reports["copies"].results if result.metric == metric)
    assert values["copies"] < floor
    for fault in ("half the classes", "blurred", "collapsed", "noise"):
        assert values[fault] > 4 * max(floor, values["training"]), fault
    assert min(values["collapsed"], values["noise"]) > 5 * values["half the classes"]


def test_precision_and_recall_tell_the_faults_apart(reports: dict[str, Report]) -> None:
    found = {name: (value(one, "precision"), value(one, "recall")) for name, one in reports.items()}
    assert found["training"][0] > 0.8
    assert found["training"][1] > 0.6
    assert found["collapsed"] == (1, 0)
    assert found["half the classes"][0] > 0.8
    assert found["half the classes"][1] < 0.6 * found["training"][1]
    assert max(found["noise"]) < 0.3


def test_the_baseline_is_worse_than_real_images_by_every_distance(reports: dict[str, Report]) -> None:
    assert len({tuple(result.baseline for result in found.results) for found in reports.values()}) == 1
    for result in reports["training"].results:
        assert result.baseline is not None
        assert result.floor is not None
        if result.metric != "memorisation":  # what is far from everything is no copy
            better = result.baseline > result.floor if result.better == "higher" else result.baseline < result.floor
            assert not better, result.metric


def test_the_right_figure_exposes_each_planted_fault(reports: dict[str, Report]) -> None:
    found = {name: {result.metric: result.value for result in one.results} for name, one in reports.items()}
    # Held-out images are as far from the training images as held-out images are; what was copied is not far at all.
    assert found["copies"]["memorisation"] == 0.5
    assert found["training"]["memorisation"] > 0.99
    assert found["noise"]["memorisation"] < 0.01
    assert found["collapsed"]["diversity"] < 0.01
    assert found["collapsed"]["score"] == pytest.approx(1)
    assert found["collapsed"]["coverage"] < 0.05
    assert found["half the classes"]["imbalance"] == pytest.approx(0.5, abs=0.05)
    assert found["training"]["imbalance"] < 0.1
    assert found["noise"]["density"] < 0.1
    for fault in ("half the classes", "blurred", "collapsed", "noise"):
        assert found[fault]["swd"] > 2 * found["training"]["swd"], fault
        assert found[fault]["coverage"] < 0.75 * found["training"]["coverage"], fault


def test_copies_are_told_with_the_images_that_they_were_copied_from(reports: dict[str, Report]) -> None:
    training, images = load("digits").images, planted()["training"]
    closest = reports["training"].closest
    assert len(closest) == 24
    for pair in closest:
        assert pair.distance == 0
        assert torch.equal(training[pair.training], images[pair.seed])
    held_out = [pair.distance for pair in reports["copies"].closest]
    assert held_out == sorted(held_out)
    assert 0 < held_out[0] < 1
    assert min(pair.distance for pair in reports["noise"].closest) > 1


def test_the_picture_of_neighbours_shows_each_image_beside_its_own() -> None:
    images = planted()["training"]
    subject = Planted(images)
    shown = evaluator.neighbours(subject, evaluate(subject, metrics=["memorisation"], images=40))
    assert shown.shape == (48, 1, 8, 8)
    assert torch.equal(shown[0::2], shown[1::2])
    large = Planted(F.interpolate(images.float(), scale_factor=2).byte().expand(-1, 3, -1, -1))
    assert evaluator.neighbours(large, evaluate(large, metrics=["memorisation"], images=40)).shape == (48, 1, 8, 8)
    with pytest.raises(UsageError, match="were not searched"):
        evaluator.neighbours(subject, evaluate(subject, metrics=["recall"], images=40))


def test_class_shares_show_missing_classes(reports: dict[str, Report]) -> None:
    halves, whole, one = (reports[name].generated for name in ("half the classes", "training", "collapsed"))
    assert reports["training"].class_names == tuple("0123456789")
    assert sum(halves.classes[5:]) < 0.02
    assert min(whole.classes) > 0.05
    assert sorted(one.classes)[-2:] == [0, 1]
    assert reports["blurred"].generated.confident < reports["training"].generated.confident


def test_the_protocol_says_what_was_done(reports: dict[str, Report]) -> None:
    held_out = load("digits", split="test")
    assert reports["noise"].protocol.to_dict() == {
        "extractor": "digits-cnn",
        "extractor_sha256": EXTRACTORS["digits-cnn"].load()[1],
        "data": "digits",
        "data_fingerprint": held_out.fingerprint,
        "split": "test",
        "real_images": 355,
        "generated_images": 355,
        "floor_images": 355,
        "seeds": "0-354",
        "repeats": 1,
        "parts": 0,
        "truncation": None,
        "resize": "none",
        "colour": "none",
        "ema": None,
        "gancli": gancli.__version__,
    }
    with pytest.raises(FrozenInstanceError):
        reports["noise"].protocol.seeds = "1-2"  # ty: ignore[invalid-assignment]


def test_the_document_is_json_with_every_figure(reports: dict[str, Report]) -> None:
    found = reports["training"]
    document = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    figures = ["results", "further", "classes", "confident", "closest", "warnings"]
    assert list(document) == ["model", "identity", "protocol", "fingerprint", *figures]
    assert document["model"] == "planted"
    assert [result["metric"] for result in document["results"]] == list(METRICS)
    assert document["results"][0] == {
        "metric": "fid",
        "value": found.results[0].value,
        "floor": found.results[0].floor,
        "better": "lower",
        "baseline": found.results[0].baseline,
        "interval": None,
        "unit": "",
    }
    assert document["classes"]["names"] == list("0123456789")
    assert len(document["classes"]["generated"]) == len(document["classes"]["real"]) == 10
    assert document["classes"]["fid"] == list(found.class_fids)
    assert document["confident"] == {"generated": found.generated.confident, "real": found.real.confident}
    assert document["warnings"] == [
        "355 images are few for 128 features: FID is biased upwards, so compare it only with the floor and with "
        "figures from as many images",
        "355 images are fewer than KID's subsets of 1,000: it scatters more, so compare it only with the floor and "
        "with figures from as many images",
    ]


def test_the_same_evaluation_gives_the_same_figures(reports: dict[str, Report]) -> None:
    torch.manual_seed(123)
    again = evaluate(Planted(planted()["blurred"]))
    for one, other in zip(again.results, reports["blurred"].results, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-6)


def test_colour_and_size_are_brought_to_the_extractor_and_reported() -> None:
    held_out = load("digits", split="test").images
    big = held_out.repeat_interleave(4, 2).repeat_interleave(4, 3).expand(-1, 3, -1, -1)
    found = evaluate(Planted(big), metrics=["precision"])
    assert found.protocol.resize == "generated 32x32 to 8x8, bicubic, antialiased"
    assert found.protocol.colour == "generated RGB to luma"
    assert value(found, "precision") > 0.9


def test_another_data_set_may_be_forced_on_an_extractor_with_a_warning() -> None:
    found = evaluate(
        Planted(torch.zeros(1, 1, 28, 28, dtype=torch.uint8)), extractor="mnist-cnn", metrics=["kid"], images=20
    )
    assert found.protocol.resize == "real 8x8 to 28x28, bicubic, antialiased"
    assert "mnist-cnn was not trained on 'digits': its features may miss what matters there" in found.warnings


@pytest.mark.parametrize(("images", "real", "floor"), [(6, 6, 6), (100, 100, 100), (500, 355, 500), (1500, 355, 1442)])
def test_the_number_of_images_can_be_chosen(images: int, real: int, floor: int) -> None:
    found = evaluate(Planted(planted()["training"]), metrics=["fid"], images=images, seed_start=7)
    assert (found.protocol.real_images, found.protocol.floor_images) == (real, floor)
    assert found.protocol.generated_images == images
    assert found.protocol.seeds == f"7-{images + 6}"
    unequal = f"{images:,} generated images stand against 355 real ones"
    assert any(warning.startswith(unequal) for warning in found.warnings) == (images != real)


def test_fewer_images_are_drawn_from_the_whole_set_and_never_twice() -> None:
    stock = torch.arange(1000).view(-1, 1, 1, 1)
    batches, count = reference.some(stock, 300)
    drawn = torch.cat(list(batches)).flatten()
    assert count == len(drawn) == len(drawn.unique()) == 300
    assert int((drawn < 500).sum()) in range(120, 180)
    batches, count = reference.some(stock, 5000)
    assert count == 1000
    assert torch.equal(torch.cat(list(batches)), stock)


@pytest.mark.parametrize(
    ("header", "ema"),
    [
        ({}, None),
        ({"recipe": {}}, None),
        ({"recipe": {"training": {"batch": 64}}}, False),
        ({"recipe": {"training": {"ema": {"kimg": 10}}}}, True),
    ],
)
def test_the_running_average_is_read_from_the_header(header: dict[str, Any], ema: bool | None) -> None:
    found = evaluate(Planted(planted()["noise"], header=header), metrics=["kid"], images=10)
    assert found.protocol.ema is ema


def test_the_warnings_about_few_images_need_their_metrics() -> None:
    noise = Planted(planted()["noise"])
    (worse,) = evaluate(noise, metrics=["recall"]).warnings
    assert worse == "the model is no better than the simplest baseline: recall 0.0000 against 0.2394"
    assert [one[:29] for one in evaluate(noise, metrics=["kid"]).warnings[1:]] == ["355 images are fewer than KID"]
    assert [one[:29] for one in evaluate(noise, metrics=["fid"]).warnings[1:]] == ["355 images are few for 128 fe"]


def test_kid_of_whole_subsets_warns_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    # The smaller side counts: more generated images than held-out ones make no larger subsets.
    assert any("KID's" in one for one in evaluate(Planted(planted()["noise"]), metrics=["kid"], images=1200).warnings)
    monkeypatch.setattr(checks, "KID_SUBSET_SIZE", 355)
    assert len(evaluate(Planted(planted()["noise"]), metrics=["kid"]).warnings) == 1  # it is worse than the baseline


def test_features_are_computed_where_the_model_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    placed: list[object] = []

    def place(self: Classifier, *device: object, **_: object) -> Classifier:
        placed.extend(device)
        return self

    monkeypatch.setattr(Classifier, "to", place)
    subject = Planted(planted()["noise"])
    subject.device = torch.device("cuda")
    assert evaluate(subject, metrics=["kid"], images=10).protocol.generated_images == 10
    assert placed == [torch.device("cuda")]


WORK = ("test images", "train images", "floor", "generated images", "metrics")


def test_progress_is_told_to_the_end() -> None:
    heard: dict[str, tuple[int, int]] = {}

    def hear(what: str, done: int, total: int) -> None:
        heard[what] = (done, total)

    evaluate(Planted(planted()["noise"]), metrics=["kid"], images=300, progress=hear)
    assert {name: heard[name] for name in WORK} == {
        "test images": (300, 300),
        "train images": (300, 300),
        "floor": (1, 1),
        "generated images": (300, 300),
        "metrics": (1, 1),
    }


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"metrics": ["fid", "is"]}, "unknown metric 'is'", f"one of: {', '.join(sorted(METRICS))}"),
        ({"extractor": "vvv"}, "unknown extractor 'vvv'", f"one of: {', '.join(sorted(EXTRACTORS))}"),
        ({"data": "svhn", "extractor": "x"}, "unknown extractor 'x'", f"one of: {', '.join(sorted(EXTRACTORS))}"),
        ({"images": 5}, "cannot evaluate by 5 images", "from 6 to 100,000 can be generated"),
        ({"images": 100_001}, "cannot evaluate by 100,001 images", "from 6 to 100,000 can be generated"),
        ({"seed_start": -1}, "355 seeds from -1 on leave the range", "seeds go from 0 to 4294967295"),
        ({"seed_start": 2**32 - 354}, "355 seeds from 4294966942 on leave the range", "seeds go from 0 to 4294967295"),
    ],
)
def test_what_cannot_be_done_is_refused(given: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        evaluate(Planted(planted()["noise"]), **given)
    assert (error.value.message, error.value.hint) == (message, hint)


def test_the_last_seeds_can_be_judged() -> None:
    found = evaluate(Planted(planted()["noise"]), metrics=["kid"], seed_start=2**32 - 355)
    assert found.protocol.seeds == "4294966941-4294967295"


def test_a_model_of_unknown_origin_asks_for_data() -> None:
    subject = Planted(planted()["training"], data_name=None)
    with pytest.raises(UsageError) as error:
        evaluate(subject)
    assert error.value.message == "'planted' does not say what to compare it with"
    assert error.value.hint == "name a data set with `data`"
    assert evaluate(subject, "digits", metrics=["kid"]).protocol.data == "digits"


def test_a_split_of_a_few_images_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    def few(name: str, *, split: str, **_: object) -> object:
        whole = load(name, split=split)
        return replace(whole, images=whole.images[:3]) if split == "test" else whole

    monkeypatch.setattr(evaluator, "load", few)
    with pytest.raises(GancliError) as error:
        evaluate(Planted(planted()["noise"]))
    assert error.value.message == "'digits' has 3 images in its test split; metrics take 6"
    assert error.value.exit_code == 1
