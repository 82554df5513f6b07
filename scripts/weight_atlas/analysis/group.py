"""Measure a group of cells that share data set and architecture: one walk over their snapshots, then the tables.

Models are compared with one another where their networks are the same, options and all.
"""

import functools
import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from weight_atlas import cell_table, networks, records, right_answers, schema, store
from weight_atlas.analysis import course, evaluation, measures
from weight_atlas.analysis.evaluation import Images
from weight_atlas.analysis.measure import CellMeasure, ModelMeasure, Network, Replicate, TrainedModel, ends_job
from weight_atlas.analysis.perturbed import paths
from weight_atlas.analysis.types import AnyPath, Card, Record, Rows, Tensors
from weight_atlas.cell_table import GroupedCell
from weight_atlas.faults import Fault, spared
from weight_atlas.vocabulary import Status

# Of a replicate whose snapshots are gone but for a few.
OUTDATED = "its course was measured by older code, before its snapshots were removed; that stays as it is"
FILES = ("features", "pairs")  # safetensors files that are there for every group; others where they have tensors


class Collected:
    """The rows of all tables, and the tensors of all safetensors files, of a group."""

    def __init__(self) -> None:
        self.rows: Rows = {name: [] for name in schema.MEASURES}
        self.tensors: dict[str, Tensors] = {name: {} for name in FILES}

    def add(self, rows: Rows) -> None:
        for name, more in rows.items():
            self.rows[name] += more

    def add_tensors(self, tensors: dict[str, Tensors]) -> None:
        for name, more in tensors.items():
            self.tensors.setdefault(name, {}).update(more)

    @contextmanager
    def spared(self, measure: str, cells: Iterable[str], seed: int | None = None) -> Iterator[None]:
        """Go on behind what raises inside, with a row of it in `faults` for each of these cells (see `ends_job`)."""
        cells, found = [*cells], list[Fault]()
        where = ", ".join(cells) if seed is None else f"{cells[0]} seed {seed}"
        with spared(found, f"the measure {measure} of {where}", ends_job):
            yield
        self.add({"faults": [(cell, seed, measure, fault.why) for cell in cells for fault in found]})

    def write(self, output: Path) -> None:
        for name, rows in self.rows.items():
            schema.write(output / f"{name}.csv", name, rows, digits=9 if name == "statistics" else None)
        for name, tensors in self.tensors.items():
            if tensors or name in FILES:
                store.save_tensors(output / f"{name}.safetensors", tensors, {})


def measure(
    cells: Sequence[GroupedCell],
    data: AnyPath | None,
    card: Card | None,
    output: AnyPath,
    threads: int = 1,
    device: torch.device | str = "cpu",
) -> None:
    """Write the tables and the tensors of all measures (`weight_atlas.analysis.measures`) of a group.

    Prints one line per replicate. Replicates that failed or that lack a snapshot are skipped. Of a diverged one all
    snapshots get statistics, but movement ends at the last finite one, and what needs the last epoch is left out. The
    features of all models are compared with one another; they wait on disk, in a directory below `output` that is gone
    at the end, and are read from there as memory has room.

    A measure that raises ends nothing: what it has no rows of for that is a row of the table `faults` (see
    `weight_atlas.analysis.measure`), and its traceback goes to stderr. Where the course of a replicate cannot be walked
    (`course`), or has no statistics, no measure sees its last snapshot: nobody knows whether its values are finite.

    Parameters
    ----------
    cells : sequence of GroupedCell
        The cells of a group as `weight_atlas.cell_table.grouped` gives them.
    data : path or None
        The data set's safetensors file; None where there are no images, which leaves what needs none.
    card : dict or None
        The data set's card.
    output : path
        The directory to write to: the tables of `weight_atlas.schema.MEASURES`, features.safetensors,
        pairs.safetensors, and filters.safetensors where a cell is asked for its filters.
    threads : int
        Those of torch.
    device : torch.device or str
        Where networks are run; all else is computed on the processor.
    """
    began = time.process_time()
    torch.set_num_threads(threads)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    images = None
    if data is not None and card is not None:
        shape = cells[0]["cell"].input
        images = evaluation.load_images(data, card, shape.channels, shape.size, paths.TRAIN, device)
    collected = Collected()
    cell_measures = [make() for make in measures.CELL_MEASURES]
    for members in same_network(cells):
        with tempfile.TemporaryDirectory(prefix=".features-", dir=output) as scratch:
            _walk(_network(members, images, Path(scratch)), cell_measures, collected)
    for cell_measure in cell_measures:
        with collected.spared(cell_measure.name, (cell["cell_id"] for cell in cells)):
            collected.add(cell_measure.rows())
    collected.write(output)
    print(f"core-seconds: {time.process_time():.1f}, {began:.1f} of them to start", flush=True)


