"""What of a bundle could run something where it is opened, rendered again or unpacked: refused, but for our own.

A page is read by a grammar as narrow as what Pandoc writes: what a browser might read in another way than we do is
none of it. Scripts and filters must be those of this workflow's folder `report`, to the byte.
"""

import hashlib
import html
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath
from xml.parsers import expat

import yaml

REPORT = Path(__file__).resolve().parents[3] / "report"
SNAKEFILE = "workflow/Snakefile"  # what a bundle calls that of this workflow
# A page of the report, and its source (weight_atlas.plan.pages).
PAGE, DOCUMENT = (
    re.compile(rf"(report|data|runs|methods|study-[A-Za-z0-9][\w.+-]*)\.{kind}") for kind in ("html", "qmd")
)
OWN = ("page.js", "exhibits.js", "filter.lua", "paper.lua", "paper.typ", "glossary.lua", "template.html")
FILTERS = [{"at": "pre-ast", "path": name} for name in ("glossary.lua", "filter.lua")]  # of the source, by Quarto
KINDS = (
    ".bib",
    ".cff",
    ".css",
    ".csv",
    ".json",
    ".png",
    ".safetensors",
    ".scss",
    ".sha256",
    ".svg",
    ".tex",
    ".txt",
    ".yaml",
)
TAGS = re.compile(
    "a|abbr|article|aside|b|blockquote|body|br|button|caption|cite|code|col|colgroup|dd|del|details|dfn|div|dl|dt|em|"
    "figcaption|figure|footer|h[1-6]|head|header|hr|html|i|img|ins|kbd|li|link|main|mark|meta|nav|ol|p|pre|q|s|samp|"
    "section|small|span|strong|sub|summary|sup|table|tbody|td|tfoot|th|thead|time|title|tr|u|ul|var|wbr|"
    "math|annotation|menclose|merror|mfrac|mi|mmultiscripts|mn|mo|mover|mpadded|mphantom|mprescripts|mroot|mrow|ms|"
    "mspace|msqrt|mstyle|msub|msubsup|msup|mtable|mtd|mtext|mtr|munder|munderover|none|semantics"
)
LINKS = ("href", "src", "xlink:href", "poster", "cite", "longdesc")
RUNNING = ("srcdoc", "srcset", "action", "formaction", "ping", "http-equiv")
SCHEMES = ("", "http", "https", "mailto", "file")  # of links; `check` refuses a file that is not in the bundle
DATA = {"a": r"text/csv\b.*|,.*", "img": r"(image/|text/csv).*", "link": r",|text/css\b.*"}  # what data: may hold
TOKEN = re.compile(
    r"(?P<text>[^<]+)"
    r"|<script>(?P<script>.*?)</script>"
    r"|<style(?: type=\"text/css\")?>[^<]*</style>"
    r"|</[a-z][a-z0-9]*\s*>"
    r"|<(?P<tag>[a-z][a-z0-9]*)(?P<attributes>(?:\s+[A-Za-z][\w:.-]*(?:=\"[^\"]*\")?)*)\s*/?>",
    re.DOTALL,
)
ATTRIBUTE = re.compile(r"\s+([A-Za-z][\w:.-]*)(?:=\"([^\"]*)\")?")
SVG = "http://www.w3.org/2000/svg"
SHAPES = re.compile(
    "circle|clippath|defs|desc|ellipse|g|image|line|lineargradient|marker|mask|metadata|path|pattern|polygon|polyline|"
    "radialgradient|rect|stop|style|svg|symbol|text|title|tspan|use"
)
DESCRIBING = (  # namespaces of what a figure says about itself
    *("http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://purl.org/dc/elements/1.1/"),
    "http://creativecommons.org/ns#",
)
HEADER = {"title", "subtitle", "date", "lang", "from", "bibliography", "link-citations", "tbl-colwidths", "filters"}
HEADER |= {"wide", "references", "crossref"}


def problem(name: str, content: bytes) -> str | None:
    """The first thing in a file of a bundle that could run something, in a few words; None where nothing could."""
    if name in (*OWN, SNAKEFILE):
        return None if _sha256(content) == _own()[name] else "is not this version's own script or filter"
    if name.endswith(".md"):
        return _text(content, _card)
    if PAGE.fullmatch(name):
        return _text(content, _page)
    if DOCUMENT.fullmatch(name):
        return _text(content, _document)
    if name != "LICENSE" and PurePosixPath(name).suffix not in KINDS:
        return "is of a kind that no bundle has"
    return _svg(content) if name.endswith(".svg") else None


def reads(name: str) -> bool:
    """Whether the content of a file is looked at as a whole."""
    known = name in (*OWN, SNAKEFILE) or PAGE.fullmatch(name) or DOCUMENT.fullmatch(name)
    return bool(known or name.endswith((".svg", ".md")))


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@cache
def _own() -> dict[str, str]:
    """The SHA-256 of each of our own scripts and filters, and of the script within the template, by name."""
    own = {name: _sha256((REPORT / name).read_bytes()) for name in OWN}
    own[SNAKEFILE] = _sha256(REPORT.with_name("Snakefile").read_bytes())
    template = (REPORT / "template.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", template, re.DOTALL)
    return own | {f"template {number}": _sha256(text.encode()) for number, text in enumerate(scripts)}


