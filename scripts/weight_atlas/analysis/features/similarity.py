"""How alike two models are: debiased CKA of their features, and the divergence of their answers."""

import math

import torch


def hsic(products: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> float:
    """The unbiased estimate of HSIC between two sets of features X, Y of the same n images, with linear kernels.

    Song et al. (2012), "Feature selection via dependence maximization", equation 4: with K and L the kernel matrices,
    their diagonals set to 0,
        HSIC = (tr KL + 1'K1 1'L1 / ((n - 1)(n - 2)) - 2 / (n - 2) 1'KL1) / (n (n - 3)).
    It does not change when the features are centred; then the rows of XX' add up to 0, K1 = -left and L1 = -right, and
    no n x n matrix is needed: tr KL = |X'Y|^2 - left.right.

    Parameters
    ----------
    products : tensor, float64 [d_x, d_y]
        X'Y of the centred features.
    left, right : tensor, float64 [n]
        The squared lengths of the centred rows of X and of Y.

    Returns
    -------
    float
        NaN for fewer than four images.
    """
    flat = products.reshape(-1)
    return _unbiased(float(flat.dot(flat)), left, right)


def kernel_hsic(first: torch.Tensor, second: torch.Tensor) -> float:
    """What `hsic` gives, of the kernel matrices K = XX' and L = YY' of centred features: float64 [n, n].

    |X'Y|^2 = tr KL. For features that are many more than the images.
    """
    return _unbiased(float(first.reshape(-1).dot(second.reshape(-1))), first.diagonal(), second.diagonal())


def _unbiased(squares: float, left: torch.Tensor, right: torch.Tensor) -> float:
    """Equation 4 from |X'Y|^2 and the squared lengths of the centred rows."""
    n = len(left)
    if n < 4:
        return math.nan
    both = float(left.dot(right))
    trace = squares - both
    sums = float(left.sum()) * float(right.sum()) / ((n - 1) * (n - 2))
    return (trace + sums - 2 / (n - 2) * both) / (n * (n - 3))


def cka(between: float, left: float, right: float) -> float:
    """Debiased linear CKA from HSIC(X, Y), HSIC(X, X) and HSIC(Y, Y).

    Kornblith et al. (2019), "Similarity of neural network representations revisited". 1 for features equal but for
    rotation, scale and shift; about 0, and possibly below, for unrelated ones; NaN where one of the two is constant.
    """
    scale = left * right
    return between / math.sqrt(scale) if scale > 0 else math.nan


def divergence(a: torch.Tensor, b: torch.Tensor) -> float:
    """The mean Jensen-Shannon divergence between two models' answers to the same images, in bits, 0 to 1.

    a, b: the outputs before softmax [N, classes]. Lin (1991), "Divergence measures based on the Shannon entropy": with
    p and q the softmax of the two and m their mean, sum(p log2(p / m) + q log2(q / m)) / 2. In float64.
    """
    p, q = (torch.softmax(outputs.double(), 1) for outputs in (a, b))
    middle = ((p + q) / 2).clamp_min(torch.finfo(torch.float64).tiny)  # where both are 0, so is what they add
    both = torch.special.xlogy(p, p / middle) + torch.special.xlogy(q, q / middle)
    return float(both.sum(1).mean()) / (2 * math.log(2))
