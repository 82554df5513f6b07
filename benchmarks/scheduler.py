"""What Snakemake itself needs: with each of its schedulers, and with its limit of jobs a second and without it.

    python benchmarks/scheduler.py [--jobs 500] [--waiting 100] [--repeats 5]

Schedulers: the wall seconds of many jobs that do nothing. What they add to a job is what profiles/default chooses
between. Limit: the core-seconds of jobs with 40 input files that sleep for a second, four at once, while the others
wait for their turn; what the Snakefile does as a run starts is to go without. The sides take turns.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import processes

WORKFLOW = """
rule all:
    input: expand("out/{{n}}", n=range({jobs}))

rule one:
    input: expand("in/{{k}}", k=range({files}))
    output: "out/{{n}}"
    priority: lambda wildcards: int(wildcards.n)
    resources: mem_mb=10
    shell: "sleep {seconds}; : > {{output}}"
"""
FILES = 40
WITHOUT = """
onstart:
    workflow.scheduler.job_rate_limiter = None
"""


def run(workflow: str, scheduler: str, cores: int) -> tuple[float, float]:
    """(wall seconds, core-seconds) of a workflow in a fresh directory."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in").mkdir()
        for number in range(FILES):
            (Path(folder) / f"in/{number}").touch()
        (Path(folder) / "Snakefile").write_text(workflow)
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--scheduler", scheduler, "--quiet", "all"]
        began = time.monotonic()
        spent = processes.core_seconds(command, folder=Path(folder))
        return time.monotonic() - began, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--waiting", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    empty = WORKFLOW.format(jobs=args.jobs, files=0, seconds=0)
    sleep = WORKFLOW.format(jobs=args.waiting, files=FILES, seconds=1)
    sides = {
        "greedy": (empty, "greedy", 2),
        "ilp": (empty, "ilp", 2),
        "with the limit": (sleep, "greedy", 4),
        "without it": (sleep + WITHOUT, "greedy", 4),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(args.repeats):
        for name, side in sides.items():
            found[name].append(run(*side))
    wall, spent = ({name: statistics.median(row[at] for row in rows) for name, rows in found.items()} for at in (0, 1))
    print(f"{args.jobs} empty jobs, 2 cores, medians of {args.repeats}")
    print("| scheduler | seconds | ms a job | / greedy |\n| --- | ---: | ---: | ---: |")
    for name in ("greedy", "ilp"):
        each, ratio = 1000 * wall[name] / args.jobs, wall[name] / wall["greedy"]
        print(f"| {name} | {wall[name]:.1f} | {each:.0f} | {ratio:.2f} |")
    print(f"\n{args.waiting} jobs that sleep for a second, four at once")
    print("| limit of jobs a second | seconds | core-seconds | / without it |\n| --- | ---: | ---: | ---: |")
    for name in ("with the limit", "without it"):
        print(f"| {name} | {wall[name]:.1f} | {spent[name]:.1f} | {spent[name] / spent['without it']:.2f} |")


if __name__ == "__main__":
    main()
