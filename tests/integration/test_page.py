"""The report in a browser: Chromium opens a sample's page, wide and narrow, from the disk and with no network."""

import csv
import io
import json
import shutil
import sys
import time
import urllib.parse
from pathlib import Path

import pytest

webdriver = pytest.importorskip("selenium.webdriver")

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))  # the sample of the report's own tests
from test_render import sample  # noqa: E402

from atlas.tell import render  # noqa: E402

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
    yield driver
    driver.quit()


@pytest.fixture(params=[WIDE, NARROW])
def opened(chromium, page, request):
    """The browser with the page open at one of both widths."""
    size = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": request.param == NARROW}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    chromium.get("about:blank")
    for kind in ("browser", "performance"):
        chromium.get_log(kind)
    chromium.get(page.as_uri())
    chromium.page_width = request.param
    # Smooth scrolling would still be on its way when a test looks.
    chromium.execute_script("document.documentElement.style.scrollBehavior = 'auto'")
    return chromium


def requests(driver):
    """The addresses that the page asked for."""
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    return [entry["params"]["request"]["url"] for entry in messages if entry["method"] == "Network.requestWillBeSent"]


def test_no_errors_and_no_requests_outside(opened):
    opened.execute_script("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    opened.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    time.sleep(0.2)
    assert opened.get_log("browser") == []
    asked = requests(opened)
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
        ".map(box => [box.clientWidth, box.querySelector('img').clientWidth, getComputedStyle(box).overflowX])"
    )
    assert len(boxes) == len(pictures)
    for box, image, overflow in boxes:
        assert 0 < box <= opened.page_width
        assert image <= box if opened.page_width == WIDE else (image >= 600 and overflow == "auto")


def test_page_is_never_wider_than_the_window(opened):
    opened.execute_script("document.querySelectorAll('details').forEach(details => { details.open = true; })")
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
        "document.querySelectorAll('details').forEach(details => { details.open = true; });"
        "return [...document.querySelectorAll('.table-scroll')].map(box => [box.scrollWidth > box.clientWidth + 1,"
        " getComputedStyle(box).overflowX, box.tabIndex, box.getAttribute('role')])"
    )
    assert all(overflow == "auto" and tab == 0 and role == "region" for _, overflow, tab, role in boxes)
    assert any(scrolls for scrolls, *_ in boxes)


def test_tabs_switch_by_click_and_by_key(opened):
    opened.execute_script("document.querySelectorAll('details').forEach(details => { details.open = true; })")
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
    assert shown() == 1
    for key, expected in (("\ue014", 0), ("\ue012", 1), ("\ue011", 0), ("\ue010", 1)):  # right, left, home, end
        opened.switch_to.active_element.send_keys(key)
        assert shown() == expected and opened.switch_to.active_element == tabs[expected]


def test_verdicts_have_contrast(opened):
    """White or black on the chip's colour, in both schemes: https://www.w3.org/TR/WCAG22/#contrast-minimum"""
    for scheme in ("light", "dark"):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        found = opened.execute_script(
            "return [...document.querySelectorAll('.verdict')].map(chip => [chip.textContent,"
            " getComputedStyle(chip).backgroundColor, getComputedStyle(chip).color])"
        )
        assert {" ".join(text.split()) for text, *_ in found} == {
            "artefact",
            "reproduced",
            "contradicted",
            "not testable here",
        }
        assert len({colour for _, colour, _ in found}) == 4
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
    assert contents.get_attribute("open") is not None and links[0].is_displayed()
    last = next(link for link in links if link.get_attribute("href").endswith("#sec-methods"))
    last.click()
    time.sleep(0.3)
    top = opened.execute_script("return document.getElementById('sec-methods').getBoundingClientRect().top")
    assert 0 <= top < 300
    assert last.get_attribute("aria-current") == "true"
    assert (contents.get_attribute("open") is None) == (opened.page_width == NARROW)
    position = opened.execute_script("return getComputedStyle(document.querySelector('.toc')).position")
    assert position == ("static" if opened.page_width == NARROW else "sticky")


def test_a_link_opens_what_hides_its_goal(opened):
    opened.execute_script(
        "const panel = [...document.querySelectorAll('[role=tabpanel]')].pop();"
        "panel.querySelector('table').id = 'deep'; location.hash = '#deep'"
    )
    time.sleep(0.2)
    assert opened.find_element("id", "deep").is_displayed()


def test_figures_open_at_full_size_and_close(opened):
    button = opened.find_element("css selector", "main figure button")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    assert button.accessible_name == button.find_element("css selector", "img").get_attribute("alt")
    button.click()
    dialog = opened.find_element("css selector", "dialog")
    assert (
        dialog.is_displayed() and dialog.find_element("css selector", "img").size["width"] >= 0.85 * opened.page_width
    )
    opened.switch_to.active_element.send_keys("\ue00c")  # Escape
    time.sleep(0.2)
    assert opened.find_elements("css selector", "dialog") == []


def test_keyboard_and_landmarks(opened):
    opened.find_element("css selector", "body").send_keys("\ue004")  # Tab
    skip = opened.switch_to.active_element
    assert skip.text == "Skip to the text" and skip.location["x"] >= 0
    skip.send_keys("\ue007")
    assert opened.switch_to.active_element.get_attribute("id") == "content"
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
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
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


def test_screenshots_can_be_taken(opened, tmp_path):
    from PIL import Image, ImageStat

    path = tmp_path / f"page-{opened.page_width}.png"
    assert opened.save_screenshot(str(path))
    with Image.open(path) as picture:
        assert picture.width == opened.page_width
        assert ImageStat.Stat(picture.convert("L")).stddev[0] > 5  # not a blank sheet


def test_paper_shows_every_panel(opened):
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    opened.execute_script("dispatchEvent(new Event('beforeprint'))")
    panels = opened.find_elements("css selector", "[role=tabpanel] table")
    assert panels and all(panel.is_displayed() for panel in panels)
    assert not opened.find_element("css selector", ".toc").is_displayed()
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
