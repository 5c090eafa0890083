"""Kernel Inception distance."""

from __future__ import annotations

from torch import Tensor

KID_SUBSETS = 100
KID_SUBSET_SIZE = 1000


def kid(real: Tensor, generated: Tensor) -> float:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, the mean over 100 random subsets of 1000.

    Bińkowski et al. 2018, "Demystifying MMD GANs", section 4; unbiased, so that small negative values are right where
    the sets are alike. A side with fewer images than a subset makes the subsets as small as itself.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    size = min(KID_SUBSET_SIZE, len(real), len(generated))
    # Every subset is the whole set where neither side has images to leave out.
    subsets = 1 if size == len(real) == len(generated) else KID_SUBSETS
    figures = kid_features_to_metric(
        # The small difference of large means: float32 would leave two or three digits of a small KID.
        generated.double(),
        real.double(),
        kid_subsets=subsets,
        kid_subset_size=size,
        kid_kernel="poly",
        kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None,
        kid_kernel_poly_coef0=1,
        rng_seed=0,
        verbose=False,
    )
    return figures[KEY_METRIC_KID_MEAN]
