"""The transfers of one study: their tables, which curves belong together, and how these are called and coloured."""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.figure import Figure

from weight_atlas import networks
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.runs.runs import fallen_short
from weight_atlas.reporting.grammar import style
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.tables import Tables, joined
from weight_atlas.reporting.grammar.words import enumerated, slug
from weight_atlas.settings import Settings
from weight_atlas.vocabulary import ENDED, TRANSFERRED

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


class Family(NamedTuple):
    """The curves of one network, start and optimizer; words: what tells it from the others, "" where it is alone."""

    key: tuple[str, ...]
    rows: pd.DataFrame
    words: str

    def of(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows of a frame that are this family's."""
        return of(frame, self.key, FAMILY)


def read(tables: Tables, name: str) -> pd.DataFrame:
    """The rows of <name>.csv (a table of freeze-depth transfer) that are this study's; of its replicates as
    `Tables.finished`.

    Raises NothingToShow where it has no such row.
    """
    frame = tables.table(name)
    frame = frame[frame["study"] == tables.study].reset_index(drop=True)
    frame = tables.finished(frame) if "seed" in frame else frame
    if frame.empty:
        raise NothingToShow(f"{name}.csv has no transfer of study {tables.study}.")
    return frame


def cells(tables: Tables) -> pd.DataFrame:
    """The rows of cells.csv that are transfers of this study, one a cell and name that it has there, with `settings`,
    the resolved cell."""
    frame = tables.rows[tables.rows["role"].isin(TRANSFERRED)]
    if frame.empty:
        raise NothingToShow(f"study {tables.study} has no transfer.")
    return frame.assign(settings=frame["cell"].map(lambda text: Settings.parse(json.loads(text))))


def settings(tables: Tables, network: str) -> Settings:
    """The resolved cell of the first of a network's transfers."""
    found = cells(tables)
    first: Settings = found.loc[found["network"] == network, "settings"].iloc[0]
    return first


def shown(tables: Tables, name: str) -> pd.DataFrame:
    """As `read`, of the curves that figures over n show: those of the main setting and number of outputs.

    That setting is the one of the transfers that the document has (role transfer); effects.csv has the others.
    """
    frame = read(tables, name)
    plain = plain_settings(tables)
    kept = [
        row.mode == BASE or row.setting == plain.get((row.network, row.init, row.optimizer), "") for row in rows(frame)
    ]
    wide = set(twins(tables).values())
    return frame[pd.Series(kept, index=frame.index) & ~frame["network"].isin(wide)].reset_index(drop=True)


def plain_settings(tables: Tables) -> dict[Any, str]:
    """family -> the setting that most of its transfers of role transfer have."""
    found = read(tables, "curves")
    found = found[found["role"] == "transfer"].drop_duplicates([*CURVE, "depth"])
    return {key: own["setting"].mode().iloc[0] for key, own in found.groupby(FAMILY, sort=False)}


def effects(tables: Tables, outputs: bool = False) -> pd.DataFrame:
    """effects.csv: of the number of outputs, or of every other factor.

    Raises NothingToShow, which says what was not trained, where there is none.
    """
    with suppress(NothingToShow):
        found = read(tables, "effects")
        found = found[(found["factor"] == "outputs") == outputs].astype({"depth": int})
        if len(found):
            return found.reset_index(drop=True)
    if outputs:
        raise NothingToShow("no two networks with transfers differ in their number of outputs alone.")
    raise NothingToShow("no transfer was trained in another setting than the document's.")


def of(frame: pd.DataFrame, key: Sequence[str], columns: Sequence[str] = CURVE) -> pd.DataFrame:
    """The rows of a frame with these values of some columns, by default those of a curve."""
    chosen = pd.Series(True, index=frame.index)
    for column, value in zip(columns, key, strict=True):
        chosen &= frame[column] == value
    return frame[chosen]


def curve(row: Any) -> list[str]:
    """The values of CURVE of a named tuple."""
    return [getattr(row, column) for column in CURVE]


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a frame as named tuples."""
    yield from frame.itertuples()


def families(frame: pd.DataFrame) -> list[Family]:
    """The families of a frame of curves, in its order."""
    groups: list[Any] = list(frame.groupby(FAMILY, sort=False))
    columns = [name for at, name in enumerate(FAMILY) if len({key[at] for key, _ in groups}) > 1]
    return [Family(key, own.reset_index(drop=True), joined(own.head(1), columns).iloc[0]) for key, own in groups]


def twins(tables: Tables) -> dict[str, str]:
    """network label -> the label of the same network with more outputs, where both have transfers."""
    own = cells(tables).drop_duplicates("network")
    heads = {
        network: (json.dumps(cell.json["network"], sort_keys=True), cell.classes or math.inf)
        for network, cell in zip(own["network"], own["settings"], strict=True)
    }
    return {
        network: other
        for network, (shape, outputs) in heads.items()
        for other, (same, more) in heads.items()
        if shape == same and outputs < more < math.inf
    }


def name(row: Any) -> str:
    """ "A → B", "A → B, tuned", "random → B": a curve (with base, target and mode) in words."""
    start = "random" if row.mode == "random" else row.base
    return f"{start} → {row.target}" + (", tuned" if row.mode == "tuned" else "")


def colour(row: Any) -> str:
    """The colour of a curve by where its layers come from: its own task, another, or nowhere."""
    return RANDOM if row.mode == "random" else OWN if row.base == row.target else OTHER


def look(mode: str, colour: str) -> dict[str, Any]:
    """How a curve of a mode is drawn: line and marker, hollow where it is tuned."""
    face = "white" if mode == "tuned" else colour
    marker = {"marker": MARKERS[mode], "markersize": 4.5, "markerfacecolor": face}
    return {"color": colour, "linestyle": LINES[mode], **marker}


def each(frame: pd.DataFrame) -> Iterator[tuple[Any, pd.DataFrame]]:
    """(its first row as a named tuple, its rows by depth) of every curve of a frame, cross before own, frozen first."""
    order = frame.assign(late=frame["mode"].map(MODES.index), alone=frame["base"] == frame["target"])
    order = order.sort_values(["late", "alone"], kind="stable")
    for _, own in order.groupby(CURVE, sort=False):
        own = own.drop(columns=["late", "alone"]).sort_values("depth", kind="stable")
        yield next(rows(own)), own.astype({"depth": int}).reset_index(drop=True)


def targets(frame: pd.DataFrame) -> list[str]:
    """Targets that both another task's layers and their own are taken to, in the frame's order; all where none is."""
    copied = frame[frame["mode"] != BASE]
    learnt = copied[copied["mode"] != "random"]
    alone = learnt["base"] == learnt["target"]
    both = set(learnt.loc[alone, "target"]) & set(learnt.loc[~alone, "target"])
    every = list(dict.fromkeys(copied["target"]))
    return [target for target in every if target in both] or every


def main(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the `targets` alone, bases with them."""
    return frame[frame["target"].isin(targets(frame))].reset_index(drop=True)


def layers(tables: Tables, network: str) -> list[tuple[str, str]]:
    """The weight layers of a network from the input, as short names and sizes: ("conv1", "64") to ("fc3", "10")."""
    counts: Counter[str] = Counter()
    found = []
    for layer in networks.layer_table(*settings(tables, network).network_arguments).weight_layers:
        kind = "conv" if layer.kind == "Conv2d" else "fc"
        counts[kind] += 1
        found.append((f"{kind}{counts[kind]}", str(layer.out_shape[0])))
    return found


def parameter_count(network: Mapping[str, Any], images: Mapping[str, int]) -> int:
    """The parameters of a network with so many `outputs`, for images of so many `channels` and of a `size`."""
    return networks.layer_table(network, images["channels"], images["size"], images["outputs"]).parameter_count


def classes(tables: Tables, dataset: str) -> dict[str, int]:
    """{class: its training images} of a data set's label, as far as it has some: a group of classes that keeps its
    original labels names the others too."""
    ids = tables.where(dataset=dataset)["dataset_id"]
    card = tables.cards.get(ids.iloc[0]) if len(ids) else None
    counts = dict(zip(card["classes"], card["counts"]["train"], strict=True)) if card else {}
    return {name: count for name, count in counts.items() if count}


def overlaps(tables: Tables) -> str:
    """Whether some class of a base is used in another task's target, as a sentence; empty where no card says so."""
    copied = read(tables, "curves").query("mode != 'random' and base != target")
    pairs = dict.fromkeys(copied[["base", "target"]].itertuples(index=False, name=None))
    known = {pair: [classes(tables, name) for name in pair] for pair in pairs}
    shared = {pair: sorted(set(one) & set(other)) for pair, (one, other) in known.items() if one and other}
    named = [f"{base} and {target} share {enumerated(both)}" for (base, target), both in shared.items() if both]
    if named:
        return f"{'; '.join(named)}."
    return "No class of a base is used in another task's target." if shared else ""


def status(tables: Tables, only: Collection[str] | None = None) -> dict[str, int]:
    """As the sum of Tables.status(), of the transfers (of these cell_ids, where `only` is given): a cell under two
    names counts once."""
    own = cells(tables).drop_duplicates("cell_id")
    own = own if only is None else own[own["cell_id"].isin(only)]
    runs = tables.table("runs")
    runs = runs[runs["cell_id"].isin(own["cell_id"])]
    ended = {str(kind): int((runs["status"] == kind).sum()) for kind in ENDED}
    asked, unlearnt = int(own["replicates"].sum()), int((~runs["learnt"].fillna(True)).sum())
    return ended | {"asked": asked, "missing": max(0, asked - sum(ended.values())), "unlearnt": unlearnt}


def shortfall(tables: Tables, only: Collection[str] | None = None) -> str:
    """Sentences on replicates of transfers that did not finish, or never learnt; empty where all did."""
    return fallen_short(status(tables, only), " of these transfers")


def exhibit(name: str, title: str, caption: str, alt: str, data: pd.DataFrame, fig: Figure, tab: str) -> Exhibit:
    """An Exhibit whose file and tab say which of several it is."""
    return Exhibit(slug(name, tab), title, caption, alt, data, fig, tab=tab)


def some(made: list[Exhibit], lacking: str) -> list[Exhibit]:
    """The exhibits; NothingToShow with what is lacking where there is none."""
    if not made:
        raise NothingToShow(lacking)
    return made


def reported(tables: Tables) -> str:
    """Which document these transfers are compared with: "the report on feature transferability by .."."""
    return f"the {tables.document.get('source', 'document')}"


def bracketed(value: float, low: float, high: float) -> str:
    """ "12 [10, 14]", "12 […, 14]" with an open end, "12" of fewer replicates than an interval needs."""
    ends = [f"{end:g}" if math.isfinite(end) else "…" for end in (low, high)]
    return (f"{value:g} [{', '.join(ends)}]" if set(ends) != {"…"} else f"{value:g}").replace("-", "−")


def stretch(depths: Iterable[int]) -> str:
    """Whole numbers in short: "1–6, 9"."""
    found: list[list[int]] = []
    for depth in sorted(depths):
        if found and depth == found[-1][-1] + 1:
            found[-1].append(depth)
        else:
            found.append([depth])
    return ", ".join(f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in found)
