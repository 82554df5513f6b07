"""The answers on freeze-depth transfer: a sentence or two each."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.transfer import curves as transfer_curves
from weight_atlas.reporting.exhibits.transfer import effects as transfer_effects
from weight_atlas.reporting.exhibits.transfer import segments, training, transfers
from weight_atlas.reporting.exhibits.transfer.transfers import BASE, CURVE
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.tables import Tables, as_row
from weight_atlas.reporting.grammar.words import points

LEVEL = 0.05


def layers(tables: Tables) -> list[str]:
    """Which layers are generic, transition, specific."""
    found = segments.judged(tables)
    goals = transfers.targets(transfers.shown(tables, "curves").query("mode == 'frozen'"))
    own = found[(found["mode"] == "frozen") & found["target"].isin(goals)]
    parts = [f"{place}{segments.told(rows)[:-1]}" for place, rows in placed(own)]
    answers = [f"By what the copied layers up to n cost another task: {'; '.join(parts)}."]
    bends = segments.breaks(tables).merge(own[CURVE].drop_duplicates(), on=CURVE)
    words = [f"{transfers.name(row)} at n = {row.first:g} and {row.second:g}" for row in transfers.rows(bends)]
    return answers + ([f"The fitted curve over n bends for {'; '.join(words)}."] if words else [])


def placed(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """[("lenet5: " or "", rows)]: the families of a frame with the words that tell them apart."""
    return [(f"{words}: " if words else "", rows) for _, rows, words in transfers.families(frame)]


def course(tables: Tables) -> list[str]:
    """How training and validation accuracy evolve, by epoch and by n."""
    rows = training.courses(tables)
    rows = rows[(rows["mode"] != BASE) & (rows["base"] != rows["target"]) & (rows["depth"] >= 1)]
    rows = rows[rows["epoch"] == rows.groupby(["cell_id", "seed"])["epoch"].transform("max")]
    if rows.empty:
        raise NothingToShow("no transfer from another task has finished.")
    parts = []
    for place, own in placed(rows):
        means = own.groupby("depth")[["train", "valid"]].mean()
        first, last = means.index.min(), means.index.max()
        train, valid = (
            f"{style.percent(means.loc[first, split])} at n = {first} and {style.percent(means.loc[last, split])} at "
            f"n = {last}"
            for split in ("train", "valid")
        )
        parts.append(f"{place}on train {train}, on validation {valid}")
    return [f"At the last epoch the mean accuracy of transfers from another task is {'; '.join(parts)}."]


def agreement(tables: Tables) -> list[str]:
    """Whether A to B and B to B behave as in Yosinski et al. 2014: D, C and S at the deepest n."""
    drops = transfers.main(transfers.shown(tables, "drops"))
    drops = drops[(drops["mode"] == "frozen")].astype({"depth": int})
    if drops.empty:
        raise NothingToShow("no transfer has a base of its target.")
    parts = []
    for place, own in placed(drops):
        own = own[own["depth"] == own["depth"].max()]
        words = [
            f"{row.quantity} {points(row.mean, 2)} [{points(row.low, 2)}, {points(row.high, 2)}]"
            if pd.notna(row.low)
            else f"{row.quantity} {points(row.mean, 2)}"
            for row in transfers.rows(own.sort_values("quantity", key=lambda column: column.map("DCS".index)))
        ]
        parts.append(f"{place}{', '.join(words)} at n = {own['depth'].iloc[0]}")
    text = (
        f"Points lost by the deepest transfer (D below the base, of which C by co-adaptation and S by specificity): "
        f"{'; '.join(parts)}."
    )
    answers = [text]
    with suppress(NothingToShow):
        answers.append(transfer_effects.strongest(transfer_effects.suspects(tables)))
    return answers


def similar(tables: Tables) -> list[str]:
    """The effect of the tasks' similarity: mean drops over n."""
    found = transfer_curves.pairs(tables).astype({"depth": int})
    drops = mean_drops(tables, found)
    if not drops:
        raise NothingToShow("the bases of the targets are missing.")
    parts = []
    for key, rest in drops.items():
        row = next(transfers.rows(transfers.of(found, key)))
        note = transfer_curves.alike(tables, row)
        mean = as_row(stats.mean_interval(rest))
        parts.append(f"{amount(mean)} for {transfers.name(row)}" + (f" ({note})" if note else ""))
    return [f"The mean drop over n below the target's base is {', '.join(parts)}."]


def outputs(tables: Tables) -> list[str]:
    """Whether the number of outputs matters."""
    own = transfers.effects(tables, outputs=True)
    own = own[own["quantity"] == "accuracy"]
    same, top = own[own["p_tost"] < LEVEL], own.loc[[own["difference"].abs().idxmax()]].to_dict("records")[0]
    return [
        f"{top['level_b']} outputs instead of {top['level_a']} are equivalent within a point at {len(same)} of "
        f"{len(own)} depths; the largest difference is {amount(top, 'difference')} "
        f"(n = {top['depth']})."
    ]


def saved(tables: Tables) -> list[str]:
    """How many epochs transfer saves, to a point below the base's accuracy and to the document's."""
    found = transfers.main(transfers.shown(tables, "reach"))
    found = found[(found["mode"] == "frozen") & (found["base"] != found["target"])]
    found = found[found["depth"] >= 1].astype({"depth": int})
    if found.empty:
        raise NothingToShow("no transfer from another task has a base of its target.")
    answers = []
    for level, (name, *_) in training.LEVELS.items():
        if level == "base":
            continue
        parts = [place + spared(own) for place, own in placed(found[found["level"] == level])]
        answers.append(
            f"To {name}, in epochs: {'; '.join(parts)} (medians, from six replicates on with 95 % intervals)."
        )
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
