"""The sample's report as Quarto renders it, in a browser. `.ci/quarto` runs these tests; the gate has no Quarto."""

import re
import shutil

import pytest

from tests.integration import test_page as sample
from tests.unit.test_render import NASTY, squeezed
from weight_atlas.reporting.pages import render

QUARTO = shutil.which("quarto")
pytestmark = [
    *sample.pytestmark,
    pytest.mark.quarto,
    pytest.mark.skipif(not QUARTO, reason="no quarto on PATH: https://quarto.org"),
]
chromium, opened = sample.chromium, sample.opened
test_page_is_never_wider_than_the_window = sample.test_page_is_never_wider_than_the_window


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The path of the sample's report. A reference to nothing would be an error of `render.report`."""
    arguments = sample.sample(tmp_path_factory.mktemp("quarto"))
    assert render.report(**arguments) == "quarto"
    return arguments["output"]


def test_the_page_reports_no_error_and_asks_for_nothing_outside(opened):
    opened.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    sample.drawn(opened)
    asked = sample.requests(opened)
    assert asked and all(re.match("file:|data:|blob:", address) for address in asked)
    assert len([address for address in asked if address.startswith("file:")]) == 1
    assert sample.heard(opened, "browser", "console.error('LAST')") == []


def test_every_image_shows_and_has_a_text(opened):
    images = opened.execute_script(
        "return [...document.querySelectorAll('main img')].map(one => [one.complete, one.naturalWidth, one.alt.trim()])"
    )
    assert len(images) >= 4 and all(complete and width and alt for complete, width, alt in images)


def test_every_link_within_the_page_leads_somewhere(opened):
    links = opened.execute_script("return [...document.querySelectorAll('main a')].map(a => a.getAttribute('href'))")
    ids = set(opened.execute_script("return [...document.querySelectorAll('[id]')].map(node => node.id)"))
    within = {link[1:] for link in links if link and link.startswith("#") and link != "#"}
    assert len(within) > 3 and within <= ids
    assert len([link for link in links if link and link.startswith("data:text/csv")]) > 3


def test_the_text_has_no_markers_of_the_source(opened):
    text = squeezed(opened.execute_script("return document.querySelector('main').textContent")).replace(NASTY, "")
    assert "Do they move?" in text
    assert [marker for marker in (":::", "{#", "@fig", "@tbl", "@sec", "{{<", "](", "?@") if marker in text] == []


def test_tables_can_be_sorted(opened):
    assert opened.execute_script("return document.querySelectorAll('main th button').length") > 3
