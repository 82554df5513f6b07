"""The tests of the claims on weight transformation (000-1 to 000-7)."""

import numpy as np
import pandas as pd

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims.claims import (
    ARTEFACT,
    CONTRADICTED,
    REPRODUCED,
    UNTESTED,
    Scope,
    Verdict,
    shortcomings,
    told,
)
from weight_atlas.reporting.exhibits.checkpoints import checkpoints, invariants, schedules
from weight_atlas.reporting.exhibits.checkpoints.answers import points
from weight_atlas.reporting.exhibits.checkpoints.checkpoints import CUSTOM, PRELOAD, models
from weight_atlas.reporting.exhibits.checkpoints.correlations import COEFFICIENTS, likeness, place
from weight_atlas.reporting.exhibits.weights.statistics import MEASURES
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.words import signed

MOST = 0.9  # the share from which on something is called consistent
SMALL = 0.1  # a correlation of this magnitude is small (Cohen 1988), and so is a relative change of this size


def scope(claim, tables):
    """Which cells at checkpoints are within `claim["within"]`, whose epochs are those of each model: a Scope.

    Both models of a family must be: without the other there is nothing to compare.
    """
    within, status, which = claim["within"], tables.status(), models(tables)
    cells = tables.cells[tables.cells["cell_id"].isin(checkpoints.points(tables)["cell_id"])]
    families = tables.architectures()
    lacking = {}
    for cell in cells.itertuples():
        model = which[cell.cell_id]
        if families[cell.network] in within["architecture"] and model in within["epochs"]:
            own = within | {"epochs": within["epochs"][model]}
            card, done = tables.cards.get(cell.dataset_id), int(status.loc[cell.cell_id, "done"])
            lacking[cell.cell_id] = (cell, own, shortcomings(own, tables.settings[cell.cell_id], card, done))
    if not lacking:
        return Scope([], [], f"no model of {' or '.join(within['architecture'])} has checkpoints")
    inside = []
    for preload, custom, *_ in schedules.two(tables):
        if all(cell in lacking and not lacking[cell][2] for cell in (preload, custom)):
            inside += [preload, custom]
    words = []
    for model in (PRELOAD, CUSTOM):
        own = [(cell, limits, lacks) for cell, limits, lacks in lacking.values() if which[cell.cell_id] == model]
        words += told(own[0][1], [(cell, lacks) for cell, _, lacks in own]).split("; ") if own else [f"no {model}"]
    return Scope(inside, list(lacking), "; ".join(dict.fromkeys(filter(None, words))))


def ruled(inside, verdict, text, numbers):
    """The verdict, said to be undecided where it is, or that of a scope without cells, with what was seen."""
    if not inside.cells:
        return inside.verdict(f"Seen: {text}", numbers)
    return Verdict(verdict, f"Undecided: {text}" if verdict == UNTESTED else text, numbers)


def chosen(inside, frame, column="cell_id"):
    """The rows of a frame whose cells are within the scope; all rows where none are."""
    return frame[frame[column].isin(inside.cells)] if inside.cells else frame


def better(claim, tables):
    """000-1: Preload, from ImageNet weights, ends with a higher test accuracy than Custom."""
    inside = scope(claim, tables)
    families = [one for one in schedules.two(tables) if not inside.cells or one[0] in inside.cells]
    if not families:
        raise NothingToShow("no data set and network has both models.")
    label, found, words = tables.cells.set_index("cell_id")["label"], [], []
    for preload, custom, *_ in families:
        row = schedules.difference(tables, custom, preload, "test_accuracy")
        means = [
            schedules.totals(tables).query("cell_id == @cell")["test_accuracy"].mean() for cell in (preload, custom)
        ]
        found.append({"preload": means[0], "custom": means[1], **row})
        words.append(
            f"{label[preload]} {style.percent(means[0])}, {label[custom]} {style.percent(means[1])}, difference "
            f"{points(row)}, n = {int(row['n'])}"
        )
    text = f"Test accuracy at the last epoch: {'; '.join(words)}."
    sources = [tables.settings[preload].start for preload, *_ in families]
    if any(start.kind != "weights" for start in sources):
        text += " The weights come from a source cell, not from ImageNet: that is another claim."
        lacks = "; ".join(filter(None, (inside.outside, "weights of a source cell instead of ImageNet's")))
        return Scope([], [], lacks).verdict(f"Seen: {text}", {"differences": found})
    sides = {by_interval(item["low"], item["high"]) for item in found}
    verdict = sides.pop() if len(sides) == 1 else UNTESTED
    return ruled(inside, verdict, text, {"differences": found})


