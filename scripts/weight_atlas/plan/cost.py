"""What a training job needs: time, memory and disk, from its layer table, its data and its epochs.

The estimates are deliberately simple: a multiply-accumulate and a moved activation each cost a fixed time on one CPU
thread, fitted to the measured images/s of the networks here (`benchmarks/` has the command); a GPU is taken as a fixed
multiple, but for the time that it takes to start the operations of a step. They choose limits for a scheduler and tell
a person what to expect; they decide nothing else.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

from weight_atlas.networks import batches
from weight_atlas.networks.stored import Stored
from weight_atlas.networks.table import Layer, Table
from weight_atlas.plan.cell import Cell
from weight_atlas.settings import SWA, Optimizer
from weight_atlas.training.frozen import constant, same_rows

FLOPS = 110e9  # floating-point operations per second and CPU thread
ACTIVATION = 4e-9  # seconds per activation, forward and backward
IMAGE = 12e-6  # seconds per image: gather, augment, normalise
# Values that an optimizer holds for each parameter, whatever its options; Adafactor holds sums of rows and columns.
MOMENTS = {"sgd": 0, "adafactor": 0, "rmsprop": 1, "adagrad": 1, "asgd": 1} | dict.fromkeys(
    ("adam", "adamw", "nadam", "radam", "adamax", "adadelta", "rprop"), 2
)
STEP = 0.9e-3  # seconds per optimizer step, whatever its size
PARAMETER = 1.2e-9  # seconds per parameter and step: the optimizer's pass over memory
START = 4.0  # seconds per job: interpreter, torch, data
BFLOAT16 = 2.5  # how much faster bfloat16 is than float32, where the processor has the instructions
GPU = 40.0  # speed of a GPU in CPU threads
GPU_STEP, GPU_LAYER = 1e-3, 60e-6  # seconds per step, and per layer in it, to start its operations, 5 to 10 us each
BASE_MB = 900  # resident memory of a process with torch
CUDA_MB, CONTEXT_MB = 2500, 800  # and with CUDA's libraries; memory of a GPU that these and their workspaces take
DISK = 1e-8  # seconds per byte of a file that is read, hashed and written
ENTRY = 75  # bytes of a tensor's entry in a file's header, its name apart
ROW, COUNTS = 170, 87  # bytes of a row of a table, of one with whole numbers alone
RECORD = 1400, 430  # bytes of a block's run.json, and of each replicate in it


@dataclass(frozen=True)
class Need:
    """What one block asks of a machine."""

    seconds: float
    mem_mb: int
    disk_bytes: int
    working_bytes: int  # on disk beyond that, until the block is finished
    threads: int
    gpu: int
    gpu_mb: int  # of the memory of one GPU, where it is trained on one

    @property
    def runtime(self) -> int:
        """Minutes to ask a scheduler for: three times the estimate, at least 10."""
        return max(10, int(self.seconds * 3 / 60) + 1)


class DiskUse(NamedTuple):
    """Expected bytes of a replicate: what it leaves on disk, and what it takes beyond that until its block is done."""

    kept: float
    temporary: float


class Passes(NamedTuple):
    """Seconds of all passes through a network, and bytes of the features that are kept."""

    seconds: float
    feature_bytes: int


def written(cell: Cell) -> list[int]:
    """The epochs, the start apart, whose snapshots a replicate writes."""
    kept, last = cell.settings.snapshots, cell.settings.epochs
    if isinstance(kept, str):
        return list(range(1, last + 1)) if kept == "all" else [last]
    return [epoch for epoch in range(1, last + 1) if epoch == last or epoch in kept]


def disk(cell: Cell, kept: str | list[int] = "all") -> DiskUse:
    """What a replicate is expected to take on disk.

    kept: as `weight_atlas.plan.study.Plan.kept` has it. What is left are
    - the start, whole, and later snapshots without the tensors that stay those of the start; or, where snapshots are
      removed, the last one, whole, the others without these tensors, and tables of what was measured before;
    - `best`, where it is no other name of a snapshot that is there. The last of E epochs is the best one with
      probability 1/sqrt(E), as about 550 replicates of 2 to 20 epochs had it; the others are equally likely;
    - what `track` recorded, where no snapshot is removed, and the optimizer's state where it is kept.
    Until the block is finished all snapshots that are written lie there, and a checkpoint.
    """
    training, table, epochs = cell.settings.training, cell.table, written(cell)
    shapes = {**dict(table.parameters()), **dict(table.buffers())}
    sizes = {
        name: (8 if name.endswith(".num_batches_tracked") else 4) * math.prod(shape) for name, shape in shapes.items()
    }
    on_disk = {name: size + ENTRY + len(name) for name, size in sizes.items()}
    whole = sum(on_disk.values())
    part = whole - sum(on_disk[name] for name in constant(table, training))
    track = sum(on_disk[name] - 3 * sizes[name] / 4 for name, _ in table.parameters()) if training.track else 0
    stay = epochs if kept == "all" else [epoch for epoch in epochs if epoch in (epochs[-1], *kept)]
    before = whole + part * (len(epochs) + _apart(epochs)) + track
    after = before if kept == "all" else whole + part * (len(stay) - 1 + _apart(stay)) + _tables(cell)
    state = _moments(training.optimizer) * 4 * table.parameter_count
    rows = ROW * (training.epochs + 1) + RECORD[1]
    return DiskUse(
        kept=after + rows + state * training.keep_optimizer,
        temporary=max(0, before - after) + whole * (2 if training.average else 1) + state + track,
    )


def _apart(epochs: list[int]) -> float:
    """The chance that the best epoch is none of these, the last one among them."""
    last = epochs[-1]
    return (1 - math.pow(last, -0.5)) * (1 - (len(epochs) - 1) / max(1, last - 1))


def _moments(optimizer: Optimizer) -> int:
    """How many values an optimizer holds for each parameter."""
    one_for_each = [optimizer.options.get(name) for name in ("momentum", "centered", "amsgrad")]
    return MOMENTS[optimizer.type] + sum(map(bool, one_for_each))


def _tables(cell: Cell) -> int:
    """Bytes of the tables of a replicate's course: rows of statistics and movement an epoch, of the rest once."""
    layers = [layer for layer in cell.table.layers if layer.parameters]
    tensors, moved = sum(len(layer.parameters) + 2 * bool(layer.buffers) for layer in layers), 2 * (len(layers) + 1)
    return (ROW * (tensors + moved) + COUNTS) * (len(written(cell)) + 1) + COUNTS * (tensors + 21 * (len(layers) + 1))


