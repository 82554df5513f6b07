"""Exhibits on grids of two or three settings: the grid itself, each setting's distribution, how they act together, and
the analysis of variance."""

import functools
import itertools

import numpy as np
import pandas as pd
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from weight_atlas import stats
from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.grid import chance
from weight_atlas.reporting.exhibits.runs.runs import HEADINGS, mean_text, of_asked, plural, shortfall
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.dots import ABOVE, whole
from weight_atlas.reporting.grammar.exhibit import Exhibit, NothingToShow

# The axis of the number of blocks: cells.csv has a column `blocks` of its own.
COUNT = "block-count"
# experiment -> its factors: rows, columns and, where there are three, panels of the grid
GRIDS = {"blocks": (COUNT, "kernel"), "penalty": ("alpha", "lambda", "dropout")}
TITLES = {"blocks": "blocks and kernels", "penalty": "penalty and dropout"}
WORDS = {"lambda": "λ", "alpha": "α", COUNT: "blocks"}
OUTCOMES = {"valid_accuracy": "validation accuracy", "accuracy": "test accuracy", "gap": "train − test"}


def word(factor):
    """A factor in a figure's words: "λ", "dropout"; "λ × dropout" of an interaction."""
    return " × ".join(WORDS.get(part, part) for part in factor.split(":"))


def each(function):
    """The part of a chapter that makes the exhibits `function(tables, experiment)` of every grid that is there."""

    @functools.wraps(function)
    def made(tables):
        found, missing = [], []
        for experiment in GRIDS:
            try:
                found += function(tables, experiment)
            except NothingToShow as why:
                missing.append(str(why))
        if not found:
            raise NothingToShow(" ".join(missing))
        told = [f"A grid is left out: {why}" for why in missing]
        tables.left_out += [text for text in told if text not in tables.left_out]
        return found

    return made


def opened(tables, experiment):
    """(Tables of a grid, its factors, {factor: levels}, `reached` of it)."""
    factors = GRIDS[experiment]
    found = grid.part(tables, experiment, *factors)
    return found, factors, {name: grid.levels(found, name) for name in factors}, grid.reached(found)


# ------------------------------------------------------------------------------------------- the grid


def heatmaps(tables, experiment):
    """Validation accuracy of every cell of a grid, a map a level of the third factor; [Exhibit]."""
    found, factors, levels, rows = opened(tables, experiment)
    data = grid.means(found, "valid_accuracy", factors, rows)
    down, right, *panel = factors
    panels = levels[panel[0]] if panel else [""]
    known = data.loc[data["n"] > 0, "mean"] * 100
    scale = Normalize(known.min(), known.max() if known.max() > known.min() else known.min() + 1)
    high = 0.62 if panel else 0.72
    fig = style.figure(high * len(levels[down]) + 1.15)
    axes_of = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, level in zip(axes_of, panels, strict=True):
        own = data[data[panel[0]] == level] if panel else data
        own = own.set_index([down, right])
        values = np.full((len(levels[down]), len(levels[right])), np.nan)
        places = list(itertools.product(enumerate(levels[down]), enumerate(levels[right])))
        for (row, one), (column, other) in places:
            if (one, other) in own.index and own.loc[(one, other), "n"]:
                values[row, column] = own.loc[(one, other), "mean"] * 100
        image = style.heatmap(axes, values, scale, style.SEQUENTIAL, levels[down], levels[right])
        axes.tick_params(axis="x", rotation=0)
        for (row, one), (column, other) in places:
            if (one, other) in own.index:
                write(axes, image, column, row, own.loc[(one, other)])
        axes.set_xlabel(word(right))
        axes.set_title(f"{word(panel[0])} {level}" if panel else "")
    axes_of[0].set_ylabel(word(down), rotation=90 if len(word(down)) > 1 else 0, labelpad=10)
    bar = style.colourbar(fig, image, list(axes_of), "validation accuracy (%)", pad=0.01, fraction=0.04)
    bar.locator = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10])
    bar.formatter = FuncFormatter(lambda value, _: f"{value:g}")
    bar.update_ticks()
    told = f"{grid.told(f'The grid of {TITLES[experiment]}', found)}"
    caption = (
        f"{told}: validation accuracy in percent at its best epoch, mean and half its 95 % Student t interval over "
        f"the finished replicates ({grid.seeds(data.to_dict('records'))}). "
        + (f"The third setting, {word(panel[0])}, has a map a level; all have one scale. " if panel else "")
        + ("Hatched: no replicate finished. " if (data["n"] == 0).any() else "")
        + shortfall(found)
    )
    name = f"{experiment}-grid"
    shown = data.drop(columns="cell_id")
    return [Exhibit(name, f"The grid of {TITLES[experiment]}", caption.strip(), heat_alt(data, factors), shown, fig)]


