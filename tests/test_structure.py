"""The house: who imports whom, what start-up costs, and what the code must never do."""

import ast
import os
import re
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gancli"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = {
    "errors": -1, "plugins": 0, "alpha": 0, "device": 1, "files": 1, "lock": 1, "registry": 1, "processes": 1,
    "hub": 1, "recipe": 2, "latents": 1, "latents.conditions": 3, "checkpoint": 2, "zoo.catalogue": 3, "zoo.cards": 4,
    "data": 2, "architectures": 3, "rendering": 2, "terms": 4, "objectives": 5, "model": 4, "metrics": 4,
    "evaluation": 6, "exporting": 5, "importing": 5, "training": 7, "runs": 8, "editing": 7, "zoo.publishing": 7,
    "zoo.hub_cards": 7, "zoo.sharing": 8, "library": 9, "page": 9, "cli": 10,
}  # fmt: skip
"""A module imports what has a smaller number, or its own part; a module with a line of its own is a part of its own."""


def module(path: Path) -> str:
    """The dotted name within gancli, such as ``data.folder.layout``."""
    words = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(words[:-1] if words[-1] == "__init__" else words)


MODULES = {module(path) for path in FILES}


def part(name: str) -> str | None:
    """The longest line of ``LAYERS`` that a module belongs to; None for gancli itself."""
    words = name.split(".")
    found = (".".join(words[:count]) for count in range(len(words), 0, -1))
    return next((prefix for prefix in found if prefix in LAYERS), None)


def imports(path: Path) -> set[str]:
    """Modules of gancli that a file imports outside of type checking, also within functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "gancli":
            base = node.module.removeprefix("gancli").removeprefix(".")
            names = {f"{base}.{alias.name}".removeprefix(".") for alias in node.names}
            found |= {name if name in MODULES else base for name in names}
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("gancli.") for a in node.names if a.name.startswith("gancli.")}
    return (found & MODULES) - {""}


def test_every_part_has_its_layer() -> None:
    parts = {part(name) for name in MODULES - {"", "__main__", "zoo"}}
    assert parts == set(LAYERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = part(module(path))
    if own is None:
        return
    parts = {part(name) for name in imports(path)} - {own, None}
    assert not {other for other in parts if LAYERS[other] >= LAYERS[own]}


def test_no_imports_run_in_rings() -> None:
    """Neither between packages nor inside one."""
    graph = {module(path): imports(path) - {module(path)} for path in FILES}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"these modules import each other: {' -> '.join(error.args[1])}")


def literals(path: Path) -> list[str]:
    """The string literals of a file, docstrings aside, with {} for what f-strings fill in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            found.append("".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | parts:
            found.append(node.value)
    return found


@pytest.mark.parametrize(
    "path",
    [
        path for path in FILES if part(module(path)) != "cli" and not path.name.endswith("cards.py")
    ],  # cards are Markdown
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_only_the_command_line_names_its_options(path: Path) -> None:
    """Elsewhere a message has a parameter or a whole command in backticks; see ``cli/terminal/commands.py``."""
    names = "train|doctor|sample|interpolate|traverse|directions|mix|inpaint|evaluate|compare|translate|reconstruct"
    names += "|export|explore|import|push|data|zoo|runs|sweep"
    option = re.compile(rf"(^|[\s(])--[a-z]|(?<!`)\bgancli ({names}) ")
    texts = [text for text in literals(path) if option.search(re.sub("`gancli [^`]*`", "", text))]
    assert not texts


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_training_steps_optimizers(path: Path) -> None:
    if part(module(path)) == "training" or path.name == "inversion.py":
        return
    text = path.read_text(encoding="utf-8")
    assert ".backward(" not in text.replace("``.backward()``", "")
    assert "torch.optim" not in text


LIGHT = """
import sys
from gancli.cli import main
for words in sys.argv[1:]:
    try:
        main(words.split())
    except SystemExit as leaving:
        assert not leaving.code, words
    heavy = {"torch", "torchvision", "numpy", "PIL", "matplotlib"} & set(sys.modules)
    print(f"\\n#{words}:", *sorted(heavy))
"""


def test_light_commands_do_not_import_torch() -> None:
    """One after another in one process, where the first that imports any of these is named."""
    helps = ("", "train", "sample", "interpolate", "traverse", "directions", "mix", "inpaint", "evaluate", "export")
    helps += ("doctor", "push", "compare", "explore", "import", "sweep")
    commands = [*(f"{name} --help".strip() for name in helps), "--version"]
    commands += ["data list", "runs", "zoo list", "zoo show dcgan/mnist"]
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, *commands],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=900,
    )  # fmt: skip
    told = [line for line in done.stdout.splitlines() if line.startswith("#")]
    assert told == [f"#{words}:" for words in commands]
