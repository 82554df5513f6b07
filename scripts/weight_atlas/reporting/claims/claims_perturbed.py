"""The tests of the claims on perturbed models (002-7 and 002-8): back to the same model, and a minimum far away?"""

import pandas as pd

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims.claims import ARTEFACT, CONTRADICTED, REPRODUCED, UNTESTED, Verdict
from weight_atlas.reporting.exhibits.perturbed import families, paths
from weight_atlas.reporting.exhibits.perturbed.amplification import factor
from weight_atlas.reporting.exhibits.perturbed.families import FLIP, SAME
from weight_atlas.reporting.exhibits.perturbed.perturbed_answers import distortions, flips, mirrored, walled
from weight_atlas.reporting.exhibits.runs.runs import whose
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.tables import as_row
from weight_atlas.reporting.grammar.words import plural

EQUAL = 0.01  # distances whose ratio is within this of 1 are the same
ALIKE = 0.05  # or within this, where the 95 % interval of their ratio holds 1
FLOOR = 0.9  # the part of a flip's distance that the flip itself makes from which on it is an artefact
LEARNT = 0.9  # the part of its control's accuracy from which on a flipped model has learnt again
NOT_COUNTED = f"are not counted (their accuracy is below {LEARNT * 100:.0f} % of that with no flip)"
NONE = "No cell of this config perturbs trained weights and trains them again."


def comes_back(_, tables):
    """002-7: after a small distortion training comes back to the same model.

    Against the end of the same-order control: a distortion that has become smaller comes back. One that has become
    larger does not; and where the distance to the original equals that of the control, the document's number is that
    of training on, not of a return: an artefact.
    """
    if tables.children is None:
        return Verdict(UNTESTED, NONE)
    found = families.small(families.journeys(tables)).dropna(subset=["ratio", "amplification"])
    if found.empty:
        return Verdict(UNTESTED, "No small distortion has a finished replicate beside its control of the same order.")
    grown = found.groupby("branch")["amplification"].mean()
    ratio = ratio_of(found)
    numbers = {"ratio": ratio, "amplification": [float(grown.min()), float(grown.max())]}
    numbers |= {"networks": distortions(tables), "originals": len(grown), "replicates": len(found)}
    equal = same(ratio)
    times = " to ".join(dict.fromkeys(map(factor, (grown.min(), grown.max()))))
    most = f"{times} times as far from the end of its control as the distortion had put it"
    ratios = f"{style.number(ratio['mean'], 4)} times that without it"
    at = scale(tables, found)
    if (grown < 1).all():
        text = f"After {words(found)} it ends {most}: the distortion shrinks in training, and the model comes back.{at}"
        return Verdict(REPRODUCED, text, numbers)
    if not (grown > 1).all():
        text = f"Undecided: after {words(found)} it ends {most}, smaller in some originals and larger in others.{at}"
        return Verdict(UNTESTED, text, numbers)
    if equal:
        text = (
            f"The number is right, and is no return: with {words(found)} the distance to the original is {ratios}, so "
            f"that it measures how far training goes on, and the model ends {most}, not at the same parameters.{at}"
        )
        return Verdict(ARTEFACT, text, numbers)
    text = f"With {words(found)} the distance to the original is {ratios}, and the model ends {most}.{at}"
    return Verdict(CONTRADICTED, text, numbers)


def ratio_of(found):
    """Mean over the originals, then over seeds, of the distance with a distortion over that without: n, mean, low,
    high (95 % interval over seeds)."""
    return as_row(stats.mean_interval(found.groupby("seed")["ratio"].mean()))


def same(ratio):
    """Whether two distances are the same: see EQUAL and ALIKE; ratio: as `ratio_of` gives it."""
    away = abs(ratio["mean"] - 1)
    return bool(away <= EQUAL or (away <= ALIKE and ratio["low"] <= 1 <= ratio["high"]))


