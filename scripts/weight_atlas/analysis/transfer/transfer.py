"""Freeze-depth transfer: accuracy against the number n of layers that are copied, what it is lost to, and where.

Yosinski et al. (2014), "How transferable are features in deep neural networks?": a target network takes its first n
weight layers from a base network (A to B), or from one of its own task (B to B), and its others are fresh. No torch,
no pandas.
"""

import json
import math
from collections import Counter, namedtuple
from itertools import combinations

import numpy as np
from scipy import special

from weight_atlas import schema
from weight_atlas.analysis.comparisons import ROUNDING, by_seed, correct, paired
from weight_atlas.vocabulary import AXES, CHILD_AXES, TRANSFERRED, Protocol, Role, Status

MARGIN = 0.01  # what counts as no difference in accuracy: one percentage point
LEVEL = 0.05
FEWEST = 3  # replicates below which a depth stays undecided
GENERIC, TRANSITION = 0.91, 0.90  # the document's thresholds of accuracy
RESAMPLES = 2000
STEP = 0.25  # of the grid of breakpoints
DEPTHS = 7  # depths that a fit of two breakpoints needs: six parameters, and one more
REACHED = 0.88  # the accuracy to which the document counts epochs

MODES = ("frozen", "tuned", "random")  # copied and frozen, copied and trained on, drawn and frozen
BASE = "base"  # the mode of a base network's own rows
KEYS = (*schema.names("cells"), *CHILD_AXES)

# What one curve against n shares. setting: ((axis, label), ..) of the axes in which a study's transfers differ beside
# these; base and target: labels of data sets.
Curve = namedtuple("Curve", "study network init optimizer setting base target mode")
# One replicate at its best validation epoch: accuracies on test, train and valid, and the test accuracy of its every
# epoch; document: the accuracy by the document's protocol.
Run = namedtuple("Run", "epoch accuracy train valid document course")


def rows(cells, runs, accuracy, metrics):
    """{table: rows} of the transfers of all studies: curves, drops, segments, breakpoints, trends, effects, reach.

    cells: as `weight_atlas.analysis.cells.read` gives them; runs, accuracy, metrics: DataFrames with the columns of the
    tables of their names. Finished replicates count and no others; accuracies are those of the best validation epoch on
    test.
    """
    transfers, bases = curves(cells)
    values = outcomes(runs, accuracy, metrics)
    asked = {cell_id: len(cell["seeds"]) for cell_id, cell in cells.items()}
    found = {"curves": curve_rows(transfers, bases, values)}
    found["drops"] = drop_rows(transfers, bases, values, asked)
    found["segments"] = segment_rows(transfers, bases, values, asked)
    found["breakpoints"] = breakpoint_rows(transfers, bases, values)
    found["trends"] = trend_rows(transfers, bases, values)
    found["effects"] = effect_rows(cells, transfers, values)
    found["reach"] = reach_rows(transfers, bases, values, asked)
    return found


def curves(cells):
    """({Curve: {depth: (cell_id, role)}}, {Curve of a transfer: cell_id of its target's base, or None}).

    A target's base is the grid cell of its data set with the same network, start, optimizer and axes of the study.
    Experiments that share a Curve are one, as far as they share the cells of common depths; where they do not, the
    later one's name becomes part of its setting.
    """
    entries = [(cell_id, entry) for cell_id, cell in cells.items() for entry in cell["named"]]
    transfers = [(cell_id, entry) for cell_id, entry in entries if entry["role"] in TRANSFERRED]
    transfers.sort(key=lambda pair: pair[1]["role"] == Role.EXTRA)
    axes = {entry["study"]: varying(transfers, entry["study"]) for _, entry in transfers}
    asked = {}
    for cell_id, entry in transfers:
        labels = entry["labels"]
        setting = tuple((axis, labels[axis]) for axis in axes[entry["study"]] if labels[axis])
        place = trained_as(cells, cell_id, entry)
        curve = Curve(entry["study"], *place, setting, labels["base"], labels["dataset"], labels["mode"])
        asked.setdefault((curve, labels["experiment"]), {})[int(labels["depth"])] = cell_id, entry["role"]
    found = {}
    for (curve, experiment), depths in asked.items():
        there = found.get(curve, {})
        if any(there[depth][0] != depths[depth][0] for depth in there.keys() & depths.keys()):
            curve = curve._replace(setting=(*curve.setting, ("experiment", experiment)))
        for depth, cell in depths.items():
            found.setdefault(curve, {}).setdefault(depth, cell)
    bases = {curve: base_of(curve, entries) for curve in found}
    return {curve: dict(sorted(depths.items())) for curve, depths in found.items()}, bases


