"""``gancli data``: list and show."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gancli


@pytest.fixture(autouse=True)
def nothing_shared(monkeypatch):
    monkeypatch.delenv("GANCLI_DATA", raising=False)


@pytest.fixture
def photos(home) -> Path:
    """Three classes of one shade each, and a broken file."""
    for shade, name in ((10, "ant"), (100, "bee"), (200, "cat")):
        (home / "photos" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (90, 120), (shade, shade, i)).save(home / "photos" / name / f"{i}.png")
    (home / "photos" / "bee" / "9.png").write_bytes(b"broken")
    return home / "photos"


def test_help_shows_an_example(run_cli):
    assert "Example: gancli data show digits" in run_cli("data", "--help").out


def test_an_unreadable_folder_among_others_is_left_out(run_cli, photos, monkeypatch, caplog):
    def scan(folder, real=os.scandir):
        if not isinstance(folder, int) and Path(folder).name == "bee":
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr("gancli.data.folder.files.os.scandir", scan)
    result = run_cli("data", "show", photos, "--json")
    assert result.code == 0
    assert json.loads(result.out)["classes"] == {"ant": 3, "cat": 3}
    assert caplog.messages == [f"left out the folder '{photos / 'bee'}': permission denied"]


def test_list(run_cli):
    result = run_cli("data", "list")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].split() == ["name", "size", "channels", "classes", "train", "test", "here"]
    assert lines[1].split() == ["digits", "8x8", "1", "10", "1,442", "355", "yes"]
    assert lines[2].split() == ["mnist", "28x28", "1", "10", "60,000", "10,000", "no"]
    assert lines[21].split() == ["sine", "15", "numbers", "1", "none", "drawn", "drawn", "yes"]
    assert len(lines) == 25
    assert result.err == (
        "`gancli data show NAME` shows one, and downloads it first; folders and zips of images serve as data too\n"
    )


def test_list_as_json(run_cli, home):
    for split in ("train", "test"):
        (home / "data").mkdir(exist_ok=True)
        (home / "data" / {"train": "usps.bz2", "test": "usps.t.bz2"}[split]).write_bytes(b"")
    result = run_cli("data", "list", "--json", "--data-dir", home / "data")
    rows = {row["name"]: row for row in json.loads(result.out)}
    assert (result.code, result.err) == (0, "")
    assert rows["svhn"] == {
        "name": "svhn",
        "size": [32, 32],
        "channels": 3,
        "classes": 10,
        "images": {"train": 73257, "test": 26032},
        "here": False,
        "needs": ["scipy"],
        "licence": "non-commercial use",
    }
    assert [name for name, row in rows.items() if row["here"]] == [
        "digits",
        "usps",
        "sine",
        "ring",
        "grid",
        "swissroll",
    ]


def test_show_digits(run_cli, home):
    result = run_cli("data", "show", "digits")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "name         digits\n"
        "split        train\n"
        "images       1,442\n"
        "shape        8x8, grey\n"
        "classes      10: 0 143, 1 146, 2 142, 3 147, 4 145, 5 146, 6 145, 7 144, 8 140, 9 144\n"
        "splits       train 1,442, test 355\n"
        "fingerprint  3711e337279e9bed\n"
        "picture      digits-grid.png\n"
    )
    with Image.open(home / "digits-grid.png") as picture:
        assert picture.mode == "L"
        assert len(np.unique(np.asarray(picture))) > 10


def test_show_a_folder(run_cli, home, photos):
    result = run_cli("data", "show", "photos", "--grid", "3x3", "--out", "x/grid.png")
    assert result.code == 0
    assert result.out.splitlines()[:5] == [
        "name         photos",
        "split        train",
        "images       9",
        "shape        64x48, colour",
        "classes      3: ant 3, bee 3, cat 3",
    ]
    assert result.err == (
        "note: larger images are reduced to 64 pixels on the longer side; --size changes that\n"
        "left out bee/9.png: not an image that PIL reads\n"
    )
    with Image.open(home / "x" / "grid.png") as picture:
        assert {10, 100, 200} <= set(np.unique(np.asarray(picture)[:, :, 0]).tolist())


def test_show_augmented(run_cli, home):
    """Four columns and two rows, of which the first column is the images themselves, here 8 x 8 enlarged 8 times."""
    run_cli("data", "show", "digits", "--grid", "1x2", "--out", "plain.png")
    pictures = {}
    for name in ("diffaugment", "ada"):
        result = run_cli("data", "show", "digits", "--augmented", name, "--grid", "4x2")
        assert (result.code, result.err) == (0, "")
        assert result.out.endswith(f"picture      digits-{name}.png\n")
        pictures[name] = np.asarray(Image.open(home / f"digits-{name}.png"))
        assert pictures[name].shape == (2 * 66 + 2, 4 * 66 + 2)
        assert np.array_equal(pictures[name][:, :68], np.asarray(Image.open(home / "plain.png")))
        cells = [pictures[name][2:66, 2 + 66 * column : 66 + 66 * column] for column in range(4)]
        assert all((cells[0] != other).any() for other in cells[1:])
    assert (pictures["ada"] != pictures["diffaugment"]).any()


def test_show_augmented_is_the_same_each_time(run_cli, home, photos):
    run_cli("data", "show", photos, "--augmented", "ada", "--out", "1.png")
    run_cli("data", "show", photos, "--augmented", "ada", "--out", "2.png")
    assert (home / "1.png").read_bytes() == (home / "2.png").read_bytes()


def test_show_as_json(run_cli, photos):
    result = run_cli("data", "show", photos, "--json", "--size", "20x10", "--channels", "1", "--fit", "pad")
    document = json.loads(result.out)
    assert (result.code, result.err, len(document.pop("fingerprint"))) == (0, "", 16)
    assert document == {
        "name": "photos",
        "split": "train",
        "images": 9,
        "shape": [1, 20, 10],
        "classes": {"ant": 3, "bee": 3, "cat": 3},
        "splits": {"train": 10},
        "left_out": {},
        "skipped": [{"name": "bee/9.png", "reason": "not an image that PIL reads"}],
        "picture": "photos-grid.png",
        "copies": {"images": 6, "examples": ["ant/0.png", "ant/1.png"]},
        "near_duplicates": {
            "groups": 1,
            "images": 9,
            "largest": 9,
            "examples": ["ant/0.png", "ant/1.png", "ant/2.png"],
        },
        "odd_shapes": {"images": 0, "examples": []},
        "small": {"images": 0, "examples": []},
        "balance": {"ant": 3},
    }


def test_a_folder_is_surveyed_before_training(run_cli, home):
    generator = np.random.default_rng(0)
    for name, sides, count in (("cat", (20, 20), 3), ("dog", (20, 40), 1), ("owl", (9, 10), 1)):
        (home / "zoo" / name).mkdir(parents=True)
        for i in range(count):
            pixels = generator.integers(0, 256, (*sides, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(home / "zoo" / name / f"{i}.png")
    (home / "zoo/cat/copy.png").write_bytes((home / "zoo/cat/0.png").read_bytes())
    lines = run_cli("data", "show", "zoo").out.splitlines()
    assert lines[8:] == [
        "copies       1 with the pixels of another image",
        "             such as cat/0.png, cat/copy.png",
        "alike        2 are near-duplicates; groups: 1, the largest 2",
        "             such as cat/0.png, cat/copy.png",
        "odd shapes   1 lose more than a third if cropped",
        "             such as dog/0.png (20x40)",
        "small        1 smaller than these sizes, and enlarged",
        "             such as owl/0.png (9x10)",
        "balance      1 (dog) to 4 (cat) images a class",
    ]


def test_many_files_left_out_are_counted(run_cli, photos):
    for i in range(15):
        (photos / "ant" / f"bad{i:02d}.png").write_bytes(b"x")
    result = run_cli("data", "show", "photos")
    (photos / "ant" / "c.png").write_bytes(b"")
    again = run_cli("data", "show", "photos")
    line = "left out ant/bad00.png and 15 more: not an image that PIL reads; --json names them all"
    assert result.err.splitlines()[-1] == line
    assert again.err.splitlines()[-2:] == [line, "left out ant/c.png: empty: 0 bytes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digitz"], "error: there is no data set 'digitz'\n\nhint: did you mean 'digits'?\n"),
        (
            ["digits", "--size", "big"],
            "error: 'big' is not an image size\n\n"
            "hint: give one side, as in 32, or height x width, as in 32x48; each from 1 to 4096\n",
        ),
        (["digits", "--grid", "8"], "error: --grid '8' is not columns x rows\n\nhint: for example: --grid 8x4\n"),
        (
            ["digits", "--out", "x.gif"],
            "error: --out 'x.gif' is not the name of a picture\n\nhint: end it in .png, .jpg or .webp\n",
        ),
        (["digits", "--split", "tests"], "error: unknown split 'tests'\n\nhint: did you mean 'test'?\n"),
        (
            ["digits", "--channels", "2"],
            "error: images have 1, 3 or 4 channels, not 2\n\nhint: 1 is grey, 3 is colour, 4 is colour with alpha\n",
        ),
        (["digits", "--augmented", "add"], "error: there is no augmentation 'add'\n\nhint: did you mean 'ada'?\n"),
        (
            ["digits", "--augmented", "ada", "--grid", "1x8"],
            "error: --augmented needs a second column beside the images themselves\n\n"
            "hint: give more columns, as in --grid 8x4\n",
        ),
        (
            ["sine", "--augmented", "ada"],
            "error: 'sine' has numbers, which are not augmented\n\nhint: choose a data set of images\n",
        ),
        (["digits", "--fit", "cut"], "error: unknown fit 'cut'\n\nhint: one of: crop, pad, stretch\n"),
        (
            ["digits", "--background", "vanilla"],
            "error: unknown colour 'vanilla'\n\nhint: a name as in white, or a code as in #ff8800\n",
        ),
    ],
)
def test_faults(run_cli, home, arguments, message):
    result = run_cli("data", "show", *arguments)
    assert (result.code, result.out, result.err) == (2, "", message)
    assert not list(home.glob("*.png"))


def test_a_picture_of_the_folder_is_not_written_over(run_cli, home):
    (home / "photos").mkdir()
    Image.new("L", (8, 8)).save(home / "photos" / "1.png")
    before = (home / "photos" / "1.png").read_bytes()
    result = run_cli("data", "show", "photos", "--out", "photos/1.png")
    assert (result.code, result.err) == (
        2,
        "error: --out 'photos/1.png' is inside 'photos' itself\n\nhint: name another path\n",
    )
    assert (home / "photos" / "1.png").read_bytes() == before


PROBE = """
import sys
from gancli.cli import main
try:
    main(["data", "list"])
