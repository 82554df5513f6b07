"""A copy of the workflow in a separate directory (with a space in its name), a way to run it there, and the tour."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import yaml

from tests import warm
from weight_atlas.plan import preload

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "rules", "scripts", "config", "report", "profiles", "envs")
PARTS += ("requirements.txt", "CITATION.cff", "LICENSE")
STREAMS = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
# Several processes share the cores: a thread of torch's that has nothing to do sleeps, and does not spin.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_xdist_auto_num_workers() -> int:
    """One process of tests a core, and one more, since those of SLURM and Snakemake wait for half of their time."""
    return min(len(os.sched_getaffinity(0)), 8) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """SLURM first, which waits longest, and whole workflows before parts: a file is tested by one process, and none is
    left alone with a long one in the end."""
    places = {"integration": 0, "workflow": 1, "unit": 2}
    items.sort(key=lambda item: (item.path.stem != "test_slurm", places.get(item.path.parent.name, 0)))


def altered(code: str) -> str:
    """The source of a network: LeNet-1, on whose `model` some lines of `code` run as it is built."""
    head = '''"""LeNet-1 with something of its own."""

import os
import signal
import time
from pathlib import Path

from weight_atlas.networks.architectures import lenet1

MIN_SIZE = lenet1.MIN_SIZE


def layers(table, classes, *, width=1.0):
    lenet1.layers(table, classes, width=width)


def skeleton(classes):
    from weight_atlas.networks import layer_table
    from weight_atlas.networks.build import TableModule

    model = TableModule(layer_table({"architecture": "lenet1"}, 1, 28, classes))
'''
    return head + textwrap.indent(textwrap.dedent(code).strip("\n"), "    ") + "\n    return model\n"


# LeNet-1 whose batches take so many seconds as the file `slow` in the working directory says, where there is one: the
# n-th batch of a process its n-th number, and all batches after the last number that one.
SLOW = altered("""
    batches = []

    def wait(*_):
        batches.append(len(batches))
        seconds = Path("slow").read_text().split() if Path("slow").exists() else ["0"]
        time.sleep(float(seconds[min(batches[-1], len(seconds) - 1)]))

    model.register_forward_pre_hook(wait)
""")


def small(network: str, inits=("default",), optimizers=("sgd",), **training) -> dict:
    """A config of one network, with one cell an init and optimizer."""
    config = tiny()
    config["networks"] = {network: {}}
    config["training"] |= training
    study = config["definitions"]["dynamics"]
    study["grid"] |= {"network": [network], "init": list(inits), "optimizer": list(optimizers)}
    for key in ("exclude", "perturb"):
        del study[key]
    return config


def until(reached, seconds=300, why=lambda: "it takes too long"):
    """What `reached` returns, once that is something; `why` says what is known where it never is. The limit is far
    beyond what a busy machine needs: a test waits for what it looks at, never for a time."""
    end = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < end, why()
        time.sleep(0.05)
    return found


def bare() -> dict[str, str]:
    """The environment without what an activated virtual environment adds. Where coverage counts what processes run,
    jobs are no forks, which end without telling it."""
    counts = {preload.SOCKET: ""} if "COVERAGE_PROCESS_CONFIG" in os.environ else {}
    return {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")} | counts


class Workflow:
    """The workflow's files in `root`, with one config, run as a user would from there."""

    def __init__(self, root: Path, config: dict):
        self.root, self.config = root, config
        for part in PARTS:
            source = ROOT / part
            copy = shutil.copytree if source.is_dir() else shutil.copy
            # With what Python has compiled of it, but for files that another process is writing.
            copy(source, root / part, **({"ignore": shutil.ignore_patterns("*.pyc.*")} if source.is_dir() else {}))
        self.write(config)

    def write(self, config: dict) -> None:
        (self.root / "config/tiny.yaml").write_text(yaml.safe_dump(config, sort_keys=False))

    def start(self, *arguments: str, cores: int = 2, **environment: str) -> subprocess.Popen:
        """snakemake with the config, without the environment activated; its output in one stream."""
        command = [*self._command(*arguments), "--cores", str(cores)]
        return subprocess.Popen([sys.executable, *command], cwd=self.root, env=bare() | environment, **STREAMS)

    def run(self, *arguments: str, check: bool = True, cores: int = 2) -> subprocess.CompletedProcess:
        """A run to its end, as that of `start`, without the start of each process."""
        done = self.python(*self._command(*arguments), "--cores", str(cores))
        if check and done.returncode:
            raise AssertionError(f"{' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-6000:]}")
        return done

    def _command(self, *arguments: str) -> list[str]:
        return ["-m", "snakemake", *arguments, "--configfile", "config/tiny.yaml"]

    def python(self, *arguments: str) -> subprocess.CompletedProcess:
        """Snakemake or one of the commands, without the start of Python; its output in one stream."""
        return subprocess.run([warm.python(bare()), *arguments], cwd=self.root, env=bare(), **STREAMS)

    def jobs(self, *arguments: str) -> set[str]:
        """What a dry run would do, by the jobs' messages (`training base-.., replicates 0 to 2`)."""
        done = self.run("--dry-run", *arguments, check=False)
        assert done.returncode == 0, done.stdout[-6000:]
        return set(re.findall(r"^Job \d+: (.+)$", done.stdout, re.M))

    def weights(self) -> dict[str, bytes]:
        """The bytes of every snapshot, by its path."""
        found = (self.root / "results/cells").rglob("*.safetensors")
        return {str(path.relative_to(self.root)): path.read_bytes() for path in found}


