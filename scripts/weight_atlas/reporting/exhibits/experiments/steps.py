"""Exhibits on a path of single changes: what each step reaches and what it buys, the methods beside the document's, and
the gap between training and test accuracy."""

import math

import pandas as pd
from matplotlib.lines import Line2D

from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.experiments.sweeps import look
from weight_atlas.reporting.exhibits.runs import course
from weight_atlas.reporting.exhibits.runs.runs import HEADINGS, PROTOCOLS, intervals, mean_text, of_asked, shortfall
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.dots import ABOVE, tally, whole
from weight_atlas.reporting.grammar.exhibit import Exhibit, NothingToShow

EXPERIMENT, AXIS = "path", "step"
ORDER = (
    *("tutorial", "adam", "dropout", "batchnorm", "double", "A", "A-no-bn", "A-xavier", "A-dropout"),
    *("B", "B-no-bn", "B-sgd", "C"),
)
# What a step with another network is compared with; any other with the nearest one before it of the same network.
AFTER = {"A": "double", "B": "A", "C": "B"}
MODELS = ("A", "B", "C")
ROW = 0.3
GREY = "#B8B8B8"


def steps(tables):
    """The Tables of the path and its steps in order."""
    found = grid.part(tables, EXPERIMENT, AXIS)
    return found, grid.levels(found, AXIS, ORDER)


def before(found, names):
    """step -> the step that it is compared with: by AFTER, or the earlier one of the same architecture that differs in
    the fewest settings (the later of equals); one of a new architecture with the step before it. The first has none."""
    cells = found.cells.set_index(AXIS)["cell_id"]
    flat = {name: dict(flattened(found.settings[cells[name]].json)) for name in names}
    family = {name: flat[name].get("network.architecture") for name in names}
    chosen = {}
    for at, name in enumerate(names[1:], start=1):
        same = [other for other in names[:at] if family[other] == family[name]]
        if AFTER.get(name) in names[:at]:
            chosen[name] = AFTER[name]
        elif same:
            chosen[name] = min(reversed(same), key=lambda other: len(differing(flat[name], flat[other])))
        else:
            chosen[name] = names[at - 1]
    return chosen


