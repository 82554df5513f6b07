"""Exhibits on what matters: paired differences between the levels of a factor, for every outcome, and their tests."""

import math

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from weight_atlas.reporting.exhibits.design.grid import chance
from weight_atlas.reporting.exhibits.runs.runs import WORDS, mean_text, plural
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.dots import ABOVE
from weight_atlas.reporting.grammar.exhibit import Exhibit

# outcome -> (words of a heading, words of a sentence, factor to draw by, unit)
OUTCOMES = {
    "unchanged": ("unchanged", "unchanged share", 100, "points"),
    "unchanged_other": ("unchanged,\nnot struct.", "unchanged share beyond structure", 100, "points"),
    "relative_distance": ("relative\ndistance", "distance from the start", 1, ""),
    "mean_absolute": ("mean |r|", "mean |r|", 1, ""),
    "mean_correlation": ("mean r", "mean r", 1, ""),
    "accuracy": ("accuracy", "accuracy", 100, "points"),
}
LEVEL = 0.05
ROW = 0.2


def tested(tables):
    """tests.csv of this study with `where` (what is held) and `comparison` ("adam − sgd") as words."""
    found = tables.tests()
    found = found[found["outcome"].isin(OUTCOMES)]
    parts = {name: found[name] if len(tables.values(name)) > 1 else "" for name in ("network", "dataset")}
    where = pd.DataFrame(parts, index=found.index).agg(lambda row: ", ".join(filter(None, row)), axis=1)
    return found.assign(where=where, comparison=found["level_b"] + " − " + found["level_a"])


def factors(tables):
    """A forest plot: rows are comparisons, grouped by factor, columns are outcomes; [Exhibit]."""
    found = tested(tables)
    outcomes = [name for name in OUTCOMES if name in set(found["outcome"])]
    rows = found.drop_duplicates(["factor", "comparison", "where"])
    order = {name: at for at, name in enumerate(("network", "dataset", "init", "optimizer"))}
    rows = rows.sort_values("factor", key=lambda column: column.map(lambda name: order.get(name, 9)), kind="stable")
    position, ticks, at = {}, {}, 0
    for factor, own in rows.groupby("factor", sort=False):
        ticks[at] = WORDS.get(factor, factor)
        for row in own.itertuples():
            at += 1
            position[factor, row.comparison, row.where] = at
            ticks[at] = ": ".join(filter(None, (row.comparison, row.where)))
        at += 1
    fig = style.figure(ROW * (at + 1) + 1.15)
    grid = fig.subplots(1, len(outcomes), sharey=True, squeeze=False)[0]
    heads = {place for place in ticks if place not in position.values()}
    for axes, outcome in zip(grid, outcomes, strict=True):
        title, _, scale, unit = OUTCOMES[outcome]
        axes.set_title(title, fontsize=9, fontweight="normal", loc="center")
        axes.set_xlabel(unit, fontsize=9)
        axes.axvline(0, color=style.QUIET, linewidth=0.8, zorder=1)
        for row in found[found["outcome"] == outcome].itertuples():
            forest(axes, row, position[row.factor, row.comparison, row.where], scale)
        axes.set_xticks(ticks_of(axes.dataLim.x0, axes.dataLim.x1))
        axes.xaxis.set_major_formatter(lambda value, _: style.short(value))
        axes.margins(x=0.12)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        for place in range(1, at, 2):
            axes.axhspan(place - 0.5, place + 0.5, color=style.BAND, linewidth=0, zorder=0)
    grid[0].set_ylim(at - 0.4, -0.6)
    grid[0].set_yticks(list(ticks), list(ticks.values()))
    for place, label in zip(ticks, grid[0].get_yticklabels(), strict=True):
        label.set_fontweight("bold" if place in heads else "normal")
    look = {"color": style.PALETTE[0], "marker": "o", "markersize": 5}
    handles = [
        Line2D([], [], linestyle="", label=f"q < {LEVEL}", **look),
        Line2D([], [], linestyle="", markerfacecolor="white", label=f"q ≥ {LEVEL}, or no test", **look),
        Line2D([], [], linewidth=1.4, color=style.PALETTE[0], label="95 % interval"),
    ]
    fig.legend(handles=handles, ncols=3, **ABOVE)
    seeds = sorted(set(found["n"]))
    caption = (
        "What changes when one thing changes: the mean difference, paired by seed and averaged over all other settings "
        f"first (n = {' to '.join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))} seeds), with the 95 % interval "
        "of Student's paired t-test. Filled where q < 0.05: q is p corrected by Benjamini and Hochberg for all "
        f"{plural(int(tables.tests()['p'].notna().sum()), 'test')} of the study. Right of 0: the first-named level has "
        "more. Shares are in percentage points. Every outcome has a scale of its own."
    )
    if (found["n"] < 2).any():
        caption += " A comparison of one seed has no interval and no test."
    size = f"{plural(len(position), 'comparison')} by {plural(len(outcomes), 'outcome')}"
    alt = f"Forest plot of {size}. {answer(tables, facts(tables))[0]}"
    data = found.drop(columns=["where"])
    return [Exhibit("factors", "Differences by factor", caption, alt, data, fig)]


