"""The grammar of the report: words of numbers, marks, rows, grids and heatmaps, without any measure."""

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import Normalize

from weight_atlas.reporting.grammar import heatmaps, marks, panels, style, words
from weight_atlas.reporting.grammar.heatmaps import Column, Map

INTERVALS = pd.DataFrame({"at": [1, 2], "mean": [0.5, 0.1], "low": [0.4, -0.2], "high": [0.6, 0.4]})


def axes():
    return style.figure(2).subplots()


def test_a_sentence_begins_with_a_capital_and_nothing_is_no_sentence():
    assert words.sentence("in lenet5 it grows") == "In lenet5 it grows."
    assert words.sentence("") == ""


def test_what_is_said_of_each_network():
    rows = pd.DataFrame({"network": ["vgg", "lenet5", "vgg", "quiet"], "value": [2.0, 0.5, 3.0, math.nan]})
    assert words.by_network(rows, lambda own: words.span(own["value"])) == "in vgg 2.00 to 3.00; in lenet5 0.500"


@pytest.mark.parametrize(
    ("values", "text", "told"),
    [
        ([0.3, 0.1, math.nan], "0.100 to 0.300", "10.0 to 30.0 %"),
        ([0.5], "0.500", "50.0 %"),
        ([math.nan], "", ""),
    ],
)
def test_the_lowest_and_the_highest(values, text, told):
    assert (words.span(values), words.shares(values)) == (text, told)


def test_points_are_cut_at_their_bounds():
    panel = axes()
    marks.points(panel, INTERVALS, "at", scale=100, bounds=(0, np.inf), label="here")
    (line,), (bars,) = panel.lines, panel.collections
    np.testing.assert_allclose(line.get_ydata(), [50, 10])
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], [[40, 60], [0, 40]])


def test_a_band_is_drawn_in_order_and_cut_at_its_bounds():
    panel = axes()
    marks.band(panel, INTERVALS[::-1], "at", scale=100, bounds=(0, 0.5), color="red")
    (line,), (shaded,) = panel.lines, panel.collections
    np.testing.assert_allclose(line.get_xydata(), [[1, 50], [2, 10]])
    corners = {tuple(corner) for corner in shaded.get_paths()[0].vertices.round(9)}
    assert corners == {(1, 40), (1, 50), (2, 0), (2, 40)}


def test_a_band_is_as_narrow_as_its_line_where_replicates_are_equal():
    rows = pd.DataFrame({"at": [1, 2, 3], "n": 3, "mean": [0.5, 0.6, 0.7], "low": [0.4, math.nan, 0.6],
                         "high": [0.6, math.nan, 0.8]})  # fmt: skip
    panel = axes()
    marks.band(panel, rows, "at")
    [shaded] = panel.collections
    corners = {tuple(corner) for path in shaded.get_paths() for corner in path.vertices.round(9)}
    assert {(1, 0.4), (1, 0.6), (2, 0.6), (3, 0.6), (3, 0.8)} <= corners, "its neighbours keep their intervals"
    panel = axes()
    marks.band(panel, rows.assign(n=1, low=math.nan, high=math.nan), "at")
    assert not [path for shaded in panel.collections for path in shaded.get_paths()], "one replicate has no band"


def test_a_level_has_an_interval_only_where_there_is_one():
    panel = axes()
    marks.level(panel, {"mean": 0.5, "low": 0.4, "high": 0.7}, "level", scale=10)
    marks.level(panel, {"mean": 0.2, "low": math.nan, "high": math.nan}, "alone", scale=10)
    assert [list(line.get_ydata()) for line in panel.lines] == [[5, 5], [2, 2]]
    [band] = panel.patches
    assert (band.get_y(), band.get_height()) == pytest.approx((4, 3))


def test_a_mark_of_two_widths_has_the_narrow_interval_in_the_thick_line():
    panel = axes()
    marks.widths(panel, [3, 4], INTERVALS.assign(low90=[0.45, -0.1], high90=[0.55, 0.3]), color="red", marker="o")
    drawn = {bars.get_linewidth()[0]: [list(one[:, 1]) for one in bars.get_segments()] for bars in panel.collections}
    assert drawn == {marks.WIDTHS["low"]: [[0.4, 0.6], [-0.2, 0.4]], marks.WIDTHS["low90"]: [[0.45, 0.55], [-0.1, 0.3]]}
    assert marks.WIDTHS["low90"] > marks.WIDTHS["low"]
    assert list(panel.lines[0].get_xdata()) == [3, 4]
    assert [one.get_label() for one in marks.entries_of_widths()] == ["90 % interval", "95 % interval"]


