"""Exhibits on classes: which of them a setting, a perturbation or a freeze depth costs, and what is taken for what."""

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from weight_atlas import stats
from weight_atlas.faults import NothingToShow
from weight_atlas.reporting.exhibits.perturbed import families
from weight_atlas.reporting.exhibits.transfer import transfers
from weight_atlas.reporting.grammar import heatmaps, marks, style
from weight_atlas.reporting.grammar.answers import Answer, Verdict, is_clear, number, weighed
from weight_atlas.reporting.grammar.exhibit import Exhibit
from weight_atlas.reporting.grammar.marks import LEVEL
from weight_atlas.reporting.grammar.tables import Tables, as_row
from weight_atlas.reporting.grammar.words import DIFFERENCE, mean_text, plural, points, q_words, slug, whole

MARGIN = 0.01  # a point of a class's accuracy
MOST = 30  # classes of a figure
PANELS, ACROSS = 9, 3  # of the figure of confusions
ENDS = ["base", "dataset", "mode"]


class Group(NamedTuple):
    """Conditions beside one that they are compared with.

    where: network and data set, and what tells it from others; names: {cell id: the condition in words}; reference: the
    cell id of the one that others are compared with; classes: the names of the classes.
    """

    where: str
    names: dict[str, str]
    reference: str
    classes: list[str]

    @property
    def beside(self) -> str:
        """The words of the reference."""
        return self.names[self.reference]

    def named(self, label: int) -> str:
        """The name of a class."""
        return self.classes[label] if label < len(self.classes) else str(label)


def groups(tables: Tables) -> Iterator[Group]:
    """The cells that are compared: of the grid with the first of their network and data set, perturbed ones with their
    control in the same order, transfers with the one of the fewest copied layers."""
    for (network, dataset), own in tables.seeing().cells.groupby(["network", "dataset"], sort=False):
        named = dict(zip(own["cell_id"], own["label"], strict=True))
        yield Group(f"{network} on {dataset}", named, own["cell_id"].iloc[0], _classes(tables, own))
    with suppress(NothingToShow):
        found = families.family(tables)
        for _, own in found.groupby("branch", sort=False):
            same = own.loc[own["what"] == families.SAME, "cell_id"]
            if len(same):
                named = dict(zip(own["cell_id"], own["words"], strict=True))
                one = own.iloc[0]
                where = f"{one['network']} on {one['dataset']}, {one['name']}, perturbed"
                yield Group(where, named, same.iloc[0], _classes(tables, families.perturbed(tables).cells))
    with suppress(NothingToShow):
        found = transfers.cells(tables)
        for keys, own in found.groupby([*transfers.FAMILY, *ENDS], sort=False):
            own = own.assign(depth=own["depth"].astype(int)).sort_values("depth").drop_duplicates("cell_id")
            named = {cell: f"depth {depth}" for cell, depth in zip(own["cell_id"], own["depth"], strict=True)}
            network, _, _, base, target, mode = map(str, keys)
            yield Group(f"{network}, {base} to {target}, {mode}", named, own["cell_id"].iloc[0], _classes(tables, own))


def _classes(tables: Tables, cells: pd.DataFrame) -> list[str]:
    card = tables.cards.get(cells["dataset_id"].iloc[0], {})
    return [str(name) for name in card.get("classes", [])]


def counted(tables: Tables) -> pd.DataFrame:
    """confusion.csv, the replicates that means count: cell_id, seed, label, predicted, images."""
    found = tables.finished(tables.table("confusion"))
    names = {"true_class": "label", "predicted_class": "predicted", "pictures": "images"}
    return found.rename(columns=names)


def accuracies(counts: pd.DataFrame) -> pd.DataFrame:
    """The share of each class's images that a replicate classifies right: cell_id, seed, label, accuracy."""
    keys = ["cell_id", "seed", "label"]
    images = counts.groupby(keys, sort=False)["images"].sum()
    right = counts[counts["label"] == counts["predicted"]].set_index(keys)["images"]
    return (right / images).rename("accuracy").dropna().reset_index()