def _text(content: bytes, look: Callable[[str], str | None]) -> str | None:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return "is no UTF-8 text"
    if found := re.search(r"[\x00-\x08\x0b\x0e-\x1f\x7f]", text):
        return f"has the control character {found[0]!r}"
    return look(text)


# ------------------------------------------------------------------------------------------------------ the page


def _page(text: str) -> str | None:
    at = re.match(r"(?i)\ufeff?\s*<!doctype html>", text)
    if at is None:
        return "does not begin with <!DOCTYPE html>"
    place = at.end()
    while place < len(text):
        token = TOKEN.match(text, place)
        if token is None:
            return f"has markup that no report has: {text[place : place + 40]!r}"
        if token["script"] is not None and _sha256(token["script"].encode()) not in _own().values():
            return f"has a script that is not this version's own: {token['script'].strip()[:40]!r}"
        if token["tag"] is not None and (found := _tag(token["tag"], token["attributes"])):
            return found
        place = token.end()
    return None


def _tag(tag: str, attributes: str) -> str | None:
    """What is wrong with a tag of the page."""
    if not TAGS.fullmatch(tag):
        return f"has a tag that no report has: <{tag}>"
    for name, value in ATTRIBUTE.findall(attributes):
        name, value = name.lower(), html.unescape(value)
        if name.startswith("on") or name in RUNNING:
            return f"has an attribute that runs something: <{tag} {name}={value[:40]!r}>"
        if name in LINKS and not _harmless(value, tag):
            return f"has a link that runs something: <{tag} {name}={value[:40]!r}>"
        if (tag, name) == ("meta", "charset") and value.lower() != "utf-8":
            return f"says that it is written in {value[:40]!r}, not in UTF-8"
    return None


def _harmless(link: str, tag: str) -> bool:
    """Whether a link leads to a file or page, or embeds what its tag may. Browsers pass over blanks in it."""
    link = re.sub(r"[\x00-\x20]+", "", link)
    scheme, colon, rest = link.partition(":")
    if not colon or re.search(r"[/?#]", scheme):
        return True
    if scheme.lower() == "data":
        return bool(re.fullmatch(DATA.get(tag, "(?!)"), rest, re.DOTALL | re.IGNORECASE))
    return scheme.lower() in SCHEMES


def _card(text: str) -> str | None:
    """Markup, or a link that runs something, in a card or index outside of blocks of code: ours have none."""
    text = re.sub(r"(?ms)^(`{3,})[a-z]+\n.*?^\1\n", "", f"{text}\n")
    found = re.search(r"(?<!\\)<[A-Za-z/!?][^\s>]{0,30}|(?i:\]\(\s*(?!https?:)\w+:[^)\s]*)", text)
    return f"has markup that no card has: {found[0][:40]!r}" if found else None


# ------------------------------------------------------------------------------------------ the page's own source


def _document(text: str) -> str | None:
    """What of the source would be run where Quarto or Pandoc renders it again."""
    parts = text.split("---\n", 2)
    head, body = parts[1:] if len(parts) == 3 and not parts[0] else ["", text]
    try:
        header = yaml.safe_load(head) or {}
    except (yaml.YAMLError, RecursionError, ValueError):
        return "has a header that is no YAML"
    if not isinstance(header, dict):
        return "has a header that is no mapping"
    if unknown := sorted(map(str, set(header) - HEADER - {"format"})):
        return f"has a key in its header that no report has: {unknown[0][:40]!r}"
    if header.get("filters", FILTERS) != FILTERS:
        return f"has other filters than ours in its header: {str(header['filters'])[:40]}"
    if header.get("format", _format()) != _format():
        return "has another format in its header than ours"
    found = re.search(r"(?m)^[ \t>]*(`{3,}|~{3,})[ \t]*\{[ \t]*[A-Za-z].*", body) or re.search(r"\{\{<.*", body)
    return f"has something that Quarto would run: {found[0].strip()[:40]!r}" if found else None


@cache
def _format() -> object:
    """The format that the template of the source has."""
    template = (REPORT / "page.qmd.j2").read_text(encoding="utf-8")
    found = re.search(r"^format:\n(?:  .*\n)+", template, re.MULTILINE)
    assert found, "the template has a format"
    return yaml.safe_load(found[0])["format"]


# --------------------------------------------------------------------------------------------------- the figures


class _Refused(Exception):
    """What a figure has that could run something."""


def _svg(content: bytes) -> str | None:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = _element
    parser.ProcessingInstructionHandler = lambda target, _: _refuse(f"the instruction <?{target[:40]}?>")
    parser.EntityDeclHandler = lambda name, *_: _refuse(f"the entity {name[:40]!r}")
    try:
        parser.Parse(content, True)
    except _Refused as error:
        return str(error)
    except (expat.ExpatError, ValueError, RecursionError) as error:
        return f"is no well-formed SVG ({error})"
    return None


def _refuse(what: str) -> None:
    raise _Refused(f"has {what}, which no figure has")


def _element(name: str, attributes: dict[str, str]) -> None:
    space, _, local = name.rpartition(" ")
    if space not in DESCRIBING and (space != SVG or not SHAPES.fullmatch(local.lower())):
        _refuse(f"the element <{local[:40]}>")
    for key, value in attributes.items():
        key = key.rpartition(" ")[2].lower()
        inside = value.startswith("#") or re.match(r"data:image/(png|jpeg);base64,", value)
        if key.startswith("on") or key in LINKS and not inside:
            _refuse(f"the attribute {key}={value[:40]!r}")
