"""The view "images" gives gancli's own images, and refuses what a model does not have."""

import io
from base64 import b64encode
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence
from starlette.testclient import TestClient

import gancli
from gancli.data.pairs import degradations
from gancli.editing import directions, styles, traversal, walks
from gancli.errors import UsageError
from gancli.latents import path
from gancli.page import points
from gancli.zoo import catalogue

DIGITS, CLASSES, CODES, POINTS, PAIRS = (
    "dcgan/digits",
    "cgan/digits",
    "infogan/digits",
    "points-gan/ring",
    "pix2pix/mnist",
)


def asked(client: TestClient, path: str, model: str, **values: Any) -> Any:
    """The answer, an error with its message as a status above 400."""
    return client.post(f"/api/images/{path}", json={"model": model, **values})


def drawn(client: TestClient, model: str, *rows: dict[str, Any], **values: Any) -> torch.Tensor:
    """uint8 (N, C, H, W), or float32 (N, width)."""
    answer = asked(client, "draw", model, points=list(rows), **values)
    assert answer.status_code == 200, answer.text
    shape = [int(side) for side in answer.headers["x-shape"].split(",")]
    kind = np.uint8 if len(shape) == 4 else np.float32
    made = torch.tensor(np.frombuffer(answer.content, kind).reshape(shape))
    return made.permute(0, 3, 1, 2) if len(shape) == 4 else made


def load(name: str, truncation: float | None = None) -> gancli.Model:
    return gancli.load(name, device="cpu", truncation=truncation)


def test_models_of_the_zoo_and_those_named_are_offered(client: TestClient, styled: str) -> None:
    answer = client.get("/api/images/models").json()
    assert answer["named"] == [DIGITS, styled]
    assert answer["models"][styled] == "named"
    assert set(answer["models"]) >= {entry.name for entry in catalogue.entries() if entry.path}
    other = asked(client, "model", "/etc/passwd")
    assert (other.status_code, other.json()["error"]) == (400, "the page has no model '/etc/passwd'")


@pytest.mark.parametrize("name", ["gan/digits", "vae-gan/digits", CODES, "sine-gan/sine", POINTS, "pictures/emoji"])
def test_a_model_says_what_it_takes_and_makes(client: TestClient, name: str) -> None:
    facts = asked(client, "model", name).json()
    made = drawn(client, name, {"seed": 3})
    assert list(made.shape) == [1, *(facts["shape"][2:] if facts["numbers"] else facts["shape"])]
    own = asked(client, "own", name, points=[{"seed": 3}]).json()
    assert (len(own["dims"]), len(own["codes"])) == (facts["dims"], facts["codes"])


def test_seeds_classes_codes_and_truncation_are_gancli_s(client: TestClient) -> None:
    seeds = [0, 7, 2**32 - 1]
    assert torch.equal(
        drawn(client, DIGITS, *({"seed": seed} for seed in seeds), truncation=1.0), load(DIGITS, 1.0).sample(seeds)
    )
    assert torch.equal(drawn(client, DIGITS, {"seed": 7}), load(DIGITS).sample([7]))
    assert torch.equal(drawn(client, CLASSES, {"seed": 7, "label": 3}), load(CLASSES).sample([7], y=3))
    inputs = load(CODES).latent.from_seeds([7])
    inputs["c"][:, 1] = -1.5
    assert torch.equal(drawn(client, CODES, {"seed": 7, "codes": {"1": -1.5}}), load(CODES).generate(inputs))


def test_a_mixture_of_classes_is_a_frame_of_the_walk_between_them(client: TestClient) -> None:
    model = load(CLASSES)
    keys = model.latent.from_seeds([7, 7])
    keys["y"] = torch.tensor([3, 8])
    frames = model.generate(path(model.latent, keys, 20))
    mixed = drawn(client, CLASSES, {"seed": 7, "label": 3, "other": 8, "share": 0.25}, {"seed": 7, "label": 3})
    assert torch.equal(mixed, frames[[5, 0]])


def test_dimensions_are_set_as_traverse_sets_them(client: TestClient, styled: str) -> None:
    for name in (DIGITS, styled):
        rows = traversal.traverse(load(name), 5, ["2"], [-1.0, 0.5])
        assert torch.equal(drawn(client, name, *({"seed": 5, "dims": {"2": value}} for value in (-1.0, 0.5))), rows)
        own = asked(client, "own", name, points=[{"seed": 5}]).json()["dims"]
        made = drawn(client, name, {"seed": 5, "dims": {"2": own[2]}}).int() - load(name).sample([5]).int()
        assert made.abs().max() <= 1


