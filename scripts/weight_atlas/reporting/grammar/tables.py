"""The result tables of one study, with the user's labels joined."""

import copy
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from weight_atlas import folders, right_answers, schema, stats
from weight_atlas.faults import Fault, NothingToShow
from weight_atlas.plan.spec import Reference
from weight_atlas.reporting.grammar.source import note
from weight_atlas.settings import Settings
from weight_atlas.shapes import Experiment
from weight_atlas.store import tensor_header
from weight_atlas.vocabulary import AXES, ENDED, RELATIVES, RETRAINED, Protocol, Role, Status

AnyPath = str | Path
Array = npt.NDArray[np.float32]
Json = dict[str, Any]

Kept = Literal["counted", "learnt", "done"]  # which finished replicates Tables.done and its like give
# Cells that are no part of a study's grid: those that others start from; those that were perturbed, and controls.
ROLES: dict[str, tuple[str, ...]] = {Role.SOURCE: (Role.SOURCE,), Role.PERTURBED: RETRAINED}
# The columns of cells.csv that follow from the settings of a cell, and not from what a study calls it.
OF_SETTINGS = ["blocks", "parent", "group", "dataset_id", "card", "data", "parameters", "cell"]
# The names of published data sets, by what the id of one begins with.
PUBLISHED = {"cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "mnist": "MNIST", "fashionmnist": "Fashion-MNIST",
             "cinic": "CINIC-10", "256_objectcategories": "Caltech-256"}  # fmt: skip


