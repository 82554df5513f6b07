"""Is a bundle whole? Its files are those of its manifest, with their hashes, and the page links to nothing else."""

import hashlib
import posixpath
import re
import zipfile
import zlib
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

from weight_atlas.export.crate import MANIFEST

PAGE = "report.html"


def difference(path):
    """The first thing that is wrong with the zip file at `path`, in one line; None where all is as it should be."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _listed(archive) or _links(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        return f"the archive is damaged ({error})"


def _listed(archive):
    """The first file that is missing, unlisted, there twice, or other than its hash says."""
    names = archive.namelist()
    if MANIFEST not in names:
        return f"{MANIFEST} is missing"
    sums = {}
    for line in archive.read(MANIFEST).decode("utf-8", "replace").splitlines():
        match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        if match is None:
            return f"{MANIFEST} has a line that is none of sha256sum's: {line[:80]!r}"
        sums[match[2]] = match[1]
    for name in sorted({*names, *sums} - {MANIFEST}):
        if name.startswith("/") or ".." in name.split("/"):
            return f"{name} lies outside of the bundle"
        if name not in sums or name not in names:
            return f"{name} is {'missing' if name in sums else f'not listed in {MANIFEST}'}"
        if names.count(name) > 1:
            return f"{name} is there twice"
        with archive.open(name) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sums[name]:
                return f"{name} is not the file that {MANIFEST} lists"
    return None


def _links(archive):
    """The first link of the page that leads to a file which is not in the bundle."""
    names = set(archive.namelist())
    if PAGE not in names:
        return f"{PAGE} is missing"
    page = Links()
    page.feed(archive.read(PAGE).decode("utf-8", "replace"))
    for link in page.found:
        try:
            target = urlsplit(link)
        except ValueError:
            return f"{PAGE} has a link that is no address: {link[:80]!r}"
        outside = target.scheme not in ("", "file") or target.netloc
        if not outside and target.path and posixpath.normpath(unquote(target.path)) not in names:
            return f"{PAGE} links to {target.path}, which is not in the bundle"
    return None


class Links(HTMLParser):
    """Collects what a page links to or loads, without what it carries in itself (data:)."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        links = (value for name, value in attributes if name in ("href", "src", "data", "poster") and value)
        self.found += [link for link in links if not link.startswith(("data:", "#"))]
