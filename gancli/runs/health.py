"""The health monitor: known failures of GAN training, recognised while they happen from the rows of ``metrics.jsonl``.

A :class:`HealthMonitor` takes every row and checks its rules at *previews*: the rows that are written together with a
sample grid and hold its statistics. Its findings depend on the rows alone, so a finished run can be examined from its
files. Which rules apply depends on which metrics there are: a critic has no probability, an autoencoder no
discriminator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Row = Mapping[str, Any]
Metrics = dict[str, float]

# Keys of rows that are no metrics.
KEY = "health"
"""In the row of a preview: the active findings, as sentences by name."""

DIVERGED = "diverged"
"""In the row that a run writes when a value is not finite: which one."""

STOPPED = "stopped"
"""In the row that a run writes when it stops because of a failure: the failure's name."""

EVALUATION = "evaluation"
"""In the row of an evaluation: its results. The monitor skips these rows, so evaluation never changes a training."""

MOST_PREVIEWS = 1000
"""Previews that are checked at most: each is compared with all before it, and a training has sixty."""

# Thresholds of the rules.
CONFIDENT = 0.9  # D(real) - D(fake)
SMALL_GRADIENT = 0.05  # of the earlier gradient norm, with a confident discriminator
TINY_GRADIENT = 1e-4  # the same, with any discriminator
PERFECT = 0.98  # D(real), and 1 - D(fake)
ZERO_LOSS = 0.03  # of the discriminator
DIVERSE, ALIKE, IDENTICAL = 0.6, 0.3, 0.1  # mean distance of two samples, over that of two real images
DISTINCT, REPEATED = 0.4, 0.1  # distance to the nearest sample, over the same of real images
PATIENCE = 4000  # rounds for samples to become diverse; half as many where they are identical
MEMORISED = 0.5  # logits of held-out images nearer to those of samples than to those of training images
LEAKED = 0.5  # of the way from real to augmented images
SETTLED, RESTLESS, POOR = 1000, 0.45, 0.75  # rounds; change between previews; distance from the data's statistics
NOISE_ROUNDS, NOISY = (
    500,
    0.8,
)  # rounds; 1 where neighbouring pixels are uncorrelated, 0 where they agree as in the data


@dataclass(frozen=True)
class Rule:
    """One failure.

    Attributes:
        meaning: what it is.
        advice: what to try, the most promising first.
        check: takes all previews so far; a sentence if the last one shows the failure. None: found in any row.
        previews: how many in a row must show it.
        rounds: and over how many rounds.
    """

    meaning: str
    advice: str
    check: Callable[[Sequence[Metrics]], str | None] | None = None
    previews: int = 3
    rounds: int = 50


@dataclass(frozen=True)
class Finding:
    """A failure that was found.

    Attributes:
        name: as in "mode-collapse".
        round: of the preview at which it was certain.
        since: the first round that showed it.
        text: what was found, with numbers.
        until: the round at which it was over, if it passed.
    """

    name: str
    round: int
    since: int
    text: str
    until: int | None = None

    @property
    def title(self) -> str:
        """The name as words."""
        return self.name.replace("-", " ")

    @property
    def meaning(self) -> str:
        """What the failure is."""
        return RULES[self.name].meaning

    @property
    def advice(self) -> str:
        """What to try against it."""
        return RULES[self.name].advice

    @property
    def serious(self) -> bool:
        """Whether ``training.on_collapse`` acts on it: samples that are still noise may only need more time."""
        return self.name != "still-noise"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        keys = ("name", "since", "round", "until", "text", "advice", "meaning")
        return {key: getattr(self, key) for key in keys}


class HealthMonitor:
    """Checks the metrics of a training for failures.

    Attributes:
        active: findings that hold now, by name.
        found: all findings, also those that passed, in the order in which they arose.
    """

    def __init__(self) -> None:
        self.active: dict[str, Finding] = {}
        self.found: list[Finding] = []
        self._previews: list[Metrics] = []
        self._since: dict[str, list[int]] = {}
        self._rows: list[tuple[int, Row]] = []
        self._round = 0

    def observe(self, row: Row) -> list[Finding]:
        """Take the next row; returns new findings."""
        if EVALUATION in row:
            return []
        rounds = max(1, row["round"] - self._round)
        self._round = row["round"]
        if broken := _not_finite(row):
            return self._report("not-a-number", broken, row["round"])
        self._rows.append((rounds, row))
        if KEY not in row or len(self._previews) == MOST_PREVIEWS:
            return []
        self._previews.append({**means(self._rows), "round": row["round"]})
        self._rows = []
        checks = ((name, rule, rule.check(self._previews)) for name, rule in RULES.items() if rule.check)
        return [finding for check in checks for finding in self._conclude(*check)]

    @property
    def previews(self) -> int:
        """How many previews were checked."""
        return len(self._previews)

    def _conclude(self, name: str, rule: Rule, text: str | None) -> list[Finding]:
        if text is None:
            self._since.pop(name, None)
            if passed := self.active.pop(name, None):
                self.found[self.found.index(passed)] = replace(passed, until=self._round)
            return []
        seen = self._since.setdefault(name, [])
        seen.append(self._round)
        if len(seen) < rule.previews or self._round - seen[0] < rule.rounds:
            return []
        return self._report(name, text, seen[0])

    def _report(self, name: str, text: str, since: int) -> list[Finding]:
        if name in self.active:
            return []
        self.active[name] = finding = Finding(name, self._round, since, text)
        self.found.append(finding)
        return [finding]


