"""The table of differences has every model of the zoo."""

import re

from benchmarks import export
from gancli.exporting import TOLERANCE
from gancli.zoo import catalogue


def test_the_table_of_differences_has_every_model() -> None:
    text = export.PAGE.read_text(encoding="utf-8").split(export.START)[1].split(export.END)[0]
    rows = re.findall(r"^\| `([\w/-]+)(?:, \w+)?` \| (\S+) \| (\S+) \|$", text, re.MULTILINE)
    assert list(dict.fromkeys(name for name, *_ in rows)) == [one.name for one in catalogue.entries() if one.path]
    assert all(0 <= float(figure) <= TOLERANCE for _, *figures in rows for figure in figures)


def test_a_measured_table_takes_the_place_of_the_old_one() -> None:
    found = {"sine-gan/sine": {"onnx": 1e-7, "torch": 0.0}}
    page = f"before\n\n{export.START}old\n{export.END}\n\nafter\n"
    new = export.updated(page, found)
    assert new.startswith("before\n\n" + export.START + "| model |")
    assert new.endswith(export.END + "\n\nafter\n")
    assert "| `sine-gan/sine` | 1.0e-07 | 0.0e+00 |" in new
    assert "old" not in new
