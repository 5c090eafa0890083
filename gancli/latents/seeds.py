"""Seeds, as users type them. No torch is imported here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gancli.errors import UsageError

Seeds = range | tuple[int, ...]

# torch's CPU generator keeps the low 32 bits of a seed: above this limit two seeds would be one image.
MAX_SEED = 2**32 - 1
MAX_SEEDS = 1_000_000
_EXAMPLE = "such as 7 or 0-63 or 0-9,42,100-109"


def parse_seeds(text: str, *, what: str = "`seeds`") -> Seeds:
    """Read ``0-63,100,7``: single seeds and ranges with both ends, in the order in which they are written.

    Args:
        text: what the user typed.
        what: names them in messages.

    Raises:
        UsageError: not a list of whole numbers, a range that runs backwards, or more than a million.
    """
    ranges: list[range] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]{1,10})\s*(?:-\s*([0-9]{1,10})\s*)?", part)
        if not found or int(found[2] or found[1]) < int(found[1]):
            raise UsageError(f"{what} '{short(part.strip())}' is not a whole number or a range of them", _EXAMPLE)
        ranges.append(range(int(found[1]), int(found[2] or found[1]) + 1))
    total = sum(map(len, ranges))
    if total > MAX_SEEDS:
        raise UsageError(
            f"{what} '{short(text)}' names {total:,} seeds; at most {MAX_SEEDS:,} go in one command",
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


def short(text: str) -> str:
    """A text of any length as a message quotes it."""
    return text if len(text) <= 40 else f"{text[:37]}..."
