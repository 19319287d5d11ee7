"""Photometry of stars and of a galaxy in cleaned exposures, compared with the truth.

Run with ``python -m benchmarks.photometry``. Stars of known flux are added to a
simulated exposure, which is cleaned with and without them: the difference shows how the cleaning
changes their light, free of the field and of the noise. The step of jwst is compared if the jwst
package is installed, here or in the environment that ``--jwst-python`` names, and snowblind's
stream cleaning if ``--snowblind-python`` names an environment with snowblind.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from deflicker import CleanOptions, clean_exposure
from deflicker.detector.dq import DO_NOT_USE, SATURATED
from deflicker.simulation.exposures import EXPOSURES, Scenario, SimulatedExposure, simulate
from deflicker.simulation.quality import mean_difference, rate_variance
from support.runs import Cleaner, clean_elsewhere, cleaners, environment, exposure_of

__all__ = ["METHODS", "Stars", "add_stars", "apertures", "clean"]

METHODS: dict[str, dict[str, object] | None] = {
    "none": None,
    "median": {},
    "median by channel": {"fit_by_channel": True},
    "wiener": {"fit_method": "wiener"},
}
PEER_SETTINGS = {"jwst": {"median": (), "median by channel": ("--fit_by_channel=true",)}}
STARS, GALAXY = "nircam", "nircam-galaxy"
N_SIDE = 20  # stars along a side of the grid
EDGE = 60
JITTER = 20
FAINTEST, BRIGHTEST = 5.0, 50000.0  # electrons per group
FAINT = 500.0  # electrons; the photon noise of brighter stars is as large as the detector noise
RADIUS, INNER, OUTER = 3.0, 8.0, 14.0
ELLIPSE = (420, 700)  # semi axes along y and x
HEADER = (
    f"{'flux':>9}{'error':>9}{'stars':>7}  {'method':24}"
    f"{'bias':>12}{'+-':>10}{'bias/error':>12}{'scatter':>11}"
)

Image = NDArray[np.float64]
Clean = Callable[[SimulatedExposure], Image]


@dataclass(frozen=True)
class Stars:
    """Stars that are added to an exposure.

    Parameters
    ----------
    y, x : ndarray of int
        Pixels in which they are centred.
    flux : ndarray of float
        Electrons per group.
    """

    y: NDArray[np.int_]
    x: NDArray[np.int_]
    flux: NDArray[np.float64]

    def light(self, shape: tuple[int, int]) -> Image:
        """Electrons per group in each pixel, with the wings that `simulate` gives stars."""
        points = np.zeros(shape)
        points[self.y, self.x] = self.flux
        light = 0.8 * gaussian_filter(points, 1.1) + 0.15 * gaussian_filter(points, 8.0)
        return light + 0.05 * gaussian_filter(points, 40.0)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.photometry", description=__doc__)
    parser.add_argument(
        "--part", nargs="*", choices=("stars", "galaxy"), default=["stars", "galaxy"]
    )
    parser.add_argument("--method", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--levels", type=int, default=8, help="number of fluxes of the stars")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jwst-python", type=Path, help="interpreter that has jwst")
    parser.add_argument("--snowblind-python", type=Path, help="one that has jwst and snowblind")
    options = parser.parse_args()
    methods: dict[str, Clean] = {name: partial(clean, method=name) for name in options.method}
    _, *peers = cleaners(options.jwst_python, options.snowblind_python)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder)
        for peer in peers:
            settings = PEER_SETTINGS.get(peer.name, {"": ()})
            for setting, parameters in settings.items():
                methods[f"{peer.name} {setting}"] = partial(
                    _clean_elsewhere, peer=peer, parameters=parameters, folder=folder, env=env
                )
        if "stars" in options.part:
            _stars(methods, options.levels, options.seed)
        if "galaxy" in options.part:
            _galaxy(methods, options.seed)


def add_stars(truth: SimulatedExposure, light: Image) -> SimulatedExposure:
    """Add light without noise to an exposure.

    Parameters
    ----------
    truth : SimulatedExposure
        The exposure.
    light : ndarray of float, shape (ny, nx)
        Electrons per group.

    Returns
    -------
    SimulatedExposure
        With pixels flagged SATURATED where the light fills the well.
    """
    limit = np.float32(truth.scenario.saturation)
    groups = np.arange(1, truth.scenario.n_groups + 1, dtype=np.float32)[:, None, None]
    inside = np.zeros(light.shape, dtype=np.float32)
    border = truth.scenario.border
    rows, columns = (slice(border, size - border) for size in light.shape)
    inside[rows, columns] = light[rows, columns]
    data = truth.data + groups * inside
    full = np.logical_or.accumulate((data >= limit) & (inside > 0), axis=1)
    return replace(
        truth,
        data=np.minimum(data, limit),
        group_dq=truth.group_dq | np.where(full, np.uint8(SATURATED), np.uint8(0)),
        scene=truth.scene + inside,
    )


def clean(truth: SimulatedExposure, method: str) -> Image:
    """Mean difference of a cleaned exposure.

    Parameters
    ----------
    truth : SimulatedExposure
        The exposure.
    method : str
        One of `METHODS`.

    Returns
    -------
    ndarray of float64, shape (ny, nx)
        In DN per group.
    """
    options = METHODS[method]
    if options is None:
        return mean_difference(truth.data)
    exposure = exposure_of(truth)
    return mean_difference(clean_exposure(exposure, CleanOptions(n_threads=2, **options)).data)


def _clean_elsewhere(
    truth: SimulatedExposure,
    *,
    peer: Cleaner,
    parameters: tuple[str, ...],
    folder: Path,
    env: Mapping[str, str],
) -> Image:
    """Mean difference of an exposure cleaned by another package."""
    return mean_difference(clean_elsewhere(truth, peer, parameters, folder=folder, env=env))


def apertures(image: Image, stars: Stars) -> Image:
    """Light of stars in an aperture above the median of a ring around it.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        Light; pixels of the ring may be NaN.
    stars : Stars
        The stars.

    Returns
    -------
    ndarray of float64
        Light of each star; NaN if a pixel of the aperture is NaN.
    """
    reach = int(OUTER)
    dy, dx = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    radius = np.hypot(dy, dx)
    disc, ring = radius <= RADIUS, (radius >= INNER) & (radius <= OUTER)
    sums = []
    for y, x in zip(stars.y, stars.x, strict=True):
        cut = image[y - reach : y + reach + 1, x - reach : x + reach + 1]
        sums.append(cut[disc].sum() - np.nanmedian(cut[ring]) * disc.sum())
    return np.array(sums)


def _place(levels: int, scenario: Scenario, seed: int) -> Stars:
    """Stars at slightly shifted positions of a grid, the same number for each flux."""
    rng = np.random.default_rng([seed, 1])
    number = N_SIDE**2
    y, x = (
        np.linspace(EDGE, size - EDGE, N_SIDE).astype(int)[index]
        for size, index in zip(scenario.shape, np.divmod(np.arange(number), N_SIDE), strict=True)
    )
    y, x = (place + rng.integers(-JITTER, JITTER + 1, number) for place in (y, x))
    flux = np.resize(np.geomspace(FAINTEST, BRIGHTEST, levels), number)
    return Stars(y, x, rng.permutation(flux))


def _stars(methods: Mapping[str, Clean], levels: int, seed: int) -> None:
    """Print bias and scatter of the light of the stars for each flux."""
    without = simulate(EXPOSURES[STARS], seed=seed)
    stars = _place(levels, without.scenario, seed)
    light = stars.light(without.scenario.shape)
    added = add_stars(without, light)
    bad = _unusable(added)
    true_light = apertures(np.where(bad, np.nan, light), stars)
    true_scene = apertures(np.where(bad, np.nan, added.scene.astype(float)), stars)
    error = _star_errors(added, stars)
    table = {}
    for method, cleaned_by in methods.items():
        cleaned = cleaned_by(added)
        difference = np.where(bad, np.nan, cleaned - cleaned_by(without))
        change = apertures(difference, stars) - true_light
        left = apertures(np.where(bad, np.nan, cleaned), stars) - true_scene
        table[method] = change, left
    print("Stars: electrons per group; error of a star without correlated noise; mean change of")
    print("its light by the cleaning in percent, with its own error, and in errors of a star;")
    print("scatter (noise of the light of the added stars themselves is not in it).")
    print(HEADER)
    for flux in np.unique(stars.flux):
        some = (stars.flux == flux) & np.isfinite(true_light)
        for method, (change, left) in table.items():
            bias, typical = change[some].mean(), error[some].mean()
            doubt = change[some].std() / some.sum() ** 0.5
            percent = 100 / true_light[some].mean()
            print(
                f"{flux:9.0f}{typical:9.1f}{some.sum():7}  {method:24}"
                f"{percent * bias:z10.2f} %{percent * doubt:8.2f} %{bias / typical:z12.3f}"
                f"{_scatter(left[some]):11.1f}",
                flush=True,
            )
    _print_scatter(table, stars.flux, limit=FAINT)


def _print_scatter(table: Mapping[str, tuple[Image, Image]], flux: Image, *, limit: float) -> None:
    """Print the scatter of all faint stars together, which has a smaller error."""
    print(f"Scatter of all stars of less than {limit:.0f} electrons:")
    for method, (_, left) in table.items():
        some = left[(flux < limit) & np.isfinite(left)]
        print(f"{method:24}{_scatter(some):8.1f} +- {_scatter(some) / (2 * some.size) ** 0.5:.1f}")


def _unusable(truth: SimulatedExposure) -> NDArray[np.bool_]:
    """Pixels that are bad or saturate."""
    full = np.any(truth.group_dq[0] & SATURATED, axis=0)
    return full | ((truth.pixel_dq & DO_NOT_USE) != 0)


def _star_errors(truth: SimulatedExposure, stars: Stars) -> Image:
    """Error of the aperture sums from white and photon noise."""
    scenario = truth.scenario
    n_pixels = np.pi * RADIUS**2
    light = apertures(stars.light(scenario.shape), stars) / n_pixels
    light += scenario.sky * scenario.group_time
    return np.sqrt(n_pixels * rate_variance(scenario, light))


def _scatter(values: Image) -> float:
    """Robust standard deviation."""
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _galaxy(methods: Mapping[str, Clean], seed: int) -> None:
    """Print how the light of a galaxy in an ellipse is changed."""
    scenario = EXPOSURES[GALAXY]
    truth = simulate(scenario, seed=seed)
    bare = simulate(replace(scenario, galaxy=0.0, n_groups=1), seed=seed)
    ny, nx = scenario.shape
    y, x = np.ogrid[:ny, :nx]
    inside = np.hypot((y - ny / 2) / ELLIPSE[0], (x - nx / 2) / ELLIPSE[1]) <= 1
    good = ~_unusable(truth)
    flux = float((truth.scene - bare.scene)[inside & good].sum(dtype=float))
    # Light and its noise are the same for all methods, but the remaining correlated noise is not.
    without_noise = mean_difference(truth.data) - mean_difference(truth.correlated)
    print(f"Galaxy: {flux:.4g} electrons per group in the ellipse; change in percent of that.")
    print(f"{'method':24}{'flux':>10}{'without the level outside':>28}{'level outside':>16}")
    for method, cleaned_by in methods.items():
        residual = cleaned_by(truth) - without_noise
        total = float(residual[inside & good].sum())
        level = float(residual[~inside & good].mean())
        net = total - level * np.count_nonzero(inside & good)
        print(
            f"{method:24}{100 * total / flux:z8.3f} %{100 * net / flux:z26.3f} %{level:z16.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
