"""The transfers of one study: their tables, which curves belong together, and how these are called and coloured."""

import json
from dataclasses import dataclass

import pandas as pd

from weight_atlas import networks
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.dots import unlearnt
from weight_atlas.reporting.grammar.tables import joined
from weight_atlas.settings import Settings
from weight_atlas.vocabulary import TRANSFERRED

CURVE = ["network", "init", "optimizer", "setting", "base", "target", "mode"]
FAMILY = ["network", "init", "optimizer"]
BASE = "base"  # the mode of the rows of base networks in curves.csv and reach.csv
MODES = ("frozen", "tuned", "random")
MARGIN = 0.01  # the margin of equivalence that drops.csv and segments.csv are made with, for words and drawings

# Verdicts, from the input's side, with the letter and the colour of each.
VERDICTS = {
    "generic": ("G", "#9CCBEA"),
    "transition": ("T", "#F3D08A"),
    "specific": ("S", "#E79A6B"),
    "undecided": ("?", "white"),
}

OWN, OTHER, RANDOM = style.PALETTE[0], style.PALETTE[1], style.QUIET
LINES = {"frozen": "-", "tuned": "--", "random": ":"}
MARKERS = {"frozen": "o", "tuned": "s", "random": "^"}


def read(tables, name):
    """The rows of <name>.csv (a table of freeze-depth transfer) that are this study's.

    Raises NothingToShow where it has no such row.
    """
    frame = tables.table(name)
    frame = frame[frame["study"] == tables.study].reset_index(drop=True)
    if frame.empty:
        raise NothingToShow(f"{name}.csv has no transfer of study {tables.study}.")
    return frame


def cells(tables):
    """The rows of cells.csv that are transfers of this study: one a cell and name that it has there.

    `settings` is the resolved cell, `asked` the number of replicates.
    """
    frame = tables.rows[tables.rows["role"].isin(TRANSFERRED)]
    if frame.empty:
        raise NothingToShow(f"study {tables.study} has no transfer.")
    return frame.assign(
        settings=frame["cell"].map(lambda text: Settings.parse(json.loads(text))), asked=frame["replicates"]
    )


def shown(tables, name):
    """As `read`, of the curves that figures over n show: those of the document's own setting and number of outputs.

    That setting is the one of the transfers that the document has (role transfer); others are told in effects.csv.
    """
    frame = read(tables, name)
    plain = plain_settings(tables)
    kept = [row.mode == BASE or row.setting == plain.get(family(row), "") for row in frame.itertuples()]
    wide = set(twins(tables).values())
    return frame[pd.Series(kept, index=frame.index) & ~frame["network"].isin(wide)].reset_index(drop=True)


def plain_settings(tables):
    """family -> the setting that most of its transfers of role transfer have."""
    found = read(tables, "curves")
    found = found[found["role"] == "transfer"].drop_duplicates([*CURVE, "depth"])
    return {key: own["setting"].mode().iloc[0] for key, own in found.groupby(FAMILY, sort=False)}


def effects(tables, outputs=False):
    """effects.csv: of the number of outputs, or of every other factor.

    Raises NothingToShow, which says what was not trained, where there is none."""
    lacking = "no two networks with transfers differ in their number of outputs alone."
    if not outputs:
        lacking = "no transfer was trained in another setting than the document's."
    try:
        found = read(tables, "effects")
    except NothingToShow:
        raise NothingToShow(lacking) from None
    found = found[(found["factor"] == "outputs") == outputs].astype({"depth": int})
    if found.empty:
        raise NothingToShow(lacking)
    return found.reset_index(drop=True)


def family(row):
    """(network, init, optimizer) of a named tuple."""
    return row.network, row.init, row.optimizer


def families(tables, frame):
    """[(family, its rows, what tells it from the others in words, what does in a file's name)] of a frame of curves."""
    groups = list(frame.groupby(FAMILY, sort=False))
    columns = [name for at, name in enumerate(FAMILY) if len({key[at] for key, _ in groups}) > 1]
    found = []
    for key, own in groups:
        words = joined(own.head(1), columns).iloc[0] if columns else ""
        found.append((key, own.reset_index(drop=True), words))
    return found


def twins(tables):
    """network label -> the label of the same network with more outputs, where both have transfers."""
    own = cells(tables).drop_duplicates("network")
    heads = {}
    for cell in own.itertuples():
        heads[cell.network] = json.dumps(cell.settings.json["network"], sort_keys=True), cell.settings.classes
    found = {}
    for one, (shape, outputs) in heads.items():
        for other, (theirs, more) in heads.items():
            if one != other and shape == theirs and outputs and more and outputs < more:
                found[one] = other
    return found


def outputs(tables, network):
    """The number of outputs of a network label's transfers."""
    return cells(tables).set_index("network")["settings"].loc[[network]].iloc[0]["classes"]