def test_layers_of_another_seed_are_mixed(client: TestClient, styled: str) -> None:
    model = load(styled, 0.7)
    mixed = model.generate(styles.mix_styles(model, [5], [9], (0, 2)))
    assert torch.equal(drawn(client, styled, {"seed": 5, "style": 9, "layers": [0, 2]}, truncation=0.7), mixed)


def test_the_dimension_that_changes_most_comes_first(client: TestClient) -> None:
    model = load(DIGITS)
    order = asked(client, "order", DIGITS).json()["dims"]
    assert sorted(order) == list(range(model.latent.dim))
    changes = traversal.changes(model, order)
    assert changes == sorted(changes, reverse=True)


def test_a_change_is_the_mean_difference_between_both_sides() -> None:
    model = load(DIGITS)
    start = model.latent.from_seeds(range(traversal.SHOWN))
    std = 3**-0.5 if model.latent.distribution == "uniform" else 1.0
    ends = []
    for value in (-std, std):
        start["z"][:, 4] = value
        ends.append(model.generate(start).float())
    expected = float((ends[1] - ends[0]).abs().mean()) / 255
    assert traversal.changes(model, [4]) == pytest.approx([expected])


def test_directions_are_found_once_and_moved_along(client: TestClient) -> None:
    assert asked(client, "directions", CLASSES).json()["directions"] == []
    found = asked(client, "directions", CLASSES, find=True).json()
    assert found["directions"] == asked(client, "directions", CLASSES).json()["directions"]
    assert found["stored"] is False
    model = load(CLASSES)
    made = drawn(client, CLASSES, {"seed": 5, "moves": {"0": 2}})
    from gancli.editing import discovery

    along = [(discovery.find(model)[0], 2.0)]
    assert (
        made.int() - model.generate(directions.move(model, model.latent.from_seeds([5]), along)).int()
    ).abs().max() <= 1


def test_points_of_the_plane_are_numbers(client: TestClient) -> None:
    rows = drawn(client, POINTS, {"seed": 0}, {"seed": 1})
    assert torch.equal(rows, load(POINTS).sample([0, 1]).flatten(1))
    assert len(asked(client, "model", POINTS).json()["formula"]["real"]) > 100


def test_a_walk_has_interpolate_s_frames(client: TestClient, run_cli: Any, home: Path) -> None:
    command = [
        "interpolate",
        CLASSES,
        "--seeds",
        "3,14",
        "--class",
        "1,7",
        "--frames",
        "4",
        "--loop",
        "--truncation",
        "1.5",
    ]
    assert run_cli(*command, "--device", "cpu", "--fps", "10", "--out", "walk.gif").code == 0
    made = asked(
        client, "animation", CLASSES, seeds=[3, 14], labels=[1, 7], frames=4, loop=True, truncation=1.5, fps=10
    )
    assert made.headers["content-type"] == "image/gif"
    assert made.content == (home / "walk.gif").read_bytes()
    raw = asked(client, "walk", CLASSES, seeds=[3, 14], labels=[1, 7], frames=4, loop=True, truncation=1.5)
    assert raw.headers["x-shape"] == "8,8,8,1"


def test_pictures_are_those_of_sample(client: TestClient, run_cli: Any, home: Path) -> None:
    assert (
        run_cli("sample", DIGITS, "--seeds", "0-5", "--grid", "3x2", "--device", "cpu", "--out", "grid.png").code == 0
    )
    assert run_cli("sample", DIGITS, "--seeds", "4", "--device", "cpu", "--out", "one/").code == 0
    grid = asked(client, "png", DIGITS, points=[{"seed": seed} for seed in range(6)], columns=3).content
    one = asked(client, "png", DIGITS, points=[{"seed": 4}]).content
    for made, file in ((grid, "grid.png"), (one, "one/seed0000004.png")):
        with Image.open(io.BytesIO(made)) as left, Image.open(home / file) as right:
            assert np.array_equal(np.asarray(left), np.asarray(right))


