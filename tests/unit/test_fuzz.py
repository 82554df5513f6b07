"""Configs and files of every kind that is read, at random from a seed: a result or one line, within a bound of memory
(fuzzing.py makes and reads them, in a process of its own)."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.unit import fuzzing

BOUND = 1024  # MiB beyond what the process has when it begins: the largest image that is read takes half of it
# Cases of each target in the ordinary tests: together they take some 15 seconds of one core.
CASES = {
    "config": 200,
    "safetensors": 400,
    "zips": 300,
    "archives": 300,
    "unpacked": 300,
    "arrays": 300,
    "tables": 100,
    "lists": 60,
    "bundles": 300,
    "idx": 250,
}
SECONDS = 600  # of all targets in the long test


def run(target: str, seed: int, length: str) -> dict:
    """What a process says that runs cases of a target from a seed: a number of them, or seconds such as 60s."""
    command = [sys.executable, fuzzing.__file__, target, str(seed), length, str(BOUND)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "scripts"), str(ROOT)])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    problems = found.pop("problems")
    print(found)
    assert not problems, f"{found}, {len(problems)} problems, the first of them: {problems[0]}"
    assert found["peak_mib"] <= BOUND
    return found


@pytest.mark.parametrize("target", fuzzing.TARGETS)
def test_a_result_or_one_line(target):
    found = run(target, 0, str(CASES[target]))
    assert found["cases"] == CASES[target] == found["results"] + found["refused"]
    assert found["results"] > 10 and (found["refused"] > 10 or target == "bundles")  # whose check returns its line


@pytest.mark.long
@pytest.mark.parametrize("target", fuzzing.TARGETS)
def test_for_ten_minutes(target):
    """The seed is another one than above; `pytest -m long -rP` shows how many cases there were."""
    found = run(target, 1, f"{SECONDS / len(fuzzing.TARGETS):.0f}s")
    assert found["cases"] > CASES[target]


@pytest.mark.parametrize(
    "ends", [ZeroDivisionError("x"), ValueError("two\nlines a.safetensors"), ValueError("no name")]
)
def test_what_is_no_line_is_found(tmp_path, ends):
    def read(rng, path):
        raise ends

    target = fuzzing.TARGETS["safetensors"]._replace(run=read)
    assert fuzzing.problem(target, None, tmp_path)


def test_memory_beyond_the_bound_is_found(tmp_path):
    def read(rng, path):
        raise ValueError("a.safetensors: cannot be read (MemoryError)")

    assert fuzzing.problem(fuzzing.TARGETS["safetensors"]._replace(run=read), None, tmp_path)
