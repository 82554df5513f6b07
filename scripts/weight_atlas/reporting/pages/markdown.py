"""Text and numbers as Markdown: whatever a text holds, it comes out literally.

Only what a function here marks as Markdown (`Markup`) is let through as such.
"""

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from weight_atlas.text import literal

SHORT = 7  # characters of a number that is shown as it is written
DASH = "–"
SEEN, SEEN_LENGTH = 2, 100  # sentences and characters of a caption that stay unfolded, at least
SENTENCES = re.compile(r"(?<=[.?!])(?<!et al\.) +(?=[^\W\d_a-z]|[‖Δθω|])")


def escape(value: object) -> Markup:
    """Plain text as Markdown inline text that shows it literally, on one line; what is Markdown already stays.

    Pandoc lets every punctuation character be escaped by a backslash (extension all_symbols_escapable). Smart
    punctuation is off in the document, so that quotes, dashes and dots need none.
    """
    if isinstance(value, Markup):
        return value
    text = re.sub(r"([\\`*_{}\[\]<>#|$^~@&])", r"\\\1", _line(value))
    # What would be a list, a rule, a definition or a caption at the start of a line.
    return Markup(_START.sub(lambda mark: f"{mark[0][:-1]}\\{mark[0][-1]}", text))


_START = re.compile(r"^([-+=:]|\(?\w{1,9}[.)](?=\s|$)|[Tt]able:)")


def _line(value: object) -> str:
    """Text on one line, without the colours of a log; other controls, and marks that turn the direction, escaped."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(value))
    return literal(re.sub(r"[ \t\r\n\f\v]+", " ", text).strip())


def paragraphs(text: object) -> Markup:
    """Plain text with blank lines between paragraphs as Markdown paragraphs."""
    return Markup("\n\n".join(escape(part) for part in re.split(r"\n\s*\n", str(text).strip())))


def parted(caption: str) -> tuple[str, str]:
    """The first sentences of a caption, which stay below a figure or above a table, and the others, which fold.

    A caption says first what is seen, then how its marks are read. A single sentence does not fold.
    """
    sentences = SENTENCES.split(caption.strip())
    seen = SEEN
    while len(" ".join(sentences[:seen])) < SEEN_LENGTH and seen < len(sentences):
        seen += 1
    if len(sentences) <= seen + 1:
        return caption, ""
    return " ".join(sentences[:seen]), " ".join(sentences[seen:])


def attribute(text: object) -> Markup:
    """Plain text as a quoted Markdown attribute value: fig-alt={{ text | attribute }}."""
    return Markup('"' + _parted_braces(re.sub(r"([\\\"&<>{}|`])", r"\\\1", _line(text))) + '"')


def code(text: object) -> Markup:
    """Plain text as inline code, where it holds nothing that could end it or mean something to Quarto."""
    return Markup(f"`{text}`") if re.fullmatch(r"[\w.+/:=,@-]+", str(text)) else escape(text)


def fence(text: object) -> Markup:
    """Plain text as a block of code, in which Quarto looks for no shortcodes."""
    ticks = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", str(text)))])
    lines = "\n".join(literal(line) for line in str(text).strip().split("\n"))
    return Markup(f'{ticks} {{.text shortcodes="false"}}\n{lines}\n{ticks}')


def slug(text: object) -> str:
    """`text` for a label of Quarto's: lower case, hyphens, no underscores."""
    return re.sub(r"[^a-z0-9]+", "-", str(text).lower()).strip("-")


def slugs(names: Iterable[str]) -> dict[str, str]:
    """{name: its slug}; of names that differ in punctuation alone, the later ones get a number."""
    found: dict[str, str] = {}
    for name in names:
        numbered = (f"{slug(name)}-{at}" for at in itertools.count(2))
        found[name] = next(one for one in itertools.chain([slug(name)], numbered) if one not in found.values())
    return found


def quoted(text: object) -> Markup:
    """Plain text as a double-quoted YAML value that Pandoc and Quarto read as Markdown."""
    return Markup(json.dumps(_parted_braces(str(escape(text))), ensure_ascii=False))


