"""Perturbed cells and their controls: who starts from whom, where each ended, and rows of figures that compare them."""

import json
import re

import numpy as np
import pandas as pd

from weight_atlas.cell_table import RECORDED
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import fallen_short
from weight_atlas.reporting.grammar import panels, style
from weight_atlas.reporting.grammar.dots import tally, whole
from weight_atlas.stats import summarise

# What was done to the trained weights before they were trained again; the first three are the controls: nothing.
SAME, OTHER, REPEATED = CONTROLS = ("same", "other", "repeated")
FLIP, ADD, LAYERS, ELSE = "flip", "add", "layers", "else"
# what -> (colour, marker, filled)
LOOKS = {
    SAME: (style.QUIET, "o", True),
    OTHER: (style.QUIET, "s", False),
    REPEATED: (style.QUIET, "d", False),
    ADD: (style.PALETTE[0], "o", True),
    FLIP: (style.PALETTE[1], "o", True),
    LAYERS: (style.PALETTE[2], "o", True),
    ELSE: (style.PALETTE[3], "o", True),
}
FRONT = ["cell_id", "dataset", "network", "name", "perturbation"]
ROW = 0.185
# A figure with more rows than this is split by network, behind tabs.
TALL = 46


def family(tables):
    """One row a perturbed cell or control, in the order of LOOKS: DataFrame of cell_id, dataset, network, parent,
    branch, name, perturbation, what, words, size, ladder, rung, asked.

    branch: a parent and one way to train it again (most often a parent has one), which children share that are compared
    with one another, and name is what figures call it; what: one of LOOKS; words: the perturbation in few words; size:
    that of added noise; ladder: what the rungs of several sizes share, "" for other cells; rung: named after its size.
    Raises NothingToShow where the study has no such cell.
    """
    cells = perturbed(tables).cells.reset_index(drop=True)
    labels = tables.cells.drop_duplicates("cell_id").set_index("cell_id")["label"]
    labels = labels if tables.axes else labels.map(lambda _: "original")
    rows, retrainings = [], {}
    for cell in cells.itertuples():
        settings = tables.children.settings[cell.cell_id]
        start = settings.start
        steps, own = start.steps, retrainings.setdefault(cell.parent, {})
        turn = own.setdefault(retraining(settings), len(own) + 1)
        what = done(start)
        size = float(steps[0]["size"]) if what == ADD else np.nan
        bare = json.dumps([{key: value for key, value in step.items() if key != "size"} for step in steps])
        plus = f" (+{style.short(size)})" if what == ADD and steps[0].get("noise", "constant") == "constant" else ""
        row = {column: getattr(cell, column) for column in ("cell_id", "dataset", "network", "parent", "perturbation")}
        row |= {"branch": f"{cell.parent} {turn}", "turn": turn, "name": labels.get(cell.parent, cell.label)}
        row |= {"what": what, "size": size, "asked": cell.replicates, "kind": f"{cell.parent} {turn} {bare}"}
        rows.append(row | {"words": cell.perturbation if rung(cell.perturbation) else cell.perturbation + plus})
    found = pd.DataFrame(rows)
    several = found["parent"].map(found.groupby("parent")["turn"].max()) > 1
    found["name"] = found["name"].where(~several, found["name"] + " · retraining " + found["turn"].astype(str))
    sizes = found[found["what"] == ADD].groupby("kind")["size"].nunique()
    climbs = (found["what"] == ADD) & (found["kind"].map(sizes) > 1)
    named = found["perturbation"].map(rung)
    ladders = named[climbs & (named != "")].groupby(found["kind"]).first()
    found["ladder"] = found["kind"].map(ladders).where(climbs, "").fillna("")
    found["rung"] = (found["ladder"] != "") & (named != "")
    place = found["what"].map(list(LOOKS).index)
    return found.assign(place=place).sort_values("place", kind="stable").drop(columns=["turn", "kind", "place"])


def rung(label):
    """The ladder that a label is a rung of: "noise" of "noise-1e-06"; "" where it does not end in a number."""
    found = re.fullmatch(r"(.+?)-[0-9.]+(e[-+]?[0-9]+)?", label)
    return found[1] if found else ""


def retraining(settings):
    """What the children that are compared have in common: how they are trained, and from what, as a text."""
    training = {key: value for key, value in settings.json["training"].items() if key not in RECORDED}
    return json.dumps([settings.start.take, settings.start.state, training], sort_keys=True)