class Tables:
    """The tables of a study's cells. Files are read when they are asked for, once.

    cells: one row a cell, in the config's order, as the schema declares cells.csv, with the added columns
      label: the settings in which this study's cells differ, data set and network apart ("kaiming · sgd");
      tint, panel: the same settings split in two, for colour and for small multiples or line style.
    axes: the columns that `label` is made of. left_out: sentences on exhibits that had nothing to show;
    faults: parts of the chapter that raised.
    sources: the Tables of the study's source cells, None where it has none; children: that of the cells that perturb
      others and train them again, with their controls (each cell under its first name), None where it has none.
    experiments: what the plan knows of each experiment of the study; empty unless a command fills it.
    rows: the study's rows of cells.csv as they stand there, of every role. settings: cell_id -> the resolved cell, a
      dict. document: what the study's document reports, a dict, cards: dataset_id -> card, and references: file ->
      published curves; all are empty unless a command fills them.
    """

    def __init__(self, study: str, cells: AnyPath, tables: AnyPath, measures: AnyPath, role: str = Role.GRID) -> None:
        """study: its name; cells: path of cells.csv; tables, measures: directories; role: "grid", or the name of a role
        in ROLES for cells that are told apart from the grid."""
        every = schema.read(cells, "cells")
        self.study = study
        self._rows = own = every[every["study"] == study]
        self.cells = own[own["role"].isin(ROLES.get(role, (role,)))].reset_index(drop=True)
        self.folder, self.measures = Path(tables), Path(measures)
        self._places = folders.read(Path(cells).parent)
        self._files: dict[str, pd.DataFrame] = {}
        self._chose: dict[str, set[tuple[str, int]]] = {}  # experiment -> replicates that chose its learning rates
        self._apart: set[tuple[str, int]] = set()  # those of them that do not count here
        if role == Role.GRID and own["role"].eq(Role.TUNING).any():
            self._tune()
        if self.cells.empty:
            known = ", ".join(sorted(set(every["study"])))
            raise ValueError(f"{cells}: no cell of study {study!r} in the role {role!r}; its studies are: {known}")
        if role == Role.PERTURBED:
            self.cells = self.cells.drop_duplicates("cell_id").reset_index(drop=True)
        self.sources: Tables | None = None
        self.children: Tables | None = None
        if role == Role.GRID:
            there = {name for name, roles in ROLES.items() if own["role"].isin(roles).any()}
            self.sources = Tables(study, cells, tables, measures, Role.SOURCE) if Role.SOURCE in there else None
            self.children = Tables(study, cells, tables, measures, Role.PERTURBED) if Role.PERTURBED in there else None
        self.kept_runs: Kept = "counted"
        self.left_out: list[str] = []
        self.faults: list[Fault] = []
        self._document: Json = {}
        self._cards: dict[str, Json] = {}
        self._references: dict[str, Reference] = {}
        settings = zip(self.cells["cell_id"], self.cells["cell"], strict=True)
        self.settings = {cell_id: Settings.parse(json.loads(text)) for cell_id, text in settings}
        self.experiments: list[Experiment] = []
        self._read: dict[str, pd.DataFrame] = {}
        self.axes = self._differing()
        if self.cells.duplicated(["dataset", "network", *self.axes]).any() and self.cells["kind"].nunique() > 1:
            self.axes.append("kind")
        self._name()

    def _tune(self) -> None:
        """Put the cell at its best learning rate in the place of each tuned cell of the grid, under the same labels."""
        found = self.table("tuning")
        found = found[found["study"] == self.study]
        best = dict(found.loc[found["best"], ["tuned", "cell_id"]].itertuples(index=False, name=None))
        rows = self.rows.drop_duplicates("cell_id").set_index("cell_id")[OF_SETTINGS]
        ids = self.cells["cell_id"].map(lambda cell_id: best.get(cell_id, cell_id))
        settings = rows.loc[ids].reset_index(drop=True)
        self.cells = self.cells.assign(cell_id=ids, **{name: settings[name] for name in OF_SETTINGS})
        for experiment, own in found[found["chooses"]].groupby("experiment"):
            self._chose[str(experiment)] = set(own[["cell_id", "seed"]].itertuples(index=False, name=None))

    def compared(self, experiment: str) -> "Tables":
        """The same Tables without the replicates that chose learning rates of an experiment: the others owe nothing to
        that choice."""
        chosen = self._chose.get(experiment)
        if not chosen or self._apart == chosen:
            return self
        made, chose = copy.copy(self), Counter(cell_id for cell_id, _ in chosen)
        made._apart, made._read = chosen, {}
        made.cells = self.cells.assign(replicates=self.cells["replicates"] - self.cells["cell_id"].map(chose).fillna(0))
        made.cells = made.cells.astype({"replicates": int})
        return made

    def _without(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows but those of the replicates that do not count here."""
        if not self._apart or not {"cell_id", "seed"} <= set(frame.columns):
            return frame
        keys = frame[["cell_id", "seed"]].itertuples(index=False, name=None)
        return frame[[key not in self._apart for key in keys]]

    @property
    def cells(self) -> pd.DataFrame:
        note("cells.csv")
        return self._cells

    @cells.setter
    def cells(self, frame: pd.DataFrame) -> None:
        self._cells = frame

    @property
    def rows(self) -> pd.DataFrame:
        note("cells.csv")
        return self._rows

    @property
    def document(self) -> Json:
        if self._document:
            note("document.yaml")
        return self._document

    @document.setter
    def document(self, reported: Json) -> None:
        self._document = reported

    @property
    def references(self) -> dict[str, Reference]:
        for file in self._references:
            note(file)
        return self._references

    @references.setter
    def references(self, published: dict[str, Reference]) -> None:
        self._references = published

    @property
    def cards(self) -> dict[str, Json]:
        for dataset_id in self._cards:
            note(f"{dataset_id}.json")
        return self._cards

    @cards.setter
    def cards(self, cards: dict[str, Json]) -> None:
        self._cards = cards
        for others in (self.sources, self.children):
            if others is not None:
                others.cards = cards

    def place(self, name: str) -> Path:
        """Where a file of cells.csv is (`weight_atlas.folders`)."""
        return Path(self._places.place(name) if self._places else name)

    def experiment(self, name: str) -> Experiment:
        """One of the study's experiments; NothingToShow where it has none of that name."""
        for experiment in self.experiments:
            if experiment.name == name:
                return experiment
        raise NothingToShow(
            f"the config asks for no experiment {name}." if name else "the study is several experiments."
        )

    @property
    def sees_images(self) -> bool:
        """Whether some cell has a data set: given checkpoints need none."""
        return any(self.cells["dataset_id"])

    @property
    def noun(self) -> str:
        """What a row of its tables by layer is: "tensor" where only the tensors of every model are known."""
        return "tensor" if all(one.network.tensors for one in self.settings.values()) else "layer"

    def are_tensors(self, cell_ids: Iterable[str]) -> bool:
        """Whether of some cells only the tensors are known, so that what is called a layer is one."""
        return all(self.settings[cell].network.tensors for cell in cell_ids)

    @property
    def has_courses(self) -> bool:
        """Whether some cell has more than one snapshot."""
        return any(len(self.settings[cell].snapshots) != 1 for cell in self.cells["cell_id"])

    def _differing(self) -> list[str]:
        """The axes in which the cells differ, data set and network apart."""
        further = [axis for axis in schema.axes(map(str, self.rows.columns)) if axis not in AXES]
        return [axis for axis in ("init", "optimizer", *further) if self.cells[axis].nunique() > 1]

    def _name(self) -> None:
        """Fill label, tint and panel."""
        levels = {axis: self.cells[axis].nunique() for axis in self.axes}
        few = [axis for axis in reversed(self.axes) if levels[axis] <= 4]
        panel = min(few, key=levels.__getitem__) if len(self.axes) > 1 and few else None
        tint = [axis for axis in self.axes if axis != panel]
        self.panel_axis = panel
        self.cells["label"] = joined(self.cells, self.axes)
        self.cells["tint"] = joined(self.cells, tint)
        self.cells["panel"] = self.cells[panel] if panel else ""
        if not self.axes:
            self.cells["label"] = self.cells["network"]

    def table(self, name: str) -> pd.DataFrame:
        """The table <name>.csv with the rows of all studies, as the schema declares it; ValueError where there is no
        such file. It is read once, and not to be written to."""
        note(f"{name}.csv")
        if name not in self._files:
            self._files[name] = schema.read(self.folder / f"{name}.csv", name)
        return self._files[name]

    def read(self, name: str) -> pd.DataFrame:
        """The table <name>.csv: the rows of this study's cells, with dataset, network, label, tint and panel joined.

        Raises NothingToShow where it has no such row.
        """
        frame, cells = self.table(name), self.cells  # asked for at each reading, so that each is noted
        if name not in self._read:
            cells = cells[["cell_id", *AXES, "label", "tint", "panel"]]
            frame = self._without(frame)
            frame = frame[frame["cell_id"].isin(cells["cell_id"])]
            self._read[name] = frame.merge(cells, on="cell_id", how="left")
        if self._read[name].empty:
            raise NothingToShow(f"{name}.csv has no row of study {self.study}.")
        return self._read[name]

    def done(self, name: str) -> pd.DataFrame:
        """As `read`, the replicates that means count: diverged and failed ones are told apart, never averaged in."""
        frame = self.finished(self.read(name))
        if frame.empty:
            raise NothingToShow(f"no replicate of study {self.study} that is in {name}.csv has finished.")
        return frame

    def finished(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows (with cell_id and seed) whose replicate means count; or as `keeping` has it."""
        runs = self.table("runs")
        kept = (runs["status"] == Status.DONE) if self.kept_runs == "done" else runs["counted"]
        if self.kept_runs == "learnt":
            kept &= runs["learnt"].ne(False).fillna(True)
        found: pd.DataFrame = frame.merge(runs.loc[kept, ["cell_id", "seed"]], on=["cell_id", "seed"])
        return found

    def keeping(self, kept: Kept) -> "Tables":
        """The same Tables with other finished replicates.

        kept: those that are "counted" by means (they learnt, or no replicate of their cell did), as at first; those
        that "learnt", what a verdict rests on; or all that are "done".
        """
        made = copy.copy(self)
        made.kept_runs = kept
        if self.children is not None:
            made.children = self.children.keeping(kept)
        return made

    def learnt(self) -> "Tables":
        """The same Tables without replicates that never learnt."""
        return self.keeping("learnt")

    def right(self, cells: Collection[str]) -> dict[tuple[str, int], npt.NDArray[np.bool_]]:
        """{(cell_id, seed): bool [images]}: which test images each replicate of some cells classifies right at its best
        validation epoch; none of a replicate without a record of it."""
        found = self._without(self.table("right"))
        found = found[(found["protocol"] == Protocol.BEST_VALID) & found["cell_id"].isin(cells)]
        return {(cell_id, seed): right for cell_id, seed, right in right_answers.of_rows(found)}

    def summary(self, measure: str) -> pd.DataFrame:
        """summary.csv: the rows of one measure that have a mean, with cell_id, LABELS, key, n, mean, low and high."""
        found = self.read("summary")
        found = found[(found["measure"] == measure) & (found["n"] > 0)]
        if found.empty:
            raise NothingToShow(f"summary.csv has no {measure} of a finished replicate of study {self.study}.")
        return found[["cell_id", *AXES, "key", "n", "mean", "low", "high"]].reset_index(drop=True)

    def pairs(self, name: str = "pairs") -> pd.DataFrame:
        """pairs.csv, or another table of two models: those of this study's finished models, with dataset and network.

        Levels are text. Pairs of a perturbed model are none of them: see `relatives`.
        """
        frame, runs = self.table(name), self.finished(self.read("runs"))
        done = set(runs[["cell_id", "seed"]].itertuples(index=False, name=None))
        frame = frame[~frame["factor"].isin(RELATIVES)]
        sides = [zip(frame[f"cell_{side}"], frame[f"seed_{side}"], strict=True) for side in "ab"]
        frame = frame[[a in done and b in done for a, b in zip(*sides, strict=True)]]
        if frame.empty:
            raise NothingToShow(f"{name}.csv has no pair of finished models of study {self.study}.")
        named = self.cells[["cell_id", "dataset", "network"]].rename(columns={"cell_id": "cell_a"})
        return frame.merge(named, on="cell_a")

    def relatives(self) -> pd.DataFrame:
        """pairs.csv: the pairs of finished perturbed models (cell_b, of `children`) with originals and controls."""
        if self.children is None:
            raise NothingToShow(f"study {self.study} perturbs no cell.")
        frame, runs = self.table("pairs"), self.children.finished(self.children.read("runs"))
        done = set(runs[["cell_id", "seed"]].itertuples(index=False, name=None))
        frame = frame[frame["factor"].isin(RELATIVES)]
        frame = frame[[model in done for model in zip(frame["cell_b"], frame["seed_b"], strict=True)]]
        if frame.empty:
            raise NothingToShow(f"pairs.csv has no finished perturbed model of study {self.study}.")
        return frame.reset_index(drop=True)

    def tests(self) -> pd.DataFrame:
        """tests.csv: the rows whose data sets, networks and levels are this study's; empty places are empty text. None
        is of cells whose learning rate is tuned, so that a study of such cells has none."""
        if self._chose:
            raise NothingToShow(f"cells of study {self.study} are tuned, and compared by experiment alone.")
        frame = self.table("tests")
        if frame.empty:
            raise NothingToShow("tests.csv has no test.")
        own = {name: {*self.values(name), ""} for name in ("dataset", "network")}
        kept = frame[[row.dataset in own["dataset"] and row.network in own["network"] for row in frame.itertuples()]]
        levels = {name: set(self.cells[name]) for name in self.cells.columns}
        named = kept[["factor", "level_a", "level_b"]].itertuples(index=False, name=None)
        kept = kept[[{one, other} <= levels.get(factor, set()) for factor, one, other in named]]
        if kept.empty:
            raise NothingToShow(f"tests.csv has no test of study {self.study}.")
        return kept.reset_index(drop=True)

    def status(self) -> pd.DataFrame:
        """Numbers of replicates, a row a cell, indexed by cell_id: asked, done, diverged, failed, missing; and those of
        the done that are unlearnt."""
        never = pd.Series(dtype=int)
        try:
            runs = self.read("runs")
            counts = pd.crosstab(runs["cell_id"], runs["status"])
            never = runs[runs["learnt"].eq(False).fillna(False)].groupby("cell_id").size()
        except NothingToShow:
            counts = pd.DataFrame()
        counts = counts.reindex(index=self.cells["cell_id"], columns=[*ENDED], fill_value=0)
        counts.insert(0, "asked", self.cells.set_index("cell_id")["replicates"])
        counts["missing"] = (counts["asked"] - counts[[*ENDED]].sum(axis=1)).clip(lower=0)
        counts["unlearnt"] = never.reindex(counts.index, fill_value=0)
        return counts.fillna(0).astype(int)

    def values(self, column: str) -> list[str]:
        """The distinct values of a column of `cells`, in the config's order."""
        return list(dict.fromkeys(self.cells[column]))

    def where(self, **settings: str) -> pd.DataFrame:
        """The cells with these settings, as a DataFrame."""
        chosen = self.cells
        for column, value in settings.items():
            chosen = chosen[chosen[column] == value]
        return chosen

    def seeing(self) -> "Tables":
        """The Tables of the cells that have a data set, labelled as here: given checkpoints need none."""
        made = copy.copy(self)
        made.cells, made._read = self.cells[self.cells["dataset_id"] != ""].reset_index(drop=True), {}
        return made

    def part(self, **settings: str) -> "Tables":
        """The Tables of the cells with these settings alone (those of one experiment, say), each cell once: of its
        labels those that differ there make its name. Raises NothingToShow where there is none."""
        if not set(settings) <= set(self.cells):
            raise NothingToShow(f"study {self.study} has no axis {', '.join(set(settings) - set(self.cells))}.")
        own = self.where(**settings)  # a cell of two experiments has other labels in each
        if own.empty:
            raise NothingToShow(f"study {self.study} has no cell of {' '.join(settings.values())}.")
        return self._of(own)

    def only(self, cell_ids: Iterable[str]) -> "Tables":
        """The Tables of some cells alone, each once: of its labels those that differ there make its name."""
        return self._of(self.cells[self.cells["cell_id"].isin(list(cell_ids))])

    def _of(self, own: pd.DataFrame) -> "Tables":
        """The Tables of some rows of `cells`."""
        made = copy.copy(self)
        made.cells = own.drop_duplicates("cell_id").reset_index(drop=True)
        made.axes, made._read = made._differing(), {}
        made._name()
        return made

    def architectures(self) -> dict[str, str]:
        """network label -> the architecture that it is a form of."""
        named = zip(self.cells["network"], self.cells["cell_id"], strict=True)
        return {network: self.settings[cell_id].network.architecture for network, cell_id in named}

    def matrices(self) -> dict[str, tuple[int, Path]]:
        """cell_id -> (seed, path) of the correlation matrices that the measure kept (one replicate a cell)."""
        found: dict[str, tuple[int, Path]] = {}
        own = set(self.cells["cell_id"])
        for path, key in self.kept("features"):
            cell, _, seed = key.rpartition("/seed")
            if cell in own:
                found.setdefault(cell, (int(seed), path))
        return found

    def kept(self, name: str) -> Iterator[tuple[Path, str]]:
        """(path, key) of every tensor in the <name>.safetensors of the study's measure groups."""
        note(f"{name}.safetensors")
        for group in self.values("group"):
            path = self.measures / group / f"{name}.safetensors"
            for key in sorted(tensor_header(path)[1]) if path.exists() else ():
                yield path, key

    def matrix(self, cell_id: str) -> Array:
        """The d x d correlation matrix of a cell, float32, NaN where undefined. Only this one is read from its file."""
        seed, path = self.matrices()[cell_id]
        return tensor(path, f"{cell_id}/seed{seed}")


def tensor(path: AnyPath, key: str) -> Array:
    """One tensor of a safetensors file as float32; nothing else of the file is read."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        return np.asarray(file.get_tensor(key), dtype=np.float32)


def joined(cells: pd.DataFrame, axes: Sequence[str]) -> "pd.Series[str]":
    """The columns `axes` of each row, as far as they are not empty, joined by middle dots."""
    if not axes:
        return pd.Series("", index=cells.index, dtype=str)
    rows = cells[list(axes)].itertuples(index=False, name=None)
    return pd.Series([" · ".join(filter(None, row)) for row in rows], index=cells.index, dtype=str)


def as_row(estimate: stats.Estimate | stats.MeanTest) -> dict[str, Any]:
    """n, mean, low and high of an Estimate or MeanTest of `weight_atlas.stats`, as a dict."""
    return {name: getattr(estimate, name) for name in ("n", "mean", "low", "high")}


def last(frame: pd.DataFrame, column: str = "epoch") -> pd.DataFrame:
    """The rows of the largest `column` of each replicate (cell_id, seed)."""
    return frame[frame[column] == frame.groupby(["cell_id", "seed"])[column].transform("max")]
