"""The tests of the claims on the hand-made network, its settings, augmentation and fine-tuning (004-1 to 004-9)."""

import math

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims.claims import CONTRADICTED, REPRODUCED, UNTESTED
from weight_atlas.reporting.claims.scopes import outside, ruled, settled
from weight_atlas.reporting.exhibits.design import effects, grid, staged
from weight_atlas.reporting.exhibits.design.factorial import combination
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.words import q_words

HANDMADE = 0.6916222  # of claim 004-1
LITTLE = 0.03  # a gain of at most so much is little, for claim 004-7
JUMP = (0.14, 0.16)  # "15 points" of claim 004-8
VALID = "valid_accuracy"


def single(tables, experiment):
    """The Tables of an experiment of one cell: of several, those of the first."""
    found = grid.part(tables, experiment)
    return found.part(cell_id=found.cells["cell_id"].iloc[0])


def named(claim):
    """The name of the claim's experiment."""
    return claim["parameters"]["experiment"]


def factorial(claim, tables):
    """(Tables of the claim's grid, {factor: its levels}, `grid.reached` of it)."""
    factors = [axis.name for axis in tables.experiment(named(claim)).axes]
    found = grid.part(tables, named(claim), *factors)
    return found, {name: grid.levels(found, name) for name in factors}, grid.reached(found)


def handmade(claim, tables):
    """004-1: the hand-made network reaches 69.16 % on test."""
    found = single(tables, named(claim))
    rows = grid.reached(found)
    mean = grid.interval(rows["best_valid"].dropna())
    if not mean["n"]:
        raise NothingToShow("no run of the hand-made network has finished.")
    others = ", ".join(
        f"{grid.share(grid.interval(rows[name].dropna()))} {words}"
        for name, words in (("last", "at the last epoch"), ("document", "by the document's protocol"))
    )
    text = f"The hand-made network reaches {grid.share(mean)} on test at its best validation epoch ({others})."
    verdict = UNTESTED
    if mean["high"] < HANDMADE:
        verdict = CONTRADICTED
    elif mean["mean"] >= HANDMADE or mean["low"] <= HANDMADE <= mean["high"]:
        verdict = REPRODUCED if math.isfinite(mean["low"]) else UNTESTED
    return ruled(claim, found, verdict, text, mean)


def term(tables, experiment, name):
    """The line of the analysis of validation accuracy for a term, a dict; None where it has no test."""
    for row in effects.records(effects.analysis(tables)):
        of = (row["experiment"], row["outcome"], set(row["term"].split(":")))
        if of == (experiment, VALID, set(name.split(":"))) and math.isfinite(row["q"]):
            return row
    return None


def tested(line, words):
    """ "Main effect of blocks: F 31.2, q < 0.001, partial ω² 0.71." of a line of the analysis."""
    if line is None:
        return f"{words}: no test, for lack of replicates."
    ratio, omega = style.number(line["F"], 3), style.number(line["omega"], 2)
    return f"{words}: F {ratio}, {q_words(line['q'])}, partial ω² {omega}."


def by_level(rows, axis):
    """Levels -> {seed: mean validation accuracy over the other settings} as a DataFrame: seeds down, levels across."""
    return rows.groupby(["seed", axis])[VALID].mean().unstack().dropna()


def listed(means, levels):
    """ "1 66.0 % [65.1, 66.9], 3 ..": the means of `by_level`."""
    return ", ".join(f"{level} {grid.share(grid.interval(means[level]))}" for level in levels if level in means)


def blocks(claim, tables):
    """004-2: 1 or 3 blocks are best: each beats 5, averaged over kernels and paired by seed."""
    found, levels, rows = factorial(claim, tables)
    axis, many = claim["parameters"]["axis"], claim["parameters"]["many"]
    means = by_level(rows, axis)
    few = [level for level in claim["parameters"]["few"] if level in means]
    if many not in means or not few:
        raise NothingToShow("the grid has no 5 blocks to compare with 1 or 3.")
    changes = {level: grid.interval(means[level] - means[many]) for level in few}
    line = term(tables, named(claim), axis)
    words = ", ".join(f"{level} less {many} {grid.amount(change)}" for level, change in changes.items())
    each = listed(means, levels[axis])
    text = f"Validation accuracy by number of blocks: {each}; {words}. {tested(line, 'Main effect of blocks')}"
    verdict = UNTESTED
    if any(change["high"] < 0 for change in changes.values()):
        verdict = CONTRADICTED
    elif (
        len(few) == len(claim["parameters"]["few"])
        and clear(line)
        and all(change["low"] > 0 for change in changes.values())
    ):
        verdict = REPRODUCED
    return ruled(claim, found, verdict, text, {"differences": changes, "term": line})


