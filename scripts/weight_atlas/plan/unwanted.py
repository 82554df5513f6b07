"""What no config asks for any more: trained cells, prepared data and measures; listed, or removed.

What is asked for is a set of paths below the working directory: blocks (`results/cells/<cell>/seeds_0-2`), data sets
and weights (`data/<dataset>`, `data/weights/<weights>`, no suffix), measures (`results/<name>/measures/<group>`).
"""

import csv
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from weight_atlas import store
from weight_atlas.plan import lock, outcome
from weight_atlas.plan.checks import ConfigError
from weight_atlas.plan.disk import used
from weight_atlas.plan.study import Plan, block_path

BLOCK = re.compile(r"\.?(seeds_\d+-\d+)")
CELL = re.compile(r"(base|given|perturb|transfer)-.+")
WEIGHTS = re.compile(r".+-[0-9a-f]{10}")


@dataclass(frozen=True)
class Found:
    """Something that lies there: its path below the working directory, its files and directories, and, of trained
    cells, the blocks, each of which a process may be training."""

    path: str
    files: list[Path]
    blocks: list[Path] = field(default_factory=list)


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
    with open(results / "cells.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                weights = json.loads(row["cell"])["start"].get("weights_id")
                paths |= {*row["blocks"].split(";"), f"data/{row['dataset_id']}"}
                paths |= {f"results/{results.name}/measures/{row['group']}"}
            except (KeyError, TypeError, ValueError):
                raise ValueError(f"{file.name}: no list of cells; remove {results}, or run its config again") from None
            paths |= {f"data/weights/{weights}"} if weights else set()
    return paths


def others(plan: Plan) -> Iterator[tuple[str, set[str] | None, str]]:
    """Who else asks for something: (file or results, what it asks for, ""), or (file, None, why it cannot be read)."""
    for path in sorted((plan.root / "config").glob("*.yaml")):
        try:
            yield f"config/{path.name}", asked_by(Plan(yaml.safe_load(path.read_text(encoding="utf-8")), plan.root)), ""
        except (ConfigError, yaml.YAMLError, ValueError, OSError) as error:
            yield f"config/{path.name}", None, str(error).splitlines()[0]
    for path in sorted((plan.root / "results").glob("*/cells.csv")):
        if path.parent.name != plan.config.name:
            yield f"results/{path.parent.name}", shown_by(path.parent), ""


# ----------------------------------------------------------------------------------------------- what is there


def there(root: Path) -> Iterator[Found]:
    """What runs have left in results/cells, data and results/<name>/measures; nothing that a user put there."""
    for cell in _folders(root / "results/cells"):
        if CELL.fullmatch(cell.name):
            blocks = sorted({match[1] for entry in _folders(cell) if (match := BLOCK.fullmatch(entry.name))})
            for block in (cell / name for name in blocks):
                yield Found(f"results/cells/{cell.name}/{block.name}", [block, store.scratch_path(block)], [block])
    for card in sorted((root / "data").glob("*.json")):
        if _is_card(card):
            yield Found(f"data/{card.stem}", [card, card.with_suffix(".safetensors")])
    for weights in sorted((root / "data/weights").glob("*.safetensors")):
        if WEIGHTS.fullmatch(weights.stem) and {"source", "sha256"} <= store.tensor_header(weights)[0].keys():
            yield Found(f"data/weights/{weights.stem}", [weights])
    for cells in sorted((root / "results").glob("*/cells.csv")):
        for group in _folders(cells.parent / "measures"):
            yield Found(f"results/{cells.parent.name}/measures/{group.name}", [group])


def _folders(path: Path) -> list[Path]:
    """The directories in a directory, sorted; symbolic links are none of ours."""
    entries = os.scandir(path) if path.is_dir() else ()
    return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))


def _is_card(path: Path) -> bool:
    """Whether a JSON file is the card that `prepare` wrote of a data set of this name."""
    try:
        card = store.read_json(path)
    except ValueError:
        return False
    return isinstance(card, dict) and card.get("dataset_id") == path.stem and "fingerprint" in card


def unwanted(root: Path, wanted: set[str]) -> list[Found]:
    """What is there and not wanted; a cell as a whole where none of its blocks is."""
    cells: dict[str, list[Found]] = {}
    rest = []
    for one in there(root):
        cells.setdefault(os.path.dirname(one.path), []).append(one) if one.blocks else rest.append(one)
    trained = []
    for path, blocks in cells.items():
        left = [block for block in blocks if block.path not in wanted]
        whole = Found(path, [root / path], [block for one in blocks for block in one.blocks])
        trained += [whole] if len(left) == len(blocks) else left
    return trained + [one for one in rest if one.path not in wanted]


# ------------------------------------------------------------------------------------------ listed and removed


def table(plan: Plan, remove: bool, command: str) -> str:
    """What `snakemake prune` prints: who asks for something, and what nobody asks for; removed where told so.

    command: what a user types to remove it.
    """
    own = plan.root / "results" / plan.config.name
    shown = shown_by(own) if (own / "cells.csv").exists() else set()
    names, silent, wanted = [f"this config ({plan.config.name})"], [], asked_by(plan)
    for name, asked, why in others(plan):
        if asked is None:
            silent.append(f"cannot say: {name}: {why}")
        else:
            names.append(name)
            wanted |= asked
    lines, total, count = ["", f"wanted by: {', '.join(names)}", *silent, ""], 0, 0
    for one in unwanted(plan.root, wanted):
        size, latest = used(one.files)
        told = f"{outcome.size(size):>9}  {outcome.spoken(time.time() - latest):>9} old  {one.path}"
        told += f"  (still shown in results/{plan.config.name})" if _shown(one, shown) else ""
        stays = remove and not _remove(one)
        total, count = total + size * (not stays), count + (not stays)
        lines.append(f"{told}  (stays: it is being trained)" if stays else told)
    lines += [f"{'removed' if remove else 'wanted by none of them'}: {count} in all, {outcome.size(total)}"]
    return "\n".join([*lines, f"To remove them:\n  {command}"] if count and not remove else lines)


def _shown(one: Found, shown: set[str]) -> bool:
    """Whether the results that this config's last run left are made from it."""
    return any(path == one.path or path.startswith(f"{one.path}/") for path in shown)


def _remove(one: Found) -> bool:
    """Remove it, unless a process trains one of its blocks; whether it is gone."""
    handles = []
    try:
        for block in one.blocks:
            handles.append(lock.hold(store.lock_path(block)))
        for block in one.blocks:
            (block / "run.json").unlink(missing_ok=True)  # first: what is half removed must not look finished
        for path in one.files:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    except lock.Busy:
        return False
    finally:
        for block, handle in zip(one.blocks, handles, strict=False):
            store.lock_path(block).unlink(missing_ok=True)
            os.close(handle)
    return True