def same_network(cells: Iterable[GroupedCell]) -> list[list[GroupedCell]]:
    """The cells of a group, one list per network: those in which the layer tables are the same."""
    members: dict[str, list[GroupedCell]] = {}
    for cell in cells:
        key = json.dumps([cell["cell"].json["network"], cell["cell"].classes], sort_keys=True)
        members.setdefault(key, []).append(cell)
    return list(members.values())


def _network(members: Sequence[GroupedCell], images: Images | None, scratch: Path) -> Network:
    by_id = {cell["cell_id"]: cell for cell in members}
    table = networks.layer_table(*members[0]["cell"].network_arguments)
    return Network(table, by_id, cell_table.children(by_id), images, scratch)


def _walk(network: Network, cell_measures: Sequence[CellMeasure], collected: Collected) -> None:
    """Hand the cells of one network, their replicates' snapshots and their trained models to the measures."""
    model_measures = [make(network) for make in measures.MODEL_MEASURES if make.fits(network.table)]
    for cell in network.cells.values():
        for cell_measure in (one for one in cell_measures if one.fits(network.table)):
            with collected.spared(cell_measure.name, [cell["cell_id"]]):
                cell_measure.see(cell, network)
        for seed, block, _, record in records.replicates(cell["blocks"], cell["seeds"]):
            if record["status"] == Status.MISSING:
                collected.add({"missing": [(cell["cell_id"], seed, record["cause"])]})
            collected.add({"right": [*right_answers.of_replicate(cell["cell_id"], Path(block), record)]})
            with collected.spared("course", [cell["cell_id"]], seed):
                _replicate(network, cell, Path(block), record, model_measures, collected)
    for model_measure in model_measures:
        since = time.perf_counter()
        with collected.spared(model_measure.name, network.cells):
            rows, tensors = model_measure.rows(), model_measure.tensors()
            collected.add(rows)
            collected.add_tensors(tensors)
            counts = ", ".join(f"{len(rows[name])} {name}" for name in rows)
            if counts:
                print(f"{counts}: {time.perf_counter() - since:.2f} s", flush=True)


def _replicate(
    network: Network,
    cell: GroupedCell,
    block: Path,
    record: Record,
    model_measures: Sequence[ModelMeasure],
    collected: Collected,
) -> None:
    """Measure the course of one replicate, and hand its last snapshot on where it finished."""
    since, cell_id, seed = time.perf_counter(), cell["cell_id"], record["seed"]
    epochs, why = course.available(cell["cell"], block, record)
    if epochs is None:
        print(f"{cell_id} seed {seed}: skipped, {why}", flush=True)
        return
    replicate = Replicate(network.table, block, record)
    if course.outdated(block, record):
        print(f"{cell_id} seed {seed}: {OUTDATED}", flush=True)
    asked = [one for one in measures.COURSE_MEASURES if one.fits(network.table) and one.asked_for(cell)]
    course_rows = course.rows(replicate, epochs, asked, functools.partial(collected.spared, cells=[cell_id], seed=seed))
    for course_measure in asked:
        for name in course_measure.tables:
            collected.add({name: [(cell_id, seed, *row) for row in course_rows[name]]})
    if record["status"] == "done" and course.finite(course_rows):
        model = TrainedModel(network, cell_id, seed, replicate.snapshot(record["epochs"]))
        for model_measure in model_measures:
            with collected.spared(model_measure.name, [cell_id], seed):
                if model_measure.asked_for(cell):
                    model_measure.see(model)
    print(f"{cell_id} seed {seed}: {len(epochs)} snapshots, {time.perf_counter() - since:.2f} s", flush=True)
