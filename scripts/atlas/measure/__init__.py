"""Numbers from snapshots and metrics: one tidy table a measure (columns in `tables`).

`group` reads snapshots (with `statistics`, `movement`, `unchanged`, `tolerance`, `features`, `similarity`, `pairs`) and
needs torch; `cells`, `accuracy`, `parameters`, `summary`, `comparisons`, `runs` and `tables` do not.
"""
