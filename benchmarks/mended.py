"""Exposures that were once cleaned wrongly: a figure for each, and the expected value.

Run with ``python -m benchmarks.mended``. With the sources of another version first on
PYTHONPATH, it prints the figures of that version, if its modules have the same names.
"""

import argparse
import contextlib
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from deflicker import CleanFlickerNoiseStep, CleanOptions, Exposure, clean_exposure
from deflicker.detector.dq import DO_NOT_USE, SATURATED
from deflicker.errors import CannotClean
from deflicker.models.exposure import model_from_simulation
from deflicker.noise.nsclean.fourier import full_frame_noise
from deflicker.simulation.exposures import (
    EXPOSURES,
    SERIES,
    Scenario,
    SimulatedExposure,
    SimulatedNoise,
    simulate,
)
from deflicker.simulation.quality import measure_quality
from support.runs import exposure_of

__all__ = ["FAULTS", "Row"]

METHODS = {
    "median": {"fit_method": "median"},
    "fft": {"fit_method": "fft"},
    "wiener": {"fit_method": "wiener"},
    "median_image": {"background_method": "median_image"},
}
STRIPE = replace(
    EXPOSURES["nircam"], shape=(256, 1024), subarray="SUBGRISM256", n_stars=300, group_time=1.3
)
BRIGHT_OBJECT = replace(EXPOSURES["nirspec-bots"], shape=(32, 1024), n_integrations=1, traces=0)
WINDOW = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
import numpy as np
import scipy.fft, scipy.sparse
from deflicker.noise.nsclean.windows import subarray_noise
rng = np.random.default_rng(1)
values = rng.normal(0, 10, (2048, 32)).astype(np.float32)
usable = np.zeros(values.shape, bool)
usable.flat[rng.choice(usable.size, int(sys.argv[1]), replace=False)] = True
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
subarray_noise(values, usable)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
LIMIT = 8 << 30  # bytes of address space, so that a fault does not use up the memory


@dataclass(frozen=True)
class Row:
    """The figure of one case.

    Parameters
    ----------
    case : str
        Exposure and method.
    figure : str
        Result.
    right : str
        Expected result.
    """

    case: str
    figure: str
    right: str


def _percent(left: NDArray[np.floating], noise: NDArray[np.floating]) -> float:
    """Percent of the variance of the noise that was removed, without NaN."""
    return float(100 * (1 - np.nanvar(left) / np.nanvar(noise)))


