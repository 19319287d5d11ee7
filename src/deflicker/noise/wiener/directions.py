"""Read directions of the outputs, from the noise that they share."""

import numpy as np
from numpy.typing import NDArray

from deflicker.detector.clock import Clock

__all__ = ["find_directions"]

DIRECTION_BIN = 8
SURE_DIRECTION = 8.0


def find_directions(
    values: NDArray[np.float32], usable: NDArray[np.bool_], clock: Clock
) -> tuple[bool, ...]:
    """Find the direction in which each output is read, from the noise that outputs share.

    Parameters
    ----------
    values : ndarray of float32, shape (n_slow, n_fast)
        Image that contains only noise.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where the image may be used; it is finite there.
    clock : Clock
        Assumed read-out order of the pixels.

    Returns
    -------
    tuple of bool
        For each output, whether it is read against the direction of the fast axis. The
        first output, and those with too little shared noise, are as in ``clock``.

    Notes
    -----
    The shared noise within rows is correlated only if both outputs are taken in the right
    direction. The mean of each row, which is the same in both directions, is subtracted
    before the correlations in the two directions are compared.
    """
    parts = []
    for k in range(clock.n_outputs):
        part = slice(k * clock.width, (k + 1) * clock.width)
        observed = usable[:, part]
        number = np.maximum(np.count_nonzero(observed, axis=1), 1)[:, np.newaxis]
        kept = np.where(observed, values[:, part], np.float32(0))
        kept -= np.where(observed, kept.sum(axis=1, keepdims=True) / number, np.float32(0))
        # Summing a few pixels averages down the white noise.
        size = next(n for n in (DIRECTION_BIN, 1) if clock.width % n == 0)
        parts.append(np.einsum("sfb->sf", kept.reshape(len(kept), -1, size)))
    first, *others = parts
    mirrored = [clock.mirrored[0]]
    for other, supposed in zip(others, clock.mirrored[1:], strict=True):
        scale = np.sqrt(np.mean(first**2) * np.mean(other**2)) or 1.0
        same, against = (float(np.mean(first * o)) / scale for o in (other, other[:, ::-1]))
        sure = abs(same - against) > SURE_DIRECTION / np.sqrt(first.size)
        opposite = against > same if sure else supposed != clock.mirrored[0]
        mirrored.append(clock.mirrored[0] != opposite)
    return tuple(mirrored)
