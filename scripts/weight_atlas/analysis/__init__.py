"""Numbers from snapshots and metrics: one tidy table per measure (columns in `weight_atlas.schema`).

`measure` says what a measure is, and `measures` lists them. `group` walks once over the snapshots of a group of cells
and hands them to the measures; `course` does so for one replicate. The measures are in packages by subject:

- `weights`: `statistics`, `movement`, `ends` (`unchanged`, `tolerance`), `parameters`; at checkpoints `checkpoints`,
  with `correlation` and `spectra`; and `correlation_tests`.
- `features`: `feature_statistics`, `filters`, `pairs`, `convergence`, `laziness`, `classes`,
  `representations`, with `activations`, `feature_correlations`, `feature_matching` and `similarity`.
- `landscape`: `landscape`, with `planes` and `sharpness`; `connectivity`.
- `perturbed`: `retrained`, with `distance_to_original`, `immediate_accuracy` and `paths`.
- `alignment`: `symmetries` with `facts`; `weight_matching`, with `transforms`, `matching` and `products`.
- `transfer`: `transfer`, with `curves`, `drops`, `shapes`, `effects` and `reach`.
- `runs`: `runs`, `accuracy`, `summary`, `anova`, `given`.
- `kernels`: what all of them sum by, chosen by `select`: `torch_kernels` or `numba_kernels`, with one `interface`.

Shared are `types`, `evaluation` and `comparisons`; `prune_snapshots` removes snapshots that have been
measured. Reading snapshots needs torch; `accuracy`, `summary`, `anova`, `comparisons`, `correlation_tests`, `runs`
and `transfer` do not. Intervals and tests are those of `weight_atlas.stats`.
"""
