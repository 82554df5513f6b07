"""The functions that find the numbers of claims, by the names that claims.yaml has for them."""

from collections.abc import Mapping
from typing import Any

from weight_atlas.reporting.claims import checkpoints, design, perturbed, transfer, weights

EVIDENCE: Mapping[str, Any] = {
    **design.EVIDENCE,
    **weights.EVIDENCE,
    **perturbed.EVIDENCE,
    **transfer.EVIDENCE,
    **checkpoints.EVIDENCE,
}
