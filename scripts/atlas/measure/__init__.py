"""Numbers from snapshots and metrics: one tidy table a measure (columns in `tables`).

`group` reads snapshots (with `statistics`, `movement`, `unchanged`, `tolerance`, `features`, `similarity`, `pairs`; of
perturbed replicates also `children`, with `returns`, `aftermath`, `paths`, `align`, `evaluation`; at checkpoints also
`checkpoints`, with `correlation`, `spectra`; what all of them sum by: `vectors`, that is `plain` or `compiled`) and
needs torch; `cells`, `accuracy`, `parameters`, `summary`, `comparisons`, `likeness`, `runs`, `transfer` and `tables` do
not.
"""
