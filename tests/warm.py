"""Snakemake and the commands of the workflow without their start: a process that has imported what they use is forked
for each.

Tests run the workflow many times at the smallest scale, and most of the time that such a run takes, Python imports
torch. Of the workflow nothing is imported before the fork. The tour, and what is killed, stopped or submitted in
tests, starts as it does for users.
"""

import atexit
import contextlib
import json
import os
import runpy
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

# One thread each, as Snakemake tells its jobs: it counts when a library is imported, and not after.
ONE = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR")}
CLIENT = Path(__file__).with_name("warm_client.py")
_python: Path | None = None


def python(environment: Mapping[str, str]) -> Path:
    """A program that stands for Python: `python FILE ..` and `python -m snakemake ..` are forks of a process that is
    started for the first who asks, in this environment. Where coverage counts what processes run, it is Python."""
    global _python
    if "COVERAGE_PROCESS_CONFIG" in os.environ:
        return Path(sys.executable)
    if _python is None:
        folder = Path(tempfile.mkdtemp(prefix="warm-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        program = folder / "python"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{CLIENT}" "{sys.executable}" "$0" "$@"\n')
        program.chmod(0o755)
        server = subprocess.Popen(
            [sys.executable, __file__, folder],
            env={**environment, **ONE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # it ends with this process, when its input does
        assert server.stdout and server.stdout.readline(), "it did not start"
        _python = program
    return _python


class Request(NamedTuple):
    """What a client asks for: the words after `python`, its folder, its environment, and itself."""

    words: list[str]
    folder: str
    environment: dict[str, str]
    client: str


def serve(listening: socket.socket) -> Request:
    """Fork for each client, and tell it the process and then its exit status; a fork returns, with the request."""
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                os._exit(0)
            if key.fileobj is not listening:
                process, connection = key.data
                selector.unregister(key.fileobj)
                os.close(key.fd)
                _tell(connection, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
                connection.close()
                continue
            connection, _ = listening.accept()
            if (process := os.fork()) == 0:
                for other in list(selector.get_map().values()):
                    if other.fileobj is not sys.stdin:
                        os.close(other.fd)
                    if other.data:
                        other.data[1].close()
                selector.close()
                return _received(connection)
            _tell(connection, process)
            selector.register(os.pidfd_open(process), selectors.EVENT_READ, (process, connection))


def _tell(connection: socket.socket, number: int) -> None:
    """A number for a client, which may have been killed."""
    with contextlib.suppress(OSError):
        connection.sendall(f"{number}\n".encode())


def _received(connection: socket.socket) -> Request:
    """The request of a client, whose three streams become those of this process."""
    text, streams, _, _ = socket.recv_fds(connection, 2**16, 3)
    while not text.endswith(b"\n"):
        text += connection.recv(2**16)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    connection.close()
    return Request(**json.loads(text))


def become(request: Request) -> None:
    """Be the process that a shell would have started."""
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    sys.executable, sys.orig_argv = request.client, [request.client, *request.words]
    status = 1
    try:
        if request.words[0] == "-m":
            sys.path[0], sys.argv = request.folder, request.words[1:]
            cli.main()
        else:
            sys.path[0], sys.argv = os.path.dirname(os.path.abspath(request.words[0])), request.words
            runpy.run_path(request.words[0], run_name="__main__")
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # without the farewells of what was imported


if __name__ == "__main__":
    import gc

    import jinja2  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import numba  # noqa: F401
    import pandas  # noqa: F401
    import pydantic  # noqa: F401
    import safetensors.torch  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.datasets  # noqa: F401
    import smart_open  # noqa: F401
    import statsmodels.stats.multitest  # noqa: F401
    import torch._dynamo  # noqa: F401, at the first step of an optimizer
    import torchvision.datasets  # noqa: F401
    import yte  # noqa: F401
    from snakemake import cli, profiles, report, storage  # noqa: F401

    gc.freeze()  # what is there is never looked through again, and so not copied
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{sys.argv[1]}/socket")
    server.listen(64)
    print("ready", flush=True)
    become(serve(server))
