"""The report in a browser: Chromium opens a sample's page, wide and narrow, from the disk and with no network."""

import base64
import csv
import io
import json
import re
import shutil
import sys
import urllib.parse
from pathlib import Path

import pytest
from PIL import Image, ImageStat
from selenium import webdriver

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))  # the sample of the report's own tests
from test_render import TEMPLATES, sample  # noqa: E402

from tests.conftest import until  # noqa: E402
from weight_atlas.reporting.pages import render  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with its chromedriver on PATH"),
]

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WIDE, NARROW = 1280, 390
AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The path of the sample's report, rendered by Pandoc."""
    arguments = sample(tmp_path_factory.mktemp("page"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        assert render.report(**arguments) == "pandoc"
    return arguments["output"]


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser with an empty profile that logs its console and its requests."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(600)
    driver.set_page_load_timeout(600)
    yield driver
    driver.quit()


@pytest.fixture(params=[WIDE, NARROW])
def opened(chromium, page, request):
    """The browser with the page open at one of both widths."""
    size = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": request.param == NARROW}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    chromium.get("about:blank")
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    chromium.get(page.as_uri())
    chromium.page_width = request.param
    # Smooth scrolling would still be on its way when a test looks.
    chromium.execute_script("document.documentElement.style.scrollBehavior = 'auto'")
    return chromium


def drawn(driver):
    """Waits until the page has been drawn anew: what it does before it draws (events of its media among them) is done.
    Headless, it draws as long as somebody asks for it."""
    driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))"
    )


def prefer(driver, scheme):
    """Makes the system light or dark, and waits until the page has heard of it."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    until(lambda: driver.execute_script("return matchMedia(arguments[0]).matches", f"(prefers-color-scheme: {scheme})"))
    drawn(driver)


def heard(driver, kind, last):
    """The entries of one of the browser's logs, up to the one that the script `last` makes, which holds `LAST`."""
    driver.execute_script(last.replace("LAST", "the-last-word"))
    found = []

    def whole():
        found.extend(entry["message"] for entry in driver.get_log(kind))
        return any("the-last-word" in message for message in found)

    until(whole)
    return found[: next(at for at, message in enumerate(found) if "the-last-word" in message)]


def requests(driver):
    """The addresses that the page asked for until now."""
    messages = [json.loads(entry)["message"] for entry in heard(driver, "performance", "fetch('data:,LAST')")]
    return [entry["params"]["request"]["url"] for entry in messages if entry["method"] == "Network.requestWillBeSent"]


def top(driver, node):
    """How far below the top of the window an element is."""
    return driver.execute_script("return arguments[0].getBoundingClientRect().top", node)


def test_no_errors_and_no_requests_outside(opened):
    opened.execute_script("document.querySelectorAll('main details').forEach(details => { details.open = true; })")
    opened.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    drawn(opened)
    until(lambda: opened.execute_script("return [...document.images].every(image => image.complete)"))
    asked = requests(opened)
    assert heard(opened, "browser", "console.error('LAST')") == []
    assert asked and {urllib.parse.urlsplit(address).scheme for address in asked} <= {"file", "data"}
    assert len([address for address in asked if address.startswith("file:")]) == 1
    # Nothing in the page would ask for more: no src, srcset, @import or url() leaves it.
    loads = opened.execute_script(
        "return [...document.querySelectorAll('[src], link[href]')].map(node => node.getAttribute('src') || node.href)"
    )
    assert loads and all(address.startswith("data:") for address in loads)


def test_every_link_leads_somewhere(opened):
    links = opened.execute_script(
        "return [...document.querySelectorAll('a[href]')].map(a => [a.getAttribute('href'), a.download, a.textContent])"
    )
    ids = set(opened.execute_script("return [...document.querySelectorAll('[id]')].map(node => node.id)"))
    kinds = {"#": 0, "data": 0, "https": 0}
    for address, download, text in links:
        assert text.strip()
        if address.startswith("#"):
            assert address[1:] in ids
            kinds["#"] += 1
        elif address.startswith("data:"):
            head, _, data = address.partition(",")
            table = list(csv.reader(io.StringIO(urllib.parse.unquote_to_bytes(data).decode("utf-8"))))
            assert head == "data:text/csv;charset=utf-8" and download.endswith(".csv")
            assert len(table) > 1 and len({len(row) for row in table}) == 1
            kinds["data"] += 1
        else:
            assert address.startswith(("https://doi.org/", "https://arxiv.org/"))  # the bibliography's
            kinds["https"] += 1
    assert all(kinds.values())


