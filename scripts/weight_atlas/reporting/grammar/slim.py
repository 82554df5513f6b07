"""Matplotlib's SVG in half as many bytes, which looks the same: what it repeats is said once, and in short.

Positions are to a hundredth of a point.
"""

import re
import string
from collections import Counter
from collections.abc import Iterator
from itertools import count, product
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}href"
POSITIONS = {"x", "y", "width", "height"}
REFERENCE = re.compile(r"(?<=^href=#)[\w.-]+|(?<=url\(#)[\w.-]+(?=\))")  # to an id, in an attribute with its name

ElementTree.register_namespace("", SVG[1:-1])


def slim(svg: str) -> str:
    """The SVG with relative paths, short ids, a class for each style that it repeats, and nothing without effect.

    Its attributes have single quotes, of which a page that holds it as a link need escape none.
    """
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        _shorten(element)
    _hoist(root)
    _name(root)
    _classify(root)
    text = ElementTree.tostring(root, encoding="unicode").replace(" />", "/>")
    return text if "'" in text else text.replace('"', "'")


def _shorten(element: Element) -> None:
    """Write the element's attributes in short, and no space around its tags."""
    element.text, element.tail = (element.text or "").strip() or None, None
    said = element.attrib
    if XLINK in said:
        said["href"] = said.pop(XLINK)
    for name in POSITIONS & set(said):
        said[name] = _rounded(said[name])
    if "transform" in said:
        said["transform"] = re.sub(r"translate\([^)]*\)", lambda found: _rounded(found[0]), said["transform"])
        moved = re.fullmatch(r"translate\((\S+) (\S+)\)", said["transform"])
        if element.tag == f"{SVG}use" and moved and not POSITIONS & set(said):
            del said["transform"]
            said |= {name: value for name, value in zip("xy", moved.groups(), strict=True) if float(value)}
    if "d" in said:
        said["d"] = relative(said["d"])
    if "style" in said:
        said["style"] = re.sub(r"\s*([:;])\s*", r"\1", said["style"].strip(" ;"))


def _rounded(text: str) -> str:
    """Text with its numbers rounded to two decimals."""
    return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):.2f}".rstrip("0").rstrip("."), text)


def relative(path: str) -> str:
    """A path of absolute M, L, Q, C and z with positions relative to each one's last, without letters that repeat.

    The differences are of rounded positions, so that no error adds up.
    """
    out: list[str] = []
    last, here, start = "", (0, 0), (0, 0)
    for command, numbers in re.findall(r"([MLQCz])([^MLQCz]*)", path):
        values = [round(100 * float(number)) for number in numbers.split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        letter, steps = command.lower(), [(x - here[0], y - here[1]) for x, y in points]
        here = points[-1] if points else start
        start = here if command == "M" else start
        moves = [part for step in steps for part in step]
        if letter == "l" and 0 in moves:
            letter, moves = ("v", moves[1:]) if moves[0] == 0 else ("h", moves[:1])
        said = "".join(_number(move) for move in moves)
        repeated = letter == last or (letter == "l" and last == "m")
        out.append(said if repeated else letter + said.lstrip())
        last = letter
    return "".join(out)


def _number(hundredths: int) -> str:
    """A number behind another: a minus parts them as well as a space does."""
    text = re.sub(r"^(-?)0\.", r"\1.", f"{hundredths / 100:.2f}".rstrip("0").rstrip("."))
    return text if text.startswith("-") else f" {text}"


def _hoist(parent: Element) -> None:
    """Put what groups without attributes hold in their place, and leave out empty groups and metadata."""
    kept: list[Element] = []
    for child in parent:
        _hoist(child)
        if child.tag == f"{SVG}g" and not child.attrib:
            kept.extend(child)
        elif child.tag != f"{SVG}metadata" and (child.tag != f"{SVG}g" or len(child)):
            kept.append(child)
    parent[:] = kept


def _name(root: Element) -> None:
    """Short ids for what is referred to, the shortest for what is most often, and none for the rest."""
    said = [f"{key}={value}" for element in root.iter() for key, value in element.attrib.items()]
    used = Counter(name for attribute in said for name in REFERENCE.findall(attribute))
    names = dict(zip([name for name, _ in used.most_common()], _letters(), strict=False))
    for element in root.iter():
        if element.get("id") not in names:
            element.attrib.pop("id", None)
        for key, value in element.attrib.items():
            short = REFERENCE.sub(lambda found: names[found[0]], f"{key}={value}").removeprefix(f"{key}=")
            element.set(key, names[value] if key == "id" else short)


def _classify(root: Element) -> None:
    """A class for each style that more than one element has."""
    styles = Counter(element.attrib["style"] for element in root.iter() if "style" in element.attrib)
    classes = dict(zip([style for style, times in styles.most_common() if times > 1], _letters(), strict=False))
    for element in root.iter():
        if element.get("style") in classes:
            element.set("class", classes[element.attrib.pop("style")])
    sheet = next(root.iter(f"{SVG}style"))
    sheet.text = f"{sheet.text}{''.join(f'.{name}{{{style}}}' for style, name in classes.items())}"


def _letters() -> Iterator[str]:
    """a, b, .., z, aa, ab, .."""
    return ("".join(letters) for length in count(1) for letters in product(string.ascii_lowercase, repeat=length))