def by_interval(low, high, limit=0.0):
    """REPRODUCED where an interval lies above a limit, CONTRADICTED below it, else UNTESTED."""
    return REPRODUCED if low > limit else CONTRADICTED if high < limit else UNTESTED


def at_checkpoints(tables):
    """statistics.csv of weights and biases at checkpoints, long: cell_id, seed, checkpoint, epoch, layer, parameter,
    statistic (mean, std, range), value."""
    found = checkpoints.at_checkpoints(tables, "statistics")
    found = found[found["parameter"].isin(["weight", "bias"])]
    keys = ["cell_id", "seed", "checkpoint", "epoch", "layer", "parameter"]
    return found.melt(keys, list(MEASURES), "statistic", "value")


def shares(frame, column):
    """The share of rows for which `column` holds, by cell over the replicates: cell_id, n, mean, low, high."""
    by_seed = frame.groupby(["cell_id", "seed"], sort=False)[column].mean().reset_index(name="share")
    return stats.summarise(by_seed, ["cell_id"], "share")


def with_name(tables, row, unit=100):
    """ "preload 71 % [60, 82]" of a row of `shares`."""
    label = tables.cells.set_index("cell_id").loc[row["cell_id"], "label"]
    text = f"{label} {row['mean'] * unit:.0f} %"
    return text + (f" [{row['low'] * unit:.0f}, {row['high'] * unit:.0f}]" if np.isfinite(row["low"]) else "")


def trends(claim, tables):
    """000-2: mean, standard deviation and range go one way from checkpoint to checkpoint, layer by layer."""
    inside = scope(claim, tables)
    found = chosen(inside, one_way(tables))
    rows = shares(found, "one_way")
    steps = len(checkpoints.names(tables)) - 1
    shown = "; ".join(with_name(tables, row) for row in each(rows))
    text = (
        "Share of the series (a layer's weights or biases, and one of mean, standard deviation and range) that go one "
        f"way over all checkpoints, 95 % intervals over replicates: {shown}. "
        f"Consistent is called {MOST * 100:.0f} % and more; random signs in {steps} steps would make "
        f"{2 * 0.5**steps * 100:.0f} %."
    )
    sides = {by_interval(row["low"], row["high"], MOST) for row in each(rows)}
    verdict = sides.pop() if len(sides) == 1 else CONTRADICTED if CONTRADICTED in sides else UNTESTED
    return ruled(inside, verdict, text, {"shares": rows.to_dict("records")})


def one_way(tables):
    """One row a replicate, parameter and statistic: whether its changes between checkpoints have one sign (a step of 0
    has none); those that never change are left out."""
    keys = ["cell_id", "seed", "layer", "parameter", "statistic"]
    found = at_checkpoints(tables).sort_values(["cell_id", "seed", "epoch"], kind="stable")
    steps = np.sign(found.groupby(keys, sort=False)["value"].diff())
    signs = found.assign(up=steps > 0, down=steps < 0).groupby(keys, sort=False)[["up", "down"]].any().reset_index()
    signs = signs[signs["up"] | signs["down"]]
    return signs.assign(one_way=signs["up"] != signs["down"])


def each(frame):
    """The rows of a frame as dicts."""
    return frame.to_dict("records")


def unlike(claim, tables):
    """000-3: no layer's weights correlate between the models: none clearly more than independent runs."""
    inside = scope(claim, tables)
    found = chosen(inside, likeness(tables, "raw"), "cell_a")
    own = found[(found["parameter"] == "weight") & found["mean"].notna()]
    if own.empty:
        raise NothingToShow("no two models have a defined correlation.")
    tested = own[own["q"].notna()]
    strong = tested[tested["clear"] & (tested["mean"].abs() > SMALL)]
    bound = bool((tested["difference_low"] > -SMALL).all() and (tested["difference_high"] < SMALL).all())
    top = own.loc[own["mean"].abs().idxmax()]
    verdict = CONTRADICTED if len(strong) else REPRODUCED if bound and len(tested) == len(own) else UNTESTED
    text = (
        f"Of {len(tested)} tests of weights (layers, checkpoints, Pearson's and Spearman's) "
        f"{int(tested['clear'].sum())} differ from independent runs after correction for all tests, {len(strong)} of "
        f"them with |r| above {SMALL:g}; the largest r is {place(top)}. "
    )
    wide = int(((tested["difference_high"] - tested["difference_low"]) > 2 * SMALL).sum())
    if wide:
        text += f"In {wide} of the tests the 95 % interval is wider than ±{SMALL:g}, too wide to tell. "
    numbers = {"tests": len(tested), "clear": int(tested["clear"].sum()), "strong": len(strong), "wide": wide}
    return ruled(inside, verdict, text.strip(), numbers | {"largest": float(top["mean"]), "size": int(top["size"])})


