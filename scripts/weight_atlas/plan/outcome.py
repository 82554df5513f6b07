"""What the console shows before, after and instead of a run: cells, jobs, expected time, disk, failures."""

import collections
import os
import shlex
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from weight_atlas import records, schema, store
from weight_atlas.plan import cost, measure_faults, measuring
from weight_atlas.plan.blocks import Block
from weight_atlas.plan.cell import Cell, Entry
from weight_atlas.plan.pace import Pace
from weight_atlas.plan.study import Plan, block_path
from weight_atlas.shapes import SHOWN, Axis, Experiment
from weight_atlas.vocabulary import Status

# Why a study has its cells, by role: those of the document, and those that are listed apart.
OWN = {"grid": "cells in the grid", "tuning": "at other learning rates"}
OWN |= {"perturbed": "perturbed and retrained", "transfer": "transfers"}
APART = {"given": "given cells", "source": "source cells", "control": "controls of the perturbed"}
APART |= {"extra": "further transfers", "beyond": "cells beyond the document's"}

# What a target makes beside the report: what it is called, and the file in the folder of the results.
MADE = {"bundle": ("The bundle", "{name}.zip"), "compare": ("The comparison", "compare/compare.html")}
MADE |= {"pdf": ("The report", "report/report.pdf"), "docx": ("The report", "report/report.docx")}

RECOMMENDS = "recommendations.answer"  # the function whose answers the console's last lines repeat

# How the cause begins of a failure that only follows from the parent's (weight_atlas/training/block.py).
FOLLOWS = "its parent "


class CellBlock(NamedTuple):
    """A block of a cell."""

    cell_id: str
    block: Block


def missing(plan: Plan, again: Collection[str]) -> list[CellBlock]:
    """The blocks that are to be trained; again: those (and data) as `outdated` gives them."""
    return [one for one in trained(plan) if block_path(*one) in again]


def trained(plan: Plan) -> list[CellBlock]:
    """The blocks that are trained here, done or not: all but those of given checkpoints."""
    cells = ((cell_id, blocks) for cell_id, blocks in plan.blocks.items() if plan.cells[cell_id].kind != "given")
    return [CellBlock(cell_id, block) for cell_id, blocks in cells for block in blocks]


def known(plan: Plan, jobs: list[CellBlock]) -> list[CellBlock]:
    """Those of some blocks whose cells' layers and cost are known: their data are at hand, or published."""
    return [one for one in jobs if plan.cells[one.cell_id].is_known]


def wall_seconds(plan: Plan, jobs: list[CellBlock], gpu: int | None = None) -> float:
    """A guess at the wall time of the training jobs: the longest one, or all of them shared by the cores; where they
    need a GPU and Snakemake is told how many such jobs run at a time (`gpu`), by so many."""
    cells, paces = [plan.cells[cell] for cell, _ in jobs], Pace(plan)
    needs = [cost.need(plan.cells[cell], block[1] - block[0] + 1, plan.config.device) for cell, block in jobs]
    times = [paces.job(cell, need) for cell, need in zip(cells, needs, strict=True)]
    if gpu and plan.config.device != "cpu":
        return shared([(seconds, 1) for seconds in times], gpu)
    return shared([(seconds, need.threads) for seconds, need in zip(times, needs, strict=True)], all_cores())


def all_cores() -> int:
    """The cores of this machine."""
    return os.cpu_count() or 1


def shared(jobs: list[tuple[float, int]], cores: int) -> float:
    """Seconds that jobs of so many (seconds, threads) take: the longest one, or all of them shared by the cores."""
    return max(
        max((seconds for seconds, _ in jobs), default=0.0), sum(seconds * threads for seconds, threads in jobs) / cores
    )


def before(plan: Plan, again: Collection[str], gpu: int | None = None) -> str:
    """One line: how much there is, how much of it is to be trained, and about how long that takes at most; gpu: as in
    `wall_seconds`."""
    jobs = missing(plan, again)
    replicates = sum(plan.replicates.values())
    left = sum(block[1] - block[0] + 1 for _, block in jobs)
    head = f"{plan.config.name}: {len(plan.cells)} cells, {replicates} replicates"
    if not trained(plan):
        return f"{head}; all are given, and none is trained"
    if not jobs:
        return f"{head}; all are trained"
    return f"{head}; {left} to train in {len(jobs)} jobs, {_time(plan, jobs, gpu)}"


