"""``gancli compare`` as a user meets it."""

import json
import re
import shutil
from pathlib import Path

import browser
import pytest

from gancli.rendering import report
from gancli.runs import comparing

EVALUATED = {"results": {"fid": {"value": 3.0, "floor": 0.1}}, "fingerprint": "p", "by": "fid", "best": True}


@pytest.fixture
def two(run_cli, home: Path) -> None:
    """A tiny run, and a copy of it with another rate, half of the images, and other metrics."""
    assert run_cli("train", "digits", "--rounds", 2, "--out", "runs/a", "-q", "--set", "training.batch=16").code == 0
    shutil.copytree("runs/a", "runs/b")
    recipe = Path("runs/b/recipe.toml").read_text().replace("[optimizer.generator]", "[optimizer.generator]\n# other")
    Path("runs/b/recipe.toml").write_text(re.sub(r"(# other\nname = .*\nlr = ).*", r"\g<1>0.5", recipe))
    for name, last, slope in (("a", 400, 1.0), ("b", 200, 2.0)):
        rows = [
            {"round": n, "images": n, "seconds": n / 10, "loss/generator": slope * n} for n in range(10, last + 1, 10)
        ]
        rows.append({"round": last, "images": last, "seconds": 1.0, "evaluation": {**EVALUATED, "seconds": 1.0}})
        Path("runs", name, "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_what_differs_and_curves_up_to_the_budget_that_all_have_used(run_cli, two: None) -> None:
    result = run_cli("compare", "a", "b")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "1  a: quick on digits, 2 rounds, finished"
    differences = lines[lines.index("recipes") + 1 : lines.index("curves at 25 %, 50 %, 100 % of 200 images") - 1]
    assert [line.split()[0] for line in differences] == ["optimizer.generator.lr"]
    assert differences[0].split()[-1] == "0.5"
    assert "  loss/generator              50 100 200               100 200 400" in lines
    assert "no figures that compare: a, b; `gancli evaluate runs/a runs/b` evaluates" in result.out


def test_json_has_curves_and_figures_of_one_protocol(run_cli, two: None) -> None:
    found = json.loads(run_cli("compare", "a", "b", "--by", "seconds", "--json").out)
    assert (found["by"], found["until"]) == ("seconds", 20.0)
    assert found["curves"]["loss/generator"][1][-1] == [20.0, 400.0]
    assert found["curves"]["fid"] == [[[1.0, 3.0]], [[1.0, 3.0]]]
    assert list(found["differences"]) == ["optimizer.generator.lr"]


def test_the_page_holds_everything_and_asks_for_nothing(run_cli, two: None) -> None:
    Path("runs/b/tag.txt").write_text("second\n")
    result = run_cli("compare", "a", "second", "--out", "made/report.html")
    assert result.out.endswith("made/report.html  the same with plots and samples\n")
    page = Path("made/report.html").read_text()
    assert page.count("<svg") == len(comparing.compare([Path("runs/a"), Path("runs/b")]).metrics)
    assert page.count('src="data:image/png;base64,') == 2
    assert "optimizer.generator.lr" in page
    assert not re.findall(r"(?:src|href)=.(?!data:)|url\(|<script|@import", page)


def test_the_page_in_a_browser(run_cli, two: None) -> None:
    assert run_cli("compare", "a", "b", "--out", "report.html").code == 0
    with browser.opened(Path("report.html").resolve().as_uri(), offline=True) as page:
        assert page.evaluate("[...document.images].every((one) => one.naturalWidth > 0)")
        for width in (380, 1600):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate(browser.OVERFLOW) <= 0
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert browser.accessibility(page) == []
        assert page.problems == []
        assert all(asked.startswith(("file:", "data:")) for asked in page.requests)


def test_errors(run_cli, two: None) -> None:
    for arguments, message in (
        (["a", "--out", "report.pdf"], "--out 'report.pdf' is not the name of a page"),
        (["a", "nowhere"], "there is no folder, tag or run 'nowhere'"),
        (["a", "a"], "a run is named twice"),
        (["a"] * 9, "9 runs cannot be compared"),
    ):
        result = run_cli("compare", *arguments)
        assert (result.code, result.err.splitlines()[0]) == (2, f"error: {message}")
    Path("runs/b/model.safetensors").write_bytes(b"")
    assert "runs/b is broken" in run_cli("compare", "a", "b").err


def test_strange_text_stays_text() -> None:
    strange = '</title><script>alert("1")</script>'
    parts = [
        report.heading(strange, strange),
        report.table([report.labelled(strange, 0)], [(strange, [strange])]),
        report.plot(strange, [[(0.0, 1.0), (2.0, float("nan")), (3.0, 2.0)]], [strange], strange),
        report.picture(b"png", report.labelled(strange, 1)),
    ]
    page = report.page(strange, parts)
    assert "<script" not in page
    assert "nan" not in page.split("</style>")[1]


def test_a_plot_s_points_lie_where_their_values_say() -> None:
    drawn = report.plot("loss", [[(0.0, 0.0), (50.0, 1.0), (100.0, 2.0)]], ["a"], "images")
    (points,) = re.findall(r'points="([^"]*)"', drawn)
    (x0, y0), (x1, y1), (x2, y2) = (map(float, point.split(",")) for point in points.split())
    assert (x1 - x0, y0 - y1) == (pytest.approx(x2 - x1, abs=0.2), pytest.approx(y1 - y2, abs=0.2))
    assert (x0, x2) == (report.LEFT, report.WIDTH - 8)
    assert (y0, y2) == (report.HEIGHT - report.BOTTOM, 8)
    assert report.plot("loss", [[]], ["a"], "images") == ""
