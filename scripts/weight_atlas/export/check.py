"""Whether a bundle is whole: its files are those of its manifest, with their hashes, and the page links to no other."""

import hashlib
import posixpath
import re
import zipfile
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from weight_atlas.export.ro_crate import MANIFEST

PAGE = "report.html"


def first_problem(path: Path) -> str | None:
    """The first thing that is wrong with a bundle, a zip file, in one line; None where it is whole."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _check_manifest(archive) or _check_links(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        return f"the archive is damaged ({error})"


def _check_manifest(archive: zipfile.ZipFile) -> str | None:
    """The first file that is missing, unlisted, duplicated, or altered."""
    names = archive.namelist()
    if MANIFEST not in names:
        return f"{MANIFEST} is missing"
    sums = {}
    for line in archive.read(MANIFEST).decode("utf-8", "replace").splitlines():
        match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        if match is None:
            return f"{MANIFEST} has a line that is not in sha256sum's format: {line[:80]!r}"
        sums[match[2]] = match[1]
    for name in sorted({*names, *sums} - {MANIFEST}):
        if name.startswith("/") or ".." in name.split("/"):
            return f"{name} is outside the bundle"
        if name not in sums or name not in names:
            return f"{name} is {'missing' if name in sums else f'not listed in {MANIFEST}'}"
        if names.count(name) > 1:
            return f"{name} is there twice"
        if hashlib.sha256(archive.read(name)).hexdigest() != sums[name]:
            return f"{name} is not the file that {MANIFEST} lists"
    return None


def _check_links(archive: zipfile.ZipFile) -> str | None:
    """The first link of the page to a file that is not in the bundle."""
    names = set(archive.namelist())
    if PAGE not in names:
        return f"{PAGE} is missing"
    page = Links()
    page.feed(archive.read(PAGE).decode("utf-8", "replace"))
    for link in page.links:
        try:
            target = urlsplit(link)
        except ValueError:
            return f"{PAGE} has a link that is no address: {link[:80]!r}"
        outside = target.scheme not in ("", "file") or target.netloc
        if not outside and target.path and posixpath.normpath(unquote(target.path)) not in names:
            return f"{PAGE} links to {target.path}, which is not in the bundle"
    return None


class Links(HTMLParser):
    """Collects what a page links to or loads, apart from what it embeds (data:)."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        links = (value for name, value in attrs if name in ("href", "src", "data", "poster") and value)
        self.links += [link for link in links if not link.startswith(("data:", "#"))]
