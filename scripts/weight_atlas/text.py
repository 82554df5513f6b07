"""What a text of others needs before it stands in a message."""


def printable(text: object, most: int = 200) -> str:
    """`text` on one line, cut after `most` characters: line ends, terminal and bidirectional controls are escaped."""
    shown = str(text)
    shown = shown if len(shown) <= most else f"{shown[:most]}.."
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in shown
    )