def flattened(value, name=""):
    """(dotted name, value) of every setting of a resolved cell, but for those that only say how it is run."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("threads", "snapshots", "track"):
                yield from flattened(inner, f"{name}.{key}" if name else key)
    else:
        yield name, str(value)


def differing(one, other):
    """The names of the settings in which two differ."""
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


def bought(tables):
    """What each step buys: (Tables of the path, steps, a list of dicts with step, after, n, mean, low, high, p, q)."""
    found, names = steps(tables)
    rows, after = grid.reached(found), before(found, names)
    made = [
        {"step": name, "after": other, **grid.paired(rows[rows[AXIS] == other], rows[rows[AXIS] == name], "best_valid")}
        for name, other in after.items()
    ]
    return found, names, grid.corrected(made)


def path(tables):
    """Accuracy by step with the document's numbers beside, and what each step buys; [Exhibit]."""
    found, names, gains = bought(tables)
    given = tables.document.get("steps", {})
    rows = grid.reached(found)
    data = pd.concat(
        [grid.means(found, name, [AXIS], rows).assign(protocol=name) for name in PROTOCOLS], ignore_index=True
    )
    fig = style.figure(ROW * (len(names) + 0.4) + 1.1)
    left, right = fig.subplots(1, 2, sharey=True, width_ratios=(1.25, 1))
    for place, (protocol, (_, marker, colour)) in enumerate(PROTOCOLS.items()):
        own = data[(data["protocol"] == protocol) & (data["n"] > 0)]
        at = own[AXIS].map(names.index) + 0.24 * (place - 1)
        left.hlines(at, own["low"].clip(0, 1) * 100, own["high"].clip(0, 1) * 100, color=colour, linewidth=1.4)
        left.plot(own["mean"] * 100, at, linestyle="", **look(marker, colour))
    for at, name in enumerate(names):
        if "test" in given.get(name, {}):
            left.plot(given[name]["test"] * 100, at, "|", color="black", markersize=13, markeredgewidth=2.2, zorder=4)
    for gain in gains:
        forest(right, gain, names.index(gain["step"]))
    shade([left, right], len(names))
    left.set_yticks(range(len(names)), names)
    left.set_xlabel("test accuracy (%)")
    right.axvline(0, color=style.QUIET, linewidth=0.8, zorder=1)
    right.set_xlabel("what the step buys (points)")
    status = found.status()
    for at, name in enumerate(names):
        gain = next((gain for gain in gains if gain["step"] == name), None)
        of = status.loc[found.cells.loc[found.cells[AXIS] == name, "cell_id"].iloc[0]]
        text = f"after {gain['after']}" if gain else "the start"
        text += "" if whole(of) else f" ({tally(of)})"
        colour = style.QUIET if whole(of) else style.WARNING
        right.text(1.02, at, text, transform=right.get_yaxis_transform(), va="center", fontsize=9, color=colour)
    handles = [Line2D([], [], linestyle="", label=words, **look(marker, colour))
               for words, marker, colour in PROTOCOLS.values()]  # fmt: skip
    handles.append(Line2D([], [], linestyle="", marker="|", color="black", markersize=11, markeredgewidth=2.2,
                          label="in the document (one run)"))  # fmt: skip
    handles += [Line2D([], [], linestyle="", label=f"q < {grid.LEVEL}", **look("o", "black")),
                Line2D([], [], linestyle="", label=f"q ≥ {grid.LEVEL}, or no test", marker="o", color="black",
                       markerfacecolor="white", markersize=5)]  # fmt: skip
    fig.legend(handles=handles, ncols=3, **ABOVE)
    caption = (
        f"{grid.told('One change at a time', found)}. Left: test accuracy of each step by three protocols, and what "
        f"the document reports of one run. {intervals('Lines', data)} Right: the difference to the step that is "
        f"named beside it, paired by seed ({grid.seeds(gains)}), with its 95 % Student t interval, by test accuracy "
        "at the best validation epoch. Filled where q < 0.05: p corrected by Benjamini and Hochberg for all "
        f"{len(gains)} steps. {shortfall(found)}"
    )
    alt = f"Dot plot of {len(names)} steps, and of what each buys. {' '.join(answer(tables))}"
    kept = data.merge(pd.DataFrame(gains).rename(columns=lambda name: f"gain_{name}"), left_on=AXIS,
                      right_on="gain_step", how="left").drop(columns=["cell_id", "gain_step"])  # fmt: skip
    return [Exhibit("path", "What each change buys", caption.strip(), alt, kept, fig)]


def forest(axes, row, at, scale=100.0, colour="black"):
    """A difference with its interval at height `at`; filled where it is significant after correction."""
    if not row["n"]:
        return
    if math.isfinite(row["low"]):
        axes.plot([row["low"] * scale, row["high"] * scale], [at, at], color=colour, linewidth=1.4)
    face = colour if row["q"] < grid.LEVEL else "white"
    axes.plot(row["mean"] * scale, at, "o", color=colour, markerfacecolor=face, markersize=5, zorder=3)


def shade(panels, count):
    """Bands behind every second of `count` rows, and no grid across them."""
    for axes in panels:
        axes.set_ylim(count - 0.4, -0.6)
        axes.grid(axis="y", visible=False)
        axes.spines["left"].set_visible(False)
        for at in range(1, count, 2):
            axes.axhspan(at - 0.5, at + 0.5, color=style.BAND, linewidth=0, zorder=0)