except SystemExit as leaving:
    assert not leaving.code
heavy = {"torch", "torchvision", "numpy", "PIL"} & set(sys.modules)
from gancli.data import load
load("digits", size=(16, 16))
heavy |= {"torchvision", "scipy", "sympy", "torch._dynamo", "sklearn"} & set(sys.modules)
print("heavy:", sorted(heavy))
"""


def test_nothing_heavy_is_imported():
    # Found without being installed as well, as when the tests run in a checkout.
    environment = os.environ | {"PYTHONPATH": str(Path(gancli.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_a_bar_on_a_terminal_only(run_cli, home, monkeypatch, photos):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TTY_INTERACTIVE", "1")
    seen = run_cli("data", "show", "photos", "--json")
    assert "decoding" in seen.err
    assert "10/10" in seen.err
    assert json.loads(seen.out)["images"] == 9
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    assert run_cli("data", "show", "photos", "--json", "--channels", "1").err == ""


def test_bars_count_downloads_in_bytes_and_can_be_silent(monkeypatch, capfd):
    from gancli.cli.terminal import console
    from gancli.cli.terminal.progress import progress_bar

    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TTY_INTERACTIVE", "1")
    console.stderr.cache_clear()
    with progress_bar(quiet=True) as progress:
        progress("decoding", 1, 2)
    assert capfd.readouterr().err == ""
    with progress_bar() as progress:
        progress("downloading a[b].gz", 1_500_000, 3_000_000)
        progress("downloading of unknown length", 10, 0)
    found = capfd.readouterr()
    assert "downloading a[b].gz" in found.err
    assert "1.5/3.0 MB" in found.err
    assert found.out == ""


def test_a_folder_called_like_a_built_in_data_set(run_cli, home):
    note = "note: 'digits' is the built-in data set; the folder or file of that name is './digits'\n"
    assert run_cli("data", "show", "digits").err == ""
    (home / "digits").mkdir()
    assert run_cli("data", "show", "digits").err == note
