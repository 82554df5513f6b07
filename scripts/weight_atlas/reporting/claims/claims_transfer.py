"""The tests of the claims on feature transferability (001-1 to 001-10)."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.claims.claims import CONTRADICTED, REPRODUCED, UNTESTED, Scope, Verdict, shortcomings, told
from weight_atlas.reporting.exhibits.transfer import segments, transfers
from weight_atlas.reporting.exhibits.transfer.answers import LEVEL, amount, mean_drops
from weight_atlas.reporting.exhibits.transfer.curves import alike
from weight_atlas.reporting.exhibits.transfer.transfers import BASE, CURVE, MARGIN, stretch
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.tables import as_row
from weight_atlas.reporting.grammar.words import chance, points

DEEPEST = 10  # the document's last n
RATES = ("rate", "lr", "learning_rate", "learning rate")  # what an axis is called that varies the learning rate
EPOCHS = {"base": 120, "target": 5}  # to .88, of claim 001-2


def curves(tables, own=None, mode="frozen"):
    """curves.csv of the main tasks' curves; own: from one's own task alone (True), from another's alone (False)."""
    found = transfers.main(transfers.shown(tables, "curves"))
    found = found[found["mode"] == mode]
    if own is not None:
        found = found[(found["base"] == found["target"]) == own]
    if found.empty:
        raise NothingToShow("no such transfer has finished.")
    return found.astype({"depth": int})


def scope(claim, tables, frame, depths=range(1, DEEPEST + 1)):
    """Which curves of `frame` (rows of curves.csv) are within `claim["within"]`: a Scope whose cells and nearest are
    curves, as tuples of CURVE. A curve must have finished replicates at all of `depths`."""
    within = claim["within"]
    settings = transfers.cells(tables).set_index("cell_id")
    lacking = {}
    for key, own in frame.groupby(CURVE, sort=False):
        one = settings.loc[[own["cell_id"].iloc[0]]].iloc[0]
        if one["settings"].network.architecture not in within["architecture"]:
            continue
        card = tables.cards.get(one["dataset_id"])
        done = own[own["depth"].isin(list(depths))].groupby("depth")["seed"].nunique()
        lacks = shortcomings(sized(within, card), one["settings"], card, int(done.min()) if len(done) else 0)
        if set(depths) - set(done.index):
            lacks["depths"] = sorted(done.index)
        lacking[key] = lacks
    if not lacking:
        return Scope([], [], f"no transfer is of the architecture {' or '.join(within['architecture'])}")
    least = min(map(len, lacking.values()))
    nearest = [key for key, lacks in lacking.items() if len(lacks) == least]
    places = [(SimpleNamespace(network=key[0], dataset=key[5]), lacking[key]) for key in nearest]
    words = [told(within, places)]
    there = sorted({depth for _, lacks in places for depth in lacks.get("depths", ())})
    if any("depths" in lacks for _, lacks in places):
        words.append(f"n = {stretch(there) or 'none'} instead of {stretch(depths)}")
    inside = [key for key, lacks in lacking.items() if not lacks]
    return Scope(inside, nearest, "; ".join(filter(None, words)))


def sized(within, card):
    """`within` with one number of pictures a data set where it allows several (groups of classes differ in size)."""
    there = sum(card["counts"]["train"]) if card else 0
    pictures = {
        name: (there if there in sizes else sizes[0]) if isinstance(sizes, list) else sizes
        for name, sizes in within["pictures"].items()
    }
    return within | {"pictures": pictures}


def chosen(inside, frame):
    """The rows of a frame that belong to the curves within the scope; of all curves where none is."""
    if not inside.cells:
        return frame
    return frame[[tuple(row) in set(inside.cells) for row in frame[CURVE].itertuples(index=False, name=None)]]


def ruled(inside, verdict, text, numbers):
    """The verdict, said to be undecided where it is, or that of a scope without a curve, with what was seen."""
    if not inside.cells:
        return inside.verdict(f"Seen: {text}", numbers)
    return Verdict(verdict, f"Undecided: {text}" if verdict == UNTESTED else text, numbers)


