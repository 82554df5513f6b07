"""The tests of the claims on convolutional networks (003-1 to 003-9)."""

import math

import numpy as np

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims.claims import CONTRADICTED, REPRODUCED, UNTESTED, Verdict
from weight_atlas.reporting.claims.scopes import ruled
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.features import filters

ADAM = (0.01, 0.02)  # what Adam adds, of claim 003-3
USE = 0.01  # a gain below a point is of no use, for claim 003-4
LOW_SEVENTIES = (0.70, 0.75)  # of claim 003-5
NEW_LAYER = {"best_valid": (0.711914, 2048), "train_accuracy": (0.977294, 8192)}  # of claim 003-7, and its pictures


def opened(claim, tables):
    """(The Tables of the claim's experiment, its one axis)."""
    experiment = tables.experiment(claim["parameters"]["experiment"])
    return grid.cells_of(tables, experiment), experiment.axes[0]


def best(claim, tables):
    """003-1, 003-2: whether the document's level of a sweep is the best: its difference to the runner-up, paired by
    seed. Parameters: the number that is `best`, and what it is called in `words`."""
    number, words = claim["parameters"]["best"], claim["parameters"]["words"]
    found, swept = opened(claim, tables)
    axis, rows = swept.name, grid.reached(found)
    said = [level for level, at in zip(swept.levels, swept.numbers, strict=True) if np.isclose(at, number, rtol=1e-6)]
    means = rows.groupby(axis)["best_valid"].mean()
    if not said or said[0] not in means.index:
        top = means.idxmax()
        mean = grid.interval(rows.loc[rows[axis] == top, "best_valid"])
        text = f"the best {words} is {top}, with {grid.share(mean)} on test; {number:g} is not among those finished."
        return ruled(claim, found, UNTESTED, text, {"means": means.to_dict()}, diverged=True)
    others = means.drop(said[0])
    if others.empty:
        raise NothingToShow(f"no other {words} has a finished run.")
    second = others.idxmax()
    own = rows[rows[axis] == said[0]]
    change = grid.paired(rows[rows[axis] == second], own, "best_valid")
    status = found.status()
    gone = [getattr(cell, axis) for cell in found.cells.itertuples() if status.loc[cell.cell_id, "diverged"]]
    text = (
        f"With {words} {said[0]} test accuracy is {grid.share(grid.interval(own['best_valid']))}; the "
        f"{'runner-up' if change['mean'] > 0 else 'best'} is {second}, to which the difference is "
        f"{grid.amount(change)}." + (f" Runs diverged at {', '.join(gone)}." if gone else "")
    )
    numbers = {"means": means.to_dict(), "second": second, "difference": change, "diverged": gone}
    return ruled(claim, found, sign(change), text, numbers, diverged=True)


def sign(change):
    """REPRODUCED where an interval lies above 0, CONTRADICTED where it lies below, else UNTESTED."""
    return REPRODUCED if change["low"] > 0 else CONTRADICTED if change["high"] < 0 else UNTESTED


def stepped(claim, tables):
    """(Tables of the claim's step of a path and of the one before it, what it buys, the mean that it reaches)."""
    found, axis = opened(claim, tables)
    name = claim["parameters"]["step"]
    if name not in axis.after:
        raise NothingToShow(f"the path has no step {name}.")
    other = axis.after[name]
    rows = grid.reached(found)
    sides = [rows[rows[axis.name] == one] for one in (other, name)]
    change = grid.paired(*sides, "best_valid")
    if not change["n"]:
        raise NothingToShow(f"no seed of the step {name} has finished together with {other}.")
    return chosen(found, axis, other, name), {"after": other, **change}, grid.interval(sides[1]["best_valid"].dropna())


def chosen(found, axis, *names):
    """The Tables of some levels of an axis."""
    made = found.part()
    made.cells = made.cells[made.cells[axis.name].isin(names)].reset_index(drop=True)
    return made


def adam(claim, tables):
    """003-3: Adam adds 1 to 2 points."""
    found, change, mean = stepped(claim, tables)
    text = f"Adam changes test accuracy by {grid.amount(change)}, to {grid.share(mean)}."
    low, high = ADAM
    verdict = UNTESTED
    if change["high"] < low or change["low"] > high:
        verdict = CONTRADICTED
    elif change["low"] > 0 and low <= change["mean"] <= high:
        verdict = REPRODUCED
    return ruled(claim, found, verdict, text, change)


def dropout(claim, tables):
    """003-4: dropout is of no use on the basic network: it gains less than a point."""
    found, change, mean = stepped(claim, tables)
    text = f"Dropout changes test accuracy by {grid.amount(change)}, to {grid.share(mean)}."
    verdict = CONTRADICTED if change["low"] > 0 else REPRODUCED if change["high"] < USE else UNTESTED
    return ruled(claim, found, verdict, text, change)


def double(claim, tables):
    """003-5: a second convolution brings the low 70s."""
    found, change, mean = stepped(claim, tables)
    text = f"A second convolution changes test accuracy by {grid.amount(change)}, to {grid.share(mean)}."
    low, high = LOW_SEVENTIES
    verdict = UNTESTED
    if mean["high"] < low or mean["low"] > high or change["high"] < 0:
        verdict = CONTRADICTED
    elif low <= mean["mean"] < high and change["low"] > 0:
        verdict = REPRODUCED
    return ruled(claim, found, verdict, text, {"difference": change, "accuracy": mean})