def of_training(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without those of evaluations."""
    return [row for row in rows if EVALUATION not in row]


def replay(rows: Iterable[Row]) -> HealthMonitor:
    """A monitor that has observed all these rows, as it would have during the training."""
    monitor = HealthMonitor()
    for row in rows:
        monitor.observe(row)
    return monitor


def means(rows: Sequence[tuple[int, Row]]) -> Metrics:
    """Means of the metrics of (rounds, row) pairs, weighted by the rounds that each row covers."""
    sums: dict[str, tuple[float, int]] = {}
    for rounds, row in rows:
        for name, value in row.items():
            if isinstance(value, int | float) and "images" not in name and name not in ("round", "seconds"):
                total, count = sums.get(name, (0.0, 0))
                sums[name] = total + rounds * value, count + rounds
    return {name: total / count for name, (total, count) in sums.items()}


def _not_finite(row: Row) -> str | None:
    if DIVERGED in row:
        return str(row[DIVERGED])
    bad = (f"{name} is {value}" for name, value in row.items() if isinstance(value, float) and not math.isfinite(value))
    return next(bad, None)


# ---- The rules.


def vanishing_gradient(previews: Sequence[Metrics]) -> str | None:
    """The norm of the generator's gradient is a small part of what it was."""
    norms, now = _series(previews, "gradient/generator"), previews[-1]
    if len(norms) < 3 or "probability/fake" not in now:
        return None
    share = norms[-1] / max(sorted(norms)[-2], 1e-12)  # the largest may be a single spike, as at the first steps
    real, fake = now.get("probability/real", 0.5), now["probability/fake"]
    if share >= (SMALL_GRADIENT if real - fake > CONFIDENT else TINY_GRADIENT):
        return None
    return (
        f"the norm of the generator's gradient is {_percent(share)} of what it was; "
        f"D's mean output is {real:.2f} for real images, {fake:.2f} for fakes"
    )


def discriminator_wins(previews: Sequence[Metrics]) -> str | None:
    """The discriminator makes no mistakes: its loss is at zero."""
    now = previews[-1]
    loss = now.get("loss/discriminator", math.inf)
    if min(now.get("probability/real", 0), 1 - now.get("probability/fake", 1)) < PERFECT or loss > ZERO_LOSS:
        return None
    return f"D's loss is {loss:.4f}: it classifies every real image and every fake correctly"


def mode_collapse(previews: Sequence[Metrics]) -> str | None:
    """Samples are alike: they were diverse before, or have not become so in thousands of rounds."""
    now = previews[-1]
    if "diversity" not in now or not _has_discriminator(now):
        return None
    diversity, best = now["diversity"], max(_series(previews, "diversity"))
    nearest, farthest = now.get("nearest", 1.0), max(_series(previews, "nearest"), default=0.0)
    if diversity < ALIKE and best >= DIVERSE:
        return f"samples differ {_percent(diversity)} as much as the data's images do, after {_percent(best)}"
    if nearest < REPEATED and farthest >= DISTINCT:
        return f"samples repeat each other: each has a twin at {_percent(nearest)} of the usual distance"
    patience = PATIENCE if diversity >= IDENTICAL else PATIENCE / 2
    halfway = next((each for each in reversed(previews) if each["round"] <= now["round"] / 2), previews[0])
    rising = diversity > 1.2 * halfway.get("diversity", 0.0)
    if diversity >= ALIKE or now["round"] < patience or rising:
        return None
    return f"samples differ only {_percent(diversity)} as much as the data's images do"


def discriminator_memorises(previews: Sequence[Metrics]) -> str | None:
    """The discriminator takes held-out images for fakes rather than for training images."""
    share = previews[-1].get("overfitting")
    if share is None or share <= MEMORISED:
        return None
    return f"D's outputs for held-out images are {_percent(share)} of the way from training images to fakes"


def augmentation_leaks(previews: Sequence[Metrics]) -> str | None:
    """Samples look like augmented images rather than like real ones."""
    now = previews[-1]
    if now["round"] < SETTLED or now.get("leak", 0.0) <= LEAKED:
        return None
    return f"samples have {_percent(now['leak'])} of the grey areas that augmentation leaves on real images"


def oscillation(previews: Sequence[Metrics]) -> str | None:
    """The same latents give other images at every preview, and these are poor and get no better."""
    from statistics import fmean  # here, so that `--help` does not import it

    now = previews[-1]
    recent = [each for each in previews if each["round"] > now["round"] / 2 and {"change", "diversity"} <= each.keys()]
    if not _has_discriminator(now) or now["round"] < SETTLED or len(recent) < 6:
        return None
    change = fmean(each["change"] for each in recent)
    third = len(recent) // 3
    early, late = fmean(map(_distance, recent[:third])), fmean(map(_distance, recent[-third:]))
    collapsed = min(fmean(each["diversity"] for each in recent), now.get("diversity", 0)) < DIVERSE
    if collapsed or change < RESTLESS or late < POOR or late < 0.9 * early:
        return None
    return f"the same seeds give other images at each preview ({_percent(change)} of unrelated ones), none better"


def still_noise(previews: Sequence[Metrics]) -> str | None:
    """Neighbouring pixels are uncorrelated after hundreds of rounds, and that does not change."""
    now = previews[-1]
    recent = [each["noise"] for each in previews if each["round"] >= now["round"] / 2 and "noise" in each]
    if now["round"] < NOISE_ROUNDS or len(recent) < 3 or "noise" not in now:
        return None
    if min(recent) < NOISY or now["noise"] < 0.8 * recent[0]:
        return None
    return f"neighbouring pixels agree {_percent(max(0.0, 1 - now['noise']))} as much as the data's do"


def _has_discriminator(preview: Metrics) -> bool:
    return any(name.startswith(("probability/", "distance/", "score/discriminator")) for name in preview)


def _series(previews: Sequence[Metrics], name: str) -> list[float]:
    return [preview[name] for preview in previews if name in preview]


def _distance(preview: Metrics) -> float:
    """How far the samples' statistics are from the data's."""
    return abs(1 - preview.get("diversity", 1.0)) + abs(preview.get("noise", 0.0))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1g} %"


