"""What no config asks for any more: trained cells, prepared data, measures and traced layer tables; listed, or removed.

What is asked for is a set of names (`weight_atlas.folders`): blocks (`results/cells/<cell>/seeds_0-2`), data sets and
weights (`data/<dataset>`, `data/weights/<weights>`, no suffix), measures (`results/<name>/measures/<group>`), and the
files of layer tables (`.snakemake/atlas/networks/<digest>.json`).
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml

from weight_atlas import schema, store
from weight_atlas.networks import foreign
from weight_atlas.plan import lock, outcome, removal, spec
from weight_atlas.plan.checks import ConfigError
from weight_atlas.plan.disk import used
from weight_atlas.plan.study import Plan, block_path
from weight_atlas.text import printable

BLOCK = re.compile(r"\.?(seeds_\d+-\d+)")
CELL = re.compile(r"(base|given|perturb|transfer)-.+")
WEIGHTS = re.compile(r".+-[0-9a-f]{10}")


@dataclass(frozen=True)
class Item:
    """Something on the disk: its name, its files and directories, of trained cells the blocks, each of which a process
    may be training, and what it is, where its name does not say so."""

    path: str
    files: list[Path]
    blocks: list[Path] = field(default_factory=list)
    what: str = ""


# ------------------------------------------------------------------------------------------- what is asked for


def asked_by(plan: Plan) -> set[str]:
    """What a config asks for."""
    return {
        *(block_path(cell, block) for cell, blocks in plan.blocks.items() for block in blocks),
        *(f"data/{dataset}" for dataset in plan.datasets),
        *(f"data/weights/{weights}" for weights in plan.weights),
        *(f"results/{plan.config.name}/measures/{group}" for group in plan.groups),
    }


def shown_by(results: Path) -> set[str]:
    """What the results of a config were made from, by their cells.csv; ValueError in one line where it has no such."""
    paths: set[str] = set()
    try:
        for row in schema.dicts(results / "cells.csv"):
            weights = json.loads(row["cell"])["start"].get("weights_id")
            paths |= {*row["blocks"].split(";"), f"data/{row['dataset_id']}"}
            paths |= {f"results/{results.name}/measures/{row['group']}"}
            paths |= {f"data/weights/{weights}"} if weights else set()
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        what = f"{results}/cells.csv: no list of cells; remove {results}, or run its config again"
        raise ValueError(printable(what, 9999)) from None
    return paths


class Demand(NamedTuple):
    """What a config file or results ask for; paths is None where that cannot be read, as `problem` says."""

    name: str
    paths: set[str] | None
    problem: str = ""


def others(plan: Plan) -> Iterator[Demand]:
    """What the other configs and results ask for."""
    for path in sorted((plan.root / "config").glob("*.yaml")):
        try:
            other = Plan(yaml.safe_load(path.read_text(encoding="utf-8")), plan.root, look=False)
            yield Demand(f"config/{path.name}", asked_by(other))
        except (ConfigError, yaml.YAMLError, ValueError, OSError) as error:
            yield Demand(f"config/{path.name}", None, str(error).splitlines()[0])
    for path in sorted(plan.path("results").glob("*/cells.csv")):
        if path.parent != plan.path(f"results/{plan.config.name}"):
            yield Demand(f"results/{path.parent.name}", shown_by(path.parent))
            _plan_again(plan, path.with_name("config.json"))


def _plan_again(plan: Plan, path: Path) -> None:
    """Plan the config of some results, so that it is known which networks it has traced; where that fails, they are
    traced again when they are needed."""
    if any((plan.root / foreign.KEPT).glob("*.json")) and path.is_file():
        with contextlib.suppress(ConfigError, ValueError, OSError):
            config = store.read_json(path)
            Plan({key: config[key] for key in spec.Config.model_fields if key in config}, plan.root, look=False)


def traced() -> set[str]:
    """The files of the layer tables that the plans of this process have asked for."""
    return {(foreign.KEPT / name).as_posix() for name in foreign.asked()}


# ----------------------------------------------------------------------------------------------- what is there


def stored(plan: Plan) -> Iterator[Item]:
    """What runs have left in results/cells, data and results/<name>/measures; nothing that a user put there.

    A link of a cell, block or measure is the user's. Where results or data are links themselves, what lies behind them
    is found, and stays (see `table`): it may be others' too.
    """
    for cell in _folders(plan.path("results/cells")):
        if CELL.fullmatch(cell.name):
            blocks = sorted({match[1] for entry in _folders(cell) if (match := BLOCK.fullmatch(entry.name))})
            for block in (cell / name for name in blocks):
                yield Item(f"results/cells/{cell.name}/{block.name}", [block, store.scratch_path(block)], [block])
    for card in sorted(plan.path("data").glob("*.json")):
        if _is_card(card):
            yield Item(f"data/{card.stem}", [card, card.with_suffix(".safetensors")])
    for weights in sorted(plan.path("data/weights").glob("*.safetensors")):
        if WEIGHTS.fullmatch(weights.stem) and _is_weights(weights):
            yield Item(f"data/weights/{weights.stem}", [weights])
    own = plan.path(f"results/{plan.config.name}")
    for cells in sorted(plan.path("results").glob("*/cells.csv")):
        name = plan.config.name if cells.parent == own else cells.parent.name
        for group in _folders(cells.parent / "measures"):
            yield Item(f"results/{name}/measures/{group.name}", [group])
    for table in sorted((plan.root / foreign.KEPT).glob("*.json")):
        yield Item((foreign.KEPT / table.name).as_posix(), [table], what=_network(table))


def _network(table: Path) -> str:
    """What a traced layer table is, in words; those of before do not name their network."""
    try:
        kept = store.read_json(table)
    except (ValueError, OSError):
        kept = {}
    architecture = kept.get("architecture") if isinstance(kept, dict) else None
    return f"the layer table of {architecture}" if architecture else "a layer table"


def _folders(path: Path) -> list[Path]:
    """The directories in a directory, sorted; symbolic links are none of ours."""
    entries = os.scandir(path) if path.is_dir() else ()
    return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))


def _is_card(path: Path) -> bool:
    """Whether a file (no pipe, which would wait for a writer) is the card that `prepare` wrote of this data set."""
    try:
        card = store.read_json(path) if path.is_file() else None
    except (ValueError, OSError, RecursionError):
        return False
    return isinstance(card, dict) and card.get("dataset_id") == path.stem and "fingerprint" in card


def _is_weights(path: Path) -> bool:
    """Whether a file is one of the weights that `weights` wrote."""
    try:
        return path.is_file() and {"source", "sha256"} <= store.tensor_header(path)[0].keys()
    except (ValueError, OSError, RecursionError):
        return False


def unwanted(plan: Plan, wanted: set[str]) -> list[Item]:
    """What is there and not wanted; a cell as a whole where none of its blocks is, a linked one among them."""
    cells: dict[str, list[Item]] = {}
    rest: list[Item] = []
    for item in stored(plan):
        if item.blocks:
            cells.setdefault(os.path.dirname(item.path), []).append(item)
        else:
            rest.append(item)
    trained: list[Item] = []
    for path, items in cells.items():
        left = [item for item in items if item.path not in wanted]
        cell = Item(path, [plan.path(path)], [block for item in items for block in item.blocks])
        trained += left if any(name.startswith(f"{path}/") for name in wanted) else [cell]
    return trained + [item for item in rest if item.path not in wanted]


# ------------------------------------------------------------------------------------------ listed and removed


def table(plan: Plan, remove: bool, command: str, say: Callable[[str], object]) -> int:
    """Say what `snakemake prune` prints: who asks for something, and what nobody asks for; how much of that failed.

    Parameters
    ----------
    remove : bool
        Whether the latter is removed. Each line is said before its files go, so that whatever stops this, nothing is
        gone that was not listed. What cannot be removed stays, with the reason in its line.
    command : str
        What a user types to remove it.
    say : callable
        Is given pieces of text, with their line ends.
    """
    results = plan.path(f"results/{plan.config.name}")
    shown = shown_by(results) if (results / "cells.csv").exists() else set()
    names, wanted, sums, failed = [f"this config ({plan.config.name})"], asked_by(plan), [0, 0], 0
    unreadable = []
    for name, paths, problem in others(plan):
        if paths is None:
            unreadable.append(printable(f"cannot say: {name}: {problem}"))
        else:
            names.append(printable(name))
            wanted |= paths
    wanted |= traced()
    say("\n".join(["", f"wanted by: {', '.join(names)}", *unreadable, "", ""]))
    for item in unwanted(plan, wanted):
        size, latest = used(item.files)
        say(f"{outcome.size(size):>9}  {outcome.spoken(time.time() - latest):>9} old  {printable(item.path)}")
        say(f"  ({printable(item.what)})" if item.what else "")
        say(f"  (still shown in {plan.folders.results})" if _shown(item, shown) else "")
        try:
            root = _root(plan, item)
            why = _stays(root, item) or (remove and _remove(root, item)) or ""
        except OSError as error:
            why, failed = f"not all of it could be removed: {removal.reason(error)}", failed + 1
        say(f"  (stays: {why})\n" if why else "\n")
        sums = sums if why else [sums[0] + 1, sums[1] + size]
    say(f"{'removed' if remove else 'wanted by none of them'}: {sums[0]} in all, {outcome.size(sums[1])}\n")
    say(f"To remove them:\n  {command}\n" if sums[0] and not remove else "")
    return failed


def _shown(item: Item, shown: set[str]) -> bool:
    """Whether the results that this config's last run left are made from it."""
    return any(path == item.path or path.startswith(f"{item.path}/") for path in shown)


