"""Download a file with a published checksum: resumed after an interruption, and verified before it is opened."""

import errno
import fcntl
import hashlib
import http.client
import os
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import IO, Any, NamedTuple

from weight_atlas.datasets import archive
from weight_atlas.datasets.image import refuse_special
from weight_atlas.datasets.source import DataRoot, Spec, downloaded, is_unpacked, under_data_root
from weight_atlas.store import flush, make_folder
from weight_atlas.text import one_line, printable

AT_ONCE = 2**18  # bytes that are read at once
TIMEOUT = 60.0  # seconds without a byte
MOST_TRIES = 100  # of a download that breaks off, as long as each brings something
MOST_BYTES = 2**40  # of a file: 1.1 TB
EVERY = 10.0  # seconds between two lines on how far it is
FULL = (errno.ENOSPC, errno.EDQUOT)
BROKEN = (http.client.HTTPException, TimeoutError, ConnectionError)


class Published(NamedTuple):
    """A file that was published: its URL, and its digest by an algorithm of hashlib."""

    url: str
    algorithm: str
    digest: str


def published(given: Mapping[str, Any]) -> Published:
    """What a config says of a download: `url`, and `sha256` or `md5`."""
    algorithm = "sha256" if given.get("sha256") else "md5"
    return Published(given["url"], algorithm, given[algorithm])


def fetch(given: Mapping[str, Any], target: Path, unpack: bool) -> None:
    """Bring a published file to its place, or what it holds; nothing is done where something is there already.

    Parameters
    ----------
    given : what the config says (see `published`)
    target : the file; or the folder that an archive is unpacked to, without the one of that name that is all it holds
    unpack : whether it is an archive (a zip or a tar) to unpack

    Raises
    ------
    ValueError
        In one line, where the server or the disk fails, or the checksum is another: nothing is opened then. What was
        downloaded so far stays beside the target as `NAME.part`, unless its checksum is wrong.
    """
    if _is_there(target):
        return
    wanted, part = published(given), target.with_name(f"{target.name}.part")
    try:
        make_folder(target.parent)
        with _locked(part) as file:
            if _is_there(target):  # another process brought it meanwhile
                return
            if not _agrees(file, wanted):
                _download(file, wanted, part)
            if not _agrees(file, wanted):
                found = _digest(file, wanted.algorithm)
                part.unlink()
                raise ValueError(
                    f"{wanted.url}: its {wanted.algorithm} is {found}, not {wanted.digest}; it was not opened, and is "
                    f"removed: correct {wanted.algorithm}: if you trust it"
                )
            _unpack(part, target) if unpack else _move(part, target)
    except OSError as error:
        raise ValueError(f"{wanted.url}: {_told(error, target.parent)}") from None


def fetch_path(spec: Spec, data_root: DataRoot) -> None:
    """Bring the `path` of a spec to its place, where it has a `download`.

    ValueError as `fetch` raises it, and where the archive does not hold the path.
    """
    if spec.get("download"):
        path = under_data_root(data_root, spec["path"], f"dataset {spec['source']}")
        target = downloaded(spec, path, data_root)
        fetch(spec["download"], target, is_unpacked(spec))
        if not path.exists():
            raise ValueError(
                f"dataset {spec['source']}: {path} is not in what was downloaded to {target}; correct path:"
            )


def _is_there(path: Path) -> bool:
    """Whether there is a file, or a folder that is not empty."""
    return any(path.iterdir()) if path.is_dir() else path.exists()


def _told(error: OSError, folder: Path) -> str:
    """What failed on the disk, and what to do."""
    if error.errno in FULL:
        return f"the disk of {folder} is full; free some space: the same command goes on"
    return f"cannot be written to {folder} ({printable(error.strerror or error)}); allow it, or set another data_root"


@contextmanager
def _locked(part: Path) -> Iterator[IO[bytes]]:
    """Yields the unfinished file, for one process at a time."""
    if part.is_symlink():  # what it names would be written over
        raise ValueError(f"{one_line(part)}: is a link; remove it")
    if part.exists():
        refuse_special(part)  # a pipe would wait for its reader
    with open(part, "a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{one_line(part)}: another process downloads it; wait for it, or stop it") from None
        except OSError:  # a file system without locks
            pass
        try:
            yield file
        finally:
            if not _size(file):
                part.unlink(missing_ok=True)


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size


def _digest(file: IO[bytes], algorithm: str) -> str:
    file.flush()
    file.seek(0)
    return hashlib.file_digest(file, algorithm).hexdigest()  # type: ignore[arg-type]  # it is a file that is read


def _agrees(file: IO[bytes], wanted: Published) -> bool:
    """Whether the file is whole, by its checksum."""
    return _size(file) > 0 and _digest(file, wanted.algorithm) == wanted.digest