def answer(tables):
    """Q3.1 in one or two sentences: what clearly helps, what clearly costs, and what does neither."""
    _, _, gains = bought(tables)
    gains = [gain for gain in gains if gain["n"]]
    if not gains:
        raise NothingToShow("no step of the path has finished together with the one before it.")
    clear = [gain for gain in gains if gain["q"] < grid.LEVEL]
    parts = []
    for words, own in (
        ("clearly gains", [gain for gain in clear if gain["mean"] > 0]),
        ("clearly loses", [gain for gain in clear if gain["mean"] < 0]),
    ):
        own = sorted(own, key=lambda gain: -abs(gain["mean"]))
        named = ", ".join(f"{gain['step']} {grid.points(gain['mean'])} points after {gain['after']}" for gain in own)
        parts.append(f"{words}: {named}" if own else f"no step {words}")
    text = "; ".join(parts)
    rest = [gain["step"] for gain in gains if gain not in clear]
    answers = [f"{text[:1].upper()}{text[1:]} (q < {grid.LEVEL}, {grid.seeds(gains)})."]
    if rest:
        answers.append(f"No clear difference to the step before: {', '.join(rest)}.")
    return answers


# ------------------------------------------------------------------------------------------- the methods


def methods(tables):
    """Every step with its settings, its accuracies, and what the document says of it; [Exhibit]."""
    found, names = steps(tables)
    given = tables.document.get("steps", {})
    status = found.status()
    try:
        rows = grid.reached(found)
    except NothingToShow:
        rows = pd.DataFrame(columns=[AXIS, *PROTOCOLS, "train_accuracy"])
    made = []
    for name in names:
        cell = found.cells[found.cells[AXIS] == name].iloc[0]
        own = rows[rows[AXIS] == name]
        row = {"step": name, **method(found.settings[cell["cell_id"]])}
        row |= {"document": given.get(name, {}).get("says", ""), "done": of_asked(status.loc[cell["cell_id"]])}
        for protocol, heading in (*HEADINGS.items(), ("train_accuracy", "train")):
            mean = grid.interval(own[protocol].dropna())
            row[heading] = mean_text(mean, 100, 1) if mean["n"] else "none"
        made.append(row)
    frame = pd.DataFrame(made)
    total = status.sum()
    same = {"done": whole(total), "document": not given}
    columns = [name for name in frame if not same.get(name)]
    caption = (
        "The steps with their settings (BN: BatchNorm; start: the scheme that weights are drawn by; lr: learning "
        "rate), and accuracy in percent: mean ± half its 95 % interval, on test by three protocols and on training "
        f"pictures at the last epoch. Document: what it reports of one run. {shortfall(found)}"
    )
    alt = f"Table of {len(frame)} steps with settings and accuracies."
    return [Exhibit("methods", "Methods and accuracies", caption.strip(), alt, frame, columns=columns)]


def method(settings):
    """The settings that tell methods apart, as columns of a printed table."""
    options, training = settings.network.options, settings.training
    optimizer, dropout = training.optimizer, options.get("dropout", 0)
    start = settings.start.scheme or settings.start.kind
    return {
        "network": settings.network.architecture,
        "BN": "yes" if options.get("batchnorm") else "no",
        "start": start.replace("_", " "),
        "optimizer": optimizer.type,
        "lr": grid.plain(optimizer.options["lr"]),
        "dropout": f"{dropout:g}" if dropout else "no",
        "batch": str(training.batch_size),
    }


# ------------------------------------------------------------------------------------------- curves and gaps


def models(tables):
    """Accuracy and loss by epoch of the models A, B and C, and of the other steps; list[Exhibit]."""
    found, names = steps(tables)
    title, made = "Training of each step", []
    others = [name for name in names if name not in MODELS]
    for tab, own in (("models A, B, C", [name for name in names if name in MODELS]), ("other steps", others)):
        if own:
            told = f"{grid.told('Accuracy and loss by epoch', found)}."
            name = "course-models" if tab != "other steps" else "course-steps"
            made += course.course(found, AXIS, own, name=name, title=title, told=told, tab=tab)
    return made


def gap(tables):
    """Overfitting along the path; [Exhibit]."""
    found, names = steps(tables)
    lines = [name for name in names if name in MODELS] or names[:3]
    return gaps(found, AXIS, names, lines, "gap", "The overfitting gap")


