"""Commands that are forks of a process that has imported what they use behave as commands do."""

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import warm
from tests.conftest import bare, until
from weight_atlas import warm as library
from weight_atlas.plan import preload

SCRIPTS = Path(library.__file__).parents[1]

# What a command may do: how it ends, and what it says there.
ENDS = {
    "print(len(sys.argv), sys.argv[1])": (0, "2 word\n", ""),
    "print(os.getcwd(), os.environ['KEY'])": (0, "{folder} value\n", ""),
    "print(sys.path[0], __name__)": (0, "{folder} __main__\n", ""),
    "print(sys.stdin.read())": (0, "typed\n", ""),
    "print([name for name in sys.modules if name.startswith('weight_atlas')])": (0, "[]\n", ""),
    "sys.exit('config: wrong')": (1, "", "config: wrong\n"),
    "sys.exit(7)": (7, "", ""),
    "print('last', end=''); sys.exit()": (0, "last", ""),
    "os.kill(os.getpid(), signal.SIGKILL)": (-signal.SIGKILL, "", ""),
    "subprocess.run([sys.executable, *sys.argv, '-c'][:2], input='') if sys.argv[1:] else print('again')": (
        0, "again\n", ""
    ),
    "subprocess.run([sys.executable, '-c', 'print(6 * 7)'])": (0, "42\n", ""),
}  # fmt: skip


@pytest.mark.parametrize("line", ENDS)
def test_a_command_ends_and_speaks_as_it_does_by_itself(tmp_path, line):
    (tmp_path / "command.py").write_text(f"import os, signal, subprocess, sys\n{line}\n")
    asked = {"cwd": tmp_path, "env": bare() | {"KEY": "value"}, "input": "typed", "text": True, "capture_output": True}
    runs = [subprocess.run([one, "command.py", "word"], **asked) for one in (sys.executable, warm.python(bare()))]
    status, said, error = ENDS[line]
    for done in runs:
        assert (done.returncode, done.stdout, done.stderr) == (status, said.format(folder=tmp_path), error)


def test_an_error_is_told_with_its_line(tmp_path):
    (tmp_path / "command.py").write_text("print('first')\nraise LookupError('odd')\n")
    done = subprocess.run([warm.python(bare()), tmp_path / "command.py"], text=True, capture_output=True)
    assert done.returncode == 1 and done.stdout == "first\n" and done.stderr.endswith("LookupError: odd\n")
    assert f'File "{tmp_path}/command.py", line 2, in <module>' in done.stderr


def test_a_signal_reaches_the_command(tmp_path):
    code = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\nprint('ready', flush=True)\n"
    (tmp_path / "command.py").write_text(f"{code}signal.pause()\n")
    with subprocess.Popen([warm.python(bare()), tmp_path / "command.py"], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout.readline() == "ready\n"
        os.kill(running.pid, signal.SIGTERM)
        assert running.wait() == 5


def test_the_process_that_is_forked_has_one_thread_though_it_has_imported_torch(tmp_path):
    code = "import os, sys\nprint(len(os.listdir(f'/proc/{os.getppid()}/task')), 'torch' in sys.modules)\n"
    (tmp_path / "command.py").write_text(code)
    train = "import torch\ntorch.set_num_threads(2)\n(torch.ones(500, 500, requires_grad=True) ** 2).sum().backward()\n"
    (tmp_path / "train.py").write_text(train)
    for command in ("train.py", "command.py"):
        done = subprocess.run([warm.python(bare()), tmp_path / command], text=True, capture_output=True, check=True)
    assert done.stdout == "1 True\n"


def test_a_command_has_the_limits_and_the_mask_of_who_asks(tmp_path):
    (tmp_path / "command.py").write_text(
        "import os, resource\nprint(resource.getrlimit(resource.RLIMIT_CPU), oct(os.umask(0)))\n"
    )
    ask = f'ulimit -t 77; umask 027; "{warm.python(bare())}" "{tmp_path}/command.py"'
    assert subprocess.check_output(["bash", "-c", ask], text=True) == "(77, 77) 0o27\n"


def test_one_who_goes_before_it_has_asked_leaves_nothing_behind(tmp_path):
    (tmp_path / "command.py").write_text("print('done')\n")
    subprocess.run([warm.python(bare()), tmp_path / "command.py"], check=True)
    address = str(warm.python(bare()).parent / library.SOCKET)
    with socket.socket(socket.AF_UNIX) as gone:
        gone.connect(address)
    with socket.socket(socket.AF_UNIX) as waits:
        waits.connect(address)
        process = int(waits.makefile().readline())
    until(lambda: not os.path.exists(f"/proc/{process}"))
    assert subprocess.check_output([warm.python(bare()), tmp_path / "command.py"], text=True) == "done\n"


def test_where_nothing_listens_python_itself_runs_the_command(tmp_path):
    (tmp_path / "command.py").write_text("import sys\nprint(sys.orig_argv[0], 'torch' in sys.modules)\n")
    words = ["-IS", warm.CLIENT, sys.executable, tmp_path / "socket", tmp_path / "command.py"]
    assert subprocess.check_output([sys.executable, *words], text=True) == f"{sys.executable} False\n"


def test_where_it_cannot_fork_the_client_is_sent_away(tmp_path, monkeypatch):
    def full():
        raise OSError(errno.ENOMEM, "no memory")

    reading, writing = os.pipe()
    monkeypatch.setattr(sys, "stdin", os.fdopen(reading))
    monkeypatch.setattr(os, "fork", full)
    server = library.Server(tmp_path / "server", [])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "server" / library.SOCKET))
        connection, _ = server._listening.accept()
        assert server._fork(connection) is None and client.recv(1) == b""
    os.close(writing)


def test_without_room_for_a_socket_each_job_imports_for_itself(tmp_path, monkeypatch):
    """The path of a socket has at most 107 bytes."""
    monkeypatch.delenv(preload.SOCKET, raising=False)
    for name, begins in (("short", True), ("long" * 40, False), ("nowhere/at-all", False)):
        folder = tmp_path / name
        if begins or len(name) > 100:
            folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        process = preload.Preloaded()
        made = process.begin()
        assert (made is not None) == (preload.SOCKET in os.environ) == begins, name
        process.end()
        assert preload.SOCKET not in os.environ
        until(lambda folder=folder: not folder.exists() or not list(folder.iterdir()))


@pytest.mark.parametrize("ending, status", [("sys.exit(3)", 3), ("os.kill(os.getpid(), 9)", -9), ("signal.pause()", 5)])
def test_the_child_of_a_fork_is_one_too(tmp_path, ending, status):
    (tmp_path / "command.py").write_text(CHILD.format(scripts=SCRIPTS, ending=ending))
    said = subprocess.check_output([warm.python(bare()), tmp_path / "command.py"], text=True)
    assert said == f"True said value True\nends with {status}\n"


# A launcher and its trainer: the first prints what the second says, asks it to end where it waits, and how it ended.
CHILD = """import os, signal, sys
sys.path.insert(0, "{scripts}")
from weight_atlas import warm
if sys.argv[1:] == ["child"]:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
    print("said", os.environ["KEY"], "torch" in sys.modules, flush=True)
    {ending}
print(warm.is_fork(), end=" ", flush=True)
with warm.Forked([sys.executable, __file__, "child"], {{"KEY": "value"}}) as child:
    for line in child.stdout:
        print(line, end="", flush=True)
        if "pause" in "{ending}":
            child.terminate()
print("ends with", child.returncode)
"""
