"""Turn any source of pictures into one tensor file and a card, and any file of weights into safetensors.

`files` and `facts` are quick and import neither torch, torchvision nor scikit-learn, so that a workflow can plan with
them; `atlas.prepare.dataset` and `atlas.prepare.weights` do the work.
"""

from atlas.prepare.look import facts, files

__all__ = ["facts", "files"]