def tiny() -> dict:
    """A config whose every part is small: 7 cells of two epochs on 120 digits, one also flipped and trained again."""
    few = {"source": "digits", "per_class": {"train": 12, "valid": 4, "test": 4}}
    return {
        "name": "tiny",
        "device": "cpu",
        "replicates": 3,
        "replicates_per_job": 3,
        "datasets": {
            "digits": few,
            "digits-0-4": few | {"classes": ["0", "1", "2", "3", "4"], "labels": "compact"},
        },
        "networks": {"lenet1": {}, "resnet18-small": {"architecture": "resnet18", "width": 0.0625}},
        "optimizers": {"sgd": {"type": "sgd", "lr": 0.02, "momentum": 0.9}, "adam": {"type": "adam"}},
        "sources": {"digits-0-4": {"dataset": "digits-0-4", "init": "kaiming_uniform", "optimizer": "sgd"}},
        "inits": {"pretrained": {"source": "digits-0-4"}},
        "perturbations": {"flip": {"type": "flip"}},
        "training": {"epochs": 2, "batch_size": 32},
        "definitions": {
            "dynamics": {
                "document": "dynamics",
                "title": "Parameter dynamics",
                "grid": {
                    "dataset": ["digits"],
                    "network": ["lenet1", "resnet18-small"],
                    "init": ["kaiming_uniform", "pretrained"],
                    "optimizer": ["sgd", "adam"],
                },
                "exclude": [{"network": "resnet18-small", "init": "pretrained"}],
                "perturb": {
                    "perturbations": ["flip"],
                    "where": {"network": "lenet1", "init": "kaiming_uniform", "optimizer": "sgd"},
                    "controls": ["same"],
                    "training": {"snapshots": "ends"},
                },
            }
        },
    }


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id) -> Workflow:
    """The tiny workflow after a whole run. Tests that change it put it back.

    The first process of tests that asks for it makes it, and each has a copy: a folder beside it.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "finished"
    folder.mkdir(exist_ok=True)
    whole, done = folder / "a run", folder / "done"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(whole, ignore_errors=True)
            whole.mkdir()
            Workflow(whole, tiny()).run("all")
            done.touch()
    root = folder / f"a run of {worker_id}"
    root.mkdir()
    workflow = Workflow(root, tiny())
    for part in ("results", "data", "logs", ".snakemake"):
        shutil.copytree(whole / part, root / part, symlinks=True, dirs_exist_ok=True)
    return workflow


@pytest.fixture(scope="session")
def tour() -> Path:
    """The folder of the tour's results in this checkout, finished: the README's first command makes them where they are
    not, in about 5 minutes. Several pytest processes wait for one another here, since Snakemake locks the folder."""
    command = [sys.executable, "-m", "snakemake", "--cores", "all"]
    with open(ROOT / ".pytest-tour.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(command, cwd=ROOT, env=bare(), capture_output=True, text=True)
    assert done.returncode == 0, f"the tour ended with {done.returncode}:\n{(done.stdout + done.stderr)[-6000:]}"
    return ROOT / "results/tour"
