"""Inception by the true layout of its weights, with random values: where they come from, and what goes in."""

import hashlib
import io
from dataclasses import replace
from email.message import Message
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from gancli.errors import GancliError
from gancli.evaluation.extractors import EXTRACTORS, Extractor, inception
from gancli.evaluation.features import Reader, readout
from gancli.evaluation.report import Readout

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights in the layout of torch-fidelity's file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(inception.Inception().state_dict(), path)
    return path


def admitting(path: Path) -> Extractor:
    """The extractor with another expected digest: that of this file."""
    digits = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    return replace(EXTRACTORS["inception"], weights=partial(inception.read, prefix=digits))


@torch.inference_mode()
def test_features_and_logits_are_those_of_torch_fidelity(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANCLI_INCEPTION", str(weights))
    spec = admitting(weights)
    images = torch.randint(0, 256, (3, 1, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = Reader(spec, *spec.load()).read("images", images.split(2), 3)
    theirs = FeatureExtractorInceptionV3("theirs", ["2048", "logits_unbiased"], str(weights))
    features, logits = theirs(images.expand(-1, 3, -1, -1))
    torch.testing.assert_close(found.values, features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.probabilities, logits.softmax(1), rtol=1e-4, atol=1e-6)
    assert found.values.shape == (3, spec.features)
    assert found.probabilities.shape == (3, 1008)
    # Their 1008 classes have no names here, and none is listed.
    assert readout(found, 0).classes == ()
    assert readout(found, 0) != Readout((), None)


def test_its_figures_are_said_to_be_unverified() -> None:
    assert EXTRACTORS["inception"].cautions("cifar10") == (
        "figures by inception are unverified: they have not been compared with those that torch-fidelity's own command "
        "prints (docs/evaluation.md names it)",
    )


def test_without_file_and_network_the_error_says_what_goes_where(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(request: Any) -> None:
        assert request.full_url == URL
        raise OSError("no route")

    monkeypatch.delenv("GANCLI_INCEPTION", raising=False)
    monkeypatch.setattr(torch.hub, "urlopen", offline)
    place = home / "cache" / "extractors" / "weights-inception-2015-12-05-6726825d.pth"
    with pytest.raises(GancliError) as error:
        inception.read()
    assert error.value.message == f"the weights of the extractor 'inception' are missing: {place} (no route)"
    assert error.value.hint == f"put {URL} (SHA-256 6726825d...) there, or name its place with GANCLI_INCEPTION"
    monkeypatch.setenv("GANCLI_INCEPTION", "nowhere.pth")
    with pytest.raises(GancliError) as error:
        inception.read()
    assert error.value.message.startswith("the weights of the extractor 'inception' are missing: nowhere.pth (")


def test_other_bytes_are_not_unpickled(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*arguments: Any, **options: Any) -> None:
        raise AssertionError("read before it was checked")

    other = home / "other.pth"
    other.write_bytes(b"anything")
    monkeypatch.setenv("GANCLI_INCEPTION", str(other))
    monkeypatch.setattr(torch, "load", never)
    with pytest.raises(GancliError, match=r"other.pth is not the extractor 'inception': its SHA-256 is ee0874170b7f"):
        inception.read()


def test_code_in_a_file_is_refused_even_with_the_right_digest(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "code.pth"
    torch.save({"x": Path("anything")}, path)
    monkeypatch.setenv("GANCLI_INCEPTION", str(path))
    with pytest.raises(GancliError, match=r"code.pth holds more than tensors"):
        admitting(path).load()


def test_a_download_is_kept_and_read_again(weights: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer(io.BytesIO):
        def info(self) -> Message:
            return Message()

    content = Answer(weights.read_bytes())
    monkeypatch.delenv("GANCLI_INCEPTION", raising=False)
    monkeypatch.setattr(torch.hub, "urlopen", lambda request: content)
    spec = admitting(weights)
    assert spec.weights is not None
    first = spec.weights()
    monkeypatch.setattr(torch.hub, "urlopen", None)
    again = spec.weights()
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
