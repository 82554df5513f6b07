"""What the copied layers cost: drops by depth with their tests, and what the layers up to each depth are.

Yosinski et al. (2014), "How transferable are features in deep neural networks?".
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from weight_atlas import stats
from weight_atlas.analysis.transfer.curves import Curve, Curves, Row, Runs, accuracies, named

MARGIN = 0.01  # what counts as no difference in accuracy: one percentage point
FEWEST = 3  # replicates below which a depth stays undecided
GENERIC, TRANSITION = 0.91, 0.90  # the document's thresholds of accuracy


def differences(first: Mapping[int, float], second: Mapping[int, float]) -> list[float]:
    """second - first, seed by seed, of two {seed: value}: of the seeds that both have, in their order."""
    return [second[seed] - first[seed] for seed in sorted(first.keys() & second.keys())]


def parts(curve: Curve, depth: int, curves: Curves, values: Runs) -> dict[str, list[float]]:
    """{quantity: [differences by seed]} of one depth: Yosinski's decomposition of the loss of accuracy.

    D(n) = base - AnB, the drop; S(n) = BnB - AnB, specificity, what it is lost to another task's features; C(n) = base
    - BnB, co-adaptation, what is lost where layers that were learnt together are parted. D = C + S where all are
    measured on the same seeds. A curve of one task has C, others have D, and S where BnB was trained alike. Layers that
    were drawn and never trained (mode random) are no task's: D alone.
    """
    copied = accuracies(values, curves.transfers[curve][depth].cell_id)
    base = accuracies(values, curves.bases[curve])
    drawn = curve.mode == "random"
    quantities = {"C" if curve.base == curve.target and not drawn else "D": differences(copied, base)}
    twin = curves.transfers.get(curve._replace(base=curve.target), {})
    if "D" in quantities and not drawn and depth in twin:
        quantities["S"] = differences(copied, accuracies(values, twin[depth].cell_id))
    return {quantity: by_seed for quantity, by_seed in quantities.items() if by_seed}


def drop_rows(curves: Curves, values: Runs, asked: Mapping[str, int]) -> list[Row]:
    """Rows of drops.csv: D, C and S by depth with their n of N, mean, 95 % and 90 % intervals, and p of equivalence."""
    rows: list[Row] = []
    for curve, depths in curves.transfers.items():
        for depth, cell in depths.items():
            for quantity, by_seed in parts(curve, depth, curves, values).items():
                numbers = stats.equivalence(by_seed, MARGIN)
                rows.append((*named(curve), depth, quantity, asked[cell.cell_id], *numbers))
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


def document_verdict(accuracy: float, generic: float = GENERIC, transition: float = TRANSITION) -> str:
    """The document's rule on its own accuracy: above .91 generic, .90 as it is printed (two decimals) or more a
    transition, below specific; empty where there is none."""
    if not math.isfinite(accuracy):
        return ""
    if accuracy > generic:
        return "generic"
    return "transition" if round(accuracy, 2) >= transition else "specific"


def segment_rows(curves: Curves, values: Runs, asked: Mapping[str, int]) -> list[Row]:
    """Rows of segments.csv: what the layers up to each depth from 1 are, by `verdict` and by `document_verdict`.

    Of the transfers from another task. document_accuracy is the mean by the document's protocol.
    """
    rows: list[Row] = []
    for curve, depths in curves.transfers.items():
        if curve.base == curve.target or curve.mode == "random" or curves.bases[curve] is None:
            continue
        before = [0.0]
        for depth in (depth for depth in depths if depth >= 1):
            quantities = parts(curve, depth, curves, values)
            if "D" not in quantities:
                continue
            drop = stats.equivalence(quantities["D"], MARGIN)
            specific = stats.equivalence(quantities["S"], MARGIN) if "S" in quantities else None
            cell_id = depths[depth].cell_id
            document = stats.mean_interval(accuracies(values, cell_id, "document").values()).mean
            verdicts = verdict(drop, specific, before), document_verdict(document)
            rows.append((*named(curve), depth, drop.n, asked[cell_id], *verdicts, document))
            before.append(drop.mean)
    return rows
