"""Turn any source of images into one tensor file and a card, and any file of weights into safetensors.

`files` and `facts` are quick and import neither torch, torchvision nor scikit-learn, so that a workflow can plan with
them; `weight_atlas.datasets.prepare` and `weight_atlas.datasets.weights` do the work.
"""

from weight_atlas.datasets.source_info import facts, fetch, files

__all__ = ["facts", "fetch", "files"]
