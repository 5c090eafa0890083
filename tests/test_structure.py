"""The house: who imports whom, what start-up costs, and what the code must never do."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gancli"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = {
    "errors": -1, "plugins": 0, "device": 1, "faults": 1, "files": 1, "lock": 1,
    "registry": 1, "conditions": 3, "recipe": 2, "latent": 1, "checkpoint": 2, "catalog": 3, "cards": 4,
    "processes": 1,
    "data": 2, "architectures": 3, "rendering": 2, "objectives": 3, "model": 4, "evaluation": 5, "training": 6,
    "inversion": 5, "mixing": 6, "inpainting": 6, "translation": 6, "publish": 6, "cli": 7,
}  # fmt: skip
"""A module imports what has a smaller number, or its own part."""


def part(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Parts of gancli that a file imports outside of type checking, also within functions."""
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
            words = node.module.split(".")
            found |= {words[1]} if len(words) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("gancli.")}
    return found & set(LAYERS)


def test_every_part_has_its_layer() -> None:
    parts = {part(path) for path in FILES} - {"__init__", "__main__"}
    assert parts == set(LAYERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    own = part(path)
    if own in ("__init__", "__main__"):
        return
    wrong = {other for other in imports(path) if other != own and LAYERS[other] >= LAYERS[own]}
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_training_steps_optimizers(path: Path) -> None:
    if part(path) in ("training", "inversion") or path.name == "train_extractor.py":
        return
    text = path.read_text(encoding="utf-8")
    assert ".backward(" not in text.replace("``.backward()``", "")
    assert "torch.optim" not in text


def modules_after(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom gancli.cli import main\n"
        f"try: main({list(arguments)!r})\nexcept SystemExit: pass\n"
        "print('\\n#' + ' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment(), timeout=120
    )
    return set(done.stdout.rsplit("#", 1)[1].split())


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["sample", "--help"],
        ["interpolate", "--help"],
        ["traverse", "--help"],
        ["mix", "--help"],
        ["inpaint", "--help"],
        ["evaluate", "--help"],
        ["doctor", "--help"],
        ["data", "list"],
        ["zoo", "list"],
        ["zoo", "show", "dcgan/mnist"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_light_commands_do_not_import_torch(arguments: list[str]) -> None:
    loaded = modules_after(*arguments)
    assert "gancli.cli" in loaded
    assert not loaded & {"torch", "torchvision", "numpy", "PIL", "matplotlib"}


def test_sampling_imports_neither_torchvision_nor_optimizers(home: Path) -> None:
    loaded = modules_after("sample", "dcgan/mnist", "-n", "4", "--out", "x.png")
    assert (home / "x.png").exists()
    assert "torch" in loaded
    assert not loaded & {"torchvision", "torch._dynamo", "matplotlib", "scipy", "sympy"}