def write(axes, image, column, row, cell):
    """The mean and half its interval in a cell of a map; n of N where some did not finish."""
    short = cell["n"] < cell["of"]
    if not cell["n"]:
        axes.text(column, row, f"0/{cell['of']:g}", ha="center", va="center", fontsize=9, color=style.WARNING)
        return
    red, green, blue, _ = image.to_rgba(cell["mean"] * 100)
    colour = "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.55 else style.INK
    mean, *rest = mean_text(cell, 100, 1).split(" ± ")
    axes.text(column, row - 0.17 * bool(rest or short), mean, ha="center", va="center", fontsize=10, color=colour)
    note = (f"± {rest[0]}" if rest else "") + (f" ({cell['n']:g}/{cell['of']:g})" if short else "")
    axes.text(column, row + 0.2, note.strip(), ha="center", va="center", fontsize=9, color=colour)


def heat_alt(data, factors):
    """The picture in words: the best and the worst cell."""
    own = data[data["n"] > 0]
    ends = [own.loc[own["mean"].idxmax()], own.loc[own["mean"].idxmin()]]
    words = [f"{style.percent(row['mean'])} ({named(row, factors)})" for row in ends]
    return f"Heatmap of {len(data)} cells. Mean validation accuracy is highest with {words[0]}, lowest with {words[1]}."


def named(row, factors):
    """ "blocks 1, kernel 5": the levels of a row."""
    return ", ".join(f"{word(factor)} {row[factor]}" for factor in factors)


# ------------------------------------------------------------------------------------------- each setting


def distributions(tables, experiment):
    """The distribution of validation accuracy by each factor: every run, median, inter-quartile range, mean."""
    found, factors, levels, rows = opened(tables, experiment)
    fig = style.figure(3.35)
    panels = fig.subplots(1, len(factors), sharey=True, width_ratios=[len(levels[name]) + 0.6 for name in factors])
    made = []
    for axes, factor in zip(panels, factors, strict=True):
        for at, level in enumerate(levels[factor]):
            own = rows[rows[factor] == level].sort_values([name for name in factors if name != factor])
            values = own["valid_accuracy"].to_numpy(float)
            if not len(values):
                continue
            low, middle, high = stats.quantiles(values, (0.25, 0.5, 0.75))
            spread = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else np.zeros(1)
            axes.add_patch(box(at, low * 100, high * 100))
            axes.plot(at + spread, values * 100, ".", color=style.PALETTE[0], markersize=4.5, alpha=0.75, zorder=3)
            axes.hlines(middle * 100, at - 0.34, at + 0.34, color=style.INK, linewidth=1.6, zorder=4)
            axes.plot(at, values.mean() * 100, "D", color=style.PALETTE[1], markersize=6, zorder=5)
            numbers = {"n": len(values), "mean": values.mean(), "q25": low, "median": middle, "q75": high}
            made.append({"factor": factor, "level": level, **numbers})
        axes.set_xticks(range(len(levels[factor])), levels[factor])
        axes.set_xlim(-0.6, len(levels[factor]) - 0.4)
        axes.grid(axis="x", visible=False)
        axes.set_xlabel(word(factor))
    panels[0].set_ylabel("validation accuracy (%)")
    handles = [
        Line2D([], [], marker=".", linestyle="", color=style.PALETTE[0], label="a run"),
        Patch(facecolor="#D5DCE4", label="inter-quartile range"),
        Line2D([], [], color=style.INK, linewidth=1.6, label="median"),
        Line2D([], [], marker="D", linestyle="", color=style.PALETTE[1], label="mean"),
    ]
    fig.legend(handles=handles, ncols=4, **ABOVE)
    data = pd.DataFrame(made)
    counts = " to ".join(map(str, dict.fromkeys((data["n"].min(), data["n"].max()))))
    title = f"By each setting: {TITLES[experiment]}"
    caption = (
        f"{grid.told(title, found)}. Validation accuracy at its best epoch of every finished run with a level, "
        f"whatever its other settings ({counts} runs a level). The spread of a level is mostly that of the other "
        f"settings, not chance: what is, the analysis of variance tells apart. {shortfall(found)}"
    )
    words = []
    for factor in factors:
        own = data[data["factor"] == factor]
        best = own.loc[own["mean"].idxmax()]
        words.append(f"{word(factor)} {best['level']} ({style.percent(best['mean'])})")
    alt = f"Distributions by {len(factors)} settings. The highest means are those of {', '.join(words)}."
    return [Exhibit(f"{experiment}-levels", title, caption.strip(), alt, data, fig)]