def done(start):
    """What a child's start does to the weights: one of LOOKS."""
    steps = start.steps
    if not steps:
        return REPEATED if start.repeat else OTHER if start.order == "other" else SAME
    if any(step.get("layers") for step in steps):
        return LAYERS
    if len(steps) == 1 and steps[0]["type"] == "add":
        return ADD
    if len(steps) == 1 and steps[0]["type"] == "flip" and steps[0].get("tensors", "all") == "all":
        return FLIP
    return ELSE


def shown(found):
    """The rows of `family` that figures set side by side: no rungs (but the lowest of a branch without another
    addition), no single layers, no repeated control."""
    plain = found[~found["rung"] & ~found["what"].isin([LAYERS, REPEATED])]
    without = found[(found["what"] == ADD) & ~found["branch"].isin(plain.loc[plain["what"] == ADD, "branch"])]
    lowest = without.sort_values("size").drop_duplicates("branch")
    return found[found["cell_id"].isin([*plain["cell_id"], *lowest["cell_id"]])]


def perturbed(tables):
    """The Tables of the study's perturbed cells and controls; raises NothingToShow where it has none."""
    if tables.children is None:
        raise NothingToShow(f"study {tables.study} perturbs no cell.")
    return tables.children


def children(tables, name):
    """The rows of <name>.csv that are of finished perturbed replicates, with the columns of `family`."""
    rows = perturbed(tables).done(name)
    rows = rows.drop(columns=[column for column in rows if column in ("dataset", "network", "label", "tint", "panel")])
    return family(tables).merge(rows.drop(columns=["init", "optimizer"], errors="ignore"), on="cell_id")


POINTS = {"perturbation": "size_moved", "original": "distance", "moved": "moved", "control": "apart"}


def journeys(tables):
    """One row a finished replicate of a perturbed cell or control: the columns of `family`, seed, and of all
    parameters together norm (‖θ₁‖), norm_end (‖θ₂‖), start (how far the perturbation took it), distance
    (‖θ₁ − θ₂‖), cosine (between these), moved (from its start), apart (from the end of the same-order control);
    still (`distance` of that control, same seed), ratio (distance / still) and amplification (apart / start).

    What is not there, or has 0 below the line, is NaN.
    """
    rows = children(tables, "returns")
    rows = rows[rows["layer"] == "total"]
    if rows.empty:
        raise NothingToShow("returns.csv has no total.")
    keys = ["cell_id", "seed"]
    wide = rows.pivot_table(index=keys, columns="pair", values="distance", sort=False)
    wide = wide.reindex(columns=list(POINTS)).rename(columns=POINTS | {"perturbation": "start"})
    ends = rows[rows["pair"] == "original"].set_index(keys)[["norm_a", "norm_b", "cosine"]]
    wide = wide.join(ends.rename(columns={"norm_a": "norm", "norm_b": "norm_end"})).reset_index()
    found = family(tables).merge(wide, on="cell_id")
    still = found[found["what"] == SAME].drop_duplicates(["branch", "seed"]).set_index(["branch", "seed"])["distance"]
    found = found.join(still.rename("still"), on=["branch", "seed"])
    found["ratio"] = found["distance"] / found["still"].where(found["still"] > 0)
    found["amplification"] = found["apart"] / found["start"].where(found["start"] > 0)
    return found


def small(found):
    """The rows of `journeys` that a small distortion began: additions that are no rung and change the parameters by
    less than a hundredth of their norm, or where there is none, each branch's lowest rung."""
    added = found[(found["what"] == ADD) & (found["start"] < found["norm"] / 100)]
    plain = added[~added["rung"]]
    if len(plain):
        return plain
    return added[added["size"] == added.groupby("branch")["size"].transform("min")]


def means(rows, value, by=()):
    """Mean of a column over the replicates of each cell (and `by`), with its interval: FRONT, `by`, what, n, of, .."""
    keys = ["cell_id", *by]
    labels = [*FRONT[1:], "words", "branch", "what", "size", "ladder", "asked"]
    named = rows.drop_duplicates("cell_id")[["cell_id", *labels]]
    found = named.merge(summarise(rows, keys, value), on="cell_id").rename(columns={"asked": "of"})
    front = [*FRONT, *by, "n", "of", "mean", "low", "high"]
    return found[front + [column for column in found if column not in front]]