def _time(plan: Plan, jobs: list[CellBlock], gpu: int | None) -> str:
    """About how long some jobs take, as far as it is known, and what shares them."""
    sure = known(plan, jobs)
    shares = f"with {gpu} jobs at a time" if gpu and plan.config.device != "cpu" else f"on {os.cpu_count()} cores"
    if jobs and not sure:
        return f"an unknown time, without the data, {shares}"
    time = f"about {spoken(wall_seconds(plan, sure, gpu))}"
    some = "" if len(sure) == len(jobs) else f" for {len(sure)} of them, whose data are at hand,"
    return f"{time}{some} {shares}"


def table(plan: Plan, again: Collection[str], gpu_bytes: int | None = None, gpu: int | None = None) -> str:
    """What `snakemake plan` prints: the cells of each study, then jobs, time, memory and disk.

    gpu_bytes: the memory of the smallest GPU here, where there is one; gpu: as in `wall_seconds`.
    """
    lines, paces = [], Pace(plan)
    for study in plan.asked:
        entries = [entry for entry in plan.entries if entry.study == study]
        lines.append(f"\nstudy {study}: {count_cells(entries)}")
        for experiment in plan.experiments:
            if experiment.study == study:
                lines += shapes(experiment)
        for entry in entries:
            cell, seeds = plan.cells[entry.cell_id], entry.replicates
            parameters, time, memory, disk = _need(plan, paces, cell, seeds)
            labels = " x ".join(filter(None, entry.labels.values()))
            lines.append(
                f"  {_part(entry):9} {labels:60} {seeds} replicates  {parameters:>12} parameters  "
                f"{time:>9}  {memory:>6} MB  {disk:>9}  {entry.cell_id}"
            )
    jobs, trainings = missing(plan, again), trained(plan)
    unknown = sum(not cell.is_known for cell in plan.cells.values())
    how = "at the pace of earlier trainings here" if paces.is_measured else "an estimate"
    without = f"; without {unknown} cells whose data are not at hand" if unknown else ""
    replicates = sum(plan.replicates[cell_id] for cell_id in dict(trainings))
    lines += [
        "",
        f"cells     {len(plan.cells)} ({replicates} trainings with their replicates)",
        f"jobs      {len(jobs)} training jobs to do, {len(trainings) - len(jobs)} done; "
        f"{len(plan.datasets)} data sets; {len(plan.groups)} measure jobs",
        f"time      {_time(plan, jobs, gpu)} to train ({how})",
        f"disk      about {size(disk_bytes(plan))} of snapshots, and up to {size(working_bytes(plan, jobs))} more for "
        f"each job while it trains (an estimate){without}",
        *measures(plan),
    ]
    if plan.config.device == "cuda" or gpu_bytes:
        lines += gpu_memory(plan, gpu_bytes)
    return "\n".join(lines)


def _need(plan: Plan, paces: Pace, cell: Cell, seeds: int) -> tuple[str, str, str, str]:
    """The parameters, time, memory and disk of so many replicates of a cell, for the table; "?" where the data that
    would tell are not at hand, and epochs in place of the time."""
    if not cell.is_known:
        epochs = cell.settings.epochs
        return "?", f"{epochs} epoch{'s' * (epochs > 1)}", "?", "?"
    need = cost.need(cell, seeds, plan.config.device, plan.kept[cell.cell_id])
    seconds = paces.job(cell, need) if cell.kind != "given" else need.seconds
    return f"{cell.table.parameter_count:,}", spoken(seconds), str(need.mem_mb), size(need.disk_bytes)


