"""Numbers and names as words of a sentence, a caption or a table: one function for each kind."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from weight_atlas.reporting.grammar import style


def plural(count: int, noun: str) -> str:
    """ "1 cell", "18 cells"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def enumerated(words: Sequence[str]) -> str:
    """ "alpha, lambda and dropout"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def sentence(text: str) -> str:
    """A capital letter first and a full stop last; "" of nothing."""
    return text and f"{text[0].upper()}{text[1:]}."


def by_network(rows: pd.DataFrame, text: Callable[[pd.DataFrame], str]) -> str:
    """ "in lenet5 ..; in vgg19 ..": what `text` says of the rows of each network, as far as it says anything."""
    found = [(network, text(own)) for network, own in rows.groupby("network", sort=False)]
    return "; ".join(f"in {network} {told}" for network, told in found if told)


def slug(*labels: str) -> str:
    """Labels as a file's name: lower case, letters, digits and single dashes; empty ones leave no trace."""
    text = "".join(letter if letter.isalnum() else "-" for letter in "-".join(labels).lower())
    return "-".join(part for part in text.split("-") if part)


def three(value: float) -> str:
    """A number with three significant digits: "0.326", "88.7"."""
    return style.number(value, 3)


def span(values: Iterable[float], text: Callable[[float], str] | None = None, digits: int = 3) -> str:
    """ "0.31 to 0.35", or one number: the lowest and the highest of some values; "" where all are undefined.

    text: how a number is written, by default with so many significant `digits`.
    """
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return ""
    written = text or partial(style.number, digits=digits)
    low, high = written(min(known)), written(max(known))
    return low if low == high else f"{low} to {high}"


def shares(values: Iterable[float]) -> str:
    """ "61.9 to 62.0 %", or one share: the lowest and the highest of some shares."""
    low, to, high = span(values, style.percent).partition(" to ")
    return f"{low.removesuffix(' %')}{to}{high}" if to else low


def whole(values: Iterable[float]) -> str:
    """ "3", or "2 to 3": the lowest and the highest of some whole numbers."""
    return span(values, lambda value: str(int(value)))


def points(share: float, digits: int = 1) -> str:
    """A difference of accuracies in percentage points: "+1.2", "−0.3", "0.0"."""
    return signed(share * 100, digits)


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign and so many decimals: "+0.123", "−0.040", "0.000"."""
    text = f"{value:+.{digits}f}"
    return text[1:] if not float(text) else text.replace("-", "−")


def fixed(value: float, digits: int = 2) -> str:
    """A number with so many decimals: "0.91", "−0.05"; empty where it is undefined."""
    return signed(value, digits).removeprefix("+") if math.isfinite(value) else ""


def ranged(row: Mapping[Any, Any]) -> str:
    """A mean of two decimals with its interval: "0.85 [0.80, 0.90]", "0.85" where there is none."""
    ends = f" [{fixed(row['low'])}, {fixed(row['high'])}]" if math.isfinite(row["low"]) else ""
    return f"{fixed(row['mean'])}{ends}"


def chance(p: float) -> str:
    """A probability: "0.013", "<0.001", empty where there is no test."""
    if math.isnan(p):
        return ""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def q_words(value: float) -> str:
    """ "q = 0.013", "q < 0.001" of a corrected probability; empty where there is no test."""
    text = chance(value)
    return text and f"q < {text[1:]}" if text.startswith("<") else f"q = {text}"


SHARE, DIFFERENCE, SIZE = (0.0, 1.0), (-1.0, 1.0), (0.0, math.inf)  # what a share, a difference of two, a norm can be


def mean_text(
    row: Mapping[Any, Any],
    scale: float = 1.0,
    decimals: int | None = None,
    digits: int = 3,
    bounds: tuple[float, float] = (-math.inf, math.inf),
) -> str:
    """ "98.3 ± 1.2" of a row with mean, low, high: the mean and half its interval, the mean alone where there is none.

    decimals: of both; by default so many that the mean has so many significant `digits`. bounds: what is possible,
    before the scale; an interval that passes them is written by its ends, cut there: "98.3 [95.1, 100]".
    """
    mean, low, high = (float(row[column]) for column in ("mean", "low", "high"))
    if decimals is None:
        power = math.floor(math.log10(abs(mean * scale))) if mean and math.isfinite(mean) else 0
        decimals = max(0, digits - 1 - power)
    text = f"{mean * scale:.{decimals}f}"
    if low < bounds[0] or high > bounds[1]:
        first = f"{bounds[0] * scale:g}" if low < bounds[0] else f"{low * scale:.{decimals}f}"
        text += f" [{first}, " + (f"{bounds[1] * scale:g}]" if high > bounds[1] else f"{high * scale:.{decimals}f}]")
    elif math.isfinite(low):
        reach, least = (high - low) / 2 * scale, 10.0**-decimals
        text += f" ± {reach:.{decimals}f}" if reach == 0 or reach >= 0.5 * least else f" ± <{least:.{decimals}f}"
    return text.replace("-", "−")
