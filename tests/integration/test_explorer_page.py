"""The explorer in a browser: it makes no code from text, shows what its table says, and asks for nothing."""

import json
import shutil

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.conftest import until
from tests.integration import test_page as sample
from tests.unit.test_explorer import HOSTILE, TEMPLATES, make, write

pytestmark = sample.pytestmark
chromium, opened = sample.chromium, sample.opened
test_page_is_never_wider_than_the_window = sample.test_page_is_never_wider_than_the_window
test_axe_finds_nothing_serious = sample.test_axe_finds_nothing_serious

DRAWN = "return document.documentElement.dataset.drawn || ''"
POINTS = """return [...document.querySelectorAll('#chart .mark-symbol.role-mark path')].map(path => ({
  ...path.__data__.datum, x: path.__data__.x, y: path.__data__.y}))"""
ROWS = "return [...document.querySelectorAll('#rows tr')].map(row => [...row.children].map(cell => cell.textContent))"
TITLES = "return [...document.querySelectorAll('#chart .role-axis-title')].map(title => title.textContent)"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    root = tmp_path_factory.mktemp("explorer")
    write(make(root), root / "explorer.html")
    return root / "explorer.html"


def choose(driver, **choices):
    """Make choices in the form, and wait until the chart shows them."""
    for name, value in choices.items():
        Select(driver.find_element(By.ID, name)).select_by_value(value)
    until(lambda: all(f"{name}={value}" in driver.execute_script(DRAWN) for name, value in choices.items()))


def until_drawn(driver):
    until(lambda: driver.execute_script(DRAWN))


def number(text):
    return None if text == "–" else float(text.replace("−", "-").replace(",", ""))


def test_it_draws_reports_no_error_and_asks_for_nothing(opened):
    until_drawn(opened)
    assert len(opened.execute_script(POINTS)) == 1, "of two cells of the grid one has a mean"
    assert sample.heard(opened, "browser", "console.error('LAST')") == []
    opened.get("about:blank#the-last-word")  # the page itself lets nothing be fetched that could be waited for
    messages = []

    def whole():
        messages.extend(json.loads(entry["message"])["message"] for entry in opened.get_log("performance"))
        return any("the-last-word" in json.dumps(message) for message in messages)

    until(whole)
    asked = [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]
    assert len([url for url in asked if url.startswith("file:")]) == 1
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]


def test_without_vegas_interpreter_the_policy_stops_it(chromium, page, tmp_path):
    """That the policy is in force, and the interpreter is what draws: with code made from text there is no chart."""
    templates = shutil.copytree(TEMPLATES, tmp_path / "report")
    script = templates / "explorer.js"
    assert script.read_text().count("ast: true") == 1
    script.write_text(script.read_text().replace("ast: true", "ast: false"))
    write(make(tmp_path), tmp_path / "explorer.html", templates)
    chromium.get((tmp_path / "explorer.html").as_uri())
    until(lambda: chromium.execute_script(ROWS))
    errors = []

    def refused():
        errors.extend(entry["message"] for entry in chromium.get_log("browser"))
        return any("EvalError" in message for message in errors)

    until(refused)
    assert not chromium.execute_script(POINTS) and not chromium.execute_script(DRAWN)


def test_the_chart_shows_the_rows_of_the_table(opened):
    until_drawn(opened)
    for box in opened.find_elements(By.CSS_SELECTOR, "#role input"):
        if not box.is_selected():
            box.send_keys(Keys.SPACE)
    until(lambda: "role=grid%2Csource" in opened.execute_script(DRAWN))
    rows, points = opened.execute_script(ROWS), opened.execute_script(POINTS)
    table = [[number(text) for text in row[-3:]] for row in rows]
    assert table == [[98.0, 93.0, 100.0], [None, None, None], [50.0, 40.0, 60.0]]
    assert [[one["value"], one["low"], one["high"]] for one in points] == [row for row in table if row[0] is not None]
    assert opened.execute_script(TITLES) == ["test accuracy at the last epoch (%)", "start"]
    (x1, x2), (v1, v2) = ([one[key] for one in points] for key in ("x", "value"))
    assert x1 > x2 and v1 > v2, "to the right is more"
    ends = opened.execute_script(
        "return [...document.querySelectorAll('#chart .mark-rule.role-mark line')].map(one => one.__data__)"
        ".map(one => [one.x, one.x2, one.datum.low, one.datum.high])"
    )
    scale = (x1 - x2) / (v1 - v2)
    for left, right, low, high in ends:
        if low is not None:
            assert left == pytest.approx(x2 + (low - v2) * scale) and right == pytest.approx(x2 + (high - v2) * scale)


def test_numbers_along_the_chart_are_a_curve_with_units(opened):
    until_drawn(opened)
    choose(opened, study="two")
    choose(opened, outcome="drops-D")
    points = opened.execute_script(POINTS)
    assert [(one["along"], one["value"]) for one in points] == [(0, -12.5), (1, -12.5)]
    assert [row[1:] for row in opened.execute_script(ROWS)] == [
        [depth, "3", "3", "−12.5", "−20", "−5"] for depth in ("0", "1")
    ]
    assert sorted(opened.execute_script(TITLES)) == ["accuracy lost by a transfer (D) (points)", "depth"]
    choose(opened, outcome="summary-accuracy-last", along="fancy")
    assert [(one["along"], one["value"]) for one in opened.execute_script(POINTS)] == [(0.5, 98), (2, 33.3333)]
    assert sample.heard(opened, "browser", "console.error('LAST')") == []


def test_texts_of_others_are_texts(opened):
    until_drawn(opened)
    assert HOSTILE in {text for row in opened.execute_script(ROWS) for text in row}
    choose(opened, colour="init")
    assert opened.execute_script("return document.scripts.length") == 3
    assert sample.heard(opened, "browser", "console.error('LAST')") == []


def test_the_form_is_labelled_and_a_link_restores_it(opened, page):
    until_drawn(opened)
    named = opened.execute_script(
        "return [...document.querySelectorAll('select, input')].map(one => one.labels[0]?.textContent.trim())"
    )
    assert len(named) > 4 and all(named)
    assert opened.execute_script("return document.querySelectorAll('fieldset legend').length") == 2
    first = opened.find_element(By.CSS_SELECTOR, "#network input")
    first.send_keys(Keys.SPACE)
    until(lambda: "network=lenet5" in opened.execute_script(DRAWN))
    assert [row[0] for row in opened.execute_script(ROWS)] == ["lenet5"]
    assert opened.find_element(By.ID, "count").text == "1 row, 1 without a mean, which the chart leaves out."
    address = opened.current_url
    opened.get("about:blank")
    opened.get(address)
    until_drawn(opened)
    assert [row[0] for row in opened.execute_script(ROWS)] == ["lenet5"] and opened.current_url == address