def test_a_browser_reads_the_csv_as_it_was(opened, page):
    """What the browser itself makes of a link is the file, byte for byte."""
    source = page.parents[1] / "figures" / "dynamics" / "accuracy.csv"
    content = opened.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "const link = document.querySelector('a[download=\"dynamics-accuracy.csv\"]');"
        "fetch(link.href).then(answer => answer.text()).then(done, error => done(String(error)))"
    )
    assert content == source.read_text(encoding="utf-8")


def test_every_picture_shows_and_says_what_it_is(opened):
    pictures = opened.execute_script(
        "return [...document.images].map(image => [image.complete, image.naturalWidth, image.alt])"
    )
    assert len(pictures) == 8
    for complete, natural, alt in pictures:
        assert complete and natural > 0 and alt.strip()
    # Whole where the page is wide, else wide enough for their letters, in a box that scrolls.
    boxes = opened.execute_script(
        "return [...document.querySelectorAll('.figure-scroll')]"
        ".map(box => [box.clientWidth, box.querySelector('img').clientWidth, getComputedStyle(box).overflowX,"
        " box.querySelector('img').naturalWidth])"
    )
    assert len(boxes) == len(pictures)
    for box, image, overflow, natural in boxes:
        assert 0 < box <= opened.page_width
        if opened.page_width == WIDE or natural <= 400:  # as render.NARROW
            assert image <= box
        else:
            assert image >= 600 and overflow == "auto"


def test_page_is_never_wider_than_the_window(opened):
    opened.execute_script("document.querySelectorAll('main details').forEach(details => { details.open = true; })")
    for tab in opened.find_elements("css selector", "[role=tab]"):
        opened.execute_script("arguments[0].click()", tab)
        width, window = opened.execute_script("return [document.documentElement.scrollWidth, window.innerWidth]")
        assert width <= window == opened.page_width
    # Nothing sticks out to the left either, and what is wide scrolls in a box of its own.
    outside = opened.execute_script(
        "return [...document.querySelectorAll('main *')]"
        ".filter(node => !node.closest('.table-scroll, .figure-scroll, .tablist, pre, math')"
        " && node.getBoundingClientRect().right > innerWidth + 1).map(node => node.outerHTML.slice(0, 80))"
    )
    assert outside == []


def test_wide_tables_scroll_in_their_own_box(opened):
    boxes = opened.execute_script(
        "document.querySelectorAll('main details').forEach(details => { details.open = true; });"
        "return [...document.querySelectorAll('.table-scroll')].map(box => [box.scrollWidth > box.clientWidth + 1,"
        " getComputedStyle(box).overflowX, box.tabIndex, box.getAttribute('role')])"
    )
    assert all(overflow == "auto" and tab == 0 and role == "group" for _, overflow, tab, role in boxes)
    assert any(scrolls for scrolls, *_ in boxes) or opened.execute_script("return innerWidth") > 1000, "on a phone"


def test_tabs_switch_by_click_and_by_key(opened):
    opened.execute_script("document.querySelectorAll('main details').forEach(details => { details.open = true; })")
    tablist = opened.find_element("css selector", "details [role=tablist]")
    tabs = tablist.find_elements("css selector", "[role=tab]")
    panels = [opened.find_element("id", tab.get_attribute("aria-controls")) for tab in tabs]

    def shown():
        selected = [tab.get_attribute("aria-selected") == "true" for tab in tabs]
        reachable = [tab.get_attribute("tabindex") == "0" for tab in tabs]
        visible = [panel.find_element("css selector", "table").is_displayed() for panel in panels]
        assert selected == reachable == visible
        return selected.index(True)

    assert len(tabs) == 2 and shown() == 0
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", tablist)
    tabs[1].click()
    until(lambda: tabs[1].get_attribute("aria-selected") == "true")
    assert shown() == 1
    for key, expected in (("\ue014", 0), ("\ue012", 1), ("\ue011", 0), ("\ue010", 1)):  # right, left, home, end
        opened.switch_to.active_element.send_keys(key)
        assert shown() == expected and opened.switch_to.active_element == tabs[expected]


