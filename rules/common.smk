"""Every function that the rules use: the plan of the config, and from it their inputs, parameters and resources."""

import functools
import json
import os
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path

BASE = Path(workflow.basedir)
SCRIPTS = os.path.relpath(BASE / "scripts")
sys.path.insert(0, str(BASE / "scripts"))

from weight_atlas.plan import lock, blocks, code, cost, given, outcome, resolve, spec, study
from weight_atlas.plan.identity import digest
from weight_atlas.datasets import source_info
from weight_atlas.export import commit, result

ATTEMPTS = 3  # to train; one more records a failure that nobody was left to record
FIRST = 10**9  # data before training, so that the most urgent cell can be the first to train
GIVEN = dict(workflow.config_settings.config or {})

# Jobs use the Python that runs Snakemake, whether or not its environment is activated.
if not workflow.deployment_settings.deployment_method:
    shell.prefix(f'export PATH={shlex.quote(os.path.dirname(sys.executable))}:"$PATH"; ')

try:
    PLAN = study.Plan(config)
    if workflow.is_main_process:
        outcome.check_records(PLAN)
except resolve.Problem as problem:
    sys.exit(f"config: {problem}")
except ValueError as error:
    sys.exit(str(error))

REMOVING = PLAN.config.prune == "remove"
READING = {"plan", "status"} | (set() if REMOVING else {"prune"})  # targets that look on: they run beside a run
RETRIED = outcome.retried(PLAN) if PLAN.config.retry_failed else []
URGENCY = cost.urgency(PLAN.cells, PLAN.config.device)


def script(name):
    """The command's own file, relative to the working directory."""
    return f"{SCRIPTS}/{name}"


def imports(name, *modules):
    """The files that the command and the named modules import, relative to the working directory."""
    return [f"{SCRIPTS}/{file}" for file in code.closure(name, *modules) if file != name]


def study_imports(wildcards):
    """The files that draw a study: those of the command, and its chapter's own module where it has one."""
    own = f"weight_atlas/reporting/chapters/{study_chapter(wildcards).replace('-', '_')}.py"
    return imports("draw.py", *([own] if (BASE / "scripts" / own).exists() else []))


def study_chapter(wildcards):
    return PLAN.chapter(wildcards.study)


def cell_imports(wildcards):
    """The trainer's files, the one module of the cell's network, and those of its perturbation."""
    cell = PLAN.cells[wildcards.cell]
    steps = {f"weight_atlas/perturbations/{step['type']}.py" for step in cell.settings["start"].get("steps", [])}
    return imports("train.py", f"weight_atlas/networks/architectures/{cell.architecture}.py", *steps)


def dataset_fingerprint(wildcards):
    """What tells the source's pictures apart; that of the card where the source is not at hand (any more)."""
    data, card = PLAN.datasets[wildcards.dataset], Path(f"data/{wildcards.dataset}.json")
    try:
        return source_info.fingerprint(source_info.describe(data.spec, Path(PLAN.config.data_root)))
    except ValueError:
        return json.loads(card.read_text())["fingerprint"] if card.exists() else None


def dataset_spec(wildcards):
    return json.dumps(PLAN.datasets[wildcards.dataset].spec, sort_keys=True)


def weights_spec(wildcards):
    spec = PLAN.weights[wildcards.weights]
    return json.dumps({key: value for key, value in spec.items() if key != "weights_id"}, sort_keys=True)


def cell_data(wildcards):
    data = PLAN.cells[wildcards.cell].data
    return f"data/{data.dataset_id}.safetensors" if data else []


def cell_card(wildcards):
    data = PLAN.cells[wildcards.cell].data
    return f"data/{data.dataset_id}.json" if data else []


def cell_weights(wildcards):
    cell = PLAN.cells[wildcards.cell]
    return f"data/weights/{cell.weights['weights_id']}.safetensors" if cell.weights else []


def parent_blocks(wildcards):
    """The directories of the parent's blocks that hold the replicates of this one."""
    parent = PLAN.cells[wildcards.cell].parent
    first, last = int(wildcards.first), int(wildcards.last)
    held = [block for block in PLAN.blocks.get(parent, []) if block[0] <= last and block[1] >= first]
    return [study.block_path(parent, block) for block in held]


def parent_runs(wildcards):
    return [f"{block}/run.json" for block in parent_blocks(wildcards)]


def given_files(wildcards):
    """The user's files of the replicates of a block, series after series."""
    first, last = int(wildcards.first), int(wildcards.last)
    return [path for own in PLAN.cells[wildcards.cell].files[first : last + 1] for path in own]


def given_fingerprint(wildcards):
    """Not a function of the rule's input: of those Snakemake asks no change."""
    return given.fingerprint(given_files(wildcards))


def given_imports(wildcards):
    return imports("given.py", f"weight_atlas/networks/architectures/{PLAN.cells[wildcards.cell].architecture}.py")


def again(wildcards):
    """No file; but where the config says `retry_failed`, a block that failed is trained as if `--forcerun` named it."""
    block = study.block_path(wildcards.cell, (int(wildcards.first), int(wildcards.last)))
    if block in RETRIED and workflow.is_main_process:
        workflow.dag.forcefiles.add(f"{block}/run.json")
    return []


def cell_settings(wildcards):
    return json.dumps(PLAN.cells[wildcards.cell].settings, sort_keys=True)


def cell_keep(wildcards):
    """Which snapshots stay once the cell is trained, as the trainer takes it. No param: it changes no result."""
    kept = PLAN.kept[wildcards.cell]
    return kept if isinstance(kept, str) else "+".join(map(str, kept)) or "ends"