def exception(claim, tables):
    """000-4: the biases of the prediction layer correlate towards the end."""
    inside = scope(claim, tables)
    found = chosen(inside, likeness(tables, "raw"), "cell_a")
    head = found.groupby("cell_a", sort=False)["layer"].transform("last")
    own = found[(found["layer"] == head) & (found["parameter"] == "bias")]
    ends = own.groupby("cell_a", sort=False)["checkpoint"].transform("last")
    last = own[own["checkpoint"] == ends]
    if last.empty or not last["mean"].notna().any():
        raise NothingToShow("the biases of the last layer have no defined correlation at the last checkpoint.")
    size = int(last["size"].iloc[0])
    courses = {
        name: ", ".join(
            f"{row.checkpoint} {signed(row.mean) if np.isfinite(row.mean) else 'undefined'}"
            for row in part[["checkpoint", "mean"]].itertuples()
        )
        for name, part in own.groupby("coefficient", sort=False)
    }
    beside = last.dropna(subset="null_mean")
    means = " and ".join(signed(value) for value in beside["null_mean"])
    null = f" Independent runs at the end: {means}." if len(beside) else ""
    alone = stats.significant_correlation(size)
    text = (
        f"N = {size} biases of {last['layer'].iloc[0]}: "
        f"{'; '.join(f'{COEFFICIENTS[name]} {course}' for name, course in courses.items())}. A single r needs "
        f"{alone:.3f} to be significant with so few.{null} {int(last['clear'].sum())} of {len(last)} differ "
        "from independent runs after correction for all tests."
    )
    more = last["clear"] & (last["difference"] > 0)
    verdict = CONTRADICTED if (last["high"] < alone).all() else UNTESTED
    if more.all():
        verdict = REPRODUCED
    elif (last["low"] > 0).all() and (last["null_low"] > 0).all() and not more.any():
        verdict = ARTEFACT
        text += " The correlation is there, but any two runs on these data have it: it comes from the classes."
    return ruled(inside, verdict, text, {"size": size, "means": last["mean"].tolist(), "q": last["q"].tolist()})


def smaller(claim, tables):
    """000-5: Custom has consistently the smaller mean (in magnitude), standard deviation and range."""
    inside = scope(claim, tables)
    found = at_checkpoints(tables)
    found = found.assign(value=found["value"].abs())
    rows, by_kind = [], {}
    for preload, custom, *_ in schedules.two(tables):
        if inside.cells and preload not in inside.cells:
            continue
        keys = ["seed", "checkpoint", "layer", "parameter", "statistic"]
        sides = [found[found["cell_id"] == cell] for cell in (preload, custom)]
        both = sides[0].merge(sides[1], on=keys, suffixes=("", "_custom"))
        both = both[(both["value"] > 0) | (both["value_custom"] > 0)]
        both = both.assign(less=both["value_custom"] < both["value"])
        rows.append(shares(both, "less"))
        for kind, own in both.groupby("statistic", sort=False):
            by_kind.setdefault(kind, []).append(own["less"].mean())
    if not rows:
        raise NothingToShow("no data set and network has both models.")
    rows = pd.concat(rows)
    parts = ", ".join(f"{MEASURES[kind]} {np.mean(values) * 100:.0f} %" for kind, values in by_kind.items())
    shown = "; ".join(
        f"{row['mean'] * 100:.0f} %" + (f" [{row['low'] * 100:.0f}, {row['high'] * 100:.0f}]" if row["n"] > 1 else "")
        for row in each(rows)
    )
    text = (
        f"Custom's value is the smaller in {shown} of the comparisons (layer, weights or biases, checkpoint and "
        f"statistic, seed by seed; of means the magnitude): {parts}. Consistent is called {MOST * 100:.0f} % and more."
    )
    sides = {by_interval(row["low"], row["high"], MOST) for row in each(rows)}
    verdict = sides.pop() if len(sides) == 1 else CONTRADICTED if CONTRADICTED in sides else UNTESTED
    return ruled(inside, verdict, text, {"shares": each(rows), "by_statistic": by_kind})


