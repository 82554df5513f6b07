"""What a text of others needs before it stands in a message, on a page or in a figure."""

import unicodedata

JOINERS = "\u200c\u200d"  # they shape letters and emoji, and move none


def escape(mark: str) -> str:
    """A character as Python writes it in a text: ``\\u202e``."""
    return mark.encode("unicode_escape", "surrogatepass").decode()


def literal(text: object) -> str:
    """`text` with what would not show, or would turn the direction, as an escape; spaces of all widths stay."""
    return "".join(
        mark if mark.isprintable() or mark in JOINERS or unicodedata.category(mark) == "Zs" else escape(mark)
        for mark in str(text)
    )


def one_line(text: object) -> str:
    """`text` on one line: line ends, terminal and bidirectional controls, and what is no text, are escaped."""
    return "".join(mark if mark.isprintable() else escape(mark) for mark in str(text))


def printable(text: object, most: int = 200) -> str:
    """`text` on one line, as `one_line` has it, cut after `most` characters."""
    shown = str(text)
    return one_line(shown if len(shown) <= most else f"{shown[:most]}..")