RULES = {
    "vanishing-gradient": Rule(
        "The discriminator is so confident that the generator's loss hardly depends on the generator: its gradient "
        "vanishes, and it stops learning.",
        "a smaller rate for D, dropout 0.3 to 0.6 in D, no pre-training; with minimax, loss = non-saturating",
        vanishing_gradient,
    ),
    "discriminator-wins": Rule(
        "The discriminator classifies every image correctly. It learns nothing more, and its gradient has "
        "little information for the generator.",
        "a smaller rate for D, dropout 0.3 to 0.6 in D, no pre-training, smoothing 0.1; "
        "check that data and fakes are normalised alike",
        discriminator_wins,
        rounds=100,
    ),
    "discriminator-memorises": Rule(
        "The discriminator knows the training images by heart: it takes held-out ones, which are as real, for fakes. "
        "What it teaches the generator from now on is to copy.",
        "augmentation (objective.augment), more images, or a shorter training, with regular evaluations that keep the "
        "best model",
        discriminator_memorises,
    ),
    "augmentation-leaks": Rule(
        "The generator has learned what the augmentation does to images, and makes such images itself: with grey "
        "edges and rectangles.",
        "with diffaugment, a policy without cutout; with ada, a larger target or fewer groups in pipeline; no "
        "augmentation where there are tens of thousands of images",
        augmentation_leaks,
    ),
    "mode-collapse": Rule(
        "Whatever the latent, the generator gives nearly the same image: one that deceives the discriminator at the "
        "moment.",
        "halve both rates, the generator's above all; a smaller beta1; the wasserstein loss with a gradient penalty",
        mode_collapse,
    ),
    "oscillation": Rule(
        "Each side undoes what the other has learned. The images move from one mistake to the next instead of getting "
        "better.",
        "halve both rates, betas of 0.5 or 0, rate_decay; check again after 500 to 1000 rounds",
        oscillation,
    ),
    "still-noise": Rule(
        "The generator has not learned that neighbouring pixels are correlated. Some trainings only need more time; "
        "where nothing changes, a rate is far too small or the discriminator gets data in another range than fakes.",
        "check again after 500 to 1000 rounds; then check the rates, and that data and outputs are normalised alike",
        still_noise,
    ),
    "not-a-number": Rule(
        "A number became too large for its type, and everything computed from it is lost. The run's files keep the "
        "last state in which all numbers were finite.",
        "halve both rates; bound the gradients with optimizer.*.clip_value = 1; train in fp32",
    ),
}
