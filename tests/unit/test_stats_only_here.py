"""Estimates, intervals and tests are computed in `weight_atlas.stats` and nowhere else."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"

# Modules that hold distributions and tests, and the functions of `statistics` that say more than a mean.
MODULES = ("scipy.stats", "scipy.special", "statsmodels")
STATISTICS = {"stdev", "pstdev", "variance", "pvariance", "quantiles", "correlation", "linear_regression", "NormalDist"}
# Methods and functions of numpy and pandas: spread, quantiles, fits.
SPREAD = {"std", "var", "sem", "nanstd", "nanvar"}
QUANTILES = {"quantile", "percentile", "nanquantile", "nanpercentile"}
FITS = {"polyfit", "lstsq", "pinv", "corrcoef", "cov"}
BY_HAND = {1.96, 1.645, 2.576}  # quantiles of the normal distribution

# (module, what): why it is none of an estimate, an interval or a test.
EXCEPTIONS = {
    ("weight_atlas.analysis.features.feature_correlations", "quantile"): "describes pairs of features of one network",
    ("weight_atlas.reporting.grammar.style", "quantile"): "chooses the scale of an axis from what is drawn",
}


def computed(tree: ast.Module) -> Iterator[str]:
    """What a module computes of statistics, by the name of the module or function that it uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith(MODULES))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in names if name.startswith(MODULES))
            yield from (name for name in names if name.removeprefix("statistics.") in STATISTICS)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "statistics":
            yield from {f"statistics.{node.attr}"} if node.attr in STATISTICS else ()
        elif isinstance(node, ast.Attribute) and ast.unparse(node).startswith(MODULES):
            yield ast.unparse(node)
        elif isinstance(node, ast.Constant) and node.value in BY_HAND:
            yield str(node.value)
        if isinstance(node, ast.Call):
            yield from called(node)


def called(call: ast.Call) -> Iterator[str]:
    """The function of spread, quantiles or fits that a call calls, or asks pandas to aggregate by."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in SPREAD | QUANTILES | FITS:
        yield name
    elif any(word.arg == "ddof" for word in call.keywords):
        yield "ddof"
    if name in ("agg", "aggregate", "transform"):
        arguments = [*call.args, *(word.value for word in call.keywords)]
        words = {node.value for argument in arguments for node in ast.walk(argument) if isinstance(node, ast.Constant)}
        yield from sorted(words & (SPREAD | QUANTILES))


def modules() -> dict[str, ast.Module]:
    """{dotted name: syntax tree} of the commands and the library, `stats` apart."""
    trees = {}
    for path in sorted(SCRIPTS.rglob("*.py")):
        name = ".".join(path.relative_to(SCRIPTS).with_suffix("").parts)
        if not name.startswith("weight_atlas.stats."):
            trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


FOUND = {(name, what) for name, tree in modules().items() for what in computed(tree)}


def test_no_other_module_computes_a_statistic():
    assert sorted(FOUND - set(EXCEPTIONS)) == [], "call weight_atlas.stats, or put the function there"


def test_every_exception_is_needed():
    assert set(EXCEPTIONS) - FOUND == set()


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("from scipy import stats", "scipy.stats"),
        ("from scipy.special import stdtrit", "scipy.special.stdtrit"),
        ("import scipy\nscipy.stats.t.ppf(0.975, 2)", "scipy.stats.t.ppf"),
        ("import statsmodels.api as sm", "statsmodels.api"),
        ("def late():\n    from statsmodels.stats import power", "statsmodels.stats.power"),
        ("import statistics\nstatistics.stdev(values)", "statistics.stdev"),
        ("from statistics import variance", "statistics.variance"),
        ("values.std(ddof=1)", "std"),
        ("np.average(values, ddof=1)", "ddof"),
        ("np.percentile(values, 97.5)", "percentile"),
        ("groups.agg(n='count', spread='std')", "std"),
        ("groups['x'].agg(['mean', 'sem'])", "sem"),
        ("np.linalg.lstsq(x, y)", "lstsq"),
        ("half = 1.96 * error", "1.96"),
    ],
)
def test_it_is_found(code, what):
    assert what in set(computed(ast.parse(code)))


@pytest.mark.parametrize(
    "code", ["from scipy.optimize import linear_sum_assignment", "frame['std'].mean()", "statistics.fmean(values)"]
)
def test_what_is_none_is_left_alone(code):
    assert list(computed(ast.parse(code))) == []
