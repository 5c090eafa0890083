"""The failures that tutorials warn of, recognised while they happen from the lines of ``metrics.jsonl``.

A :class:`Watch` is fed every line and judges at *looks*: the lines that were written together with a sample grid and
hold its figures. What it concludes depends on the lines alone, so that a finished run can be examined from its files.
Which rules apply depends on which figures there are: a critic has no probability, an autoencoder no opponent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

Row = Mapping[str, Any]
AnyRow = TypeVar("AnyRow", bound=Row)
Look = dict[str, float]

KEY = "health"
"""Of a line that is a look: what was wrong, as sentences by name; empty when nothing was."""

DIVERGED = "diverged"
"""Of the line that a run writes when it finds a value that is no number: which, in words."""


ROLLBACK = "rollback"
"""Of the line that a run writes when it goes back: from where, to where, and why."""

STOPPED = "stopped"
"""Of the line that a run writes when it stops because of a failure: the failure's name."""

EVALUATION = "evaluation"
"""Of the line that a run writes when its model was judged: the figures. The watch passes over it, so that a training
takes the same course whether it is judged or not."""


MOST_LOOKS = 1000
"""Looks that are taken from a run's files at most: each is held against all before it, and a training has sixty."""


def of_training(rows: Iterable[AnyRow]) -> list[AnyRow]:
    """The lines of a run's metrics without those of evaluations."""
    return [row for row in rows if EVALUATION not in row]


@dataclass(frozen=True)
class Finding:
    """A failure that was seen.

    Attributes:
        name: as in "mode-collapse".
        round: of the look at which it was certain.
        since: the first round that already looked so.
        text: what was seen, with figures.
        advice: what to try, the first thing first.
        until: the round from which on it was no longer so, if it passed.
    """

    name: str
    round: int
    since: int
    text: str
    advice: str
    until: int | None = None

    @property
    def title(self) -> str:
        """The name as words."""
        return self.name.replace("-", " ")

    @property
    def meaning(self) -> str:
        """What the failure is."""
        return meaning(self.name)

    @property
    def serious(self) -> bool:
        """Whether ``--on-collapse`` acts on it: going back would not help a picture that is still noise."""
        return self.name != "still-noise"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        plain = {key: getattr(self, key) for key in ("name", "since", "round", "until", "text", "advice")}
        return {**plain, "meaning": meaning(self.name)}


@dataclass(frozen=True)
class Rule:
    """One failure.

    Attributes:
        name: of its findings.
        check: from all looks so far to a sentence if the last one shows the failure.
        advice: what to try.
        meaning: what it is.
        looks: how many looks in a row must show it.
        rounds: and over how many rounds.
    """

    name: str
    check: Callable[[Sequence[Look]], str | None]
    advice: str
    meaning: str
    looks: int = 3
    rounds: int = 50


class Watch:
    """Judges a training by its metrics.

    Attributes:
        active: findings that hold now, by name.
        found: all findings, also those that passed, in the order in which they arose.
        suspected: names of failures that the last look shows, certain or not yet.
    """

    def __init__(self) -> None:
        self.active: dict[str, Finding] = {}
        self.found: list[Finding] = []
        self.suspected: set[str] = set()
        self._looks: list[Look] = []
        self._since: dict[str, list[int]] = {}
        self._rows: list[tuple[int, Row]] = []
        self._round = 0

    def see(self, row: Row) -> list[Finding]:
        """Take the next line; what is found for the first time comes back."""
        if EVALUATION in row:
            return []
        weight = max(1, row["round"] - self._round)
        self._round = row["round"]
        if broken := _broken(row):
            return self._tell("not-a-number", broken, NAN_ADVICE, row["round"])
        self._rows.append((weight, row))
        if KEY not in row:
            return []
        self._looks.append({**_means(self._rows), "round": row["round"]})
        self._rows = []
        self.suspected = set()
        return [finding for rule in RULES for finding in self._apply(rule)]

    @property
    def looks(self) -> int:
        """How many looks there were."""
        return len(self._looks)

    def looks_since(self, number: int) -> int:
        """How many looks there were after a round."""
        return sum(look["round"] > number for look in self._looks)

    def _apply(self, rule: Rule) -> list[Finding]:
        now = int(self._looks[-1]["round"])
        text = rule.check(self._looks)
        if text is None:
            self._since.pop(rule.name, None)
            if passed := self.active.pop(rule.name, None):
                self.found[self.found.index(passed)] = replace(passed, until=now)
            return []
        self.suspected.add(rule.name)
        seen = self._since.setdefault(rule.name, [])
        seen.append(now)
        if rule.name in self.active or len(seen) < rule.looks or now - seen[0] < rule.rounds:
            return []
        return self._tell(rule.name, text, rule.advice, seen[0])

    def _tell(self, name: str, text: str, advice: str, since: int) -> list[Finding]:
        self.suspected.add(name)
        if name in self.active:
            return []
        finding = Finding(name, self._round, since, text, advice)
        self.active[name] = finding
        self.found.append(finding)
        return [finding]


