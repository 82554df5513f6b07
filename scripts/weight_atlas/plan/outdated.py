"""What must be made again, and the stamp files that tell Snakemake.

A finished block holds its recipe, and so do a data set's card and a file of weights. When the workflow starts, these
are compared with what each would be made from today. A stamp is older than the results where they agree and newer where
they do not, and it is the only input whose time counts. So results can be moved, copied or linked, and used with any
checkout of the same code.
"""

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from weight_atlas import records, store
from weight_atlas.datasets import seen
from weight_atlas.datasets.card import read as read_card
from weight_atlas.plan import outcome, parts, recipe, weights
from weight_atlas.plan.blocks import Block
from weight_atlas.plan.study import Plan, block_path

STAMPS = Path(".snakemake/atlas")
LONG_AGO = 86400.0  # 2 January 1970: no result is as old
ABSENT, OTHER = "it is not there", "it was made from something else"
CHANGED = "what it was made from has changed"
FOLLOWS, RETRIED = "what it is made from is made again", "it failed, or is not whole"


def outdated(plan: Plan) -> dict[str, str]:
    """{name without suffix: why} of all that must be made (again); with `retry_failed` what failed too.

    ValueError, in one line, where a run.json is no record of its block, a card not that of its data set, or where
    weights do not fit what starts from them.
    """
    reasons: dict[str, str] = {}
    for dataset_id in plan.datasets:
        reasons |= _entry(data_path(dataset_id), _why_dataset(plan, dataset_id))
    for weights_id in plan.weights:
        reasons |= _entry(weights_path(weights_id), _why_weights(plan, weights_id))
    retried = set(outcome.retried(plan)) if plan.config.retry_failed else set()
    parents = {cell.parent for cell in plan.cells.values()}
    runs: dict[str, list[dict[str, Any]]] = {}  # of parents alone: they come before what starts from them
    for cell_id, blocks in plan.blocks.items():
        for block in blocks:
            name = block_path(cell_id, block)
            run = records.read(plan.path(name)) if (plan.path(name) / "run.json").exists() else None
            if run and cell_id in parents:
                runs.setdefault(cell_id, []).extend(run["replicates"])
            if plan.cells[cell_id].kind != "given":
                why = RETRIED if name in retried else _why_block(plan, cell_id, block, run, reasons, runs)
                reasons |= _entry(name, why)
    _check_weights(plan, reasons)
    return reasons


def maker(path: str) -> str:
    """The key in `outdated` of what makes a file, by the file's name."""
    return path.removesuffix("/run.json") if path.endswith("/run.json") else path.rsplit(".", 1)[0]


def data_path(dataset_id: str) -> str:
    """What a data set and its card are called, without their suffixes."""
    return f"data/{dataset_id}"


def weights_path(weights_id: str) -> str:
    """What prepared weights are called, without the suffix."""
    return f"data/weights/{weights_id}"


def _entry(name: str, why: str | None) -> dict[str, str]:
    return {name: why} if why else {}


def _why_dataset(plan: Plan, dataset_id: str) -> str | None:
    """Why a data set must be prepared, or None."""
    card, data = (plan.path(f"{data_path(dataset_id)}.{suffix}") for suffix in ("json", "safetensors"))
    if not (card.exists() and data.exists()):
        return ABSENT
    found, images = read_card(card), store.tensor_header(data).shapes.get("images")
    wanted = (sum(map(sum, found["counts"].values())), found["channels"], *found["size"])
    if images != wanted:
        raise ValueError(f"{data}: its images are {images}, and its card has {wanted}; remove both, to make them again")
    asked = plan.datasets[dataset_id]
    if asked.fingerprint not in (None, found["fingerprint"]):
        return CHANGED
    return None if found.get("recipe") == recipe.dataset(asked.spec, found["fingerprint"]) else OTHER


def _why_weights(plan: Plan, weights_id: str) -> str | None:
    """Why a file of weights must be prepared, or None."""
    path = plan.path(f"{weights_path(weights_id)}.safetensors")
    if not path.exists():
        return ABSENT
    spec, header = plan.weights[weights_id], store.tensor_header(path)[0]
    source = None if "published" in spec or spec["sha256"] else Path(plan.config.data_root) / spec["file"]
    if source and source.is_file():
        record = plan.root / parts.seen_path(weights_id)
        if seen.recall(record, seen.mark([source]), lambda: store.sha256(source)) != header["sha256"]:
            return CHANGED
    return None if header.get("recipe") == recipe.weights(spec) else OTHER


def _check_weights(plan: Plan, reasons: Collection[str]) -> None:
    """Refuse weights that do not fit the cells that are to be trained from them."""
    cells = (plan.cells[cell_id] for cell_id, _ in outcome.known(plan, outcome.missing(plan, reasons)))
    files = {name: plan.path(f"{weights_path(name)}.safetensors") for name in plan.weights}
    again = [name for name in plan.weights if weights_path(name) in reasons]
    weights.check(cells, files, again, Path(plan.config.data_root))


def _why_block(
    plan: Plan,
    cell_id: str,
    block: Block,
    run: dict[str, Any] | None,
    reasons: dict[str, str],
    runs: dict[str, list[dict[str, Any]]],
) -> str | None:
    """Why a block must be trained, or None; reasons: what is outdated so far; runs: the records of parents."""
    if run is None:
        return ABSENT
    cell = plan.cells[cell_id]
    data, start = data_path(cell.settings.dataset_id), cell.weights and weights_path(cell.weights.weights_id)
    if any(name in reasons for name in (data, start, *plan.parent_blocks(cell_id, block))):
        return FOLLOWS
    today = recipe.block(
        cell.settings,
        plan.path(f"{data}.json"),
        plan.path(f"{start}.safetensors") if start else None,
        runs.get(cell.parent or "", []),
        range(block[0], block[1] + 1),
    )
    if not all(recipe.agrees(record["recipe"], today, plan.config.adopt) for record in run["replicates"]):
        return OTHER
    if run["cell"] != cell.settings.json:
        path = plan.path(block_path(cell_id, block)) / "run.json"
        raise ValueError(
            f"{path}: its settings are not those that it was trained with; remove the file, so that it is made again"
        )
    return None


def stamp(plan: Plan, again: Collection[str]) -> dict[str, Path]:
    """Write the stamp of everything that the plan prepares or trains; again: what is made (again), as in `outdated`.

    Returns the stamps, by the keys of `outdated`."""
    files = {path: [f"{path}.safetensors", f"{path}.json"] for path in map(data_path, plan.datasets)}
    files |= {path: [f"{path}.safetensors"] for path in map(weights_path, plan.weights)}
    for path in (block_path(cell_id, block) for cell_id, blocks in plan.blocks.items() for block in blocks):
        files[path] = [f"{path}/run.json", f"{path}/metrics.csv"]
    for name, results in files.items():
        _set(plan.root / STAMPS / name, [plan.path(file) for file in results], name in again)
    return {name: plan.root / STAMPS / name for name in files}


def _set(path: Path, results: list[Path], again: bool) -> None:
    """A stamp that is newer than the results, with a content that it never had; or one of long ago.

    Snakemake takes the time of a job's benchmark, which stays behind, for that of its results where it is older.
    """
    if again or not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{time.time_ns()}\n", encoding="utf-8")
    newest = max((file.stat().st_mtime for file in results if file.exists()), default=0.0)
    second = max(time.time(), newest + 1) if again else LONG_AGO
    os.utime(path, (second, second))