def cell_need(wildcards):
    return replicates_need(wildcards.cell, int(wildcards.last) - int(wildcards.first) + 1)


@functools.cache  # each resource of a job asks for it
def replicates_need(cell, replicates):
    return cost.need(PLAN.cells[cell], replicates, PLAN.config.device)


def cell_priority(wildcards):
    return int(URGENCY[wildcards.cell])


def cell_threads(wildcards):
    return cell_need(wildcards).threads


def cell_memory(wildcards, attempt):
    return cell_need(wildcards).mem_mb * 2 ** (attempt - 1) if attempt <= ATTEMPTS else 500


def cell_runtime(wildcards, attempt):
    return cell_need(wildcards).runtime * 2 ** (attempt - 1) if attempt <= ATTEMPTS else 10


def cell_gpu(wildcards, attempt):
    return cell_need(wildcards).gpu if attempt <= ATTEMPTS else 0


def which_attempt(wildcards, attempt):
    return attempt


def block_files(name, cells=None):
    """A file of every block that the config asks for (of the given cells)."""
    chosen = PLAN.cells if cells is None else cells
    return [f"{study.block_path(cell, block)}/{name}" for cell in chosen for block in PLAN.blocks[cell]]


def group_runs(wildcards):
    return block_files("run.json", PLAN.groups[wildcards.group])


def group_data(wildcards):
    data = PLAN.cells[PLAN.groups[wildcards.group][0]].data
    return f"data/{data.dataset_id}.safetensors" if data else []


def group_card(wildcards):
    data = PLAN.cells[PLAN.groups[wildcards.group][0]].data
    return f"data/{data.dataset_id}.json" if data else []


def group_imports(wildcards):
    architecture = PLAN.cells[PLAN.groups[wildcards.group][0]].architecture
    return imports("measure.py", f"weight_atlas/networks/architectures/{architecture}.py")


def group_need(wildcards):
    """(MB, minutes) that measuring a group takes."""
    return cost.measuring([(PLAN.cells[cell], PLAN.replicates[cell]) for cell in PLAN.groups[wildcards.group]])


def group_memory(wildcards, attempt):
    return group_need(wildcards)[0] * 2 ** (attempt - 1)


def group_runtime(wildcards, attempt):
    return group_need(wildcards)[1] * 2 ** (attempt - 1)


def group_layout(wildcards):
    """What of the plan a group's measures depend on, labels apart."""
    cells = PLAN.groups[wildcards.group]
    named = [checkpoints for cell in cells for checkpoints in PLAN.checkpoints.get(cell, [])]
    return digest(
        [[cell, PLAN.replicates[cell], PLAN.blocks[cell], PLAN.cells[cell].settings] for cell in cells] + named
    )


def plan_layout(wildcards):
    return digest(PLAN.rows())


def full_config(wildcards):
    return json.dumps(config)


def lasting_config(wildcards):
    """The config without what it says to do this once: what results are made from."""
    return json.dumps({key: value for key, value in config.items() if key not in spec.PASSING})


def command(wildcards=None, *passing, target=()):
    """What a user types for this config: its files, what was set on the command line, and keys for this once."""
    files = [os.path.relpath(path) for path in workflow.config_settings.configfiles]
    given = {key: value for key, value in GIVEN.items() if key not in spec.PASSING}
    words = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in given.items()]
    return outcome.command(files, [*words, *passing], *target)


def retry_command(wildcards=None):
    return command(wildcards, "retry_failed=true")


def prune_command(wildcards):
    return command(wildcards, "prune=remove", target=["prune"])


def measure_directories(wildcards):
    return [f"results/{PLAN.config.name}/measures/{group}" for group in PLAN.groups]


def before():
    """What is about to run, for the console; the end where another run is under way here."""
    targets = set(workflow.dag_settings.targets) or {"all"}
    if REMOVING and targets != {"prune"}:
        sys.exit("config: prune: 'remove' is for the target prune: snakemake prune --config prune=remove")
    if not targets <= READING:
        try:
            lock.hold(Path(".snakemake/atlas.lock"))
        except lock.Busy as busy:
            sys.exit(str(busy))
    return outcome.before(PLAN)


def without_timers():
    """On this machine, let Snakemake look for jobs to start when one has ended, and at no other time.

    Its limit of jobs a second sets a timer at every look, and the timer makes it look again. While jobs wait these add
    up, one for each job that has ended (benchmarks/scheduler.py). A cluster's profile has a longer time for them.
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


def after():
    """What became of it, for the console: failed and diverged replicates, and where the report is."""
    return outcome.after(PLAN, retry_command())


def report_sources():
    """The templates, style and filters of the report, relative to the working directory."""
    return sorted(os.path.relpath(path) for path in (BASE / "report").rglob("*") if path.is_file())


def about_files():
    """What tells of the workflow itself, relative to the working directory."""
    return [os.path.relpath(BASE / name) for name in ("CITATION.cff", "LICENSE", "requirements.txt")]


def workflow_commit(wildcards):
    return commit.describe(BASE)


def snakemake_version(wildcards):
    return metadata.version("snakemake")


def compared():
    """The folder of the other results; the end, in one line, where the config names none."""
    if not PLAN.config.compare:
        sys.exit("config: compare: names no results to compare with; give --config compare=OTHER/results/NAME")
    return os.path.normpath(PLAN.config.compare)


def compared_folder(wildcards):
    return compared()


def compared_tables(wildcards):
    """What is read of the other results; the end, in one line, where something is missing."""
    found = [f"{compared()}/{name}" for name in result.NEEDED]
    for path in found:
        if not Path(path).is_file():
            sys.exit(f"config: compare: {path} is not there; give a finished results/NAME, or an unpacked bundle")
    return found