def test_an_archive_is_that_of_sample(client: TestClient, run_cli: Any, home: Path) -> None:
    seeds = [{"seed": seed, "label": 3} for seed in (4, 5, 9)]
    made = asked(client, "zip", CLASSES, groups=[{"points": seeds, "truncation": 1.5}]).content
    command = ["sample", CLASSES, "--seeds", "4-5,9", "--class", "3", "--truncation", "1.5", "--out", "made.zip"]
    assert run_cli(*command, "--device", "cpu").code == 0
    assert made == (home / "made.zip").read_bytes()


def test_an_archive_of_favourites_has_a_folder_for_each_truncation(client: TestClient) -> None:
    groups = [{"points": [{"seed": 7}, {"seed": 7, "label": 3}]}, {"points": [{"seed": 7}], "truncation": 0.5}]
    with ZipFile(io.BytesIO(asked(client, "zip", CLASSES, groups=groups).content)) as archive:
        assert archive.namelist() == ["seed0000007.png", "3/seed0000007.png", "truncation-0.5/seed0000007.png"]
        with Image.open(archive.open("truncation-0.5/seed0000007.png")) as image:
            assert np.array_equal(np.asarray(image), load(CLASSES, 0.5).sample([7])[0, 0].numpy())


def test_archives_that_cannot_be_are_refused(client: TestClient) -> None:
    many = [{"points": [{"seed": 0}] * 200}] * 2
    assert asked(client, "zip", DIGITS, groups=many).json()["error"] == "400 images are too many for one answer"
    some = [{"points": [{"seed": 0}]}]
    assert asked(client, "zip", POINTS, groups=some).json()["error"] == f"'{POINTS}' makes numbers, not pictures"
    assert asked(client, "zip", DIGITS, groups=some * 65).status_code == 422


def test_a_translator_gets_the_image_or_its_degraded_form(client: TestClient) -> None:
    model, image = load(PAIRS), torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    image[..., 6:20, 8:18] = 230
    pixels = b64encode(image.numpy().tobytes()).decode()
    for degrade in (False, True):
        answer = asked(client, "translate", PAIRS, pixels=pixels, degrade=degrade)
        made = torch.tensor(np.frombuffer(answer.content, np.uint8).reshape(2, 1, 28, 28))
        source = degradations.parse(model.recipe.data.source).spoil(image) if degrade else image
        assert torch.equal(made, torch.cat([source, model.translate(source)]))


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (PAIRS, {"pixels": "AAAA"}, "the image has 3 bytes"),
        (PAIRS, {"pixels": "no base64"}, "the image has 0 bytes"),
        (PAIRS, {"pixels": "", "network": "back"}, "'pix2pix/mnist' has no network 'back'"),
        (DIGITS, {"pixels": ""}, "'dcgan/digits' makes images from seeds, not from images"),
    ],
)
def test_what_is_no_image_of_the_model_is_refused(
    client: TestClient, model: str, values: dict[str, str], message: str
) -> None:
    answer = asked(client, "translate", model, **values)
    assert (answer.status_code, answer.json()["error"]) == (400, message)


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("draw", {"points": [{"seed": -1}]}),
        ("draw", {"points": [{"seed": 2**32}]}),
        ("draw", {"points": [{"seed": 1.5}]}),
        ("draw", {"points": [{"seed": 0, "dims": {"0": 1e9}}]}),
        ("draw", {"points": [{"seed": 0, "codes": {"x": 0}}]}),
        ("draw", {"points": [{"seed": 0, "share": 2}]}),
        ("draw", {"points": [{"seed": 0, "surprise": 1}]}),
        ("draw", {"points": []}),
        ("draw", {"points": [{"seed": 0}] * (points.MOST_IMAGES + 1)}),
        ("walk", {"seeds": [1]}),
        ("walk", {"seeds": [1, 2], "frames": 0}),
        ("animation", {"seeds": [1, 2], "fps": 1000}),
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(client: TestClient, path: str, values: dict[str, Any]) -> None:
    answer = asked(client, path, DIGITS, **values)
    assert answer.status_code == 422
    assert len(answer.json()["error"]) < 300


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(client: TestClient, value: str) -> None:
    body = f'{{"model": "{DIGITS}", "points": [{{"seed": 0, "dims": {{"0": {value}}}}}], "truncation": {value}}}'
    assert (
        client.post("/api/images/draw", content=body, headers={"content-type": "application/json"}).status_code == 422
    )


