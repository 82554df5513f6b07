"""The report: from the tables and exhibits of one config to HTML pages.

A page is rendered by Quarto where `quarto` is on PATH and by Pandoc otherwise, in a temporary folder of its own.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from weight_atlas.plan.pages import SUMMARY, is_page
from weight_atlas.reporting.pages import document
from weight_atlas.reporting.pages.embed import embed
from weight_atlas.reporting.pages.gather import AnyPath, gather
from weight_atlas.store import atomic_write

PAGE_LIMIT = 20_000_000  # bytes of a page


def report(
    cells: AnyPath,
    tables: AnyPath,
    figures: AnyPath,
    cards: Iterable[AnyPath],
    config: AnyPath,
    templates: AnyPath,
    output: AnyPath,
    code: str | None = None,
) -> str:
    """Render a page of the report of one config. Returns "quarto" or "pandoc".

    All arguments but `code` are paths (`cards` a list of them), as the command line names them.

    Parameters
    ----------
    output
        The page, by whose name it is known which it is (`weight_atlas.plan.pages`); the .qmd goes beside it.
    code
        The SHA-256 of the training code of today, where replicates that others trained are adopted.

    Raises
    ------
    ValueError
        In one line, where a file does not hold what it should, or where the document does not render without a fault.
    """
    target = Path(output)
    page = target.stem
    context = gather(cells, tables, figures, cards, config, code, page)
    with tempfile.TemporaryDirectory(prefix="report-") as made:
        folder = Path(made)
        document.copy(context, templates, folder)
        (folder / f"{page}.qmd").write_text(document.source(templates, context), encoding="utf-8")
        renderer = render(folder, page)
        _check_size(folder, page)
        for path in (target.with_name(f"{page}.qmd"), target):
            with atomic_write(path) as part:
                shutil.copyfile(folder / path.name, part)
    if page == SUMMARY:
        _remove_others(target.parent, context["names"])
    return renderer


def _remove_others(folder: Path, names: Iterable[str]) -> None:
    """Remove the pages of what an earlier config asked for: to a reader they would look like those of today."""
    for path in folder.iterdir():
        if path.suffix in (".html", ".qmd") and path.stem not in names and is_page(path.stem):
            path.unlink()


def render(folder: Path, page: str = "report") -> str:
    """Render <page>.qmd in `folder` to <page>.html there; returns "quarto" or "pandoc".

    ValueError where the renderer fails or warns of something that a reader would stumble over.
    """
    quarto = shutil.which("quarto")
    faults = by_quarto(quarto, folder, page) if quarto else by_pandoc(folder, page)
    if faults:
        raise ValueError(f"{page}.qmd: {faults[0].strip()}; mend the template or the exhibit that it names")
    return "quarto" if quarto else "pandoc"


def generator(page: Path) -> str:
    """What a page says of its renderer: "rendered by Pandoc 3.9"; "written" for what is no page."""
    found = page.suffix == ".html" and re.search(r'<meta name="generator" content="([^"]*)"', page.read_text("utf-8"))
    return f"rendered by {found[1]}" if found else "written"


def by_quarto(quarto: str, folder: Path, page: str) -> list[str]:
    """Render <page>.qmd in `folder` to <page>.html there, by Quarto; returns the lines of its warnings that matter."""
    log = _run([quarto, "render", f"{page}.qmd", "--to", "html"], folder)
    # Quarto exits 0 with a shortcode that it does not know, and with an error of our filter too.
    faults = [line for line in log.splitlines() if _ERROR.match(line) or _WARNING.search(line) and _FAULT.search(line)]
    if not faults and not (folder / f"{page}.html").is_file():
        raise ValueError(f"{page}.qmd: {quarto} made no {page}.html; its log ends: {_end(log)}")
    return faults or embed(folder / f"{page}.html")


def by_pandoc(folder: Path, page: str = "report") -> list[str]:
    """Render <page>.qmd in `folder` to <page>.html there, by plain Pandoc; returns the lines of its warnings."""
    options = ("--to=html5", "--template=template.html", "--toc", "--toc-depth=3", "--mathml")
    faults = pandoc(folder, page, f"{page}.html", *options)
    return faults or embed(folder / f"{page}.html")


_WARNING = re.compile(r"\bWARN(ING)?\b")
_FAULT = re.compile(r"crossref|citation|citeproc|could not|not found|unable", re.IGNORECASE)
_ERROR = re.compile(r"ERROR\b")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")  # Quarto colours its warnings even where nobody looks


def pandoc(
    folder: Path, page: str, output: str, *options: str, filters: Sequence[str] = ("glossary", "filter")
) -> list[str]:
    """Have Pandoc make `output` of <page>.qmd in `folder`; returns the lines of its warnings.

    The filters go before citeproc, which would take @fig-x for a citation.
    """
    import pypandoc

    command = [pypandoc.get_pandoc_path(), f"{page}.qmd", f"--output={output}", "--from=markdown-smart", "--standalone"]
    command += [*options, *(f"--lua-filter={name}.lua" for name in filters), "--citeproc"]
    return [line for line in _run(command, folder).splitlines() if _WARNING.search(line)]


def _run(command: Sequence[str], folder: Path) -> str:
    """Run a command in `folder`; returns what it printed. ValueError where it fails."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    log = _COLOUR.sub("", done.stdout.decode("utf-8", errors="replace"))
    if done.returncode:
        source = next(word for word in command if word.endswith(".qmd"))
        raise ValueError(f"{source}: {Path(command[0]).name} failed ({done.returncode}): {_end(log)}")
    return log


def _end(log: str, lines: int = 6) -> str:
    """The last lines of a log in one line."""
    return " / ".join(line.strip() for line in log.split("stack traceback")[0].strip().splitlines()[-lines:])


def _check_size(folder: Path, page: str) -> None:
    size = (folder / f"{page}.html").stat().st_size
    if size > PAGE_LIMIT:
        files = sorted((folder / "figures").rglob("*.*"), key=lambda path: path.stat().st_size)[-3:]
        largest = ", ".join(f"{path.relative_to(folder)} {path.stat().st_size / 1e6:.1f} MB" for path in files[::-1])
        raise ValueError(
            f"{page}.html: {size / 1e6:.1f} MB; allowed: {PAGE_LIMIT / 1e6:.0f} MB. Draw the largest exhibits "
            f"({largest}) as rasters, or split the config"
        )