def clear(line):
    """Whether a line of the analysis is significant after correction."""
    return line is not None and line["q"] < grid.LEVEL


def kernels(claim, tables):
    """004-3: larger kernels are better: the slope over the kernel's size, averaged over blocks, seed by seed."""
    found, levels, rows = factorial(claim, tables)
    axis = tables.experiment(named(claim)).axis(claim["parameters"]["axis"])
    numbers = dict(zip(axis.levels, axis.numbers, strict=True))
    slope = grid.interval(grid.slopes(rows, axis.name, VALID, numbers.__getitem__))
    if not slope["n"]:
        raise NothingToShow("the grid has one kernel.")
    means = by_level(rows, axis.name)
    each = listed(means, levels[axis.name])
    text = (
        f"Validation accuracy changes by {grid.amount(slope, 2)} a pixel of the kernel's side (by kernel: {each}). "
        f"{tested(term(tables, named(claim), axis.name), 'Main effect of the kernel')}"
    )
    return ruled(claim, found, by_sign(slope), text, {"slope": slope})


def by_sign(change):
    """REPRODUCED where an interval lies above 0, CONTRADICTED where it lies below, else UNTESTED."""
    return REPRODUCED if change["low"] > 0 else CONTRADICTED if change["high"] < 0 else UNTESTED


def together(claim, tables):
    """004-4: few blocks with large kernels are best: the slope over kernels is steeper with the fewest blocks than with
    the most, seed by seed, and the best cell has few blocks and a large kernel."""
    found, levels, rows = factorial(claim, tables)
    count, kernel = (tables.experiment(named(claim)).axis(claim["parameters"][key]) for key in ("axis", "other"))
    few, many = levels[count.name][0], levels[count.name][-1]
    place = dict(zip(kernel.levels, kernel.numbers, strict=True)).__getitem__
    slopes = [grid.slopes(rows[rows[count.name] == level], kernel.name, VALID, place) for level in (few, many)]
    change = grid.interval((slopes[0] - slopes[1]).dropna())
    if few == many or not change["n"]:
        raise NothingToShow("the grid has not two numbers of blocks with several kernels.")
    means = grid.means(found, VALID, list(levels), rows)
    best = means.loc[means[means["n"] > 0]["mean"].idxmax()]
    line = term(tables, named(claim), f"{count.name}:{kernel.name}")
    text = (
        f"The best cell is {combination(best, list(levels))}, {grid.share(best)}. A pixel more of the kernel gains "
        f"{grid.amount(change, 2)} more with {few} than with {many} blocks. "
        f"{tested(line, 'Interaction of blocks and kernel')}"
    )
    there = best[count.name] in claim["parameters"]["few"] and best[kernel.name] in claim["parameters"]["large"]
    verdict = by_sign(change)
    if verdict == REPRODUCED and not (there and clear(line)):
        verdict = UNTESTED if there else CONTRADICTED
    return ruled(claim, found, verdict, text, {"difference": change, "best": best.to_dict(), "term": line})


def dropout(claim, tables):
    """004-5: dropout matters most: the largest of the three main effects, by partial omega squared."""
    found, levels, _ = factorial(claim, tables)
    lines = {name: term(tables, named(claim), name) for name in levels}
    if None in lines.values():
        raise NothingToShow("the grid has too few finished runs for an analysis of variance.")
    order = sorted(lines, key=lambda name: -lines[name]["omega"])
    words = "; ".join(tested(lines[name], name).removesuffix(".") for name in order)
    text = f"Main effects on validation accuracy, the largest first: {words}."
    verdict = UNTESTED
    if clear(lines[order[0]]):
        verdict = REPRODUCED if order[0] == claim["parameters"]["axis"] else CONTRADICTED
    return ruled(claim, found, verdict, text, {"terms": lines})


def strength(claim, tables):
    """004-6: accuracy falls slightly with lambda: the slope over its logarithm, seed by seed."""
    found, levels, rows = factorial(claim, tables)
    axis = tables.experiment(named(claim)).axis(claim["parameters"]["axis"])
    numbers = dict(zip(axis.levels, axis.numbers, strict=True))
    slope = grid.interval(grid.slopes(rows, axis.name, VALID, lambda level: math.log10(numbers[level])))
    if not slope["n"]:
        raise NothingToShow("the grid has one lambda.")
    means = by_level(rows, axis.name)
    each = listed(means, levels[axis.name])
    text = (
        f"Ten times as much λ changes validation accuracy by {grid.amount(slope, 2)} (by λ: {each}). "
        f"{tested(term(tables, named(claim), axis.name), 'Main effect of λ')}"
    )
    verdict = {REPRODUCED: CONTRADICTED, CONTRADICTED: REPRODUCED}.get(by_sign(slope), UNTESTED)
    return ruled(claim, found, verdict, text, {"slope": slope})


