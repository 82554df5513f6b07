"""Paths of the machine, removed from a bundle: the ends of logs and the config may contain some."""

import html
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from weight_atlas.export.result import Result
from weight_atlas.reporting.pages import embed, markdown

WITHOUT_PATHS = (".png", ".svg")


def redact(folder: Path, result: Result) -> None:
    """In all texts of a folder, write `.` for where the workflow ran, and DATA_ROOT, PYTHON and ~ for other places."""
    words = places(result.root, result.config["data_root"])
    pattern = pattern_of(words)
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in WITHOUT_PATHS:
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            new = pattern.sub(lambda match: words[match[0]], text)
            if new != text:
                path.write_bytes(new.encode("utf-8", "surrogateescape"))


def places(root: Path, data_root: str | Path) -> dict[str, str]:
    """{path as a text may spell it: the word for it}, for the paths that reveal where this ran."""
    paths = [(Path.cwd(), "."), (Path(root), "."), (Path(__file__).parents[3], ".")]
    paths += [(Path(data_root).expanduser(), "DATA_ROOT"), (Path(sys.prefix), "PYTHON"), (Path.home(), "~")]
    words: dict[str, str] = {}
    for path, word in paths:
        for place in (path, path.resolve()):
            if place.is_absolute() and len(place.parts) > 1:
                for text in spellings(os.fspath(place)):
                    words.setdefault(text, word)
    return words


def spellings(text: str) -> tuple[str, ...]:
    """A path in plain text, HTML, Markdown and in the page's CSV files (`embed`)."""
    return text, html.escape(text), str(markdown.escape(text)), quote(text, safe=embed.CSV_PLAIN)


def pattern_of(words: Iterable[str]) -> re.Pattern[str]:
    """Finds these paths as such: not as a part of a longer name (/root in data/root, /home/a in /home/ab)."""
    paths = "|".join(map(re.escape, words))
    return re.compile(rf"(?:(?<![\w.~-])|(?<=%[0-9A-Fa-f]{{2}}))(?:{paths})(?![\w-])")
