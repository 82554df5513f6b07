"""Puts the files that a page shows, runs or offers into the page itself: it is whole wherever it is opened.

Pandoc and Quarto could do so too, in several times the time and with pictures a third larger.
"""

import base64
import html
import re
from pathlib import Path
from urllib.parse import quote, unquote

CSV_PLAIN = "~,;:/"  # characters of a CSV file that are as they are in a link, beside letters, digits and _.-
SVG_ESCAPED = re.compile(rb"""[^ -~]|["#%&<>]""")
SAID = r"""(?:[^<>"]|"[^"]*")*?"""  # attributes: a quoted value may hold any tag
TAG = re.compile(
    rf"""<(?P<tag>img|link|script|a)\b(?P<said>{SAID}\s(?P<key>src|href)="(?P<to>[^"]*)"{SAID})"""
    r"(?P<end>/?>(?:</script>)?)"
)


def embed(path: Path) -> list[str]:
    """Rewrite the page with the local files that it names in itself; returns a line for each that is not there."""
    missing = []

    def carried(found: re.Match[str]) -> str:
        name = unquote(html.unescape(found["to"]))
        if not _is_carried(found["tag"], name):
            return found[0]
        file = path.parent / name
        if not file.is_file():
            missing.append(f"{name}, which the document names, is not there")
            return found[0]
        return _with(found, file)

    text = path.read_text(encoding="utf-8")
    path.write_text(TAG.sub(carried, text), encoding="utf-8")
    return missing


def _is_carried(tag: str, name: str) -> bool:
    """Whether what a tag names is a file that the page carries: of links, those to CSV files."""
    elsewhere = not name or re.match(r"[a-z][a-z0-9+.-]*:|[#/]", name, re.IGNORECASE)
    return not elsewhere and (tag != "a" or name.lower().endswith(".csv"))


def _with(found: re.Match[str], file: Path) -> str:
    """A tag with the contents of its file."""
    content = file.read_bytes()
    if found["tag"] == "link":
        return f"<style>\n{_short(content.decode())}</style>"
    if found["tag"] == "script":
        return f"<script>{content.decode()}</script>"
    link, said = data(file.name, content), found["said"]
    if found["tag"] == "a" and not re.search(r"\sdownload=", said):
        said += f' download="{html.escape(file.name)}"'
    whole = f"<{found['tag']}{said}{found['end']}"
    return whole.replace(f'{found["key"]}="{found["to"]}"', f'{found["key"]}="{link}"', 1)


def data(name: str, content: bytes) -> str:
    """A file as a data: link that stands in double quotes; its bytes are kept.

    An SVG is text, of which little needs an escape: https://www.rfc-editor.org/rfc/rfc2397
    """
    if name.lower().endswith(".csv"):
        return f"data:text/csv;charset=utf-8,{quote(content, safe=CSV_PLAIN)}"
    if name.endswith(".svg"):
        return f"data:image/svg+xml,{SVG_ESCAPED.sub(lambda one: b'%%%02X' % ord(one[0]), content).decode()}"
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def _short(css: str) -> str:
    """A style sheet without comments and indents."""
    return re.sub(r"\n\s+", "\n", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))
