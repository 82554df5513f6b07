"""What each rule asks of the plan: inputs, parameters and resources of its jobs, by their wildcards. No Snakemake."""

import functools
import json
import math
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from weight_atlas.folders import Folders
from weight_atlas.plan import chapters, code, cost, given, measuring, outdated, pages, sharded, stated
from weight_atlas.plan.cell import Cell
from weight_atlas.plan.identity import digest
from weight_atlas.plan.parts import seen_path
from weight_atlas.plan.recipe import own_files
from weight_atlas.plan.study import Plan, block_path

ATTEMPTS = 3  # to train; one more records a failure that nobody was left to record
RECORDING_MB, RECORDING_MINUTES = 500, 10  # what that one takes
PREPARING_MB = 4000  # what preparing a data set is given at least


class Wildcards(Protocol):
    """Snakemake's wildcards: a rule has those that its output names, as text."""

    cell: str
    first: str
    last: str
    dataset: str
    weights: str
    group: str
    study: str
    page: str


class Jobs:
    """The jobs of a plan, for the rules."""

    def __init__(
        self,
        plan: Plan,
        scripts: str,
        prefix: str = "",
        folders: Folders | None = None,
        source: Callable[[str], str] = str,
        stored: bool = False,
    ):
        """scripts: the folder of the commands, relative to the working directory. prefix: what Snakemake puts before
        the relative paths of all inputs and outputs, where the workflow is a module that is given one. folders: those
        that the rules say, where they are elsewhere than the plan's. source: marks a file of the workflow as such.
        stored: whether files are in a storage, to and from which only declared inputs and outputs are copied."""
        self.plan, self.prefix, self.scripts = plan, prefix, os.path.abspath(scripts) if prefix else scripts
        self.folders, self.source, self.stored = folders or plan.folders, source, stored
        self.names: dict[str, str] = {}  # of what was located
        self.urgency = cost.urgency(plan.cells, plan.config.device)

    def located(self, name: str) -> str:
        """The file or folder of a name (`weight_atlas.folders`), as a rule says it."""
        path = self.folders.place(name)
        self.names[path] = name
        return path

    def outside(self, path: str) -> str:
        """A path relative to the working directory as a rule says it: Snakemake puts the prefix before it again."""
        if not self.prefix:
            return path
        return path.removeprefix(self.prefix) if path.startswith(self.prefix) else os.path.abspath(path)

    # ------------------------------------------------------------------------------------------- code

    def script(self, name: str) -> str:
        """The command's own file, relative to the working directory."""
        return self.source(f"{self.scripts}/{name}")

    def imports(self, name: str, *modules: str) -> list[str]:
        """The files that the command and the named modules import, relative to the working directory."""
        return [self.script(file) for file in code.closure(name, *modules) if file != name]

    def given_imports(self, wildcards: Wildcards) -> list[str]:
        """The files that lay out given checkpoints, the network's among them."""
        return self.imports("given.py", own_files(self._cell(wildcards).settings)[0])

    def group_imports(self, wildcards: Wildcards) -> list[str]:
        """The files that measure a group, the network's among them."""
        first = self.plan.cells[self.plan.groups[wildcards.group][0]]
        return self.imports("measure.py", own_files(first.settings)[0])

    # --------------------------------------------------------------------------- data sets and weights

    def dataset_stamp(self, wildcards: Wildcards) -> str:
        """The file that is newer than a data set which must be prepared again."""
        return self.outside(str(outdated.STAMPS / outdated.data_path(wildcards.dataset)))

    def dataset_seen(self, wildcards: Wildcards) -> str:
        """The file that remembers the sizes and times of the images that a data set is made from."""
        return str(seen_path(wildcards.dataset))

    def dataset_spec(self, wildcards: Wildcards) -> str:
        """What a data set is made from, as JSON."""
        return json.dumps(self.plan.datasets[wildcards.dataset].spec, sort_keys=True)

    def dataset_memory(self, wildcards: Wildcards) -> int:
        """MB of memory that preparing a data set takes: its images, and twice as much for those of its source."""
        facts = self.plan.datasets[wildcards.dataset].facts
        values = facts["channels"] * math.prod(facts["size"]) * sum(facts["counts"].values())
        return max(PREPARING_MB, 1500 + 3 * values // 10**6)

    def weights_stamp(self, wildcards: Wildcards) -> str:
        """The file that is newer than weights which must be prepared again."""
        return self.outside(str(outdated.STAMPS / outdated.weights_path(wildcards.weights)))

    def weights_spec(self, wildcards: Wildcards) -> str:
        """What weights are made from, as JSON."""
        return json.dumps(self.plan.weights[wildcards.weights], sort_keys=True)

    # ------------------------------------------------------------------------------- a block of a cell

    def _cell(self, wildcards: Wildcards) -> Cell:
        return self.plan.cells[wildcards.cell]

    def block_stamp(self, wildcards: Wildcards) -> str:
        """The file that is newer than a block which must be trained again."""
        block = block_path(wildcards.cell, (int(wildcards.first), int(wildcards.last)))
        return self.outside(str(outdated.STAMPS / block))

    def _data(self, cell: Cell, suffix: str) -> str | list[str]:
        return self.located(f"{outdated.data_path(cell.data.dataset_id)}.{suffix}") if cell.data else []

    def cell_data(self, wildcards: Wildcards) -> str | list[str]:
        """The prepared data set of a cell, where it has one."""
        return self._data(self._cell(wildcards), "safetensors")

    def cell_card(self, wildcards: Wildcards) -> str | list[str]:
        """The card of a cell's data set, where it has one."""
        return self._data(self._cell(wildcards), "json")

    def cell_weights(self, wildcards: Wildcards) -> str | list[str]:
        """The prepared weights that a cell starts from, if any."""
        weights = self._cell(wildcards).weights
        return self.located(f"{outdated.weights_path(weights.weights_id)}.safetensors") if weights else []

    def weights_option(self, wildcards: Wildcards) -> str:
        """The same as an option of the command line."""
        weights = self._cell(wildcards).weights
        name = f"{outdated.weights_path(weights.weights_id)}.safetensors" if weights else ""
        return f"--weights {shlex.quote(self.plan.folders.place(name))}" if weights else ""

    def parent_blocks(self, wildcards: Wildcards) -> list[str]:
        """The directories of the parent's blocks that hold the replicates of this one."""
        return [self.plan.folders.place(name) for name in self._parents(wildcards)]

    def parent_runs(self, wildcards: Wildcards) -> list[str]:
        """The records of these blocks."""
        return [self.located(f"{name}/run.json") for name in self._parents(wildcards)]

    def parent_snapshots(self, wildcards: Wildcards) -> list[str]:
        """The folders of their snapshots, where files are in a storage (elsewhere they are no outputs)."""
        return [self.located(f"{name}/snapshots") for name in self._parents(wildcards)] if self.stored else []

    def _parents(self, wildcards: Wildcards) -> list[str]:
        return self.plan.parent_blocks(wildcards.cell, (int(wildcards.first), int(wildcards.last)))

    def given_checkpoints(self, wildcards: Wildcards) -> list[str]:
        """The user's checkpoints of the replicates of a block, series after series: files, or indices of several."""
        return [str(path) for path in self._given(wildcards)]

    def given_files(self, wildcards: Wildcards) -> list[str]:
        """All files of these."""
        files = [file for path in self._given(wildcards) for file in sharded.files(path)]
        return [self.source(self.outside(str(file))) for file in files]

    def _given(self, wildcards: Wildcards) -> list[Path]:
        series = self._cell(wildcards).files[int(wildcards.first) : int(wildcards.last) + 1]
        return [path for checkpoints in series for path in checkpoints]

    def given_fingerprint(self, wildcards: Wildcards) -> str:
        """What tells these files apart. Not a function of the rule's input: of those Snakemake asks no change."""
        return given.fingerprint(self._given(wildcards))

    def cell_settings(self, wildcards: Wildcards) -> str:
        """A cell in full, as JSON."""
        return json.dumps(self._cell(wildcards).settings.json, sort_keys=True)

    def cell_keep(self, wildcards: Wildcards) -> str:
        """Which snapshots stay once the cell is trained, as the trainer takes it. It changes no result."""
        kept = self.plan.kept[wildcards.cell]
        return kept if isinstance(kept, str) else "+".join(map(str, kept)) or "ends"

    def need(self, wildcards: Wildcards) -> cost.Need:
        """What a block takes at its first attempt."""
        return self._need(wildcards.cell, int(wildcards.last) - int(wildcards.first) + 1)

    @functools.cache  # noqa: B019 (there is one object of this class in a process, and each resource of a job asks)
    def _need(self, cell: str, replicates: int) -> cost.Need:
        return cost.need(self.plan.cells[cell], replicates, self.plan.config.device)

    def priority(self, wildcards: Wildcards) -> int:
        """Seconds of the longest chain of trainings that waits for a cell."""
        return int(self.urgency[wildcards.cell])

    def threads(self, wildcards: Wildcards) -> int:
        """The threads of a training, which are a setting of its network."""
        return self.need(wildcards).threads

    def memory(self, wildcards: Wildcards, attempt: int) -> int:
        """MB of memory, doubled at each attempt."""
        return self.need(wildcards).mem_mb << (attempt - 1) if attempt <= ATTEMPTS else RECORDING_MB

    def runtime(self, wildcards: Wildcards, attempt: int) -> int:
        """Minutes, doubled at each attempt."""
        return self.need(wildcards).runtime << (attempt - 1) if attempt <= ATTEMPTS else RECORDING_MINUTES

    def group_gpu(self, wildcards: Wildcards) -> int:
        """GPUs of a measure: one where there are images to show to networks."""
        return int(self.plan.config.device != "cpu" and any(cell.data for cell in self._group(wildcards)))

    def gpu(self, wildcards: Wildcards, attempt: int) -> int:
        """GPUs of a training."""
        return self.need(wildcards).gpu if attempt <= ATTEMPTS else 0

    # --------------------------------------------------------------------------------- measure groups

    def block_files(self, name: str, cells: list[str] | None = None) -> list[str]:
        """A file of every block that the config asks for (of the given cells)."""
        chosen = self.plan.cells if cells is None else cells
        blocks = [block_path(cell, block) for cell in chosen for block in self.plan.blocks[cell]]
        return [self.located(f"{block}/{name}") for block in blocks]

    def snapshots(self) -> list[str]:
        """The folders of the snapshots of all blocks, where files are in a storage (elsewhere they are no outputs)."""
        return self.block_files("snapshots") if self.stored else []

    def cards(self) -> list[str]:
        """The cards of all data sets."""
        return [self.located(f"{outdated.data_path(dataset)}.json") for dataset in self.plan.datasets]

    def files_of(self, name: str) -> list[str]:
        """Where the files of a block, a data set or weights may be."""
        return [self.folders.place(f"{name}{end}") for end in ("/run.json", ".json", ".safetensors")]

    def prepared(self) -> list[str]:
        """The tensor files of all data sets, in the order of their cards."""
        return [self.located(f"{outdated.data_path(dataset)}.safetensors") for dataset in self.plan.datasets]

    def starts(self) -> list[str]:
        """The prepared weights that cells start from."""
        return [self.located(f"{outdated.weights_path(weights)}.safetensors") for weights in self.plan.weights]

    def _group(self, wildcards: Wildcards) -> list[Cell]:
        return [self.plan.cells[cell] for cell in self.plan.groups[wildcards.group]]

    def group_runs(self, wildcards: Wildcards) -> list[str]:
        """The records of all blocks of a group."""
        return self.block_files("run.json", self.plan.groups[wildcards.group])

    def group_snapshots(self, wildcards: Wildcards) -> list[str]:
        """The folders of their snapshots, as in `snapshots`."""
        return self.block_files("snapshots", self.plan.groups[wildcards.group]) if self.stored else []

    def group_data(self, wildcards: Wildcards) -> str | list[str]:
        """The prepared data set of a group, where it has one."""
        return self._data(self._group(wildcards)[0], "safetensors")

    def group_card(self, wildcards: Wildcards) -> str | list[str]:
        """The card of a group's data set, where it has one."""
        return self._data(self._group(wildcards)[0], "json")

    def group_need(self, wildcards: Wildcards) -> measuring.GroupNeed:
        """What measuring a group takes at the first attempt."""
        return self._group_need(wildcards.group)

    @functools.cache  # noqa: B019 (as above)
    def _group_need(self, group: str) -> measuring.GroupNeed:
        cells = [self.plan.cells[cell] for cell in self.plan.groups[group]]
        return measuring.asked(measuring.group(cells, self.plan.listed, self.plan.config.device), cells)

    def group_memory(self, wildcards: Wildcards, attempt: int) -> int:
        """MB of memory, doubled at each attempt."""
        return self.group_need(wildcards).mem_mb << (attempt - 1)

    def group_runtime(self, wildcards: Wildcards, attempt: int) -> int:
        """Minutes, doubled at each attempt."""
        return self.group_need(wildcards).minutes << (attempt - 1)

    def group_layout(self, wildcards: Wildcards) -> str:
        """What of the plan a group's measures depend on, labels apart, as a digest."""
        plan, cells = self.plan, self._group(wildcards)
        layout: list[Any] = [
            [cell.cell_id, plan.replicates[cell.cell_id], plan.blocks[cell.cell_id], cell.settings.json]
            for cell in cells
        ]
        layout += [epochs for cell in cells for epochs in plan.checkpoints.get(cell.cell_id, [])]
        layout += [[cell.cell_id, sorted(plan.measures[cell.cell_id])] for cell in cells]
        own = {cell.cell_id for cell in cells}
        return digest(layout + [plan.against(entry) for entry in plan.entries if entry.cell_id in own])

    def measures(self) -> list[str]:
        """The directories of all groups' measures."""
        return [self.located(f"results/{self.plan.config.name}/measures/{group}") for group in self.plan.groups]

    # ---------------------------------------------------------------------------------------- studies

    def document(self, wildcards: Wildcards) -> list[str]:
        """The files of the document that a study reports; none where it reports none."""
        document = self.plan.config.definitions[wildcards.study].document
        files = sorted(map(os.path.relpath, chapters.folder(document).glob("*.yaml"))) if document else []
        return [self.source(self.outside(file)) for file in files]

    def stated(self, wildcards: Wildcards) -> list[str]:
        """Since when the workflow knows the claims that a study states itself; none where it states none."""
        name = stated.name(self.plan.config, wildcards.study)
        return [self.located(name)] if self.plan.config.definitions[wildcards.study].claims else []

    def claims(self) -> list[str]:
        """The files of `stated`, of all studies that are asked for and state claims themselves."""
        studies = [study for study in self.plan.asked if self.plan.config.definitions[study].claims]
        return [self.located(stated.name(self.plan.config, study)) for study in studies]

    def told(self) -> list[str]:
        """What the console tells of after a run: the tables, and what each chapter holds."""
        results = f"results/{self.plan.config.name}"
        chapters = [f"{results}/figures/{chapter}/exhibits.json" for chapter in ("data", *self.plan.asked)]
        return [self.located(name) for name in (f"{results}/tables", *chapters)]

    def references(self, wildcards: Wildcards) -> list[str]:
        """The files of published curves that a study names, beside those of its document."""
        names = self.plan.config.definitions[wildcards.study].references
        return [self.source(self.outside(os.path.relpath(path))) for path in chapters.references(names)]

    @property
    def pages(self) -> dict[str, list[str]]:
        """The chapters of each page of the report, by its name."""
        return pages.pages(self.plan.asked, self.plan.config.page)

    def drawn(self, wildcards: Wildcards) -> list[str]:
        """The directories of the chapters that a page shows."""
        return [
            self.located(f"results/{self.plan.config.name}/figures/{chapter}") for chapter in self.pages[wildcards.page]
        ]

    @property
    def thresholds(self) -> str:
        """{study: its thresholds} as JSON, of the studies that are asked for."""
        studies = {name: self.plan.config.definitions[name].thresholds for name in self.plan.asked}
        return json.dumps({name: thresholds.model_dump() for name, thresholds in studies.items()})

    def layout(self, wildcards: Wildcards) -> str:
        """All that cells.csv says, as a digest."""
        return digest(self.plan.rows())


def attempt_number(wildcards: Wildcards, attempt: int) -> int:
    """Which attempt at a job this is."""
    return attempt
