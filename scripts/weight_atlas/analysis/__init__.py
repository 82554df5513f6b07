"""Numbers from snapshots and metrics: one tidy table a measure (columns in `tables`).

`group` reads snapshots, `course` those of one replicate; the measures are in rooms by subject:

- `weights`: `statistics`, `movement`, `unchanged`, `tolerance`, `parameters`; at checkpoints `checkpoints`, with
  `correlation` and `spectra`; and `correlation_tests`.
- `features`: `features`, `similarity`, `pairs`, `filters`.
- `perturbed`: `children`, with `distance_to_original`, `immediate_accuracy` and `paths`.
- `alignment`: `align`. `transfer`: `transfer`. `runs`: `runs`, `accuracy`, `summary`, `anova`, `given`.
- `kernels`: what all of them sum by, `vectors`, that is `torch_kernels` or `numba_kernels`.

Shared are `cells`, `tables`, `evaluation` and `comparisons`; `prune_snapshots` removes what has been measured. Reading
snapshots needs torch; `cells`, `accuracy`, `parameters`, `summary`, `anova`, `comparisons`, `correlation_tests`,
`runs`, `transfer` and `tables` do not.
"""
