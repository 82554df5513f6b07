"""The answer to a question: a verdict word first, one sentence, its numbers, how sure, and what would decide it.

The word comes from tests and intervals alone. A difference is *there* where its test is clear after correction, and
*small* where its interval lies within a margin: that nothing is clear says nothing, and makes no "no".
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from weight_atlas import stats
from weight_atlas.reporting.grammar.exhibit import plain
from weight_atlas.reporting.grammar.marks import LEVEL
from weight_atlas.reporting.grammar.source import Source

POLAR = {"are", "can", "did", "do", "does", "had", "has", "have", "is", "may", "should", "was", "were", "will", "would"}
MANY = 1000  # seeds; beyond, an extrapolation from a few is not worth its digits
MARGIN = 0.01  # of a share: a point of accuracy, as in the verdicts on layers that transfer

Row = Mapping[Any, Any]  # n, mean, low, high (95 %), and q where it is tested


class Verdict(StrEnum):
    """What an answer begins with."""

    YES = "yes"
    NO = "no"
    PARTLY = "partly"
    UNDECIDED = "cannot say"


class Number(NamedTuple):
    """An estimate that an answer rests on: what it is, how it is written, and itself with its interval.

    That is one of 95 %, where the answer does not say otherwise.
    """

    words: str
    text: str
    n: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes
    ----------
    sentence : str
        Whole, with its full stop, without the verdict.
    verdict : Verdict, optional
        None where a question has no yes or no.
    about : str
        Of several families (a network, a data set) the one that it is about, where the sentence does not say so.
    numbers : tuple of Number
        The estimates behind it.
    sure : str
        The test or interval, and how many replicates: "q < 0.05, n = 3".
    decide : str
        What would decide it: "about 40 seeds would settle one point".
    source : Source, optional
        Who made it, from which tables; filled by whoever calls its function.
    """

    sentence: str
    verdict: Verdict | None = None
    about: str = ""
    numbers: tuple[Number, ...] = ()
    sure: str = ""
    decide: str = ""
    source: Source | None = None

    @property
    def text(self) -> str:
        """The verdict and the sentence: "Yes (digits). ..", or "digits: .." where there is no verdict."""
        if not self.verdict:
            return f"{self.about}: {self.sentence}" if self.about else self.sentence
        where = f" ({self.about})" if self.about else ""
        return f"{self.verdict.capitalize()}{where}. {self.sentence}"

    @property
    def statement(self) -> str:
        """The text without a yes or no, which not every question asks for: "digits: ..", "Cannot say (digits). .."."""
        return replace(self, verdict=None).text if self.verdict in (Verdict.YES, Verdict.NO) else self.text

    @property
    def json(self) -> dict[str, Any]:
        """As exhibits.json holds it."""
        made: dict[str, Any] = plain(
            {"text": self.text, **asdict(self), "numbers": [x._asdict() for x in self.numbers]}
        )
        return made


def is_polar(question: str) -> bool:
    """Whether some clause of a question in English asks for a yes or no: it begins with a verb such as "does"."""
    clauses = re.split(r"[^\w\s'-]+(?:\s*(?:and|or|but)\b)?", question.lower())
    return any(clause.split()[0] in POLAR for clause in clauses if clause.split())


def settle(seeds: int, what: str = "settle one point") -> str:
    """ "about 40 seeds would settle one point"; empty for 0."""
    return f"{f'about {seeds}' if seeds <= MANY else f'more than {MANY:,}'} seeds would {what}" if seeds else ""


def number(words: str, row: Row, text: str) -> Number:
    """The Number of a row; what is None there is undefined."""
    mean, low, high = (math.nan if row[name] is None else float(row[name]) for name in ("mean", "low", "high"))
    return Number(words, text, int(row["n"]), mean, low, high)


def weighed(rows: Iterable[Row], margin: float = 0.0, sign: int = 0) -> Verdict:
    """Whether some differences are there.

    Parameters
    ----------
    rows : dicts
        The differences: mean, low, high and q each.
    margin : float
        The smallest difference that matters; 0 where none is known.
    sign : int
        1 or -1 for differences above or below 0 alone, 0 for both.

    Returns
    -------
    Verdict
        Yes where one is clear; no where all are shown to be smaller than the margin (an intersection-union test);
        partly where both hold; otherwise undecided.
    """
    own = list(rows)
    there = any(is_clear(row, sign) for row in own)
    small = bool(own) and margin > 0 and all(_is_small(row, margin, sign) for row in own)
    if there:
        return Verdict.PARTLY if small else Verdict.YES
    return Verdict.NO if small else Verdict.UNDECIDED


def is_clear(row: Row, sign: int = 0) -> bool:
    """Whether a difference is clear after correction, and has this sign."""
    return bool(row["q"] < LEVEL and row["mean"] * (sign or row["mean"]) > 0)


def _is_small(row: Row, margin: float, sign: int) -> bool:
    """Whether the interval of a difference lies within the margin, on the side of the sign; False without interval."""
    return bool((sign < 0 or row["high"] < margin) and (sign > 0 or row["low"] > -margin))


def seeds_needed(rows: Sequence[Row], margin: float = MARGIN) -> int:
    """How many seeds would decide all differences, by the spread of the seeds so far; 0 where no more, or not known.

    As many as find a difference of the margin, and as show that it is smaller where there is none, both with a power of
    80 %.
    """
    most = max((_needed(row, margin) for row in rows), default=0)
    return most if most > min((row["n"] for row in rows), default=0) else 0


def _needed(row: Row, margin: float) -> int:
    if not math.isfinite(row["low"]) or row["low"] == row["high"] or not margin:
        return 0
    std = (row["high"] - row["low"]) / 2 * math.sqrt(row["n"]) / stats.t_quantile(0.975, row["n"] - 1)
    within = stats.seeds_for_equivalence(margin, std, level=stats.LEVEL)
    return max(stats.seeds_for_difference(margin, std) or 0, within or 0)
