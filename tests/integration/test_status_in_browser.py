"""The page of a run in a browser, as it is between two of its refreshes."""

import pytest

from tests.integration import test_page as sample
from tests.unit import test_status_page as made
from weight_atlas.plan import status_page
from weight_atlas.plan.progress import Progress

pytestmark = sample.pytestmark
chromium, opened = sample.chromium, sample.opened
test_page_is_never_wider_than_the_window = sample.test_page_is_never_wider_than_the_window
test_axe_finds_nothing_serious = sample.test_axe_finds_nothing_serious


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Of a made-up run; without its refresh, which would come while a test looks."""
    root = tmp_path_factory.mktemp("status")
    plan, _, launching = made.half(root)
    with launching:
        text = status_page.page(Progress(plan), False, made.NOW)
    refresh = '<meta http-equiv="refresh" content="10">'
    assert text.count(refresh) == 1
    (root / "status.html").write_text(text.replace(refresh, ""), encoding="utf-8")
    return root / "status.html"


def test_it_reports_no_error_and_draws_every_curve_in_its_chart(opened):
    assert sample.heard(opened, "browser", "console.error('LAST')") == []
    shown = opened.execute_script(
        "return [...document.querySelectorAll('path.curve')].filter(one => one.closest('figure'))"
        ".map(one => one.getBoundingClientRect()).map(one => one.width)"
    )
    assert len(shown) == 8 and all(shown)
    assert opened.execute_script("return document.scripts.length") == 0
