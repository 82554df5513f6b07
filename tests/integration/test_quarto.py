"""The sample's report as Quarto renders it: all that is asked of Pandoc's page. `.ci/quarto` runs it, the gate not."""

import re
import shutil

import pytest

from tests.integration import test_page as pandoc
from tests.unit.test_render import SVG, TEMPLATES, Reader
from weight_atlas.reporting.pages import document, render

QUARTO = shutil.which("quarto")
pytestmark = [
    *pandoc.pytestmark,
    pytest.mark.quarto,
    pytest.mark.skipif(not QUARTO, reason="no quarto on PATH: https://quarto.org"),
]
chromium, opened = pandoc.chromium, pandoc.opened
globals().update({name: test for name, test in vars(pandoc).items() if name.startswith("test_")})


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The path of the sample's report, by Quarto."""
    arguments = pandoc.sample(tmp_path_factory.mktemp("quarto"))
    assert render.report(**arguments) == "quarto"
    return arguments["output"]


def test_the_page_is_the_one_that_pandoc_makes(page, tmp_path, monkeypatch):
    """Its text, its ids and its files; but for who rendered it, and for quotes of the title."""
    arguments = pandoc.sample(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert render.report(**arguments) == "pandoc"
    ours, theirs = (Reader(path.read_text(encoding="utf-8")) for path in (arguments["output"], page))
    plain = re.compile(r"Rendered by .*|[\"'“”’]")
    assert plain.sub("", theirs.text) == plain.sub("", ours.text)
    assert [tag.get("id") for _, tag in theirs.tags] == [tag.get("id") for _, tag in ours.tags]
    carried = [tag.get("src") or tag.get("href") for _, tag in ours.tags]
    assert [tag.get("src") or tag.get("href") for _, tag in theirs.tags] == carried
    assert re.search(r"Rendered by Quarto [\d.]+ with Pandoc [\d.]+\.", theirs.text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("See @fig-nobody.", "@fig-nobody refers to nothing"),
        ("![A](a.svg){#fig-a}\n\n![B](a.svg){#fig-a}", "#fig-a is used twice"),
        ("{{< nobody >}}", "Shortcode 'nobody' not found"),
        ("See @nobody2020.", "nobody2020"),
        ("![A](nobody.svg)", "nobody.svg"),
    ],
)
def test_a_fault_stops_quarto_in_one_line(page, tmp_path, text, words):
    for name in document.FILES:
        shutil.copyfile(TEMPLATES / name, tmp_path / name)
    (tmp_path / "a.svg").write_text(SVG.format(x=1))
    head = page.with_suffix(".qmd").read_text(encoding="utf-8").split("---\n")[1]
    (tmp_path / "report.qmd").write_text(f"---\n{head}---\n\n{text}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        render.render(tmp_path)
    assert "\n" not in str(caught.value)
