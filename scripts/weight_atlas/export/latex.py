"""The report's tables for LaTeX, by Pandoc from the tables of the page: escaped, with captions and labels."""

import csv
import re

import pypandoc

from weight_atlas.reporting.pages import render

NEEDS = "% In the preamble: \\usepackage{booktabs,longtable,array}\n"
# What our tables write that LaTeX's own fonts have in mathematics alone; other letters need XeLaTeX or LuaLaTeX.
MATHS = {
    **{"−": "-", "×": "\\times", "±": "\\pm", "→": "\\to", "∞": "\\infty", "≤": "\\le", "≥": "\\ge", "≠": "\\ne"},
    **{"‖": "\\|", "²": "^2", "³": "^3", "₀": "_0", "₁": "_1", "₂": "_2", "·": "\\cdot", "Δ": "\\Delta"},
    **{"α": "\\alpha", "β": "\\beta", "γ": "\\gamma", "δ": "\\delta", "ε": "\\varepsilon", "η": "\\eta"},
    **{"θ": "\\theta", "λ": "\\lambda", "μ": "\\mu", "ρ": "\\rho", "σ": "\\sigma", "ω": "\\omega"},
}
SIGNS = re.compile(f"[{''.join(MATHS)}]+")


def table(path, columns, caption, label):
    """A LaTeX longtable as text: all rows of the CSV file at `path`, of these columns, as the page prints them."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [[row[name] for name in columns] for row in csv.DictReader(file)]
    markdown = render.table([name.replace("_", " ") for name in columns], rows, caption, label)
    # Without a limit on columns Pandoc would guess widths from the lengths of lines.
    options = ["--wrap=none", "--columns=1000000"]
    text = pypandoc.convert_text(markdown, "latex", format="markdown-smart", extra_args=options)
    return NEEDS + SIGNS.sub(lambda run: f"\\ensuremath{{{''.join(map(MATHS.get, run[0]))}}}", text)
