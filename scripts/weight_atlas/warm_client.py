"""A command of Python, in a fork of the process of warm.py that listens at a socket, with the streams of this one,
which ends as it does. Where nothing listens, by Python itself.

    python -IS warm_client.py PYTHON SOCKET WORDS ..

Loaded without anything that is not Python's: it starts in 20 ms.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import sys

LIMITS = ("AS", "CORE", "CPU", "DATA", "FSIZE", "MEMLOCK", "NOFILE", "NPROC", "STACK")


def asked(python: str, words: list[str]) -> dict[str, object]:
    """What a fork needs to be the process that this one would have been (Request in warm.py)."""
    umask = os.umask(0)
    os.umask(umask)
    numbers = [getattr(resource, f"RLIMIT_{name}") for name in LIMITS]
    return {
        "words": words,
        "python": python,
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "umask": umask,
        "limits": [(number, resource.getrlimit(number)) for number in numbers],
    }


def pass_on(process: int) -> None:
    """Let a process have the signals by which somebody stops this one."""

    def send(number: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, send)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    python, path, *words = sys.argv[1:]
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except OSError:
        os.execv(python, [python, *words])
    answers = connection.makefile()
    process = answers.readline()
    if not process:  # it was killed while it imported what it is for
        os.execv(python, [python, *words])
    pass_on(int(process))
    text = json.dumps(asked(python, words)).encode() + b"\n"
    sent = socket.send_fds(connection, [text], [0, 1, 2])
    connection.sendall(text[sent:])
    status = int(answers.readline() or 1)  # killed: the command is on its own, and the next attempt waits for it
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


main()