def deeper(claim, tables):
    """003-6: C is better than B; A beside them."""
    found, axis = opened(claim, tables)
    models = [claim["parameters"][key] for key in ("beside", "shallower", "deeper")]
    beside, shallower, deep = models
    if not {shallower, deep} <= set(axis.levels):
        raise NothingToShow(f"the path has no steps {shallower} and {deep}.")
    rows = grid.reached(found)
    own = {name: rows[rows[axis.name] == name] for name in models}
    change = grid.paired(own[shallower], own[deep], "best_valid")
    if not change["n"]:
        raise NothingToShow(f"no seed of {shallower} has finished together with {deep}.")
    reached = ", ".join(
        f"{name} {grid.share(grid.interval(part['best_valid'].dropna()))}" for name, part in own.items() if len(part)
    )
    text = f"{deep} less {shallower} is {grid.amount(change)}. Test accuracies: {reached}."
    numbers = {"deeper_less_shallower": change}
    if len(own[beside]):
        numbers["shallowest_less_deeper"] = grid.paired(own[deep], own[beside], "best_valid")
        text += f" The shallowest, {beside}, less {deep} is {grid.amount(numbers['shallowest_less_deeper'])}."
    return ruled(claim, chosen(found, axis, *models), sign(change), text, numbers)


def new_layer(claim, tables):
    """003-7: a new last layer gives 71.19 % on test and 97.73 % on train: both within the uncertainty of ours and of
    the document's own numbers of pictures."""
    found, axis = opened(claim, tables)
    found = found.part(**{axis.name: claim["parameters"]["level"]})
    rows = grid.reached(found)
    means = {name: grid.interval(rows[name].dropna()) for name in NEW_LAYER}
    if not means["best_valid"]["n"]:
        raise NothingToShow("no run with a new last layer has finished.")
    test, train = (grid.share(means[name]) for name in NEW_LAYER)
    text = f"A new last layer reaches {test} on test and, at the last epoch, {train} on train."
    near = [matches(means[name], *said) for name, said in NEW_LAYER.items()]
    verdict = UNTESTED if None in near else REPRODUCED if all(near) else CONTRADICTED
    return ruled(claim, found, verdict, text, means)


def matches(mean, said, pictures):
    """Whether a mean with its interval agrees with one run's share of so many pictures; None without an interval."""
    if not math.isfinite(mean["low"]):
        return None
    chance = stats.normal_quantile(0.975) * stats.share_error(said, pictures)
    return abs(mean["mean"] - said) <= math.hypot((mean["high"] - mean["low"]) / 2, chance)


def overfit(claim, tables):
    """003-8: three blocks overfit, four less: the difference of their gaps."""
    found, axis = opened(claim, tables)
    both = claim["parameters"]["more"], claim["parameters"]["fewer"]
    if not set(both) <= set(axis.levels):
        raise NothingToShow(f"the experiment has not both {both[1]} and {both[0]}.")
    rows = grid.reached(found)
    four, three = (rows[rows[axis.name] == name] for name in both)
    change = grid.paired(four, three, "gap")
    if not change["n"]:
        raise NothingToShow(f"no seed of {both[1]} has finished together with {both[0]}.")
    words = [
        f"{name} {grid.share(grid.interval(own['train_accuracy'].dropna()))} on train and "
        f"{grid.share(grid.interval(own['last'].dropna()))} on test at the last epoch"
        for name, own in ((both[1], three), (both[0], four))
    ]
    text = f"The gap with three blocks less that with four is {grid.amount(change)}: {'; '.join(words)}."
    return ruled(claim, chosen(found, axis, *both), sign(change), text, change)


def identical(claim, tables):
    """003-9: equal initial values give equal filters: exact, at any scale.

    Contradicted where filters with equal incoming weights part, reproduced where they stay equal in both variants.
    """
    _, rows = filters.identical_rows(tables)
    found = filters.outcome(rows)
    lacking = [words for name, words in filters.VARIANTS.items() if name != "drawn" and name not in found]
    numbers = dict(found)
    if lacking:
        raise NothingToShow(f"no run with {' or '.join(lacking)} has a snapshot.")
    alone, both = found["incoming"], found["both"]
    words = [filters.phrase(name, found[name]) for name in ("incoming", "both")]
    if alone["equal"]:
        verdict, text = (REPRODUCED if both["equal"] else UNTESTED), "Equal filters stay equal"
    else:
        verdict = CONTRADICTED
        text = "Equal filters part as soon as the weights that read them differ"
        text += (
            "; they stay equal where these are equal too, so that the claim holds of all initial values alone, not of "
            "the filters' own"
            if both["equal"]
            else "; and they part even where these are equal too"
        )
    return Verdict(verdict, f"{text}: {'; '.join(words)}. The filters are compared bit by bit, at any scale.", numbers)


TESTS = {
    "003-1": best,
    "003-2": best,
    "003-3": adam,
    "003-4": dropout,
    "003-5": double,
    "003-6": deeper,
    "003-7": new_layer,
    "003-8": overfit,
    "003-9": identical,
}
