"""Commands that tests start without the start of Python behave as commands do."""

import os
import signal
import subprocess
import sys

import pytest

from tests import warm
from tests.conftest import bare

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