def forest(axes, row, at, scale):
    """One difference with its interval; filled where it is significant after correction."""
    colour = style.PALETTE[0]
    if np.isfinite(row.low):
        axes.plot([row.low * scale, row.high * scale], [at, at], color=colour, linewidth=1.3)
    face = colour if row.q < LEVEL else "white"
    axes.plot(row.difference * scale, at, "o", color=colour, markerfacecolor=face, markersize=4.5, zorder=3)


def ticks_of(low, high):
    """0 and the largest number with one significant digit that the longer side of an axis holds."""
    reach = max(abs(low), abs(high))
    if not reach > 0:
        return [0.0]
    power = math.floor(math.log10(reach))
    step = float(f"{math.floor(reach / 10.0**power)}e{power}")
    return sorted([0.0, step if high >= -low else -step])


def factors_table(tables):
    """The tests as a table, the smallest q first; [Exhibit]."""
    found = tested(tables)
    found = found.assign(size=found["effect"].abs()).sort_values(["q", "size"], ascending=[True, False], kind="stable")
    rows = []
    for row in found.to_dict("records"):
        scale = OUTCOMES[row["outcome"]][2]
        numbers = {"mean": row["difference"], "low": row["low"], "high": row["high"]}
        rows.append(
            {
                "outcome": OUTCOMES[row["outcome"]][0].replace("\n", " ") + (" (points)" if scale == 100 else ""),
                "comparison": row["comparison"],
                "in": row["where"],
                "n": str(row["n"]),
                "difference": mean_text(numbers, scale, 2 if scale == 100 else 3),
                "d": size(row["effect"]),
                "p": chance(row["p"]),
                "q": chance(row["q"]),
            }
        )
    table = pd.DataFrame(rows)
    same = {"in": not table["in"].any(), "n": table["n"].nunique() == 1}
    columns = [name for name in table.columns if not same.get(name)]
    seeds = f"n = {table['n'][0]} seeds. " if same["n"] else "n: seeds. "
    caption = (
        f"All differences of the figure above, the clearest first; {seeds}± is half the 95 % interval; d is Cohen's "
        "effect size for pairs, the mean difference over the standard deviation of the differences (∞ where all "
        "seeds differ by the same); q is p corrected for all tests of the study. With three seeds only a difference "
        "far larger than its spread can be told from chance: a large q is no evidence of no effect."
    )
    alt = f"Table of {plural(len(rows), 'paired test')}."
    return [Exhibit("factors-table", "Tests", caption, alt, table, columns=columns)]


def size(effect):
    """An effect size in three digits, ∞ where the differences do not vary, empty where there is none."""
    if math.isnan(effect):
        return ""
    if abs(effect) >= 1e4:
        return ("−" if effect < 0 else "") + ("∞" if math.isinf(effect) else "9999+")
    return style.number(effect, 3)


def facts(tables):
    """One dict a factor: factor, comparisons (number), clear (outcome -> how many of them have q < 0.05)."""
    found = tested(tables)
    told = []
    for factor, own in found.groupby("factor", sort=False):
        counts = {name: int((part["q"] < LEVEL).sum()) for name, part in own.groupby("outcome", sort=False)}
        of = len(own.drop_duplicates(["comparison", "where"]))
        told.append({"factor": factor, "comparisons": of, "clear": {name: n for name, n in counts.items() if n}})
    return told


def answer(tables, found):
    """One sentence from `facts`: where a difference is clear."""
    parts = []
    for item in found:
        clear = [f"{OUTCOMES[name][1]} in {count}" for name, count in item["clear"].items()]
        of = plural(item["comparisons"], "comparison")
        parts.append(f"by {WORDS.get(item['factor'], item['factor'])} ({of}) {', '.join(clear) or 'nothing'}")
    tests = int(tables.tests()["p"].notna().sum())
    return [f"Clear differences (q < {LEVEL}, corrected for {plural(tests, 'test')}): {'; '.join(parts)}."]