def _outcome(clean: Callable[[], str]) -> str:
    """Figure of a cleaning, or the reason why there is none."""
    try:
        return clean()
    except CannotClean as reason:
        return f"left alone ({str(reason)[:60]}...)"
    except (ArithmeticError, RuntimeError, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {str(error)[:60]}"


def _quality(
    truth: SimulatedExposure, options: dict[str, object], **changes: object
) -> Callable[[], str]:
    """Percent of the noise removed from differences and rate of a simulated exposure."""

    def clean() -> str:
        exposure = replace(exposure_of(truth), **changes)
        user_mask = options.pop("user_mask", None)
        result = clean_exposure(exposure, CleanOptions(**options), user_mask=user_mask)
        quality = measure_quality(truth, result.data)
        return (
            f"{quality.removed_differences:z.1f} % of differences, {quality.removed_rate:z.1f} % "
            f"of the rate, {quality.flux_eaten:z.2f} % eaten"
        )

    return clean


def memory_of_windows() -> Iterator[Row]:
    """Memory that the Fourier fit of a window with few usable pixels needs."""
    for number in (60000, 3000, 600):
        run = subprocess.run(
            [sys.executable, "-c", WINDOW, str(number), str(LIMIT)],
            capture_output=True,
            text=True,
            check=False,
        )
        found = f"{float(run.stdout):.0f} MB" if run.stdout else run.stderr.split("\n")[-2][:60]
        yield Row(f"fft, 2048 x 32 pixels, {number} usable", found, "a few images of 0.3 MB")


def gaps_of_rows() -> Iterator[Row]:
    """Noise that the Fourier fit puts into columns without a usable pixel."""
    scenario = replace(EXPOSURES["nirspec-ifu"], shape=(2048, 256), n_groups=2, traces=0)
    truth = simulate(scenario, seed=1)
    turn = scenario.readout.to_detector
    noise = turn(truth.correlated[0, 1] - truth.correlated[0, 0])
    noise = noise - np.median(noise)
    rng = np.random.default_rng(1)
    values = (noise + rng.normal(0, 10, noise.shape)).astype(np.float32)
    for name, gap in {
        "200": slice(900, 1100),
        "500": slice(700, 1200),
        "1024": slice(1024, None),
    }.items():
        usable = np.ones(values.shape, bool)
        usable[:, gap] = False
        found = full_frame_noise(values, usable).image()[4:-4, gap]
        there = float(np.sqrt(np.mean(noise[4:-4, gap] ** 2)))
        yield Row(
            f"fft, gap of {name} columns",
            f"{np.sqrt(np.mean(found**2)):.1f} DN rms, largest {np.abs(found).max():.0f}",
            f"at most {there:.1f}",
        )


def few_pixels() -> Iterator[Row]:
    """Medians of rows with few usable pixels."""
    truth = simulate(replace(EXPOSURES["nircam"], shape=(256, 1024), n_stars=300), seed=1)
    rng = np.random.default_rng(0)
    for by_channel in (False, True):
        for number in (1, 2, 4, 8, 16):
            mask = np.zeros(truth.scenario.shape, bool)
            for part in np.split(mask, 4 if by_channel else 1, axis=1):
                for row in part:
                    row[rng.choice(len(row), number, replace=False)] = True
            options = {"fit_by_channel": by_channel, "user_mask": mask}
            name = "median by channel" if by_channel else "median"
            yield Row(
                f"{name}, {number} pixels a row", _outcome(_quality(truth, options)), "0 or more"
            )


def _rate_of_nods(
    scenario: Scenario, peak: float, second: float
) -> tuple[Exposure, NDArray, NDArray]:
    """Rate with one trace and a second one of given sign, its correlated noise, and good pixels."""
    truth = simulate(replace(scenario, n_groups=2, n_integrations=1), seed=1)
    rng = np.random.default_rng(101)
    ny, nx = scenario.shape
    y, x = np.arange(ny)[:, np.newaxis], np.arange(nx)
    light = np.zeros(scenario.shape)
    for sign, place in ((1.0, 0.3), (second, 0.7)):
        distance = (y - place * ny - 1.5 * np.sin(3 * x / nx)) / 1.3
        profile = np.exp(-0.5 * distance**2)
        light += sign * peak * np.exp(-0.5 * ((x - nx / 2) / (nx / 4)) ** 2) * profile
    noise = (truth.correlated[0, 1] - truth.correlated[0, 0]).astype(np.float64)
    white = rng.normal(0, 1, scenario.shape) * np.sqrt(2 * 7.0**2 + np.abs(light))
    rate = (light + white + noise).astype(np.float32)
    exposure = replace(
        exposure_of(truth), data=rate[np.newaxis, np.newaxis], group_dq=None, has_stars=False
    )
    return exposure, noise, (truth.pixel_dq & DO_NOT_USE) == 0


def negative_light() -> Iterator[Row]:
    """Rates with a negative trace next to a positive one."""
    window = replace(BRIGHT_OBJECT, shape=(64, 512))
    slits = replace(EXPOSURES["nirspec-allslits"], shape=(256, 512), traces=0)
    for size, scenario, peak in (("64 x 512", window, 300), ("256 x 512", slits, 3000)):
        for method in ("median", "fft", "wiener"):
            found = {}
            for name, second in {"one": 0.0, "both": -1.0}.items():
                exposure, noise, good = _rate_of_nods(scenario, peak, second)
                cleaned = clean_exposure(exposure, CleanOptions(**METHODS[method])).data
                left = noise - (exposure.data[0, 0].astype(np.float64) - cleaned[0, 0])
                level = float(left[good].mean() - noise[good].mean())
                found[name] = f"{_percent(left[good], noise[good]):.1f} %, level {level:z.2f} DN"
            yield Row(
                f"{method}, rate of {size}, traces + and -", found["both"], f"as {found['one']}"
            )


def _series(scenario: Scenario, light: NDArray[np.floating], *, seed: int) -> NDArray[np.float32]:
    """Ramps (12, 5, ny, nx) with light in DN per group, photon noise and white noise."""
    rng = np.random.default_rng(seed)
    charge = rng.poisson(np.broadcast_to(light, (12, 5, *scenario.shape))).cumsum(axis=1)
    return (charge + rng.normal(0, 7, charge.shape)).astype(np.float32)


def light_of_templates() -> Iterator[Row]:
    """Light that is taken for noise of the template of a series without correlated noise."""
    scenario = Scenario(
        instrument="NIRISS",
        detector="NIS",
        shape=(256, 320),
        fast_axis=-2,
        slow_axis=-1,
        n_outputs=1,
    )
    y, x = np.arange(256)[:, np.newaxis], np.arange(320)
    trace = 800 * np.exp(-(((y - 60 - 60 * (x / 320 - 0.5) ** 2) / 10) ** 4))
    step = np.where(x < 128, 9.7, 7.2) + trace
    star = np.hypot(y[:160] - 80, x[:160] - 80)
    halo = 60 / (1 + (star / 6) ** 2.2)
    small = replace(scenario, shape=(160, 160), fast_axis=1, slow_axis=2)
    cases = {
        "stepped sky": (scenario, step, 0),
        "star behind a coronagraph": (small, 5 + halo, 1),
        "star 30 times as bright": (small, 5 + 30 * halo, 1),
    }
    for name, (case, light, axis) in cases.items():
        data = _series(case, light, seed=1)
        exposure = Exposure(
            data=data,
            pixel_dq=np.zeros(case.shape, np.uint32),
            group_dq=np.zeros(data.shape, np.uint8),
            readout=case.readout,
            group_time=1.0,
        )

        def clean(exposure: Exposure = exposure, axis: int = axis) -> str:
            data = exposure.data
            cleaned = clean_exposure(exposure, CleanOptions(**METHODS["median_image"])).data
            taken = ((data - cleaned)[:, -1] - (data - cleaned)[:, 0]).mean(axis=0) / 4
            levels = taken.mean(axis=axis)
            return f"{levels.min():+z.2f} to {levels.max():+z.2f} DN per group"

        yield Row(f"median_image, {name}", _outcome(clean), "0")


def strange_limits() -> Iterator[Row]:
    """Clipping levels that leave hardly any pixels, or all sources."""
    truth = simulate(STRIPE, seed=3)
    for method in ("median", "wiener"):
        for n_sigma in (0.01, 0.1, 1e6):
            options = {**METHODS[method], "n_sigma": n_sigma}
            yield Row(
                f"{method}, n_sigma {n_sigma:g}",
                _outcome(_quality(truth, options)),
                "0 or more, and a warning",
            )


def other_units() -> Iterator[Row]:
    """Data in units in which squares exceed the range of float32."""
    truth = simulate(replace(STRIPE, shape=(128, 256)), seed=3)
    for factor in (1e20, 1e-20):

        def clean(factor: float = factor) -> str:
            exposure = exposure_of(truth)
            data = exposure.data * np.float32(factor)
            cleaned = clean_exposure(
                replace(exposure, data=data), CleanOptions(**METHODS["wiener"])
            ).data
            return f"changed by {np.nanmax(np.abs(cleaned - data)):.3g}"

        yield Row(f"wiener, data times {factor:g}", _outcome(clean), "as in DN, or one reason")


def two_series() -> Iterator[Row]:
    """Files of two filters as segments of one series."""
    scenario = replace(SERIES["soss"], shape=(64, 128), n_integrations=3)
    models = [model_from_simulation(simulate(scenario, seed=seed)) for seed in (1, 2)]
    models[1].meta.instrument.filter = "F277W"
    models[0].meta.instrument.filter = "CLEAR"
    with TemporaryDirectory() as folder:

        def clean() -> str:
            results = CleanFlickerNoiseStep(
                background_method="median_image", output_dir=folder
            ).run(models)
            return ", ".join(one.meta.cal_step.clean_flicker_noise for one in results)

        yield Row("median_image, segments of two filters", _outcome(clean), "FAILED, FAILED")


def uneven_groups() -> Iterator[Row]:
    """Groups that are not evenly spaced in time."""
    for ratio in (1.0, 1.25, 2.0):
        scenario = replace(STRIPE, n_groups=6, galaxy=300.0)
        steps = np.where(np.arange(5) % 2, ratio, 1.0) * scenario.group_time
        times = np.concatenate([[0.0], np.cumsum(steps)])
        lit = simulate(scenario, seed=3)
        dark = simulate(replace(scenario, sky=0.0, n_stars=0, cosmic_rays=0.0), seed=3)
        rng = np.random.default_rng(1)
        rate = lit.scene / scenario.group_time
        light = np.cumsum(
            [rng.poisson(rate * step) for step in [scenario.group_time, *steps]], axis=0
        )
        data = dark.data + light.astype(np.float32)
        truth = replace(lit, data=data, correlated=dark.correlated, group_dq=dark.group_dq)
        known = {"data": data, "group_times": times}
        for name, changes in {"known": known, "unknown": {"data": data}}.items():
            yield Row(
                f"wiener, groups 1:{ratio:g} apart, times {name}",
                _outcome(_quality(truth, dict(METHODS["wiener"]), **changes)),
                "as evenly spaced, or the reason",
            )


def _grism(*, height: float, shift: float = 0.0, change: NDArray | float = 0.0) -> NDArray:
    y, x = np.arange(64)[:, np.newaxis], np.linspace(-1, 1, 1024)
    light = 1200 * (0.3 + 0.7 * np.cos(0.5 * np.pi * x) ** 2) * (1 + change)
    return 8.6 + light * np.exp(-(np.abs((y - 30 - shift) / height) ** 4))


def chromatic_signals() -> Iterator[Row]:
    """Chromatic signals in a grism series of 12 integrations."""
    scenario = Scenario(shape=(64, 1024), n_outputs=4, noise=SimulatedNoise(white=4.4))
    time, x = np.linspace(-0.5, 0.5, 12), np.linspace(-1, 1, 1024)
    transit = (np.abs(time) < 0.2).astype(float)
    band = np.abs(x - 0.3) < 0.1
    cases = {
        "slope of 500 ppm": (2.0, lambda i: {"change": -250e-6 * x * transit[i]}),
        "band of 0.1 %": (2.0, lambda i: {"change": -1e-3 * band * transit[i]}),
        "drift of 0.04 pixel": (1.2, lambda i: {"shift": 0.04 * time[i]}),
        "tilt of 1000 ppm": (2.0, lambda i: {"change": 1e-3 * x * time[i]}),
    }
    noise = _series(scenario, np.full(scenario.shape, 1000.0), seed=2)
    groups = np.arange(1, 6)[:, np.newaxis, np.newaxis]
    noise -= 1000 * groups
    for name, (height, signal) in cases.items():
        with_it = np.stack([_grism(height=height, **signal(i)) * groups for i in range(12)])
        without = np.broadcast_to(_grism(height=height) * groups, with_it.shape)
        for method in ("median_image", "median"):

            def clean(
                method: str = method,
                pair: tuple[NDArray, NDArray] = (with_it, without),
            ) -> str:
                options = CleanOptions(**METHODS[method], fit_by_channel=True)
                true, kept = (
                    _bins(one) - _bins(other)
                    for one, other in (
                        pair,
                        [_cleaned(light + noise, scenario, options) for light in pair],
                    )
                )
                return f"off by {1e6 * np.abs((kept - true) / _bins(pair[1])).max():.0f} ppm"

            yield Row(f"{method} by channel, {name}", _outcome(clean), "off by 1 to 8 ppm")


def _cleaned(data: NDArray, scenario: Scenario, options: CleanOptions) -> NDArray[np.float32]:
    data = data.astype(np.float32)
    exposure = Exposure(
        data=data,
        pixel_dq=np.zeros(scenario.shape, np.uint32),
        group_dq=np.zeros(data.shape, np.uint8),
        readout=scenario.readout,
        group_time=1.0,
    )
    return clean_exposure(exposure, options).data


def _bins(data: NDArray) -> NDArray[np.float64]:
    """Light above the sky in eight wavelength bins of each integration."""
    slope = (data[:, -1].astype(np.float64) - data[:, 0]) / (data.shape[1] - 1)
    sky = np.median(slope[:, np.r_[2:16, 46:62]], axis=1)
    spectra = (slope[:, 20:41] - sky[:, np.newaxis]).sum(axis=1)
    return spectra.reshape(len(data), 8, -1).sum(axis=2)


def saturated_columns() -> Iterator[Row]:
    """Good differences of columns that are saturated from the third group on."""
    cases = {
        "wiener": (replace(STRIPE, n_groups=6, n_stars=100), slice(400, 420), 3),
        "median": (replace(STRIPE, n_groups=6, n_stars=100), slice(400, 420), 3),
        "median_image": (
            replace(SERIES["soss"], shape=(128, 320), n_integrations=8, drift=0.0),
            slice(100, 180),
            3,
        ),
    }
    for method, (scenario, columns, first) in cases.items():
        truth = simulate(replace(scenario, cosmic_rays=0.0), seed=4)
        flags = truth.group_dq.copy()
        flags[:, first:, :, columns] |= np.uint8(SATURATED)

        def clean(
            method: str = method,
            truth: SimulatedExposure = truth,
            flags: NDArray[np.uint8] = flags,
            columns: slice = columns,
            first: int = first,
        ) -> str:
            exposure = replace(exposure_of(truth), group_dq=flags)
            cleaned = clean_exposure(exposure, CleanOptions(**METHODS[method])).data
            noise = np.diff(truth.correlated, axis=1)[:, : first - 1, 4:-4]
            left = noise - np.diff(truth.data - cleaned, axis=1)[:, : first - 1, 4:-4]
            inside = np.zeros(truth.scenario.shape[1], bool)
            inside[columns] = True
            outside = ~inside
            outside[:4] = outside[-4:] = False
            there, elsewhere = (
                _percent(left[..., part], noise[..., part]) for part in (inside, outside)
            )
            return f"{there:.1f} % there, {elsewhere:.1f} % elsewhere"

        yield Row(f"{method}, columns saturated from group {first + 1}", _outcome(clean), "alike")


def narrow_windows() -> Iterator[Row]:
    """A wide trace in a window of 16 rows."""
    for width, electrons in ((2.5, 6000), (3.3, 1000)):
        scenario = replace(BRIGHT_OBJECT, shape=(16, 512), subarray="SUB512S", n_integrations=4)
        dark = simulate(replace(scenario, n_groups=5), seed=1)
        y, x = np.arange(16)[:, np.newaxis], np.arange(512)
        profile = np.exp(-0.5 * ((y - 8.3 - np.sin(2 * x / 512)) / (width / 2.355)) ** 2)
        light = electrons * profile * (1 + 0.3 * np.sin(x / 40))
        rng = np.random.default_rng(2)
        charge = rng.poisson(np.broadcast_to(light, dark.data.shape)).cumsum(axis=1)
        truth = replace(
            dark,
            data=(dark.data + charge).astype(np.float32),
            scene=(dark.scene + light).astype(np.float32),
        )
        yield Row(
            f"wiener, 16 rows, trace of {width} pixels, {electrons} e-",
            _outcome(_quality(truth, dict(METHODS["wiener"]))),
            "30 to 45 %, or a warning",
        )


FAULTS: dict[str, Callable[[], Iterator[Row]]] = {
    "memory": memory_of_windows,
    "gaps": gaps_of_rows,
    "few-pixels": few_pixels,
    "negative": negative_light,
    "template-light": light_of_templates,
    "limits": strange_limits,
    "units": other_units,
    "two-series": two_series,
    "uneven": uneven_groups,
    "chromatic": chromatic_signals,
    "saturated": saturated_columns,
    "narrow": narrow_windows,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mended", description=__doc__)
    parser.add_argument("--fault", nargs="*", choices=FAULTS, default=list(FAULTS))
    options = parser.parse_args()
    logging.disable(logging.ERROR)
    print(f"{'fault':16}{'case':52}{'figure':72}right")
    for fault in options.fault:
        with np.errstate(all="ignore"), contextlib.suppress(MemoryError):
            for row in FAULTS[fault]():
                print(f"{fault:16}{row.case:52}{row.figure:72}{row.right}", flush=True)


if __name__ == "__main__":
    main()
