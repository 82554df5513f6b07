"""The report of a whole run in a browser: what holds for a sample page holds for a real one."""

import pytest

from tests import pages
from tests.integration import test_page as sample

# The sample's tests and their fixtures, on this module's page.
pytestmark = sample.pytestmark
chromium, opened = sample.chromium, sample.opened
test_no_errors_and_no_requests_outside = sample.test_no_errors_and_no_requests_outside
test_page_is_never_wider_than_the_window = sample.test_page_is_never_wider_than_the_window
test_axe_finds_nothing_serious = sample.test_axe_finds_nothing_serious


@pytest.fixture(params=["report", "study-dynamics", "runs"])
def page(finished, request):
    """A page that the tiny workflow has written."""
    return finished.root / f"results/tiny/report/{request.param}.html"


@pytest.mark.parametrize("page", ["runs"], indirect=True)
def test_paper_shows_every_panel(opened):
    sample.test_paper_shows_every_panel(opened)


@pytest.mark.parametrize("page", ["study-dynamics"], indirect=True)
def test_every_picture_shows_and_says_what_it_is(opened):
    pictures = opened.execute_script(
        "return [...document.images].map(image => [image.complete, image.naturalWidth, image.alt.trim()])"
    )
    assert len(pictures) > 10 and all(complete and width and alt for complete, width, alt in pictures)


def test_the_pages_say_what_was_done(finished):
    found = pages.pages(finished.root / "results/tiny")
    assert list(found) == ["data", "methods", "report", "runs", "study-dynamics"] and pages.dead_links(found) == []
    for word in ("Parameter dynamics", "27 of 27", "9", "resnet18-small", "lenet1"):
        assert word in " ".join(found.values())
    for text in found.values():
        for marker in (":::", "{#", "@fig-", "@tbl-", "@sec-", "{{<", "{%"):
            assert marker not in text.split("<body", 1)[1].split("<script", 1)[0]
        assert len(text) < 20e6
