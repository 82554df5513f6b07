"""The plan of a config: every cell of every study that it asks for, its blocks, and its measure group."""

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from weight_atlas import cell_table
from weight_atlas.folders import Folders
from weight_atlas.pairs import FEW
from weight_atlas.plan import blocks, chapters, children, outside, shapes, spec, tuning
from weight_atlas.plan.blocks import Block
from weight_atlas.plan.cell import Cell, Data, Entry
from weight_atlas.plan.checks import ConfigError, Overlay, check, check_extent
from weight_atlas.plan.fits import check_take
from weight_atlas.plan.identity import digest, slug
from weight_atlas.plan.labels import Labels, check_axis, check_count, check_names, check_rule, matches
from weight_atlas.plan.measures import MEASURES, MeasureName
from weight_atlas.plan.resolve import Combination, Resolver
from weight_atlas.shapes import Axis, Experiment
from weight_atlas.vocabulary import AXES, NO_DATA


class Plan:
    """What a config asks for: `entries` (study by study), `cells` by id, and the blocks that train them."""

    def __init__(
        self,
        config: dict[str, Any],
        root: Path = Path(),
        look: bool = True,
        absent: bool = False,
        fetch: bool = False,
    ):
        """Check `config` (a plain dictionary) and expand it; ConfigError with one line where something is wrong.

        look: whether to see if prepared data sets are still as their sources are, as whoever plans work must; else
        what was seen last counts, as for the jobs of that work. absent: whether data sets that are not at hand may be
        planned, as far as that goes: nothing can be trained on them. fetch: whether they are downloaded first, where
        the config says from where.
        """
        check_extent(config)
        self.config: spec.Config = check(spec.Config, config, "")
        check_config(self.config)
        outside.check(self.config)
        chapters.check_documents(self.config)
        chapters.check_references(self.config)
        chapters.check_claims(self.config)
        self.root, self.folders = root, Folders.of(self.config.name, self.config.pathvars)
        self._resolver = Resolver(self.config, root, look, absent, fetch)
        for label in self.config.networks:
            self._resolver.network(label)
        self._models: dict[str, str] = {}  # what those are called of which only the tensors are known
        self.entries: list[Entry] = []
        for name in self.config.asked:
            self.entries.extend(self._study(name, self.config.definitions[name]))
        if not self.entries:
            raise ConfigError("cells: 'document' leaves no cell of what `studies` asks for; allowed: all")
        tuning.check(self.config, self.entries)
        self.cells: dict[str, Cell] = {entry.cell_id: self._resolver.cells[entry.cell_id] for entry in self.entries}
        self._check_series()
        self.experiments: list[Experiment] = shapes.experiments(self.config, self.entries, self.cells)

    def path(self, name: str) -> Path:
        """Where the file or folder of a name is (`weight_atlas.folders`)."""
        return self.root / self.folders.place(name)

    # --------------------------------------------------------------------------------------- expansion

    def _study(self, name: str, study: spec.Study) -> Iterator[Entry]:
        replicates = study.replicates or self.config.replicates
        measures = [*self.config.measure, *study.measure]
        for label in study.given if self.config.asks_for(name, "") else []:
            yield _measured(self._given(name, label), measures)
        self._check_networks(name, study)
        if study.grid:
            entries = self._experiment(name, study, replicates, f"definitions.{name}", {}, [])
            yield from (_measured(entry, measures) for entry in entries)
        for label, part in study.experiments.items():
            if not self.config.asks_for(name, label):
                continue
            where = f"definitions.{name}.experiments.{label}"
            above = [Overlay(f"definitions.{name}.training", study.training)]
            entries = self._experiment(name, part, replicates, where, {"experiment": label}, above)
            yield from (_measured(entry, [*measures, *part.measure]) for entry in entries)

    def _check_networks(self, name: str, study: spec.Study) -> None:
        """Refuse measures that need a network, where a study has nothing but given checkpoints without one."""
        named = any(label in self.config.given and self.config.given[label].network for label in study.given)
        needing = [measure for measure in study.measure if MEASURES[measure].network]
        if needing and study.given and not (named or study.grid or study.experiments):
            raise ConfigError(
                f"definitions.{name}.measure: {needing[0]!r} needs a network, and none of its given checkpoints names "
                "one; name one, or leave the measure out"
            )

    def _given(self, study: str, name: str) -> Entry:
        """The entry of given checkpoints: one replicate per series, with the first and the last of its files named."""
        if name not in self.config.given:
            near = spec.near(name, self.config.given)
            raise ConfigError(f"definitions.{study}.given: {name!r} is not one of the given; {near}")
        given, cell = self.config.given[name], self._resolver.given(name)
        tensors = cell.settings.network.tensors
        model = given.network or self._models.setdefault(digest(tensors), f"tensors of {name}")
        labels = {"dataset": given.dataset or NO_DATA, "network": model, "init": "", "optimizer": ""}
        epochs = cell.settings.snapshots
        checkpoints = {"first": epochs[0]} | ({"last": epochs[-1]} if len(epochs) > 1 else {})
        return Entry(study, "grid", labels | {"given": name}, cell.cell_id, len(cell.files), checkpoints)

    def _experiment(
        self,
        study: str,
        part: spec.Design,
        replicates: int,
        where: str,
        extra_labels: dict[str, str],
        changes_above: list[Overlay],
    ) -> Iterator[Entry]:
        """The entries of one grid: what its cells start from, its cells, and what starts from them.

        extra_labels: what its cells have beside those of the grid; changes_above: training that the part's overrides.
        """
        grid: dict[str, Entry] = {}
        parents: list[children.Parent] = []
        combinations = _combinations(part, where)
        every = [labels | extra_labels for labels, _ in combinations]
        for labels, levels in combinations:
            beyond = any(matches(rule, labels) for rule in part.beyond)
            if beyond and self.config.cells == "document":
                continue
            adjust = [(number, rule) for number, rule in enumerate(part.adjust) if matches(rule.where, labels)]
            changes = [*changes_above, Overlay(f"{where}.training", part.training)]
            changes += [level.overlay("training") for level in levels]
            changes += [Overlay(f"{where}.adjust.{number}.training", rule.training) for number, rule in adjust]
            sets = [level.overlay("set") for level in levels]
            sets += [Overlay(f"{where}.adjust.{number}.set", rule.set) for number, rule in adjust]
            places = {axis: f"{where}.grid.{axis}" for axis in AXES} | children.label_places(levels)
            options = [level.overlay("options") for level in levels]
            network = self._resolver.variant(labels["network"], options, places["network"])
            cell = self._resolver.cell(Combination(labels | {"network": network}, changes, sets, where, places))
            if cell.cell_id not in grid:
                named = labels | extra_labels
                grid[cell.cell_id] = Entry(study, "grid", named, cell.cell_id, replicates, beyond=beyond)
                parents.append(children.Parent(cell, named, network, changes, sets))
        # One cell may have several labels: without a layer of a base, all transfers are the same.
        unique = {
            (child.cell_id, child.role, *child.labels.items()): child
            for kind in (children.perturbed, children.transferred)
            for child in kind(self._resolver, part, parents, every, where)
        }
        yield from self._sources(study, grid, [child.cell_id for child in unique.values()], replicates)
        yield from self._checkpoints(part, list(grid.values()), every, where)
        yield from tuning.entries(self._resolver, study, part, parents, replicates, where)
        yield from (Entry(study, child.role, child.labels, child.cell_id, replicates) for child in unique.values())

    def _checkpoints(
        self, study: spec.Design, entries: list[Entry], every: list[Labels], where: str
    ) -> Iterator[Entry]:
        """The entries with their checkpoints: those of the first rule that fits a cell. every: the labels of the grid,
        also of cells that are left out."""
        checkpoints: dict[str, dict[str, Any]] = {}
        for number, rule in enumerate(study.checkpoints):
            key = f"{where}.checkpoints.{number}"
            check_rule(rule.where, every, f"{key}.where")
            for entry in entries:
                if entry.cell_id not in checkpoints and matches(rule.where, entry.labels):
                    checkpoints[entry.cell_id] = self._epochs(rule, entry, entries, checkpoints, key)
        yield from (replace(entry, checkpoints=checkpoints.get(entry.cell_id, {})) for entry in entries)

    def _epochs(
        self, rule: spec.Checkpoints, entry: Entry, entries: list[Entry], earlier: dict[str, dict[str, Any]], where: str
    ) -> dict[str, Any]:
        """The checkpoints of one cell by one rule; ConfigError where an epoch is not kept, or nothing is to match."""
        if rule.epochs is not None:
            for name, epoch in rule.epochs.items():
                check_take(epoch, self._resolver.cells[entry.cell_id].settings, f"{where}.epochs.{name}")
            return dict(rule.epochs)
        assert rule.match is not None, "the spec asks for one of the two"
        to, key = rule.match.to, f"{where}.match.to"
        shared = {axis: label for axis, label in entry.labels.items() if axis not in to}
        check_rule(to, [other.labels for other in entries], key)
        same = (other for other in entries if matches(to, other.labels) and shared.items() <= other.labels.items())
        target = next((other.cell_id for other in same), "")
        epochs = earlier.get(target)
        if epochs is None or "match" in epochs:
            raise ConfigError(f"{key}: names no cell with epochs above; give its checkpoints first")
        return {"match": target, "by": rule.match.by, "epochs": epochs}

    def _sources(self, study: str, grid: dict[str, Entry], others: list[str], replicates: int) -> Iterator[Entry]:
        """The cells that the study's cells start from and that its grid does not hold, parents first.

        others: the ids of its cells beside the grid's."""
        listed: dict[str, Entry] = {}
        for cell_id in (*grid, *others):
            parent = self._resolver.cells[cell_id].parent
            while parent:
                if parent not in grid:
                    labels = self._resolver.source_labels[parent]
                    listed.setdefault(parent, Entry(study, "source", labels, parent, replicates))
                parent = self._resolver.cells[parent].parent
        yield from reversed(listed.values())

    # ------------------------------------------------------------------------------------------ derived

    @cached_property
    def replicates(self) -> dict[str, int]:
        """How many replicates each cell has: the most that any study asks for."""
        most: dict[str, int] = {}
        for entry in self.entries:
            most[entry.cell_id] = max(most.get(entry.cell_id, 0), entry.replicates)
        for cell_id in reversed(list(self.cells)):
            parent = self.cells[cell_id].parent
            if parent:
                most[parent] = max(most[parent], most[cell_id])
        return most

    def _check_series(self) -> None:
        """Refuse more replicates than there are series, where given checkpoints start each."""
        for cell_id, count in self.replicates.items():
            files = self.cells[cell_id].files
            if files and count > len(files):
                series = f"the given checkpoints in {files[0][0].parent}, which are {len(files)} series"
                raise ConfigError(
                    f"replicates: {count} of a cell start from {series}; lower replicates, or give more series"
                )

    @cached_property
    def blocks(self) -> dict[str, list[blocks.Block]]:
        """The blocks of each cell: finished ones first, new ones for the rest."""
        finished = blocks.on_disk(self.path("results/cells"))
        per_job = self.config.replicates_per_job
        return {
            cell_id: blocks.cover(self.replicates[cell_id], per_job, finished.get(cell_id, []))
            for cell_id in self.cells
        }

    def parent_blocks(self, cell_id: str, block: Block) -> list[str]:
        """The names of the parent's blocks that hold the replicates of a block."""
        parent = self.cells[cell_id].parent
        if parent is None:
            return []
        first, last = block
        return [block_path(parent, other) for other in self.blocks[parent] if other[0] <= last and other[1] >= first]

    @cached_property
    def checkpoints(self) -> dict[str, list[dict[str, Any]]]:
        """The checkpoints of each cell that has some, as each study that gives some names them."""
        by_cell: dict[str, list[dict[str, Any]]] = {}
        for entry in self.entries:
            if entry.checkpoints:
                by_cell.setdefault(entry.cell_id, []).append(entry.checkpoints)
        return by_cell

    @cached_property
    def measures(self) -> dict[str, list[MeasureName]]:
        """The measures that some study asks for by name, of each cell that has some."""
        by_cell: dict[str, list[MeasureName]] = {}
        for entry in self.entries:
            own = by_cell.setdefault(entry.cell_id, [])
            own += [name for name in entry.measures if name not in own]
        return by_cell

    @cached_property
    def kept(self) -> dict[str, str | list[int]]:
        """Which snapshots of each cell stay: "all" of those that are written, or the numbered epochs that stay beside
        the start, the last one and the best one. It is the most that any study asks for, or a child takes."""
        every: set[str] = set()
        epochs: dict[str, set[int]] = {cell_id: set() for cell_id in self.cells}
        for entry in self.entries:
            keep, checkpoints = self.config.definitions[entry.study].keep, entry.checkpoints
            if keep == "all" or keep == "checkpoints" and "match" in checkpoints:  # which chooses among all
                every.add(entry.cell_id)
            elif keep == "checkpoints":
                epochs[entry.cell_id].update(checkpoints.values())
        for cell in self.cells.values():
            take = cell.settings.start.take
            if cell.parent and isinstance(take, int):
                epochs[cell.parent].add(take)
        return {cell_id: "all" if cell_id in every else sorted(epochs[cell_id] - {0}) for cell_id in self.cells}

    @cached_property
    def groups(self) -> dict[str, list[str]]:
        """The measure groups: the cells that share data set, architecture and input, by the group's name.

        Cells that only serve others as a start are not measured.
        """
        groups: dict[str, list[str]] = {}
        for cell_id in dict.fromkeys(entry.cell_id for entry in self.entries if entry.role != "source"):
            groups.setdefault(self.group(cell_id), []).append(cell_id)
        return groups

    def group(self, cell_id: str) -> str:
        """The name of the cell's measure group."""
        cell = self.cells[cell_id]
        dataset = cell.settings.dataset_id
        shape = cell.settings.input  # however they are normalised
        shared = [dataset, cell.architecture, {"channels": shape.channels, "size": shape.size}]
        if tensors := cell.settings.network.tensors:
            return f"tensors-{digest(tensors, 8)}"
        return f"{slug(dataset.rsplit('-', 1)[0] or NO_DATA, cell.architecture)}-{digest(shared, 8)}"

    @cached_property
    def _axes(self) -> dict[tuple[str, str], list[Axis]]:
        """The axes, of each experiment by its study and name, whose pairs of levels are not all compared."""
        return {
            (experiment.study, experiment.name): [axis for axis in experiment.axes if len(axis.levels) > FEW]
            for experiment in self.experiments
        }

    def against(self, entry: Entry) -> dict[str, list[str]]:
        """{axis: the levels that a cell of a grid is compared with}, on the axes with many levels: the reference, the
        level before, and that of which a change is one."""
        against: dict[str, list[str]] = {}
        own = self._axes.get((entry.study, entry.labels.get("experiment", "")), []) if entry.role == "grid" else []
        for axis in own:
            level = entry.labels[axis.name]
            before = axis.levels[max(0, axis.levels.index(level) - 1)]
            others = (axis.reference, before, axis.after.get(level, level))
            against[axis.name] = [other for other in dict.fromkeys(others) if other != level]
        return against

    @cached_property
    def asked(self) -> list[str]:
        """The names of the studies that it has a grid's cell of, in order: `cells: document` may leave a study none."""
        there = {entry.study for entry in self.entries if entry.role == "grid"}
        return [name for name in self.config.asked if name in there]

    @cached_property
    def datasets(self) -> dict[str, Data]:
        """The data sets in use, by id."""
        return {cell.data.dataset_id: cell.data for cell in self.cells.values() if cell.data}

    @property
    def absent(self) -> list[Data]:
        """The data sets in use that are not at hand."""
        return [data for data in self.datasets.values() if data.absent]

    @cached_property
    def weights(self) -> dict[str, dict[str, Any]]:
        """What the weights files to prepare are made from, by id."""
        return {cell.weights.weights_id: cell.weights.spec for cell in self.cells.values() if cell.weights}

    @property
    def resolved(self) -> dict[str, Any]:
        """`config.json`: the config with its defaults filled in, the studies that it asks for, what their experiments
        ask, and the titles of the data sets."""
        config = self.config.model_dump(mode="json", exclude={"pathvars"})
        config |= {} if self.folders.are_usual else {"folders": self.folders.relative}
        config["asked"] = self.asked
        config["experiments"] = [experiment.json for experiment in self.experiments]
        titles = {label: dataset.title or label for label, dataset in self.config.datasets.items()}
        config["titles"] = {data.dataset_id: titles[data.label] for data in self.datasets.values()}
        return config

    def rows(self) -> list[dict[str, Any]]:
        """`cells.csv`: one row per study and cell."""
        rows = []
        for entry in self.entries:
            cell = self.cells[entry.cell_id]
            rows.append(
                {"cell_id": entry.cell_id, "study": entry.study, "kind": cell.kind, "role": entry.role}
                | entry.labels
                | {
                    "replicates": entry.replicates,
                    "blocks": ";".join(block_path(entry.cell_id, block) for block in self.blocks[entry.cell_id]),
                    "parent": cell.parent or "",
                    "checkpoints": json.dumps(entry.checkpoints) if entry.checkpoints else "",
                    "against": json.dumps(against) if (against := self.against(entry)) else "",
                    "measure": ";".join(entry.measures),
                    "group": self.group(entry.cell_id),
                    "dataset_id": cell.settings.dataset_id,
                    "card": f"data/{cell.data.dataset_id}.json" if cell.data else "",
                    "data": f"data/{cell.data.dataset_id}.safetensors" if cell.data else "",
                    "parameters": cell.table.parameter_count,
                    "cell": json.dumps(cell.settings.json, sort_keys=True),
                }
            )
        return rows

    @cached_property
    def listed(self) -> dict[str, cell_table.Cell]:
        """The cells as whoever reads `cells.csv` has them."""
        rows = self.rows()
        columns = dict.fromkeys(name for row in rows for name in row)
        texts = ({name: str(row.get(name, "")) for name in columns} for row in rows)
        return cell_table.parse(texts, "cells.csv")