def test_verdicts_have_contrast(opened):
    """White or black on the chip's colour, in both schemes: https://www.w3.org/TR/WCAG22/#contrast-minimum"""
    for scheme in ("light", "dark"):
        prefer(opened, scheme)
        found = opened.execute_script(
            "return [...document.querySelectorAll('.verdict')].map(chip => [chip.textContent,"
            " getComputedStyle(chip).backgroundColor, getComputedStyle(chip).color])"
        )
        assert {" ".join(text.split()) for text, *_ in found} == {
            "artefact",
            "reproduced",
            "contradicted",
            "undecided",
            "toy",
            "not testable here",
        }
        assert len({colour for _, colour, _ in found}) == 4, "what decides nothing has one colour"
        for _, *colours in found:
            dark, light = sorted(map(luminance, colours))
            assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_contents_follow_the_reader(opened):
    contents = opened.find_element("css selector", ".toc details")
    summary = contents.find_element("css selector", "summary")
    links = contents.find_elements("css selector", "a")
    assert [link.get_attribute("href").partition("#")[2][:4] for link in links[:2]] == ["sec-", "sec-"]
    if opened.page_width == NARROW:
        assert contents.get_attribute("open") is None
        summary.click()
        until(links[0].is_displayed)
        links[0].send_keys("\ue00c")  # Escape
        until(lambda: contents.get_attribute("open") is None and opened.switch_to.active_element == summary)
        summary.click()
        until(links[0].is_displayed)
        opened.execute_script("document.querySelector('h1').click()")
        assert contents.get_attribute("open") is None
        summary.click()
    until(lambda: contents.get_attribute("open") is not None and links[0].is_displayed())
    last = next(link for link in links if link.get_attribute("href").endswith("#sec-methods"))
    last.click()
    goal = opened.find_element("id", "sec-methods")
    until(lambda: 0 <= top(opened, goal) < 300 and last.get_attribute("aria-current") == "true")
    assert (contents.get_attribute("open") is None) == (opened.page_width == NARROW)
    assert opened.execute_script("return getComputedStyle(document.querySelector('.side')).position") == "sticky"


def test_contents_mark_what_is_being_read(opened):
    """One entry, the last heading that went past the top; beside the text only its chapter is unfolded."""
    for goal, shown in (("sec-dynamics-question-unchanged", True), ("sec-methods-accuracy", False)):
        opened.execute_script("document.getElementById(arguments[0]).scrollIntoView()", goal)
        opened.execute_script("scrollBy(0, 5)")
        until(lambda goal=goal: opened.find_elements("css selector", f".toc a[href='#{goal}'][aria-current]"))
        drawn(opened)
        marked = opened.find_elements("css selector", ".toc [aria-current]")
        assert [link.get_attribute("href").partition("#")[2] for link in marked] == [goal]
        if opened.page_width == WIDE:
            bounds = opened.execute_script("return arguments[0].getBoundingClientRect().toJSON()", marked[0])
            assert bounds["top"] >= 0 and bounds["bottom"] <= 900
            assert opened.find_element("css selector", ".toc a[href='#sec-dynamics-claims']").is_displayed() is shown
    if opened.page_width == NARROW:  # the bar stays above what a link leads to
        opened.execute_script("location.hash = 'sec-methods'")
        places = (
            "return [document.querySelector('.side').getBoundingClientRect().bottom,"
            " document.getElementById('sec-methods').getBoundingClientRect().top]"
        )
        until(lambda: 0 <= opened.execute_script(places)[1] < 200)
        drawn(opened)
        bar, heading = opened.execute_script(places)
        assert 0 < bar <= heading < 200


