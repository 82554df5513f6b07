"""The answers on freeze-depth transfer."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.effects import records
from weight_atlas.reporting.exhibits.transfer import curves as transfer_curves
from weight_atlas.reporting.exhibits.transfer import effects as transfer_effects
from weight_atlas.reporting.exhibits.transfer import segments, training, transfers
from weight_atlas.reporting.exhibits.transfer.transfers import BASE, CURVE
from weight_atlas.reporting.grammar.answers import (
    MARGIN,
    Answer,
    Number,
    Verdict,
    is_clear,
    number,
    seeds_needed,
    settle,
    weighed,
)
from weight_atlas.reporting.grammar.tables import Tables, as_row
from weight_atlas.reporting.grammar.words import chance, whole

FEWEST = 6  # replicates that an interval of a median by the sign test needs


def layers(tables: Tables) -> list[Answer]:
    """Which layers are generic, transition, specific: by a margin of one point."""
    found = segments.judged(tables)
    goals = transfers.targets(transfers.shown(tables, "curves").query("mode == 'frozen'"))
    own = found[(found["mode"] == "frozen") & found["target"].isin(goals)]
    parts = [f"{place}{segments.told(rows)[:-1]}" for place, rows in placed(own)]
    drops = transfers.shown(tables, "drops")
    drops = drops[(drops["quantity"] == "D") & (drops["mode"] == "frozen") & drops["target"].isin(goals)]
    seeds = seeds_needed(records(drops[drops["depth"] >= 1])) if (own["verdict"] == "undecided").any() else 0
    answer = Answer(
        f"Judged by what copying the layers up to n costs another task: {'; '.join(parts)}.",
        Verdict.UNDECIDED if (own["verdict"] == "undecided").all() else None,
        sure=f"intervals against one point, n = {whole(own['n'])}",
        decide=settle(seeds),
    )
    bends = segments.breaks(tables).merge(own[CURVE].drop_duplicates(), on=CURVE)
    words = [f"{transfers.name(row)} at n = {row.first:g} and {row.second:g}" for row in transfers.rows(bends)]
    return [answer, *([Answer(f"The fitted curve over n bends for {'; '.join(words)}.")] if words else [])]


def placed(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """[("lenet5: " or "", rows)]: the families of a frame with the words that tell them apart."""
    return [(f"{words}: " if words else "", rows) for _, rows, words in transfers.families(frame)]


def course(tables: Tables) -> list[Answer]:
    """How training and validation accuracy evolve, by epoch and by n."""
    rows = training.courses(tables)
    rows = rows[(rows["mode"] != BASE) & (rows["base"] != rows["target"]) & (rows["depth"] >= 1)]
    rows = rows[rows["epoch"] == rows.groupby(["cell_id", "seed"])["epoch"].transform("max")]
    if rows.empty:
        raise NothingToShow("no transfer from another task has finished.")
    made = []
    for _, own, place in transfers.families(rows):
        for split, words in (("train", "training"), ("valid", "validation")):
            numbers, ends = [], []
            for depth in dict.fromkeys((own["depth"].min(), own["depth"].max())):
                row = grid.interval(own[own["depth"] == depth].groupby("seed")[split].mean())
                numbers.append(number(f"{words} accuracy at n = {depth}", row, grid.share(row)))
                ends.append(f"{grid.share(row)} at n = {depth}")
            text = f"On {words} images transfers from another task end at {' and '.join(ends)}."
            made.append(Answer(text, None, place, tuple(numbers), intervals(numbers)))
    return made


def intervals(numbers: Sequence[Number]) -> str:
    """ "95 % intervals, n = 3" of the numbers of an answer."""
    return f"95 % intervals, n = {whole(one.n for one in numbers)}"


def agreement(tables: Tables) -> list[Answer]:
    """Whether A to B loses by being specific and B to B by co-adaptation, as in Yosinski et al. 2014, at the deepest
    n: by the intervals of D, C and S."""
    drops = transfers.main(transfers.shown(tables, "drops"))
    drops = drops[(drops["mode"] == "frozen")].astype({"depth": int})
    if drops.empty:
        raise NothingToShow("no transfer has a base of its target.")
    made = [_loss(words, own[own["depth"] == own["depth"].max()]) for _, own, words in transfers.families(drops)]
    with suppress(NothingToShow):
        found = transfer_effects.suspects(tables)
        row = transfer_effects.largest(found)
        sure = f"q = {chance(row['q']) or 'not tested'}, n = {row['n']}"
        text, told = transfer_effects.strongest(found), amount(row, "difference")
        made.append(Answer(text, numbers=(number(row["change"], row | {"mean": row["difference"]}, told),), sure=sure))
    return made


LOSSES = {"D": "{} against the target's base", "C": "{} of it by co-adaptation", "S": "{} by specificity"}


def _loss(about: str, own: pd.DataFrame) -> Answer:
    """What the deepest transfer of a family loses below its target's base: D, of which C and S."""
    rows = sorted(records(own[own["quantity"].isin(list(LOSSES))]), key=lambda row: "DCS".index(row["quantity"]))
    clear = [row | {"q": float(not (row["low"] > 0 or row["high"] < 0))} for row in rows]
    verdict = weighed([row for row in clear if row["quantity"] == "D"], MARGIN, 1)
    parts = [LOSSES[row["quantity"]].format(amount(row)) for row in rows]
    text = f"With n = {own['depth'].iloc[0]} layers copied, transfer loses {'; '.join(parts)}."
    numbers = tuple(number(row["quantity"], row, amount(row)) for row in rows)
    seeds = seeds_needed(rows) if verdict == Verdict.UNDECIDED else 0
    return Answer(text, verdict, about, numbers, intervals(numbers), settle(seeds))


