"""What the copied layers cost: drops by depth with their tests, and what the layers up to each depth are.

Yosinski et al. (2014), "How transferable are features in deep neural networks?".
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from weight_atlas import stats
from weight_atlas.analysis.transfer.curves import Curve, Curves, Row, Runs, accuracies, named
from weight_atlas.plan.spec import Accuracies, Thresholds

MARGIN = Thresholds().margin  # what counts as no difference in accuracy: one percentage point
FEWEST = 3  # replicates below which a depth stays undecided


def differences(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """second - first, seed by seed, of two {seed: value}: of the seeds that both have, in their order."""
    return [second[seed] - first[seed] for seed in sorted(first.keys() & second.keys())]


def parts(curve: Curve, depth: int, curves: Curves, values: Runs) -> dict[str, stats.Equivalence]:
    """{quantity: its test} of one depth: Yosinski's decomposition of the loss of accuracy.

    D(n) = base - AnB, the drop; S(n) = BnB - AnB, specificity, what it is lost to another task's features; C(n) = base
    - BnB, co-adaptation, what is lost where layers that were learnt together are parted. D = C + S where all are
    measured on the same seeds. A curve of one task has C, others have D, and S where BnB was trained alike. Layers that
    were drawn and never trained (mode random) are no task's: D alone.

    C compares a network with what it grew from, S two that grow from it in one way, and at n = 0 all begin alike: these
    are paired by seed. From n = 1 on AnB and the base of B share no stream and no weights, so D is a difference of
    independent means.
    """
    copied = accuracies(values, curves.transfers[curve][depth].cell_id)
    base = accuracies(values, curves.bases[curve])
    drawn = curve.mode == "random"
    of_one = curve.base == curve.target and not drawn
    found = {}
    if of_one or depth == 0:
        found["C" if of_one else "D"] = stats.equivalence(differences(copied, base), MARGIN)
    else:
        first, second = (stats.mean_error(list(side.values())) for side in (base, copied))
        found["D"] = stats.independent_equivalence(first, second, MARGIN)
    twin = curves.transfers.get(curve._replace(base=curve.target), {})
    if not of_one and not drawn and depth in twin:
        own = accuracies(values, twin[depth].cell_id)
        found["S"] = stats.equivalence(differences(copied, own), MARGIN)
    return {quantity: test for quantity, test in found.items() if test.n}


def drop_rows(curves: Curves, values: Runs, asked: Mapping[str, int]) -> list[Row]:
    """Rows of drops.csv: D, C and S by depth with their n of N, mean, 95 % and 90 % intervals, and p of equivalence."""
    rows: list[Row] = []
    for curve, depths in curves.transfers.items():
        for depth, cell in depths.items():
            for quantity, test in parts(curve, depth, curves, values).items():
                rows.append((*named(curve), depth, quantity, asked[cell.cell_id], *test))
    return rows


def verdict(
    drop: stats.Equivalence,
    specific: stats.Equivalence | None,
    before: Sequence[float],
    margin: float = MARGIN,
    fewest: int = FEWEST,
) -> str:
    """What the first n layers are: "generic", "transition", "specific" or "undecided".

    drop, specific: the tests of D(n) and S(n) (None without S); before: the mean drops D at all lesser depths, with 0
    for none copied. In this order:
    - undecided: fewer than `fewest` replicates.
    - generic: the 90 % interval of D lies within the margin.
    - specific: the lower end of the 95 % interval of S is above the margin, and accuracy still falls: D(n) exceeds the
      mean of the drops at all lesser depths (so that a dip with recovery is none).
    - undecided: S was not measured, or the 90 % interval of D reaches farther than the margin to each side, or does not
      lie above 0 (neither a clear drop nor none).
    - transition: the rest.
    """
    low, high = drop.low90, drop.high90
    if drop.n < fewest:
        return "undecided"
    if -margin < low and high < margin:
        return "generic"
    if specific is not None and specific.n < fewest:
        specific = None
    if specific is not None and specific.low > margin and drop.mean > np.mean(before):
        return "specific"
    if specific is None or (high - low) / 2 > margin or low <= 0:
        return "undecided"
    return "transition"


def document_verdict(accuracy: float, rule: Accuracies) -> str:
    """The rule on accuracy alone: above one threshold generic, from the other on, in two decimals as a document prints
    them, a transition, below specific; empty where there is no accuracy."""
    if not math.isfinite(accuracy):
        return ""
    if accuracy > rule.generic:
        return "generic"
    return "transition" if round(accuracy, 2) >= rule.transition else "specific"


def segment_rows(
    curves: Curves, values: Runs, asked: Mapping[str, int], thresholds: Mapping[str, Thresholds]
) -> list[Row]:
    """Rows of segments.csv: what the layers up to each depth from 1 are, by `verdict` and by `document_verdict`, both
    with the thresholds of the study.

    Of the transfers from another task. document_accuracy is the mean by the document's protocol.
    """
    rows: list[Row] = []
    for curve, depths in curves.transfers.items():
        if curve.base == curve.target or curve.mode == "random" or curves.bases[curve] is None:
            continue
        before, asks = [0.0], thresholds.get(curve.study, Thresholds())
        for depth in (depth for depth in depths if depth >= 1):
            quantities = parts(curve, depth, curves, values)
            if "D" not in quantities:
                continue
            drop, specific = quantities["D"], quantities.get("S")
            cell_id = depths[depth].cell_id
            document = stats.mean_interval(accuracies(values, cell_id, "document").values()).mean
            verdicts = verdict(drop, specific, before, asks.margin), document_verdict(document, asks.rule)
            limits = asks.margin, asks.rule.generic, asks.rule.transition
            rows.append((*named(curve), depth, drop.n, asked[cell_id], *verdicts, document, *limits))
            before.append(drop.mean)
    return rows