def differences(group: Group, found: pd.DataFrame) -> pd.DataFrame:
    """The accuracy of each class in each condition less that in the reference, seed by seed.

    Returns
    -------
    DataFrame : cell_id, condition, label, name, n, mean, low, high, p, and q: p by Holm's correction for all classes
        and conditions of the group.
    """
    groups: Any = found.groupby(["cell_id", "label"], sort=False)
    by = {key: own.set_index("seed")["accuracy"] for key, own in groups}
    rows = []
    for cell, condition in group.names.items():
        for label in sorted({label for one, label in by if one == cell}):
            if cell != group.reference and (group.reference, label) in by:
                tested = stats.blocked_difference(by[group.reference, label], by[cell, label])
                row = {"cell_id": cell, "condition": condition, "label": label, "name": group.named(label)}
                rows.append(row | as_row(tested) | {"p": tested.p})
    data = pd.DataFrame(rows, columns=["cell_id", "condition", "label", "name", "n", "mean", "low", "high", "p"])
    return data.assign(q=stats.holm(data["p"]))


def _compared(tables: Tables) -> list[tuple[Group, pd.DataFrame]]:
    found = accuracies(counted(tables))
    compared = [(group, differences(group, found)) for group in groups(tables)]
    if not any(len(data) for _, data in compared):
        raise NothingToShow("confusion.csv has no two conditions to compare.")
    return [(group, data) for group, data in compared if len(data)]


def classes(tables: Tables) -> list[Exhibit]:
    """Heatmaps of differences of accuracy, classes by conditions, a figure for each group."""
    made = []
    for group, data in _compared(tables):
        worst = data.assign(size=data["mean"].abs()).groupby("label")["size"].max().nlargest(MOST).index
        values = data[data["label"].isin(worst)].pivot(index="label", columns="cell_id", values="mean") * 100
        cells = [cell for cell in group.names if cell in values.columns]
        names = data.drop_duplicates("label").set_index("label")["name"]
        rows = [heatmaps.fitted(str(names[label]), 1.6) or [str(names[label])[:20]] for label in values.index]
        width = (style.WIDTH - 1.8) / len(cells)
        heads = [group.names[cell] for cell in cells]
        fig = style.figure(0.24 * len(rows) + heatmaps.head_height(heads, width) + 1.1)
        axes = fig.subplots()
        most = style.magnitudes(values)[-1]
        image = heatmaps.heatmap(axes, values[cells], Normalize(-most, most), [" ".join(row) for row in rows])
        heatmaps.heads(axes, heads, width)
        if len(cells) <= heatmaps.ANNOTATED:
            heatmaps.annotate(axes, image, lambda value: points(value / 100))
        _mark(axes, data, list(values.index), cells)
        heatmaps.bar(fig, [axes], f"points of accuracy against {group.beside}")
        marks.legend(fig, [axes], extra=heatmaps.undefined(fig))
        told = _told(group, data)
        few = f"Of {names.size} classes those {MOST} that change most." if names.size > MOST else ""
        caption = (
            f"{told.statement} Test accuracy of each class at the last epoch less that with {group.beside}, in "
            f"percentage points: means of the differences seed by seed over n = {whole(data['n'])} finished seeds; "
            f"intervals are in the CSV. A dot marks a difference that is clear (p < {LEVEL} after Holm's correction "
            f"for {plural(int(data['p'].notna().sum()), 'test')}). {few}"
        )
        alt = f"Heatmap of differences of accuracy by class and condition. {told.statement}"
        name = slug("classes", group.where)
        made.append(Exhibit(name, "Which classes lose?", caption, alt, data, fig, tab=group.where))
    return made


def _mark(axes: Axes, data: pd.DataFrame, labels: list[int], cells: list[str]) -> None:
    """A dot at the corner of each difference that is clear."""
    clear = data[(data["q"] < LEVEL) & data["label"].isin(labels)]
    if len(clear):
        across = [cells.index(cell) + 0.4 for cell in clear["cell_id"]]
        down = [labels.index(label) - 0.28 for label in clear["label"]]
        axes.plot(across, down, "o", markersize=4, color=style.INK, markeredgecolor="white", linestyle="",
                  label=f"p < {LEVEL} (Holm)")  # fmt: skip