def scale(tables, found):
    """A sentence (after a space) on where it was seen: networks, data sets, epochs before and after, replicates."""
    told = []
    for cells, settings in ((found["parent"], tables.settings), (found["cell_id"], tables.children.settings)):
        epochs = sorted({settings[cell].epochs for cell in cells.unique() if cell in settings})
        told.append(" to ".join(map(str, dict.fromkeys((epochs[0], epochs[-1])))) if epochs else "unknown")
    amount = plural(len(found), "replicate")
    return f" Seen on {whose(found)}, trained for {told[0]} epochs and again for {told[1]}, in {amount}."


def words(found):
    """ "add (+1e−6)": the perturbations of some rows."""
    return " and ".join(dict.fromkeys(found["words"]))


def far_away(_, tables):
    """002-8: after a flip of all signs training ends in a minimum far away.

    Of the distance, 2‖θ₁‖ is the flip's own: where that is most of it, an artefact. Otherwise a barrier that stays when
    symmetries are removed makes it another minimum.
    """
    if tables.children is None:
        return Verdict(UNTESTED, NONE)
    found = families.journeys(tables)
    flipped = found[found["what"] == FLIP]
    if flipped.empty:
        return Verdict(UNTESTED, "No replicate with all signs flipped has finished.")
    found = flipped[learnt(tables, flipped, found[found["what"] == SAME])]
    lost = f"{len(flipped) - len(found)} of {plural(len(flipped), 'replicate')}"
    if found.empty:
        return Verdict(UNTESTED, f"After the flip {lost} did not learn again, so that there is no minimum to judge.")
    found = found.assign(floor=found["start"] / found["distance"], way=found["moved"] / found["norm"])
    floors, ways = (found.groupby("branch")[name].mean() for name in ("floor", "way"))
    barriers = paths.heights(tables)
    barriers = barriers.merge(found[["cell_id", "seed"]]) if len(barriers) else barriers
    tall = {
        name: barriers.groupby("cell_id")[name].mean().dropna() for name in ("plain", "aligned") if name in barriers
    }
    numbers = {"floor": [floors.min(), floors.max()], "way": [ways.min(), ways.max()], "networks": flips(tables, found)}
    numbers |= {name: [values.min(), values.max()] for name, values in tall.items() if len(values)}
    walls = walled(numbers["networks"])
    text = "; ".join(map(mirrored, numbers["networks"]))
    text += f". On the line to the original accuracy falls by up to {walls}." if walls else "."
    at = f" {lost} did not learn again and {NOT_COUNTED}." if len(found) < len(flipped) else ""
    at += scale(tables, found)
    if floors.min() >= FLOOR:
        return Verdict(ARTEFACT, f"The flip itself put it there: {text}{at}", numbers)
    lasting = tall.get("aligned", tall.get("plain"))
    if lasting is None or lasting.empty:
        return Verdict(UNTESTED, f"Undecided, since no barrier was measured: {text}{at}", numbers)
    apart = lasting.min() > paths.CONNECTED
    return Verdict(REPRODUCED if apart else CONTRADICTED, text[0].upper() + text[1:] + at, numbers)


def learnt(tables, flipped, controls):
    """Which rows of `families.journeys` learnt again: their accuracy is at least LEARNT of their control's, or one of
    the two is not known; a bool Series."""
    try:
        found = families.children(tables, "accuracy")
    except NothingToShow:
        return pd.Series(True, index=flipped.index)
    found = found[found["protocol"] == "last"]
    ends = found.set_index(["cell_id", "seed"])["accuracy"]
    beside = found[found["cell_id"].isin(controls["cell_id"])].set_index(["branch", "seed"])["accuracy"]
    own = ends.reindex(pd.MultiIndex.from_frame(flipped[["cell_id", "seed"]])).to_numpy()
    other = beside.reindex(pd.MultiIndex.from_frame(flipped[["branch", "seed"]])).to_numpy()
    return pd.Series(~(own < LEARNT * other), index=flipped.index)


TESTS = {"002-7": comes_back, "002-8": far_away}
