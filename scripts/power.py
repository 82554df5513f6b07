"""Print which differences 2, 3, 6 and 10 replicates would show, and what they cost, before or after a run.

python scripts/power.py --config JSON
"""

import signal

if __name__ == "__main__":  # before more is imported: Ctrl-C ends it without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

import argparse
import json
import sys
from collections.abc import Iterator

from weight_atlas import schema, stats
from weight_atlas.plan import commands, cost, outcome
from weight_atlas.plan.cell import Entry
from weight_atlas.plan.pace import Pace
from weight_atlas.plan.study import Plan
from weight_atlas.vocabulary import Kind, Protocol, Role

REPLICATES = (2, 3, 6, 10)
ASSUMED = (0.0025, 0.005, 0.01)  # standard deviations of a test accuracy between seeds: small, usual, large
HEAD = """\
Which difference of two cells' mean test accuracies would be seen, in points: with 80 % power in a two-sided t-test at
5 %, paired by seed. Spread: the standard deviation of a cell's accuracy from seed to seed, in points."""


def table(plan: Plan) -> str:
    """The table of each experiment of the studies that are asked for."""
    seen = spreads(plan)
    lines = [HEAD]
    for name, entries in experiments(plan):
        own = [seen[entry.cell_id] for entry in entries if entry.cell_id in seen]
        lines += ["", f"{name}: {len(entries)} cells", f"  {'replicates':26}{_row(map(str, REPLICATES))}"]
        lines.append(f"  {'training':26}{_row(times(plan, entries))}")
        for spread in ASSUMED:
            lines.append(f"  {f'spread {100 * spread:g}':26}{_row(differences(spread))}")
        if own:
            pooled = (sum(spread**2 for spread in own) / len(own)) ** 0.5
            words = f"spread {100 * pooled:.2g}, seen in {len(own)}"
            lines.append(f"  {words:26}{_row(differences(pooled))}")
    return "\n".join(lines)


def _row(texts: "Iterator[str] | map[str]") -> str:
    return "".join(f"{text:>12}" for text in texts)


def experiments(plan: Plan) -> Iterator[tuple[str, list[Entry]]]:
    """(study and experiment, the cells of its grid) of each experiment that trains cells."""
    for one in plan.experiments:
        own = [entry for entry in plan.entries if entry.study == one.study and entry.role == Role.GRID]
        own = [entry for entry in own if not one.name or entry.labels.get("experiment") == one.name]
        own = [entry for entry in own if plan.cells[entry.cell_id].kind != Kind.GIVEN]
        if own:
            yield ".".join(filter(None, (one.study, one.name))), own


def times(plan: Plan, entries: list[Entry]) -> Iterator[str]:
    """How long the cells take to train with each number of replicates, on the cores of this machine."""
    cells, paces = [plan.cells[cell_id] for cell_id in dict.fromkeys(entry.cell_id for entry in entries)], Pace(plan)
    for count in REPLICATES:
        if not all(cell.is_known for cell in cells):
            yield "unknown"
            continue
        needs = [cost.need(cell, count, plan.config.device) for cell in cells]
        jobs = [(paces.job(cell, need), need.threads) for cell, need in zip(cells, needs, strict=True)]
        yield outcome.spoken(outcome.shared(jobs, outcome.all_cores()))


def differences(spread: float) -> Iterator[str]:
    """The difference that each number of replicates shows, in points; two cells' seeds are taken as independent."""
    for count in REPLICATES:
        yield f"{100 * stats.detectable_difference(2**0.5 * spread, count):.1f}"


def spreads(plan: Plan) -> dict[str, float]:
    """cell_id -> the standard deviation of its test accuracy, of the results that are there."""
    path = plan.path(f"results/{plan.config.name}/tables/accuracy.csv")
    if not path.is_file():
        return {}
    rows = schema.read(path, "accuracy")
    rows = rows[rows["protocol"] == Protocol.BEST_VALID]
    found = {str(cell_id): stats.mean_interval(own["accuracy"]) for cell_id, own in rows.groupby("cell_id")}
    return {cell_id: one.std for cell_id, one in found.items() if one.n > 1}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", required=True, type=json.loads, help="the config as JSON")
    args = parser.parse_args()
    plan = commands.plan_or_exit(args.config, absent=True)
    try:
        print(table(plan))
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    return 0


if __name__ == "__main__":
    sys.exit(main())
