"""Numbers from snapshots and metrics: one tidy table a measure (columns in `tables`).

`group` reads snapshots (with `statistics`, `movement`, `unchanged`, `features`) and needs torch; `cells`, `accuracy`,
`summary`, `runs` and `tables` read CSV and JSON files and do not.
"""