def test_a_link_opens_what_hides_its_goal(opened):
    opened.execute_script(
        "const panel = [...document.querySelectorAll('[role=tabpanel]')].pop();"
        "panel.querySelector('table').id = 'deep'; location.hash = '#deep'"
    )
    until(opened.find_element("id", "deep").is_displayed)


def test_a_link_opens_the_exhibit_that_is_folded_behind_another(opened):
    """And paper shows it without one."""
    table = opened.find_element("id", "tbl-own-study-accuracy-table")
    assert not table.is_displayed()
    opened.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert table.is_displayed()
    opened.execute_script("dispatchEvent(new Event('afterprint')); location.hash = '#tbl-own-study-accuracy-table'")
    until(table.is_displayed)


def test_a_claim_on_the_first_page_leads_to_what_was_seen(opened):
    """The one that could not be tested is folded away in its study's ledger until a link goes there."""
    assert not opened.find_element("id", "claim-002-4").is_displayed()
    assert opened.find_element("id", "claim-002-1").is_displayed()
    link = opened.find_element("css selector", ".strip a[href='#claim-002-4']")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", link)
    link.click()
    claim = opened.find_element("id", "claim-002-4")
    until(lambda: claim.is_displayed() and 0 <= top(opened, claim) < 300)


@pytest.mark.parametrize("key", ["\ue007", " "])
def test_figures_open_at_full_width_and_close(opened, key):
    button = opened.find_element("css selector", "main figure button.zoom")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    assert button.accessible_name == button.find_element("css selector", "img").get_attribute("alt")
    button.send_keys(key)
    dialog = until(lambda: opened.find_elements("css selector", "dialog[open]"))[0]
    assert dialog.is_displayed()
    until(lambda: dialog.find_element("css selector", "img").size["width"] >= 0.85 * opened.page_width)
    assert dialog.accessible_name == "Figure 1, enlarged"
    opened.switch_to.active_element.send_keys("\ue00c")  # Escape
    until(lambda: opened.find_elements("css selector", "dialog") == [])
    until(lambda: opened.switch_to.active_element == button)


