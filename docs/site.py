"""Build the site of the docs into ``build/site``: ``uv run --group docs python docs/site.py``.

The pages are the Markdown files of the repository as they are, in the same folders, so that their links hold on a forge
and on the site alike. Only the reference of the commands is written for the site. A broken link is an error.
"""

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # also where a test loads this file
import reference

ROOT = Path(__file__).parents[1]
CONFIG = Path(__file__).with_name("zensical.toml")
FILES = (
    "*.md",
    "docs/*.md",
    "docs/pictures/*",
    "docs/*.ipynb",
    "docs/jobs/*",
    "zoo/*/README.md",
    "zoo/*/*.png",
    "zoo/*/recipe.toml",
)
"""What is copied: pages, and what they link to."""


def stage(folder: Path) -> None:
    """Write the sources of the site: ``zensical.toml`` and ``pages/``."""
    shutil.rmtree(folder / "pages", ignore_errors=True)
    for path in (path for pattern in FILES for path in ROOT.glob(pattern)):
        target = folder / "pages" / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    (folder / "pages/commands").mkdir()
    for name, text in reference.pages().items():
        (folder / "pages/commands" / name).write_text(text, encoding="utf-8")
    shutil.copyfile(CONFIG, folder / CONFIG.name)


def build(folder: Path) -> Path:
    """Write the site into ``site/`` of a folder.

    Raises:
        SystemExit: a link leads nowhere, or zensical is not installed.
    """
    stage(folder)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "--config-file", CONFIG.name]
    if code := subprocess.run(command, cwd=folder, check=False).returncode:
        raise SystemExit(code)
    return folder / "site"


if __name__ == "__main__":
    print(build(ROOT / "build") / "index.html")
