import pytest

from gancli.cli._options import parse_grid
from gancli.errors import UsageError


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
        == "choose a smaller grid; with `gancli sample`, --out FOLDER or FILE.zip writes one PNG for each seed"
    )
