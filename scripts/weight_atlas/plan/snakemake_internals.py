"""What the rules take from Snakemake that it does not document. tests/unit/test_snakemake.py says in which version."""

import importlib
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# Seconds that a failed job's thread waits: the main one may be about to learn that a user stopped all, and surely is
# where the job says that it ended by Ctrl-C (rules/common.smk), however busy the machine.
PATIENCE, PATIENCE_ONCE_STOPPED = 0.5, 60.0
BY_CTRL_C = "exit status 130"
# Wakes the main thread where it missed a Ctrl-C that came just before it began to wait, or that another thread took:
# ignored by default, so that what the process starts knows nothing of it.
WAKE = signal.SIGURG
# Options with which Snakemake runs no job, a dry run apart.
LOOKING = {"--lint", "--unlock", "--summary", "--detailed-summary", "--dag", "--rulegraph", "--filegraph", "--d3dag"}
LOOKING |= {"--list-rules", "--list-target-rules", "--list-changes", "--report", "--archive", "--cleanup-metadata"}
Workflow = Any  # snakemake.workflow.Workflow: importing it here would cost every command a second


def is_module(workflow: Workflow) -> bool:
    """Whether another workflow imports this one: then no handler of ours runs, and the command line is the other's."""
    return not workflow.modifier.is_main_snakefile()


def source(path: str) -> Any:
    """A file of the workflow as an input: each machine has it with the workflow, and not from a storage."""
    return importlib.import_module("snakemake.io").sourcecache_entry(path, path)


def prefix(workflow: Workflow) -> str:
    """What is put before the relative paths of all rules of a module, "" without any."""
    mark = "x"
    return str(workflow.modifier.path_modifier.replace_prefix(mark)).removesuffix(mark)


def pathvars(workflow: Workflow, names: Iterable[str]) -> dict[str, str]:
    """{name: the folder that it stands for in rules}, from the config, the profile, the module, or us."""
    return {name: str(workflow.pathvars.apply(f"<{name}>")) for name in names}


def places(workflow: Workflow, folders: Mapping[str, str]) -> dict[str, str]:
    """Where the folders of rules are: with the prefix of a module before them, or among the copies of a storage."""
    return {name: str(workflow.modifier.path_modifier.modify(folder)) for name, folder in folders.items()}


def claimed(workflow: Workflow, what: str, folder: str, ids: Iterable[str]) -> list[str]:
    """Those of some ids that no other import of this workflow makes in the same folder already.

    Two imports with configs that share a cell would otherwise have two rules for it, which is an error.
    """
    taken: dict[tuple[str, str, str], str] = workflow.__dict__.setdefault("_weight_atlas_claims", {})
    own = str(workflow.modifier.namespace)
    return [one for one in ids if taken.setdefault((what, os.path.abspath(folder), one), own) == own]


def is_main(workflow: Workflow) -> bool:
    """Whether this is the process that a user started, and not one that runs a job for it."""
    return bool(workflow.is_main_process)


def targets(workflow: Workflow) -> set[str]:
    """The targets that a user names."""
    return set(workflow.dag_settings.targets)


def gpu(workflow: Workflow) -> int | None:
    """How many jobs that need a GPU run at a time (`--resources gpu=N`), where a user says so."""
    said = workflow.resource_settings.resources.get("gpu")
    number = getattr(said, "value", said)
    return None if number is None else int(number)


def asks_only_for(*known: str) -> bool:
    """Whether a user names targets, these alone, while rules are read, when `targets` are not known yet."""
    if not set(known) & set(sys.argv[1:]):
        return False
    named = set(_command_line().targets)
    return bool(named) and named <= set(known)


def only_looks() -> bool:
    """Whether no job will run, by the options that a user gives, while rules are read."""
    if LOOKING & {word.partition("=")[0] for word in sys.argv[1:]}:
        return True
    return any(re.match("-[A-Za-z]*n|--dry", word) for word in sys.argv[1:]) and bool(_command_line().dryrun)


def _command_line() -> Any:
    """What a user typed. Making Snakemake's parser takes a quarter of a second."""
    parser: Any = importlib.import_module("snakemake.cli").get_argument_parser()  # which has no types
    return parser.parse_args(sys.argv[1:])