def shapes(experiment: Experiment) -> list[str]:
    """What an experiment asks, and what the report will show of it: a line each."""
    name = f"{experiment.name}: " if experiment.name else ""
    if not experiment.shapes:
        return [f"  asks      {name}what its cells reach"]
    axes = " x ".join(f"{axis.name} ({_levels(axis)})" for axis in experiment.axes)
    first, *others = experiment.shapes if axes else ("", *experiment.shapes)
    families = f"by {' and '.join(experiment.families)}" if experiment.families else ""
    words = [f"{first} of {axes}" if axes else "", *others, families]
    words.append("" if experiment.complete else "not every combination has a cell")
    head = f"  asks      {name}{'; '.join(filter(None, words))}"
    return [head, *(f"  shows     {SHOWN[shape]}" for shape in experiment.shapes)]


def _levels(axis: Axis) -> str:
    """The levels of an axis: those of a path with what they follow, others with the reference first said."""
    if axis.after:
        return ", ".join(
            f"{level} after {axis.after[level]}" if level in axis.after else level for level in axis.levels
        )
    reference = "" if axis.is_numeric else f"; reference {axis.reference}"
    return f"{', '.join(axis.levels)}{reference}"


def measures(plan: Plan) -> list[str]:
    """What the measures take, in all and each by its name, where it is taken of some cell whose data are known."""
    groups = [[plan.cells[cell_id] for cell_id in members] for members in plan.groups.values()]
    sure = [cells for cells in groups if all(cell.is_known for cell in cells)]
    if not sure:
        return []
    needs = measuring.total(measuring.group(cells, plan.listed, plan.config.device) for cells in sure)
    seconds, disk = (sum(values) for values in zip(*((n.seconds, n.disk_bytes) for n in needs.values()), strict=True))
    core = "one core with a GPU" if plan.config.device == "cuda" else "one core"
    lines = [f"measures  about {spoken(seconds)} on {core}, {size(disk)} of tables and matrices (an estimate):"]
    for name, need in needs.items():
        if need.disk_bytes:
            rows = f"{sum(need.rows.values()):>12,} rows" if need.rows else ""
            lines.append(f"          {name:12} {spoken(need.seconds):>9}  {size(need.disk_bytes):>9}  {rows}".rstrip())
    return lines


def gpu_memory(plan: Plan, gpu_bytes: int | None) -> list[str]:
    """The memory that trainings take of a GPU, and which of them are more than this one has.

    gpu_bytes: the memory of the smallest GPU here, or None where there is none.
    """
    cells = dict(known(plan, trained(plan)))
    needs = {cell: cost.need(plan.cells[cell], 1, "cuda").gpu_mb * 10**6 for cell in cells}
    if not needs:
        return []
    jobs, largest = plan.config.jobs_per_gpu, max(needs, key=lambda cell: needs[cell])
    here = f"; the GPU here has {size(gpu_bytes)}" if gpu_bytes else "; no GPU is seen here"
    lines = [f"GPU       up to {size(needs[largest])} of its memory ({largest}), {jobs} at a time (an estimate){here}"]
    over = [cell for cell, need in needs.items() if gpu_bytes and need * jobs > gpu_bytes]
    if over:
        lines.append(
            f"          too much for {len(over)} of {len(needs)} cells, {over[0]} the first of them: lower "
            f"{'jobs_per_gpu' if jobs > 1 else 'their batch_size'}, or take a larger GPU"
        )
    return lines


def disk_bytes(plan: Plan) -> int:
    """What the cells of a plan are expected to take on disk once they are trained, as far as that is known."""
    needs = (
        cost.need(plan.cells[cell], count, plan.config.device, plan.kept[cell])
        for cell, count in plan.replicates.items()
        if plan.cells[cell].is_known
    )
    return sum(need.disk_bytes for need in needs)


def working_bytes(plan: Plan, jobs: list[CellBlock]) -> int:
    """What the largest of these jobs is expected to take beyond that until it is finished."""
    sure = known(plan, jobs)
    needs = (cost.need(plan.cells[cell], last - first + 1, "cpu", plan.kept[cell]) for cell, (first, last) in sure)
    return max((need.working_bytes for need in needs), default=0)


