"""The letters of figures: names of any sort are shown as they are, in letters that the fonts have, and not too long."""

import io
import warnings
import xml.etree.ElementTree as tree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib import font_manager
from matplotlib.lines import Line2D

from weight_atlas.reporting.exhibits import data
from weight_atlas.reporting.grammar import lettering, style
from weight_atlas.reporting.grammar.exhibit import Exhibit, picture
from weight_atlas.store import save_tensors

NAMES = {  # a name, and how a figure shows it; the fonts of matplotlib have neither ideographs nor emoji
    "$5_bill_$10": "$5_bill_$10",
    "$": "$",
    "$x^2$": "$x^2$",
    r"\frac{1}{2} \$": r"\frac{1}{2} \$",
    "$\\undefined{": "$\\undefined{",
    "<b>&amp;</b>": "<b>&amp;</b>",
    "%s {0} 100%": "%s {0} 100%",
    "_hidden": "_hidden",
    "Ünïcödé Ωψ": "Ünïcödé Ωψ",
    "猫 cat": "\\u732b cat",
    "🦊": "\\U0001f98a",
    "cat\u202egnp": "cat\\u202egnp",
    "a\u200bb\x07": "a\\u200bb\\x07",
    "n" * 60: "n" * 29 + "…" + "n" * 14,
    "first half of a long name, and its second half": "first half of a long name, an…ts second half",
}


@pytest.fixture(autouse=True)
def texts_stay_texts(monkeypatch):
    """SVGs keep their letters as text, warnings are errors, and there are no fonts but those of matplotlib."""
    monkeypatch.setitem(style.RC, "svg.fonttype", "none")
    monkeypatch.setattr(lettering, "FALLBACKS", ())
    for cached in (lettering.families, lettering._letters):
        cached.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    for cached in (lettering.families, lettering._letters):
        cached.cache_clear()


def written(figure):
    """The texts of a figure's SVG, as its reader finds them."""
    svg = picture(Exhibit("x", "x", "x", "x", pd.DataFrame(), figure), figure)
    found = tree.parse(io.BytesIO(svg)).getroot().iter("{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()).strip() for text in found]


@pytest.mark.parametrize(("name", "seen"), NAMES.items())
def test_a_name_is_shown_wherever_it_stands_in_a_figure(name, seen):
    fig = style.figure(4)
    left, right = fig.subplots(1, 2, sharey=True)
    left.set_yticks([0, 1], [name, "other"])
    right.set_title(name)
    fig.text(0.1, 0.5, name)
    left.set_xlabel(name)
    fig.legend(handles=[Line2D([], [], label=name)], loc="outside upper center")
    found = written(fig)
    assert found.count(seen) == (2 if "…" in seen else 5), found  # of a long one the tick and the legend; others more
    assert found == written(fig), "the same again"


def test_a_long_name_keeps_its_ends_and_its_width():
    fig = style.figure(4)
    grid = fig.subplots(1, 3)
    for axes, tail in zip(grid, "abc", strict=True):
        axes.set_title("start" + 300 * "m" + tail)
    titles = [text for text in written(fig) if text.startswith("start")]
    assert [text[-1] for text in titles] == ["a", "b", "c"] and {len(text) for text in titles} == {37}
    assert lettering.shown("猫" * 60, 44) == lettering.shown("猫" * 61, 44)
    assert len(lettering.shown("猫" * 60, 44)) <= 44


def test_numbers_on_axes_are_no_formulas():
    fig = style.figure(3)
    axes = fig.subplots()
    axes.plot([1, 10], [1e-9, 1e3])
    axes.set_xlim(1e-9, 2e-9)
    style.log_if_wide(axes, [1e-9, 1e3])
    assert not [text for text in written(fig) if "$" in text or "math" in text]


def test_a_font_that_the_machine_has_serves_for_letters_that_the_house_lacks(monkeypatch):
    """STIXGeneral comes with matplotlib; what it has and DejaVu Sans lacks stands for an ideograph."""
    maps = [set(font_manager.get_font(font_manager.findfont(name)).get_charmap()) for name in ("STIXGeneral",
            "DejaVu Sans")]  # fmt: skip
    letter = chr(min(code for code in maps[0] - maps[1] if code > 0x2000 and chr(code).isprintable()))
    assert lettering.shown(letter, 44) == letter.encode("unicode_escape").decode()
    monkeypatch.setattr(lettering, "FALLBACKS", ("No Such Font", "STIXGeneral"))
    for cached in (lettering.families, lettering._letters):
        cached.cache_clear()
    style.apply()
    assert matplotlib.rcParams["font.family"] == ["DejaVu Sans", "STIXGeneral"]
    fig = style.figure(3)
    fig.subplots().set_title(letter)
    assert letter in written(fig)


def test_classes_of_any_name_have_their_row(tmp_path):
    names = list(NAMES)
    images = np.zeros((len(names), 1, 8, 8), np.uint8)
    labels, split = np.arange(len(names)), np.zeros(len(names), np.uint8)
    save_tensors(tmp_path / "odd-1.safetensors", {"images": images, "labels": labels, "split": split})
    counts = {part: [int(part == "train")] * len(names) for part in ("train", "valid", "test")}
    card = {"dataset_id": "odd-1", "title": "$a_b$ 猫", "source": "folder", "classes": names, "channels": 1}
    card |= {"size": [8, 8], "counts": counts}
    shown = data.pictures(card, tmp_path / "odd-1.safetensors")
    assert list(NAMES.values()) == written(shown.figure)
    assert list(shown.data["class"]) == names and all(name in shown.alt for name in names)