def trained_as(cells, cell_id, entry):
    """(network, init, optimizer) of the base of a transfer, which an axis may override for the transfer itself; its own
    where it has no base."""
    base = cells.get(cells[cell_id]["cell"]["start"].get("cell"))
    for own in base["named"] if base else ():
        if own["role"] == Role.GRID and own["study"] == entry["study"]:
            return tuple(own["labels"][axis] for axis in AXES[1:])
    return tuple(entry["labels"][axis] for axis in AXES[1:])


def varying(transfers, study):
    """The axes, beside those that every transfer has, in which a study's transfers differ."""
    labels = [entry["labels"] for _, entry in transfers if entry["study"] == study]
    names = [axis for axis in labels[0] if axis not in KEYS]
    return [axis for axis in names if len({own[axis] for own in labels}) > 1]


def base_of(curve, entries):
    """The cell_id of the network that was trained on the target's data set from scratch; None where there is none."""
    wanted = {"dataset": curve.target, "network": curve.network, "init": curve.init, "optimizer": curve.optimizer}
    for cell_id, entry in entries:
        own, alike = entry["labels"], entry["role"] == Role.GRID and entry["study"] == curve.study
        if alike and wanted.items() <= own.items() and all(own[axis] in ("", label) for axis, label in curve.setting):
            return cell_id
    return None


def outcomes(runs, accuracy, metrics):
    """{cell_id: {seed: Run}} of the finished replicates that have an accuracy of their best validation epoch."""
    done = runs.loc[runs["status"] == Status.DONE, ["cell_id", "seed"]]
    own = accuracy.merge(done, on=["cell_id", "seed"])
    document = own[own["protocol"] == Protocol.DOCUMENT].set_index(["cell_id", "seed"])["accuracy"].to_dict()
    courses = dict(list(metrics.sort_values("epoch").groupby(["cell_id", "seed"])))
    found = {}
    for row in own[own["protocol"] == Protocol.BEST_VALID].itertuples():
        key = row.cell_id, row.seed
        course = courses[key][courses[key]["epoch"] >= 1]
        best = course[course["epoch"] == row.epoch]
        train, valid = (float(best[f"{split}_accuracy"].iloc[0]) for split in ("train", "valid"))
        course = list(zip(course["epoch"].tolist(), course["test_accuracy"].tolist(), strict=True))
        run = Run(row.epoch, float(row.accuracy), train, valid, float(document.get(key, math.nan)), course)
        found.setdefault(row.cell_id, {})[row.seed] = run
    return found


def named(curve):
    """The first columns of every table: study, network, init, optimizer, setting as text, base, target, mode."""
    setting = " · ".join(f"{axis} {label}" for axis, label in curve.setting)
    return (*curve[:4], setting, *curve[5:])


def curve_rows(transfers, bases, values):
    """Rows of curves.csv: a replicate each; first the bases, whose mode is BASE and whose depth is empty."""
    found, told = [], set()
    for curve, cell_id in bases.items():
        own = curve._replace(setting=(), base=curve.target, mode=BASE)
        if cell_id is not None and own not in told:
            told.add(own)
            found += _runs(own, None, Role.GRID, cell_id, values)
    for curve, depths in transfers.items():
        for depth, (cell_id, role) in depths.items():
            found += _runs(curve, depth, role, cell_id, values)
    return found


def _runs(curve, depth, role, cell_id, values):
    return [
        (*named(curve), depth, role, cell_id, seed, run.epoch, run.accuracy, run.train, run.valid, run.document)
        for seed, run in sorted(values.get(cell_id, {}).items())
    ]


# ------------------------------------------------------------------------------------------- drops and segments


def accuracies(values, cell_id, quantity="accuracy"):
    """{seed: value} of the finished replicates of a cell; empty where there is no such cell."""
    found = {seed: getattr(run, quantity) for seed, run in values.get(cell_id, {}).items()}
    return {seed: value for seed, value in found.items() if math.isfinite(value)}


def differences(first, second):
    """second - first, seed by seed, of two {seed: value}: of the seeds that both have, in their order."""
    return [second[seed] - first[seed] for seed in sorted(first.keys() & second.keys())]