def _move(part: Path, target: Path) -> None:
    """Give a file its name, once it is on the disk."""
    flush(part)
    if target.is_dir():
        target.rmdir()  # it is empty
    os.replace(part, target)
    flush(target.parent)


def _unpack(part: Path, target: Path) -> None:
    """Unpack an archive beside the target, give the folder its name once all is on the disk, and remove the archive."""
    folder = target.with_name(f".part-{target.name}")
    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
    try:
        archive.unpack(part, folder)
        alone = list(folder.iterdir())
        inner = alone[0] if [path.name for path in alone] == [target.name] and alone[0].is_dir() else folder
        os.sync()
        if target.is_dir():
            target.rmdir()  # it is empty
        os.replace(inner, target)
        flush(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    part.unlink()


# ------------------------------------------------------------------------------------------------------- the server


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https alone."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not re.match(r"https?://", newurl, re.I):
            raise ValueError(f"{req.full_url}: leads to {printable(newurl)}, which is neither http nor https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """What opens http and https, and nothing else (no file, no ftp)."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        *(urllib.request.ProxyHandler(), urllib.request.UnknownHandler(), urllib.request.HTTPHandler()),
        *(urllib.request.HTTPSHandler(), _Redirects(), urllib.request.HTTPDefaultErrorHandler()),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _download(file: IO[bytes], wanted: Published, part: Path) -> None:
    """Append to the file until it has all that the server has; ValueError in one line where it does not get there."""
    for _ in range(MOST_TRIES):
        before = _size(file)
        try:
            with _asked(file, wanted) as answer:
                total = _length(answer, file)
                _check_room(wanted, part, total, _size(file))
                _append(answer, file, wanted, total)
        except BROKEN as error:
            reason = printable(str(error)) or type(error).__name__
        else:
            if total is None or _size(file) >= total:
                return
            reason = f"it ended after {_size(file):,} of {total:,} bytes"
        if _size(file) <= before:
            break
    raise ValueError(f"{wanted.url}: the download broke off ({reason}); the same command goes on from there")


def _asked(file: IO[bytes], wanted: Published) -> HTTPResponse:
    """The server's answer to a request for what is missing. What is there already is dropped where it has no use."""
    start = _size(file)
    headers = {"User-Agent": "weight-atlas", "Accept-Encoding": "identity"}
    headers |= {"Range": f"bytes={start}-"} if start else {}
    try:
        answer: HTTPResponse = _opener().open(urllib.request.Request(wanted.url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # it has no more, and what is here has another checksum
            file.truncate(0)
            return _asked(file, wanted)
        raise ValueError(
            f"{wanted.url}: the server says {error.code} ({printable(error.reason)}); correct url:, or put the data "
            "there yourself"
        ) from None
    except urllib.error.URLError as error:
        reason = error.reason.strerror if isinstance(error.reason, OSError) else error.reason
        raise ValueError(
            f"{wanted.url}: cannot be reached ({printable(reason or error.reason)}); try again, or put the data there "
            "yourself"
        ) from None
    if start and not (answer.headers.get("Content-Range") or "").startswith(f"bytes {start}-"):
        file.truncate(0)  # a server without ranges begins anew
        if answer.status == 206:
            answer.close()
            return _asked(file, wanted)
    return answer


def _length(answer: HTTPResponse, file: IO[bytes]) -> int | None:
    """How many bytes the whole file has, as the server says; None where it does not."""
    length = answer.headers.get("Content-Length")
    return _size(file) + int(length) if length and length.isdigit() else None


def _check_room(wanted: Published, part: Path, total: int | None, start: int) -> None:
    """ValueError where the disk has not enough room for the rest."""
    if total and total > MOST_BYTES:
        raise ValueError(f"{wanted.url}: its {total:,} bytes are more than the {MOST_BYTES:,} that are read")
    free = shutil.disk_usage(part.parent).free
    if total and total - start > free:
        raise ValueError(
            f"{wanted.url}: needs {total - start:,} bytes, and {part.parent} has {free:,} left; free some, or set "
            "another data_root"
        )


def _received(answer: HTTPResponse) -> bytes:
    """Some bytes; errors of the network are told apart from those of the disk."""
    try:
        return answer.read(AT_ONCE)
    except OSError as error:
        raise ConnectionError(error.strerror or str(error)) from None


def _append(answer: HTTPResponse, file: IO[bytes], wanted: Published, total: int | None) -> None:
    """Write what the server sends, and say now and then how far it is."""
    told = time.monotonic()
    while content := _received(answer):
        file.write(content)
        file.flush()
        if _size(file) > (total or MOST_BYTES):
            raise ValueError(f"{wanted.url}: sends more than the {total or MOST_BYTES:,} bytes that it says it has")
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            of = f" of {total / 1e6:,.0f}" if total else ""
            print(f"downloading {wanted.url}: {_size(file) / 1e6:,.0f}{of} MB", file=sys.stderr, flush=True)
