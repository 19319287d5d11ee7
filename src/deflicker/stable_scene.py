"""Noise of a series of integrations without their stable scene, which a template takes off."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deflicker.arrays import Exposure
from deflicker.brightness import FEWEST_DARK, Brightness
from deflicker.difference import DifferenceFit, fit_difference_in_place
from deflicker.drafts import integration_rate
from deflicker.groups import fitted_outputs, plane_of
from deflicker.noise import NOISE_MODELS, RowNoise
from deflicker.options import CleanOptions
from deflicker.template import Template, complete_pixels

__all__ = ["Series", "SeriesIntegration"]

log = logging.getLogger(__name__)

Image = NDArray[np.float32]
Usable = NDArray[np.bool_]

MISSING = 0.1
NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Series:
    """Integrations of a series, and its template.

    Parameters
    ----------
    exposure : Exposure
        Integrations of the series, whose groups are cleaned one by one
        (``whole_groups``).
    options : CleanOptions
        How to fit.
    template : Template
        Median ramp of the series.
    background : ndarray of bool, shape (ny, nx)
        True where the template sees background.
    mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx)
        Scene mask, True where there is background.
    fills_rows : bool, optional
        Whether rows that are all scene may be measured on the scene.
    """

    exposure: Exposure
    options: CleanOptions
    template: Template
    background: Usable
    mask: Usable
    fills_rows: bool = True

    def integrations(self) -> Iterator["SeriesIntegration"]:
        """Prepare one integration after the other.

        Yields
        ------
        SeriesIntegration
            In order.
        """
        exposure, n_threads = self.exposure, self.options.n_threads
        brightness = Brightness(
            self.template.rate(exposure.times), self.background, readout=exposure.readout
        )
        if not brightness.tells:
            log.warning(
                "Nothing in the series is bright enough to scale its template by: 1 is taken"
            )
        noise = self._noise_of_template()
        unknown = []
        for number in range(exposure.n_integrations):
            allowed = exposure.good_pixels(number)
            scale: float | None = 1.0
            if brightness.tells:
                rate = integration_rate(exposure, number, n_threads=n_threads).rate
                scale = brightness.scale(rate)
                if scale is None:
                    allowed &= ~brightness.illuminated
                    if np.isfinite(rate).any():
                        unknown.append(number + 1)
            complete, groups = complete_pixels(exposure, number)
            yield SeriesIntegration(
                self,
                number,
                scale=1.0 if scale is None else scale,
                usable=self._usable(plane_of(self.mask, number), complete & allowed),
                groups=groups,
                template_noise=noise,
            )
        _report_scales(unknown)

    def fit(
        self, image: Callable[[], Image], usable: Usable, *, has_scene: bool = False
    ) -> DifferenceFit:
        """Fit the noise of an image; its level is no noise.

        Parameters
        ----------
        image : callable
            Makes the image (n_slow, n_fast), which is then changed.
        usable : ndarray of bool, shape (n_slow, n_fast)
            True where a finite value may be used.
        has_scene : bool, optional
            Whether the scene is in it. Without one, only noise sticks out, and to drop that
            would make the noise that is found too small.

        Returns
        -------
        DifferenceFit
            Noise, and the number of pixels behind it.
        """
        outputs = fitted_outputs(self.exposure, self.options)
        if has_scene:
            return fit_difference_in_place(
                image,
                usable.copy(),
                replace(self.options, background_method="median"),
                readout=self.exposure.readout,
                outputs=outputs,
            )
        values = image()
        usable = usable & np.isfinite(values)
        n_used = int(np.count_nonzero(usable))
        if n_used:
            values -= np.median(values[usable])
        noise = NOISE_MODELS[self.options.fit_method](values, usable, outputs)
        return DifferenceFit(noise=noise, n_used=n_used)

    def _usable(self, mask: Usable, allowed: Usable) -> Usable:
        """Pixels that tell the noise, in the detector frame."""
        readout = self.exposure.readout
        background, allowed = readout.turned(mask & allowed), readout.turned(allowed)
        if self.fills_rows:
            for output in fitted_outputs(self.exposure, self.options):
                part = background[:, output]
                few = np.count_nonzero(part, axis=1) < FEWEST_DARK
                part[few] = allowed[:, output][few]
        return background

    def _noise_of_template(self) -> list[RowNoise]:
        """Noise that the median of all integrations still has, group by group.

        The scene is in the mean difference, whose noise its background tells, once. What
        groups deviate by from the straight line is free of it.
        """
        groups, turned = self.template.groups, self.exposure.readout.turned
        dark = turned(self.background)
        if len(groups) == 1:
            return [self.fit(lambda: turned(groups[0]), dark, has_scene=True).noise]
        used = _present(groups)
        slope = (groups[used[-1]] - groups[used[0]]) / np.float32(used[-1] - used[0])
        middle, start = np.zeros_like(slope), float(np.mean(used))
        for j in used:  # to choose them first would copy them all
            middle += groups[j]
        middle /= np.float32(len(used))
        of_slope = self.fit(lambda: turned(slope), dark, has_scene=True).noise
        noise = [of_slope.scaled(0.0)] * len(groups)
        for j in used:
            left = groups[j] - middle
            left -= slope * np.float32(j - start)
            finite = np.isfinite(left)
            usable = self._usable(self.background & finite, finite)
            fitted = self.fit(lambda image=left: turned(image), usable).noise  # type: ignore[misc]
            noise[j] = fitted + of_slope.scaled(j - start)
        return noise


class SeriesIntegration:
    """One integration of a series.

    Parameters
    ----------
    series : Series
        The series.
    number : int
        Index of the integration.
    scale : float
        Its brightness for that of the template.
    usable : ndarray of bool, shape (n_slow, n_fast)
        True where a pixel tells the noise.
    groups : sequence of int
        Groups that are not flagged as a whole.
    template_noise : sequence of RowNoise
        Noise of each group of the template.

    Notes
    -----
    What all groups of an integration share, the noise of its reset among it, is not in the
    slopes. It is fitted once, and what groups deviate by is free of it.
    """

    def __init__(
        self,
        series: Series,
        number: int,
        *,
        scale: float,
        usable: Usable,
        groups: Sequence[int],
        template_noise: Sequence[RowNoise],
    ) -> None:
        self.number = number
        self._series, self._scale, self._usable = series, scale, usable
        self._template_noise = template_noise
        self._shared: Image | None = None
        self._shared_noise: RowNoise | None = None
        shared = np.zeros(usable.shape, dtype=np.float32)
        buffer = np.empty_like(shared)
        self._groups = []
        for g in groups:
            residual = self._residual(g, out=buffer)
            # What is missing as a whole must not take the other groups with it.
            if np.isfinite(residual[usable]).any():
                self._groups.append(g)
                shared += residual
        if len(self._groups) > 1:
            shared /= np.float32(len(self._groups))
            self._shared = shared
            self._shared_noise = series.fit(shared.copy, usable).noise

    def fit(self, j: int, buffer: Image) -> DifferenceFit:
        """Fit the noise of one group.

        Parameters
        ----------
        j : int
            Index of the group.
        buffer : ndarray of float32, shape (n_slow, n_fast)
            Changed.

        Returns
        -------
        DifferenceFit
            Noise of the group; 0 where it is flagged as a whole.
        """

        def deviation() -> Image:
            values = self._residual(j, out=buffer)
            return values if self._shared is None else np.subtract(values, self._shared, out=values)

        usable = self._usable if j in self._groups else np.zeros_like(self._usable)
        fitted = self._series.fit(deviation, usable)
        if fitted.n_used == 0:
            return fitted
        noise = fitted.noise + self._template_noise[j].scaled(self._scale)
        if self._shared_noise is not None:
            noise = noise + self._shared_noise
        wanted = self._series.options.save_background
        return replace(fitted, noise=noise, background=self._scene(j) if wanted else 0.0)

    def _residual(self, j: int, *, out: Image) -> Image:
        """A group without the scene."""
        values = self._series.exposure.difference(self.number, j, out=out)
        with np.errstate(invalid="ignore", over="ignore"):
            values -= self._scene(j)
        return values

    def _scene(self, j: int) -> Image:
        """Template of a group as bright as the integration, in the detector frame."""
        image = self._series.exposure.readout.turned(self._series.template.groups[j])
        image *= np.float32(self._scale)
        return image


def _present(groups: Image) -> list[int]:
    """Groups of a template that are not missing as a whole; the first and the last at least."""
    numbers = [int(np.count_nonzero(np.isfinite(group))) for group in groups]
    some = [j for j, number in enumerate(numbers) if number > MISSING * max(numbers)]
    return some if len(some) > 1 else [0, len(groups) - 1]


def _report_scales(unknown: list[int]) -> None:
    """Name the integrations whose brightness is not that of the series."""
    if unknown:
        log.warning(
            "The brightness of %d integrations cannot be told: 1 is taken, and pixels of the scene "
            "are not used there: %s%s",
            len(unknown),
            ", ".join(str(number) for number in unknown[:NAMED]),
            ", ..." if len(unknown) > NAMED else "",
        )
