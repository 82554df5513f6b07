"""The grammar of the report: words of numbers, marks, rows, grids and heatmaps, without any measure."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import Normalize
from matplotlib.patches import Patch

from weight_atlas.reporting.grammar import exhibit, heatmaps, marks, panels, style, words
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
    columns = [Column(key, key[1], key[0]) for key in (("one", "start"), ("one", "end"), ("two", "start"))]
    values = pd.DataFrame(np.arange(15.0).reshape(5, 3), index=rows,
                          columns=pd.MultiIndex.from_tuples([column.key for column in columns]))  # fmt: skip
    signed = Map("signed", -values[::-1].iloc[:4], Normalize(-14, 14))
    fig = heatmaps.side_by_side([Map("up", values, Normalize(0, 14)), signed], rows, columns)
    first, second = fig.axes[:2]
    assert [text.get_text() for text in first.get_yticklabels()] == [".".join(row) for row in rows]
    assert [text.get_text() for text in first.get_xticklabels()] == ["start", "end", "start"]
    assert [text.get_text() for text in first.texts] == ["one", "two"]
    assert first.images[0].get_array()[2, 1] == 7 and second.images[0].get_array()[2, 1] == -7
    assert [axes.images[0].get_cmap().name for axes in (first, second)] == [style.SEQUENTIAL, style.DIVERGING]
    gaps = [line.get_ydata()[0] for line in first.lines if len(set(line.get_ydata())) == 1]
    assert gaps == [1.5, 2.5]  # weights, biases, running statistics
    assert [line.get_xdata()[0] for line in first.lines if len(set(line.get_xdata())) == 1] == [1.5]
    assert np.ma.getmaskarray(second.images[0].get_array()).sum() == 3
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["no value"]


# ------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("mean", "low", "high", "bounds", "text"),
    [
        (0.983, 0.971, 0.995, words.SHARE, "98.3 ± 1.2"),
        (0.983, 0.951, 1.015, words.SHARE, "98.3 [95.1, 100]"),
        (0.02, -0.01, 0.05, words.SHARE, "2.0 [0, 5.0]"),
        (0.02, -0.01, 0.05, words.DIFFERENCE, "2.0 ± 3.0"),
        (-0.596, -1.089, -0.103, words.DIFFERENCE, "−59.6 [−100, −10.3]"),
        (0.5, math.nan, math.nan, words.SHARE, "50.0"),
        (0.998, 0.9979, 0.9981, words.SHARE, "99.8 ± <0.1"),
        (0.5, 0.5, 0.5, words.SHARE, "50.0 ± 0.0"),
    ],
)
def test_no_mean_is_written_with_an_interval_beyond_what_is_possible(mean, low, high, bounds, text):
    row = {"mean": mean, "low": low, "high": high}
    assert words.mean_text(row, 100, 1, bounds=bounds) == text


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [(0.000604, 0.0001, "0.000604 ± 0.000100"), (313.04, 2.0, "313 ± 2"), (0.0666, 3.7e-15, "0.0666 ± <0.0001")],
)
def test_a_mean_has_three_significant_digits(mean, half, text):
    assert words.mean_text({"mean": mean, "low": mean - half, "high": mean + half}) == text


# ------------------------------------------------------------------------------------------- column heads


def test_a_name_is_broken_at_spaces_where_it_has_room():
    wide = 10.5 * heatmaps.LETTER
    assert heatmaps.fitted("pretrained · adam", wide) == ["pretrained", "· adam"]
    assert heatmaps.fitted("kaiming_uniform", wide) == []
    assert heatmaps.fitted("a b c d e f g", 1.5 * heatmaps.LETTER) == []
    assert heatmaps.fitted("", 0.01) == [""]


def test_heads_stand_upright_above_a_heatmap_or_slanted_where_they_are_wider():
    for width, angle in ((2.0, 0), (0.2, heatmaps.SLANT)):
        figure = style.figure(2)
        axes = figure.subplots()
        axes.set_title("title")
        heatmaps.heatmap(axes, np.eye(2), Normalize(0, 1), ["r", "s"])
        heatmaps.heads(axes, ["first name", "second name"], width)
        figure.draw_without_rendering()
        shown = axes.get_xticklabels() if not angle else axes.texts
        assert [text.get_text() for text in shown] == ["first name", "second name"]
        boxes = [text.get_window_extent() for text in shown]
        top = axes.get_window_extent().y1
        title = axes._left_title.get_window_extent()
        assert {text.get_rotation() for text in shown} == {angle}
        assert all(box.y0 >= top - 1 and box.y1 <= title.y0 + 3 for box in boxes)


def test_groups_of_columns_are_named_above_them_where_there_is_room():
    columns = [heatmaps.Column((group, at), f"c{at}", group) for group in ("one", "two") for at in range(2)]
    values = pd.DataFrame(np.eye(2, 4), ["r", "s"], pd.MultiIndex.from_tuples([column.key for column in columns]))
    one = heatmaps.Map("title", values, Normalize(0, 1))
    axes = heatmaps.side_by_side([one], values.index, columns).axes[0]
    assert [text.get_text() for text in axes.texts] == ["one", "two"]
    assert [text.xy[0] for text in axes.texts] == [0.5, 2.5]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["c0", "c1", "c0", "c1"]
    crowded = heatmaps.side_by_side([one] * 24, values.index, columns).axes[0]
    assert [text.get_text() for text in crowded.texts] == ["one, c0", "two, c1"]


# ------------------------------------------------------------------------------------------- legends


def test_the_legend_says_what_intervals_are():
    frame = pd.DataFrame({"x": [0, 1], "n": 3, "mean": [1.0, 2.0], "low": [0.5, 1.5], "high": [1.5, 2.5]})
    for draw, is_band in ((marks.band, True), (marks.points, False)):
        figure = style.figure(2)
        axes = figure.subplots()
        draw(axes, frame, "x", label="a mean")
        marks.legend(figure, [axes])
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a mean", "95 % interval"]
        assert isinstance(figure.legends[0].legend_handles[1], Patch) == is_band
    figure = style.figure(2)
    axes = figure.subplots()
    marks.dot(axes, 0, {"mean": 1.0, "low": math.nan, "high": math.nan}, "alone", "o", "black")
    marks.legend(figure, [axes])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["alone"]


def test_a_legend_takes_one_line_where_it_fits():
    for count, lines in ((4, 1), (12, 4)):
        figure = style.figure(2)
        axes = figure.subplots()
        for at in range(count):
            axes.plot([0], [0], label=f"a label, the {at}th")
        marks.legend(figure, [axes])
        figure.draw_without_rendering()
        heights = {round(text.get_window_extent().y0) for text in figure.legends[0].get_texts()}
        assert len(heights) == lines


def test_a_legend_of_many_colours_names_some_of_them_and_all_that_is_drawn_otherwise():
    fig = style.figure(3)
    colours = style.colours(100)
    named = [marks.entry(f"cell {at}", color=colour, linewidth=3) for at, colour in enumerate(colours)]
    kinds = [marks.entry("train", linestyle="--"), marks.entry("test")]
    marks.legend(fig, (), extra=[*named, *kinds])
    [legend] = fig.legends
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown == [*(f"cell {at}" for at in (0, 14, 28, 42, 57, 71, 85, 99)), "8 of 100", "train", "test"]
    handles = legend.get_lines()
    assert [line.get_color() for line in handles[:8]] == [colours[int(name.split()[1])] for name in shown[:8]]


@pytest.mark.parametrize("count", [1, 8, 24])
def test_a_legend_of_some_colours_names_each(count):
    fig = style.figure(3)
    marks.legend(fig, (), extra=[marks.entry(f"cell {at}", color=c) for at, c in enumerate(style.colours(count))])
    assert [text.get_text() for text in fig.legends[0].get_texts()] == [f"cell {at}" for at in range(count)]


def test_the_names_above_a_heatmap_of_many_columns_do_not_lie_upon_one_another():
    """Slanted by 45 degrees, two lines of letters are apart by the distance of their feet over the square root of 2."""
    names = [f"kaiming_uniform · {at}" for at in range(200)]
    fig = style.figure(3)
    axes = fig.subplots()
    heatmaps.heatmap(axes, np.random.default_rng(0).random((3, 200)), Normalize(0, 1), ["a", "b", "c"])
    heatmaps.heads(axes, names, 7 / 200)
    fig.canvas.draw()
    texts = [text for text in axes.texts if text.get_text()]
    feet = sorted(axes.transData.transform((text.xy[0], 0))[0] / fig.dpi for text in texts)
    height = max(text.get_fontsize() for text in texts) / 72
    assert 2 < len(texts) < 50 and min(np.diff(feet)) / 2**0.5 > height
    assert {names[0], names[-1]} <= {text.get_text() for text in texts}


@pytest.mark.parametrize(("marks_", "kind"), [(100, "svg"), (9000, "png")])
def test_a_figure_of_very_many_marks_is_a_png(tmp_path, marks_, kind):
    fig = style.figure(3)
    data = pd.DataFrame(np.random.default_rng(0).random((marks_, 2)), columns=["across", "up"])
    fig.subplots().plot(data["across"], data["up"], marker="o", linestyle="")
    made = exhibit.Exhibit("many", "Many", "Dots.", "Dots.", data, fig)
    exhibit.write(tmp_path, [made], {}, [])
    [entry] = json.loads((tmp_path / "exhibits.json").read_text())["exhibits"]
    assert entry["file"] == f"many.{kind}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["exhibits.json", "many.csv", f"many.{kind}"]
    assert (tmp_path / entry["file"]).read_bytes()[:4] in (b"<?xm", b"<svg", b"\x89PNG")