def all_of(verdicts):
    """One verdict of several curves: contradicted where one is, undecided where one is, else reproduced."""
    for one in (CONTRADICTED, UNTESTED):
        if one in verdicts or not verdicts:
            return one if verdicts else UNTESTED
    return REPRODUCED


def by_sign(low, high, below=True):
    """REPRODUCED where an interval lies below 0 (above, if not `below`), CONTRADICTED on the other side, else
    UNTESTED."""
    low, high = (low, high) if below else (-high, -low)
    return REPRODUCED if high < 0 else CONTRADICTED if low > 0 else UNTESTED


def equivalent(row):
    """REPRODUCED where a row with p_tost, low and high is within the margin, CONTRADICTED where its 95 % interval lies
    beyond it, else UNTESTED."""
    if row["p_tost"] < LEVEL:
        return REPRODUCED
    return CONTRADICTED if row["low"] > MARGIN or row["high"] < -MARGIN else UNTESTED


def outputs(claim, tables):
    """001-1: 10 or 100 outputs are comparable: equivalent within a point at every n."""
    effects = transfers.effects(tables, outputs=True)
    effects = effects[effects["quantity"] == "accuracy"]
    inside = scope(claim, tables, curves(tables, own=False))
    own = chosen(inside, effects)
    verdict = all_of([equivalent(row) for _, row in own.iterrows()])
    same, widest = own[own["p_tost"] < LEVEL], own.loc[own["difference"].abs().idxmax()]
    text = (
        f"{widest['level_b']} less {widest['level_a']} outputs: equivalent within a point at {len(same)} of {len(own)} "
        f"depths; the largest difference is {amount(widest, 'difference')}, at n = {widest['depth']}."
    )
    numbers = own[["depth", "difference", "low", "high", "p_tost"]].to_dict("records")
    return ruled(inside, verdict, text, {"differences": numbers})


def epochs(claim, tables):
    """001-2: the base needs at least 120 epochs for .88, the target (n = 1) at most 5."""
    reach = transfers.main(transfers.shown(tables, "reach"))
    reach = reach[reach["level"] == "document"]
    inside = scope(claim, tables, curves(tables, own=False), [1])
    found = curves(tables, own=False)
    keys = chosen(inside, found)[CURVE].drop_duplicates()
    own = reach.merge(keys, on=CURVE)
    own = own[own["depth"] == 1]
    bases = reach[reach["mode"] == BASE].merge(keys[["network", "target"]].drop_duplicates())
    level = style.number(float(reach["accuracy"].iloc[0]), 2)
    parts = [(f"the base of {row.target}", row) for row in bases.itertuples()]
    parts += [(f"{transfers.name(row)} at n = 1", row) for row in own.itertuples()]
    text = f"Epochs to a test accuracy of {level}: {'; '.join(f'{name} {taken(row)}' for name, row in parts)}."
    numbers = {name: [row.median, row.low, row.high, row.reached, row.n] for name, row in parts}
    rows = [row for _, row in parts]
    if not rows or any(row.reached < row.n for row in rows):
        text = f"Not every run reaches {level}. {text}"
        return Verdict(UNTESTED, text, numbers) if inside.cells else ruled(inside, UNTESTED, text, numbers)
    late = all(row.low >= EPOCHS["base"] for row in bases.itertuples())
    early = all(row.high <= EPOCHS["target"] for row in own.itertuples())
    against = any(row.high < EPOCHS["base"] for row in bases.itertuples())
    against |= any(row.low > EPOCHS["target"] for row in own.itertuples())
    verdict = CONTRADICTED if against else REPRODUCED if late and early and len(own) else UNTESTED
    return ruled(inside, verdict, text, numbers)


def taken(row):
    """ "12 [10, 14]", or "by 1 of 3 runs"."""
    if not np.isfinite(row.median):
        return f"by {int(row.reached)} of {int(row.n)} runs"
    return f"{row.median:g} [{row.low:g}, {row.high:g}]" if np.isfinite(row.low) else f"{row.median:g}"


def lower_is_higher(claim, tables):
    """001-3: fewer frozen layers, higher accuracy: the slope over n from 1 is below 0."""
    return falls(claim, tables, 1)


def cross_falls(claim, tables):
    """001-6: A to B falls with n: the slope over n from 0 is below 0."""
    return falls(claim, tables, 0)


