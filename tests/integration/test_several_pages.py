"""The report as several pages in a browser: each as sound as one page that shows all, and links that lead on."""

import pytest

from tests.conftest import until
from tests.integration import test_page as sample
from tests.unit.test_pages import NAMES, made

pytestmark = sample.pytestmark
chromium, opened = sample.chromium, sample.opened
test_no_errors_and_no_requests_outside = sample.test_no_errors_and_no_requests_outside
test_page_is_never_wider_than_the_window = sample.test_page_is_never_wider_than_the_window
test_axe_finds_nothing_serious = sample.test_axe_finds_nothing_serious


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the pages of the sample lie, rendered by Pandoc."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        return made(tmp_path_factory.mktemp("several")) / "report"


@pytest.fixture(params=NAMES)
def page(folder, request):
    return folder / f"{request.param}.html"


@pytest.mark.parametrize("page", ["report"], indirect=True)
@pytest.mark.parametrize("claim", ["claim-002-1", "claim-002-4"])
def test_a_square_opens_its_claim(opened, page, claim):
    """On the page of its study, and even where it is folded away with those that could not be tested."""
    opened.execute_script("arguments[0].click()", opened.find_element("css selector", f".strip a[href$='#{claim}']"))
    until(lambda: opened.current_url.endswith(f"study-dynamics.html#{claim}"))
    until(lambda: opened.find_element("id", claim).is_displayed())
    until(lambda: 0 <= sample.top(opened, opened.find_element("id", claim)) < 900, 60)


@pytest.mark.parametrize("page", ["runs"], indirect=True)
def test_every_page_leads_back(opened, page):
    """The bar at the top has all pages, in order; the one that is shown is marked."""
    for name in (*NAMES, "report"):
        bar = opened.find_element("css selector", "[role=navigation]")
        assert bar.accessible_name == "Pages of the report"
        bar.find_element("css selector", f"a[href='{name}.html']").click()
        until(lambda name=name: opened.current_url.endswith(f"/{name}.html"))
        marked = opened.find_elements("css selector", "[aria-current=page]")
        assert [link.get_attribute("href").rpartition("/")[2] for link in marked] == [f"{name}.html"]
