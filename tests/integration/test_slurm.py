"""The workflow on a real SLURM of one node, on loopback, with two pretended GPUs. Needs slurmctld, slurmd, munge."""

import contextlib
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

import pytest

from tests.conftest import SLOW, Workflow, small, tiny, until
from weight_atlas.plan import study

EPOCHS = 60  # of trainings that take more than SLURM's shortest limit, while the file `slow` is there
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "srun")
CONFIG = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={d}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={d}/prolog
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={d}/jobs.txt
SchedulerParameters=bf_interval=1,sched_interval=2,bf_min_age_reserve=2592000
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
EnforcePartLimits=ALL
ReturnToService=2
MinJobAge=3600
KillWait=60
MessageTimeout=100
SlurmdParameters=config_overrides
SlurmctldPidFile={d}/slurmctld.pid
SlurmdPidFile={d}/slurmd.pid
SlurmctldLogFile={d}/slurmctld.log
SlurmdLogFile={d}/slurmd.log
SlurmdSpoolDir={d}/spool
StateSaveLocation={d}/state
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000 Gres=gpu:2
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
# Where devices are kept from jobs (ConstrainDevices), each job sees its own GPU as number 0, and nvidia-smi lists it
# alone. Without a GPU both are pretended: CARD is the number that SLURM gave.
PROLOG = """#!/bin/sh
[ -z "$CUDA_VISIBLE_DEVICES" ] || printf 'export %s\\n' CARD="$CUDA_VISIBLE_DEVICES" CUDA_VISIBLE_DEVICES=0
"""
NVIDIA_SMI = """#!/bin/sh
echo "GPU 0: A pretended GPU (UUID: GPU-$CARD)"
"""
# A trainer that trains on the processor and says which GPU it was given, from when to when. Where there is a file `two`
# the first one waits for a second one.
PRETENDED = """

def find(kind: str) -> torch.device:
    import atexit
    import time

    def say(word: str) -> None:
        with open("cards.txt", "a") as file:
            file.write(f"{word} {os.environ['CUDA_VISIBLE_DEVICES']} {os.environ['CARD']} {os.getpid()}\\n")

    assert kind == "cuda"
    say("begins")
    atexit.register(say, "ends")
    for _ in range(600 if Path("two").exists() else 0):
        if Path("cards.txt").read_text().count("begins") > 1:
            break
        time.sleep(0.1)
    return torch.device("cpu")
"""


def runs(process):
    """Whether a process with this id is there, and more than an entry that nobody has asked for yet."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""
    except OSError:
        return False


def program(name):
    """Where a program is; Debian keeps daemons in /usr/sbin, which is not on everybody's PATH."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def free_ports(count):
    """So many ports that nobody listens on, so that two of these may run on one machine; below those that the system
    itself hands out, to a browser for instance, before SLURM has taken them."""
    held = []
    while len(held) < count:
        with contextlib.suppress(OSError):
            held.append(socket.create_server(("127.0.0.1", random.randrange(10_000, 32_000))))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


