import json

import numpy as np
import pytest
import torch
from PIL import Image

from gancli import recipe
from gancli.data.pairs.degradations import parse
from gancli.data.pairs.sources import load_with_sources
from gancli.editing.translation import translate
from gancli.metrics.images import psnr
from gancli.model import load
from gancli.runs.run import Run
from gancli.zoo import catalogue


def untaught(made, **data):
    """A run at a place whose generator has not learned anything yet, on digits but for what its recipe says."""
    small = {
        "data": {"size": [8, 8], "channels": 1, **data},
        "networks": {"generator": {"width": 4, "most": 8}, "discriminator": {"width": 4}},
        "training": {"rounds": 1, "batch": 4, "precision": "fp32", "samples": 4},
    }
    table = recipe.merge(recipe.for_data(catalogue.recipe_table("pix2pix"), "digits"), small)
    Run(made, recipe.parse(table), load_with_sources("digits", "mosaic:2"), torch.device("cpu"))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One that was taught to remove a mosaic."""
    return untaught(tmp_path_factory.mktemp("runs") / "mine", source="mosaic:2")


@pytest.fixture
def pieces(tmp_path):
    """Makes one with another source or another fit."""
    return lambda source, **data: untaught(tmp_path / "r", source=source, **data)


def photo(path, shade=0, size=(8, 8)):
    path.parent.mkdir(exist_ok=True)
    Image.new("L", size, shade).save(path)


def pixels(path):
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image))[None, None]


def test_a_folder_of_images_where_one_is_broken(run_cli, home, folder):
    photo(home / "photos/a.png", 50)
    photo(home / "photos/b.png", 200, (16, 16))
    (home / "photos/c.png").write_bytes(b"no picture")
    result = run_cli("translate", folder, "photos", "--out", "made/")
    assert (result.code, result.out) == (0, "made\n")
    assert result.err == (
        "note: images were resized to 8x8\nleft out c.png: not an image that PIL reads\n2 images by mine\n"
    )
    assert sorted(path.name for path in (home / "made").iterdir()) == ["a.png", "b.png"]
    wanted = load(folder).translate(torch.tensor([50, 200], dtype=torch.uint8)[:, None, None, None].expand(2, 1, 8, 8))
    assert torch.equal(torch.cat([pixels(home / "made/a.png"), pixels(home / "made/b.png")]), wanted)


def test_whole_images_are_spoiled_first_and_give_the_truth(run_cli, home, folder):
    result = run_cli("translate", folder, "digits", "-n", "6", "--degrade", "--out", "six.png", "--json")
    told = json.loads(result.out)
    assert (told["out"], told["images"], len(told["each"]), told["left_out"]) == ("six.png", 6, 6, {})
    assert told["psnr"] == pytest.approx(sum(told["each"].values()) / 6, abs=1e-3)
    with Image.open(home / "six.png") as image:
        assert image.size == (4 * 66 + 2, 3 * 66 + 2)
    plain = run_cli("translate", folder, "digits", "-n", "6", "--degrade", "--out", "six")
    assert plain.err == f"6 images by mine, PSNR {told['psnr']:.2f} dB on average\n"
    held_out = load_with_sources("digits", "mosaic:2", split="test").images[:1]
    wanted = load(folder).translate(parse("mosaic:2").spoil(held_out))
    assert torch.equal(pixels(home / "six/00000.png"), wanted)


def test_true_images_may_lie_elsewhere(run_cli, home, folder):
    photo(home / "spoiled/a.png", 50)
    photo(home / "spoiled/b.png", 60)
    photo(home / "true/a.png", 70)
    result = run_cli("translate", folder, "spoiled", "--target", "true", "--json")
    told = json.loads(result.out)
    assert (told["out"], told["images"], list(told["each"])) == ("mine-translated", 2, ["a"])
    wanted = float(psnr(pixels(home / "true/a.png"), pixels(home / "mine-translated/a.png")))
    assert (told["psnr"], told["each"]["a"]) == (pytest.approx(wanted), pytest.approx(wanted, abs=1e-3))


def test_one_image_by_the_library(home, folder):
    photo(home / "one.png", 90)
    made = translate(load(folder), "one.png")
    assert (made.names, made.results.shape, dict(made.psnr)) == (("one",), (1, 1, 8, 8), {})


def test_faults_say_what_to_type_instead(run_cli, home, folder):
    photo(home / "photos/a.png")
    photo(home / "others/b.png")
    cases = [
        (["dcgan/digits", "photos"], "'dcgan/digits' makes images from seeds, not from images", "gancli sample"),
        ([folder, "nothing"], "there is no image, folder or data set 'nothing'", "an image's file"),
        ([folder, "photos", "--target", "others"], "no image of 'others' has the name of one that", "names"),
        ([folder, "photos", "--degrade", "--target", "photos"], "--degrade and --target both say", "one of them"),
        ([folder, "photos", "--back"], "'mine' has no network 'back'", "it has generator"),
        ([folder, "photos", "--out", "x.tiff"], "--out 'x.tiff' ends in '.tiff'", "in .png for one picture"),
        ([folder, "photos", "--out", folder], f"--out '{folder}' is a run folder", "mine-images"),
        ([folder, "photos", "--out", ""], "--out is empty", "name a .png or a folder"),
    ]
    for arguments, message, hint in cases:
        result = run_cli("translate", *arguments)
        assert (result.code, result.out) == (2, ""), arguments
        assert result.err.startswith(f"error: {message}"), result.err
        assert hint in result.err


INPUTS_STAY = {
    "the folder itself": (["colour", "--out", "colour"], "'colour' is among the input images"),
    "by another path": (["colour", "--out", "colour/../colour/"], "'colour/../colour' is among the input images"),
    "by a link": (["colour", "--out", "link"], "'link' is among the input images"),
    "unless another is named": (["mine-translated"], "'mine-translated' is among the input images"),
    "a file": (["one.png", "--out", "one.png"], "'one.png' is among the input images"),
    "its name in its folder": (["one.png", "--out", "."], "'one.png' is among the input images"),
    "one of several": (["colour/a.png", "one.png", "--out", "."], "'one.png' is among the input images"),
    "a folder inside": (["wide", "--out", "wide/in"], "'wide/in' is among the input images"),
    "what is passed over": (["parts", "--out", "parts/train"], "'parts/train' is among the input images"),
    "the true images": (["one.png", "--target", "true", "--out", "true"], "'true' is among the input images"),
    "one picture": (["colour", "--out", "colour/a.png"], "'colour/a.png' is among the input images"),
}


@pytest.mark.parametrize("case", INPUTS_STAY)
def test_what_was_given_is_never_written_over(run_cli, home, folder, case):
    files = ["colour/a", "mine-translated/a", "true/one", "wide/in/a", "wide/b", "one"]
    for place in (*files, "parts/test/a", "parts/train/a"):
        (home / place).parent.parent.mkdir(exist_ok=True)
        photo(home / f"{place}.png", 50, (16, 16))
    (home / "link").symlink_to("colour")
    before = {path: path.read_bytes() for path in home.rglob("*.png")}
    words, message = INPUTS_STAY[case]
    result = run_cli("translate", folder, *words)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: {message}")
    assert "hint: name another " in result.err
    assert {path: path.read_bytes() for path in home.rglob("*.png")} == before


def test_results_may_lie_beside_what_was_given(run_cli, home, folder):
    photo(home / "photos/a.jpg", 50)
    photo(home / "mnist/a.png", 50)
    for words in (["photos/a.jpg", "--out", "photos"], ["photos", "--out", "photos/new.png"], ["photos", "--out", "."]):
        assert run_cli("translate", folder, *words).code == 0, words
    assert sorted(path.name for path in (home / "photos").iterdir()) == ["a.jpg", "a.png", "new.png"]


def test_several_images_as_a_shell_lists_them(run_cli, home, folder):
    for name in ("photos/a", "photos/b", "more/c", "more/a"):
        photo(home / f"{name}.png", 50)
    result = run_cli("translate", folder, "photos/a.png", "photos/b.png", "--out", "made", "--json")
    assert json.loads(result.out)["images"] == 2
    assert sorted(path.name for path in (home / "made").iterdir()) == ["a.png", "b.png"]
    clash = run_cli("translate", folder, "photos", "more/c.png", "more/a.png")
    assert clash.code == 2
    assert clash.err.startswith("error: 'photos/a.png' and 'more/a.png' would both give 'a'\n\nhint: rename one")


@pytest.mark.parametrize(
    ("size", "fit", "told"),
    [
        ((8, 8), "crop", ""),
        ((16, 16), "crop", "note: images were resized to 8x8\n"),
        ((16, 8), "crop", "note: images were cropped and resized to 8x8\n"),
        ((16, 8), "pad", "note: images were padded and resized to 8x8\n"),
        ((16, 8), "stretch", "note: images were stretched to 8x8\n"),
    ],
)
def test_a_note_says_what_became_of_images_of_another_size(run_cli, home, pieces, size, fit, told):
    photo(home / "photos/a.png", 50, size)
    photo(home / "photos/b.png", 50)
    result = run_cli("translate", pieces("mosaic:2", fit=fit), "photos")
    assert (result.code, result.err) == (0, f"{told}2 images by r\n")


@pytest.mark.parametrize("source", ["split", "split:right"])
def test_of_files_of_two_halves_one_is_the_source_and_the_other_the_truth(run_cli, home, pieces, source):
    whole = Image.new("L", (20, 8), 200)
    whole.paste(60, (0, 0, 10, 8))
    (home / "pairs").mkdir()
    whole.save(home / "pairs/a.png")
    run = pieces(source)
    result = run_cli("translate", run, "pairs", "--degrade", "--out", "made", "--json")
    assert (result.code, result.err) == (0, "note: images were stretched to 8x8\n")
    made = translate(load(run), "pairs", degrade=True)
    there, true = (60, 200) if source == "split" else (200, 60)
    # At the seam, the filter mixes the two.
    assert (made.sources[..., 3:5] == there).all()
    assert torch.equal(pixels(home / "made/a.png"), load(run).translate(made.sources))
    wanted = torch.full((1, 1, 8, 8), true, dtype=torch.uint8)
    assert made.psnr["a"] == pytest.approx(float(psnr(wanted, made.results)), abs=0.5)
    plain = run_cli("translate", run, "pairs", "--out", "plain", "--json")
    assert json.loads(plain.out)["each"] == {}
    named = run_cli("translate", run, "digits", "--degrade")
    assert named.code == 2
    assert "'digits' is none of them" in named.err


def test_a_refusal_leaves_no_folder(run_cli, home, folder):
    before = sorted(home.iterdir())
    assert run_cli("translate", folder, "nothing", "--out", "new/below").code == 2
    assert sorted(home.iterdir()) == before


def test_seeds_mean_nothing_to_a_translator(run_cli, folder):
    for arguments in (["sample", folder], ["interpolate", folder, "--seeds", "1,2", "--frames", "2"]):
        result = run_cli(*arguments)
        assert (result.code, result.out) == (2, "")
        assert result.err == (
            "error: 'mine' makes images from images, not from seeds\n\nhint: `gancli translate mine IMAGES --out DIR`\n"
        )


def test_training_on_two_folders_goes_on_from_anywhere_and_tells_no_path(run_cli, home):
    for number in range(4):
        photo(home / f"a/{number}.png", 60 * number)
        photo(home / f"b/{number}.png", 255 - 60 * number)
    words = ["train", "a", "--model", "pix2pix", "--set", "data.source=b/", "--out", "r", "--rounds", 2, "-q"]
    words += ["--set", "training.batch=4", "--set", "networks.generator.width=4"]
    assert run_cli(*words).code == 0
    assert f'source = "{home / "b"}"' in (home / "r/recipe.toml").read_text()
    assert load("r").recipe.data.source == "b/"
    assert run_cli(*words).code == 0
    told = run_cli("evaluate", "r", "--data", "a")
    assert told.code == 2
    assert told.err.endswith("hint: as in `gancli translate r SOURCES --target IMAGES`\n")
    result = run_cli("translate", "r", "b", "--target", "a", "--json")
    assert len(json.loads(result.out)["each"]) == 4


def test_evaluate_shows_the_baseline_beside_the_model(run_cli, folder):
    result = run_cli("evaluate", folder, "-n", "20")
    assert result.code == 0
    assert "bicubic" in result.out
    assert "PSNR, mean over images" in result.out
    assert "mosaic 2" in result.out
