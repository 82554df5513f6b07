"""The report's tables for LaTeX, by Pandoc from the tables of the page: escaped, with captions and labels."""

import re
from collections.abc import Sequence
from pathlib import Path

import pypandoc

from weight_atlas import schema
from weight_atlas.reporting.pages import markdown

PREAMBLE = "% In the preamble: \\usepackage{booktabs,longtable,array}\n"
# Signs of our tables that LaTeX's fonts have in mathematics only; other letters need XeLaTeX or LuaLaTeX.
MATHS = {
    **{"−": "-", "×": "\\times", "±": "\\pm", "→": "\\to", "∞": "\\infty", "≤": "\\le", "≥": "\\ge", "≠": "\\ne"},
    **{"‖": "\\|", "²": "^2", "³": "^3", "₀": "_0", "₁": "_1", "₂": "_2", "·": "\\cdot", "Δ": "\\Delta"},
    **{"α": "\\alpha", "β": "\\beta", "γ": "\\gamma", "δ": "\\delta", "ε": "\\varepsilon", "η": "\\eta"},
    **{"θ": "\\theta", "λ": "\\lambda", "μ": "\\mu", "ρ": "\\rho", "σ": "\\sigma", "ω": "\\omega"},
}
SIGNS = re.compile(f"[{''.join(MATHS)}]+")


def longtable(path: Path, columns: Sequence[str], caption: str, label: str) -> str:
    """These columns of a CSV file as a LaTeX longtable, as the page prints them."""
    rows = [[row[name] for name in columns] for row in schema.dicts(path)]
    text = markdown.table([name.replace("_", " ") for name in columns], rows, caption, label)
    # Without a limit on columns Pandoc would guess widths from the lengths of lines.
    options = ["--wrap=none", "--columns=1000000"]
    text = pypandoc.convert_text(text, "latex", format="markdown-smart", extra_args=options)
    return PREAMBLE + SIGNS.sub(lambda run: f"\\ensuremath{{{''.join(MATHS[sign] for sign in run[0])}}}", text)
