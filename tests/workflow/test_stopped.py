"""Ctrl-C, which every process of a run gets at once: one line, whatever the run was doing, and the command goes on."""

import os
import signal
import subprocess
import sys

import pytest

from tests.conftest import SLOW, Workflow, bare, small, until
from weight_atlas import interrupt

# What is waited for before Ctrl-C: a text of the console, or a file.
MOMENTS = {
    "planning": "Building DAG of jobs",
    "preparing": "logs/prepare/*.log",
    "training": "logs/train/*/*.log",
    "measuring": "logs/measure/tiny/*.log",
    "rendering": "logs/render/tiny/*.log",
}


class Run:
    """A run of the workflow in a process group, as a terminal starts it."""

    def __init__(self, workflow: Workflow, *settings: str):
        self.root = workflow.root
        command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "config/tiny.yaml", *settings]
        with open(self.root / "console", "wb") as console:
            self.process = subprocess.Popen(
                command, cwd=self.root, env=bare(), stdout=console, stderr=console, start_new_session=True
            )

    def said(self) -> str:
        return (self.root / "console").read_text()

    def has_reached(self, moment: str) -> bool:
        assert self.process.poll() is None, self.said()
        return moment in self.said() if " " in moment else any(self.root.glob(moment))

    def stop(self) -> list[str]:
        """Ctrl-C; what the console says from then on."""
        before = self.said().splitlines()
        os.killpg(self.process.pid, signal.SIGINT)
        assert self.process.wait(300) != 0
        return self.said().splitlines()[len(before) :]


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    workflow = Workflow(tmp_path_factory.mktemp("stopped"), small("slow"))
    (workflow.root / "scripts/weight_atlas/networks/architectures/slow.py").write_text(SLOW)
    return workflow


@pytest.mark.parametrize("stage", MOMENTS)  # in this order, each goes on where the one before it was stopped
def test_ctrl_c_ends_in_one_line(slow, stage):
    (slow.root / "slow").write_text("0.5" if stage == "training" else "0")
    for log in slow.root.glob(MOMENTS[stage]):
        log.unlink()
    run = Run(slow)
    until(lambda: run.has_reached(MOMENTS[stage]))
    said = run.stop()
    # Lines that were on their way when it was stopped are of jobs that begin or end, and of none that failed.
    assert said[-1] == interrupt.STOPPED and said.count(interrupt.STOPPED) == 1, said
    assert not [line for line in said if "Traceback" in line or "Error" in line or "Exception" in line], said


def test_the_same_command_goes_on_and_a_report_of_other_settings_is_not_named(slow):
    assert "The report: results/tiny/report/report.html" in slow.run().stdout
    (slow.root / "slow").write_text("0.5")
    for log in slow.root.glob(MOMENTS["training"]):
        log.unlink()
    run = Run(slow, "--config", "training.epochs=3")
    until(lambda: run.has_reached(MOMENTS["training"]))
    said = run.stop()
    assert said[-1] == interrupt.STOPPED and "The report" not in run.said(), said
