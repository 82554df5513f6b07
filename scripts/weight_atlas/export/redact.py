"""Paths of the machine, taken out of what is passed on: the logs' last words and the config may hold some."""

import html
import os
import re
import sys
from pathlib import Path
from urllib.parse import quote

from weight_atlas.reporting.pages import render

PLAIN = (".png", ".svg")  # files that hold no paths


def clean(folder, result):
    """In all texts of a folder, write `.` for where the workflow ran, and DATA_ROOT, PYTHON and ~ for other places."""
    words = places(result.root, result.config["data_root"])
    pattern = pattern_of(words)
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in PLAIN:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            new = pattern.sub(lambda match: words[match[0]], text)
            if new != text:
                path.write_bytes(new.encode("utf-8", "surrogateescape"))


def places(root, data_root):
    """{path as a text may spell it: the word for it}, of the paths that tell where this ran."""
    own = [(Path.cwd(), "."), (Path(root), "."), (Path(__file__).parents[3], ".")]
    own += [(Path(data_root).expanduser(), "DATA_ROOT"), (Path(sys.prefix), "PYTHON"), (Path.home(), "~")]
    found = {}
    for path, word in own:
        for known in (path, path.resolve()):
            if known.is_absolute() and len(known.parts) > 1:
                for text in spellings(os.fspath(known)):
                    found.setdefault(text, word)
    return found


def spellings(text):
    """A path in plain text, HTML, Markdown and in the page's CSV files (see report/embed.lua)."""
    return text, html.escape(text), str(render.escape(text)), quote(text, safe="~,;:/-._")


def pattern_of(words):
    """Finds these paths as such: not as a part of a longer name (/root in data/root, /home/a in /home/ab)."""
    paths = "|".join(map(re.escape, words))
    return re.compile(rf"(?:(?<![\w.~-])|(?<=%[0-9A-Fa-f]{{2}}))(?:{paths})(?![\w-])")