def name(row):
    """ "A → B", "A → B, tuned", "random → B": a curve (with base, target and mode) in words."""
    start = "random" if row.mode == "random" else row.base
    return f"{start} → {row.target}" + (", tuned" if row.mode == "tuned" else "")


def own_task(row):
    """Whether a curve takes its layers from a network of its own task."""
    return row.base == row.target and row.mode != "random"


def colour(row):
    """The colour of a curve by where its layers come from: its own task, another, or nowhere."""
    return RANDOM if row.mode == "random" else OWN if row.base == row.target else OTHER


def each(frame):
    """(its first row as a named tuple, its rows by depth) of every curve of a frame, cross before own, frozen first."""
    order = frame.assign(late=frame["mode"].map(MODES.index), alone=frame["base"] == frame["target"])
    order = order.sort_values(["late", "alone"], kind="stable")
    for _, own in order.groupby(CURVE, sort=False):
        own = own.drop(columns=["late", "alone"]).sort_values("depth", kind="stable")
        yield next(own.itertuples()), own.assign(depth=own["depth"].astype(int)).reset_index(drop=True)


def targets(frame):
    """Targets that both another task's layers and their own are taken to, in the frame's order; all where none is."""
    cross = frame[(frame["base"] != frame["target"]) & (frame["mode"] != "random") & (frame["mode"] != BASE)]
    own = frame[(frame["base"] == frame["target"]) & (frame["mode"] != "random") & (frame["mode"] != BASE)]
    every = list(dict.fromkeys(frame.loc[frame["mode"] != BASE, "target"]))
    both = [target for target in every if target in set(cross["target"]) & set(own["target"])]
    return both or every


def main(frame):
    """The rows of the `targets` alone, bases with them."""
    return frame[frame["target"].isin(targets(frame))].reset_index(drop=True)


@dataclass
class Layers:
    """The weight layers of a network from the input: short names (conv1 .. fc3) and sizes ("64", "4096")."""

    names: list
    sizes: list


def layers(tables, network):
    """The Layers of a network label, from the layer table of one of its transfers."""
    settings = cells(tables).set_index("network")["settings"].loc[[network]].iloc[0]
    table = networks.layer_table(*settings.network_arguments)
    counts, names = {}, []
    for layer in table.weight_layers:
        kind = "conv" if layer.kind == "Conv2d" else "fc"
        counts[kind] = counts.get(kind, 0) + 1
        names.append(f"{kind}{counts[kind]}")
    return Layers(names, [str(layer.out_shape[0]) for layer in table.weight_layers])


@dataclass
class Fate:
    """asked, done: numbers of replicates of the transfers of a study; ended: words on the others ("2 diverged");
    unlearnt: how many of those that are done never learnt."""

    asked: int
    done: int
    ended: str
    unlearnt: int


def fate(tables, only=None):
    """The Fate of the transfers (of these cell_ids, where `only` is given): a cell under two names counts once."""
    own = cells(tables).drop_duplicates("cell_id")
    own = own if only is None else own[own["cell_id"].isin(only)]
    runs = tables.table("runs")
    runs = runs[runs["cell_id"].isin(own["cell_id"])]
    counts = runs["status"].value_counts()
    asked, done = int(own["asked"].sum()), int(counts.get("done", 0))
    told = {kind: int(counts.get(kind, 0)) for kind in ("diverged", "failed")}
    told["missing"] = max(0, asked - done - sum(told.values()))
    return Fate(asked, done, ", ".join(f"{count} {kind}" for kind, count in told.items() if count),
                int((~runs["learnt"].fillna(True)).sum()))  # fmt: skip


def shortfall(tables, only=None):
    """Sentences on replicates of transfers that did not finish, or never learnt; empty where all did."""
    found = fate(tables, only)
    told = f"Of {found.asked} replicates of these transfers {found.done} finished ({found.ended})."
    return " ".join(filter(None, [told if found.done < found.asked else "", unlearnt(found.unlearnt)]))


def number_of(data):
    """ "3", or "2 to 3": the replicates (column n) that means rest on."""
    counts = sorted(set(data["n"].astype(int)))
    return " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))


def points(share, digits=2):
    """A difference of accuracies in percentage points: "+1.20", "−0.31", "0.00"."""
    text = f"{share * 100:+.{digits}f}"
    return text[1:] if not float(text) else text.replace("-", "−")


def stretch(depths):
    """Whole numbers in short: "1–6, 9"."""
    found = []
    for depth in sorted(depths):
        if found and depth == found[-1][1] + 1:
            found[-1][1] = depth
        else:
            found.append([depth, depth])
    return ", ".join(f"{low}" if low == high else f"{low}–{high}" for low, high in found)