def little(claim, tables):
    """000-6: Preload's statistics change little, but for its dense layers from the first checkpoint to the second."""
    inside = scope(claim, tables)
    found = chosen(inside, relative_changes(tables))
    found = found[found["cell_id"].map(models(tables)) == PRELOAD]
    if found.empty:
        raise NothingToShow("no model that starts from trained weights has two checkpoints.")
    rest, dense = found[~found["exception"]], found[found["exception"]]
    calm = shares(rest.assign(calm=rest["change"] < SMALL), "calm")
    middle = dense.groupby(["cell_id", "seed"])["change"].median()
    parts = [
        f"{words} {style.percent(part['change'].median())}"
        for words, part in (("the exception", dense), ("everything else", rest))
        if len(part)
    ]
    text = (
        f"Relative change of standard deviation and range, and of the mean against the standard deviation, from one "
        f"checkpoint to the next, medians: {', '.join(parts)}. Of everything else, "
        f"{'; '.join(with_name(tables, row) for row in each(calm))} changes by less than {SMALL * 100:.0f} %."
    )
    little_ = {by_interval(row["low"], row["high"], MOST) for row in each(calm)}
    if len(middle) == 0 or little_ != {REPRODUCED}:
        verdict = CONTRADICTED if CONTRADICTED in little_ else UNTESTED
    else:
        verdict = REPRODUCED if (middle > SMALL).all() else CONTRADICTED
    numbers = {"calm": each(calm), "exception": float(dense["change"].median()) if len(dense) else None}
    return ruled(inside, verdict, text, numbers)


def relative_changes(tables):
    """One row a replicate, parameter, statistic and step to the next checkpoint: change, relative to the value before
    (of a mean: to the standard deviation before), and `exception`: a layer that the start draws, at the first step.

    Without what was constant before the step: there a relative change is undefined.
    """
    keys = ["cell_id", "seed", "layer", "parameter"]
    long = at_checkpoints(tables).sort_values(["cell_id", "seed", "epoch"], kind="stable")
    wide = long.pivot_table(index=[*keys, "epoch"], columns="statistic", values="value", sort=False).reset_index()
    groups = wide.groupby(keys, sort=False)
    before = groups[list(MEASURES)].shift()
    step = groups.cumcount()
    parts = []
    for statistic in MEASURES:
        size = before["std" if statistic == "mean" else statistic]
        change = (wide[statistic] - before[statistic]).abs() / size.where(size > 0)
        parts.append(wide[keys].assign(statistic=statistic, step=step, change=change))
    found = pd.concat(parts).dropna(subset="change")
    start = invariants.first_statistics(tables)
    fresh = {cell: set(invariants.fresh(tables, cell, own)) for cell, own in start.groupby("cell_id", sort=False)}
    drawn = [row.layer in fresh.get(row.cell_id, ()) for row in found.itertuples()]
    return found.assign(exception=np.array(drawn, bool) & (found["step"] == 1).to_numpy())


def undefined(claim, tables):
    """000-7: undefined at the first checkpoint are all biases and the batch normalisation, and nothing else; exact."""
    found = likeness(tables, "raw")
    start = invariants.first_statistics(tables)
    first = found.groupby("cell_a", sort=False)["checkpoint"].transform("first")
    own = found[(found["checkpoint"] == first) & found["cell_a"].isin(start["cell_id"])]
    own = own[own["cell_a"].map(models(tables)) != own["cell_b"].map(models(tables))]
    if own.empty:
        raise NothingToShow("no two models that differ in their start have a checkpoint before training.")
    norms = set(start.loc[start["parameter"] == "running_mean", "layer"])
    expected = (own["parameter"] == "bias") | own["layer"].isin(norms)
    there = own["n"] == 0
    later = found[(found["checkpoint"] != first) & (found["n"] == 0)]
    rows = own.drop_duplicates(["layer", "parameter"])
    biases, weights = (rows["parameter"] == "bias").sum(), (rows["parameter"] == "weight") & rows["layer"].isin(norms)
    numbers = {"undefined": int(there.sum()), "expected": int(expected.sum()), "cells": len(own), "later": len(later)}
    name = own["checkpoint"].iloc[0]
    text = (
        f"At {name} {int(there.sum())} of {len(own)} correlations are undefined (Pearson's and Spearman's). Biases "
        f"({biases} layers) and the weights of batch normalisation ({int(weights.sum())}) make {int(expected.sum())}. "
    )
    wrong = own[there != expected]
    if len(wrong):
        listed = ", ".join(dict.fromkeys(f"{row.layer}.{row.parameter}" for row in wrong.itertuples()))
        text += f"Otherwise than said: {listed}. "
    else:
        text += "They are the same, cell by cell: there one of the two models is constant. "
    text += f"At later checkpoints {len(later)} are undefined. This is exact at any scale."
    return Verdict(CONTRADICTED if len(wrong) else REPRODUCED, text, numbers)


TESTS = {
    "000-1": better,
    "000-2": trends,
    "000-3": unlike,
    "000-4": exception,
    "000-5": smaller,
    "000-6": little,
    "000-7": undefined,
}
