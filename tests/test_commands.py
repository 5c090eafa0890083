"""Every command that README and docs name is run, with its budget made small. Each page is read from top to bottom in
one folder, as a reader would: what a command makes is there for the next."""

import os
import re
import shlex
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "data"))
from conftest_data import noise, pack, write

ROOT = Path(__file__).parents[1]
# Translations have the commands of their originals: tests/test_translations.py.
ORIGINALS = (page for page in ROOT.glob("docs/*.md") if not page.stem.endswith(".zh-CN"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ORIGINALS)]
# Read before the fixture that hides it from every test.
REAL_DATA = os.environ.get("GANCLI_DATA", "")

SMALL = {
    "train": ["--rounds", "2"],
    "sweep": ["--rounds", "2"],
    "evaluate": ["-n", "24"],
    "interpolate": ["--frames", "2"],
}
"""What replaces a command's own budget."""

BUDGETS = {
    "train": ("--minutes", "--epochs", "--kimg", "--rounds"),
    "sweep": ("--minutes", "--rounds"),
    "evaluate": ("-n", "--images"),
    "interpolate": ("--frames",),
    "sample": ("-n",),
    "reconstruct": ("--steps", "-n"),
    "inpaint": ("--steps",),
    "translate": ("-n",),
}
FEW = {
    "sample": {"-n": "6"},
    "reconstruct": {"--steps": "2", "-n": "3"},
    "inpaint": {"--steps": "2"},
    "translate": {"-n": "3"},
}


def commands(page: Path) -> list[str]:
    """Lines of code and quotations that start with gancli, in their order, without comments and pipes."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^(?: {4}|uv run )?(gancli [^\n]*)|`(gancli [a-z]+ [^`\n]*)`", text, flags=re.MULTILINE)
    found = [re.split(r"\s+#\s|\s+[|>]\s", code or quoted)[0].strip() for code, quoted in lines]
    # A command that is only mentioned, without what it takes, is none to run.
    found = [line for line in found if line != "gancli data show"]
    # `zoo add` writes into the checkout that it runs from; tests/test_publish.py runs it on another.
    found = [line for line in found if not line.startswith("gancli zoo add")]
    whole = [line for line in found if not re.search(r"\b[A-Z]{2,}\b|…|\.\.\.", line)]  # NAME and … are no commands
    return list(dict.fromkeys(whole))


def shortened(words: list[str]) -> list[str]:
    """The command with little to do."""
    name, rest = words[0], words[1:]
    kept: list[str] = []
    skip = False
    for word, after in pairwise([*rest, ""]):
        if skip:
            skip = False
        elif word == "--processes":  # tests/cli/test_together.py starts some
            skip = True
        elif word in BUDGETS.get(name, ()):
            small = FEW.get(name, {}).get(word)
            kept += [word, small] if small else []
            skip = bool(after)
        else:
            kept.append(word)
    if name == "evaluate" and any(word.startswith(("sine", "points")) for word in rest):
        return [name, *kept]
    if name == "evaluate" and "--metrics" not in rest and any("mnist" in word for word in rest):
        # All metrics take the features of all 60,000 training images; those of digits have a command with all of them.
        kept += ["--metrics", "fid,recall"]
    resumed = "--resume" in rest
    return [name, *kept, *([] if resumed else SMALL.get(name, []))]


def missing(words: list[str]) -> str:
    """The data set that a command needs and that is not on this machine; nothing if all is there."""
    from gancli.data.builtin.names import DATASETS
    from gancli.data.paths import present

    for word in words:
        for name in {word, word.rpartition("/")[2]} & set(DATASETS):
            facts = DATASETS[name]
            named = ("sample", "interpolate", "mix", "traverse", "directions", "export", "zoo")
            if words[0] not in named and not present(facts, None):
                return name
    return ""


@pytest.fixture
def reader(home: Path, run_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with what a reader has: photographs, a second folder of them, images of a
    size with digits, a mask, a run called ``runs/mine``."""
    from gancli.editing import inversion
    from gancli.page import server
    from gancli.runs import planning

    # The page is made and listens, and ends at once; tests/page opens it.
    monkeypatch.setattr(server, "serve", lambda _app, _opened: None)
    monkeypatch.setenv("BROWSER", "true")
    monkeypatch.setattr(inversion, "SEEDS", 16)
    monkeypatch.setattr(planning, "measure", partial(planning.measure, seconds=0.0))
    if REAL_DATA:
        monkeypatch.setenv("GANCLI_DATA", REAL_DATA)
    pictures = {f"{number}.png": noise(number, (32, 32)) for number in range(12)}
    for folder in ("photos", "horses", "zebras", "drawings"):
        write(home / folder, pictures)
    write(home / "pairs", {f"{number}.png": noise(number, (64, 128)) for number in range(12)})
    pack(home / "photos.zip", pictures)
    pack(home / "images.zip", {f"{number}.png": noise(number, (28, 28), channels=1) for number in range(24)})
    for archive in ("results.zip", "true.zip"):
        pack(home / archive, {f"{number}.png": noise(number, (28, 28)) for number in range(24)})
    (home / "photo.png").write_bytes(noise(99, (32, 32)))
    (home / "digit.png").write_bytes(noise(98, (28, 28), channels=1))
    (home / "mask.png").write_bytes(mask())
    assert run_cli("train", "digits", "--rounds", "2", "--out", "runs/mine", "--quiet").code == 0


def mask() -> bytes:
    import io

    from PIL import Image

    file, picture = io.BytesIO(), Image.new("L", (28, 28))
    picture.paste(255, (8, 8, 20, 20))
    picture.save(file, "PNG")
    return file.getvalue()


PROBLEMS = re.compile(r"Traceback|unexpected error")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_of_a_page_runs(page: Path, reader: None, run_cli) -> None:
    absent = set()
    for command in commands(page):
        words = shortened(shlex.split(command)[1:])
        if name := missing(words):
            absent.add(name)
            continue
        result = run_cli(*words)
        assert not PROBLEMS.search(result.err), f"{command}\n{result.err}"
        if "--resume" in words and "there is no unfinished run" in result.err:
            continue  # as it should be: two rounds are done before anybody could stop them
        assert result.code == 0, f"{command}\nrun as: gancli {shlex.join(words)}\n{result.err}"
    if absent and not REAL_DATA:
        pytest.skip(f"the commands for {', '.join(sorted(absent))} need GANCLI_DATA; the page's others ran")
    assert absent <= {"cifar10", "cifar100", "fashion-mnist"}, f"not run for lack of data: {absent}"


def test_commands_are_found_and_shortened(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "    gancli train mnist --minutes 5   # five\n\n`gancli sample x -n 10000` `gancli zoo show NAME`\n"
    )
    found = commands(page)
    assert found == ["gancli train mnist --minutes 5", "gancli sample x -n 10000"]
    assert [shortened(command.split()[1:]) for command in found] == [
        ["train", "mnist", "--rounds", "2"],
        ["sample", "x", "-n", "6"],
    ]
