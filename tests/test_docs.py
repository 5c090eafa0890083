"""Tables and pictures are fresh and links lead somewhere."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageSequence

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def script(name: str) -> ModuleType:
    """A script of docs/."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PICTURES = script("pictures")


def pixels(path: Path) -> np.ndarray:
    """All frames: int (frames, height, width, 3)."""
    with Image.open(path) as image:
        return np.stack([np.asarray(frame.convert("RGB"), dtype=int) for frame in ImageSequence.Iterator(image)])


@pytest.mark.parametrize("name", PICTURES.PICTURES)
def test_pictures_are_those_of_the_present_weights(name: str, tmp_path: Path) -> None:
    stored = PICTURES.PICTURES[name]
    PICTURES.draw(name, made := tmp_path / stored.name)
    # The processor may round differently.
    np.testing.assert_allclose(pixels(made), pixels(stored), rtol=0, atol=2)


def test_the_commands_below_pictures_are_those_that_draw_them() -> None:
    page = README + "".join((ROOT / f"docs/{name}.md").read_text(encoding="utf-8") for name in ("tutorial", "editing"))
    for command in PICTURES.COMMANDS.values():
        assert f"gancli {command}" in page


def test_the_tables_of_models_are_fresh() -> None:
    tables = script("tables")
    assert tables.updated(README) == README
    assert tables.zoo() == (ROOT / "docs/zoo.md").read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """What links can name in a page: its headings in small letters, without punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_and_picture_of_the_docs_leads_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("zoo/*/*.md")]:
        for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            if target.startswith("http"):
                continue
            file = page.parent / target if target else page
            assert file.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(file), f"{page.name}: {target}#{anchor}"
