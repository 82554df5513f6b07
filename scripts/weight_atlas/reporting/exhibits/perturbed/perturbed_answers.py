"""The answers on perturbed models: the numbers behind them, and the sentences that they make."""

from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import amplification, families, paths
from weight_atlas.reporting.exhibits.perturbed.families import FLIP, OTHER, SAME
from weight_atlas.reporting.grammar import style


def distortions(tables):
    """One dict a network: network, words, ratio and amplification (lowest and highest mean of an original), other
    (the same of the other-order control's distance to the same-order one), start, distance (means), replicates."""
    found = families.journeys(tables)
    low = families.small(found)
    told = []
    for network, own in low.groupby("network", sort=False):
        beside = found[(found["network"] == network) & (found["what"] == OTHER)]
        row = {"network": network, "words": list(dict.fromkeys(own["words"])), "replicates": len(own)}
        for name in ("ratio", "amplification", "start", "distance", "still", "apart"):
            row[name] = ends(own.groupby("branch")[name].mean())
        told.append(row | {"other": ends(beside.groupby("branch")["apart"].mean())})
    return told


def flips(tables, only=None):
    """One dict a network: network, floor (2‖θ₁‖ over the distance), moved (from the flipped start, over ‖θ₁‖), cosine,
    plain and aligned (barriers of accuracy), trained and still (accuracy after training again, and with no flip):
    lowest and highest mean of an original; replicates. only: the rows of `families.journeys` to take, all by default.
    """
    every = families.journeys(tables)
    found = every[every["what"] == FLIP] if only is None else only
    found = found.assign(floor=found["start"] / found["distance"], way=found["moved"] / found["norm"])
    walls = paths.heights(tables)
    told = []
    for network, own in found.groupby("network", sort=False):
        row = {"network": network, "replicates": len(own)}
        for name in ("floor", "way", "cosine", "distance", "moved"):
            row[name] = ends(own.groupby("branch")[name].mean())
        tall = walls.merge(own[["cell_id", "seed"]]) if len(walls) else walls
        for name in ("plain", "aligned"):
            row[name] = ends(tall.groupby("cell_id")[name].mean()) if name in tall else []
        same = every[(every["what"] == SAME) & every["branch"].isin(own["branch"])]
        row |= {"trained": accuracy(tables, own), "still": accuracy(tables, same)}
        told.append(row)
    return told


def accuracy(tables, rows):
    """[lowest, highest] mean test accuracy at the last epoch of the cells of some rows, [] where there is none."""
    try:
        found = families.children(tables, "accuracy")
    except NothingToShow:
        return []
    found = found[found["protocol"] == "last"].merge(rows[["cell_id", "seed"]])
    return ends(found.groupby("cell_id")["accuracy"].mean())


def ends(values):
    """[lowest, highest] of the defined values of a Series, [] where there is none."""
    values = values.dropna()
    return [float(values.min()), float(values.max())] if len(values) else []


def answer_distortion(tables):
    """Two sentences from `distortions`; none where nothing is beside a control."""
    told = [item for item in distortions(tables) if item["ratio"]]
    if not told:
        return []
    words = " or ".join(dict.fromkeys(word for item in told for word in item["words"]))
    first = "; ".join(f"{pair(item['ratio'], 4)} times in {item['network']}" for item in told)
    second = "; ".join(
        f"in {item['network']} {pair(item['apart'])} from where it would have ended, {times(item['amplification'])} "
        "times the distortion itself" + (f" (in another order: {pair(item['other'])})" if item["other"] else "")
        for item in told
        if item["amplification"]
    )
    back = all(item["amplification"][1] < 1 for item in told if item["amplification"])
    sentences = [
        f"After {words} and training again the distance to the original, relative to that after training on with no "
        f"distortion, is {first}."
    ]
    if second:
        sentences.append(f"{'It comes back' if back else 'It does not come back'}: it ends {second}.")
    return sentences


def answer_flip(tables):
    """Two sentences from `flips`; none where there is none."""
    told = flips(tables)
    if not told:
        return []
    found = [f"No: {'; '.join(map(mirrored, told))}."]
    if walled(told):
        found.append(f"On the straight line between the two accuracy falls by up to {walled(told)}.")
    return found


def times(span):
    """The same of large factors: "3,415 to 3,465"."""
    return " to ".join(dict.fromkeys(amplification.factor(value) for value in span))


def mirrored(item):
    """A dict of `flips` in words, as far as distances go."""
    floor = f"{spread(item['floor'])} of ‖θ₁ − θ₂‖ is 2‖θ₁‖, which the flip itself puts between them"
    way = f"training moves {spread(item['way'])} of ‖θ₁‖ from there (cosine to the original {pair(item['cosine'])})"
    again = f" and ends at an accuracy of {spread(item['trained'])}" if item["trained"] else ""
    beside = f" ({spread(item['still'])} with no flip)" if again and item["still"] else ""
    return f"in {item['network']} {floor}, and {way}{again}{beside}"


def walled(told):
    """The barriers of `flips` in words: "76.7 points in lenet5 (70.1 after symmetries are removed)"; may be empty."""
    parts = []
    for item in told:
        points = {name: pair([100 * value for value in item[name]]) for name in ("plain", "aligned") if item[name]}
        if "plain" in points:
            after = f" ({points['aligned']} after symmetries are removed)" if "aligned" in points else ""
            parts.append(f"{points['plain']} points in {item['network']}{after}")
    return "; ".join(parts)


def pair(span, digits=3):
    """ "0.31 to 0.35" of [lowest, highest], or one number."""
    low, high = (style.number(value, digits) for value in span)
    return low if low == high else f"{low} to {high}"


def spread(span):
    """The same as percentages."""
    low, high = style.percent(span[0]), style.percent(span[1])
    return low if low == high else f"{low.removesuffix(' %')} to {high}"
