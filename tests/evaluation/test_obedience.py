"""Reports on models that are told classes, and on models of one class alone."""

import pytest
import torch

from gancli.data import load
from gancli.data.selection import only_class
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.report import Report, Result
from gancli.evaluation.subjects import Subject
from gancli.latents import LatentSpec

SPEC = LatentSpec(4, classes=10)


class Obedient(Subject):
    """Shows a real digit of the class that a seed asks for, but a nine where it is asked for a zero."""

    name, data_name, device, shape = "planted", "digits", torch.device("cpu"), (1, 8, 8)

    def __init__(self, header):
        digits = load("digits")
        self.header = {"latent": SPEC.to_dict(), "dataset": {"classes": list(digits.classes)}, **header}
        self.stock = [digits.images[digits.labels == number] for number in (9, *range(1, 10))]

    def images(self, seeds, batch):
        for seed, number in zip(seeds, SPEC.from_seeds(seeds)["y"].tolist(), strict=True):
            yield self.stock[number][seed % len(self.stock[number])][None]


def result(report: Report, metric: str) -> Result:
    return next(each for each in report.results if each.metric == metric)


@pytest.mark.parametrize(("labelled", "metric"), [(True, "class-accuracy"), (False, "category-accuracy")])
def test_a_report_says_how_often_a_class_is_made_when_asked_for(labelled: bool, metric: str) -> None:
    found = result(evaluate(Obedient({"labelled": labelled}), metrics=["kid"]), metric)
    zeros = float((SPEC.from_seeds(range(355))["y"] == 0).double().mean())
    # The extractor itself misreads a few training images.
    assert found.value == pytest.approx(1 - zeros, abs=0.02)
    assert found.floor is not None
    assert found.floor > 0.97
    assert found.better == "higher"


def test_a_model_of_one_class_is_compared_with_that_class() -> None:
    nines = only_class(load("digits"), "9")
    header = {"recipe": {"data": {"name": "digits", "only_class": "9"}}, "latent": LatentSpec(4).to_dict()}
    model = Obedient({**header, "dataset": {"fingerprint": nines.fingerprint}})
    model.stock = [nines.images] * 10
    report = evaluate(model, metrics=["fid"])
    assert report.protocol.real_images == len(only_class(load("digits", split="test"), "9").images)
    assert report.real.classes[9] > 0.9
    assert any("the model knows one class, '9'" in warning for warning in report.warnings)
    assert [each.metric for each in report.results] == ["fid"]
