"""Exhibits on the hand-made network and on fine-tuning by stages: courses, what unfreezing does, the two compared."""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from weight_atlas.reporting.exhibits.design import grid
from weight_atlas.reporting.exhibits.design.starts import imagenet, start
from weight_atlas.reporting.exhibits.experiments.sweeps import look
from weight_atlas.reporting.exhibits.runs import course
from weight_atlas.reporting.exhibits.runs.runs import (
    HEADINGS,
    PROTOCOLS,
    intervals,
    mean_text,
    of_asked,
    plural,
    shortfall,
)
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.dots import ABOVE, whole
from weight_atlas.reporting.grammar.exhibit import Exhibit, NothingToShow

HANDMADE, TRANSFER = "handmade", "transfer"
CONTAMINATED = (
    "CINIC-10's test pictures hold CIFAR-10's and 70,000 of ImageNet's: weights from either may have been trained on "
    "the very pictures, so that the comparison flatters them."
)


def opened(tables, experiment):
    """The Tables of an experiment of one cell: of several, those of the first."""
    found = grid.part(tables, experiment)
    return found.part(cell_id=found.cells["cell_id"].iloc[0])


def handmade(tables):
    """Accuracy and loss of the hand-made network by epoch; [Exhibit]."""
    found = opened(tables, HANDMADE)
    told = f"{grid.told('The hand-made network', found)}."
    stopped = ends(found)
    told += f" Training ended by itself after {stopped} epochs." if stopped else ""
    made = course.course(found, "network", found.values("network"), name="handmade", title="The hand-made network",
                         told=told)  # fmt: skip
    return made


def ends(found):
    """ "12 to 17" where runs ended before the epochs that were asked for; empty where none did."""
    asked = found.settings[found.cells["cell_id"].iloc[0]].epochs
    last = found.done("metrics").groupby(["cell_id", "seed"])["epoch"].max()
    if not len(last) or last.min() >= asked:
        return ""
    return " to ".join(map(str, dict.fromkeys((int(last.min()), int(last.max())))))


def unfrozen(found):
    """(epochs at which a new stage begins, one row a finished replicate and such an epoch: seed, epoch, valid_jump,
    test_jump): a jump is the accuracy in the first epoch of a stage less that in the last epoch of the one before."""
    metrics = found.done("metrics").sort_values(["cell_id", "seed", "epoch"])
    metrics = metrics[metrics["epoch"] >= 1]
    before = metrics.groupby(["cell_id", "seed"])[["stage", "valid_accuracy", "test_accuracy"]].shift()
    first = metrics["stage"].gt(before["stage"])
    jumps = metrics.loc[first, ["cell_id", "seed", "epoch"]].assign(
        valid_jump=(metrics["valid_accuracy"] - before["valid_accuracy"])[first],
        test_jump=(metrics["test_accuracy"] - before["test_accuracy"])[first],
    )
    if jumps.empty:
        raise NothingToShow("no run has reached a second stage.")
    return sorted(jumps["epoch"].unique()), jumps