def parts(curve, depth, transfers, bases, values):
    """{quantity: [differences by seed]} of one depth: Yosinski's decomposition of the loss of accuracy.

    D(n) = base - AnB, the drop; S(n) = BnB - AnB, specificity, what it is lost to another task's features; C(n) = base
    - BnB, co-adaptation, what is lost where layers that were learnt together are parted. D = C + S where all are
    measured on the same seeds. A curve of one task has C, others have D, and S where BnB was trained alike. Layers that
    were drawn and never trained (mode random) are no task's: D alone.
    """
    own = accuracies(values, transfers[curve][depth][0])
    base = accuracies(values, bases[curve])
    alone = curve.mode == "random"
    found = {"C" if curve.base == curve.target and not alone else "D": differences(own, base)}
    twin = transfers.get(curve._replace(base=curve.target), {})
    if "D" in found and not alone and depth in twin:
        found["S"] = differences(own, accuracies(values, twin[depth][0]))
    return {quantity: rest for quantity, rest in found.items() if rest}


def drop_rows(transfers, bases, values, asked):
    """Rows of drops.csv: D, C and S by depth with their n of N, mean, 95 % and 90 % intervals, and p of equivalence."""
    found = []
    for curve, depths in transfers.items():
        for depth, (cell_id, _) in depths.items():
            for quantity, rest in parts(curve, depth, transfers, bases, values).items():
                found.append((*named(curve), depth, quantity, asked[cell_id], *equivalence(rest)))
    return found


def equivalence(rest, margin=MARGIN):
    """(n, mean, low, high, low90, high90, p) of paired differences: Student's 95 % and 90 % intervals, and the p-value
    of two one-sided t-tests of |mean| >= margin (Schuirmann 1987).

    p < 0.05 exactly where the 90 % interval lies within the margin. n < 2: no interval and no test. Differences that
    are all equal have intervals without width, and p is 0 within the margin and 1 outside.
    """
    rest = np.asarray(rest, float)
    n, mean, low, high, *_ = paired(np.zeros(len(rest)), rest)
    if n < 2:
        return n, mean, *[math.nan] * 5
    error = float(rest.std(ddof=1)) / math.sqrt(n)
    if high - low <= 0:
        return n, mean, low, high, low, high, float(abs(mean) >= margin)
    half = float(special.stdtrit(n - 1, 0.95)) * error
    p = float(special.stdtr(n - 1, (abs(mean) - margin) / error))
    return n, mean, low, high, mean - half, mean + half, p


def verdict(drop, specific, before, margin=MARGIN, fewest=FEWEST):
    """What the first n layers are: "generic", "transition", "specific" or "undecided".

    drop, specific: what `equivalence` gives for D(n) and S(n) (None without S); before: the mean drops D at all lesser
    depths, with 0 for none copied. In this order:
    - undecided: fewer than `fewest` replicates.
    - generic: the 90 % interval of D lies within the margin.
    - specific: the lower end of the 95 % interval of S is above the margin, and accuracy still falls: D(n) exceeds the
      mean of the drops at all lesser depths (so that a dip with recovery is none).
    - undecided: S was not measured, or the 90 % interval of D reaches farther than the margin to each side, or does not
      lie above 0 (neither a clear drop nor none).
    - transition: the rest.
    """
    n, mean, _, _, low, high, _ = drop
    if n < fewest:
        return "undecided"
    if -margin < low and high < margin:
        return "generic"
    known = specific is not None and specific[0] >= fewest
    if known and specific[2] > margin and mean > np.mean(before):
        return "specific"
    if not known or (high - low) / 2 > margin or low <= 0:
        return "undecided"
    return "transition"


def document_verdict(accuracy, generic=GENERIC, transition=TRANSITION):
    """The document's rule on its own accuracy: above .91 generic, .90 as it is printed (two decimals) or more a
    transition, below specific; empty where there is none."""
    if not math.isfinite(accuracy):
        return ""
    if accuracy > generic:
        return "generic"
    return "transition" if round(accuracy, 2) >= transition else "specific"


