"""The tests of the claims on parameter dynamics (002-1 to 002-6)."""

import numpy as np

from weight_atlas import stats
from weight_atlas.reporting.claims.claims import ARTEFACT, CONTRADICTED, REPRODUCED, UNTESTED, Verdict, scope
from weight_atlas.reporting.exhibits.weights import movement, unchanged
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.tables import as_row, last

HUGE, SMALL = ("resnet18", "vgg19"), ("lenet5", "lenet1")
REPORTED = 0.6  # the share of unchanged parameters of claim 002-1
EXPLAINED = 0.99  # the structural part of what is unchanged from which on it is an artefact
VGG = 0.9  # the changed share of claim 002-4


def kept(claim, tables):
    """002-1: over 60 % of ResNet stays unchanged; an artefact where structure explains it, at any scale."""
    return padded(claim, tables, "The number is right, and comes from the network's shape")


def lazy(claim, tables):
    """002-2: that is lazy training; an artefact where structure explains it, at any scale."""
    return padded(claim, tables, "It is not training that leaves them")


def padded(claim, tables, words):
    """The verdict of 002-1 and 002-2, which rest on the same numbers."""
    families = tables.architectures()
    data = unchanged.shares(tables)
    data = data[data["network"].map(families).isin(claim["within"]["architecture"])]
    cells, control = data[data["taps"] > 0], data[data["taps"] == 0]
    if data.empty:
        return scope(claim, tables).verdict("", {})
    numbers = {
        "unchanged": ends(cells["unchanged"]),
        "structural_part": float(cells["structural"].sum() / cells["unchanged"].sum()) if len(cells) else None,
        "other_unchanged": ends(cells["unchanged"] - cells["structural"]),
        "control_unchanged": ends(control["unchanged"]),
        "cells": len(cells),
        "controls": len(control),
    }
    beside = f" Control: {seen(control, 'unchanged')}, whose maps stay larger." if len(control) else ""
    if numbers["structural_part"] is not None and numbers["structural_part"] >= EXPLAINED:
        recorded = cells["contradicted"].dropna()
        proof = ", none of which ever had a gradient other than zero" if len(recorded) and not recorded.any() else ""
        residues = f" {unchanged.residues(cells)}".rstrip()
        part = "all" if numbers["structural_part"] > 0.9995 else style.percent(numbers["structural_part"])
        text = (
            f"{words}: {seen(cells, 'unchanged')} stays unchanged, and {part} of that are kernel taps that only ever "
            f"multiply zero padding{proof}. Beyond them {span(cells['unchanged'] - cells['structural'])} is unchanged. "
            f"The count is exact at any scale, and longer training cannot change it.{residues}{beside}"
        )
        return Verdict(ARTEFACT, text, numbers)
    inside = scope(claim, tables)
    if not inside.cells:
        text = f"Seen: {seen(data, 'unchanged')} unchanged, {span(data['structural'])} structural."
        return inside.verdict(text, numbers)
    share = data[data["cell_id"].isin(inside.cells)]["unchanged"]
    verdict = REPRODUCED if share.min() > REPORTED else CONTRADICTED
    return Verdict(verdict, f"Unchanged is {span(share)}, and structural {span(data['structural'])}.{beside}", numbers)


def all_changed(claim, tables):
    """002-3: all parameters of LeNet change on CIFAR."""
    return changed(claim, tables, lambda share: bool((share >= 0.995).all()))


def most_changed(claim, tables):
    """002-4: more than 90 % of the parameters of VGG change on CIFAR."""
    found = changed(claim, tables, lambda share: bool((share > VGG).all()))
    counts = tables.read("parameters")
    own = counts["network"].map(tables.architectures()).isin(claim["within"]["architecture"])
    counts = counts[own & (counts["layer"] == "total")]
    if len(counts):
        share = counts["effective"] / counts["size"]
        found.reason += f" Effective (neither structural nor tied to others) are {span(share)} of the parameters."
        found.numbers["effective"] = ends(share)
    return found


