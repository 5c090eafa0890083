"""Fixtures for every test: an isolated home, and the command line run in this process."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# ``benchmarks`` makes hostile files for tests as well.
sys.path.insert(0, str(Path(__file__).parents[1]))

# Before torch is imported, here and in processes that tests start: on a busy machine, threads that wait for each other
# made these very small networks five times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Messages name commands as they were started: `gancli …`, however the tests are.
os.environ.pop("UV_RUN_RECURSION_DEPTH", None)
# The same examples every time, however long a busy machine takes for one.
settings.register_profile(
    "gancli",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("gancli")
# Read by CUDA's library once, when it multiplies for the first time.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


FAST = (
    "architectures/test_heads.py",
    "architectures/test_upsample.py",
    "architectures/test_resnet.py",
    "objectives/test_losses.py",
    "objectives/test_step.py",
    "test_checkpoint.py",
    "test_files.py",
    "test_latent.py",
    "test_migration.py",
    "test_recipe.py",
    "test_registry.py",
    "test_words.py",
    "evaluation/test_comparison.py",
    "evaluation/test_metrics.py",
    "evaluation/test_scores.py",
    "training/test_optimizers.py",
)
"""Files and folders of unit tests, marked ``fast``."""


LONGEST = (
    "cli/test_together.py",
    "test_commands.py",
    "training/test_health.py",
    "training/test_processes.py",
    "training/test_survival.py",
    "benchmarks/test_throughput.py",
    "benchmarks/test_faults.py",
    "training/test_evaluating.py",
)
"""Files that take longest."""


def is_fast(path: Path) -> bool:
    """Whether a file has tests marked ``fast``."""
    name = path.relative_to(Path(__file__).parent).as_posix()
    return any(name == fast or (fast.endswith("/") and name.startswith(fast)) for fast in FAST)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m fast``, import no other file."""
    other = config.option.markexpr == "fast" and collection_path.is_file() and not is_fast(collection_path)
    return True if other else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the fast tests, and begin with the longest files: what begins last is what the other processes wait for."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONGEST))
    for item in items:
        if is_fast(item.path):
            item.add_marker("fast")


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and an empty cache; nothing of the machine's user is seen or touched."""
    monkeypatch.setenv("GANCLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GANCLI_DATA", raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def plain_losses(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty picture for the plot of the losses, whose text takes half of the time of a training of a few rounds.

    tests/rendering/test_plots.py draws it, and so do processes that tests start and tests marked ``plots``.
    """
    trains = "torch" in sys.modules or "run_cli" in request.fixturenames
    if not trains or any(request.node.get_closest_marker(name) for name in ("fast", "plots")):
        return

    def empty(_rows: object, path: Path) -> None:
        from PIL import Image, PngImagePlugin

        from gancli.files import DRAWN

        comment = PngImagePlugin.PngInfo()
        comment.add_text("Comment", DRAWN.decode())
        Image.new("RGB", (9, 6)).save(path, pnginfo=comment)

    monkeypatch.setattr("gancli.runs.previews.save_losses", empty)


@pytest.fixture(autouse=True)
def same_threads(plain_losses: None) -> Iterator[None]:
    """As many threads after a test as before it: a training sets those of its recipe."""
    torch: Any = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else None
    yield
    if before:
        torch.set_num_threads(before)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch with one thread, whatever the machine's user has set: for very small networks."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def app_once(app: Any) -> Any:
    """The commands of an app, which typer would make out of their signatures again for every one that is run."""
    from typer.main import get_command

    return get_command(app)


@pytest.fixture
def run_cli(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """``run_cli("sample", "--help")`` runs the command and gives exit code, standard output, standard error."""
    from gancli.cli import main
    from gancli.cli._app import app

    made = app_once(app)
    monkeypatch.setattr("typer.main.get_command", lambda _app: made)
    from gancli.cli.terminal import console

    def run(*arguments: object) -> Result:
        console.stderr.cache_clear()
        console.stdout.cache_clear()
        capfd.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Result(int(leaving.value.code or 0), out, err)

    return run