def similar(tables: Tables) -> list[Answer]:
    """The effect of the tasks' similarity: mean drops over n."""
    found = transfer_curves.pairs(tables).astype({"depth": int})
    drops = mean_drops(tables, found)
    if not drops:
        raise NothingToShow("the bases of the targets are missing.")
    parts, numbers = [], []
    for key, rest in drops.items():
        row = next(transfers.rows(transfers.of(found, key)))
        note = transfer_curves.alike(tables, row)
        mean = as_row(stats.mean_interval(rest))
        numbers.append(number(f"mean drop of {transfers.name(row)}", mean, amount(mean)))
        parts.append(f"{amount(mean)} for {transfers.name(row)}" + (f" ({note})" if note else ""))
    text = f"The mean drop over n below the target's base is {', '.join(parts)}."
    return [Answer(text, numbers=tuple(numbers), sure=intervals(numbers))]


def outputs(tables: Tables) -> list[Answer]:
    """Whether the number of outputs matters, at any depth."""
    own = transfers.effects(tables, outputs=True)
    rows = [row | {"mean": row["difference"]} for row in records(own[own["quantity"] == "accuracy"])]
    verdict = weighed(rows, MARGIN)
    top = max(rows, key=lambda row: abs(row["mean"]))
    clear = sum(map(is_clear, rows))
    numbers = tuple(number(f"n = {row['depth']}", row, amount(row)) for row in rows)
    text = (
        f"{top['level_b']} outputs instead of {top['level_a']} clearly change accuracy at {clear} of {len(rows)} "
        f"depths; the largest difference is {amount(top)} (n = {top['depth']})."
    )
    return [Answer(text, verdict, "", numbers, *grid.certainty(rows, verdict))]


def saved(tables: Tables) -> list[Answer]:
    """How many epochs transfer saves, to a point below the base's accuracy and to its document's."""
    found = transfers.main(transfers.shown(tables, "reach"))
    found = found[(found["mode"] == "frozen") & (found["base"] != found["target"])]
    found = found[found["depth"] >= 1].astype({"depth": int})
    if found.empty:
        raise NothingToShow("no transfer from another task has a base of its target.")
    answers = []
    for level, (name, *_) in training.levels(tables).items():
        own = found[found["level"] == level]
        if level == "base" or own.empty:
            continue
        parts = [place + spared(rows) for place, rows in placed(own)]
        enough = "" if own["n"].min() >= FEWEST else f"; a 95 % interval of a median needs {FEWEST} replicates"
        sure = f"medians, n = {whole(own['n'])}{enough}"
        decide = f"{FEWEST} replicates would give an interval" if enough else ""
        answers.append(Answer(f"To {name}, in epochs: {'; '.join(parts)}.", sure=sure, decide=decide))
    return answers


def spared(own: pd.DataFrame) -> str:
    """ "at n = 1 it takes 5 and saves 100 [90, 110]; .." of rows of reach.csv of one level."""
    first, there = own.iloc[0].to_dict(), own[own["saved"].notna()]
    words = [f"at n = {first['depth']} transfer takes {training.count(first)}"]
    if pd.notna(first["saved"]):
        words[0] += f" and saves {training.saving(first)}"
    if len(there) and there["saved"].max() > 0:
        best = there.loc[[there["saved"].idxmax()]].to_dict("records")[0]
        if best["depth"] != first["depth"]:
            words.append(f"most are saved at n = {best['depth']}, {training.saving(best)}")
    never = own[own["median"].isna() & (own["depth"] != first["depth"])]["depth"]
    if len(never):
        words.append(f"at n = {transfers.stretch(never)} half of the runs or more never get there")
    return "; ".join(words)


def amount(row: Mapping[Any, Any], column: str = "mean", scale: float = 100.0, unit: str = " points") -> str:
    """ "−1.20 points [−1.50, −0.90]" of a row with low and high (95 %)."""
    value = f"{row[column] * scale:+.2f}".replace("-", "−")
    if not np.isfinite(row["low"]):
        return f"{value}{unit} (no interval)"
    low, high = (f"{row[name] * scale:.2f}".replace("-", "−") for name in ("low", "high"))
    return f"{value}{unit} [{low}, {high}]"


def mean_drops(tables: Tables, frame: pd.DataFrame) -> dict[Any, "pd.Series[float]"]:
    """{curve: mean drop over n >= 1 below its target's base, a Series by seed}; curves without a base are left out."""
    curves = transfers.shown(tables, "curves")
    bases = curves[curves["mode"] == BASE].set_index(["network", "init", "optimizer", "target", "seed"])["accuracy"]
    found = {}
    key: Any
    for key, own in frame[frame["depth"] >= 1].groupby(CURVE, sort=False):
        table = own.pivot_table(index="seed", columns="depth", values="accuracy").dropna()
        place = (*key[:3], key[5])
        seeds = [seed for seed in table.index if (*place, seed) in bases.index]
        if seeds:
            level = pd.Series([bases.loc[(*place, seed)] for seed in seeds], index=seeds)
            found[key] = level - table.loc[seeds].mean(axis=1)
    return found