def confusions(tables: Tables) -> list[Exhibit]:
    """What each class is taken for, mean shares over the replicates, a panel for each condition."""
    found, made = counted(tables), list[Exhibit]()
    for group in groups(tables):
        own = found[found["cell_id"].isin(group.names)]
        if own.empty:
            continue
        cells = [cell for cell in group.names if cell in set(own["cell_id"])][:PANELS]
        shares = {cell: _shares(own[own["cell_id"] == cell]) for cell in cells}
        long = [
            one.reset_index().melt("label", value_name="share").assign(cell_id=cell) for cell, one in shares.items()
        ]
        data = pd.concat(long, ignore_index=True)
        wrong = data[(data["label"] != data["predicted"]) & (data["share"] > 0)]
        down, across = math.ceil(len(cells) / ACROSS), min(ACROSS, max(2, len(cells)))
        fig = style.figure(2.9 * down + 0.9)
        grid = fig.subplots(down, across, squeeze=False)
        norm = style.positive_scale(wrong["share"] * 100 if len(wrong) else [1.0])
        for axes in grid.flat[len(cells) :]:
            axes.set_visible(False)
        for axes, cell in zip(grid.flat, cells, strict=False):
            _confusion(axes, shares[cell] * 100, norm, group)
            axes.set_title(
                "\n".join(heatmaps.fitted(group.names[cell], 6.5 / across) or [group.names[cell]]), fontsize=9
            )
        heatmaps.bar(fig, list(grid.flat)[: len(cells)], "% of the class's images (right ones hatched)")
        seen = _most(wrong, group)
        caption = (
            f"{seen} What the test images of each class (rows) are taken for (columns) at the last epoch, in percent "
            "of the class: means over the finished replicates. Right answers are left out, so that errors have the "
            "whole scale; the counts of each replicate are in confusion.csv."
        )
        name, alt = slug("confusion", group.where), f"Heatmaps of confused classes. {seen}"
        made.append(
            Exhibit(name, "What is taken for what?", caption, alt, data, fig, tab=group.where, behind="classes")
        )
    if not made:
        raise NothingToShow(f"confusion.csv has no finished replicate of study {tables.study}.")
    return made


def _shares(own: pd.DataFrame) -> pd.DataFrame:
    """The mean share of each class's images (rows) that is taken for each class (columns); classes without images are
    left out."""
    own = own[own.groupby("label")["images"].transform("sum") > 0]
    keys = ["seed", "label"]
    share = own["images"] / own.groupby(keys)["images"].transform("sum")
    seeds = own.groupby("label")["seed"].nunique()
    sums = own.assign(share=share).pivot_table(index="label", columns="predicted", values="share", aggfunc="sum")
    return sums.fillna(0.0).div(seeds, axis=0)


def _confusion(axes: Axes, shares: pd.DataFrame, norm: Any, group: Group) -> None:
    """One panel; what is right is left out."""
    values = shares.reindex(columns=shares.index, fill_value=0.0).to_numpy(copy=True)
    np.fill_diagonal(values, np.nan)
    names = [group.named(int(label)) for label in shares.index]
    longest = max(map(len, names))
    few = len(names) <= MOST and longest <= 10
    heatmaps.heatmap(axes, values, norm, names if few else [])
    axes.set_xticks(range(len(names)) if few else [], names if few else [], rotation=90 if longest > 2 else 0)


def _most(wrong: pd.DataFrame, group: Group) -> str:
    """A sentence on the most frequent confusion."""
    if wrong.empty:
        return "No test image is taken for another class."
    [row] = wrong.nlargest(1, "share").to_dict("records")
    return (
        f"Most often {group.named(row['label'])} is taken for {group.named(row['predicted'])}: "
        f"{style.percent(row['share'])} of its images ({group.names[row['cell_id']]})."
    )


# ------------------------------------------------------------------------------------------- answer


def answer(tables: Tables) -> list[Answer]:
    """Does a class lose by a condition, and which most? By group."""
    return [_told(group, data) for group, data in _compared(tables)]


def _told(group: Group, data: pd.DataFrame) -> Answer:
    rows: list[Any] = data.to_dict("records")
    verdict = weighed([row for row in rows if row["n"]], MARGIN, -1)
    clear = [row for row in rows if is_clear(row, -1)]
    worst = min(clear or rows, key=lambda row: row["mean"])
    text = f"{mean_text(worst, 100, 1, bounds=DIFFERENCE)} points with {worst['condition']} against {group.beside}"
    if clear:
        several = f"Clear losses: {len(clear)} of {len(rows)} differences by class and condition."
        sentence = f"Class {worst['name']} loses most, {text} ({q_words(worst['q'])} by Holm). {several}"
    elif verdict is Verdict.NO:
        sentence = f"No class loses a point; the largest change is {text} (class {worst['name']})."
    else:
        sentence = f"No class clearly loses; the largest loss is {text} (class {worst['name']})."
    sure = f"Holm's p < {LEVEL}, n = {whole(data['n'])}"
    return Answer(sentence, verdict, group.where, (number(f"class {worst['name']}, {group.where}", worst, text),), sure)
