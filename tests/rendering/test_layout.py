import pytest

from gancli.errors import UsageError
from gancli.rendering.layout import file_stem, parse_grid


def test_columns_come_first():
    assert parse_grid("8x4") == (8, 4)
    assert parse_grid(" 1 X 20 ") == (1, 20)


@pytest.mark.parametrize("text", ["", "8", "8x", "0x3", "3x0", "-1x2", "8x4x2", "axb", "8.5x2"])
def test_what_is_no_grid(text):
    with pytest.raises(UsageError) as error:
        parse_grid(text)
    assert (error.value.message, error.value.hint) == (
        f"--grid '{text}' is not columns x rows",
        "for example: --grid 8x4",
    )


def test_too_many_cells():
    with pytest.raises(UsageError) as error:
        parse_grid("101x100")
    assert error.value.message == "--grid 101x100 has 10,100 cells; one picture shows at most 10,000"
    assert (
        error.value.hint
        == "choose a smaller grid; `gancli sample` also writes one PNG a seed: name a folder or a .zip with --out"
    )


@pytest.mark.parametrize(
    ("model", "stem"),
    [("dcgan/mnist", "dcgan-mnist"), ("../../etc/x", "etc-x"), ("runs/2026 a", "runs-2026-a"), ("..", "samples")],
)
def test_names_of_files(model, stem):
    assert file_stem(model) == stem