def forward(layers: list[Layer]) -> float:
    """Seconds that a forward pass of one image through these layers takes on one CPU thread."""
    macs, values = sum(layer.macs for layer in layers), sum(math.prod(layer.out_shape) for layer in layers)
    return 2 * macs / FLOPS + values * ACTIVATION / 3


def passes(cell: Cell, train_images: int, held_out: int) -> Passes:
    """All passes through the network, for so many images per epoch.

    Frozen first rows are run forward alone; where their features are kept, once per stage instead of in every epoch.
    """
    training, layers, seconds, kept = cell.settings.training, cell.table.layers, 0.0, 0
    whole = forward(layers)
    for stage in training.stages:
        frozen = cell.table.select(stage.frozen) if stage.frozen else []
        rows = same_rows(cell.table, frozen, training) if frozen else 0
        first, times = forward(layers[:rows]), stage.epochs
        if rows and training.cache_features:
            times = 1
            kept = max(kept, 4 * math.prod(layers[rows - 1].out_shape) * (train_images + held_out))
        seconds += (whole - first) * stage.epochs * (3 * train_images + held_out)
        seconds += first * times * (train_images + held_out)
    if isinstance(training.average, SWA) and any(layer.buffers for layer in layers):  # update_bn, after an epoch
        seconds += whole * train_images * (training.epochs - training.average.start + 1)
    return Passes(seconds + whole * held_out, kept)


