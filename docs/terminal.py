"""A terminal's screen as an SVG: ``tmux capture-pane -ep | python docs/terminal.py FILE``."""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True, color_system="truecolor")
console.print(Text.from_ansi(sys.stdin.read().rstrip("\n")))
svg = console.export_svg(title="gancli train mnist")
# The picture fetches nothing: fonts are the reader's own.
Path(sys.argv[1]).write_text(re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL), encoding="utf-8")