def segment_rows(transfers, bases, values, asked):
    """Rows of segments.csv: what the layers up to each depth from 1 are, by `verdict` and by `document_verdict`.

    Of the transfers from another task. document_accuracy is the mean by the document's protocol.
    """
    found = []
    for curve, depths in transfers.items():
        if curve.base == curve.target or curve.mode == "random" or bases[curve] is None:
            continue
        before = [0.0]
        for depth in (depth for depth in depths if depth >= 1):
            own = parts(curve, depth, transfers, bases, values)
            if "D" not in own:
                continue
            drop = equivalence(own["D"])
            specific = equivalence(own["S"]) if "S" in own else None
            cell_id = depths[depth][0]
            document = list(accuracies(values, cell_id, "document").values())
            document = math.fsum(document) / len(document) if document else math.nan
            told = verdict(drop, specific, before), document_verdict(document)
            found.append((*named(curve), depth, drop[0], asked[cell_id], *told, document))
            before.append(drop[1])
    return found


# ------------------------------------------------------------------------------------------- shape over n


def matrix(curve, transfers, bases, values, quantity="accuracy", first=0, last=None):
    """(depths, seeds, values [seeds, depths] float64) of a curve from depth `first` to `last` (its deepest).

    Seeds that lack a depth are left out. Where n = 0 was not trained, the target's base stands for it: it is the same
    training without a copied layer.
    """
    cells = {depth: cell_id for depth, (cell_id, _) in transfers[curve].items()}
    if bases[curve] is not None:
        cells.setdefault(0, bases[curve])
    depths = [depth for depth in sorted(cells) if depth >= first and (last is None or depth <= last)]
    own = [accuracies(values, cells[depth], quantity) for depth in depths]
    seeds = sorted(set.intersection(*map(set, own))) if own else []
    return depths, seeds, np.array([[at[seed] for at in own] for seed in seeds], float).reshape(len(seeds), len(own))


def slopes(depths, values):
    """The least-squares slope of each row of `values` [seeds, depths] over the depths: one a seed."""
    centred = np.asarray(depths, float) - np.mean(depths)
    return values @ centred / (centred @ centred)


def trend_rows(transfers, bases, values):
    """Rows of trends.csv: the slope over n by seed, its mean, 95 % interval and the p of Student's t-test against 0.

    Of accuracy and train_accuracy, over all depths, over those from 1, and over those from 1 without the last two; a
    stretch of fewer than 3 depths has none.
    """
    found = []
    for curve, depths in transfers.items():
        deepest = max(depths)
        for name, quantity in (("accuracy", "accuracy"), ("train_accuracy", "train")):
            for first, last in ((0, deepest), (1, deepest), (1, deepest - 2)):
                stretch, seeds, table = matrix(curve, transfers, bases, values, quantity, first, last)
                if len(stretch) >= 3 and seeds:
                    own = slopes(stretch, table)
                    n, mean, low, high, _, p, _ = paired(np.zeros(len(own)), own)
                    found.append((*named(curve), name, stretch[0], stretch[-1], n, mean, low, high, p))
    return found


def fits(depths, step=STEP):
    """(breakpoints [k, 2], residual makers [k, D, D]) of every continuous function of three straight pieces.

    Breakpoints lie on a grid between the second and the last depth but one, at least one depth apart. With X = [1, n,
    max(n - a, 0), max(n - b, 0)] the residual maker is I - X X^+, so that its product with the accuracies is what the
    least-squares fit leaves.
    """
    depths = np.asarray(depths, float)
    grid = np.arange(depths[1], depths[-2] + step / 2, step)
    pairs = np.array([(a, b) for a, b in combinations(grid, 2) if b - a >= 1])
    makers = []
    for a, b in pairs:
        design = np.stack([np.ones_like(depths), depths, np.maximum(depths - a, 0), np.maximum(depths - b, 0)], axis=1)
        makers.append(np.eye(len(depths)) - design @ np.linalg.pinv(design))
    return pairs, np.array(makers)


def breakpoints(depths, values, resamples=RESAMPLES, seed=0):
    """(first, its low, high, second, its low, high, residual): where a curve over n bends, with 95 % intervals.

    values: [seeds, depths]. The fit is of their mean; residual is its root mean square. Intervals are percentiles over
    resamples of the seeds (Efron 1979), NaN for one seed. Of equal fits the one with the earliest breakpoints counts.
    """
    pairs, makers = fits(depths)
    best, residual = _best(makers, values.mean(axis=0)[None])
    limits = np.full((2, 2), math.nan)
    if len(values) > 1:
        draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
        again, _ = _best(makers, values[draws].mean(axis=1))
        limits = np.quantile(pairs[again], (0.025, 0.975), axis=0)
    (first, second), (low, high) = pairs[best[0]], limits
    numbers = (first, low[0], high[0], second, low[1], high[1], residual[0])
    return tuple(float(number) for number in numbers)


