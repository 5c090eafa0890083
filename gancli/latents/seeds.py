"""Seeds, as users type them. No torch is imported here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gancli.errors import UsageError

Seeds = range | tuple[int, ...]

# torch's CPU generator keeps the low 32 bits of a seed: above this limit two seeds would be one image.
MAX_SEED = 2**32 - 1
MAX_SEEDS = 1_000_000
_EXAMPLE = "seeds are whole numbers and ranges, such as 7 or 0-63 or 0-9,42,100-109"


def parse_seeds(text: str, *, option: str = "--seeds") -> Seeds:
    """Read ``0-63,100,7``: single seeds and ranges with both ends, in the order in which they are written.

    Args:
        text: what the user typed.
        option: the name of the option, for messages.

    Raises:
        UsageError: not a list of whole numbers in [0, 2**32), a range that runs backwards, or more than a million.
    """
    ranges: list[range] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", part)
        if not found:
            what = f"'{short(part.strip())}' is not a whole number or a range of whole numbers"
            raise UsageError(f"{option} {what if text.strip() else 'is empty'}", _EXAMPLE)
        first, last = (_seed(digits, option) for digits in (found[1], found[2] or found[1]))
        if last < first:
            raise UsageError(f"{option} '{part.strip()}' runs backwards", f"write it as {last}-{first}")
        ranges.append(range(first, last + 1))
    total = sum(map(len, ranges))
    if total > MAX_SEEDS:
        raise UsageError(
            f"{option} '{short(text)}' names {total:,} seeds; at most {MAX_SEEDS:,} go in one command",
            "make them in several commands, such as 0-999999 and then 1000000-1999999",
        )
    return ranges[0] if len(ranges) == 1 else tuple(seed for part in ranges for seed in part)


def seeds_text(seeds: Sequence[int]) -> str:
    """Seeds as :func:`parse_seeds` reads them, consecutive ones as ranges."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _seed(digits: str, option: str) -> int:
    if len(digits.lstrip("0")) > 10 or int(digits) > MAX_SEED:
        raise UsageError(f"{option} '{short(digits)}' is too large", f"seeds go from 0 to {MAX_SEED}")
    return int(digits)


def short(text: str) -> str:
    """A text of any length as a message quotes it."""
    return text if len(text) <= 40 else f"{text[:37]}..."
