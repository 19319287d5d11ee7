"""Constants of statistics."""

__all__ = ["MAD_TO_SIGMA"]

# Standard deviation of a Gaussian over its median absolute deviation: 1 / Phi^-1(3/4).
MAD_TO_SIGMA = 1.4826
