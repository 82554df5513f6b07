"""Inputs that are dated in the future: what is finished stays, and the next run has nothing to do."""

import os
import time

from tests.conftest import Workflow

FUTURE = 3600


def test_a_date_in_the_future_costs_nothing(finished: Workflow):
    workflow = finished
    record = next((workflow.root / "results/cells").glob("base-*/seeds_0-2/run.json"))
    weights, before = workflow.weights(), record.read_bytes()
    later = time.time() + FUTURE
    for part in ("scripts", "report", "rules", "data"):
        for path in (workflow.root / part).rglob("*"):
            os.utime(path, (later, later))
    record.unlink()  # the launcher makes it again from the replicates, as a job of Snakemake's
    said = workflow.run("all").stdout
    assert "results were dated in the future" in said
    assert "Trying to restart" not in said and "Removing output files" not in said
    assert record.read_bytes() == before and workflow.weights() == weights
    again = workflow.run("all").stdout
    assert "Nothing to be done" in again and "dated in the future" not in again