def falls(claim, tables, first):
    """The verdict on the slope of accuracy over n from `first` to the deepest, of transfers from another task."""
    found = curves(tables, own=False)
    inside = scope(claim, tables, found)
    own = transfers.shown(tables, "trends").merge(found[CURVE].drop_duplicates(), on=CURVE)
    own = own[(own["quantity"] == "accuracy") & (own["from_depth"] == first)]
    own = chosen(inside, own[own["to_depth"] == own.groupby(CURVE)["to_depth"].transform("max")])
    if own.empty:
        raise NothingToShow(f"no transfer from another task has three depths from n = {first}.")
    verdict = all_of([by_sign(row.low, row.high) for row in own.itertuples()])
    text = (
        "Slope of the test accuracy over n (least squares by seed, Student's t-test on the slopes): "
        f"{'; '.join(slope(row) for _, row in own.iterrows())}."
    )
    return ruled(inside, verdict, text, {"slopes": of_slopes(own)})


def slope(row):
    """ "−0.50 points a layer [−0.60, −0.40], p 0.002 (A → B, n = 1 to 10)"."""
    p = chance(row["p"])
    name = transfers.name(SimpleNamespace(**row[CURVE].to_dict()))
    place = f"{name}, n = {row['from_depth']} to {row['to_depth']}"
    sure = f", p {p}" if p else ""
    return f"{amount(row, 'slope', unit=' points a layer')}{sure} ({place})"


def of_slopes(own):
    return own[["base", "target", "from_depth", "to_depth", "n", "slope", "low", "high", "p"]].to_dict("records")


def training(claim, tables):
    """001-4: training accuracy has no slope over n up to the last two, and is lower in these."""
    found = curves(tables, own=False)
    inside = scope(claim, tables, found)
    trends = transfers.shown(tables, "trends").merge(found[CURVE].drop_duplicates(), on=CURVE)
    trends = chosen(inside, trends[(trends["quantity"] == "train_accuracy") & (trends["from_depth"] == 1)])
    early = trends[trends["to_depth"] < trends.groupby(CURVE)["to_depth"].transform("max")]
    if early.empty:
        raise NothingToShow("no transfer from another task has five depths.")
    parts, verdicts, numbers = [], [], []
    for _, row in early.iterrows():
        own = found[(found[CURVE] == row[CURVE]).all(axis=1)]
        last = own["depth"].max()
        late = contrast(own[own["depth"] >= 1], "train_accuracy", lambda depth, last=last: depth > last - 2)
        related = by_sign(row["low"], row["high"]) != UNTESTED or not np.isfinite(row["low"])
        lower = by_sign(late["low"], late["high"])
        verdicts.append(CONTRADICTED if related or lower == CONTRADICTED else lower)
        parts.append(f"n = {last - 1} and {last} less the smaller n {amount(late)}; slope {slope(row)}")
        numbers.append({"contrast": late, "slope": of_slopes(row.to_frame().T)[0]})
    verdict = all_of(verdicts)
    text = f"Training accuracy: {'; '.join(parts)}. An interval of a slope that holds 0 is no proof that there is none."
    return ruled(inside, verdict, text, {"curves": numbers})


def contrast(own, column, late):
    """Mean of `column` over the depths that `late` (depth -> bool) picks less that over the others, paired by seed: a
    dict of n, mean, low, high. Seeds that lack a depth are left out."""
    table = own.pivot_table(index="seed", columns="depth", values=column).dropna()
    picked = [depth for depth in table if late(depth)]
    rest = [depth for depth in table if not late(depth)]
    return as_row(stats.mean_interval(table[picked].mean(axis=1) - table[rest].mean(axis=1)))


