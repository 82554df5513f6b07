"""Every estimate, interval and test of the library, on scipy and statsmodels: from weight_atlas import stats.

No other module computes one (tests/unit/test_stats_only_here.py). Statsmodels takes a second to import, so it is
imported by the functions that use it.
"""

from weight_atlas.stats.bootstrap import FEWEST, Median, bootstrap_interval, median_interval, resampled
from weight_atlas.stats.breakpoints import Breakpoints, breakpoints
from weight_atlas.stats.components import Crossed, Interval, crossed_means
from weight_atlas.stats.corrections import benjamini_hochberg, holm
from weight_atlas.stats.correlations import MeanCorrelation, fisher_mean, mean_correlation, significant_correlation
from weight_atlas.stats.differences import (
    Equivalence,
    MeanTest,
    SideMeans,
    Welch,
    block_means,
    blocked_difference,
    equivalence,
    independent_equivalence,
    mean_test,
    paired_difference,
    welch,
)
from weight_atlas.stats.estimates import (
    Estimate,
    MeanError,
    Share,
    exceeds_share,
    mean_error,
    mean_interval,
    normal_quantile,
    pooled_std,
    quantiles,
    ratio_mean,
    share_error,
    share_interval,
    summarise,
    t_quantile,
)
from weight_atlas.stats.judging import LEVEL, Decision, Evidence, Statement, combined, decide, evidence, independent
from weight_atlas.stats.outliers import outlying
from weight_atlas.stats.power import (
    detectable_difference,
    difference_power,
    equivalence_power,
    seeds_for_difference,
    seeds_for_equivalence,
    seeds_for_width,
)
from weight_atlas.stats.trends import Line, RankTrend, line_trend, rank_trend, slope_trend, slopes
from weight_atlas.stats.variance import RESIDUAL, Term, anova, main_spreads

__all__ = [
    "FEWEST",
    "LEVEL",
    "RESIDUAL",
    "Breakpoints",
    "Crossed",
    "Decision",
    "Equivalence",
    "Estimate",
    "Evidence",
    "Interval",
    "Line",
    "MeanCorrelation",
    "MeanError",
    "MeanTest",
    "Median",
    "RankTrend",
    "Share",
    "SideMeans",
    "Statement",
    "Term",
    "Welch",
    "anova",
    "benjamini_hochberg",
    "block_means",
    "blocked_difference",
    "bootstrap_interval",
    "breakpoints",
    "combined",
    "crossed_means",
    "decide",
    "detectable_difference",
    "difference_power",
    "equivalence",
    "equivalence_power",
    "evidence",
    "exceeds_share",
    "fisher_mean",
    "holm",
    "independent",
    "independent_equivalence",
    "line_trend",
    "main_spreads",
    "mean_correlation",
    "mean_error",
    "mean_interval",
    "mean_test",
    "median_interval",
    "normal_quantile",
    "outlying",
    "paired_difference",
    "pooled_std",
    "quantiles",
    "rank_trend",
    "ratio_mean",
    "resampled",
    "seeds_for_difference",
    "seeds_for_equivalence",
    "seeds_for_width",
    "share_error",
    "share_interval",
    "significant_correlation",
    "slope_trend",
    "slopes",
    "summarise",
    "t_quantile",
    "welch",
]
