"""What a claim is judged on: means with their evidence, the words and the unit they are written with, their cells."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from weight_atlas import stats
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import DIFFERENCE, SHARE, signed
from weight_atlas.stats import Evidence
from weight_atlas.vocabulary import Split

Array = NDArray[np.float64]


class Unit(NamedTuple):
    """How a number is written.

    Attributes
    ----------
    words : str
        Behind it: " points".
    scale : float
        What it is multiplied by.
    digits : int
        Behind the point.
    has_sign : bool
        A difference has one.
    is_ratio : bool
        Judged as its logarithm: halving and doubling cancel.
    bounds : tuple of float
        What the number can be: what an interval holds beyond is not written.
    """

    words: str = ""
    scale: float = 1.0
    digits: int = 3
    has_sign: bool = False
    is_ratio: bool = False
    bounds: tuple[float, float] = (-math.inf, math.inf)

    def text(self, value: float) -> str:
        """A number as it is judged, in words: "+1.2 points", "71.2 %"."""
        return f"{self._number(value)}{self.words}"

    def bound(self, value: float) -> float:
        """A bound in natural units as it is judged."""
        return math.log(value) if self.is_ratio and math.isfinite(value) else value

    def margin(self, value: float) -> float:
        """A margin in natural units as it is judged: of a ratio a factor is so much above 1."""
        return math.log1p(value) if self.is_ratio else value

    def _number(self, value: float, more: int = 0) -> str:
        """A number without its words; more: further digits."""
        value = math.exp(value) if self.is_ratio else value * self.scale
        if self.has_sign:
            return signed(value, self.digits + more)
        if self.is_ratio or not self.digits:
            return style.number(value, 3 + more)
        return f"{value:.{self.digits + more}f}".replace("-", "−")

    def interval(self, low: float, high: float) -> str:
        """ "[0.8, 1.6]", without the words; with up to three more digits, where the ends would be written alike."""
        cut = [min(max(end, self.bounds[0]), self.bounds[1]) for end in (low, high)]
        for more in range(4 if cut[0] != cut[1] else 1):
            ends = [self._number(end, more).removeprefix("+") for end in cut]
            if ends[0] != ends[1]:
                break
        return f"[{', '.join(ends)}]"

    def asked(self, low: float, high: float) -> str:
        """A statement on the number in words, its bounds in natural units: "above 60 %", "14 to 16 points"."""
        below, above = (f"{end * self.scale:.4g}".replace("-", "−") for end in (low, high))
        if math.isinf(high):
            return f"above {below}{self.words}"
        if math.isinf(low):
            return f"below {above}{self.words}"
        return f"{below}{self.words}" if below == above else f"{below} to {above}{self.words}"


POINTS = Unit(" points", 100, 1, has_sign=True, bounds=DIFFERENCE)  # a difference of shares
PERCENT = Unit(" %", 100, 1, bounds=SHARE)
RATIO = Unit(is_ratio=True)
CORRELATION = Unit("", 1, 3, has_sign=True)


@dataclass(frozen=True)
class Measured:
    """One number that a claim is judged on.

    Attributes
    ----------
    words : str
        What it is: "C less B".
    evidence : Evidence
        Of the number as it is judged: of ratios, of their logarithms.
    unit : Unit
    cells : frozenset of str
        The cell_ids that it compares.
    group : str
        Numbers of one group (a network on a data set) are within a scope together or not at all.
    about : str
        What of several it is about, in short: "lenet5 on digits".
    new : Evidence, optional
        Of a test accuracy or a difference of two, the same number over new replicates and new images of the same kind;
        `evidence` speaks of the images of this test set.
    holds : bool, optional
        Of an exact statement, whether it is true; it has no evidence.
    """

    words: str
    evidence: Evidence
    unit: Unit
    cells: frozenset[str]
    group: str = ""
    holds: bool | None = None
    about: str = ""
    new: Evidence | None = None

    @property
    def text(self) -> str:
        """ "C less B +1.2 points [0.8, 1.6], n = 3 (for new images [0.1, 2.3])"."""
        n, mean, error, _ = self.evidence
        if self.holds is not None:
            return self.words
        if not n:
            return f"{self.words}: nothing finished"
        new = f" (for new images {self.unit.interval(self.new.low, self.new.high)})" if self.new and error > 0 else ""
        return f"{self.words} {self.value}{new}"

    @property
    def value(self) -> str:
        """ "+1.2 points [0.8, 1.6], n = 3"."""
        n, mean, error, _ = self.evidence
        if error > 0:
            return f"{self.unit.text(mean)} {self.unit.interval(self.evidence.low, self.evidence.high)}, n = {n}"
        equal = "one replicate" if n == 1 else f"equal in all {n} replicates"
        return f"{self.unit.text(mean)} ({equal}, no interval)"

    @property
    def json(self) -> dict[str, Any]:
        """As claims.json holds it: the mean and its interval in natural units."""
        natural = math.exp if self.unit.is_ratio else float
        row: dict[str, Any] = {"n": self.evidence.n}
        for name in ("mean", "low", "high"):
            value = getattr(self.evidence, name)
            row[name] = natural(value) if math.isfinite(value) else None
        for name in ("low", "high"):
            value = getattr(self.new, name) if self.new else math.nan
            row[f"{name}_new"] = value if math.isfinite(value) else None
        return {"words": self.words, "group": self.group, "holds": self.holds} | row


def measured(
    words: str, values: ArrayLike, unit: Unit, cells: Iterable[str], group: str = "", resolution: float = 0.0
) -> Measured:
    """A number from its values by replicate, or by block; those of a ratio are logarithms already."""
    return Measured(words, stats.evidence(values, resolution), unit, frozenset(cells), group)


def less(one: pd.DataFrame, other: pd.DataFrame, column: str, beside: Sequence[str]) -> "pd.Series[float]":
    """By seed how much more of a column one side has than the other; with axes `beside`, the mean of the differences at
    each of their levels that both sides have, so that what one side lacks tips no balance."""
    first, second = (side.groupby(["seed", *beside])[column].mean() for side in (one, other))
    by_seed: pd.Series[float] = (first - second).dropna().groupby("seed").mean()
    return by_seed


def on_new_images(
    tables: Tables, first: pd.DataFrame, second: pd.DataFrame | None = None, beside: Sequence[str] = ()
) -> Evidence | None:
    """What a mean test accuracy, or the difference of two as `less` takes it, is over new images too.

    Parameters
    ----------
    first, second : rows of finished replicates, with cell_id, seed and the axes `beside`

    Returns
    -------
    Evidence or None
        None where not every replicate recorded its answers to the images of one test set, or fewer than two seeds did.
    """
    sides = [first] if second is None else [first, second]
    cells = {cell_id for rows in sides for cell_id in rows["cell_id"]}
    right = tables.right(cells)
    answers = [_answers(rows, right, ["seed", *beside]) for rows in sides]
    if tables.rows.loc[tables.rows["cell_id"].isin(cells), "dataset_id"].nunique() != 1 or not all(answers):
        return None
    by_seed: dict[Any, list[Array]] = {}
    for key in sorted(set.intersection(*map(set, answers))):
        by_seed.setdefault(key[0], []).append(answers[0][key] - (answers[1][key] if second is not None else 0.0))
    if len(by_seed) < 2:
        return None
    found = stats.crossed_means(np.stack([np.mean(arrays, axis=0) for arrays in by_seed.values()]))
    return Evidence(found.seeds, found.mean, found.new_images.error, found.new_images.df)


def _answers(
    rows: pd.DataFrame, right: Mapping[tuple[str, int], NDArray[np.bool_]], by: list[str]
) -> dict[tuple[Any, ...], Array]:
    """The share of right answers to each image, by seed and the levels of other axes; {} where a replicate has none."""
    kept = rows.drop_duplicates(["cell_id", *by])
    made: dict[tuple[Any, ...], Array] = {}
    for key, own in kept.groupby(by):
        arrays = [right.get((cell_id, int(seed))) for cell_id, seed in zip(own["cell_id"], own["seed"], strict=True)]
        known = [array for array in arrays if array is not None]
        if len(known) < len(arrays):
            return {}
        made[key] = np.mean(known, axis=0)
    return made


def step(tables: Tables, cells: Iterable[str], split: Split = "test") -> float:
    """The step of an accuracy on the images of a split, of the cells with the fewest: 1 / N; 0 where N is not known."""
    own = tables.rows[tables.rows["cell_id"].isin(set(cells))]
    counts = [tables.cards[name]["counts"].get(split) for name in set(own["dataset_id"]) if name in tables.cards]
    images = min((sum(one) for one in counts if one), default=0)
    return 1 / images if images else 0.0


def exact(words: str, holds: bool, cells: Iterable[str], group: str = "") -> Measured:
    """A statement that is true or false, in words."""
    return Measured(words, Evidence(0, math.nan, math.nan, math.nan), Unit(), frozenset(cells), group, holds)