def test_keyboard_and_landmarks(opened):
    opened.find_element("css selector", "body").send_keys("\ue004")  # Tab
    skip = opened.switch_to.active_element
    assert skip.text == "Skip to the text" and skip.location["x"] >= 0
    skip.send_keys("\ue007")
    until(lambda: opened.switch_to.active_element.get_attribute("id") == "content")
    assert opened.find_element("css selector", "html").get_attribute("lang") == "en"
    assert len(opened.find_elements("css selector", "main")) == len(opened.find_elements("css selector", "h1")) == 1
    assert opened.find_element("css selector", "nav").accessible_name == "Contents"
    levels = opened.execute_script("return [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))


def luminance(colour):
    """Relative luminance of "rgb(r, g, b)": https://www.w3.org/TR/WCAG22/#dfn-relative-luminance"""
    parts = [float(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_contrast_and_figures_stay_on_white(opened, scheme):
    prefer(opened, scheme)
    found = opened.execute_script(
        "const colour = (selector, key) => getComputedStyle(document.querySelector(selector))[key];"
        "return [colour('body', 'backgroundColor'), colour('body', 'color'), colour('main a', 'color'),"
        " colour('figcaption', 'color'), colour('.subtitle', 'color'), colour('.zoom', 'backgroundColor')]"
    )
    paper, *inks, card = found
    assert (luminance(paper) < 0.05) == (scheme == "dark")
    for ink in inks:
        light, dark = sorted((luminance(paper), luminance(ink)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5
    assert card == "rgb(255, 255, 255)"


def test_light_or_dark_is_the_systems_until_the_reader_says_otherwise(opened):
    def is_dark():
        """Whether the page's paper is dark, and whether its switch says so."""
        drawn(opened)
        paper, pressed = opened.execute_script(
            "return [getComputedStyle(document.body).backgroundColor,"
            " document.querySelector('.switcher').getAttribute('aria-pressed')]"
        )
        return luminance(paper) < 0.05, pressed == "true"

    def becomes(dark):
        until(lambda: is_dark() == (dark, dark), 60, lambda: f"(dark, says so) is {is_dark()}, and not {dark}")

    for scheme in ("dark", "light"):
        prefer(opened, scheme)
        becomes(dark=scheme == "dark")
    opened.find_element("css selector", ".switcher").send_keys(" ")
    becomes(dark=True)
    opened.refresh()
    becomes(dark=True)
    opened.find_element("css selector", ".switcher").click()
    becomes(dark=False)
    prefer(opened, "dark")
    becomes(dark=False)
    opened.execute_script("localStorage.clear()")
    opened.refresh()
    becomes(dark=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: npm ci --prefix tests/integration")
def test_axe_finds_nothing_serious(opened, scheme):
    """The rules of axe-core over the page with all of it unfolded: https://github.com/dequelabs/axe-core"""
    prefer(opened, scheme)
    opened.execute_script("document.querySelectorAll('main details').forEach(details => { details.open = true; })")
    opened.execute_script(AXE.read_text(encoding="utf-8"))
    found = opened.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run({resultTypes: ['violations']}).then(({violations, passes}) => done([passes.length, violations.map("
        "({impact, id, nodes}) => [impact, id, nodes[0].html.slice(0, 200)])]), error => done([0, String(error)]))"
    )
    assert found[0] > 20
    assert [fault for fault in found[1] if fault[0] in ("serious", "critical")] == []


def test_screenshots_can_be_taken(opened, tmp_path):
    path = tmp_path / f"page-{opened.page_width}.png"
    assert opened.save_screenshot(str(path))
    with Image.open(path) as picture:
        assert picture.width == opened.page_width
        assert ImageStat.Stat(picture.convert("L")).stddev[0] > 5  # not a blank sheet


def test_paper_shows_every_panel(opened):
    """All that is folded or on a tab, and nothing wider than the sheet; then back."""
    folded = len(opened.find_elements("css selector", "main details:not([open])"))
    size = {"width": 718, "height": 1000, "deviceScaleFactor": 1, "mobile": False}  # an A4 sheet within its margins
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    until(lambda: opened.execute_script("return matchMedia('print').matches && innerWidth === 718"))
    opened.execute_script("dispatchEvent(new Event('beforeprint'))")
    panels = opened.find_elements("css selector", "[role=tabpanel] table")
    assert panels and all(panel.is_displayed() for panel in panels)
    for hidden in (".side", ".table-filter", ".downloads", ".tablist"):
        assert not any(node.is_displayed() for node in opened.find_elements("css selector", hidden)), hidden
    wide = opened.execute_script(
        "return [...document.querySelectorAll('main :is(table, img, p, pre)')]"
        ".filter(node => node.getBoundingClientRect().right > innerWidth + 1).map(node => node.outerHTML.slice(0, 80))"
    )
    assert wide == [] and folded
    opened.execute_script("dispatchEvent(new Event('afterprint'))")
    assert len(opened.find_elements("css selector", "main details:not([open])")) == folded


def test_paper_shows_verdicts_in_ink(opened):
    """Printers leave backgrounds out: words and signs stand in the colour of their verdict."""
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    until(lambda: opened.execute_script("return matchMedia('print').matches"))
    chips = opened.find_elements("css selector", ".verdict, .square")
    assert len(chips) > 10
    for chip in chips:
        assert chip.value_of_css_property("background-color") == "rgba(0, 0, 0, 0)"
        assert chip.value_of_css_property("color") != "rgba(255, 255, 255, 1)"


def test_paper_comes_out_as_pages(opened):
    pdf = base64.b64decode(opened.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert pdf.startswith(b"%PDF") and 5 < len(re.findall(rb"/Type\s*/Page\b", pdf)) < 60


def column(table, at):
    """The texts of a table's column, of the rows that show."""
    rows = table.find_elements("css selector", "tbody tr")
    return [row.find_elements("css selector", "td")[at].text for row in rows if row.is_displayed()]


def test_tables_of_the_page_sort_and_filter(opened):
    table = opened.find_element("css selector", "#tbl-dynamics-accuracy-table table")
    head = table.find_elements("css selector", "th")[3]
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", head)
    before = column(table, 3)
    assert len(before) == 40 and head.get_attribute("aria-sort") is None
    head.find_element("css selector", "button").click()
    assert head.get_attribute("aria-sort") == "ascending" and column(table, 3) == sorted(before, key=float)
    opened.switch_to.active_element.send_keys("\ue007")  # Enter
    assert head.get_attribute("aria-sort") == "descending" and column(table, 3) == sorted(before, key=float)[::-1]
    opened.switch_to.active_element.send_keys(" ")
    assert head.get_attribute("aria-sort") is None and column(table, 3) == before
    box = opened.find_element("css selector", "#tbl-dynamics-accuracy-table input[type=search]")
    assert box.accessible_name == "Filter rows"
    box.send_keys("LENET5 " + before[7])
    assert column(table, 3) == [before[7]]
    assert opened.find_element("css selector", "#tbl-dynamics-accuracy-table [role=status]").text == "1 of 40 rows"
    box.send_keys("\ue003" * 20)  # backspace
    assert column(table, 3) == before


def test_figures_can_be_kept(opened, page, tmp_path):
    """The SVG as it was drawn, and a PNG of twice its size, under the figure's name."""
    opened.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    words = opened.find_element("css selector", "#fig-dynamics-accuracy + .source .downloads")
    assert words.text == "· The figure as SVG or PNG"
    for button in words.find_elements("css selector", "button"):
        opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()
    files = [tmp_path / f"dynamics-accuracy.{kind}" for kind in ("svg", "png")]
    until(lambda: all(file.is_file() and file.stat().st_size for file in files))
    assert files[0].read_bytes() == (page.parents[1] / "figures/dynamics/accuracy.svg").read_bytes()
    with Image.open(files[1]) as picture:
        assert picture.size == (1440, 400)
    raster = opened.find_element("css selector", "#fig-dynamics-feature-correlation + .source .downloads")
    assert raster.text == "· The figure as PNG"


# ------------------------------------------------------------------------------------------- tables

TABLE = """<!DOCTYPE html><html lang="en"><head><title>T</title></head><body><main><div class="table-scroll"><table>
<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></main><script>{script}</script></body></html>"""
COLUMNS = {  # in the order that they have when sorted
    "number": ["−1,200", "−0.5", "0.25", "7 of 9", "1,230", "∞", "diverged"],
    "small": ["−2", "3.20 × 10<sup>−7</sup>", "1e−02", "&lt;0.1 %", "98.3 %", "1.00 × 10<sup>9</sup>", ""],
    "time": ["4.23&nbsp;s", "59.6&nbsp;s", "1&nbsp;min&nbsp;01&nbsp;s", "12&nbsp;min&nbsp;30&nbsp;s",
             "1&nbsp;h&nbsp;00&nbsp;min", "3&nbsp;h&nbsp;05&nbsp;min", "–"],
    "text": ["adam", "layer2", "layer10", "resnet18", "resnet152", "sgd", "–"],
}  # fmt: skip


def test_columns_sort_by_what_they_hold(chromium, tmp_path):
    shuffled = [3, 0, 6, 5, 1, 4, 2]
    rows = "".join("<tr>" + "".join(f"<td>{texts[at]}</td>" for texts in COLUMNS.values()) + "</tr>" for at in shuffled)
    rows += "<tr><td>–</td><td></td><td>–</td><td>–</td></tr>" * 2
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    script = (TEMPLATES / "exhibits.js").read_text(encoding="utf-8")
    page = tmp_path / "table.html"
    page.write_text(TABLE.format(script=script, head=head, rows=rows), encoding="utf-8")
    chromium.get(page.as_uri())
    table = chromium.find_element("css selector", "table")
    for at, texts in enumerate(COLUMNS.values()):
        order = chromium.execute_script(
            "document.querySelectorAll('th button')[arguments[0]].click();"
            "return [...document.querySelectorAll('tbody tr')].map(row => row.cells[arguments[0]].innerHTML)", at
        )  # fmt: skip
        assert order[:6] == texts[:6] and set(order[6:]) <= {"–", "", "diverged"}
    assert len(table.find_elements("css selector", "[aria-sort]")) == 1
    assert len(chromium.find_elements("css selector", "input[type=search]")) == 1