def segmented(claim, tables):
    """001-5: layers 1 to 6 generic, 7 and 8 a transition, 9 and 10 specific, by the consistent rule."""
    found = curves(tables, own=False)
    inside = scope(claim, tables, found)
    own = segments.judged(tables).merge(found[CURVE].drop_duplicates(), on=CURVE)
    own = chosen(inside, own)
    if own.empty:
        raise NothingToShow("no transfer from another task has a base of its target.")
    parts, verdicts = [], []
    for row, part in transfers.each(own):
        given = segments.assigned(tables, row.network, DEEPEST + 1)
        pairs = [(one.verdict, given.get(one.depth)) for one in part.itertuples() if one.depth in given]
        wrong = sum(one not in ("undecided", said) for one, said in pairs)
        open_ = sum(one == "undecided" for one, _ in pairs)
        verdicts.append(CONTRADICTED if wrong else UNTESTED if open_ or not pairs else REPRODUCED)
        agree = f" ({len(pairs) - wrong - open_} of {len(pairs)} as in the document)" if pairs else ""
        rule = segments.in_short(part, "document_verdict")
        parts.append(
            f"{transfers.name(row)}: {segments.in_short(part)}{agree}; by the document's own thresholds {rule}"
        )
    verdict = all_of(verdicts)
    numbers = {"segments": own[["base", "target", "depth", "verdict", "document_verdict"]].to_dict("records")}
    return ruled(inside, verdict, "; ".join(parts) + ".", numbers)


def last_step(claim, tables):
    """001-7: B to B drops suddenly at its deepest n: below the n before, and no recovery."""
    found = curves(tables, own=True)
    inside = scope(claim, tables, found)
    own = chosen(inside, found)
    parts, verdicts, numbers = [], [], []
    for row, part in transfers.each(own):
        part = part[part["depth"] >= 1]
        last = part["depth"].max()
        if part["depth"].nunique() < 2:
            continue
        step = contrast(part[part["depth"] >= last - 1], "accuracy", lambda depth, last=last: depth == last)
        means = part[part["depth"] < last].groupby("depth")["accuracy"].mean()
        lowest = means.idxmin()
        back = contrast(part[part["depth"].isin([lowest, last])], "accuracy", lambda depth, last=last: depth == last)
        small = np.isfinite(step["low"]) and step["low"] > -MARGIN
        verdicts.append(CONTRADICTED if small else by_sign(step["low"], step["high"]))
        recovered = by_sign(back["low"], back["high"], below=False) == REPRODUCED
        parts.append(
            f"{transfers.name(row)}: n = {last} less n = {last - 1} {amount(step)}; to the lowest before "
            f"(n = {lowest}) {amount(back)}, {'a' if recovered else 'no'} clear recovery"
        )
        numbers.append({"target": row.target, "depth": int(last), "step": step, "to_lowest": back})
    if not parts:
        raise NothingToShow("no transfer from a network's own task has two depths.")
    verdict = all_of(verdicts)
    return ruled(inside, verdict, "; ".join(parts) + ".", {"curves": numbers})


def learning_rate(claim, tables):
    """001-8: the drop at the deepest n comes from a high learning rate: another rate removes at least half of it."""
    found = curves(tables, own=True)
    inside = scope(claim, tables, found)
    effects = transfers.effects(tables)
    effects = effects[effects["quantity"] == "accuracy"]
    effects = chosen(inside, effects.merge(found[CURVE].drop_duplicates(), on=CURVE))
    effects = effects[effects["depth"] == effects.groupby(CURVE)["depth"].transform("max")]
    rates = effects[effects["factor"].str.lower().isin(RATES)]
    if rates.empty:
        raise NothingToShow("no transfer of a network's own task was trained at another learning rate.")
    verdicts, numbers = [], []
    for key, part in rates.groupby(CURVE, sort=False):
        depth = part["depth"].iloc[0]
        own = found[(found[CURVE] == list(key)).all(axis=1) & found["depth"].isin([depth - 1, depth])]
        step = contrast(own, "accuracy", lambda at, depth=depth: at == depth)
        best = part.loc[part["difference"].idxmax()]
        numbers.append({"step": step, **best[["factor", "level_b", "difference", "low", "high", "q"]].to_dict()})
        if not step["high"] < 0:
            verdicts.append(UNTESTED)
        elif best["q"] < LEVEL and best["low"] > 0 and best["difference"] >= -step["mean"] / 2:
            verdicts.append(REPRODUCED)
        else:
            verdicts.append(CONTRADICTED if best["high"] < -step["mean"] / 2 else UNTESTED)
    others = effects[~effects["factor"].str.lower().isin(RATES)]
    parts = [f"the step to explain is {amount(one['step'])}" for one in numbers]
    parts += [changed(row) for _, row in pd.concat([rates, others]).iterrows()]
    verdict = all_of(verdicts)
    text = f"At the deepest n, {'; '.join(parts)}."
    return ruled(inside, verdict, text, {"rates": numbers})


