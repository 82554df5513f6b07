"""Exhibits on the course of training: accuracy and loss against epoch."""

from matplotlib.lines import Line2D

from weight_atlas.reporting.exhibits.runs.runs import shortfall, with_cells
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import ABOVE
from weight_atlas.reporting.grammar.tables import last
from weight_atlas.reporting.grammar.words import plural, slug
from weight_atlas.stats import summarise

SPLITS = {"train": "--", "valid": ":", "test": "-"}
MEASURES = {"accuracy": "accuracy (%)", "loss": "loss (cross-entropy)"}
TRAINED = (
    "train is dashed, valid dotted, test solid. Epoch 0 is before the first step and has no training value, and a "
    "training value is the mean during its epoch, so it lags behind. Where the test line turns while the dashed one "
    "goes on, the network memorises. "
)


def training_curves(tables):
    """Accuracy and loss against epoch, one exhibit a data set; list[Exhibit]."""
    many = len(tables.values("dataset")) > 1
    tables.read("metrics")
    made = []
    for dataset in tables.values("dataset"):
        name = f"training-curves-{slug(dataset)}" if many else "training-curves"
        made += curves(tables, dataset, name, dataset if many else "")
    return made


def curves(tables, dataset, name, tab):
    """The exhibit of one data set, [] where it has no epoch of any run."""
    runs = tables.read("metrics")
    runs = runs[runs["dataset"] == dataset]
    if runs.empty:
        return []
    data = curve_means(tables, runs)
    cells = tables.where(dataset=dataset)
    networks = [name for name in tables.values("network") if name in set(cells["network"])]
    panels = list(dict.fromkeys(cells["panel"]))
    split = len(panels) > 1
    places = [(network, measure) for network in networks for measure in MEASURES] if split else networks
    across = panels if split else list(MEASURES)
    fig = style.figure(1.75 * len(places) + 0.9)
    grid = fig.subplots(len(places), len(across), sharex=True, sharey="row" if split else False, squeeze=False)
    tints = list(dict.fromkeys(tables.cells["tint"]))
    colours = dict(zip(tints, style.colours(len(tints)), strict=True))
    for down, place in enumerate(places):
        for right, column in enumerate(across):
            network, measure, panel = (*place, column) if split else (place, column, panels[0])
            chosen = (runs["network"] == network) & (runs["panel"] == panel)
            draw(grid[down, right], runs[chosen], tables, measure, colours)
            if right == 0 or not split:
                grid[down, right].set_ylabel(MEASURES[measure])
            if measure == "accuracy":
                heading = [network] * (len(networks) > 1 or not split) + [panel] * split
                grid[down, right].set_title(" · ".join(heading))
            if measure == "loss":
                style.log_if_wide(grid[down, right], runs.loc[chosen, [f"{split_}_loss" for split_ in SPLITS]])
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    handles = [Line2D([], [], color=colours[tint], label=tint) for tint in tints if tint]
    there = [split_ for split_ in SPLITS if runs[f"{split_}_accuracy"].notna().any()]  # given ones have no training
    handles += [Line2D([], [], color=style.QUIET, linestyle=SPLITS[split_], label=split_) for split_ in there]
    ended = unfinished(tables, runs)
    if len(ended):
        handles.append(Line2D([], [], color=style.WARNING, marker="X", linestyle="", label="diverged or failed here"))
    fig.legend(handles=handles, ncols=min(len(handles), 4 if len(handles) > 5 else 5), **ABOVE)
    caption = (
        f"Accuracy and loss of {dataset} against epoch. Thick lines are means over the replicates that reached the "
        "epoch, thin lines single replicates (test alone); "
        f"{TRAINED if 'train' in there else 'valid is dotted, test solid. '}"
        f"{shortfall(tables, dataset=dataset)}"
    )
    return [Exhibit(name, "Training curves", caption.strip(), curve_alt(data, dataset), data, fig, tab=tab)]


def curve_means(tables, runs):
    """Mean by cell, epoch and quantity over the replicates that reached the epoch: labels, quantity, epoch, n .."""
    columns = [f"{split}_{measure}" for measure in MEASURES for split in SPLITS]
    long = runs.melt(["cell_id", "seed", "epoch"], columns, "quantity", "value").dropna(subset="value")
    return with_cells(tables, summarise(long, ["cell_id", "quantity", "epoch"], "value"))


def draw(axes, runs, tables, measure, colours):
    """Means (thick) and single test curves (thin) of one panel; a cross where a replicate ended early."""
    scale = 100 if measure == "accuracy" else 1
    for _, cell in runs.groupby("cell_id", sort=False):
        colour = colours[cell["tint"].iloc[0]]
        if cell["seed"].nunique() > 1:
            for _, one in cell.groupby("seed"):
                axes.plot(one["epoch"], one[f"test_{measure}"] * scale, color=colour, linewidth=0.6, alpha=0.45)
        for split, line in SPLITS.items():
            mean = cell.groupby("epoch")[f"{split}_{measure}"].mean().dropna()
            width = 1.2 if split == "valid" else 1.7
            axes.plot(mean.index, mean * scale, color=colour, linestyle=line, linewidth=width)
    for _, row in unfinished(tables, runs.dropna(subset=f"test_{measure}")).iterrows():
        axes.plot(row["epoch"], row[f"test_{measure}"] * scale, "X", color=style.WARNING, markersize=6, zorder=4)
    axes.margins(x=0.03)
    axes.xaxis.get_major_locator().set_params(integer=True)


def unfinished(tables, runs):
    """The last rows of the replicates among `runs` that diverged or failed."""
    status = tables.read("runs")[["cell_id", "seed", "status"]]
    ends = last(runs).merge(status, on=["cell_id", "seed"])
    return ends[ends["status"] != "done"]


def curve_alt(data, dataset):
    """The picture in words: where test accuracy starts and where it ends."""
    test = data[data["quantity"] == "test_accuracy"]
    first = test.loc[test["epoch"] == test["epoch"].min(), "mean"]
    ends = test.loc[test["epoch"] == test.groupby("cell_id")["epoch"].transform("max"), "mean"]
    return (
        f"Line charts for {dataset}. Test accuracy of {plural(len(ends), 'cell')} goes from {span(first)} at epoch "
        f"{test['epoch'].min()} to {span(ends)} at the last epoch ({test['epoch'].max()})."
    )


def span(shares):
    """ "91.2 to 98.3 %", or one share where they are equal."""
    low, high = style.percent(shares.min()), style.percent(shares.max())
    return low if low == high else f"{low.removesuffix(' %')} to {high}"
