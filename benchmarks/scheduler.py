"""How long Snakemake takes to run many jobs that do nothing, with each of its schedulers.

    python benchmarks/scheduler.py [--jobs 500] [--repeats 5]

The schedulers take turns. What they add to a job is what profiles/default chooses between.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WORKFLOW = """
rule all:
    input: expand("out/{{n}}", n=range({jobs}))

rule one:
    output: "out/{{n}}"
    priority: lambda wildcards: int(wildcards.n)
    resources: mem_mb=10
    shell: ": > {{output}}"
"""
SCHEDULERS = ("greedy", "ilp")


def run(jobs: int, scheduler: str) -> float:
    """Wall seconds of a workflow of so many empty jobs in a fresh directory."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Snakefile").write_text(WORKFLOW.format(jobs=jobs))
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "--scheduler", scheduler]
        began = time.monotonic()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    found: dict[str, list[float]] = {scheduler: [] for scheduler in SCHEDULERS}
    for _ in range(args.repeats):
        for scheduler, seconds in found.items():
            seconds.append(run(args.jobs, scheduler))
    medians = {scheduler: statistics.median(seconds) for scheduler, seconds in found.items()}
    print(f"{args.jobs} empty jobs, 2 cores, medians of {args.repeats}")
    print("| scheduler | seconds | ms a job | / greedy |")
    print("| --- | ---: | ---: | ---: |")
    for scheduler, seconds in medians.items():
        ratio = seconds / medians["greedy"]
        print(f"| {scheduler} | {seconds:.1f} | {1000 * seconds / args.jobs:.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
