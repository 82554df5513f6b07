"""Where the tour's time goes: processes that import torch and core-seconds, study by study.

    python benchmarks/tour.py [--cores 2]

The workflow is copied to a temporary directory and run there once. A cell that two studies share counts for the first.
"""

import argparse
import csv
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "rules", "scripts", "config", "report", "profiles", "envs", "requirements.txt")
SPENT = re.compile(r"^core-seconds: ([\d.]+), ([\d.]+) of them to start", re.M)


def copied(root: Path) -> Path:
    """The new folder `root` with a copy of the workflow, without any result."""
    root.mkdir()
    for part in PARTS:
        source, copy = ROOT / part, shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(source, root / part)
    return root


def spent(log: Path) -> tuple[float, float]:
    """(core-seconds of a process, those until it begins its work), as its log says."""
    found = SPENT.findall(log.read_text(encoding="utf-8"))
    return tuple(map(float, found[-1])) if found else (0.0, 0.0)


def shares(root: Path) -> dict[str, dict]:
    """{study: processes and core-seconds of its training and of its measuring} of a finished tour in `root`."""
    found, seen = {}, set()
    with open(root / "results/tour/cells.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        own = found.setdefault(row["study"], {"cells": set(), "training": [], "measuring": []})
        own["cells"].add(row["cell_id"])
        jobs = [
            ("training", f"train/{Path(block).parent.name}/{Path(block).name}.log")
            for block in row["blocks"].split(";")
        ]
        jobs += [("measuring", f"measure/tour/{row['group']}.log")] if row["role"] != "source" else []
        for kind, log in jobs:
            if log not in seen:
                seen.add(log)
                own[kind].append(spent(root / "logs" / log))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    cores = parser.parse_args().cores
    with tempfile.TemporaryDirectory() as folder:
        root = copied(Path(folder) / "tour")
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", str(cores)],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wall, usage = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(done.stdout[-3000:])
        found = shares(root)
    total, work, processes = usage.ru_utime + usage.ru_stime, 0.0, 0
    print("| Study | Cells | Trainings | Measurings | Core-seconds training | Core-seconds measuring |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for study, own in found.items():
        counts = [len(own[kind]) for kind in ("training", "measuring")]
        net = [sum(whole - start for whole, start in own[kind]) for kind in ("training", "measuring")]
        processes, work = processes + sum(counts), work + sum(net)
        print(f"| {study} | {len(own['cells'])} | {counts[0]} | {counts[1]} | {net[0]:.0f} | {net[1]:.0f} |")
    starts = sum(start for own in found.values() for kind in ("training", "measuring") for _, start in own[kind])
    print(f"\n{processes} processes with torch; {wall:.0f} s on {cores} cores; {total:.0f} core-seconds in all:")
    print(f"{work:.0f} training and measuring, {starts:.0f} to start these processes, {total - work - starts:.0f} else")
    print(f"({1 - work / total:.0%} outside training and measuring).")


if __name__ == "__main__":
    main()