def augmented(claim, tables):
    """004-7: augmentation overfits less and gains little: the gap and the accuracy against doubled pictures, averaged
    over the kinds of augmentation, seed by seed."""
    axis, (none, twice) = claim["parameters"]["axis"], (claim["parameters"][key] for key in ("none", "twice"))
    found = grid.part(tables, named(claim), axis)
    rows = grid.reached(found)
    kinds = [name for name in found.values(axis) if name not in (none, twice)]
    control, mixed = rows[rows[axis] == twice], rows[rows[axis].isin(kinds)]
    gap, gain = (grid.paired(control, mixed, outcome) for outcome in ("gap", "best_valid"))
    if not gap["n"]:
        raise NothingToShow("no augmentation has finished together with its control.")
    own = {name: grid.paired(control, rows[rows[axis] == name], "best_valid") for name in kinds}
    each = ", ".join(f"{name} {grid.amount(row)}" for name, row in own.items())
    text = (
        f"Against the same pictures twice, augmentation changes the gap of train to test by {grid.amount(gap)} and "
        f"test accuracy by {grid.amount(gain)}, on average over {len(kinds)} kinds (accuracy: {each}). Little is up "
        f"to {LITTLE * 100:g} points."
    )
    verdict = UNTESTED
    if gap["low"] > 0 or gain["high"] < 0 or gain["low"] > LITTLE:
        verdict = CONTRADICTED
    elif gap["high"] < 0 and gain["low"] > 0 and gain["mean"] <= LITTLE:
        verdict = REPRODUCED
    return ruled(claim, found, verdict, text, {"gap": gap, "accuracy": gain, "differences": own})


def unfreezing(claim, tables):
    """004-8: unfreezing gains 15 points in its first epoch: validation accuracy less that of the last frozen epoch."""
    found = single(tables, named(claim))
    jumps = staged.unfrozen(found)
    first = jumps[jumps["stage"] == 1]
    if first.empty:
        raise NothingToShow("no run has reached a second stage.")
    valid, test = (grid.interval(first[name]) for name in ("valid_jump", "test_jump"))
    text = (
        f"In the first epoch after unfreezing validation accuracy changes by {grid.amount(valid)}, test accuracy by "
        f"{grid.amount(test)}.{warning(found)}"
    )
    verdict = UNTESTED
    if valid["high"] < JUMP[0] or valid["low"] > JUMP[1]:
        verdict = CONTRADICTED
    elif valid["low"] > 0:
        verdict = REPRODUCED
    return ruled(claim, found, verdict, text, {"valid": valid, "test": test})


def warning(found):
    """That test pictures may be known to the start, where they may be."""
    text = staged.overlap(found)
    return f" {text}" if text else ""


def tuned(claim, tables):
    """004-9: fine-tuned VGG19 beats the hand-made network: the difference on test, paired by seed."""
    both = [single(tables, name) for name in (claim["parameters"]["against"], named(claim))]
    rows = [grid.reached(found) for found in both]
    change = grid.paired(*rows, "best_valid")
    if not change["n"]:
        raise NothingToShow("no seed of the two has finished.")
    means = [grid.share(grid.interval(own["best_valid"].dropna())) for own in rows]
    text = (
        f"Fine-tuned it reaches {means[1]} on test, the hand-made network {means[0]}: a difference of "
        f"{grid.amount(change)}.{warning(both[1])}"
    )
    parts = zip(both, (("handmade_resnet", None), ("vgg19_dense", "imagenet")), strict=True)
    why = "; ".join(filter(None, [outside(own(claim, *limits), found) for found, limits in parts]))
    return settled(why, by_sign(change), text, {"difference": change})


def own(claim, architecture, start):
    """The claim with the scope of one of the two networks of claim 004-9."""
    return claim | {"within": claim["within"] | {"architecture": [architecture], "start": start}}


TESTS = {
    "004-1": handmade,
    "004-2": blocks,
    "004-3": kernels,
    "004-4": together,
    "004-5": dropout,
    "004-6": strength,
    "004-7": augmented,
    "004-8": unfreezing,
    "004-9": tuned,
}