def changed(claim, tables, holds):
    """A verdict on the changed share of a claim's cells; holds: function of the cells' means."""
    families = tables.architectures()
    data = unchanged.shares(tables)
    data = data[data["network"].map(families).isin(claim["within"]["architecture"])]
    if data.empty:
        return scope(claim, tables).verdict("", {})
    inside = scope(claim, tables)
    own = data[data["cell_id"].isin(inside.cells or inside.nearest)]
    left = {name: float(own[name].mean()) for name in unchanged.CLASSES if name != "changed" and own[name].max() > 0}
    why = ", ".join(f"{unchanged.CLASSES[name][0]} {style.percent(share)}" for name, share in left.items())
    text = f"{seen(own, 'changed')}" + (f" (of the rest, on average: {why})" if why else "")
    numbers = {"changed": ends(own["changed"]), "cells": len(own), "left": left}
    if not inside.cells:
        return inside.verdict(f"Seen: {text}.", numbers)
    return Verdict(REPRODUCED if holds(own["changed"]) else CONTRADICTED, f"Changed: {text}.", numbers)


def close(claim, tables):
    """002-5: SGD ends close to its start in huge networks: nearer than Adam, and nearer than LeNet with SGD."""
    rows = last(movement.steps(tables, "start"), "to_epoch")
    rows = rows.assign(family=rows["network"].map(tables.architectures()), rule=rows["cell_id"].map(rules(tables)))
    inside = scope(claim, tables)
    within = rows[rows["cell_id"].isin(inside.cells)]
    used = within if len(within) else rows[rows["family"].isin((*HUGE, *SMALL))]
    huge, small = used[used["family"].isin(HUGE)], used[used["family"].isin(SMALL)]
    if huge.empty or not (huge["rule"] == "sgd").any():
        return inside.verdict("No huge network was trained with SGD.", {})
    found = []
    for (dataset, network), own in huge.groupby(["dataset", "network"], sort=False):
        beside = small[(small["dataset"] == dataset) & (small["rule"] == "sgd")]
        others = {f"{network} with adam": own[own["rule"] == "adam"]}
        others |= {f"{name} with sgd beside {network}": other for name, other in beside.groupby("network", sort=False)}
        one = own[own["rule"] == "sgd"]
        for what, other in others.items():
            if len(one) and len(other):
                found.append({"network": network, "dataset": dataset, "what": what, **difference(one, other)})
    means = tables.summary("relative_from_start").set_index("cell_id")["mean"]
    sgd = means.reindex(huge.loc[huge["rule"] == "sgd", "cell_id"].unique())
    text = f"The relative distance of huge networks with SGD is {numeric(sgd)}. Difference to it: {gathered(found)}."
    if not len(within):
        return inside.verdict(f"Seen: {text}", {"differences": found})
    return Verdict(*decide(found, text), {"differences": found})


def correlated(claim, tables):
    """002-6: Adam makes features correlate more strongly in huge networks, and not in LeNet."""
    tests = tables.tests()
    kinds = {cell.optimizer: rules(tables)[cell.cell_id] for cell in tables.cells.itertuples()}
    tests = tests[(tests["factor"] == "optimizer") & tests["outcome"].isin(["mean_absolute", "mean_correlation"])]
    tests = tests.assign(a=tests["level_a"].map(kinds), b=tests["level_b"].map(kinds))
    tests = tests[(tests["a"] + tests["b"]).isin(["sgdadam", "adamsgd"])]
    inside = scope(claim, tables)
    places = tables.cells[tables.cells["cell_id"].isin(inside.cells)]
    within = set(zip(places["dataset"], places["network"], strict=True))
    families, found = tables.architectures(), []
    for row in tests.itertuples():
        if families.get(row.network) not in (*HUGE, *SMALL) or (within and (row.dataset, row.network) not in within):
            continue
        flip = -1 if row.a == "adam" else 1
        low, high = sorted((row.low * flip, row.high * flip)) if np.isfinite(row.low) else (row.low, row.high)
        found.append(
            {
                **{"network": row.network, "dataset": row.dataset},
                "huge": families[row.network] in HUGE,
                "what": {"mean_absolute": "mean |r|", "mean_correlation": "mean r"}[row.outcome],
                **{"n": row.n, "mean": row.difference * flip, "low": low, "high": high},
            }
        )
    words = gathered([{**item, "what": f"{item['what']} of {item['network']}"} for item in found])
    text = f"Adam less SGD: {words}."
    if not within or not found:
        return inside.verdict(f"Seen: {text}", {"differences": found})
    mirrored = [item if item["huge"] else {**item, "mean": -item["mean"], "low": -item["high"], "high": -item["low"],
                "spared": True} for item in found]  # fmt: skip
    return Verdict(*decide(mirrored, text), {"differences": found})


