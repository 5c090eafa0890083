"""Nothing in the code could run what stands in a file: read from the syntax of every module."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path for part in ("gancli", "benchmarks") for path in (ROOT / part).rglob("*.py"))

MODULES = {
    "pickle",
    "_pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "marshal",
    "shelve",
    "runpy",
    "ctypes",
    "code",
}
"""That run what they read, or could."""

LENT = {"gancli/device.py": {"ctypes"}}
"""Who may have one all the same: to tell the C library that is loaded anyway two numbers."""

NEVER = {
    *("eval", "exec", "compile", "__import__", "breakpoint", "os.system", "os.popen", "os.startfile"),
    *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "tempfile.mktemp", "shutil.unpack_archive"),
    *("torch.save", "torch.jit.load", "torch.hub.load", "torch.hub.load_state_dict_from_url"),
    *("torch.package.PackageImporter", "numpy.savez", "numpy.savez_compressed", "numpy.lib.format.read_array"),
    *("yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"),
    *("urllib.request.urlopen", "urllib.request.urlretrieve"),
}
"""That no module calls, or hands on."""

ONLY_WITH = {
    "torch.load": ("weights_only", True),
    "numpy.load": ("allow_pickle", False),
    "numpy.save": ("allow_pickle", False),
}
"""Calls that must say so."""

METHODS = {"extractall"}
"""Of archives, whose members may lie anywhere; a benchmark unpacks what its own machine holds."""

OURS = {
    "gancli/registry.py: module": "a table of that file names the modules",
    "gancli/cli/_imports.py: name": "commands call it with names that stand in them",
}
"""Names of modules that are no text in the call, and who decides them."""


def faults(source: str, file: str = "gancli/x.py") -> list[str]:
    """What a module should not say."""
    tree = ast.parse(source)
    names = _imported(tree)
    found = [
        f"imports {module}" for module in names.values() if module.split(".")[0] in MODULES - LENT.get(file, set())
    ]
    called = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Name | ast.Attribute) or isinstance(node.ctx, ast.Store):
            continue
        full, call = _full(node, names), called.get(id(node))
        if full in NEVER:
            found.append(f"{full}")
        elif full in ONLY_WITH and (call is None or _said(call, ONLY_WITH[full][0]) is not ONLY_WITH[full][1]):
            found.append(f"{full} without {ONLY_WITH[full][0]}={ONLY_WITH[full][1]}")
        elif isinstance(node, ast.Attribute) and node.attr in METHODS and file.startswith("gancli/"):
            found.append(node.attr)
        elif full in ("importlib.import_module", "importlib.metadata.entry_points", "importlib.metadata.EntryPoint"):
            found += _names_a_module(full, call, file)
    shells = (_said(call, "shell") for call in called.values() if any(word.arg == "shell" for word in call.keywords))
    return found + ["shell" for shell in shells if shell is not False]


def _imported(tree: ast.AST) -> dict[str, str]:
    """What names stand for that were imported: full name by name."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                found[each.asname or each.name.split(".")[0]] = each.name if each.asname else each.name.split(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}
    return found


def _full(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    return f"{_full(node.value, names)}.{node.attr}" if isinstance(node, ast.Attribute) else "?"


def _said(call: ast.Call, word: str) -> object:
    value = next((each.value for each in call.keywords if each.arg == word), None)
    return value.value if isinstance(value, ast.Constant) else None


def _names_a_module(full: str, call: ast.Call | None, file: str) -> list[str]:
    """A module may be named by text in the call that begins with ours; plug-ins are found in one place."""
    if full != "importlib.import_module":
        return [] if file in ("gancli/plugins.py", "gancli/registry.py") else [full]
    if call is None or not call.args:
        return [full]
    name = call.args[0]
    first = name.values[0] if isinstance(name, ast.JoinedStr) else name
    if isinstance(first, ast.Constant) and str(first.value).startswith(("gancli.", "benchmarks.")):
        return []
    return [] if f"{file}: {ast.unparse(name)}" in OURS else [f"{full} of {ast.unparse(name)}"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_could_run_what_stands_in_a_file(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT).as_posix())) == []


def test_every_exception_is_still_needed() -> None:
    for place in OURS:
        file, name = place.split(": ")
        assert f"import_module({name})" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("import pickle", "imports pickle"),
        ("import marshal as m", "imports marshal"),
        ("from joblib import load", "imports joblib.load"),
        ("def f():\n    import shelve", "imports shelve"),
        ("import torch\ntorch.load(p)", "torch.load without weights_only=True"),
        ("import torch\ntorch.load(p, weights_only=False)", "torch.load without weights_only=True"),
        ("import torch\ntorch.load(p, weights_only=asked)", "torch.load without weights_only=True"),
        ("from torch import load as l\nl(p)", "torch.load without weights_only=True"),
        ("import torch\nread = torch.load", "torch.load without weights_only=True"),
        ("import torch\ntorch.save(x, p)", "torch.save"),
        ("import torch.hub\ntorch.hub.load_state_dict_from_url(u)", "torch.hub.load_state_dict_from_url"),
        ("import numpy as np\nnp.load(p)", "numpy.load without allow_pickle=False"),
        ("import numpy as np\nnp.load(p, allow_pickle=True)", "numpy.load without allow_pickle=False"),
        ("import numpy\nnumpy.save(p, x)", "numpy.save without allow_pickle=False"),
        ("eval(text)", "eval"),
        ("f = exec", "exec"),
        ("compile(text, '', 'exec')", "compile"),
        ("import builtins\nbuiltins.eval(text)", "builtins.eval"),
        ("__import__(name)", "__import__"),
        ("import yaml\nyaml.load(text)", "yaml.load"),
        ("import subprocess\nsubprocess.run(c, shell=True)", "shell"),
        ("import subprocess\nsubprocess.run(c, shell=asked)", "shell"),
        ("import os\nos.system(c)", "os.system"),
        ("from os import system\nsystem(c)", "os.system"),
        ("import importlib\nimportlib.import_module(name)", "importlib.import_module of name"),
        ("from importlib import import_module\nimport_module(f'{name}.x')", "importlib.import_module of f'{name}.x'"),
        ("from importlib import import_module\nmap(import_module, names)", "importlib.import_module"),
        ("from importlib.metadata import entry_points\nentry_points()", "importlib.metadata.entry_points"),
        ("archive.extractall(folder)", "extractall"),
        ("from urllib.request import urlopen\nurlopen(u)", "urllib.request.urlopen"),
    ],
)
def test_the_reader_finds(source: str, fault: str) -> None:
    assert fault in faults(source)


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(p, weights_only=True)",
        "import numpy as np\nnp.load(p, allow_pickle=False)",
        "import re\nre.compile(text)",
        "network.eval()",
        "import subprocess\nsubprocess.run(c, shell=False)",
        "from importlib import import_module\nimport_module(f'gancli.{name}')",
        "import json\njson.load(file)",
    ],
)
def test_the_reader_lets_pass(source: str) -> None:
    assert faults(source) == []
