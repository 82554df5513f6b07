"""Names of tensors: their order, and those that differ in numbers alone."""

import re


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts layer.2 before layer.10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def family(name: str) -> tuple[str, tuple[int, ...]]:
    """A name with "{}" for its numbers, and these; a number with a leading 0 stays."""
    parts = re.split(r"(?<!\d)(0|[1-9]\d{0,8})(?!\d)", name)
    return "{}".join(parts[::2]), tuple(map(int, parts[1::2]))