def replay(rows: Iterable[Row]) -> Watch:
    """A watch that has seen all these lines, as it would have during the training.

    Lines of a run that no watch was with are taken as looks where they hold a figure of its pictures, or else all.
    """
    rows, watch = of_training(rows), Watch()
    if not any(KEY in row for row in rows):
        pictured = [row for row in rows if "diversity" in row] or rows
        looks = {id(row) for row in pictured[:: 1 + len(pictured) // MOST_LOOKS]}
        rows = [{**row, KEY: {}} if id(row) in looks else row for row in rows]
    for row in rows:
        watch.see(row)
    return watch


def fold(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One line for each look with the means of the lines before it: all that a watch reads, and no more."""
    folded, waiting, last = [], [], 0
    for row in of_training(rows):
        waiting.append((max(1, row["round"] - last), row))
        last = row["round"]
        if KEY in row or DIVERGED in row:
            folded.append({**row, **{k: round(v, 5) for k, v in _means(waiting).items()}, "round": row["round"]})
            waiting = []
    return folded


def _broken(row: Row) -> str | None:
    if DIVERGED in row:
        return str(row[DIVERGED])
    bad = [(name, value) for name, value in row.items() if isinstance(value, float) and not math.isfinite(value)]
    return f"{bad[0][0]} is {bad[0][1]}" if bad else None


def _means(rows: Sequence[tuple[int, Row]]) -> Look:
    """Means over lines, weighted by the rounds that each is about."""
    sums: dict[str, float] = {}
    weights: dict[str, int] = {}
    for weight, row in rows:
        for name, value in row.items():
            if isinstance(value, int | float) and "images" not in name and name not in ("round", "seconds"):
                sums[name] = sums.get(name, 0.0) + weight * value
                weights[name] = weights.get(name, 0) + weight
    return {name: total / weights[name] for name, total in sums.items()}


# ---- The rules. Each threshold stands beside what healthy trainings reach.


def _opposed(look: Look) -> bool:
    """Whether somebody plays against the generator."""
    return any(name.startswith(("probability/", "distance/", "score/discriminator")) for name in look)


def _known(looks: Sequence[Look], name: str) -> list[float]:
    return [look[name] for look in looks if name in look]


def _lead(look: Look) -> float:
    """How much surer the discriminator is of real images than of fakes, 0 to 1."""
    return look.get("probability/real", 0.5) - look.get("probability/fake", 0.5)


def vanishing(looks: Sequence[Look]) -> str | None:
    """The generator's gradient is a small part of what it was, and the discriminator is sure."""
    norms = _known(looks, "gradient/generator")
    now = looks[-1]
    if len(norms) < 3 or "probability/fake" not in now:
        return None
    share = norms[-1] / max(sorted(norms)[-2], 1e-12)  # a single spike, as at the first steps, is no measure
    sure = _lead(now) > SURE
    if share < GONE or (sure and share < FAINT):
        return (
            f"the generator's gradient is {_percent(share)} of what it was; "
            f"D says {now['probability/real']:.2f} of real images, {now['probability/fake']:.2f} of fakes"
        )
    return None


SURE, FAINT, GONE = 0.9, 0.05, 1e-4


def won(looks: Sequence[Look]) -> str | None:
    """The discriminator makes no mistakes: its loss is at zero."""
    now = looks[-1]
    if "probability/real" not in now or "loss/discriminator" not in now:
        return None
    mistakes = now["probability/real"] < WON or now.get("probability/fake", 1) > 1 - WON
    if mistakes or now["loss/discriminator"] > ZERO:
        return None
    return f"D's loss is {now['loss/discriminator']:.4f}: it knows every real image and every fake"


WON, ZERO = 0.98, 0.03


def collapse(looks: Sequence[Look]) -> str | None:
    """Samples are alike: they once were diverse, or have not become so in thousands of rounds."""
    now = looks[-1]
    if "diversity" not in now or not _opposed(now):
        return None
    diversity, nearest = now["diversity"], now.get("nearest", 1.0)
    once, apart = max(_known(looks, "diversity")), max(_known(looks, "nearest"), default=0.0)
    if diversity < ALIKE and once >= DIVERSE:
        return f"samples differ {_percent(diversity)} as much as the data's images do, after {_percent(once)}"
    if nearest < REPEATED and apart >= DISTINCT:
        return f"samples repeat each other: each has a twin at {_percent(nearest)} of the usual distance"
    patience = PATIENCE if diversity >= SAME else PATIENCE / 2
    rising = diversity > 1.2 * _at(looks, now["round"] / 2).get("diversity", 0.0)
    if diversity >= ALIKE or now["round"] < patience or rising:
        return None
    return f"samples differ only {_percent(diversity)} as much as the data's images do"


SAME, ALIKE, DIVERSE, REPEATED, DISTINCT, PATIENCE = 0.1, 0.3, 0.6, 0.1, 0.4, 4000


def oscillation(looks: Sequence[Look]) -> str | None:
    """The same seeds paint something else at every look, and what they paint is bad and gets no better."""
    now = looks[-1]
    recent = [look for look in looks if look["round"] > now["round"] / 2 and {"change", "diversity"} <= look.keys()]
    if not _opposed(now) or now["round"] < SETTLED or len(recent) < 6:
        return None
    change = _mean(look["change"] for look in recent)
    third = len(recent) // 3
    early, late = _mean(map(_distance, recent[:third])), _mean(map(_distance, recent[-third:]))
    collapsed = min(_mean(look["diversity"] for look in recent), now.get("diversity", 0)) < DIVERSE
    if collapsed or change < RESTLESS or late < BAD or late < 0.9 * early:
        return None
    return f"at each look the same seeds give other pictures ({_percent(change)} of unrelated ones), none better"


SETTLED, RESTLESS, BAD = 1000, 0.45, 0.75


def _distance(look: Look) -> float:
    """How far the pictures' figures are from the data's."""
    return abs(1 - look.get("diversity", 1.0)) + abs(look.get("noise", 0.0))


def noise(looks: Sequence[Look]) -> str | None:
    """Neighbouring pixels know nothing of each other after hundreds of rounds, and that does not change."""
    now = looks[-1]
    recent = [look for look in looks if look["round"] >= now["round"] / 2 and "noise" in look]
    if now["round"] < HUNDREDS or len(recent) < 3 or "noise" not in now:
        return None
    if min(look["noise"] for look in recent) < NOISY or now["noise"] < 0.8 * recent[0]["noise"]:
        return None
    return f"neighbouring pixels agree {_percent(max(0.0, 1 - now['noise']))} as much as the data's do"


HUNDREDS, NOISY = 500, 0.8


def _at(looks: Sequence[Look], number: float) -> Look:
    """The last look up to a round."""
    return next((look for look in reversed(looks) if look["round"] <= number), looks[0])


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.1 else f"{100 * share:.1g} %"


def advice(name: str) -> str:
    """What to try against a failure."""
    return next((rule.advice for rule in RULES if rule.name == name), NAN_ADVICE)


def meaning(name: str) -> str:
    """What a failure is, in a sentence or two."""
    return next((rule.meaning for rule in RULES if rule.name == name), NAN_MEANING)


NAN_MEANING = (
    "A number became too large for its type and everything computed from it is lost. The run's files keep "
    "the last state in which all numbers were numbers."
)
NAN_ADVICE = "halve both rates; bound the gradients with optimizer.*.clip_value = 1; train in fp32"
RULES = (
    Rule(
        "vanishing-gradient",
        vanishing,
        "a smaller rate for D, dropout 0.3 to 0.6 in D, no pre-training; with minimax, loss = non-saturating",
        "The discriminator is so sure that the generator's loss hardly depends on the generator: it has nothing to "
        "learn from.",
    ),
    Rule(
        "discriminator-wins",
        won,
        "a smaller rate for D, dropout 0.3 to 0.6 in D, no pre-training, smoothing 0.1; "
        "check that data and fakes are normalised alike",
        "The discriminator tells every image apart. It learns nothing more, and what the generator hears is always the "
        "same: no.",
        rounds=100,
    ),
    Rule(
        "mode-collapse",
        collapse,
        "halve both rates, the generator's above all; a smaller beta1; the wasserstein loss with a gradient penalty",
        "Whatever the latent, the generator gives nearly the same picture: one that deceives the discriminator at the "
        "moment.",
    ),
    Rule(
        "oscillation",
        oscillation,
        "halve both rates, betas of 0.5 or 0, rate_decay; look again after 500 to 1000 rounds",
        "Each side undoes what the other has learned. The pictures move from one mistake to the next instead of "
        "getting better.",
    ),
    Rule(
        "still-noise",
        noise,
        "look again after 500 to 1000 rounds; then check the rates, and that data and outputs are normalised alike",
        "The generator has not found out that neighbouring pixels belong together. Some trainings only need more time; "
        "where nothing moves, a rate is far too small or the discriminator sees data in another range than the fakes.",
    ),
)