CUT = "An interval that leaves its axis is cut there. "
INNER = ["words", "branch", "what", "ladder"]  # columns that exhibits draw by and their CSVs leave out


def csv(data):
    """The numbers of an exhibit: `data` without INNER, and without the size of noise where there is none."""
    spare = [name for name in INNER if name in data] + ["size"] * int(data["size"].isna().all())
    return data.drop(columns=spare).reset_index(drop=True)


def split(tables, rows):
    """(what a name ends in, tab, rows) of each figure: one for all rows, or one a network where they are many."""
    lines = rows.drop_duplicates(["network", "name", "words"])
    networks = [name for name in tables.values("network") if name in set(rows["network"])]
    if len(networks) == 1 or len(lines) + lines["branch"].nunique() <= TALL:
        return [("", "", rows)]
    return [(f"-{re.sub('[^a-z0-9]+', '-', name.lower())}", name, rows[rows["network"] == name]) for name in networks]


def shortfall(tables, rows):
    """Sentences on replicates of the cells in `rows`, as `runs.shortfall` gives them."""
    return fallen_short(tables.children.status().loc[rows["cell_id"].unique()].sum())


class Blocks:
    """A panel a network and data set, in it a block a branch, headed by its name (where there are several), and in
    the block a row for each of
    `words`, from the top. figure: the whole; panels: {(network, dataset): Axes}; across: the most panels abreast."""

    def __init__(self, tables, rows, xlabel, around=0.85):
        """rows: DataFrame with dataset, network, branch, name, words; around: inches for legend and axis labels."""
        strips = panels.strips(tables, rows)
        headed = rows["name"].nunique() > 1
        self.lines = {network: lines(rows[rows["network"] == network], headed) for network, _ in strips}
        heights = [ROW * len(self.lines[network]) + 0.06 for network, _ in strips]
        self.across = max(len(names) for _, names in strips)
        self.figure, self.panels = panels.layout(strips, heights, around, sharey=True)
        for (network, _), axes in self.panels.items():
            names = self.lines[network]
            axes.set_ylim(len(names) - 0.4, -0.6)
            axes.set_yticks(range(len(names)), [words or name for name, words in names])
            axes.grid(axis="y", visible=False)
            axes.spines["left"].set_visible(False)
            for first, last in self.spans(network)[1::2]:
                axes.axhspan(first - 1.5, last + 0.5, color=style.BAND, linewidth=0, zorder=0)
        for network, dataset in panels.leftmost(strips):
            labels = self.panels[network, dataset].get_yticklabels()
            for (_, words), label in zip(self.lines[network], labels, strict=True):
                label.set_fontweight("normal" if words else "bold")
        for key in panels.lowest(strips):
            self.panels[key].set_xlabel(xlabel)

    def spans(self, network):
        """(first, last) row of each block, headings apart."""
        heads = [at for at, (_, words) in enumerate(self.lines[network]) if not words]
        if not heads:
            return [(0, len(self.lines[network]) - 1)]
        return [(a + 1, b - 1) for a, b in zip(heads, [*heads[1:], len(self.lines[network])], strict=True)]

    def place(self, row):
        """(Axes, vertical position) of a row of a table with dataset, network, name, words (a named tuple)."""
        return self.panels[row.network, row.dataset], self.lines[row.network].index((row.name, row.words))

    def block(self, row):
        """(Axes, first, last position) of the block that a row is in."""
        axes, at = self.place(row)
        first, last = next(span for span in self.spans(row.network) if span[0] <= at <= span[1])
        return axes, first - 0.45, last + 0.45

    def short(self, data, tables):
        """Say beside a row how many of its replicates finished, where some did not, and how many never learnt;
        data: the rows that are there (those without a finished replicate included)."""
        status = tables.children.status()
        for row in data.itertuples():
            of = status.loc[row.cell_id]
            if not whole(of):
                axes, at = self.place(row)
                beside = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 9}
                axes.text(1.01, at, tally(of), ha="left", color=style.WARNING, **beside)


def lines(rows, headed):
    """[(name, "")] of each block, where they are headed, and [(name, words)] of its rows, from the top."""
    found = []
    for name, own in rows.groupby("name", sort=False):
        found += [(name, "")] * headed + [(name, words) for words in dict.fromkeys(own["words"])]
    return found
