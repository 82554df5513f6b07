"""What the plan says that measures take, against the files that the tour's measures left."""

from pathlib import Path

import pytest
import yaml

from weight_atlas import schema
from weight_atlas.plan import measuring, outcome
from weight_atlas.plan.measures import MEASURES
from weight_atlas.plan.study import Plan

ROOT = Path(__file__).resolve().parents[2]
NOT_ASKED = ("landscape", "classes", "representations", "connectivity")  # measures that the tour leaves out


@pytest.fixture(scope="module")
def plan(tour: Path) -> Plan:
    return Plan(yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")), tour.parents[1])


@pytest.fixture(scope="module")
def needs(plan: Plan) -> dict[str, measuring.Needs]:
    """What the plan says, by group."""
    groups = {group: [plan.cells[cell_id] for cell_id in members] for group, members in plan.groups.items()}
    return {group: measuring.group(cells, plan.listed) for group, cells in groups.items()}


def test_rows_are_counted_as_they_are_written(tour, needs):
    """Exactly, but in a group of which replicates diverged: these have fewer."""
    runs = schema.read(tour / "tables/runs.csv", "runs")
    cells = schema.read(tour / "cells.csv", "cells").drop_duplicates("cell_id").set_index("cell_id")["group"]
    diverged = set(cells[runs.loc[runs["status"] != "done", "cell_id"]])
    assert 1 <= len(diverged) < len(needs)
    for group, own in needs.items():
        for table, count in ((table, count) for need in own.values() for table, count in need.rows.items()):
            written = len(schema.rows(tour / "measures" / group / f"{table}.csv", table))
            assert written == count or group in diverged and 0.8 * count < written < count, (group, table)


def test_the_disk_that_measures_take_is_as_estimated(tour, needs):
    estimated = measuring.total(needs.values())
    sums = [0.0, 0.0]
    for name, need in estimated.items():
        kinds = [*(f"{table}.csv" for table in MEASURES[name].tables), f"{MEASURES[name].tensors}.safetensors"]
        size = sum(path.stat().st_size for kind in kinds for path in (tour / "measures").glob(f"*/{kind}"))
        size += sum((tour / "tables" / kind).stat().st_size for kind in kinds[:-1])
        sums = [sums[0] + need.disk_bytes, sums[1] + size]
        assert size < 20_000 or 0.75 * size < need.disk_bytes < 1.25 * size, name
    assert sums[0] == pytest.approx(sums[1], rel=0.1)


def test_the_plan_lists_each_measure_that_is_taken(plan, needs):
    lines = outcome.measures(plan)
    taken = [name for name in MEASURES if name not in NOT_ASKED]
    assert [line.split()[0] for line in lines[1:]] == taken, "the tour takes all others"
    assert sum(int(line.split()[-2].replace(",", "")) for line in lines if line.endswith(" rows")) == sum(
        count for own in needs.values() for need in own.values() for count in need.rows.values()
    )