def config_files(workflow: Workflow) -> list[str]:
    """The config files that a user names, relative to the working directory."""
    return [os.path.relpath(path) for path in workflow.config_settings.configfiles]


def config_settings(workflow: Workflow) -> dict[str, Any]:
    """What a user sets on the command line."""
    return dict(workflow.config_settings.config or {})


def share_python(workflow: Workflow) -> None:
    """Let jobs use the Python that runs Snakemake (scripts/job.sh), unless they have conda environments: the rules name
    no other software, whatever else a site's profile deploys."""
    has_own = "CONDA" in _deployed(workflow)
    os.environ["WEIGHT_ATLAS_PYTHON"] = "" if has_own else os.path.dirname(sys.executable)


def _deployed(workflow: Workflow) -> set[str]:
    """How a user has software deployed."""
    return {method.name for method in workflow.deployment_settings.deployment_method}


def is_local(workflow: Workflow) -> bool:
    """Whether jobs run on this machine, with the Python that runs Snakemake."""
    return bool(workflow.local_exec) and not _deployed(workflow) & {"CONDA", "APPTAINER"}


def count_forks(folder: Path) -> None:
    """Let the benchmark of a job count the forks that stand for its commands: `folder` has a file for each command,
    named by its process, with that of the fork."""
    benchmark: Any = importlib.import_module("snakemake.benchmark")
    psutil: Any = importlib.import_module("psutil")
    begin = benchmark.BenchmarkTimer.__init__

    def forked(client: int) -> list[Any]:
        try:
            return [psutil.Process(int((folder / str(client)).read_text()))]
        except (OSError, ValueError, psutil.Error):  # it has none, is about to have one, or had one
            return []

    class Job(psutil.Process):  # type: ignore[misc]  # which has no types
        def children(self, recursive: bool = False) -> list[Any]:
            own: list[Any] = super().children(recursive)
            forks = [fork for child in own for fork in forked(child.pid)]
            return own + forks + [child for fork in forks for child in fork.children(recursive)]

    def begin_with_forks(self: Any, pid: int, *args: Any, **options: Any) -> None:
        begin(self, pid, *args, **options)
        self.main = Job(pid)

    benchmark.BenchmarkTimer.__init__ = begin_with_forks


class QuietOnceStopped(logging.Filter):
    """Lets no line of Snakemake's pass once a user has stopped it: it would tell of every job that ends by that."""

    def __init__(self) -> None:
        super().__init__()
        self._stopped = threading.Event()
        if threading.current_thread() is threading.main_thread():
            signal.signal(WAKE, lambda *_: None)
        logging.getLogger("snakemake.logging").addFilter(self)

    @property
    def stopped(self) -> bool:
        """Whether a user has stopped it."""
        return self._stopped.is_set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line passes."""
        if str(record.msg).startswith("Terminating processes on user request"):
            self._stopped.set()
        elif record.levelno >= logging.ERROR and threading.current_thread() is not threading.main_thread():
            by_ctrl_c = BY_CTRL_C in record.getMessage()
            if by_ctrl_c and signal.getsignal(WAKE) is not signal.SIG_DFL:
                signal.pthread_kill(threading.main_thread().ident or 0, WAKE)
            self._stopped.wait(PATIENCE_ONCE_STOPPED if by_ctrl_c else PATIENCE)
        return not self.stopped


def stop_timers(workflow: Workflow) -> None:
    """On this machine, let Snakemake look for jobs to start when one has ended, and at no other time.

    Its limit of jobs a second sets a timer at every look, and the timer makes it look again. While jobs wait these add
    up, one for each job that has ended (benchmarks/scheduler.py). A cluster's profile has a longer time for them.
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


def ignore_dates(base: Path) -> None:
    """Let Snakemake keep the results of a job of the rules below `base`, although one of its inputs is dated later.

    As it is, it removes them and starts the job again: an input of the future, `ancient` or not, fails every job.
    """
    graph: Any = importlib.import_module("snakemake.dag").DAG  # which has no types
    check = graph.check_output_mtime

    async def check_others(self: Any, job: Any, outputs: Any) -> None:
        if not Path(job.rule.snakefile).is_relative_to(base):
            await check(self, job, outputs)

    graph.check_output_mtime = check_others