def box(at, low, high):
    """The inter-quartile range as a box."""
    return Rectangle((at - 0.34, low), 0.68, high - low, facecolor="#D5DCE4", linewidth=0, zorder=1)


# ------------------------------------------------------------------------------------------- together


def interactions(tables, experiment):
    """Means by the levels of every two factors, the others averaged by seed first: lines that are not parallel."""
    found, factors, levels, rows = opened(tables, experiment)
    pairs = list(itertools.combinations(factors, 2))
    fig = style.figure(3.3)
    panels = fig.subplots(1, len(pairs), sharey=True, squeeze=False)[0]
    made = []
    for axes, (one, other) in zip(panels, pairs, strict=True):
        seeds = rows.groupby([one, other, "seed"])["valid_accuracy"].mean().reset_index()
        data = stats.summarise(seeds, [one, other], "valid_accuracy")
        count = len(levels[one])
        for at, (level, colour) in enumerate(zip(levels[one], style.colours(count), strict=True)):
            own = data[data[one] == level]
            x = own[other].map(levels[other].index) + 0.08 * (at - (count - 1) / 2)
            order = x.sort_values().index
            own, x = own.loc[order], x.loc[order]
            axes.plot(x, own["mean"] * 100, color=colour, marker="o", markersize=4.5, label=f"{word(one)} {level}")
            axes.vlines(x, own["low"].clip(0, 1) * 100, own["high"].clip(0, 1) * 100, color=colour, linewidth=1.3)
        axes.set_xticks(range(len(levels[other])), levels[other])
        axes.set_xlim(-0.35, len(levels[other]) - 0.65)
        axes.set_xlabel(word(other))
        axes.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=count, handlelength=1.0,
                    columnspacing=0.9, handletextpad=0.4)  # fmt: skip
        made.append(data.assign(first=one, second=other).rename(columns={one: "level_first", other: "level_second"}))
    panels[0].set_ylabel("validation accuracy (%)")
    data = pd.concat(made)[["first", "level_first", "second", "level_second", "n", "mean", "low", "high"]]
    title = f"Two settings at a time: {TITLES[experiment]}"
    caption = (
        f"{grid.told(title, found)}. Validation accuracy by two settings"
        + (", averaged over the third by seed" if len(factors) > 2 else "")
        + f": means and 95 % Student t intervals ({grid.seeds(data.to_dict('records'))} seeds). Where lines are "
        "parallel the settings add up; where they cross, the best level of one depends on the other. "
        f"{shortfall(found)}"
    )
    alt = f"Line charts of {plural(len(pairs), 'pair')} of settings. {' '.join(told(tables, experiment))}".strip()
    return [Exhibit(f"{experiment}-interactions", title, caption.strip(), alt, data, fig)]


# ------------------------------------------------------------------------------------------- analysis of variance


def terms(tables, experiment):
    """The rows of anova.csv of one experiment of this study."""
    frame = all_terms(tables)
    frame = frame[frame["experiment"] == experiment]
    if frame.empty:
        raise NothingToShow(f"anova.csv has no term of the experiment {experiment}.")
    frame = frame[frame["setting"] == frame["setting"].iloc[0]]
    order = {":".join(names): (len(names), at) for at, names in enumerate(combined(GRIDS[experiment]))}
    alike = {frozenset(name.split(":")): name for name in order}
    frame = frame.assign(term=[alike.get(frozenset(name.split(":")), name) for name in frame["term"]])
    places = frame["term"].map(lambda name: order.get(name, (9, 9)))
    outcomes = frame["outcome"].map({name: at for at, name in enumerate(OUTCOMES)}.get)
    frame = frame.assign(place=list(zip(outcomes, places, strict=True)))
    return frame.sort_values("place", kind="stable").drop(columns="place").reset_index(drop=True)


