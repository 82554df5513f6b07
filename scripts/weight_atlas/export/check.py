"""Whether a bundle is whole and harmless: its files are those of its manifest, with their hashes, the page links to no
other, nothing in it runs but our own scripts, and it unpacks to what it says, wherever that is done."""

import hashlib
import os
import posixpath
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import IO
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from weight_atlas.export import active
from weight_atlas.export.active import PAGE
from weight_atlas.export.ro_crate import MANIFEST
from weight_atlas.text import printable

MOST_MEMBERS = 100_000
MOST_LIST = 2**24  # bytes of the list of files: 17 MB
END, LONGEST_END = 22, 22 + 2**16  # bytes of the record at an archive's end, without and with a comment
MOST_UNPACKED = 2**32  # bytes of all files together: 4.3 GB
MOST_MANIFEST = 2**24  # bytes: 17 MB
SUMMARY = "report.html"  # the page that a bundle begins with
MOST_PAGE = 2**26  # bytes of a page or figure, which is read as a whole: 67 MB
AT_ONCE = 2**20  # bytes
HEADER = 30  # bytes of a member's own header, before its name
ENCRYPTED, UNDECLARED, UTF8 = 0x0001 | 0x0040 | 0x2000, 0x0008, 0x0800  # flags of a member
EXTRA = {0x5455, 0x7875, 0x000A}  # fields with times and owners, as other programs that make a zip write them


def first_problem(path: Path) -> str | None:
    """The first thing that is wrong with a bundle, a zip file, in one line; None where it is whole, and harmless."""
    if not stat.S_ISREG(path.stat().st_mode):
        return "is no file"
    try:
        with open(path, "rb") as file:
            if problem := _check_list(file):
                return problem
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
            return (
                _check_members(members, path.stat().st_size)
                or _check_headers(file, members)
                or _check_manifest(file, members)
                or _check_links(file, members)
            )
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError) as error:
        return f"the archive is damaged ({error})"
    except (ValueError, OSError) as error:  # zipfile's and the file's, for offsets and sizes that are none
        return f"the archive is damaged ({printable(error)})"


# ------------------------------------------------------------------------------------ its members, before one is read


def _check_list(file: IO[bytes]) -> str | None:
    """Whether the list at the archive's end is larger than a bundle's: zipfile reads it as a whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - LONGEST_END))
    end = file.read()
    at = len(end) - END if end[-END:].startswith(b"PK\5\6") else end.rfind(b"PK\5\6")
    if at < 0 or len(end) - at < END:
        return None  # zipfile says what it is
    (length,) = struct.unpack("<12xI", end[at : at + 16])
    if end[max(0, at - 20) :].startswith(b"PK\6\7") or length > MOST_LIST:
        return f"its list of files has more than the {MOST_LIST:,} bytes that are read"
    return None


def _check_members(members: list[zipfile.ZipInfo], size: int) -> str | None:
    """The first member that no bundle has, by what the list at the archive's end says."""
    if len(members) > MOST_MEMBERS:
        return f"it has {len(members):,} files; allowed are {MOST_MEMBERS:,}"
    seen: dict[str, str] = {}
    folders = {folder.as_posix() for one in members for folder in PurePosixPath(one.filename).parents}
    for member in members:
        name = member.filename
        if problem := _name_problem(name) or _kind_problem(member):
            return f"{printable(name)} {problem}"
        if (other := seen.setdefault(normalize("NFC", name).casefold(), name)) != name:
            return f"{printable(other)} and {printable(name)} differ in case alone, and are one file on some systems"
        if name in folders:
            return f"{printable(name)} is a file and a folder"
    unpacked = sum(member.file_size for member in members)
    if unpacked > MOST_UNPACKED:
        return f"it unpacks to {unpacked:,} bytes; allowed are {MOST_UNPACKED:,}"
    if sum(member.compress_size for member in members) > size:
        return "its files overlap, as those of a bundle do not"
    twice = next((name for name, number in Counter(one.filename for one in members).items() if number > 1), None)
    return f"{printable(twice)} is there twice" if twice else None


def _name_problem(name: str) -> str | None:
    """What is wrong with a member's name: it must mean one place, below the folder that it is unpacked to."""
    if re.match(r"[A-Za-z]:", name):
        return "begins with a drive letter"
    if name.startswith("/") or ".." in name.split("/"):
        return "is outside the bundle"
    if "\\" in name:
        return "has a backslash in its name"
    if name != printable(name) or ":" in name or {"", "."} & set(name.split("/")):
        return "has a name that is none on some systems"
    return None


