import json

import numpy as np
import pytest
import torch
from PIL import Image

from gancli import catalog, recipe
from gancli.data.degrade import parse
from gancli.data.sources import load_with_sources
from gancli.model import load
from gancli.training.run import Run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run whose generator has not learned anything yet."""
    small = {
        "data": {"size": [8, 8], "channels": 1, "source": "mosaic:2"},
        "networks": {"generator": {"width": 4, "most": 8}, "discriminator": {"width": 4}},
        "training": {"rounds": 1, "batch": 4, "precision": "fp32", "samples": 4},
    }
    table = recipe.merge(recipe.for_data(catalog.recipe_table("pix2pix"), "digits"), small)
    made = tmp_path_factory.mktemp("runs") / "mine"
    Run(made, recipe.parse(table), load_with_sources("digits", "mosaic:2"), torch.device("cpu"))
    return made


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
    assert result.err == "left out c.png: not an image that PIL reads\n2 images by mine\n"
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
    words = run_cli("translate", folder, "spoiled", "--target", "true").err
    assert words == f"2 images by mine, PSNR {told['psnr']:.2f} dB on average of the 1 with a true image\n"


def test_one_image_by_the_library(home, folder):
    from gancli.translation import translate

    photo(home / "one.png", 90)
    made = translate(load(folder), "one.png")
    assert (made.names, made.results.shape, dict(made.psnr)) == (("one",), (1, 1, 8, 8), {})


def test_faults_say_what_to_type_instead(run_cli, home, folder):
    photo(home / "photos/a.png")
    photo(home / "others/b.png")
    cases = [
        (["dcgan/digits", "photos"], "'dcgan/digits' makes images from seeds, not from images", "gancli sample"),
        ([folder, "nothing"], "there is no image, folder or data set 'nothing'", "an image's file"),
        ([folder, "photos", "--target", "others"], "no image of 'others' has the name of one of 'photos'", "names"),
        ([folder, "photos", "--degrade", "--target", "photos"], "--degrade and --target both say", "one of them"),
        ([folder, "photos", "--back"], "'mine' has no network 'back'", "it has generator"),
        ([folder, "photos", "--out", "x.jpg"], "--out 'x.jpg' ends in '.jpg'", "in .png for one picture"),
        ([folder, "photos", "--out", folder], f"--out '{folder}' is a run folder", "mine-images"),
        ([folder, "photos", "--out", ""], "--out is empty", "name a .png or a folder"),
    ]
    for arguments, message, hint in cases:
        result = run_cli("translate", *arguments)
        assert (result.code, result.out) == (2, ""), arguments
        assert result.err.startswith(f"error: {message}"), result.err
        assert hint in result.err


def test_a_refusal_leaves_no_folder(run_cli, home, folder):
    before = sorted(home.iterdir())
    assert run_cli("translate", folder, "nothing", "--out", "new/below").code == 2
    assert sorted(home.iterdir()) == before


def test_seeds_mean_nothing_to_a_translator(run_cli, folder):
    for arguments in (["sample", folder], ["interpolate", folder, "--seeds", "1,2", "--frames", "2"]):
        result = run_cli(*arguments)
        assert (result.code, result.out) == (2, "")
        assert result.err == (
            "error: 'mine' makes images from images, not from seeds\n\nhint: gancli translate mine IMAGES --out DIR\n"
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
    assert told.err.endswith("hint: as in gancli translate r SOURCES --target IMAGES\n")
    result = run_cli("translate", "r", "b", "--target", "a", "--json")
    assert len(json.loads(result.out)["each"]) == 4


def test_evaluate_shows_the_baseline_beside_the_model(run_cli, folder):
    result = run_cli("evaluate", folder, "-n", "20")
    assert result.code == 0
    assert "bicubic" in result.out
    assert "PSNR, mean over images" in result.out
    assert "mosaic 2" in result.out
