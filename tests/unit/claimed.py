"""What a claim must come out as, computed afresh by scipy from the values that a test has made up."""

import json
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_reporting_convnets import Study

from tests.unit import told

LEVEL = 0.025  # of each one-sided test


def p_values(values, asked, step=0.0):
    """p for and against a statement, by t-tests on values by replicate, or on two independent samples."""
    is_ratio = asked.judge == "ratio"
    margin = math.log1p(asked.margin) if is_ratio else asked.margin
    low, high = (math.log(end) if is_ratio and 0 < end < math.inf else end for end in (asked.low, asked.high))

    def above(bound):
        return p_above(values, bound, step)

    def below(bound):
        return 1 - above(bound)

    if asked.between:
        for_it = max(above(low - margin), below(high + margin))
        against = min(below(low - margin), above(high + margin))
    elif asked.above is not None:
        for_it, against = above(low), below(low + margin)
    else:
        for_it, against = below(high), above(high - margin)
    return (1.0, 1.0) if for_it <= LEVEL and against <= LEVEL else (for_it, against)


class Known(NamedTuple):
    """A mean of n values with its standard error and degrees of freedom."""

    n: int
    mean: float
    error: float
    df: float


def known(values, step=0.0):
    """Of values by replicate (each the difference of two that are rounded to a step), or of the difference of two
    independent samples."""
    if isinstance(values, Known):
        return values
    if isinstance(values, tuple):
        first, second = map(np.asarray, values)
        test = stats.ttest_ind(first, second + 1, equal_var=False)  # 1 more, since a difference of 0 has no ratio
        difference = first.mean() - second.mean()
        return Known(min(len(first), len(second)), difference, (difference - 1) / test.statistic, test.df)
    n = len(values)
    return Known(n, np.mean(values), np.hypot(stats.sem(values), step / np.sqrt(6 * n)), n - 1)


def p_above(values, bound, step=0.0):
    """p of the one-sided test of a mean that is not above a bound."""
    _, mean, error, df = known(values, step)
    return stats.t(df).sf((mean - bound) / error)


def decision(tests):
    """What p for and against each statement of a claim say of it."""
    if all(for_it <= LEVEL for for_it, _ in tests):
        return "reproduced"
    return "contradicted" if any(against * len(tests) <= LEVEL for _, against in tests) else "undecided"


def interval(values, step=0.0):
    """(n, mean, low, high)."""
    n, mean, error, df = known(values, step)
    return n, mean, *stats.t(df, mean, error).interval(0.95)


def check(item, claim, values, verdict, step=0.0):
    """That what claims.json says of a claim has these means, intervals and this verdict.

    values: of each statement of the claim a list: of each of its numbers the values by replicate (of a ratio their
    logarithms), two independent samples, or `Known`. step: of a discrete score.
    """
    flat = [(asked, own) for asked, numbers in zip(claim.all, values, strict=True) for own in numbers]
    assert len(item["numbers"]) == len(flat)
    for number, (asked, own) in zip(item["numbers"], flat, strict=True):
        n, *ends = interval(own, step)
        ends = np.exp(ends) if asked.judge == "ratio" else ends
        assert [number[key] for key in ("n", "mean", "low", "high")] == pytest.approx([n, *ends]), number["words"]
    assert decision([p_values(own, asked, step) for asked, own in flat]) == verdict, item["reason"]
    assert item["verdict"] == item["seen"] == verdict, item["reason"]
    assert bool(item["lean"]) == (verdict == "undecided")
    json.dumps(item, allow_nan=False)


def check_toy(item, seen, *words):
    """That a claim was seen outside of its scope, which words say."""
    assert (item["verdict"], item["seen"]) == ("toy", seen), item["reason"]
    assert "Outside its scope: " in item["reason"] and all(one in item["reason"] for one in words), item["reason"]


def fine(cards):
    """The cards of data sets with so many images to test on that the step of an accuracy is nothing."""
    many = {split: [10**9] for split in ("valid", "test")}
    return {name: card | {"counts": card["counts"] | many} for name, card in cards.items()}


def claim(document, name):
    """The claim of a document with this id."""
    return next(one for one in told.ledger(document) if one.id == name)


class Truth(Study):
    """A study whose replicates end at values that a test gives: accuracy on test and validation images rises to them in
    equal steps, and so does that on training images."""

    def __init__(self, name, *args, **more):
        super().__init__(name, *args, **more)
        self.noise = np.random.default_rng(1)
        self.known = []  # one row a replicate: experiment, labels, seed, test, train

    def put(self, experiment, labels, network, test, spread=0.001, train=None, **more):
        """A cell whose replicates end around `test` (or at each of its values), and `train` on training images."""
        count = self.replicates
        ends = np.asarray(test) if np.ndim(test) else test + self.noise.normal(0, spread, count)
        seen = ends if train is None else train + self.noise.normal(0, spread, count)
        self.known += [
            {"experiment": experiment, **labels, "seed": seed, "test": ends[seed], "train": seen[seed]}
            for seed in range(count)
            if more.get("fate", {}).get(seed, "done") == "done"
        ]
        return self.add(experiment, labels, network, 0.0, ends=ends, seen=seen, **more)

    def run(self, cell_id, seed, end, status, ends=(), seen=(), jump=None, never=(), **_):
        """One replicate; jump: (epoch, what accuracy gains there by seed); never: the seeds that never learnt."""
        front, half = {"cell_id": cell_id, "seed": seed}, jump[0] if jump else self.epochs + 1
        run = {"status": status, "cause": "", "epochs": self.epochs, "best_epoch": self.epochs}
        self.runs.append(front | run | {"learnt": None if status != "done" else seed not in never})
        for epoch in range(self.epochs + 1 if status == "done" else 1):
            test, train = (0.1 + (value[seed] - 0.1) * epoch / self.epochs for value in (ends, seen))
            if jump:
                test = train = ends[seed] - (jump[1][seed] if epoch < half else 0.0)
            row = {"epoch": epoch, "stage": int(epoch >= half), "rate": 0.001, "train_loss": 1.0}
            row |= {f"{split}_accuracy": test for split in ("valid", "test")}
            row |= {f"{split}_loss": 1.0 for split in ("valid", "test")} | {"train_accuracy": train}
            self.metrics.append(front | row)

    def values(self, experiment, of="test", **labels):
        """The known ends of some cells by seed, averaged over cells."""
        rows = pd.DataFrame(self.known)
        rows = rows[rows["experiment"] == experiment]
        for axis, levels in labels.items():
            rows = rows[rows[axis].isin([levels] if isinstance(levels, str) else levels)]
        rows = rows.assign(gap=rows["train"] - rows["test"])
        return rows.groupby("seed")[of].mean()