def _best(makers, curves):
    """For each curve [m, D] the place of the best fit [m], and the root mean square of what it leaves [m]."""
    errors = np.stack([((curves @ maker) ** 2).mean(axis=1) for maker in makers], axis=1)
    # Equal but for rounding is equal, so that the first of them is taken on every machine.
    least = errors.min(axis=1, keepdims=True)
    best = (errors <= least + ROUNDING * (curves**2).mean(axis=1, keepdims=True)).argmax(axis=1)
    return best, np.sqrt(errors[np.arange(len(curves)), best])


def breakpoint_rows(transfers, bases, values):
    """Rows of breakpoints.csv: of the curves with at least DEPTHS depths."""
    found = []
    for curve in transfers:
        depths, seeds, table = matrix(curve, transfers, bases, values)
        if len(depths) >= DEPTHS and seeds:
            found.append((*named(curve), len(depths), len(seeds), *breakpoints(depths, table)))
    return found


# ------------------------------------------------------------------------------------------- what else matters


def effect_rows(cells, transfers, values):
    """Rows of effects.csv: what changes at a depth when one thing does, level_b - level_a, paired by seed.

    factor "outputs": two networks that differ in the number of outputs alone. Every other factor is an axis in which a
    study's transfers differ: level_a is that of the document's own transfers (role transfer), and differences of one
    seed are first averaged over all other settings. quantity: accuracy, or "step", the accuracy at n less that at the
    depth before. q is p corrected over the rows of a study (Benjamini and Hochberg 1995), outputs apart.
    """
    found = []
    for study in dict.fromkeys(curve.study for curve in transfers):
        own = {curve: depths for curve, depths in transfers.items() if curve.study == study}
        for compared in (output_pairs(cells, own), factor_pairs(own)):
            part = [row for key, pairs in compared.items() for row in _effects(key, pairs, own, values)]
            q = correct([row[-2] for row in part])
            found += [(*row[:-1], one, row[-1]) for row, one in zip(part, q, strict=True)]
    return found


def _effects(key, pairs, transfers, values):
    """The rows, without q, of one comparison at every depth that all of its pairs of curves have; p_tost comes last."""
    curve, factor, level_a, level_b = key
    depths = sorted(set.intersection(*(set(transfers[one]) for pair in pairs for one in pair)))
    found = []
    for depth in depths:
        for quantity in ("accuracy", "step"):
            if quantity == "step" and depth - 1 not in depths:
                continue
            own = {one: _outcome(transfers[one], depth, quantity, values) for pair in pairs for one in pair}
            first, second = by_seed(pairs, own)
            if first:
                n, mean, low, high, low90, high90, p_tost = equivalence(np.subtract(second, first))
                p = paired(first, second)[5]
                numbers = (n, mean, low, high, low90, high90, p, p_tost)
                found.append((*named(curve), depth, quantity, factor, level_a, level_b, *numbers))
    return found


def _outcome(depths, depth, quantity, values):
    """{seed: accuracy at a depth}, or what it is above that at the depth before."""
    own = accuracies(values, depths[depth][0])
    if quantity == "accuracy":
        return own
    before = accuracies(values, depths[depth - 1][0])
    return {seed: own[seed] - before[seed] for seed in own.keys() & before.keys()}


def output_pairs(cells, transfers):
    """{(Curve, "outputs", number a, number b): [(curve a, curve b)]}: networks that differ in their outputs alone."""
    found = {}
    for a, b in combinations(transfers, 2):
        if a.network == b.network or a._replace(network=b.network) != b:
            continue
        (a, one), (b, other) = sorted(((a, head(cells, transfers[a])), (b, head(cells, transfers[b]))), key=_outputs)
        if one[0] == other[0] and one[1] != other[1]:
            found[a, "outputs", str(one[1]), str(other[1])] = [(a, b)]
    return found


def _outputs(pair):
    return pair[1][1]


def head(cells, depths):
    """(the network's settings without its outputs, as text; the number of its outputs) of a curve's cells."""
    settings = cells[next(iter(depths.values()))[0]]["cell"]
    network = {key: value for key, value in settings["network"].items() if key != "outputs"}
    return json.dumps(network, sort_keys=True), settings["classes"]