def test_headings_among_rows_are_bold():
    panel = axes()
    panel.set_yticks(range(3), ["heading", "one", "two"])
    marks.heads(panel, [0])
    assert [text.get_fontweight() for text in panel.get_yticklabels()] == ["bold", "normal", "normal"]


def test_rows_are_named_once_and_shaded_by_block():
    strips = [("lenet5", ["a", "b"])]
    names = {"lenet5": ["first", "second", "third", "fourth"]}
    _, grid = panels.rows(strips, names, "value", 0.2, blocks={"lenet5": [(0, 1), (2, 3)]})
    left, right = grid["lenet5", "a"], grid["lenet5", "b"]
    assert [text.get_text() for text in left.get_yticklabels()] == names["lenet5"]
    assert left.get_ylim() == right.get_ylim() == (3.6, -0.6)  # the first row is on top
    [band] = right.patches
    assert (band.get_y(), band.get_height()) == (1.5, 2)


def test_crowded_rows_have_the_names_of_the_ends_alone():
    names = {"lenet5": [str(at) for at in range(30)]}
    fig, grid = panels.rows([("lenet5", ["a"])], names, "value", 0.2, most=20)
    panel = grid["lenet5", "a"]
    assert [text.get_text() for text in panel.get_yticklabels()] == ["0", "29"]
    assert not panel.patches
    assert fig.get_figheight() < 30 * 0.2


def test_a_grid_is_named_above_and_at_the_left():
    _, grid = panels.grid(["top", "bottom"], ["one", "two", "three"], 1, 0.5, sharex=True)
    assert grid.shape == (2, 3)
    assert [panel.get_title(loc="left") for panel in grid[0]] == ["one", "two", "three"]
    assert [panel.get_ylabel() for panel in grid[:, 0]] == ["top", "bottom"]


def test_a_scale_of_positive_values_begins_at_zero_or_is_logarithmic():
    narrow, wide = axes(), axes()
    for panel, values in ((narrow, [1.0, 3.0]), (wide, [0.01, 3.0])):
        panel.plot([0, 1], values)
        style.from_zero(panel, values)
    assert (narrow.get_yscale(), narrow.get_ylim()[0]) == ("linear", 0)
    assert (wide.get_yscale(), wide.get_ylim()[0]) == ("log", 0.005)


def test_heatmaps_side_by_side_have_rows_and_columns_in_common():
    """A cell is found by the labels of its row and column; what a map lacks is hatched, and the legend says so."""
    rows = pd.MultiIndex.from_tuples([("a", "weight"), ("b", "weight"), ("a", "bias"), ("a", "running_mean"),
                                      ("a", "running_var")])  # fmt: skip
    columns = [Column(("one", "start"), "one, start", True), Column(("one", "end"), "end"),
               Column(("two", "start"), "two, start", True)]  # fmt: skip
    values = pd.DataFrame(np.arange(15.0).reshape(5, 3), index=rows,
                          columns=pd.MultiIndex.from_tuples([column.key for column in columns]))  # fmt: skip
    signed = Map("signed", -values[::-1].iloc[:4], Normalize(-14, 14))
    fig = heatmaps.side_by_side([Map("up", values, Normalize(0, 14)), signed], rows, columns)
    first, second = fig.axes[:2]
    assert [text.get_text() for text in first.get_yticklabels()] == [".".join(row) for row in rows]
    assert [text.get_text() for text in first.get_xticklabels()] == ["one, start", "end", "two, start"]
    assert first.images[0].get_array()[2, 1] == 7 and second.images[0].get_array()[2, 1] == -7
    assert [axes.images[0].get_cmap().name for axes in (first, second)] == [style.SEQUENTIAL, style.DIVERGING]
    gaps = [line.get_ydata()[0] for line in first.lines if len(set(line.get_ydata())) == 1]
    assert gaps == [1.5, 2.5]  # weights, biases, running statistics
    assert [line.get_xdata()[0] for line in first.lines if len(set(line.get_xdata())) == 1] == [1.5]
    assert np.ma.getmaskarray(second.images[0].get_array()).sum() == 3
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["no value"]