def stages(tables):
    """Accuracy and loss by epoch of fine-tuning, with the epoch at which layers are unfrozen; [Exhibit]."""
    found = opened(tables, TRANSFER)
    epochs, jumps = unfrozen(found)
    columns = [f"{split}_{measure}" for measure in course.MEASURES for split in course.SPLITS]
    data = course.means(found, ["cell_id"], columns)
    fig = style.figure(3.3)
    panels = fig.subplots(1, 2)
    for axes, (measure, words) in zip(panels, course.MEASURES.items(), strict=True):
        scale = 100 if measure == "accuracy" else 1
        for split, (line, colour) in course.SPLITS.items():
            rows = data[data["quantity"] == f"{split}_{measure}"]
            course.band(axes, rows, colour, line, scale, ends=(0, 1 if scale > 1 else 1e9), filled=split != "valid")
        for epoch in epochs:
            axes.axvline(epoch - 0.5, color=style.INK, linewidth=0.9, linestyle=(0, (3, 2)), zorder=1)
        axes.set_xlabel("epoch")
        axes.set_ylabel(words)
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.margins(x=0.03)
    shown = grid.interval(jumps.loc[jumps["epoch"] == epochs[0], "valid_jump"])
    place = data[(data["quantity"] == "valid_accuracy") & (data["epoch"] == epochs[0])]["mean"].iloc[0] * 100
    bottom, top = panels[0].get_ylim()
    panels[0].annotate(
        f"{grid.points(shown['mean'])} points",
        (epochs[0], place),
        (epochs[0] + 0.4, bottom + 0.25 * (top - bottom)),
        fontsize=9,
        arrowprops={"arrowstyle": "-", "color": style.QUIET, "linewidth": 0.8},
    )
    handles = [Line2D([], [], color=colour, linestyle=line, label=split)
               for split, (line, colour) in course.SPLITS.items()]  # fmt: skip
    handles.append(Line2D([], [], color=style.INK, linewidth=0.9, linestyle=(0, (3, 2)), label="layers unfrozen"))
    fig.legend(handles=handles, ncols=4, **ABOVE)
    settings = found.settings[found.cells["cell_id"].iloc[0]]
    caption = (
        f"{grid.told('Fine-tuning by stages', found)}, from {start(settings)}: {schedule(found)}. Lines are means, "
        f"bands 95 % Student t intervals ({grid.seeds(data.to_dict('records'))}). In the first epoch after unfreezing "
        f"validation accuracy changes by {grid.amount(shown)}, paired by seed. "
        + (CONTAMINATED + " " if contaminated(found) else "")
        + shortfall(found)
    )
    alt = f"Line charts of accuracy and loss in {plural(len(epochs) + 1, 'stage')}. {' '.join(answer(tables)[:1])}"
    title = "Fine-tuning by stages"
    return [Exhibit("stages", title, caption.strip(), alt, data.drop(columns="cell_id"), fig)]


def schedule(found):
    """The stages of a cell in words, with the rates that its runs had: "10 epochs with 16 layers frozen at a learning
    rate of 0.001, then 10 epochs with no layer frozen at 0.0005 to 0.00001"."""
    parts, metrics = [], found.done("metrics")
    for number, one in enumerate(found.settings[found.cells["cell_id"].iloc[0]].stages):
        frozen = one.frozen
        count = len(frozen) if isinstance(frozen, list) else frozen
        rates = metrics.loc[metrics["stage"] == number, "rate"].dropna()
        ends = dict.fromkeys(grid.plain(rate) for rate in (rates.max(), rates.min())) if len(rates) else {}
        rate = f" at {'' if parts else 'a learning rate of '}{' to '.join(ends)}" if ends else ""
        parts.append(
            f"{plural(one.epochs, 'epoch')} with {plural(count, 'layer') if count else 'no layer'} frozen{rate}"
        )
    return ", then ".join(parts)


def contaminated(found):
    """Whether cells are tested on CINIC-10 and start from weights that may have seen its test pictures."""
    return any(
        found.settings[cell].dataset_id.startswith("cinic") and found.settings[cell].start.kind != "init"
        for cell in found.cells["cell_id"]
    )


