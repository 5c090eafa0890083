"""Models pushed to a Hub of our own and pulled from it again."""

import json
from pathlib import Path

import pytest
import torch
from hub_server import Hub, git_name

import gancli
from gancli import checkpoint
from gancli.errors import UsageError
from gancli.evaluation.report import Report
from gancli.model import Model
from gancli.zoo import catalogue, sharing

# Of the library itself, about how it uploads a file.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
ZOO = catalogue.zoo_folder()
RUN = Path(__file__).parents[1] / "training/run-0.1"


def made(model: Model) -> torch.Tensor:
    """Samples, or translations of noise."""
    if model.takes == "latent":
        return model.sample(range(4))
    return model.translate(torch.randint(256, (4, *model.shape), dtype=torch.uint8, generator=torch.Generator()))


def pushed(hub: Hub, name: str, **options) -> dict[str, bytes]:
    """The files of the repository that a push makes."""
    sharing.push(gancli.load(name, device="cpu"), "ann/toy", **options)
    return hub.repos["model", "ann/toy"].commits[-1].files


@pytest.mark.parametrize("name", ["points-gan/ring", "quick/digits", "pix2pix/mnist"])
def test_a_model_that_was_pushed_gives_the_same_samples(hub: Hub, name: str) -> None:
    model = gancli.load(name, device="cpu")
    uploaded = sharing.push(model, "ann/toy")
    pulled = gancli.load(str(uploaded.name), device="cpu")
    assert pulled.path != model.path
    assert torch.equal(made(pulled), made(model))
    assert pulled.identity == model.identity


def test_the_card_says_what_the_hub_reads(hub: Hub) -> None:
    from huggingface_hub import ModelCard, ModelCardData
    from huggingface_hub.repocard_data import model_index_to_eval_results
    from yaml import safe_load

    files = pushed(hub, "quick/digits")
    text = files["README.md"].decode()
    data = ModelCard(text).data
    assert isinstance(data, ModelCardData)
    assert data.library_name == "gancli"
    assert data.pipeline_tag == "unconditional-image-generation"
    assert data.license == "cc-by-4.0"
    block = safe_load(text.split("---\n")[1])
    name, results = model_index_to_eval_results(block["model-index"])
    stored = checkpoint.read_header(ZOO / "quick/digits.safetensors")["evaluation"]
    assert name == "toy"
    assert {each.metric_type: each.metric_value for each in results} == {
        row["metric"]: row["value"] for row in stored["results"]
    }
    fid = next(each for each in results if each.metric_type == "fid")
    assert fid.metric_name == "FID, features of digits-cnn"
    assert fid.dataset_name == "digits"
    assert fid.dataset_split == "test"
    assert fid.metric_args is not None
    floor = next(row["floor"] for row in stored["results"] if row["metric"] == "fid")
    assert fid.metric_args["floor"] == floor
    assert fid.dataset_args is not None
    assert fid.dataset_args["generated_images"] == stored["protocol"]["generated_images"]
    assert "gancli sample hf:ann/toy --seeds 0-63" in text
    assert "![samples](samples.png)" in text
    assert files["samples.png"].startswith(b"\x89PNG")


def test_a_translation_and_numbers_are_tagged_as_such(hub: Hub) -> None:
    from huggingface_hub import ModelCard

    assert ModelCard(pushed(hub, "pix2pix/mnist")["README.md"].decode()).data.pipeline_tag == "image-to-image"
    data = ModelCard(pushed(hub, "points-gan/ring")["README.md"].decode()).data
    assert (data.pipeline_tag, data.license) == (None, None)


def test_weights_whose_header_is_complete_are_uploaded_as_they_are(hub: Hub, tmp_path: Path) -> None:
    files = pushed(hub, "quick/digits")
    (tmp_path / "m.safetensors").write_bytes(files["model.safetensors"])
    assert checkpoint.read_header(tmp_path / "m.safetensors")["dataset"]["licence"] == "CC BY 4.0"
    assert pushed(hub, "hf:ann/toy")["model.safetensors"] == files["model.safetensors"]


def of_photos(tmp_path: Path, licence: str = "") -> Path:
    """A model of a folder, with a discriminator."""
    for name in ("model", "discriminator"):
        tensors, header = checkpoint.read(RUN / f"{name}.safetensors")
        header["recipe"]["data"]["name"] = header["dataset"]["name"] = "photos"
        header["dataset"] |= {"licence": licence} if licence else {}
        checkpoint.write(tmp_path / f"{name}.safetensors", tensors, header)
    return tmp_path / "model.safetensors"


