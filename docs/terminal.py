"""A terminal's screen as an SVG: ``tmux capture-pane -ep | python docs/terminal.py FILE``."""

import io
import sys

from rich.console import Console
from rich.text import Text

console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True, color_system="truecolor")
console.print(Text.from_ansi(sys.stdin.read().rstrip("\n")))
console.save_svg(sys.argv[1], title="gancli train mnist")