def compared(tables):
    """Test accuracy of the two by three protocols, with the document's numbers; [Exhibit]."""
    both = {name: opened(tables, name) for name in (HANDMADE, TRANSFER)}
    given = tables.document.get("accuracies", {})
    rows = {name: grid.reached(found) for name, found in both.items()}
    data = pd.concat(
        [
            pd.DataFrame([{"experiment": name, "protocol": protocol, **grid.interval(own[protocol].dropna())}])
            for name, own in rows.items()
            for protocol in PROTOCOLS
        ],
        ignore_index=True,
    )
    fig = style.figure(1.95)
    axes = fig.subplots()
    for at, name in enumerate(both):
        for place, (protocol, (_, marker, colour)) in enumerate(PROTOCOLS.items()):
            row = data[(data["experiment"] == name) & (data["protocol"] == protocol)].iloc[0]
            y = at + 0.24 * (place - 1)
            axes.hlines(y, max(row["low"], 0) * 100, min(row["high"], 1) * 100, color=colour, linewidth=1.4)
            axes.plot(row["mean"] * 100, y, linestyle="", **look(marker, colour))
        if name in given:
            axes.plot(given[name]["test"] * 100, at, "|", color="black", markersize=22, markeredgewidth=2.2, zorder=4)
    axes.set_yticks(range(2), [f"{name} ({found.values('network')[0]})" for name, found in both.items()])
    axes.set_ylim(1.6, -0.6)
    axes.axhspan(0.5, 1.6, color=style.BAND, linewidth=0, zorder=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("test accuracy (%)")
    handles = [Line2D([], [], linestyle="", label=words, **look(marker, colour))
               for words, marker, colour in PROTOCOLS.values()]  # fmt: skip
    handles.append(Line2D([], [], linestyle="", marker="|", color="black", markersize=11, markeredgewidth=2.2,
                          label="in the document (one run)"))  # fmt: skip
    fig.legend(handles=handles, ncols=2, **ABOVE)
    change = grid.paired(rows[HANDMADE], rows[TRANSFER], "best_valid")
    caption = (
        "The hand-made network beside the one that is fine-tuned, and what the document reports of one run each. "
        f"{intervals('Lines', data)} At the best validation epoch the difference on test is {grid.amount(change)}, "
        "paired by seed. " + (CONTAMINATED if contaminated(both[TRANSFER]) else "")
    )
    alt = f"Dot plot of two networks by three protocols. The difference is {grid.amount(change)}."
    return [Exhibit("compared", "Fine-tuned or hand-made?", caption.strip(), alt, data, fig)]


def table(tables):
    """Both networks in numbers, beside the document's; [Exhibit]."""
    given, made, total = tables.document.get("accuracies", {}), [], 0
    for name in (HANDMADE, TRANSFER):
        try:
            found = opened(tables, name)
        except NothingToShow:
            continue
        cell = found.cells.iloc[0]
        own, status = grid.reached(found), found.status().iloc[0]
        row = {"experiment": name, "network": cell["network"], "start": start(found.settings[cell["cell_id"]])}
        row |= {"parameters": str(cell["parameters"]), "done": of_asked(status)}
        for column, heading in (*HEADINGS.items(), ("train_accuracy", "train"), ("gap", "gap")):
            mean = grid.interval(own[column].dropna())
            row[heading] = mean_text(mean, 100, 2) if mean["n"] else "none"
        total += not whole(status)
        made.append(row | {"document": style.percent(given[name]["test"], 2) if name in given else "none"})
    if not made:
        raise NothingToShow(f"the config asks neither for {HANDMADE} nor for {TRANSFER}.")
    frame = pd.DataFrame(made)
    same = {"done": not total, "document": not given}
    columns = [name for name in frame if not same.get(name)]
    caption = (
        "Accuracy in percent, mean ± half its 95 % interval over the finished replicates: on test by three protocols, "
        "on training pictures at the last epoch, and the gap at the last epoch in points; in the last column what the "
        "document reports of one run on CINIC-10."
    )
    return [Exhibit("compared-table", "The two in numbers", caption, f"Table of {plural(len(made), 'network')}.", frame,
                    columns=columns)]  # fmt: skip


def answer(tables):
    """Q4.4: what unfreezing does, and whether fine-tuning beats the hand-made network."""
    answers = []
    found = opened(tables, TRANSFER)
    _, jumps = unfrozen(found)
    first = jumps[jumps["epoch"] == jumps["epoch"].min()]
    answers.append(
        f"In its first epoch after unfreezing validation accuracy changes by "
        f"{grid.amount(grid.interval(first['valid_jump']))}, test accuracy by "
        f"{grid.amount(grid.interval(first['test_jump']))}."
    )
    try:
        other = grid.reached(opened(tables, HANDMADE))
    except NothingToShow:
        return answers
    change = grid.paired(other, grid.reached(found), "best_valid")
    settings = found.settings[found.cells["cell_id"].iloc[0]]
    begin = "ImageNet weights" if imagenet(settings) else start(settings)
    answers.append(
        f"On test fine-tuning from {begin} less the hand-made network is {grid.amount(change)}, at the best validation "
        "epoch." + (f" {CONTAMINATED}" if contaminated(found) else "")
    )
    return answers
