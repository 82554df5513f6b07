"""Perturbed cells and their controls: who starts from whom, where each ended, and rows of figures that compare them."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weight_atlas.cell_table import RECORDED
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import fallen_short
from weight_atlas.reporting.grammar import marks, panels, style
from weight_atlas.reporting.grammar.dots import tally, whole
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables
from weight_atlas.reporting.grammar.words import by_network, slug
from weight_atlas.settings import Settings, Start
from weight_atlas.stats import summarise

# What was done to the trained weights before they were trained again; the first three are the controls: nothing.
SAME, OTHER, REPEATED = CONTROLS = ("same", "other", "repeated")
FLIP, ADD, PRUNE, LAYERS, ELSE = "flip", "add", "prune", "layers", "else"
# what -> (colour, marker)
LOOKS = {
    SAME: (style.QUIET, "o"),
    OTHER: (style.QUIET, "s"),
    REPEATED: (style.QUIET, "d"),
    ADD: (style.PALETTE[0], "o"),
    FLIP: (style.PALETTE[1], "o"),
    PRUNE: (style.PALETTE[4], "o"),
    LAYERS: (style.PALETTE[2], "o"),
    ELSE: (style.PALETTE[3], "o"),
}
FRONT = ["cell_id", "dataset", "network", "name", "perturbation"]
INNER = ["words", "branch", "what", "ladder"]  # columns that exhibits draw by and their CSVs leave out
POINTS = {"perturbation": "size_moved", "original": "distance", "moved": "moved", "control": "apart"}
ROW = 0.185
# A figure with more rows than this is split by network, behind tabs.
TALL = 46
CUT = "An interval that leaves its axis is cut there."


# ------------------------------------------------------------------------------------------- cells


def family(tables: Tables) -> pd.DataFrame:
    """Perturbed cells and controls in the order of LOOKS.

    Returns
    -------
    DataFrame
        A row for each: cell_id, dataset, network, parent, perturbation (label); branch: its parent and one way to train
        it again, which those that are compared share; name: of the branch in figures; what: one of LOOKS; words: the
        perturbation in few words; size: of added noise; ladder: what noise of several sizes shares, "" for others;
        rung: whether it is named after its size; asked: replicates.

    Raises
    ------
    NothingToShow
        Where the study has no such cell.
    """
    own = perturbed(tables)
    found = pd.DataFrame([_child(cell, own.settings[cell.cell_id]) for cell in own.cells.itertuples()])
    turn = found.groupby("parent")["training"].transform(lambda training: training.factorize()[0] + 1)
    found["branch"] = found["parent"] + " " + turn.astype(str)
    labels = tables.cells.drop_duplicates("cell_id").set_index("cell_id")["label"]
    name = found["parent"].map(labels if tables.axes else labels.map(lambda _: "original")).fillna(found["label"])
    several = turn.groupby(found["parent"]).transform("max") > 1
    found["name"] = name.where(~several, name + " · retraining " + turn.astype(str))
    kind, rungs = found["branch"] + " " + found["steps"], found["perturbation"].map(rung)
    climbs = found.groupby(kind)["size"].transform("nunique") > 1
    found["ladder"] = kind.map(rungs[climbs & (rungs != "")].groupby(kind).first()).where(climbs, "").fillna("")
    found["rung"] = (found["ladder"] != "") & (rungs != "")
    order = found["what"].map(list(LOOKS).index).sort_values(kind="stable")
    return found.drop(columns=["label", "training", "steps"]).loc[order.index]


def _child(cell: Any, settings: Settings) -> dict[str, Any]:
    """What `family` says of a cell by itself; training, steps: what is alike in those of a branch, and of a ladder."""
    start, steps = settings.start, settings.start.steps or []
    what, label = done(start), cell.perturbation
    constant = what == ADD and steps[0].get("noise", "constant") == "constant" and not rung(label)
    training = {key: value for key, value in settings.json["training"].items() if key not in RECORDED}
    bare = [{key: value for key, value in step.items() if key != "size"} for step in steps]
    return {
        **{column: getattr(cell, column) for column in ("cell_id", "dataset", "network", "parent", "perturbation")},
        "label": cell.label,
        "what": what,
        "words": f"{label} (+{style.short(steps[0]['size'])})" if constant else label,
        "size": float(steps[0]["size"]) if what == ADD else np.nan,
        "asked": cell.replicates,
        "training": json.dumps([start.take, start.state, training], sort_keys=True),
        "steps": json.dumps(bare),
    }


def rung(label: str) -> str:
    """The ladder that a label is a rung of: "noise" of "noise-1e-06"; "" where it does not end in a number."""
    found = re.fullmatch(r"(.+?)-[0-9.]+(e[-+]?[0-9]+)?", label)
    return found[1] if found else ""


def done(start: Start) -> str:
    """What a child's start does to the weights: one of LOOKS."""
    steps = start.steps
    if not steps:
        return REPEATED if start.repeat else OTHER if start.order == "other" else SAME
    if start.pruning:
        return PRUNE
    if any(step.get("layers") for step in steps):
        return LAYERS
    if len(steps) == 1 and steps[0]["type"] == "add":
        return ADD
    if len(steps) == 1 and steps[0]["type"] == "flip" and steps[0].get("tensors", "all") == "all":
        return FLIP
    return ELSE