def changed(row):
    """ "rate 0.01 changes +2.80 points [2.10, 3.50], q 0.010"."""
    q = chance(row["q"])
    words = f"{row['factor']} {row['level_b'] or 'left as it is'} changes {amount(row, 'difference')}"
    return words + (f", q {q}" if q else "")


def related(tables, kind):
    """curves.csv of the frozen transfers between tasks that are "similar" or "different" by their classes."""
    found = transfers.shown(tables, "curves")
    found = found[(found["mode"] == "frozen") & (found["base"] != found["target"])]
    found = found[[alike(tables, row) == kind for row in found.itertuples()]].astype({"depth": int})
    if found.empty:
        raise NothingToShow(f"no two tasks of which the document's kinds say that they are {kind} have a transfer.")
    return found


def drops_of(tables, frame):
    """drops.csv, D alone, of the curves of a frame."""
    drops = transfers.shown(tables, "drops").astype({"depth": int})
    drops = drops[drops["quantity"] == "D"].merge(frame[CURVE].drop_duplicates(), on=CURVE)
    if drops.empty:
        raise NothingToShow("the bases of the targets are missing, so there is no drop.")
    return drops


def first_equal(claim, tables):
    """001-9: at n = 1 a transfer between similar tasks is as accurate as the base: equivalent within a point."""
    found = related(tables, "similar")
    inside = scope(claim, tables, found, [1])
    own = chosen(inside, drops_of(tables, found))
    own = own[own["depth"] == 1]
    if own.empty:
        raise NothingToShow("no transfer between similar tasks has n = 1.")
    verdict = all_of([equivalent(row) for _, row in own.iterrows()])
    parts = [
        f"{transfers.name(row)} at n = 1 is {points(-row.mean, 2)} points from its base (95 % interval "
        f"{points(-row.high, 2)} to {points(-row.low, 2)}), p of equivalence {chance(row.p_tost) or 'none'}"
        for row in own.itertuples()
    ]
    numbers = {"drops": own[["base", "target", "n", "mean", "low", "high", "p_tost"]].to_dict("records")}
    return ruled(inside, verdict, "; ".join(parts) + ".", numbers)


def similar_drop_less(claim, tables):
    """001-10: similar tasks drop less: the mean drop over n of different ones less theirs, paired, is above 0."""
    found, others = related(tables, "similar"), related(tables, "different")
    inside = scope(claim, tables, pd.concat([found, others]))
    low, high = mean_drops(tables, found), mean_drops(tables, others)
    if inside.cells:
        low, high = ({key: rest for key, rest in own.items() if key in inside.cells} for own in (low, high))
    parts, verdicts, numbers = [], [], []
    for key, rest in high.items():
        for twin, less in low.items():
            if key[:4] != twin[:4]:
                continue
            row = as_row(stats.mean_interval(rest - less))
            if not row["n"]:
                continue
            names = [transfers.name(SimpleNamespace(**dict(zip(CURVE, one, strict=True)))) for one in (key, twin)]
            verdicts.append(by_sign(row["low"], row["high"], below=False))
            parts.append(f"{names[0]} less {names[1]} {amount(row)}")
            numbers.append({"different": names[0], "similar": names[1], **row})
    if not parts:
        raise NothingToShow("no replicate has transfers between similar and between different tasks.")
    verdict = all_of(verdicts)
    text = f"Mean drop over n, different less similar tasks: {'; '.join(parts)}."
    return ruled(inside, verdict, text, {"differences": numbers})


TESTS = {
    "001-1": outputs,
    "001-2": epochs,
    "001-3": lower_is_higher,
    "001-4": training,
    "001-5": segmented,
    "001-6": cross_falls,
    "001-7": last_step,
    "001-8": learning_rate,
    "001-9": first_equal,
    "001-10": similar_drop_less,
}
