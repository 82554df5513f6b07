"""What the plan says that measuring 300 cells takes, beside what it takes: rows, disk and time, by measure.

    .venv/bin/python benchmarks/measuring.py BLOCK

BLOCK is the folder of a trained block of LeNet-5 on the digits, such as those of the finished tour in results/cells.
300 made-up cells of 60 learning rates and 5 starts, in a temporary folder, have its files: nothing is trained. The
folder data of this checkout must hold the digits.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from weight_atlas import cell_table, records, schema, store  # noqa: E402
from weight_atlas.analysis import course, group, measures  # noqa: E402
from weight_atlas.plan import measuring, study  # noqa: E402
from weight_atlas.plan.measures import MEASURES  # noqa: E402

INITS = ["kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "default"]


def config(replicates: int) -> dict[str, Any]:
    """300 cells that are recorded as the tour's LeNet-5, at their ends."""
    grid = {"dataset": ["digits"], "network": ["lenet5"], "init": INITS, "optimizer": ["sgd"]}
    rates = {str(number): {"set": {"lr": number / 1000}} for number in range(1, 61)}
    return {
        "name": "many",
        "replicates": replicates,
        "replicates_per_job": replicates,
        "datasets": {"digits": {"source": "digits"}},
        "networks": {"lenet5": {}},
        "optimizers": {"sgd": {"type": "sgd"}},
        "training": {"epochs": 8, "snapshots": "ends", "track": True},
        "definitions": {"many": {"grid": grid, "vary": {"rate": rates}}},
    }


def make_up(plan: study.Plan, block: Path) -> None:
    """Give every cell of the plan the files of the block, in the working directory."""
    for cell_id, blocks in plan.blocks.items():
        folder = Path(study.block_path(cell_id, blocks[0]))
        for path in (path for path in block.rglob("*") if path.is_file()):
            target = folder / path.relative_to(block)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path)
        (folder / "run.json").unlink()
        store.write_json(folder / "run.json", records.read(block) | {"cell_id": cell_id})


def timed(spent: Counter[str]) -> None:
    """Have every measure add the core-seconds of what it does to `spent`."""

    def wrap(owner: type, name: str, method: str) -> None:
        function: Callable[..., Any] = getattr(owner, method)

        def measured(*arguments: Any) -> Any:
            since = time.process_time()
            result = function(*arguments)
            spent[name] += time.process_time() - since
            return result

        setattr(owner, method, measured)

    for made in (*measures.CELL_MEASURES, *measures.COURSE_MEASURES, *measures.MODEL_MEASURES):
        for method in ("see", "rows"):
            wrap(made, made.name, method)
    inner = course.statistics.rows

    def described(*arguments: Any) -> Any:
        since = time.process_time()
        rows = inner(*arguments)
        spent["statistics"] += time.process_time() - since
        return rows

    course.statistics.rows = described


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("block", type=Path, help="the folder of a trained block of LeNet-5 on the digits")
    block = parser.parse_args().block.resolve()
    replicates = len(records.read(block)["replicates"])
    spent: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("data").symlink_to(ROOT / "data")
        plan = study.Plan(config(replicates))
        make_up(plan, block)
        [(name, members)] = plan.groups.items()
        since = time.process_time()
        needs = measuring.group([plan.cells[cell_id] for cell_id in members], plan.listed)
        print(f"{len(members)} cells, {replicates} replicates; the estimate took {time.process_time() - since:.1f} s")
        cells = [cell_table.GroupedCell(cell_id=cell_id, **plan.listed[cell_id]) for cell_id in members]
        data = plan.cells[members[0]].trained_on.dataset_id
        timed(spent)
        since = time.process_time()
        with open(os.devnull, "w") as quiet:
            out, sys.stdout = sys.stdout, quiet
            group.measure(cells, f"data/{data}.safetensors", store.read_json(Path(f"data/{data}.json")), name)
            sys.stdout = out
        whole = time.process_time() - since
        print("| Measure | Rows | Estimated | MB | Estimated | s | Estimated |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for measure, need in needs.items():
            tables = MEASURES[measure].tables
            rows = sum(len(schema.rows(Path(name, f"{table}.csv"), table)) for table in tables)
            files = [*(f"{table}.csv" for table in tables), f"{MEASURES[measure].tensors}.safetensors"]
            size = sum(path.stat().st_size for path in (Path(name, file) for file in files) if path.exists())
            if need.rows and rows:
                print(
                    f"| {measure} | {rows:,} | {sum(need.rows.values()):,} | {size / 1e6:.2f} | "
                    f"{(need.csv + need.tensors) / 1e6:.2f} | {spent[measure]:.1f} | {need.seconds:.1f} |"
                )
        estimated = sum(need.seconds for need in needs.values())
        print(f"in all {whole:.0f} core-seconds, estimated {estimated:.0f}: {json.dumps(round(estimated / whole, 2))}")


if __name__ == "__main__":
    main()