def shown(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of `family` that figures set side by side: no rungs (but the lowest of a branch without another
    addition), no single layers, no repeated control."""
    plain = found[~found["rung"] & ~found["what"].isin([LAYERS, REPEATED])]
    without = found[(found["what"] == ADD) & ~found["branch"].isin(plain.loc[plain["what"] == ADD, "branch"])]
    lowest = without.sort_values("size").drop_duplicates("branch")
    return found[found["cell_id"].isin([*plain["cell_id"], *lowest["cell_id"]])]


def perturbed(tables: Tables) -> Tables:
    """The Tables of the study's perturbed cells and controls; raises NothingToShow where it has none."""
    if tables.children is None:
        raise NothingToShow(f"study {tables.study} perturbs no cell.")
    return tables.children


def shortfall(tables: Tables, rows: pd.DataFrame) -> str:
    """Sentences on replicates of the cells in `rows`, as `runs.shortfall` gives them."""
    told: str = fallen_short(perturbed(tables).status().loc[rows["cell_id"].unique()].sum())
    return told


# ------------------------------------------------------------------------------------------- replicates and means


def children(tables: Tables, name: str) -> pd.DataFrame:
    """The rows of <name>.csv that are of finished perturbed replicates, with the columns of `family`."""
    rows = perturbed(tables).done(name)
    labels = ["dataset", "network", "label", "tint", "panel", "init", "optimizer"]
    return family(tables).merge(rows.drop(columns=labels, errors="ignore"), on="cell_id")


def journeys(tables: Tables) -> pd.DataFrame:
    """Where each finished replicate of a perturbed cell or control came from and where it ended.

    Returns
    -------
    DataFrame
        The columns of `family`, seed, and of all parameters together norm (‖θ₁‖), norm_end (‖θ₂‖), start (how far the
        perturbation took it), distance (‖θ₁ − θ₂‖), cosine (between these), moved (from its start), apart (from the end
        of the same-order control); still (`distance` of that control, same seed), ratio (distance / still) and
        amplification (apart / start). What is not there, or has 0 below the line, is NaN.
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


def small(found: pd.DataFrame) -> pd.DataFrame:
    """The rows of `journeys` that a small distortion began: additions that are no rung and change the parameters by
    less than a hundredth of their norm, or where there is none, each branch's lowest rung."""
    added = found[(found["what"] == ADD) & (found["start"] < found["norm"] / 100)]
    plain = added[~added["rung"]]
    if len(plain):
        return plain
    return added[added["size"] == added.groupby("branch")["size"].transform("min")]


def means(rows: pd.DataFrame, value: str, by: Sequence[str] = (), also: Sequence[str] = ()) -> pd.DataFrame:
    """The mean of a column over the replicates of each cell (and `by`), with its interval.

    Returns
    -------
    DataFrame
        FRONT, `by`, n, of, mean, low, high, further columns of `family`, and the means of the columns `also`.
    """
    keys = ["cell_id", *by]
    named = rows.drop_duplicates("cell_id")[[*FRONT, "words", "branch", "what", "size", "ladder", "asked"]]
    found = summarise(rows, keys, value)
    found = found.assign(**{name: summarise(rows, keys, name)["mean"] for name in also})
    found = named.merge(found, on="cell_id").rename(columns={"asked": "of"})
    front = [*FRONT, *by, "n", "of", "mean", "low", "high"]
    return found[front + [column for column in found if column not in front]]


# ------------------------------------------------------------------------------------------- exhibits


class Part(NamedTuple):
    """What one figure shows: the perturbed cells of a network, or all where the tab is "".

    rows: of `family`, finished or not; data: the means that are drawn.
    """

    tab: str
    rows: pd.DataFrame
    data: pd.DataFrame


def split(tables: Tables, rows: pd.DataFrame, data: pd.DataFrame) -> list[Part]:
    """What each figure shows: one shows all, or where there are many rows, one each network."""
    lines = rows.drop_duplicates(["network", "name", "words"])
    networks = [name for name in tables.values("network") if name in set(rows["network"])]
    fits = len(networks) == 1 or len(lines) + lines["branch"].nunique() <= TALL
    parts = [("", rows)] if fits else [(name, rows[rows["network"] == name]) for name in networks]
    return [Part(tab, own, data[data["cell_id"].isin(own["cell_id"])]) for tab, own in parts]


def exhibit(name: str, title: str, caption: str, alt: str, data: pd.DataFrame, fig: Figure, tab: str = "") -> Exhibit:
    """An exhibit named after its tab, whose numbers are `data` without INNER, and without `size` where none has one."""
    spare = [column for column in INNER if column in data] + ["size"] * int(data["size"].isna().all())
    numbers = data.drop(columns=spare).reset_index(drop=True)
    return Exhibit(slug(name, tab), title, caption, alt, numbers, fig, tab=tab)


def told(data: pd.DataFrame, text: Callable[[pd.DataFrame], str]) -> str:
    """ "in lenet5 flip 44.2, add (+1e−6) 1.90; in ..": what `text` says of the rows of each perturbation, if any."""

    def perturbations(own: pd.DataFrame) -> str:
        found = [(words, text(rows)) for words, rows in own.groupby("words", sort=False)]
        return ", ".join(f"{words} {said}" for words, said in found if said)

    return by_network(data, perturbations)


class Blocks:
    """A panel for each network and data set, in it a block for each branch, headed by its name where there are several,
    and in the block a row for each of its `words`.

    figure: the whole; panels: {(network, dataset): Axes}; across: the most panels side by side.
    """

    def __init__(self, tables: Tables, rows: pd.DataFrame, xlabel: str, around: float = 0.85) -> None:
        """rows: DataFrame with dataset, network, branch, name, words; around: inches for legend and axis labels."""
        strips = panels.strips(tables, rows)
        self.headed = int(rows["name"].nunique() > 1)
        self.lines = {network: self._lines(rows[rows["network"] == network]) for network, _ in strips}
        self.across = max(len(names) for _, names in strips)
        texts = {network: [words or name for name, words in own] for network, own in self.lines.items()}
        blocks = {network: list(self._spans(network).values()) for network, _ in strips}
        self.figure, self.panels = panels.rows(strips, texts, xlabel, ROW, around, blocks=blocks)
        for network, dataset in panels.leftmost(strips):
            lines = enumerate(self.lines[network])
            marks.heads(self.panels[network, dataset], [at for at, (_, words) in lines if not words])

    def _lines(self, rows: pd.DataFrame) -> list[tuple[str, str]]:
        """(name, "") of each block, where they are headed, and (name, words) of its rows, from the top."""
        found: list[tuple[str, str]] = []
        for name, own in rows.groupby("name", sort=False):
            found += [(str(name), words) for words in [""] * self.headed + list(dict.fromkeys(own["words"]))]
        return found

    def _spans(self, network: str) -> dict[str, tuple[int, int]]:
        """name -> (first, last) row of its block, with its heading."""
        names = [name for name, _ in self.lines[network]]
        return {name: (names.index(name), names.index(name) + names.count(name) - 1) for name in names}

    def place(self, row: Any) -> tuple[Axes, int]:
        """(Axes, vertical position) of a row with dataset, network, name and words (a dict)."""
        at = self.lines[row["network"]].index((row["name"], row["words"]))
        return self.panels[row["network"], row["dataset"]], at

    def across_block(self, row: Any, value: float, **look: Any) -> None:
        """An upright line at a value, across the block that a row is in; look: of Axes.plot."""
        first, last = self._spans(row["network"])[row["name"]]
        axes, _ = self.place(row)
        axes.plot([value] * 2, [first + self.headed - 0.45, last + 0.45], **look)

    def shortfall(self, tables: Tables, rows: pd.DataFrame) -> None:
        """Beside each row how many of its replicates finished, where some did not, and how many never learnt."""
        status = perturbed(tables).status()
        for row in rows.to_dict("records"):
            of = status.loc[row["cell_id"]]
            if not whole(of):
                marks.aside(*self.place(row), tally(of), style.WARNING)
