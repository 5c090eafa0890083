import json

import pytest
from PIL import Image

CELL = 8 * 14 + 2


def test_operands_and_result_in_one_strip(run_cli, home) -> None:
    result = run_cli("mix", "quick/digits", "3 - 14 + 0.5*15")
    assert (result.code, result.out) == (0, "quick-digits-mix.png\n")
    assert result.err == "3 - 14 + 0.5*15 of quick/digits\n"
    with Image.open(home / "quick-digits-mix.png") as image:
        assert image.size == (4 * CELL + 2, CELL + 2 + 18)


def test_json_tells_what_stands_behind_the_terms(run_cli) -> None:
    result = run_cli("mix", "quick/digits", "mean(label=7) - 2*mean(0-9)", "--out", "m.png", "--json")
    found = json.loads(result.out)
    assert (found["model"], found["out"]) == ("quick/digits", "m.png")
    first, second = found["terms"]
    assert (first["term"], first["factor"]) == ("mean(label=7)", 1)
    assert first["seeds"] > 20
    assert second == {"term": "mean(0-9)", "factor": -2, "seeds": 10}
    assert len(found["result"]["z"]) == 128


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (
            ["3 + x"],
            "'3 + x' cannot be read from '+ x' on",
            "seeds and means, with a sign between two and a factor before one, "
            "as in '3 - 14 + 0.5*15' or 'mean(label=7) - mean(label=1) + 15' or 'mean(0-9)'",
        ),
        (["3", "--out", "m.gif"], "--out 'm.gif' is not the name of a picture", "end it in .png, .jpg or .webp"),
        (["3", "--out", ""], "--out '' is not the name of a picture", "end it in .png, .jpg or .webp"),
        (["mean(label=12)"], "quick/digits knows no label '12'", "one of: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
    ],
)
def test_faults(run_cli, home, arguments, message: str, hint: str) -> None:
    result = run_cli("mix", "quick/digits", *arguments)
    assert (result.code, result.out, result.err) == (2, "", f"error: {message}\n\nhint: {hint}\n")
    assert not list(home.glob("*.png"))
