"""Commands without the start of Python: a process that has imported what they use is forked for each.

    python -P scripts/weight_atlas/warm.py FOLDER PACKAGE ..

The process listens at `FOLDER/socket` and imports the packages when the first client (warm_client.py) asks. It only
imports: it never executes an operation of torch, and so has one thread, which is what makes a fork of it as good as a
process of its own. Of the workflow nothing is imported before the fork, so that a command is of the code that lies
there when it begins. This module imports nothing that is not Python's.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import runpy
import selectors
import shutil
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

SOCKET = "socket"
FORK = "WEIGHT_ATLAS_FORK"  # the variable that holds the process that a client asked for
FORKS = "forks"  # the folder of a file a running client: its name is the client's process, its content the fork's
# glibc gives large blocks back to the system when they are freed, which clears every page again at the next step: this
# keeps those of up to 64 MiB (https://man7.org/linux/man-pages/man3/mallopt.3.html). Elsewhere it means nothing.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(64 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}


class Request(NamedTuple):
    """What a client asks for: the words after `python`, what `sys.executable` is to be, and of itself the folder, the
    environment, the mask of new files, and (number, (soft, hard)) of each limit."""

    words: list[str]
    python: str
    folder: str
    environment: dict[str, str]
    umask: int
    limits: list[tuple[int, tuple[int, int]]]


class Server:
    """Forks for each client, and tells it the fork's process and then its exit status.

    It ends with its standard input, which is that of the run, once the last fork has ended, and removes its folder.
    """

    def __init__(self, folder: Path, packages: Sequence[str]) -> None:
        self._folder, self._forks, self._packages = folder, folder / FORKS, packages
        self._forks.mkdir(parents=True)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / SOCKET))
        self._listening.listen(64)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listening, selectors.EVENT_READ)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._imported = self._ended = False

    def import_packages(self) -> None:
        """Import what commands use; what is there then is never looked through again, and so is not copied."""
        if not self._imported:
            for package in self._packages:
                importlib.import_module(package)
            gc.freeze()
            self._imported = True

    def serve(self) -> Request:
        """Fork for each client; a fork returns, with what its client asks for."""
        while not self._ended or len(self._selector.get_map()) > 1:
            for key, _ in self._selector.select():
                if key.fileobj is sys.stdin:
                    self._selector.unregister(sys.stdin)
                    self._ended = True
                elif key.fileobj is self._listening:
                    connection, _ = self._listening.accept()
                    if (request := self._fork(connection)) is not None:
                        return request
                else:
                    self._reap(key)
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(0)

    def _fork(self, connection: socket.socket) -> Request | None:
        """The fork for a client, which returns its request; in the server None.

        Where the system has no room for it the client is sent away, and runs its command by itself.
        """
        self.import_packages()
        client, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        try:
            process = os.fork()
        except OSError:
            connection.close()
            return None
        if process == 0:
            for other in list(self._selector.get_map().values()):
                if other.fileobj is not sys.stdin:
                    os.close(other.fd)
                if other.data:
                    other.data[1].close()
            return received(connection)
        (self._forks / str(client)).write_text(str(process))
        _tell(connection, process)
        self._selector.register(os.pidfd_open(process), selectors.EVENT_READ, (process, connection, client))
        return None

    def _reap(self, key: selectors.SelectorKey) -> None:
        """Tell a client how its fork ended."""
        process, connection, client = key.data
        self._selector.unregister(key.fileobj)
        os.close(key.fd)
        (self._forks / str(client)).unlink(missing_ok=True)
        _tell(connection, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
        connection.close()


def _tell(connection: socket.socket, number: int) -> None:
    """A number for a client, which may have been killed."""
    with contextlib.suppress(OSError):
        connection.sendall(f"{number}\n".encode())


def received(connection: socket.socket) -> Request:
    """The request of a client, whose three streams become those of this process, which ends with a client that was
    killed."""
    text, streams, _, _ = socket.recv_fds(connection, 2**16, 3)
    while not text.endswith(b"\n"):
        more = connection.recv(2**16)
        if not more:
            os._exit(1)
        text += more
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    connection.close()
    return Request(**json.loads(text))


def become(request: Request) -> NoReturn:
    """Be the process that a shell would have started."""
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    os.umask(request.umask)
    for number, limits in request.limits:
        resource.setrlimit(number, limits)
    sys.executable = request.python
    os.environ[FORK] = str(os.getpid())
    run(request.words)


def is_fork() -> bool:
    """Whether this process is a fork that a client asked for: it has imported what commands use."""
    return os.environ.get(FORK) == str(os.getpid())


def run(words: Sequence[str]) -> NoReturn:
    """Run a command, the words after `python`, in this process, a fork; it ends with that."""
    sys.orig_argv = [sys.executable, *words]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 1
    try:
        if words[0] == "-m":
            sys.path.insert(0, os.getcwd())
            sys.argv = list(words[1:])
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = list(words)
            sys.path.insert(0, os.path.dirname(os.path.abspath(words[0])))
            runpy.run_path(words[0], run_name="__main__")
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


class Forked:
    """A command of Python as a fork of this process, which has one thread: as much of `subprocess.Popen` as a launcher
    needs."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        reading, writing = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            os.environ.update(environment)
            run(command[1:])
        os.close(writing)
        self.stdout = open(reading, encoding="utf-8", errors="replace")  # noqa: SIM115, closed by __exit__
        self.returncode: int | None = None

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])

    def terminate(self) -> None:
        """Ask it to end."""
        if self.returncode is None:
            os.kill(self._process, signal.SIGTERM)


def main() -> None:
    """Serve until the run has ended."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # who stops the run means its jobs, and they tell their clients
    server = Server(Path(sys.argv[1]), sys.argv[2:])
    print("ready", flush=True)
    become(server.serve())


if __name__ == "__main__":
    main()
