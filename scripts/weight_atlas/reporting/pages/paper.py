"""The whole report as one document for paper: PDF by Typst, or for Word."""

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from weight_atlas.reporting.pages import document, render
from weight_atlas.reporting.pages.gather import AnyPath, gather
from weight_atlas.store import atomic_write

DPI = 192  # of figures for Word, which gets no SVG from Pandoc alone: two pixels for each of a page's
NAME = "report"


def paper(
    cells: AnyPath,
    tables: AnyPath,
    figures: AnyPath,
    cards: Iterable[AnyPath],
    config: AnyPath,
    templates: AnyPath,
    output: AnyPath,
    code: str | None = None,
) -> None:
    """Write the report to `output`, .pdf or .docx; the arguments are those of `render.report`.

    ValueError, in one line, as there.
    """
    context = gather(cells, tables, figures, cards, config, code, whole=True)
    with tempfile.TemporaryDirectory(prefix="report-") as made:
        folder = Path(made)
        document.copy(context, templates, folder)
        (folder / f"{NAME}.qmd").write_text(document.source(templates, context), encoding="utf-8")
        write = {".pdf": _pdf, ".docx": _docx}[Path(output).suffix]
        content = write(folder)
        with atomic_write(output) as part:
            part.write_bytes(content)


def _pdf(folder: Path) -> bytes:
    import typst
    from matplotlib import get_data_path

    _pandoc(folder, f"{NAME}.typ", "--to=typst", "--template=paper.typ")
    fonts = Path(get_data_path()) / "fonts/ttf"  # DejaVu, for signs that Typst's own have not
    try:
        content: bytes = typst.compile(folder / f"{NAME}.typ", root=folder, font_paths=[fonts])
    except typst.TypstError as error:
        raise ValueError(
            f"{NAME}.qmd: Typst: {error.message}; mend the template or the exhibit that it names"
        ) from None
    return content


def _docx(folder: Path) -> bytes:
    import typst

    drawn = sorted(folder.rglob("*.svg"))
    sheet = [f'#page(width: auto, height: auto, margin: 0pt, image("{path.relative_to(folder)}"))' for path in drawn]
    (folder / "figures.typ").write_text("\n".join(sheet), encoding="utf-8")
    if drawn:
        pages = typst.compile(folder / "figures.typ", root=folder, format="png", ppi=DPI)
        for path, page in zip(drawn, pages if isinstance(pages, list) else [pages], strict=True):
            path.with_suffix(".png").write_bytes(page)
    source = folder / f"{NAME}.qmd"
    pictures = re.sub(r"\]\((\S+)\.svg\)\{", r"](\1.png){", source.read_text(encoding="utf-8"))
    source.write_text(pictures, encoding="utf-8")
    _pandoc(folder, f"{NAME}.docx", "--to=docx", "--toc", "--toc-depth=2")
    return (folder / f"{NAME}.docx").read_bytes()


def _pandoc(folder: Path, output: str, *options: str) -> None:
    """Have Pandoc write <folder>/<output>; ValueError where it fails or warns."""
    faults = render.pandoc(folder, NAME, output, *options, filters=("glossary", "paper", "filter"))
    if faults:
        raise ValueError(f"{NAME}.qmd: {faults[0].strip()}; mend the template or the exhibit that it names")