@pytest.fixture(scope="module")
def slurm():
    """A SLURM of one node with two GPUs (/dev/null, /dev/zero): (its folder, the environment that finds it)."""
    missing = [name for name in PROGRAMS if program(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} missing; Debian's packages are slurmctld, slurmd, slurm-client and munge")
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # short: the length of a socket's path is limited
    folder.chmod(0o755)
    for name in ("spool", "state", "bin"):
        (folder / name).mkdir()
    host, user = socket.gethostname(), subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
    (folder / "slurm.conf").write_text(CONFIG.format(host=host, user=user, d=folder, ports=free_ports(2)))
    cards = "".join(f"NodeName={host} Name=gpu File=/dev/{name}\n" for name in ("null", "zero"))
    (folder / "gres.conf").write_text(cards)
    for path, text in (("prolog", PROLOG), ("bin/nvidia-smi", NVIDIA_SMI)):
        (folder / path).write_text(text)
        (folder / path).chmod(0o755)
    (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
    (folder / "munge.key").chmod(0o600)
    # The job step that Snakemake starts within a job does not inherit SLURM_CONF.
    wrapper = folder / "bin/srun"
    wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {program("srun")} "$@"\n')
    wrapper.chmod(0o755)
    # The executor does not quote Python's path, which may have a space: it gets one that has none.
    (folder / "environment").symlink_to(Path(sys.executable).parents[1])
    path = f"{folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    files = {
        option: f"{folder}/munge.{option.split('-')[0]}" for option in ("socket", "seed-file", "log-file", "pid-file")
    }
    munge = [program("munged"), "--force", f"--key-file={folder}/munge.key"]
    munge += [f"--{option}={file}" for option, file in files.items()]
    for command in (munge, [program("slurmctld"), "-i"], [program("slurmd")]):
        subprocess.run(command, env=environment, check=True, capture_output=True)
    state = {"args": ["sinfo", "-h", "-o", "%T"], "env": environment, "capture_output": True, "text": True}
    until(
        lambda: "idle" in subprocess.run(**state).stdout,
        why=lambda: (folder / "slurmctld.log").read_text()[-2000:],
    )
    yield folder, environment
    for name in ("slurmd.pid", "slurmctld.pid", "munge.pid"):
        if (folder / name).exists():
            daemon = int((folder / name).read_text())
            os.kill(daemon, signal.SIGTERM)
            until(lambda daemon=daemon: not runs(daemon))
    shutil.rmtree(folder, ignore_errors=True)


def command(environment, *arguments):
    """The workflow through the profile, with what a cluster without accounting needs."""
    python = Path(environment["SLURM_CONF"]).with_name("environment") / "bin/python"
    words = [str(python), "-m", "snakemake", "--workflow-profile", "profiles/slurm"]
    words += ["--slurm-status-command", "squeue", "--latency-wait", "5"]
    words += ["--slurm-init-seconds-before-status-checks", "2"]
    return [*words, *arguments, "--configfile", "config/tiny.yaml"]


def submit(workflow, environment, *arguments):
    """A run of `command` to its end; what it said."""
    asked = {"cwd": workflow.root, "env": environment, "capture_output": True, "text": True, "timeout": 3600}
    done = subprocess.run(command(environment, *arguments), **asked)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def record(folder):
    """{job id: (begin, end, state)} in SLURM's own words, times in seconds."""
    found = {}
    for line in (folder / "jobs.txt").read_text().splitlines():
        fields = dict(re.findall(r"(\w+)=(\S+)", line))
        times = [datetime.fromisoformat(fields[name]).timestamp() for name in ("StartTime", "EndTime")]
        found[int(fields["JobId"])] = (*times, fields["JobState"])
    return found


def pretend_gpus(workflow):
    """Let the trainer of this copy of the workflow take the GPU that it is given, and train on the processor."""
    with open(workflow.root / "scripts/weight_atlas/device.py", "a") as file:
        file.write(PRETENDED)


def overlap(one, other):
    return one[0] < other[1] and other[0] < one[1]


def test_the_whole_workflow_through_the_profile(slurm, tmp_path):
    folder, environment = slurm
    workflow = Workflow(tmp_path, tiny() | {"device": "auto"})
    pretend_gpus(workflow)
    (tmp_path / "two").touch()
    said = submit(workflow, environment)
    jobs = record(folder)
    assert {state for *_, state in jobs.values()} == {"COMPLETED"}
    assert (tmp_path / "results/tiny/report/report.html").exists()
    kinds = dict(re.findall(r"submitted with SLURM jobid (\d+) \(log: .*?/rule_(\w+?)/", said))
    gpu = [jobs[int(job)] for job, rule in kinds.items() if rule in ("train", "retrain")]
    cpu = [jobs[int(job)] for job, rule in kinds.items() if rule not in ("train", "retrain")]
    assert len(gpu) == 9 and len(cpu) >= 7 and len(gpu) + len(cpu) == len(jobs)
    held, most = set(), 0
    for word, name, card, process in map(str.split, (tmp_path / "cards.txt").read_text().splitlines()):
        assert name == "0" and card in {"0", "1"}
        assert word == "ends" or card not in {one for one, _ in held}, "one GPU, one job"
        held ^= {(card, process)}
        most = max(most, len(held))
    assert not held and most == 2, "two GPUs, two jobs"
    assert any(overlap(one, other) for one in cpu for other in gpu), "what needs no GPU runs beside"
    assert "Nothing to be done" in submit(workflow, environment)


def test_a_job_over_its_time_and_one_that_is_cancelled_go_on(slurm, tmp_path):
    """Two trainings of minutes: one has a minute at its first attempt, the other is cancelled midway; then both end."""
    folder, environment = slurm
    config = small("slow", ["default"], ["sgd", "adam"], epochs=EPOCHS)
    Workflow(tmp_path, config | {"replicates": 1})
    (tmp_path / "scripts/weight_atlas/networks/architectures/slow.py").write_text(SLOW)
    (tmp_path / "slow").write_text("0.4")
    said = tmp_path / "said.txt"
    with open(said, "w") as file:
        words = command(environment, "--set-resources", "train:runtime=attempt**5")
        running = subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=file, stderr=subprocess.STDOUT)
    logs = {
        name: until(lambda name=name: [*(tmp_path / "logs/train").glob(f"*-{name}-*/*.log")])[0]
        for name in ("sgd", "adam")
    }
    until(lambda: f"epoch 3/{EPOCHS}" in logs["adam"].read_text())
    refused = subprocess.run(command(environment), cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert refused.returncode != 0 and "another snakemake works in this directory" in refused.stdout + refused.stderr
    queue = subprocess.run(["squeue", "-h", "-o", "%i %k"], env=environment, capture_output=True, text=True).stdout
    job = next(line.split()[0] for line in queue.splitlines() if "-adam-" in line)
    subprocess.run(["scancel", job], env=environment, check=True)
    until(lambda: "TIMEOUT" in [state for *_, state in record(folder).values()])
    (tmp_path / "slow").unlink()
    assert running.wait(timeout=3600) == 0, said.read_text()[-3000:]
    states = [state for *_, state in record(folder).values()]
    assert states.count("TIMEOUT") == 1 and states.count("CANCELLED") == 1
    for name, log in logs.items():
        text = log.read_text()
        went_on = re.search(r"goes on after (?:step \d+ of )?epoch (\d+)", text)
        assert went_on and int(went_on[1]) >= 3, name
        assert [len(re.findall(rf"epoch {e}/{EPOCHS}  loss", text)) for e in range(1, EPOCHS + 1)] == [1] * EPOCHS
    assert (tmp_path / "results/tiny/report/report.html").exists()


def test_short_runs_share_a_submission(slurm, tmp_path):
    folder, environment = slurm
    config = small("lenet1", ["kaiming_uniform", "default"], ["sgd", "adam"])
    workflow = Workflow(tmp_path, config | {"device": "auto", "replicates": 1})
    pretend_gpus(workflow)
    before = set(record(folder))
    packed = ["--groups", "train=pack", "--group-components", "pack=4"]
    packed += ["--resources", "gpu=1", "--set-resource-scopes", "gpu=local"]
    runs = [f"{study.block_path(cell, (0, 0))}/run.json" for cell in study.Plan(workflow.config).cells]
    submit(workflow, environment, *runs, *packed)
    states = [json.loads((tmp_path / run).read_text())["replicates"][0]["status"] for run in runs]
    assert states == ["done"] * 4
    assert len(set(record(folder)) - before) == 2, "one for the data, one for four trainings"
