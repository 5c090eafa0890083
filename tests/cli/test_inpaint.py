import json

import numpy as np
import pytest
from PIL import Image

from gancli.data import load

NOTE = "note: quick/digits comes without its discriminator; only the latent's prior keeps results realistic\n"
FAST = ("--steps", "5", "--device", "cpu")


def test_image_hole_and_result_in_one_picture(run_cli, home) -> None:
    result = run_cli("inpaint", "quick/digits", "digits", "--mask", "3,3,3,3", "-n", "5", *FAST)
    assert (result.code, result.out) == (0, "quick-digits-inpainted.png\n")
    assert result.err.startswith(NOTE + "5 images filled, PSNR to the input ")
    with Image.open(home / "quick-digits-inpainted.png") as image:
        assert image.size == (3 * 66 + 2, 5 * 66 + 2 + 18)


def test_a_drawn_mask_and_a_folder_of_results(run_cli, home) -> None:
    digit = load("digits", split="test").images[3, 0].numpy()
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5, 4:6] = 255
    Image.fromarray(digit).save("digit.png")
    Image.fromarray(mask).save("mask.png")
    result = run_cli("inpaint", "quick/digits", "digit.png", "--mask", "mask.png", "--out", "filled/", "--json", *FAST)
    found = json.loads(result.out)
    assert {**found, "psnr": 0} == {"model": "quick/digits", "out": "filled", "prior": "latent", "images": 1, "psnr": 0}
    assert list(found["psnr"]) == ["digit"]
    with Image.open(home / "filled" / "digit.png") as image:
        filled = np.array(image)
    assert np.array_equal(filled[mask == 0], digit[mask == 0])
    assert not np.array_equal(filled, digit)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ["digits", "--mask", "hole"],
            "--mask 'hole' is neither a file nor a rectangle",
            "name an image, or left, top, width and height, as in --mask 9,9,10,10",
        ),
        (
            ["digits", "--mask", "1,1,0,2"],
            "the hole must be a part of the image, and not all of it",
            "it is what is white in the mask",
        ),
        (
            ["digits", "--mask", "4,4,5,2"],
            "--mask 4,4,5,2 leaves the image: quick/digits makes 8x8 pixels (width x height)",
            "left + width is at most 8, top + height at most 8",
        ),
        (
            ["digits", "--mask", "0,0,8,8"],
            "the hole must be a part of the image, and not all of it",
            "it is what is white in the mask",
        ),
        (
            ["digits", "--mask", "1,1,1,1", "--out", "x.gif"],
            "--out 'x.gif' ends in '.gif'",
            "end it in .png for one picture, or in / for a folder",
        ),
        (
            ["black.png", "--mask", "3,3,3,3", "--out", "black.png"],
            "'black.png' is among the input images",
            "name another file or folder with --out",
        ),
        (
            ["black.png", "--mask", "white.png", "--out", "white.png"],
            "'white.png' is among the input images",
            "name another file or folder with --out",
        ),
        (
            ["black.png", "--mask", "black.png"],
            "the hole must be a part of the image, and not all of it",
            "it is what is white in the mask",
        ),
    ],
)
def test_faults(run_cli, arguments, message: str, hint: str) -> None:
    Image.new("L", (8, 8)).save("black.png")
    Image.new("L", (8, 8), 255).save("white.png")
    Image.new("L", (16, 8)).save("wide.png")
    result = run_cli("inpaint", "quick/digits", *arguments)
    assert (result.code, result.out, result.err) == (2, "", f"error: {message}\n\nhint: {hint}\n")


def test_a_note_says_what_became_of_an_image_of_another_size(run_cli) -> None:
    Image.new("L", (16, 8), 90).save("wide.png")
    result = run_cli("inpaint", "quick/digits", "wide.png", "--mask", "3,3,3,3", *FAST)
    assert result.code == 0
    assert result.err.startswith("note: images were cropped and resized to 8x8\n")
