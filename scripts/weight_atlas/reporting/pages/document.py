"""The source of a page: a Quarto document, written by Jinja templates in which every value is escaped by itself.

`{{ label }}` puts plain text, whatever it holds, and only what a filter marks as Markdown is let through as such.
"""

import re
import shutil
import statistics
from pathlib import Path

import jinja2
from markupsafe import Markup

from weight_atlas import schema
from weight_atlas.reporting.pages import markdown
from weight_atlas.reporting.pages.arranged import arranged, record
from weight_atlas.reporting.pages.findings import finding, findings, image, pictures
from weight_atlas.reporting.pages.gather import AXES, AnyPath, Json, questions, read_rows, settings
from weight_atlas.reporting.pages.summary import asked, main_answer, summary

CSV_LIMIT = 1_000_000  # bytes of a CSV file that the page carries
ROWS = 200  # rows of an exhibit's table on the page, which scrolls in a box; its CSV has them all
NARROW = 400  # pixels: a picture of at most these fits on a phone as it is
FILES = (  # of the templates' folder: what the document needs beside it
    *("style.css", "page.js", "exhibits.js", "template.html"),
    *("filter.lua", "paper.lua", "paper.typ", "glossary.lua", "glossary.yaml", "references.bib"),
)


def source(templates: AnyPath, context: Json, name: str = "page.qmd.j2") -> str:
    """The Quarto document as text. A name that the context lacks is an error of the template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        autoescape=True,
        finalize=markdown.escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        comment_start_string="<#",  # {# is how Quarto begins a label
        comment_end_string="#>",
        extensions=["jinja2.ext.do"],
    )
    named = ["attribute", "code", "duration", "fence", "number", "paragraphs", "parted", "quoted", "slug", "thousands"]
    environment.filters |= {name: getattr(markdown, name) for name in named}
    environment.filters |= {"axis": lambda name: AXES.get(name, name)}
    environment.globals |= {"schema": schema.TABLES, "table": markdown.table, "settings": settings, "size": size}
    environment.globals |= {"mean": statistics.fmean, "median": statistics.median, "carried": carried}
    environment.globals |= {"link": link, "summary": summary, "asked_by": asked, "main_answer": main_answer}
    environment.globals |= {"finding": finding, "findings": findings, "image": image}
    environment.globals |= {"arranged": arranged, "record": record, "questions": questions, "rows_of": rows_of}
    text = environment.get_template(name).render(context)
    return re.sub(r"\n{3,}", "\n\n", text)


@jinja2.pass_context
def link(context: jinja2.runtime.Context, words: str, page: str, label: str = "") -> Markup:
    """A link to a label of a page of the report, or to the page; on one page that shows all, to that part of it."""
    if context["single"]:
        whole = {one["name"]: f"sec-{one['name']}" for one in context["pages"]}
        whole |= {study["page"]: f"sec-study-{study['slug']}" for study in context["studies"]}
        target = f"#{label or whole[page]}"
    else:
        target = ("" if page == context["page"] and label else f"{page}.html") + (f"#{label}" if label else "")
    current = "{aria-current=page}" if page == context["page"] and not label else ""
    return Markup(f"[{markdown.escape(words)}]({target}){current}")


def size(exhibit: Json) -> Markup:
    """The width and height attributes of a picture in the page's pixels, so that nothing moves when it is decoded, and
    the class of one that a phone shows whole.

    A PNG has two pixels for each of the page's, and an SVG says its size in points or pixels.
    """
    header = exhibit["path"].read_bytes()[:2000]
    if exhibit["path"].suffix == ".png":  # signature, length, "IHDR", width, height: https://www.w3.org/TR/png-3/
        sizes = [int.from_bytes(header[at : at + 4], "big") / 2 for at in (16, 20)]
    else:
        svg = re.search(rb"<svg[^>]*", header)
        said = re.findall(rb"""\s(width|height)=["']([\d.]+)(pt)?""", svg[0] if svg else b"")
        found = {name: float(size) * (4 / 3 if points else 1) for name, size, points in said}
        sizes = [found[name] for name in (b"width", b"height")] if len(found) == 2 else []
    told = "".join(f" {name}={round(size)}" for name, size in zip(("width", "height"), sizes, strict=False))
    return Markup(f"{told} .narrow" if sizes and sizes[0] <= NARROW else told)


def rows_of(exhibit: Json) -> Json:
    """An exhibit's table: its header, its first rows, and how many rows there are."""
    rows = read_rows(exhibit["csv_path"])
    names = exhibit["columns"]
    shown = [[row[name] for name in names] for row in rows[:ROWS]]
    return {"header": [name.replace("_", " ") for name in names], "rows": shown, "all": len(rows)}


def carried(path: AnyPath) -> bool:
    """Whether a CSV file is small enough for the page to carry it."""
    return Path(path).stat().st_size <= CSV_LIMIT


def copy(context: Json, templates: AnyPath, folder: Path) -> None:
    """Put what the document needs into `folder`: figures, CSV files, styles, scripts, filters, bibliography."""
    for name in FILES:
        shutil.copyfile(Path(templates) / name, folder / name)
    data = [context["data"]] if "data" in context["parts"] else []
    for chapter in [*data, *context["shown"]]:
        for exhibit in chapter["exhibits"]:
            bring(exhibit["csv_path"], folder / exhibit["csv"])
            if "picture" in exhibit:
                bring(exhibit["path"], folder / exhibit["picture"])
    for figure in pictures(context["studies"]) if "summary" in context["parts"] else ():
        bring(figure["path"], folder / figure["picture"])
    for name, file in context["files"].items():
        bring(file["path"], folder / f"{name}.csv")


def bring(
    source: AnyPath, target: Path, todo: str = ", though exhibits.json names it; draw the exhibits again"
) -> None:
    """Copy a file, its folder made where needed; ValueError in one line, with what to do, where there is none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        raise ValueError(f"{source}: is not there{todo}") from None