def count_cells(entries: list[Entry]) -> str:
    """How many cells a study has: those that its document has, added up, and those that are listed apart."""
    cells = {(_part(entry), entry.cell_id) for entry in entries}
    roles = collections.Counter(role for role, _ in cells)
    counts = [f"{roles[role]} {words}" for role, words in OWN.items() if roles[role]]
    total = sum(roles[role] for role in OWN)
    text = " + ".join(counts) + (f" = {total} trainings a replicate" if len(counts) > 1 else "")
    apart = ", ".join(f"{roles[role]} {words}" for role, words in APART.items() if roles[role])
    return "; apart: ".join(filter(None, [text, apart]))


def _part(entry: Entry) -> str:
    """The role of an entry; in the grid those apart that no grid makes, or that the document does not have."""
    if "given" in entry.labels:
        return "given"
    return "beyond" if entry.beyond else entry.role


def troubles(plan: Plan) -> list[dict[str, Any]]:
    """The replicates that failed or diverged, or were not whole when they were last measured: cell_id, block, seed,
    status, cause."""
    troubled: list[dict[str, Any]] = []
    missing = _missing(plan)
    for cell_id, block, run in _recorded(plan):
        for record in run["replicates"]:
            if cause := missing.get((cell_id, record["seed"])):
                record |= {"status": Status.MISSING, "cause": cause}
            if record["status"] != Status.DONE and record["seed"] < plan.replicates[cell_id]:
                troubled.append({"cell_id": cell_id, "block": block} | record)
    return troubled


