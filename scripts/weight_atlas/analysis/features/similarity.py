"""How alike two models are: debiased CKA of their features, correlation feature by feature, matched or not, and the
divergence of their answers."""

import math

import torch
from scipy.optimize import linear_sum_assignment


def hsic(products, left, right):
    """The unbiased estimate of HSIC between two sets of features X, Y of the same n pictures, with linear kernels.

    products: X'Y of the centred features, float64 [d_x, d_y]; left, right: float64 [n], the squared lengths of the
    centred rows of X and of Y. Song et al. (2012), "Feature selection via dependence maximization", equation 4: with
    K and L the kernel matrices, their diagonals set to 0,
        HSIC = (tr KL + 1'K1 1'L1 / ((n - 1)(n - 2)) - 2 / (n - 2) 1'KL1) / (n (n - 3)).
    It does not change when the features are centred; then the rows of XX' add up to 0, K1 = -left and L1 = -right, and
    no n x n matrix is needed: tr KL = |X'Y|^2 - left.right. NaN for fewer than four pictures.
    """
    n = len(left)
    if n < 4:
        return math.nan
    both, flat = float(left.dot(right)), products.reshape(-1)
    trace = float(flat.dot(flat)) - both
    sums = float(left.sum()) * float(right.sum()) / ((n - 1) * (n - 2))
    return (trace + sums - 2 / (n - 2) * both) / (n * (n - 3))


def cka(both, left, right):
    """Debiased linear CKA (Kornblith et al. 2019, "Similarity of neural network representations revisited") from
    HSIC(X, Y), HSIC(X, X) and HSIC(Y, Y). 1 for features equal but for rotation, scale and shift; about 0, and possibly
    below, for unrelated ones; NaN where one of the two is constant."""
    scale = left * right
    return both / math.sqrt(scale) if scale > 0 else math.nan


def divergence(a, b):
    """The mean Jensen-Shannon divergence between two models' answers to the same pictures, in bits, 0 to 1.

    a, b: the outputs before softmax [N, classes]. Lin (1991), "Divergence measures based on the Shannon entropy": with
    p and q the softmax of the two and m their mean, sum(p log2(p / m) + q log2(q / m)) / 2. In float64.
    """
    p, q = (torch.softmax(outputs.double(), 1) for outputs in (a, b))
    middle = ((p + q) / 2).clamp_min(torch.finfo(torch.float64).tiny)  # where both are 0, so is what they add
    both = torch.special.xlogy(p, p / middle) + torch.special.xlogy(q, q / middle)
    return float(both.sum(1).mean()) / (2 * math.log(2))


def match(matrix):
    """(mean in place, mean when matched, share left in place) of a correlation matrix between two models' features.

    matrix: numpy float64 [d, d] without NaN; row i is feature i of the one, column j feature j of the other. The mean
    in place is that of the diagonal. Matching permutes the columns so that the mean of the diagonal becomes largest
    (an assignment problem; scipy's linear_sum_assignment); the last number is the share of features that it leaves
    where they are. All NaN for d = 0.
    """
    if not len(matrix):
        return math.nan, math.nan, math.nan
    rows, columns = linear_sum_assignment(matrix, maximize=True)
    place = matrix.diagonal().mean(), matrix[rows, columns].mean(), (rows == columns).mean()
    return tuple(float(value) for value in place)
