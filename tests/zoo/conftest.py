"""Lets the tests of this folder import the script that writes their references."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