def _recorded(plan: Plan) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(cell id, block, what its run.json says) of each block that has one."""
    for cell_id, blocks in plan.blocks.items():
        for name in (block_path(cell_id, block) for block in blocks):
            if (plan.path(name) / "run.json").exists():
                yield cell_id, name, records.read(plan.path(name))


def _missing(plan: Plan) -> dict[tuple[str, int], str]:
    """{(cell, seed): cause} of the replicates whose files were not as recorded when they were last measured."""
    path = plan.path(f"results/{plan.config.name}/tables/missing.csv")
    if not path.exists():
        return {}
    try:
        rows = schema.dicts(path, ("cell_id", "seed", "cause"))
        return {(row["cell_id"], int(row["seed"])): row["cause"] for row in rows}
    except ValueError:
        raise ValueError(f"{path}: is no table of replicates; remove {path.parent}, so that it is made again") from None


def retried(plan: Plan, known: list[dict[str, Any]] | None = None) -> list[str]:
    """The blocks that `retry_failed` trains again: those with a replicate that failed of itself, or is not whole.

    known: what `troubles` gives, where it is at hand.

    Not those that only failed for want of their parent's replicate: what starts from a block that is trained again
    follows it anyway, and where the parent diverged another try would end as the first. But the parent itself, where
    it is not whole.
    """
    again: list[str] = []
    for trouble in troubles(plan) if known is None else known:
        if trouble["status"] == Status.FAILED and (trouble["cause"] or "").startswith(FOLLOWS):
            again += _damaged_parent(plan, trouble)
        elif trouble["status"] in (Status.FAILED, Status.MISSING):
            again.append(trouble["block"])
    return list(dict.fromkeys(again))


def _damaged_parent(plan: Plan, trouble: dict[str, Any]) -> list[str]:
    """The block of the replicate that a failed one starts from, in a list, where it is not whole; else []."""
    parent, seed = plan.cells[trouble["cell_id"]].parent, trouble["seed"]
    if parent is None:
        return []
    names = [block_path(parent, block) for block in plan.blocks[parent] if block[0] <= seed <= block[1]]
    return [
        name
        for name in names
        if (plan.path(name) / "run.json").exists()
        and records.replicates([plan.path(name)], [seed])[0].record["status"] == Status.MISSING
    ]


def command(files: list[str], settings: list[str], *target: str) -> str:
    """What a user types to run these config files (none: the tour's) with these key=value settings on top."""
    words = ["snakemake", *target, "--cores", "all"]
    words += ["--configfile", *files] if files else []
    words += ["--config", *settings] if settings else []
    return shlex.join(words)


def after(plan: Plan, again: str, targets: Collection[str] = ()) -> str:
    """The console's last lines: what failed or diverged, the command that tries it `again`, and where what the targets
    made is, or the report."""
    name = plan.config.name
    made = [MADE[target] for target in MADE if target in targets] or [("The report", "report/report.html")]
    files = [(title, plan.path(f"results/{name}/{file.format(name=name)}")) for title, file in made]
    where = [f"{title}: {path}" for title, path in files if path.exists()]
    try:
        parts = [*_unlearnt(plan), *faults(plan)]
    except (ValueError, OSError) as error:
        parts = [str(error)]
    return "\n".join([*filter(None, [troubled(plan, again)]), *parts, *recommended(plan), *where])


def recommended(plan: Plan) -> list[str]:
    """What the answers of the studies recommend, as the report says it: a line for each sentence; [] for none."""
    lines = []
    for study in plan.asked:
        path = plan.path(f"results/{plan.config.name}/figures/{study}/exhibits.json")
        told = store.read_json(path).get("questions", []) if path.exists() else []
        answers = [answer for question in told for answer in question["answer"]]
        for answer in answers:
            if any(name.endswith(RECOMMENDS) for name in answer["source"]["functions"]):
                lines.append(
                    f"{study}: {answer['text']} ({'; '.join(filter(None, [answer['sure'], answer['decide']]))})"
                )
    return lines


def troubled(plan: Plan, again: str) -> str:
    """What failed or diverged, and the command that tries it `again`; "" where nothing did. A report that is there is
    not named: where a run ended early it is an older one, which may be of another config."""
    try:
        known = troubles(plan)
    except (ValueError, OSError) as error:
        return str(error)
    lines = [f"  {one['status']}: {one['cell_id']} seed {one['seed']}: {one['cause']}" for one in known]
    if lines:
        lines.insert(0, f"{plan.config.name}: {len(lines)} replicates are not as asked")
    if retried(plan, known):
        lines.append(f"To train what failed or is not whole again:\n  {again}")
    return "\n".join(lines)


def _unlearnt(plan: Plan) -> list[str]:
    """A line on the finished replicates that never learnt, as the tables have them; [] for none."""
    path = plan.path(f"results/{plan.config.name}/tables/runs.csv")
    count = sum(row.get("learnt") == "False" for row in schema.dicts(path)) if path.exists() else 0
    told = f"{plan.config.name}: {count} of the finished replicates never learnt; the report lists them"
    return [told] if count else []


def faults(plan: Plan) -> list[str]:
    """What raised, the measures and then the parts of the report: a line each, below one with their number; [] for
    none."""
    return [*_unmeasured(plan), *_undrawn(plan)]


def _unmeasured(plan: Plan) -> list[str]:
    name, groups = plan.config.name, {cell: group for group, cells in plan.groups.items() for cell in cells}
    found = measure_faults.read(plan.path(f"results/{name}/tables"), groups, plan.folders.place(f"logs/measure/{name}"))
    lines = [f"  {fault.what}: {fault.why} (log: {fault.log})" for fault in found]
    head = f"{name}: measures failed ({len(lines)}); all else stands"
    return [head, *lines, f"  {measure_faults.ADVICE}"] if lines else []


def _undrawn(plan: Plan) -> list[str]:
    name, lines = plan.config.name, []
    for chapter in ("data", *plan.asked):
        path = plan.path(f"results/{name}/figures/{chapter}/exhibits.json")
        found = store.read_json(path).get("faults", []) if path.exists() else []
        log = plan.folders.place(f"logs/draw/{name}/{chapter}.log")
        lines += [f"  {chapter}: {one['what']}: {one['why']} (log: {log})" for one in found]
    return [f"{name}: parts of the report failed ({len(lines)}); all else stands", *lines] if lines else []


def spoken(seconds: float) -> str:
    """Seconds for a reader: 30 s, 2.5 min, 3.0 h."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def size(count: float) -> str:
    """Bytes for a reader: 12 kB, 3.4 MB."""
    for unit, length in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
