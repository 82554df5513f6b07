"""Checkpoints of any model, sharded, of 2 GB each: time and memory of reading them in and of all measures.

    python benchmarks/any_model.py [--blocks 38] [--width 1024] [--checkpoints 3] [--threads 1] [--folder DIR]

Random weights of a transformer's shapes are written to a temporary folder (in DIR) in float32, in shards of half a
gigabyte with an index. Then the two commands that the workflow runs on them are run, one after the other: `given.py`
(digests, and whether all values are finite) and `measure.py`. Memory is ru_maxrss of each process, which counts pages
of files that are mapped; the floor is the time to read the bytes of all checkpoints once, in the same sitting, from
memory where the machine has room. All times are the processor's, so that neighbours count little.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import torch

from weight_atlas import schema
from weight_atlas.plan import measuring, sharded, study
from weight_atlas.store import save_tensors

COMMANDS = Path(__file__).resolve().parents[1] / "scripts"
SHARD = 500_000_000  # bytes


def shapes(blocks: int, width: int, vocabulary: int = 32_000) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (vocabulary, width)}
    for block in range(blocks):
        name = f"layers.{block}"
        found |= {f"{name}.self_attn.{own}_proj.weight": (width, width) for own in "qkvo"}
        found |= {f"{name}.self_attn.{own}_proj.bias": (width,) for own in "qkvo"}
        found |= {f"{name}.mlp.up.weight": (4 * width, width), f"{name}.mlp.down.weight": (width, 4 * width)}
        found |= {f"{name}.norm{number}.weight": (width,) for number in (1, 2)}
    return found | {"norm.weight": (width,)}


def write(folder: Path, blocks: int, width: int, step: int) -> None:
    """A checkpoint in shards: noise that depends on the tensor, and some more of it at each step."""
    folder.mkdir(parents=True)
    where, shard, held = {}, {}, 0
    every = shapes(blocks, width)
    for at, (name, shape) in enumerate(every.items()):
        draw = torch.Generator().manual_seed(at)
        tensor = torch.randn(shape, generator=draw) * 0.02
        shard[name] = tensor.add_(torch.randn(shape, generator=draw.manual_seed(10_000 * step + at)), alpha=1e-3 * step)
        held += tensor.nbytes
        if held > SHARD or at == len(every) - 1:
            file = f"model-{len({*where.values()}) + 1:05}.safetensors"
            save_tensors(folder / file, shard)
            where |= dict.fromkeys(shard, file)
            shard, held = {}, 0
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))


def read(files: list[Path]) -> float:
    """The processor's seconds of reading the bytes of files."""
    began, buffer = time.process_time(), bytearray(1 << 20)
    for path in files:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.process_time() - began


def run(command: list[str], folder: Path) -> tuple[float, float, str]:
    """(the processor's seconds, MiB at the peak, what it says) of a command."""
    with open(folder / "log", "w+") as log:
        child = subprocess.Popen([sys.executable, *command], cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(child.pid, 0)
        log.seek(0)
        said = log.read()
    if status:
        sys.exit(said)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--blocks", type=int, default=38)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--checkpoints", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        for step in range(args.checkpoints):
            write(folder / f"data/run/checkpoint-{step}", args.blocks, args.width, step)
        plan = study.Plan(
            {"name": "any", "data_root": str(folder / "data"), "given": {"run": {"files": "run"}}}, folder
        )
        [cell] = plan.cells.values()
        rows, [group] = plan.rows(), plan.groups
        columns = schema.header("cells", list(rows[0]))
        schema.write(folder / "cells.csv", "cells", ([row[key] for key in columns] for row in rows), header=columns)
        files = [file for path in cell.files[0] for file in sharded.shards(path)]
        size = sum(file.stat().st_size for file in files)
        floor = min(read(files) for _ in range(2))
        largest = 4 * cell.table.largest / 2**20
        print(
            f"{len(cell.table.layers)} tensors, {cell.table.parameter_count:,} parameters, {largest:.0f} MiB at most;"
        )
        print(f"{args.checkpoints} checkpoints of {size / args.checkpoints / 1e9:.2f} GB in {len(files)} files")
        print(f"reading all bytes once: {floor:.1f} s of the processor")
        block = f"results/cells/{cell.cell_id}/seeds_0-0"
        given = [str(COMMANDS / "given.py"), "--cell-id", cell.cell_id, "--cell", json.dumps(cell.settings.json)]
        given += ["--files", *map(str, cell.files[0]), "--output", block]
        measure = [str(COMMANDS / "measure.py"), "--cells", "cells.csv", "--group", group, "--output", "measures"]
        print("| Command | Core-seconds | Times reading | Peak MiB |\n| --- | ---: | ---: | ---: |")
        for words, command in (("given.py", given), ("measure.py", [*measure, "--threads", str(args.threads)])):
            seconds, peak, said = run(command, folder)
            print(f"| {words} | {seconds:.1f} | {seconds / floor:.1f} | {peak:.0f} |", flush=True)
        print(said)
        needs = measuring.group([cell], plan.listed)
        asked = measuring.asked(needs, [cell])
        print("the plan expects: " + ", ".join(f"{key} {need.seconds:.1f} s" for key, need in needs.items()))
        print(f"it asks for {asked.mem_mb} MB and {asked.minutes} minutes")


if __name__ == "__main__":
    main()