def _kind_problem(member: zipfile.ZipInfo) -> str | None:
    """What is wrong with how a member is stored."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "is a link" if kind == stat.S_IFLNK else "is no file"
    if member.flag_bits & ENCRYPTED:
        return "is encrypted"
    if member.flag_bits & UNDECLARED:
        return "does not declare its size"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is compressed by method {member.compress_type}; allowed is Deflate"
    if member.header_offset < 0:
        return "begins before the archive does"
    if member.file_size > MOST_UNPACKED:
        return f"unpacks to {member.file_size:,} bytes; allowed are {MOST_UNPACKED:,}"
    return None


def _check_headers(file: IO[bytes], members: list[zipfile.ZipInfo]) -> str | None:
    """The first member whose own header says something else than the list: some programs unpack by the one, some by
    the other."""
    for member in members:
        file.seek(member.header_offset)
        flags, method, *sizes, length, extra = struct.unpack("<6xHH4xIIIHH", file.read(HEADER))
        listed = [member.CRC, member.compress_size, member.file_size]
        name = file.read(length).decode("utf-8" if flags & UTF8 else "cp437")
        if [flags, method, name, *sizes] != [member.flag_bits, member.compress_type, member.orig_filename, *listed]:
            return f"{printable(member.filename)} has a header that says something else than the archive's list"
        for field in (file.read(extra), member.extra):
            if kinds := _kinds(field) - EXTRA:
                return f"{printable(member.filename)} has an extra field that no bundle has ({min(kinds):#06x})"
    return None


def _kinds(extra: bytes) -> set[int]:
    """The kinds of the extra fields of a header."""
    kinds: set[int] = set()
    while len(extra) >= 4:
        kind, length = struct.unpack("<HH", extra[:4])
        kinds.add(kind)
        extra = extra[4 + length :]
    return kinds


def _pieces(file: IO[bytes], member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The content of a member, piece by piece; BadZipFile where it is not of the size that it declares."""
    file.seek(member.header_offset)
    length, extra = struct.unpack("<26xHH", file.read(HEADER))
    file.seek(member.header_offset + HEADER + length + extra)
    left, total = member.compress_size, 0
    unpack = zlib.decompressobj(-zlib.MAX_WBITS) if member.compress_type == zipfile.ZIP_DEFLATED else None
    while left:
        packed = file.read(min(left, AT_ONCE))
        if not packed:
            raise zipfile.BadZipFile(f"{member.filename} ends too early")
        left -= len(packed)
        while packed:
            piece = unpack.decompress(packed, AT_ONCE) if unpack else packed
            packed = unpack.unconsumed_tail if unpack else b""
            total += len(piece)
            if total > member.file_size or (unpack and unpack.unused_data):
                raise zipfile.BadZipFile(f"{member.filename} is larger than it declares")
            yield piece
    if total != member.file_size or (unpack and not unpack.eof):
        raise zipfile.BadZipFile(f"{member.filename} is smaller than it declares")


# ----------------------------------------------------------------------------------------------- what is in them


def _check_manifest(file: IO[bytes], members: list[zipfile.ZipInfo]) -> str | None:
    """The first file that is missing, unlisted or altered, or could run something."""
    by_name = {member.filename: member for member in members}
    if MANIFEST not in by_name:
        return f"{MANIFEST} is missing"
    if by_name[MANIFEST].file_size > MOST_MANIFEST:
        return f"{MANIFEST} has {by_name[MANIFEST].file_size:,} bytes; allowed are {MOST_MANIFEST:,}"
    sums: dict[str, str] = {}
    for line in b"".join(_pieces(file, by_name[MANIFEST])).decode("utf-8", "replace").splitlines():
        match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        if match is None:
            return f"{MANIFEST} has a line that is not in sha256sum's format: {line[:80]!r}"
        if sums.setdefault(match[2], match[1]) != match[1]:
            return f"{MANIFEST} lists {printable(match[2])} twice"
    for name in sorted({*by_name, *sums} - {MANIFEST}):
        if name not in sums or name not in by_name:
            return f"{printable(name)} is {'missing' if name in sums else f'not listed in {MANIFEST}'}"
        if problem := _file_problem(file, by_name[name], sums[name]):
            return f"{printable(name)} {problem}"
    return None


def _file_problem(file: IO[bytes], member: zipfile.ZipInfo, expected: str) -> str | None:
    """What is wrong with a file: its digest, or what it holds."""
    sha, reads = hashlib.sha256(), active.reads(member.filename)
    if reads and member.file_size > MOST_PAGE:
        return f"has {member.file_size:,} bytes; allowed are {MOST_PAGE:,}"
    content = []
    for piece in _pieces(file, member):
        sha.update(piece)
        content += [piece] if reads else []
    if sha.hexdigest() != expected:
        return f"is not the file that {MANIFEST} lists"
    return active.problem(member.filename, b"".join(content))


def _check_links(file: IO[bytes], members: list[zipfile.ZipInfo]) -> str | None:
    """The first link of a page to a file that is not in the bundle."""
    names = {member.filename: member for member in members}
    if SUMMARY not in names:
        return f"{SUMMARY} is missing"
    for name in sorted(filter(PAGE.fullmatch, names)):
        page = Links()
        page.feed(b"".join(_pieces(file, names[name])).decode("utf-8", "replace"))
        for link in page.links:
            try:
                target = urlsplit(link)
            except ValueError:
                return f"{name} has a link that is no address: {link[:80]!r}"
            outside = target.scheme not in ("", "file") or target.netloc
            if not outside and target.path and posixpath.normpath(unquote(target.path)) not in names:
                return f"{name} links to {target.path}, which is not in the bundle"
    return None


class Links(HTMLParser):
    """Collects what a page links to or loads, apart from what it embeds (data:)."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        links = (value for name, value in attrs if name in ("href", "src", "data", "poster") and value)
        self.links += [link for link in links if not link.startswith(("data:", "#"))]