@pytest.mark.parametrize(
    ("model", "point", "message"),
    [
        (DIGITS, {"label": 0}, "'dcgan/digits' has no class 0"),
        (CLASSES, {"label": 10}, "'cgan/digits' has no class 10"),
        (CLASSES, {"other": 10, "share": 0.5}, "'cgan/digits' has no class 10"),
        (DIGITS, {"codes": {"0": 1}}, "'dcgan/digits' has no code 0"),
        (DIGITS, {"dims": {"5000": 1}}, "'dcgan/digits' has no dimension 5000"),
        (DIGITS, {"moves": {"smile": 1}}, "'dcgan/digits' has no directions to move along"),
        (DIGITS, {"style": 1, "layers": [1]}, "'dcgan/digits' has no layer 1 to mix"),
        (PAIRS, {}, "'pix2pix/mnist' makes images from images, not from seeds"),
    ],
)
def test_what_a_model_does_not_have_is_refused(
    client: TestClient, model: str, point: dict[str, Any], message: str
) -> None:
    answer = asked(client, "draw", model, points=[{"seed": 0, **point}])
    assert (answer.status_code, answer.json()["error"]) == (400, message)


def test_truncation_of_one_request_is_not_that_of_the_next(client: TestClient) -> None:
    assert asked(client, "draw", DIGITS, points=[{"seed": 0}], truncation=-1).status_code == 400
    assert torch.equal(drawn(client, DIGITS, {"seed": 0}), load(DIGITS).sample([0]))


def test_each_seed_of_a_walk_has_its_truncation(client: TestClient, styled: str) -> None:
    for name, values in ((DIGITS, [None, 0.8, 1.5]), (styled, [1.0, 0.3, None])):
        answer = asked(client, "walk", name, seeds=[3, 14, 15], truncations=values, frames=2)
        frames = torch.tensor(np.frombuffer(answer.content, np.uint8).reshape(5, 1, 8, 8))
        for number, (seed, value) in enumerate(zip([3, 14, 15], values, strict=True)):
            assert torch.equal(frames[[2 * number]], load(name, value).sample([seed])), (name, seed)


def test_a_walk_in_z_has_one_psi(styled: str) -> None:
    with pytest.raises(UsageError, match="a walk in z has one `truncation`"):
        walks.walk(load(styled), [1, 2], 3, truncation=[0.5, 1], space="z")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"truncations": [1.0]}, "1 truncations for 2 seeds"),
        ({"labels": [1]}, "1 classes for 2 seeds"),
        ({"labels": [1, 10]}, "'cgan/digits' has no class 10"),
        ({"truncations": [1.0, -1.0]}, "`truncation` -1 leaves nothing to draw from"),
    ],
)
def test_a_walk_with_other_lists_is_refused(client: TestClient, values: dict[str, Any], message: str) -> None:
    answer = asked(client, "walk", CLASSES, seeds=[1, 2], **values)
    assert (answer.status_code, answer.json()["error"]) == (400, message)


def test_more_frames_than_an_answer_holds_are_refused(client: TestClient) -> None:
    answer = asked(client, "walk", "pictures/emoji", seeds=list(range(64)), frames=1000, loop=True)
    assert answer.status_code == 400
    assert answer.json()["error"] == "64,000 images of this size are too many for one answer"


def test_files_of_other_kinds(client: TestClient) -> None:
    """MP4 is offered where PyAV is, as in a development environment."""
    assert client.get("/api/images/models").json()["animations"] == ["gif", "webp", "mp4"]
    walk = {"seeds": [3, 14], "frames": 2}
    assert asked(client, "animation", DIGITS, kind="mp4", **walk).content[4:8] == b"ftyp"
    with Image.open(io.BytesIO(asked(client, "animation", DIGITS, kind="webp", **walk).content)) as file:
        assert (file.format, file.n_frames) == ("WEBP", 3)
    assert asked(client, "animation", DIGITS, kind="../x", **walk).status_code == 422


def test_a_gif_repeats_its_walk(client: TestClient) -> None:
    made = asked(client, "animation", "sine-gan/sine", seeds=[3, 14], frames=2)
    with Image.open(io.BytesIO(made.content)) as file:
        assert sum(1 for _ in ImageSequence.Iterator(file)) == 3
