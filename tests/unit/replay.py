"""A recorder of what this process does to a folder, and of what an interruption at any moment would leave of it.

What is left depends on the interruption. `killed`: everything that was done (SIGKILL loses nothing), or `torn`: the
last write only by half. `cut` is a power cut in the strictest reading of POSIX: a file has the bytes of its last fsync,
a folder the entries of its last fsync. `emptied` is a power cut after which all entries are there, but of files only
what was flushed: the empty file after a rename, as some file systems leave it.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

CHANGES = {"os.rename", "os.remove", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.truncate"}
# The changes for which a full disk may have no room.
WRITES = {"open", "fsync", "os.rename", "os.link", "os.symlink", "os.mkdir"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

Tree = dict[str, bytes | None]  # the path of a file or folder below the root -> its bytes, None of a folder


@dataclass(frozen=True)
class State:
    """What an interruption of one `kind` leaves, just before the change `next`, when `said` was all that was said."""

    kind: str
    tree: Tree
    next: str
    said: str


_watch: Callable | None = None  # (event, arguments of the audit hook) -> None, while somebody watches
_hooked = False


def _hook(event: str, arguments: tuple) -> None:
    if _watch is not None:
        _watch(event, arguments)


@contextmanager
def watched(root: Path, before: Callable[[str, Path, int | None], None]) -> Iterator[None]:
    """Call `before(change, path, open file or None)` ahead of every change that this process makes below `root`.

    A change is the name of an audit event (a file is opened for writing: `open`) or `fsync`. What `before` raises, the
    change raises; it may itself do anything to files without being called.
    """
    global _watch, _hooked
    if not _hooked:  # a hook stays for the life of the process
        sys.addaudithook(_hook)
        _hooked = True
    top, busy = str(root.resolve()), False

    def told(change: str, path: str, handle: int | None = None) -> None:
        nonlocal busy
        if not busy and (path == top or path.startswith(f"{top}/")):
            busy = True
            try:
                before(change, Path(path), handle)
            finally:
                busy = False

    def watch(event: str, arguments: tuple) -> None:
        if event in CHANGES and not busy:
            last = arguments[1] if event in ("os.rename", "os.link", "os.symlink") else arguments[0]
            handle = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2, "os.rename": 3, "os.link": 3, "os.symlink": 2}
            told(event, _absolute(last, arguments[handle[event]] if event in handle else -1))
        elif event == "open" and not busy and arguments[2] & WRITING and not isinstance(arguments[0], int):
            told(event, _absolute(arguments[0], -1))

    def flushing(flush: Callable) -> Callable:
        def flushed(file) -> None:
            handle = file if isinstance(file, int) else file.fileno()
            told("fsync", os.readlink(f"/proc/self/fd/{handle}"), handle)
            flush(handle)

        return flushed

    _watch = watch
    try:
        with mock.patch("os.fsync", flushing(os.fsync)), mock.patch("os.fdatasync", flushing(os.fdatasync)):
            yield
    finally:
        _watch = None


def _absolute(path, folder: int) -> str:
    """The path, seen from an open folder where there is one (-1: none)."""
    base = os.getcwd() if folder == -1 else os.readlink(f"/proc/self/fd/{folder}")
    return os.path.normpath(os.path.join(base, os.fsdecode(path)))


class Recorder:
    """The states below `root` that interruptions would have left, while `recording`; equal ones only once in a row.

    What is there at the beginning counts as flushed. `said` is asked at each change how far the program is.
    """

    def __init__(self, root: Path, said: Callable[[], str] = str):
        self.root, self.said = root.resolve(), said
        self.states: list[State] = []
        self.changes: list[tuple[str, str]] = []
        # By inode, which stays the same when a file is renamed: a folder's entries {name: inode}, a file's bytes.
        self.seen: dict[int, dict | bytes] = {}
        self.flushed: dict[int, dict | bytes] = {}
        self.held: dict[int, int] = {}  # open files: nobody else is given their inode
        self.empty: dict[int, dict | bytes] = {}  # every inode that there ever was, of which nothing was flushed

    @contextmanager
    def recording(self) -> Iterator["Recorder"]:
        """Record what this process does; the last states are those after it."""
        try:
            self.seen = self.flushed = self._look()
            self.flushed = dict(self.flushed)
            with watched(self.root, self._before):
                yield self
            self._note("the end")
        finally:
            for handle in self.held.values():
                os.close(handle)

    def _before(self, change: str, path: Path, handle: int | None) -> None:
        place = os.path.relpath(path, self.root)
        self.changes.append((change, place))
        self._note(f"{change} {place}")
        if handle is not None:
            inode = os.fstat(handle).st_ino
            if inode in self.seen:  # else it is flushed after its last name was removed
                self.flushed[inode] = self.seen[inode]

    def _note(self, following: str) -> None:
        before, self.seen = self.seen, self._look()
        top, said = self.root.stat().st_ino, self.said()
        half = {inode: _half(before.get(inode), found) for inode, found in self.seen.items()}
        self.empty |= {inode: {} if isinstance(found, dict) else b"" for inode, found in self.seen.items()}
        files = {inode: held for inode, held in self.flushed.items() if isinstance(held, bytes)}
        folders = {inode: found for inode, found in self.seen.items() if isinstance(found, dict)}
        left = {
            "torn": half,
            "killed": self.seen,
            "cut": self.empty | self.flushed,
            "emptied": self.empty | files | folders,
        }
        for kind, nodes in left.items():
            tree = _tree(nodes, top)
            last = next((state for state in reversed(self.states) if state.kind == kind), None)
            if last is None or last.tree != tree or last.said != said:
                self.states.append(State(kind, tree, following, said))

    def _look(self) -> dict[int, dict | bytes]:
        found: dict[int, dict | bytes] = {}

        def visit(path: str) -> int:
            inode = os.stat(path).st_ino
            if inode not in self.held:
                self.held[inode] = os.open(path, os.O_RDONLY)
            if os.path.isdir(path):
                found[inode] = {name: visit(f"{path}/{name}") for name in sorted(os.listdir(path))}
            elif inode not in found:
                found[inode] = Path(path).read_bytes()
            return inode

        visit(str(self.root))
        return found


def _half(before: dict | bytes | None, now: dict | bytes) -> dict | bytes:
    """What there is of a file while what was added since `before` is written."""
    if isinstance(now, dict) or now == before:
        return now
    kept = len(before) if before and now.startswith(before) else 0
    return now[: kept + (len(now) - kept) // 2]


def _tree(nodes: dict[int, dict | bytes], top: int, place: str = "") -> Tree:
    """The files and folders below the inode `top`."""
    found: Tree = {}
    for name, inode in nodes[top].items():
        node, own = nodes[inode], f"{place}{name}"
        found[own] = node if isinstance(node, bytes) else None
        if isinstance(node, dict):
            found |= _tree(nodes, inode, f"{own}/")
    return found


def restore(tree: Tree, root: Path) -> None:
    """Make the folder `root` anew and put the files and folders of `tree` there, as another process left them: names
    that hold the number of this one get another."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for place, held in tree.items():
        path = root / place.replace(f"-{os.getpid()}-", "-1-")
        path.mkdir() if held is None else path.write_bytes(held)


def tree(root: Path) -> Tree:
    """The files and folders below `root` as they are."""
    paths = sorted(root.rglob("*"))
    return {str(path.relative_to(root)): None if path.is_dir() else path.read_bytes() for path in paths}