def combined(factors):
    """The factors, then every two, then all three of them: tuples in the order of a printed table."""
    return [names for size in (1, 2, 3) for names in itertools.combinations(factors, size)]


def effects(tables, experiment):
    """Effect sizes of every term, a panel an outcome; [Exhibit]."""
    found = terms(tables, experiment)
    tested = found[found["term"] != stats.RESIDUAL]
    if not tested["omega"].notna().any():
        raise NothingToShow(f"one run a cell leaves the experiment {experiment} no error to test against.")
    names = list(dict.fromkeys(tested["term"]))
    outcomes = [name for name in OUTCOMES if name in set(tested["outcome"])]
    fig = style.figure(0.3 * (len(names) + 0.4) + 1.15)
    panels = fig.subplots(1, len(outcomes), sharey=True, squeeze=False)[0]
    for axes, outcome in zip(panels, outcomes, strict=True):
        own = tested[tested["outcome"] == outcome].set_index("term")
        for at, name in enumerate(names):
            row = own.loc[name]
            colour = style.PALETTE[0]
            face = colour if row["q"] < grid.LEVEL else "white"
            axes.barh(at, max(row["omega"], 0), height=0.62, color=face, edgecolor=colour, linewidth=1.1)
            axes.plot(row["eta"], at, "|", color=style.INK, markersize=9, markeredgewidth=1.5)
            text = f"q {chance(row['q'])}".replace("q <", "q < ") if chance(row["q"]) else ""
            axes.text(1.03, at, text, va="center", fontsize=9, color=style.QUIET)
        axes.set_title(OUTCOMES[outcome], fontsize=10)
        axes.set_xlim(0, 1.0)
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_xlabel("explained share")
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
    panels[0].set_yticks(range(len(names)), [word(name) for name in names])
    colour = style.PALETTE[0]
    handles = [
        Patch(facecolor=colour, edgecolor=colour, label=f"partial ω², q < {grid.LEVEL}"),
        Patch(facecolor="white", edgecolor=colour, label=f"partial ω², q ≥ {grid.LEVEL}"),
        Line2D(
            [], [], linestyle="", marker="|", color=style.INK, markersize=9, markeredgewidth=1.5, label="partial η²"
        ),
    ]
    fig.legend(handles=handles, ncols=3, **ABOVE)
    title = f"What each setting explains: {TITLES[experiment]}"
    count = int(found["n"].max())
    caption = (
        f"{title}. Analysis of variance with fixed effects over all {count} finished runs, sums of squares of type II: "
        "main effects and interactions (×). Partial ω² is the share of variance that a term explains, other terms set "
        "aside and chance taken off (below 0 is shown as 0); partial η² is the same with what chance explains. q is p "
        f"corrected by Benjamini and Hochberg for all {int(all_terms(tables)['p'].notna().sum())} tests of the study's "
        "grids. Validation accuracy is at its best epoch, test accuracy at that epoch, train − test at the last."
    )
    alt = f"Bars of effect sizes of {len(names)} terms. {' '.join(told(tables, experiment))}"
    return [Exhibit(f"{experiment}-effects", title, caption, alt, tested.drop(columns="setting"), fig)]


def all_terms(tables):
    """The rows of anova.csv of the whole study."""
    frame = tables.table("anova")
    return frame[frame["study"] == tables.study]