def _root(plan: Plan, item: Item) -> Path:
    """The folder below which no link is followed: the working directory, or the one of the four that it lies in."""
    roots = (plan.root, *map(plan.path, ("data", "results/cells", "results")))
    return next(root for root in roots if all(path.is_relative_to(root) for path in item.files))


def _stays(root: Path, item: Item) -> str | None:
    """Why prune leaves it, where it does: it is a link, or lies behind one."""
    places = [*item.files, *map(store.lock_path, item.blocks)]
    link = next((link for path in places if (link := removal.link_to(root, path))), None)
    if link is None:
        return None
    return f"{printable(link.relative_to(root))} is a link, to {printable(os.readlink(link))}; remove it there"


def _remove(root: Path, item: Item) -> str | None:
    """Remove it, unless a process trains one of its blocks: then the reason. OSError where something stays."""
    handles: list[int] = []
    try:
        for block in item.blocks:
            handles.append(lock.hold(store.lock_path(block)))
        for block in item.blocks:
            removal.remove(root, block / "run.json")  # first: what is half removed must not look finished
        for path in item.files:
            removal.remove(root, path)
    except lock.Busy:
        return "it is being trained"
    finally:
        for block, handle in zip(item.blocks, handles, strict=False):
            removal.remove(root, store.lock_path(block))
            os.close(handle)
    return None
