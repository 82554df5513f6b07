"""All pages of a finished report, read back."""

import html
import re
from pathlib import Path
from urllib.parse import unquote


def pages(results: Path) -> dict[str, str]:
    """{name: HTML} of the pages of results/<name>."""
    found = sorted((results / "report").glob("*.html"))
    assert results / "report/report.html" in found
    return {path.stem: path.read_text(encoding="utf-8") for path in found}


def without_notes(page: str) -> str:
    """A page without the numbers of its footnotes, which stand behind the first of each technical word."""
    return re.sub(r'<a\s[^>]*class="footnote-ref"[^>]*>.*?</a>', "", page, flags=re.DOTALL)


def whole(results: Path) -> str:
    """The HTML of all pages as one text, with its lines joined and its characters as they show, without footnotes."""
    found = without_notes(" ".join(pages(results).values()))
    return html.unescape(" ".join(found.split()))


def dead_links(found: dict[str, str]) -> list[tuple[str, str]]:
    """(page, address) of each link of these pages that leads nowhere: to no page of them, or to no place on it."""
    ids = {name: set(re.findall(r'\sid="([^"]+)"', page)) for name, page in found.items()}
    dead = []
    for name, page in found.items():
        for address in map(html.unescape, re.findall(r'<a\s[^>]*?href="([^"]*)"', page)):
            target, _, place = address.partition("#")
            other = Path(unquote(target)).stem if target else name
            outside = re.match(r"(data|https?|mailto):", address)
            if not outside and (other not in found or place and place not in ids[other]):
                dead.append((name, address))
    return dead