def factor_pairs(transfers):
    """{(Curve, axis, document's level, other level): [(curve at the first, curve at the other), ..]} of the axes in
    which transfers differ; a level that a transfer leaves open is an empty text."""
    plain = {}
    for curve, depths in transfers.items():
        if any(role == Role.TRANSFER for _, role in depths.values()):
            plain.setdefault(curve._replace(setting=()), []).append(dict(curve.setting))
    axes = list(dict.fromkeys(axis for curve in transfers for axis, _ in curve.setting))
    found = {}
    for curve in transfers:
        place = curve._replace(setting=())
        own = dict(curve.setting)
        for axis in axes if place in plain else ():
            level = Counter(setting.get(axis, "") for setting in plain[place]).most_common(1)[0][0]
            other = own.get(axis, "")
            changed = {**own, axis: level}
            twin = curve._replace(setting=tuple((name, changed[name]) for name in axes if changed.get(name)))
            if other != level and twin in transfers:
                found.setdefault((place, axis, level, other), []).append((twin, curve))
    return found


# ------------------------------------------------------------------------------------------- epochs


def reach_rows(transfers, bases, values, asked):
    """Rows of reach.csv: epochs until the test accuracy of a run is first at an accuracy, and how many fewer than the
    base's of the same seed.

    level "base": the accuracy of the target's base of the same seed at its best validation epoch; "near": MARGIN less;
    "document": REACHED.
    reached of n: a run that never gets there is censored, later than any epoch, in medians and intervals alike: these
    are empty where half of the runs, or a limit of the interval, are. Bases have rows of their own, with mode BASE.
    """
    found, told = [], set()
    for curve, depths in transfers.items():
        if bases[curve] is None:
            continue
        base = values.get(bases[curve], {})
        own = curve._replace(setting=(), base=curve.target, mode=BASE)
        places = [(curve, depth, cell_id) for depth, (cell_id, _) in depths.items()]
        if own not in told:
            told.add(own)
            places.insert(0, (own, None, bases[curve]))
        for place, depth, cell_id in places:
            runs = values.get(cell_id, {})
            seeds = sorted(runs.keys() & base.keys())
            for level in ("base", "near", "document") if seeds else ():
                below = MARGIN if level == "near" else 0.0
                wanted = [REACHED if level == "document" else base[seed].accuracy - below for seed in seeds]
                epochs = [first(runs[seed].course, least) for seed, least in zip(seeds, wanted, strict=True)]
                begun = [first(base[seed].course, least) for seed, least in zip(seeds, wanted, strict=True)]
                numbers = (len(seeds), asked[cell_id], sum(map(math.isfinite, epochs)), *median(epochs))
                saved = saving(begun, epochs) if depth is not None else (math.nan,) * 3
                least = math.fsum(wanted) / len(wanted)
                found.append((*named(place), depth, level, least, *numbers, *saved))
    return found


def first(course, least):
    """The first epoch at which a course [(epoch, accuracy)] is at least so high; infinite where none is."""
    return next((float(epoch) for epoch, accuracy in course if accuracy >= least - ROUNDING), math.inf)


def saving(begun, epochs):
    """(median, low, high) of the epochs saved, begun - epochs; a run that never gets there saves less than any.

    Pairs whose base does not get there either say nothing and are left out.
    """
    pairs = [(one, other) for one, other in zip(begun, epochs, strict=True) if math.isfinite(one)]
    return median([one - other for one, other in pairs]) if pairs else (math.nan,) * 3


def median(values, resamples=RESAMPLES, seed=0):
    """(median, low, high): 95 % interval by percentiles over resamples (Efron 1979); NaN where it is not finite.

    Values may be infinite (censored): they are ordered, never averaged with others. One value has no interval.
    """
    values = np.asarray(values, float)
    low = high = math.nan
    if len(values) > 1:
        draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
        low, high = np.quantile(_middle(values[draws]), (0.025, 0.975), method="inverted_cdf").tolist()
    found = (float(_middle(values[None])[0]), low, high)
    return tuple(value if math.isfinite(value) else math.nan for value in found)


def _middle(values):
    """The median of each row; infinite where either of the two middle values is."""
    ordered = np.sort(values, axis=1)
    lower, upper = ordered[:, (values.shape[1] - 1) // 2], ordered[:, values.shape[1] // 2]
    return np.where(lower == upper, lower, (lower + upper) / 2)