def gaps(found, axis, names, lines, name, title, tab=""):
    """Training and test accuracy at the last epoch by level, and their difference by epoch for the levels `lines`."""
    rows = grid.reached(found)
    data = pd.concat(
        [
            grid.means(found, column, [axis], rows).assign(quantity=column)
            for column in ("train_accuracy", "last", "gap")
        ],
        ignore_index=True,
    )
    runs = found.read("metrics").merge(found.cells[["cell_id", axis]].drop_duplicates(), on="cell_id")
    runs = runs.assign(gap=runs["train_accuracy"] - runs["test_accuracy"]).dropna(subset="gap")
    runs = runs.merge(found.read("runs").query("status == 'done'")[["cell_id", "seed"]], on=["cell_id", "seed"])
    courses = course.summarise(runs[runs[axis].isin(lines)], ["cell_id", axis, "epoch"], "gap")
    fig = style.figure(max(2.9, 0.27 * (len(names) + 0.4) + 0.95))
    left, right = fig.subplots(1, 2, width_ratios=(1.2, 1))
    for at, level in enumerate(names):
        own = data[data[axis] == level].set_index("quantity")
        if not own.loc["gap", "n"]:
            left.text(0.02, at, "✕ none finished", transform=left.get_yaxis_transform(), va="center", fontsize=9,
                      color=style.WARNING)  # fmt: skip
            continue
        train, test = own.loc["train_accuracy", "mean"] * 100, own.loc["last", "mean"] * 100
        left.plot([test, train], [at, at], color=GREY, linewidth=3, solid_capstyle="butt", zorder=2)
        left.plot(train, at, "o", color=style.PALETTE[1], markersize=5.5, zorder=3)
        left.plot(test, at, "o", color=style.PALETTE[0], markersize=5.5, zorder=3)
        text = mean_text(own.loc["gap"], 100, 1)
        left.text(1.02, at, text, transform=left.get_yaxis_transform(), va="center", fontsize=9, color=style.INK)
    left.text(1.02, -0.75, "gap", transform=left.get_yaxis_transform(), va="bottom", fontsize=9, fontweight="bold")
    shade([left], len(names))
    left.set_yticks(range(len(names)), names)
    left.set_xlabel("accuracy at the last epoch (%)")
    for colour, level in zip(style.colours(len(lines)), lines, strict=True):
        own = courses[courses[axis] == level]
        if len(own):
            course.band(right, own, colour, scale=100, ends=(-1, 1), label=level)
    right.axhline(0, color=style.QUIET, linewidth=0.8, zorder=1)
    right.set_xlabel("epoch")
    right.set_ylabel("train − test (points)")
    right.xaxis.get_major_locator().set_params(integer=True)
    right.legend(fontsize=9, handlelength=1.4, loc="best", ncols=1 + (len(lines) > 4))
    handles = [
        Line2D([], [], linestyle="", marker="o", color=style.PALETTE[0], label="test"),
        Line2D([], [], linestyle="", marker="o", color=style.PALETTE[1], label="train"),
    ]
    fig.legend(handles=handles, ncols=2, **ABOVE)
    caption = (
        f"{grid.told('Overfitting', found)}. Left: accuracy on training and on test pictures at the last epoch, "
        f"means over the finished replicates ({grid.seeds(data.to_dict('records'))}); beside them the gap, their "
        "difference in points ± half its 95 % interval. Right: the gap by epoch, means with their 95 % band. A "
        "training accuracy is the mean during its epoch, with dropout and augmentation on, so that a gap can lie "
        f"below 0. {shortfall(found)}"
    )
    own = data[(data["quantity"] == "gap") & (data["n"] > 0)]
    alt = f"Dot plot of training and test accuracy of {len(names)} levels, and lines of their gap by epoch."
    if len(own):
        top, low = own.loc[own["mean"].idxmax()], own.loc[own["mean"].idxmin()]
        alt += (
            f" The gap is largest for {top[axis]}, {grid.points(top['mean'])} points, and smallest for {low[axis]}, "
            f"{grid.points(low['mean'])} points."
        )
    return [Exhibit(name, title, caption.strip(), alt, data.drop(columns="cell_id"), fig, tab=tab)]
