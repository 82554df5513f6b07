"""The report: from the tables and exhibits of one config to one HTML page.

It is rendered by Quarto where `quarto` is on PATH and by Pandoc otherwise, in a temporary folder of its own.
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from weight_atlas.reporting.pages import document
from weight_atlas.reporting.pages.gather import AnyPath, gather
from weight_atlas.store import atomic_write

PAGE_LIMIT = 20_000_000  # bytes of report.html


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
    """Render the report of one config to `output`; the .qmd goes beside it. Returns "quarto" or "pandoc".

    All arguments are paths (`cards` a list of them), as the command line names them, but `code`: the SHA-256 of the
    training code of today, where replicates that others trained are adopted. ValueError, in one line, where a
    file does not hold what it should, or where the document does not render without a fault.
    """
    context = gather(cells, tables, figures, cards, config, code)
    with tempfile.TemporaryDirectory(prefix="report-") as made:
        folder = Path(made)
        document.copy(context, templates, folder)
        (folder / "report.qmd").write_text(document.source(templates, context), encoding="utf-8")
        renderer = render(folder)
        _check_size(folder)
        for name, target in (("report.qmd", Path(output).with_suffix(".qmd")), ("report.html", Path(output))):
            with atomic_write(target) as part:
                shutil.copyfile(folder / name, part)
    return renderer


def render(folder: Path) -> str:
    """Render report.qmd in `folder` to report.html there; returns "quarto" or "pandoc".

    ValueError where the renderer fails or warns of something that a reader would stumble over.
    """
    quarto = shutil.which("quarto")
    if quarto:
        log = _run([quarto, "render", "report.qmd", "--to", "html"], folder)
        # Quarto exits 0 with a reference to nothing (WARNING: Unable to resolve crossref @fig-x).
        faults = [line for line in log.splitlines() if _WARNING.search(line) and _FAULT.search(line)]
    else:
        faults = by_pandoc(folder)
    if faults:
        raise ValueError(f"report.qmd: {faults[0].strip()}; mend the template or the exhibit that it names")
    if not (folder / "report.html").is_file():
        raise ValueError(f"report.qmd: {quarto or 'pandoc'} made no report.html; its log ends: {_end(log)}")
    return "quarto" if quarto else "pandoc"


def by_pandoc(folder: Path) -> list[str]:
    """Render report.qmd in `folder` to report.html there, by plain Pandoc; returns the lines of its warnings."""
    return [line for line in _run(_pandoc(), folder).splitlines() if _WARNING.search(line)]


_WARNING = re.compile(r"\bWARN(ING)?\b")
_FAULT = re.compile(r"crossref|citation|citeproc|resource|not found|could not|unable", re.IGNORECASE)


def _pandoc() -> list[str]:
    """The command for plain Pandoc. The filter goes before citeproc, which would take @fig-x for a citation."""
    import pypandoc

    return [
        *(pypandoc.get_pandoc_path(), "report.qmd", "--output=report.html"),
        *("--from=markdown-smart", "--to=html5", "--standalone", "--template=template.html"),
        *("--toc", "--toc-depth=3", "--mathml", "--embed-resources"),
        *("--lua-filter=filter.lua", "--citeproc", "--lua-filter=embed.lua"),
    ]


def _run(command: Sequence[str], folder: Path) -> str:
    """Run a command in `folder`; returns what it printed. ValueError where it fails."""
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    log = done.stdout.decode("utf-8", errors="replace")
    if done.returncode:
        raise ValueError(f"report.qmd: {Path(command[0]).name} failed ({done.returncode}): {_end(log)}")
    return log


def _end(log: str, lines: int = 6) -> str:
    """The last lines of a log in one line."""
    return " / ".join(line.strip() for line in log.split("stack traceback")[0].strip().splitlines()[-lines:])


def _check_size(folder: Path) -> None:
    size = (folder / "report.html").stat().st_size
    if size > PAGE_LIMIT:
        files = sorted((folder / "figures").rglob("*.*"), key=lambda path: path.stat().st_size)[-3:]
        largest = ", ".join(f"{path.relative_to(folder)} {path.stat().st_size / 1e6:.1f} MB" for path in files[::-1])
        raise ValueError(
            f"report.html: {size / 1e6:.1f} MB; allowed: {PAGE_LIMIT / 1e6:.0f} MB. Draw the largest exhibits "
            f"({largest}) as rasters, or split the config"
        )
