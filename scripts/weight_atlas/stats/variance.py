"""Analysis of variance of a factorial: what each factor explains, and what only two or three do together."""

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

MOST = 3  # factors of an interaction: those of more are part of what is left over
RESIDUAL = "residual"


class Term(NamedTuple):
    """A line of the table: its factors ("a", "a:b", "a:b:c", or "residual"), degrees of freedom, sum of squares, f, p,
    partial eta squared, partial omega squared with its 95 % interval; NaN where there is none."""

    name: str
    df: int
    sum_sq: float
    f: float = math.nan
    p: float = math.nan
    eta: float = math.nan
    omega: float = math.nan
    low: float = math.nan
    high: float = math.nan


class Fit(NamedTuple):
    """What a least-squares fit leaves (sum of squares), and the rank of its design."""

    left: float
    rank: int


def anova(
    values: ArrayLike, levels: Mapping[str, Sequence[Hashable]], blocks: Sequence[Hashable] | None = None
) -> list[Term]:
    """The Terms of a fixed-effects factorial: main effects, interactions of two and of three factors, the residual.

    Sums of squares are of type II (Langsrud 2003): what a term explains beyond all terms that do not contain it. A
    balanced grid gives the usual decomposition, and one that lost runs or cells gives one that does not depend on the
    order of the factors. The error is that of the full model.
    partial eta^2 = SS / (SS + SS_error); partial omega^2 = df (F - 1) / (df (F - 1) + N) (Olejnik and Algina 2003), the
    same less what chance alone would give, and therefore below 0 for a term that explains less than that.

    Parameters
    ----------
    values : [N].
    levels : {factor: its N levels}.
    blocks : the block (the seed) of each value, whose level is taken off before anything is tested: what all cells of a
        seed share is neither an effect nor error.
    """
    numbers = np.asarray(values, float)
    shared = [contrast_columns(blocks)] if blocks is not None and len(set(blocks)) > 1 else []
    codes = {name: contrast_columns(own) for name, own in levels.items()}
    terms = [names for size in range(1, min(len(codes), MOST) + 1) for names in combinations(codes, size)]
    columns = {names: interaction_columns([codes[name] for name in names]) for names in terms}
    error, rank = least_squares(numbers, [*shared, *columns.values()])
    df_error = len(numbers) - rank
    table = []
    for names in terms:
        others = [*shared, *(columns[other] for other in terms if not set(names) <= set(other))]
        without, with_it = least_squares(numbers, others), least_squares(numbers, [*others, columns[names]])
        explained = max(without.left - with_it.left, 0.0)
        table.append(_term(":".join(names), with_it.rank - without.rank, explained, error, df_error, len(numbers)))
    return [*table, Term(RESIDUAL, df_error, error)]


def _term(name: str, df: int, explained: float, error: float, df_error: int, count: int) -> Term:
    """One Term; without a degree of freedom of its own or of the error it has no test."""
    eta = explained / (explained + error) if explained + error > 0 else math.nan
    if not df or not df_error or not error > 0:
        return Term(name, df, explained, eta=eta)
    ratio = explained / df / (error / df_error)
    p = float(special.fdtrc(df, df_error, ratio))
    omega = df * (ratio - 1) / (df * (ratio - 1) + count)
    return Term(name, df, explained, ratio, p, eta, omega, *_share_interval(ratio, df, df_error, count))


def _share_interval(ratio: float, df: int, df_error: int, count: int) -> tuple[float, float]:
    """The 95 % interval of the share of variance that a term of this F explains among `count` values.

    The noncentralities nc under which F is the 97.5 % and the 2.5 % quantile, as nc / (nc + N) (Steiger 2004, "Beyond
    the F test"); 0 where no noncentrality makes F so small.
    """

    def bound(probability: float) -> float:
        def excess(noncentrality: float) -> float:
            return float(special.ncfdtr(df, df_error, noncentrality, ratio)) - probability

        if excess(0.0) <= 0:
            return 0.0
        most = 2.0 * (df * ratio + 10)
        while excess(most) > 0:
            most *= 2
        noncentrality = float(optimize.brentq(excess, 0.0, most))
        return noncentrality / (noncentrality + count)

    return bound(0.975), bound(0.025)


def contrast_columns(levels: Sequence[Hashable]) -> NDArray[np.float64]:
    """Sum-to-zero coding of N labels of k levels: float64 [N, k - 1]."""
    known = list(dict.fromkeys(levels))
    rows = np.vstack([np.eye(len(known) - 1), -np.ones(len(known) - 1)])
    coded: NDArray[np.float64] = rows[[known.index(level) for level in levels]]
    return coded


def interaction_columns(codes: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The products of the columns of several codings [N, a], [N, b], ..: [N, a b ..]."""
    product = codes[0]
    for other in codes[1:]:
        product = (product[:, :, None] * other[:, None, :]).reshape(len(product), -1)
    return product


def least_squares(values: NDArray[np.float64], columns: Collection[NDArray[np.float64]]) -> Fit:
    """The fit of a constant and these columns to values [N]."""
    design = np.hstack([np.ones((len(values), 1)), *columns])
    coefficients, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    return Fit(float(np.square(values - design @ coefficients).sum()), int(rank))


def main_spreads(values: ArrayLike, levels: Mapping[str, Sequence[Hashable]]) -> dict[str, float]:
    """How far the levels of each factor of one whole grid lie apart: {factor: standard deviation of their effects}.

    The variance of the levels' means less what the cells' own spread adds to it: MSE L / N, with the mean square of
    what main effects do not explain. Its root has the variance's sign, so that a factor without any effect is as often
    below 0 as above.

    Parameters
    ----------
    values : [N], one of each combination of levels.
    levels : {factor: its N levels}, L of them different.
    """
    numbers = np.asarray(values, float)
    mean, left = numbers.mean(), numbers - numbers.mean()
    between, counts = {}, {}
    for name, own in levels.items():
        known, codes = np.unique(np.asarray(own, str), return_inverse=True)
        effects = np.bincount(codes, numbers) / np.bincount(codes) - mean
        between[name], counts[name] = float((effects**2).sum()) / (len(known) - 1), len(known)
        left = left - effects[codes]
    df = len(numbers) - 1 - sum(count - 1 for count in counts.values())
    error = float((left**2).sum()) / df if df > 0 else math.nan
    found = {name: between[name] - error * counts[name] / len(numbers) for name in levels}
    return {name: math.copysign(math.sqrt(abs(size)), size) for name, size in found.items()}
