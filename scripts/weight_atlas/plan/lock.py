"""One Snakemake at a time in a directory: a lock that goes with the process, however that ends."""

import fcntl
import os
import socket
from pathlib import Path


class Busy(Exception):
    """Another process holds the lock; the message is one line that says which."""


def hold(path: Path) -> int:
    """Hold the lock file `path` until this process ends; its handle, which no child inherits. Busy where it is held.

    Where the file system knows no locks there is none, and nothing is refused.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():  # what it names would be written over
        raise Busy(f"{path} is a link, and no lock file; remove it")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 200).decode(errors="replace").strip()
        os.close(handle)
        raise Busy(f"another snakemake works in this directory ({holder}); wait for it, or stop it") from None
    except OSError:
        return handle
    os.truncate(handle, 0)
    os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
    return handle


def held(path: Path) -> bool:
    """Whether a process holds the lock file `path`. Looking on disturbs nobody: the lock is shared, and given back."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(handle)
    return False