TESTS = {
    "002-1": kept,
    "002-2": lazy,
    "002-3": all_changed,
    "002-4": most_changed,
    "002-5": close,
    "002-6": correlated,
}


def decide(differences, text):
    """(verdict, reason) of differences (mean, low, high) that the claim wants above 0; those `spared` need only not be
    clearly below 0. An interval that holds 0 leaves a claim undecided."""
    against = [item for item in differences if item["high"] < 0]
    open_ = [item for item in differences if not item["low"] > 0 and not item.get("spared")]
    if against:
        return CONTRADICTED, text
    if open_ or not differences:
        return UNTESTED, f"Undecided: an interval holds 0. {text}"
    return REPRODUCED, text


def difference(one, other):
    """Mean relative distance of `other` less `one`, each averaged by seed first: n, mean, low, high (95 %, paired)."""
    return as_row(stats.blocked_difference(*(rows.set_index("seed")["relative"] for rows in (one, other))))


def rules(tables):
    """cell_id -> the type of its optimizer, of cells that were trained."""
    settings = {cell_id: tables.settings[cell_id] for cell_id in tables.cells["cell_id"]}
    return {cell_id: one.training.optimizer.type for cell_id, one in settings.items() if not one.is_given}


def gathered(differences):
    """The differences in words, those of one `what` together: their range over the data sets, and how many are clear.

    "mean r of resnet18 −0.174 to −0.059 (clearly below 0 in 1 of 3)": clear is an interval that leaves 0 out.
    """
    parts = []
    for what in dict.fromkeys(item["what"] for item in differences):
        own = [item for item in differences if item["what"] == what]
        means = sorted(item["mean"] for item in own)
        amount = " to ".join(dict.fromkeys(f"{style.number(value, 3)}" for value in (means[0], means[-1])))
        above, below = sum(item["low"] > 0 for item in own), sum(item["high"] < 0 for item in own)
        many = len(own) > 1
        counts = (("above", above), ("below", below))
        clear = [f"{word} 0{f' in {count}' if many else ''}" for word, count in counts if count]
        of = f" of {len(own)}" if many else ""
        words = f"clearly {' and '.join(clear)}{of}" if clear else "not clearly other than 0"
        parts.append(f"{what} {amount} ({words})")
    return "; ".join(parts) or "no pair"


def seen(cells, column):
    """ "61.9 to 62.0 % of resnet18 on MNIST and CIFAR-10" of the rows of `unchanged.shares`."""
    parts = []
    for network, own in cells.groupby("network", sort=False):
        names = list(dict.fromkeys(own["dataset"]))
        parts.append(f"{span(own[column])} of {network} on {', '.join(names)}")
    return "; ".join(parts)


def span(shares):
    """ "61.9 to 62.0 %", or one share where they are equal."""
    low, high = style.percent(shares.min()), style.percent(shares.max())
    return low if low == high else f"{low.removesuffix(' %')} to {high}"


def numeric(values):
    """ "0.31 to 0.35", or one number."""
    low, high = style.number(values.min(), 3), style.number(values.max(), 3)
    return low if low == high else f"{low} to {high}"


def ends(values):
    """[lowest, highest] of a Series, [] where it is empty."""
    return [float(values.min()), float(values.max())] if len(values) else []