def _measured(entry: Entry, names: list[MeasureName]) -> Entry:
    """An entry with the measures of these names, each once; cells that only serve others as a start have none."""
    return entry if entry.role == "source" else replace(entry, measures=tuple(dict.fromkeys(names)))


def block_path(cell_id: str, block: blocks.Block) -> str:
    """What a block's folder is called (`weight_atlas.folders`)."""
    return f"results/cells/{cell_id}/{blocks.name(block)}"


def _combinations(part: spec.Design, where: str) -> list[tuple[Labels, tuple[children.Level, ...]]]:
    """The labels of each combination that a grid keeps, and its levels on the further axes."""
    grid = [getattr(part.grid, axis) for axis in AXES]
    check_count(math.prod(map(len, (*grid, *part.vary.values()))), f"{where}.grid", "combinations")
    every: list[tuple[Labels, tuple[children.Level, ...]]] = []
    for levels, *combination in itertools.product(children.combined(part.vary, where), *grid):
        labels = dict(zip(AXES, combination, strict=True))
        for level in levels:
            labels |= level.overrides.labels
        every.append((labels | {level.axis: level.label for level in levels}, levels))
    _check_rules(part.exclude, every, f"{where}.exclude")
    _check_rules(part.beyond, every, f"{where}.beyond")
    kept = [(labels, levels) for labels, levels in every if not any(matches(rule, labels) for rule in part.exclude)]
    if not kept:
        raise ConfigError(f"{where}.exclude: leaves no cell of the grid; allowed: at least one")
    for number, rule in enumerate(part.adjust):
        check_rule(rule.where, [labels for labels, _ in kept], f"{where}.adjust.{number}.where")
    return kept


def _check_rules(rules: list[spec.values.Where], every: list[tuple[Labels, Any]], place: str) -> None:
    for number, rule in enumerate(rules):
        check_rule(rule, [labels for labels, _ in every], f"{place}.{number}")


def check_config(config: spec.Config) -> None:
    """Refuse names that cannot be told apart, axes that are called as others are, and starts for what is not there."""
    for section in ("datasets", "networks", "inits", "optimizers", "sources", "perturbations", "given", "definitions"):
        check_names(getattr(config, section), section)
    for name, study in config.definitions.items():
        check_names(study.experiments, f"definitions.{name}.experiments")
        parts = {f"definitions.{name}.experiments.{label}": part for label, part in study.experiments.items()}
        for where, part in {f"definitions.{name}": study, **parts}.items():
            check_names(part.transfer, f"{where}.transfer")
            transfers = {f"{where}.transfer.{label}.vary": one.vary for label, one in part.transfer.items()}
            for place, vary in {f"{where}.vary": part.vary, **transfers}.items():
                check_names(vary, place)
                for axis, levels in vary.items():
                    check_axis(axis, place)
                    check_names(levels, f"{place}.{axis}")
