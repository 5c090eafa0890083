"""FID within classes: who knows the classes, and what stands beside the figure."""

from typing import Any

import pytest
import torch

from gancli.data import load
from gancli.errors import UsageError
from gancli.evaluation.evaluate import evaluate
from gancli.evaluation.reference import mixed_by_class
from gancli.evaluation.report import Report, Result
from gancli.evaluation.subjects import Pictures, Subject
from gancli.latents import LatentSpec
from gancli.rendering.images import save_images

SPEC = LatentSpec(4, classes=10)


class Told(Subject):
    """Shows a training image of the class that a seed asks for, or of the next class."""

    name, data_name, device, shape = "told", "digits", torch.device("cpu"), (1, 8, 8)

    def __init__(self, *, labelled: bool = True, wrong: bool = False) -> None:
        digits = load("digits")
        assert digits.labels is not None
        latent = SPEC.to_dict()
        self.header: dict[str, Any] = {"latent": latent, "dataset": {"classes": list(digits.classes)}}
        self.header |= {"labelled": labelled}
        self.stock = [digits.images[digits.labels == (number + wrong) % 10] for number in range(10)]

    def images(self, seeds: Any, batch: int) -> Any:
        for seed, number in zip(seeds, SPEC.from_seeds(seeds)["y"].tolist(), strict=True):
            yield self.stock[number][seed % len(self.stock[number])][None]


def figure(report: Report) -> Result:
    return next(each for each in report.results if each.metric == "class-fid")


def test_a_model_that_is_told_classes_is_judged_by_them() -> None:
    right, wrong = (figure(evaluate(Told(wrong=wrong), metrics=["class-fid"])) for wrong in (False, True))
    assert right.floor == wrong.floor is not None
    assert right.value < 1.5 * right.floor
    assert right.baseline is not None
    # The images are as good, but none is of the class asked for.
    assert wrong.value > 1.5 * right.value
    assert wrong.value > right.baseline


def test_categories_and_other_models_are_judged_by_what_is_read() -> None:
    right, wrong = (
        figure(evaluate(Told(wrong=wrong, labelled=False), metrics=["class-fid"])) for wrong in (False, True)
    )
    assert wrong.value < 1.3 * right.value
    assert right.floor is not None
    # Real images are read as what they are, but for a few.
    assert right.floor == pytest.approx(figure(evaluate(Told(), metrics=["class-fid"])).floor or 0, rel=0.1)


def test_the_real_side_is_kept_for_both_ways() -> None:
    kinds = [figure(evaluate(Told(labelled=told), metrics=["class-fid", "fid"])) for told in (True, False, True, False)]
    assert kinds[:2] == kinds[2:]
    assert kinds[0].baseline != kinds[1].baseline


def test_a_folder_is_judged_by_what_is_read(tmp_path: Any) -> None:
    images = load("digits").images[:400]
    save_images([images], range(400), tmp_path / "made")
    report = evaluate(Pictures("made", images), "digits", ["class-fid"])
    assert figure(report).value < 1.5 * (figure(report).floor or 0)


def test_each_class_has_a_figure_and_a_missing_one_does_not_pay() -> None:
    report = evaluate(Told(), metrics=["class-fid"])
    assert len(report.class_fids) == 10
    assert figure(report).value == pytest.approx(sum(report.class_fids) / 10)
    assert report.to_dict()["classes"]["fid"] == list(report.class_fids)
    assert evaluate(Told(), metrics=["fid"]).class_fids == ()
    halves = load("digits")
    some = Pictures("halves", halves.images[halves.labels < 5])
    found = evaluate(some, "digits", ["class-fid"], 300)
    assert min(found.class_fids[5:]) > 3 * max(found.class_fids[:5])


def test_the_simplest_generator_of_a_class_takes_pixels_of_its_images() -> None:
    digits = load("digits")
    asked = torch.tensor([3, 0, 3, 7] * 100)
    made = torch.cat(list(mixed_by_class(digits, asked)))
    assert torch.equal(made, torch.cat(list(mixed_by_class(digits, asked))))
    for number in (0, 3, 7):
        own, mean = made[asked == number].float(), digits.images[digits.labels == number].float()
        assert torch.allclose(own.mean(0), mean.mean(0), atol=45)
        assert bool((own.amax(0) <= mean.amax(0)).all())
        # Pixels are drawn each for itself: what they have in common is the class.
        assert len(own.flatten(1).unique(dim=0)) > 90


@pytest.mark.parametrize(
    ("images", "message"),
    [(40, "class-fid needs 6 held-out images of each class that the extractor knows")],
)
def test_few_images_have_no_figure(images: int, message: str) -> None:
    assert not any(each.metric == "class-fid" for each in evaluate(Told(), images=images).results)
    with pytest.raises(UsageError) as error:
        evaluate(Told(), images=images, metrics=["class-fid"])
    assert error.value.message == message


def test_data_without_the_classes_have_no_figure(tmp_path: Any) -> None:
    digits, held_out = load("digits"), load("digits", split="test")
    save_images([digits.images[:200]], range(200), tmp_path / "plain" / "train")
    save_images([held_out.images], range(355), tmp_path / "plain" / "test")
    made, place = Pictures("made", digits.images[200:600]), str(tmp_path / "plain")
    assert not any(each.metric == "class-fid" for each in evaluate(made, place, extractor="digits-cnn").results)
    with pytest.raises(UsageError) as error:
        evaluate(made, place, ["class-fid"], extractor="digits-cnn")
    assert error.value.message == ("class-fid needs 6 held-out images of each class that the extractor knows")
