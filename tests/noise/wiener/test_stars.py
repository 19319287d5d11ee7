"""Stars that are too faint to be found keep their light."""

from dataclasses import replace

import numpy as np

from conftest import exposure_of
from deflicker import CleanOptions, clean_exposure
from deflicker.detector.clock import Clock
from deflicker.noise.wiener.light import Waves
from deflicker.noise.wiener.records import Records
from deflicker.noise.wiener.stars import star_power
from deflicker.noise.wiener.tuning import WienerTuning
from deflicker.simulation.exposures import EXPOSURES, simulate

SIGMA = WienerTuning().star_sigma
WIENER = CleanOptions(fit_method="wiener")
DARK = replace(
    EXPOSURES["nircam"], shape=(256, 1024), n_stars=0, cosmic_rays=0.0, bad_pixels=0.0, sky=0.2
)


def star(shape, y, x):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    square = (rows - y) ** 2 + (columns - x) ** 2
    return np.exp(-square / (2 * SIGMA**2)) / (2 * np.pi * SIGMA**2)


def test_power_is_that_of_a_star_in_the_record():
    clock = Clock(n_slow=32, n_fast=64)
    records = Records(clock)
    image = star((32, 64), 15, 30).astype(np.float32)
    spectrum = records.spectra(records.filled(image))[0]
    power = np.abs(spectrum) ** 2 * records.size
    np.testing.assert_allclose(power, star_power(Waves.of(records), sigma=SIGMA), atol=2e-4)


def star_grid(truth, flux):
    light = np.zeros(truth.scene.shape)
    # Few share a row: what many stars add to one looks like noise.
    places = [(12 + 4 * k, 20 + 389 * k % 980) for k in range(58)]
    for y, x in places:
        light += flux * star(light.shape, y, x)
    return light.astype(np.float32), places


def test_less_of_a_faint_star_is_taken_for_noise():
    """What the cleaning takes of light that is added to an exposure, mean over the stars."""
    truth = simulate(DARK, seed=11)
    light, places = star_grid(truth, flux=8.0)
    groups = np.arange(1, DARK.n_groups + 1, dtype=np.float32)[:, np.newaxis, np.newaxis]

    def noise(data, has_stars):
        result = clean_exposure(exposure_of(truth, data=data, has_stars=has_stars), WIENER)
        return (data[0, -1] - result.data[0, -1]) / (DARK.n_groups - 1)

    taken = {}
    for has_stars in (True, False):
        change = noise(truth.data + groups * light, has_stars) - noise(truth.data, has_stars)
        profiles = [star(change.shape, y, x) for y, x in places]
        taken[has_stars] = np.mean([(change * p).sum() / (light * p).sum() for p in profiles])
    assert 0 < taken[True] < 0.09
    assert taken[True] < 0.75 * taken[False]
