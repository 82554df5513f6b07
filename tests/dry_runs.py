"""Dry runs of Snakemake without its start: a process that has imported it is forked for each.

Tests ask what would run after so many changes, and most of the time that such an answer takes Snakemake imports itself.
Of the workflow nothing is imported before the fork.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile

_server: subprocess.Popen | None = None


def run(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess:
    """`snakemake --dry-run` on two cores with these arguments in a folder; its output in one stream."""
    global _server
    if _server is None:  # it ends with this process, when its input does
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        _server = subprocess.Popen([sys.executable, __file__], **pipes)
    command = ["snakemake", "--dry-run", "--cores", "2", *map(str, arguments)]
    with TemporaryFile("w+") as output:
        place = f"/proc/{os.getpid()}/fd/{output.fileno()}"
        _server.stdin.write(json.dumps([command, str(folder), dict(environment), place]) + "\n")
        _server.stdin.flush()
        status = int(_server.stdout.readline())
        output.seek(0)
        return subprocess.CompletedProcess(command, status, output.read())


def serve() -> None:
    """Answer each line of the input, a job as JSON, by its exit status."""
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            begin(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def begin(command: list[str], folder: str, environment: dict[str, str], place: str) -> None:
    """Be Snakemake as a shell starts it."""
    output = os.open(place, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, sys.path[0] = command, folder
    status = 1
    try:
        cli.main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    from snakemake import cli

    serve()