def step_count(cell: Cell) -> int:
    """How many steps a replicate trains for, with the last batch of an epoch."""
    training = cell.settings.training
    images = cell.trained_on.facts["counts"]["train"] * len(training.copies or [1])
    return -(-images // training.batch_size) * training.epochs


def need(cell: Cell, replicates: int, device: str, kept: str | list[int] = "all") -> Need:
    """What `replicates` of `cell` need in one job on `device` (`auto` counts as the CPU in time); kept: see `disk`."""
    if cell.kind == "given":
        return reading(cell, replicates, device)
    training, data = cell.settings.training, cell.trained_on
    counts = data.facts["counts"]
    threads = cell.settings.network.threads
    epochs, parameters = training.epochs, cell.table.parameter_count
    train_images = counts["train"] * len(training.copies or [1])
    batch = min(training.batch_size, train_images)
    steps = step_count(cell)
    seconds, features = passes(cell, train_images, counts["valid"] + counts["test"])
    seconds /= BFLOAT16 if training.precision == "bfloat16" else 1.0
    work = seconds + train_images * epochs * IMAGE + steps * parameters * PARAMETER
    launching = steps * (GPU_STEP + GPU_LAYER * len(cell.table.layers))
    time = max(work / GPU, launching) if device == "cuda" else (work + steps * STEP) / threads
    pixels = data.facts["channels"] * data.size**2
    held = sum(counts.values()) * pixels + features  # from the start to the end
    copies = 8 + 3 * training.track + (training.average is not None)
    working = held + copies * 4 * parameters + _map_bytes(cell.table, batch)
    on_host = BASE_MB + CUDA_MB + (held + 3 * 4 * parameters) / 1e6
    stays, more = disk(cell, kept)
    return Need(
        seconds=START + replicates * time,
        mem_mb=int(on_host if device == "cuda" else BASE_MB + working / 1e6),
        disk_bytes=int(RECORD[0] + replicates * stays),
        working_bytes=int(replicates * more),
        threads=threads,
        gpu=0 if device == "cpu" else 1,
        gpu_mb=0 if device == "cpu" else int(CONTEXT_MB + working / 1e6),
    )


def _map_bytes(table: Table, batch: int) -> int:
    """The most that the maps of a batch take: those that its backward pass reads with their gradients, or those of an
    evaluation."""
    return max(2 * 4 * table.activation_count * batch, batches.evaluation_bytes(table))


def reading(cell: Cell, replicates: int, device: str) -> Need:
    """What it takes to read given checkpoints, and to evaluate each on validation and test where there are images."""
    counts = cell.data.facts["counts"] if cell.data else {"valid": 0, "test": 0}
    pixels = cell.data.facts["channels"] * cell.data.size**2 if cell.data else 0
    threads, snapshots = cell.settings.network.threads, replicates * len(cell.settings.snapshots)
    size = 4 * (cell.table.parameter_count + cell.table.buffer_count)
    if isinstance(cell.table, Stored):  # read tensor by tensor, and linked to
        held = BASE_MB + 4 * 4 * cell.table.largest / 1e6
        return Need(START + 2 * snapshots * size * DISK, int(held), snapshots * RECORD[0], 0, 1, 0, 0)
    seconds = size * DISK + (counts["valid"] + counts["test"]) * forward(cell.table.layers) / threads
    memory = BASE_MB + 4 * size / 1e6 + (sum(counts.values()) * pixels) / 1e6
    memory += batches.evaluation_bytes(cell.table) / 1e6 if cell.data else 0
    return Need(
        seconds=START + snapshots * seconds,
        mem_mb=int(memory),
        disk_bytes=snapshots * size,
        working_bytes=0,
        threads=threads if cell.data else 1,
        gpu=int(cell.data is not None and device != "cpu"),
        gpu_mb=0,
    )


def urgency(cells: dict[str, Cell], device: str) -> dict[str, float]:
    """Seconds from the start of each cell to the end of the longest chain of cells that starts from it.

    Jobs are started in this order, the most urgent first, so that what ends last is short. `cells` lists parents
    before their children.
    """
    chains: dict[str, float] = {}
    after: dict[str, float] = {}
    for cell_id in reversed(list(cells)):
        chains[cell_id] = need(cells[cell_id], 1, device).seconds + after.get(cell_id, 0.0)
        parent = cells[cell_id].parent
        if parent:
            after[parent] = max(after.get(parent, 0.0), chains[cell_id])
    return chains