def _parted_braces(text: str) -> str:
    """Escaped text with an invisible sign in a shortcode's braces: Quarto would run it in a header or an attribute."""
    return text.replace(r"\{\{\<", "\\{\u2060\\{\\<").replace(r"\>\}\}", "\\>\u2060\\}\\}")


def number(value: float | str | None, digits: int = 3) -> Markup:
    """A number with `digits` significant digits: 0.0123, 1,230, 3.20 × 10^−7^; a dash for None and NaN."""
    if value is None or value == "" or math.isnan(float(value)):
        return Markup(DASH)
    value = float(value)
    if value and math.isfinite(value):
        power = math.floor(math.log10(abs(value)))
        if not -4 <= power < 9:
            mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
            return Markup(f"{mantissa} × 10^{int(exponent)}^".replace("-", "−"))
        return _fixed(value, max(0, digits - 1 - power))
    return _fixed(value, 0)


def _fixed(value: float, decimals: int) -> Markup:
    """A number with so many decimals, commas between groups of three, and a real minus sign."""
    return Markup(f"{value:,.{decimals}f}".replace("-", "−"))


def thousands(value: float) -> Markup:
    """A whole number with commas between groups of three."""
    return _fixed(value, 0)


def duration(seconds: float) -> Markup:
    """Seconds as 4.23 s, 12 min 30 s or 3 h 05 min."""
    if seconds < 60:
        return Markup(f"{number(seconds)}\u00a0s")
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return Markup(f"{minutes}\u00a0min\u00a0{rest:02d}\u00a0s")
    return Markup(f"{_fixed(minutes // 60, 0)}\u00a0h\u00a0{minutes % 60:02d}\u00a0min")


def column(values: Sequence[object]) -> tuple[list[Markup], bool]:
    """(cells as Markdown, whether they are numbers) of a table's column, given as text or Markdown.

    Whole numbers get commas; numbers that are all written in a few characters stay as they are written (0.001 is a
    setting); the others of one column get the same number of decimals (four significant digits for the largest), or
    each three significant digits where they span too many orders of magnitude. Empty and NaN become a dash.
    """
    if any(isinstance(value, Markup) for value in values):
        cells = [escape(value) or Markup(DASH) for value in values]
        return cells, all(re.match(r"[−–\d]", cell) for cell in cells)
    texts = [_line(value) for value in values]
    try:
        numbers = [None if text.lower() in ("", "nan", "none") else float(text) for text in texts]
    except ValueError:
        numbers = []
    if all(value is None for value in numbers):
        return [escape(text) or Markup(DASH) for text in texts], False
    show = _format([(text, value) for text, value in zip(texts, numbers, strict=True) if value is not None])
    return [
        Markup(DASH) if value is None else show(text, value) for text, value in zip(texts, numbers, strict=True)
    ], True


def _format(column: Sequence[tuple[str, float]]) -> Callable[[str, float], Markup]:
    """How to write one number of a column of (text, number)."""
    if all(re.fullmatch(r"[-+]?\d+", text) for text, _ in column):
        return lambda _, value: _fixed(value, 0)
    if all(len(text) <= SHORT for text, _ in column):
        return lambda text, _: escape(text.replace("-", "−"))
    sizes = [abs(value) for _, value in column if value and math.isfinite(value)] or [1.0]
    decimals = min(4, max(0, 3 - math.floor(math.log10(max(sizes)))))
    if min(sizes) < 0.5 * 10**-decimals or max(sizes) >= 1e9:
        return lambda _, value: number(value)
    return lambda _, value: _fixed(value, decimals)


def table(header: Sequence[object], rows: Sequence[Sequence[object]], caption: str = "", label: str = "") -> Markup:
    """A pipe table. `header`: texts; `rows`: lists of texts (numbers are aligned right); `caption` plain text.

    A table with a `label` (tbl-..) can be referred to and gets a number.
    """
    columns = [column([row[at] for row in rows]) for at in range(len(header))]
    rule = ["---:" if numeric else ":---" for _, numeric in columns]
    cells: Iterable[Sequence[str]] = zip(*(own for own, _ in columns), strict=True)
    lines: list[Sequence[str]] = [[escape(text) for text in header], rule, *cells]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    if caption or label:
        text += f"\n\n: {escape(caption)}" + (f" {{#{label}}}" if label else "")
    return Markup(text)