def test_data_without_a_licence_are_refused_before_anything_is_asked(hub: Hub, tmp_path: Path, run_cli) -> None:
    path = of_photos(tmp_path)
    refused = run_cli("push", path, "ann/toy")
    assert refused.code == 2
    assert "was trained on 'photos', whose licence is not known" in refused.err
    assert "as in --licence CC-BY-4.0" in refused.err
    assert hub.asked == []
    done = run_cli("push", path, "ann/toy", "--licence", "Only with the painter's leave")
    assert done.code == 0, done.err
    assert done.out.startswith(f"{hub.url}/ann/toy  hf:ann/toy@")
    files = hub.repos["model", "ann/toy"].commits[-1].files
    card = files["README.md"].decode()
    assert "license: other\nlicense_name: Only with the painter's leave\n" in card
    assert "Licence of the data: Only with the painter's leave." in card
    assert set(files) == {
        ".gitattributes",
        "README.md",
        "discriminator.safetensors",
        "model.safetensors",
        "samples.png",
    }


def test_a_licence_that_contradicts_the_header_is_refused(hub: Hub, tmp_path: Path) -> None:
    model = gancli.load(of_photos(tmp_path, "CC BY-NC 4.0"), device="cpu")
    with pytest.raises(UsageError, match=r"are under 'CC BY-NC 4\.0', not 'MIT'"):
        sharing.push(model, "ann/toy", licence="MIT")
    assert hub.asked == []


def test_what_the_new_model_lacks_is_removed(hub: Hub, tmp_path: Path) -> None:
    assert "discriminator.safetensors" in pushed(hub, str(of_photos(tmp_path)), licence="MIT")
    assert "discriminator.safetensors" not in pushed(hub, "points-gan/ring")


def test_figures_of_a_report(hub: Hub, tmp_path: Path, run_cli) -> None:
    model = gancli.load(of_photos(tmp_path, "CC0-1.0"), device="cpu")
    stored = checkpoint.read_header(ZOO / "quick/digits.safetensors")["evaluation"]
    (tmp_path / "other.json").write_text(json.dumps(stored))
    refused = run_cli("push", model.path, "ann/toy", "--report", tmp_path / "other.json")
    assert (refused.code, hub.asked) == (2, [])
    assert "the report is not that of" in refused.err
    report = Report.from_dict({**stored, "identity": model.identity})
    files = pushed(hub, str(model.path), report=report)
    assert "model-index" in files["README.md"].decode()
    (tmp_path / "pulled.safetensors").write_bytes(files["model.safetensors"])
    assert checkpoint.read_header(tmp_path / "pulled.safetensors")["evaluation"]["identity"] == model.identity


def test_figures_do_not_tell_where_the_data_lie(hub: Hub, tmp_path: Path) -> None:
    path = of_photos(tmp_path, "CC0-1.0")
    tensors, header = checkpoint.read(path)
    stored = checkpoint.read_header(ZOO / "quick/digits.safetensors")["evaluation"]
    stored["protocol"]["data"] = str(tmp_path / "secret/photos")
    checkpoint.write(path, tensors, {**header, "evaluation": stored})
    files = pushed(hub, str(path))
    assert not any(b"secret" in content for content in files.values())
    assert b"name: photos" in files["README.md"]


@pytest.mark.parametrize("text", ["[]", "{", '{"groups": []}', "[[[", "null"])
def test_a_file_that_is_no_report(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(UsageError, match="is no report of one model"):
        sharing.read_report(tmp_path / "r.json")


def test_the_names_in_a_header_are_no_markdown(hub: Hub, tmp_path: Path) -> None:
    path = of_photos(tmp_path, "x](javascript:1) <script>\n# y")
    text = pushed(hub, str(path))["README.md"].decode()
    assert "<script>" not in text.split("---\n", 2)[2]
    assert "\n# y" not in text


def test_the_hash_of_a_small_file_is_that_of_git() -> None:
    """As ``printf 'hello\\n' | git hash-object --stdin`` prints it; the server of these tests relies on it."""
    assert git_name(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_a_hub_that_does_not_let_one_write(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "writers", ())
    with pytest.raises(UsageError, match="the Hub does not let you write to 'hf:ann/toy'"):
        pushed(hub, "points-gan/ring")


def test_the_card_of_an_imported_model_says_where_it_is_from(hub: Hub, tmp_path: Path) -> None:
    from yaml import safe_load

    tensors, header = checkpoint.read(ZOO / "points-gan/ring.safetensors")
    header |= {"imported": {"file": "net.pkl"}, "dataset": {"name": "", "licence": "NVIDIA (non-commercial)"}}
    checkpoint.write(tmp_path / "made.safetensors", tensors, header)
    text = pushed(hub, str(tmp_path / "made.safetensors"))["README.md"].decode()
    assert "Imported from `net.pkl`, weights of another program. Licence: NVIDIA (non-commercial)." in text
    assert "Trained on" not in text
    data = safe_load(text.split("---\n")[1])
    assert (data["license"], data["license_name"]) == ("other", "NVIDIA (non-commercial)")
    with pytest.raises(UsageError, match=r"the weights of 'made' are under 'NVIDIA \(non-commercial\)', not 'MIT'"):
        pushed(hub, str(tmp_path / "made.safetensors"), licence="MIT")