def anova_table(tables):
    """Every term of every grid of the study by outcome; one exhibit an outcome."""
    made = []
    for outcome, words in OUTCOMES.items():
        rows = []
        for experiment in GRIDS:
            try:
                found = terms(tables, experiment)
            except NothingToShow:
                continue
            for row in found[found["outcome"] == outcome].to_dict("records"):
                rows.append({"grid": TITLES[experiment], "term": word(row["term"]), **numbers(row)})
        if rows:
            table = pd.DataFrame(rows)
            caption = (
                f"Analysis of variance of {words.replace('train − test', 'training less test accuracy')}: degrees of "
                "freedom, sum of squares of type II (in points squared), F, p, q (p corrected for all tests of the "
                "study's grids), partial η² and partial ω². The residual is what replicates of one cell differ by. ω² "
                "below 0 says that chance alone would explain more."
            )
            alt = f"Table of {len(rows)} terms of an analysis of variance."
            title = "Analysis of variance"
            made.append(Exhibit(f"anova-{outcome.replace('_', '-')}", title, caption, alt, table, tab=words))
    if not made:
        raise NothingToShow("anova.csv has no term of this study.")
    return made


def numbers(row):
    """The columns of a printed line of the analysis of variance."""
    return {
        "df": str(row["df"]),
        "sum of squares": style.number(row["sum_sq"] * 1e4, 4),
        "F": style.number(row["F"], 4),
        "p": chance(row["p"]),
        "q": chance(row["q"]),
        "η²": style.number(row["eta"], 2),
        "ω²": style.number(row["omega"], 2),
    }


def on_validation(tables, experiment):
    """The terms of a grid that have a test on validation accuracy; none where the study has no such grid."""
    try:
        found = terms(tables, experiment)
    except NothingToShow:
        return pd.DataFrame(columns=["omega", "q"])
    return found[(found["outcome"] == "valid_accuracy") & found["q"].notna()]


def told(tables, experiment):
    """What matters most in a grid, in a sentence or two; [] where there is no test."""
    own = on_validation(tables, experiment).sort_values("omega", ascending=False)
    if own.empty:
        return []
    clear = own[own["q"] < grid.LEVEL]
    if clear.empty:
        return [f"In the grid of {TITLES[experiment]} no term is clear after correction."]
    words = [f"{word(row.term)} (ω² {style.number(row.omega, 2)}, q {q(row.q)})" for row in clear.itertuples()]
    return [f"In the grid of {TITLES[experiment]} validation accuracy depends on {', '.join(words)}."]


def counted(tables):
    """How many terms of the grids are clear for validation accuracy, and the largest effect, in a sentence."""
    found = [on_validation(tables, experiment).assign(grid=TITLES[experiment]) for experiment in GRIDS]
    found = [own for own in found if len(own)]
    if not found:
        raise NothingToShow("no grid has a test.")
    rows = pd.concat(found)
    top = rows.iloc[rows["omega"].argmax()]
    text = f"Of {len(rows)} effects and interactions on validation accuracy, "
    text += f"{int((rows['q'] < grid.LEVEL).sum()) or 'none'} are clear after correction"
    return [
        f"{text}; the largest is that of {word(top['term'])} in the grid of {top['grid']} (partial ω² "
        f"{style.number(top['omega'], 2)}, q {q(top['q'])})."
    ]


def q(value):
    """ "= 0.013", "< 0.001" of a corrected probability."""
    text = chance(value)
    return text.replace("<", "< ") if text.startswith("<") else f"= {text}"


def grid_table(tables, experiment):
    """Every cell of a grid in numbers, by protocol; [Exhibit]."""
    found, factors, _, rows = opened(tables, experiment)
    status = found.status()
    made = []
    for cell in found.cells.to_dict("records"):
        own = rows[rows["cell_id"] == cell["cell_id"]]
        row = {word(factor): cell[factor] for factor in factors} | {"done": of_asked(status.loc[cell["cell_id"]])}
        for column, heading in (("valid_accuracy", "validation"), *HEADINGS.items(), ("gap", "train − test")):
            mean = grid.interval(own[column])
            row[heading] = mean_text(mean, 100, 1) if mean["n"] else "none"
        made.append(row)
    frame = pd.DataFrame(made)
    total = status.sum()
    columns = [name for name in frame if name != "done" or not whole(total)]
    caption = (
        "Accuracy in percent, mean ± half its 95 % interval over the finished replicates: on validation pictures at "
        "their best epoch, on test by three protocols, and training less test accuracy at the last epoch in points. "
        f"{shortfall(found)}"
    )
    alt = f"Table of {len(frame)} cells."
    title = "The grids in numbers"
    return [Exhibit(f"grid-table-{experiment}", title, caption.strip(), alt, frame, columns=columns,
                    tab=TITLES[experiment])]  # fmt: skip
