"""What the rules take from Snakemake that it does not document. tests/unit/test_snakemake.py says in which version."""

import os
from typing import Any

Workflow = Any  # snakemake.workflow.Workflow: importing it here would cost every command a second


def is_main(workflow: Workflow) -> bool:
    """Whether this is the process that a user started, and not one that runs a job for it."""
    return bool(workflow.is_main_process)


def targets(workflow: Workflow) -> set[str]:
    """The targets that a user names."""
    return set(workflow.dag_settings.targets)


def config_files(workflow: Workflow) -> list[str]:
    """The config files that a user names, relative to the working directory."""
    return [os.path.relpath(path) for path in workflow.config_settings.configfiles]


def config_settings(workflow: Workflow) -> dict[str, Any]:
    """What a user sets on the command line."""
    return dict(workflow.config_settings.config or {})


def deployed(workflow: Workflow) -> bool:
    """Whether Snakemake gives each job a software environment."""
    return bool(workflow.deployment_settings.deployment_method)


def stop_timers(workflow: Workflow) -> None:
    """On this machine, let Snakemake look for jobs to start when one has ended, and at no other time.

    Its limit of jobs a second sets a timer at every look, and the timer makes it look again. While jobs wait these add
    up, one for each job that has ended (benchmarks/scheduler.py). A cluster's profile has a longer time for them.
    """
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None
