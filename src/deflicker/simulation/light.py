"""A library of light for simulated exposures: galaxies, nebulae, comets, spectra, slits.

Each kind of light is a small frozen dataclass whose ``image`` draws it. Brightness is in electrons
per second and lengths are in pixels; positions are fractions of the image.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter

__all__ = [
    "Cluster",
    "Comet",
    "EdgeOnDisc",
    "Galaxies",
    "GrismField",
    "Light",
    "Nebula",
    "Sersic",
    "Shell",
    "Slices",
    "Slitlets",
    "SpikedStar",
    "Spiral",
    "Wisps",
]

Image = NDArray[np.float32]
Shape = tuple[int, int]

CENTRE: Final = (0.5, 0.5)
PSF_SIGMA: Final = 1.0
MARGIN = 1.5  # a periodic field is made this many times as large as the image


class Light(Protocol):
    """Something that shines on the detector."""

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:
        """Draw it.

        Parameters
        ----------
        shape : tuple of int
            (ny, nx) of the image.
        rng : numpy.random.Generator
            Random numbers.

        Returns
        -------
        ndarray of float32, shape (ny, nx)
            Electrons per second.
        """


def _coordinates(
    shape: Shape, centre: tuple[float, float], angle: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distances in pixels along and across an axis at ``angle`` degrees from the x axis."""
    ny, nx = shape
    y = np.arange(ny, dtype=np.float32)[:, np.newaxis] - np.float32(centre[0] * ny)
    x = np.arange(nx, dtype=np.float32) - np.float32(centre[1] * nx)
    cosine, sine = np.float32(np.cos(np.radians(angle))), np.float32(np.sin(np.radians(angle)))
    return x * cosine + y * sine, y * cosine - x * sine


def _smooth_field(
    shape: Shape, power: Callable[[NDArray], NDArray], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Gaussian random field of unit variance whose power depends on the frequency."""
    sizes = [next_fast_len(int(MARGIN * n), real=True) for n in shape]
    across = np.fft.fftfreq(sizes[0])[:, np.newaxis]
    frequency = np.hypot(across, np.fft.rfftfreq(sizes[1]))
    frequency[0, 0] = np.inf
    field = irfft2(rfft2(rng.standard_normal(sizes)) * np.sqrt(power(frequency)), s=sizes)
    field = field[: shape[0], : shape[1]]
    field -= field.mean()
    return field / field.std()


@dataclass(frozen=True, kw_only=True)
class Sersic:
    """A disc or spheroid, ``exp(-(r / scale)^(1/n))``.

    Parameters
    ----------
    peak : float
        Brightness in the centre.
    scale : float
        Scale length of the major axis.
    index : float, optional
        Index n: 0.5 is a Gaussian, 1 an exponential disc, 4 a de Vaucouleurs profile.
    axis_ratio : float, optional
        Minor axis relative to the major axis.
    angle : float, optional
        Angle of the major axis from the x axis in degrees.
    centre : tuple of float, optional
        (y, x) as fractions of the image.
    """

    peak: float
    scale: float
    index: float = 1.0
    axis_ratio: float = 1.0
    angle: float = 0.0
    centre: tuple[float, float] = CENTRE

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:  # noqa: ARG002
        """Draw it, see `Light.image`."""
        along, across = _coordinates(shape, self.centre, self.angle)
        radius = np.hypot(along, across / self.axis_ratio) / self.scale
        light = self.peak * np.exp(-(radius ** (1 / self.index)))
        return light.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Galaxies:
    """Exponential discs of random sizes, angles and places.

    Parameters
    ----------
    number : int
        How many.
    scales : tuple of float
        Smallest and largest scale length, between which they are distributed evenly.
    peaks : tuple of float
        Smallest and largest peak; the logarithms are distributed evenly.
    """

    number: int
    scales: tuple[float, float] = (15.0, 90.0)
    peaks: tuple[float, float] = (0.1, 3.0)

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:
        """Draw them, see `Light.image`."""
        light = np.zeros(shape, dtype=np.float32)
        for _ in range(self.number):
            galaxy = Sersic(
                peak=float(np.exp(rng.uniform(*np.log(self.peaks)))),
                scale=float(rng.uniform(*self.scales)),
                axis_ratio=float(rng.uniform(0.3, 1.0)),
                angle=float(rng.uniform(0, 180)),
                centre=(float(rng.random()), float(rng.random())),
            )
            light += galaxy.image(shape, rng)
        return light


@dataclass(frozen=True, kw_only=True)
class Spiral:
    """An exponential disc with logarithmic arms.

    Parameters
    ----------
    peak, scale : float
        Brightness in the centre, and scale length.
    arms : int, optional
        Number of arms.
    contrast : float, optional
        Amplitude of the arms relative to the disc.
    pitch : float, optional
        Angle of the arms from a circle in degrees.
    axis_ratio, angle, centre : optional
        As of `Sersic`.
    """

    peak: float
    scale: float
    arms: int = 2
    contrast: float = 0.6
    pitch: float = 18.0
    axis_ratio: float = 0.7
    angle: float = 30.0
    centre: tuple[float, float] = CENTRE

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:  # noqa: ARG002
        """Draw it, see `Light.image`."""
        along, across = _coordinates(shape, self.centre, self.angle)
        across = across / self.axis_ratio
        radius = np.hypot(along, across) / self.scale
        phase = np.arctan2(across, along) - np.log(np.maximum(radius, 0.05)) / np.tan(
            np.radians(self.pitch)
        )
        arms = 1 + self.contrast * np.minimum(radius, 1) * np.cos(self.arms * phase)
        return (self.peak * np.exp(-radius) * arms).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class EdgeOnDisc:
    """A thin disc seen from its edge: exponential along, squared hyperbolic secant across.

    Parameters
    ----------
    peak : float
        Brightness in the centre.
    length, height : float
        Scale length along and scale height across the disc.
    angle, centre : optional
        As of `Sersic`.
    """

    peak: float
    length: float
    height: float
    angle: float = 0.0
    centre: tuple[float, float] = CENTRE

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:  # noqa: ARG002
        """Draw it, see `Light.image`."""
        along, across = _coordinates(shape, self.centre, self.angle)
        distance = np.minimum(np.abs(across) / self.height, 40)
        light = self.peak * np.exp(-np.abs(along) / self.length) / np.cosh(distance) ** 2
        return light.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Shell:
    """The optically thin shell of a planetary nebula, with a halo.

    Parameters
    ----------
    peak : float
        Brightness of the rim.
    radius, thickness : float
        Outer radius, and width of the shell.
    halo : float, optional
        Brightness of the halo at the rim relative to the rim.
    axis_ratio, angle, centre : optional
        As of `Sersic`.
    """

    peak: float
    radius: float
    thickness: float
    halo: float = 0.03
    axis_ratio: float = 0.85
    angle: float = 25.0
    centre: tuple[float, float] = CENTRE

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:  # noqa: ARG002
        """Draw it, see `Light.image`."""
        along, across = _coordinates(shape, self.centre, self.angle)
        distance = np.hypot(along, across / self.axis_ratio)
        outer = np.sqrt(np.maximum(self.radius**2 - distance**2, 0))
        inner = np.sqrt(np.maximum((self.radius - self.thickness) ** 2 - distance**2, 0))
        path = outer - inner
        light = self.peak * path / path.max()
        light += self.halo * self.peak / (1 + (distance / self.radius) ** 3)
        return gaussian_filter(light, PSF_SIGMA).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Nebula:
    """A nebula over the whole image, whose power spectrum is a power law.

    Parameters
    ----------
    scatter : float
        Standard deviation of the brightness; the mean is 2.5 times as large.
    slope : float, optional
        The power falls with the spatial frequency to the power ``-slope``.
    """

    scatter: float
    slope: float = 3.0

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:
        """Draw it, see `Light.image`."""
        field = _smooth_field(shape, lambda frequency: frequency**-self.slope, rng)
        return np.maximum(self.scatter * (field + 2.5), 0).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Comet:
    """A coma whose light falls as 1/r, with a fainter tail.

    Parameters
    ----------
    peak : float
        Brightness of the nucleus.
    core : float, optional
        Radius inside which the coma is flat.
    tail : float, optional
        Brightness of the tail relative to the coma, 30 pixels from the nucleus.
    angle, centre : optional
        Direction of the tail, and place of the nucleus, as of `Sersic`.
    """

    peak: float
    core: float = 2.0
    tail: float = 0.5
    angle: float = 15.0
    centre: tuple[float, float] = CENTRE

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:  # noqa: ARG002
        """Draw it, see `Light.image`."""
        along, across = _coordinates(shape, self.centre, self.angle)
        light = self.peak * self.core / np.hypot(np.hypot(along, across), self.core)
        behind = np.maximum(along, 0)
        width = 6 + 0.25 * behind
        bright = self.tail * self.peak * self.core / 30
        tail = bright * np.exp(-behind / 200 - (across / width) ** 2) * (along > 0)
        return gaussian_filter(light + tail, PSF_SIGMA).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A globular cluster: stars that are denser towards the centre.

    Parameters
    ----------
    number : int
        Number of stars; their fluxes are a power law.
    radius : float
        Core radius.
    faintest : float, optional
        Flux of the faintest stars.
    centre : tuple of float, optional
        As of `Sersic`.
    """

    number: int
    radius: float
    faintest: float = 1.0
    centre: tuple[float, float] = CENTRE

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:
        """Draw it, see `Light.image`."""
        # The projected number of a Plummer sphere within r is n r^2 / (r^2 + radius^2).
        inside = rng.random(self.number)
        distance = self.radius * np.sqrt(inside / (1 - inside))
        angle = rng.uniform(0, 2 * np.pi, self.number)
        places = [
            np.rint(fraction * n + distance * part).astype(int)
            for fraction, n, part in zip(
                self.centre, shape, (np.sin(angle), np.cos(angle)), strict=True
            )
        ]
        seen = np.all([(p >= 0) & (p < n) for p, n in zip(places, shape, strict=True)], axis=0)
        flux = np.minimum(self.faintest * rng.random(self.number) ** -1.1, 3e4)
        points = np.zeros(shape, dtype=np.float32)
        np.add.at(points, (places[0][seen], places[1][seen]), flux[seen])
        return 0.85 * gaussian_filter(points, PSF_SIGMA) + 0.15 * gaussian_filter(points, 8.0)


@dataclass(frozen=True, kw_only=True)
class SpikedStar:
    """A bright star with six spikes and a halo.

    Parameters
    ----------
    flux : float
        Total light.
    spikes : float, optional
        Fraction of the light in the spikes.
    halo : float, optional
        Fraction of the light in a halo that falls with the cube of the radius.
    angle, centre : optional
        Of one of the spikes, and place, as of `Sersic`.
    """

    flux: float
    spikes: float = 0.05
    halo: float = 0.1
    angle: float = 4.0
    centre: tuple[float, float] = CENTRE

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:  # noqa: ARG002
        """Draw it, see `Light.image`."""
        light = np.zeros(shape, dtype=np.float32)
        for k in range(6):
            along, across = _coordinates(shape, self.centre, self.angle + 60 * k)
            ray = (
                np.exp(-((across / 1.5) ** 2) / 2) * (along > 0) / (1 + np.maximum(along, 0)) ** 1.5
            )
            light += self.spikes / 6 * ray
        along, across = _coordinates(shape, self.centre, 0.0)
        square = along**2 + across**2
        light += self.halo * 8.0 / (2 * np.pi * (square + 64) ** 1.5)
        core = np.exp(-square / (2 * PSF_SIGMA**2)) / (2 * np.pi * PSF_SIGMA**2)
        light += (1 - self.spikes - self.halo) * core
        return np.float32(self.flux) * light.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Wisps:
    """Stray light as in NIRCam's detectors: curved filaments in a part of the image.

    Parameters
    ----------
    peak : float
        Brightness of the brightest filament.
    """

    peak: float

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:
        """Draw them, see `Light.image`."""
        ny, nx = shape
        along, across = _coordinates(shape, (0.35, 0.6), -20.0)
        along, across = along / np.float32(nx), across / np.float32(ny)
        bent = across + np.float32(0.6) * along**2
        texture = 1 + 0.25 * _smooth_field(shape, lambda frequency: frequency**-3.5, rng)
        light = np.zeros(shape)
        for place, width, bright in ((0.0, 0.02, 1.0), (0.06, 0.03, 0.6), (-0.07, 0.05, 0.4)):
            light += (
                bright * np.exp(-(((bent - place) / width) ** 2)) * np.exp(-((along / 0.25) ** 2))
            )
        return (self.peak * light * np.maximum(texture, 0)).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Slices:
    """Slices of an integral-field unit with sharp edges, along the x axis.

    Parameters
    ----------
    light : float
        Brightness of the slices.
    number : int, optional
        Number of slices.
    filled : float, optional
        Fraction of the rows that they cover.
    contrast : float, optional
        Scatter of the brightness from slice to slice, relative to the mean.
    slant : float, optional
        Rows by which a slice shifts from one end of the image to the other.
    """

    light: float
    number: int = 30
    filled: float = 0.4
    contrast: float = 0.3
    slant: float = 0.0

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:
        """Draw them, see `Light.image`."""
        ny, nx = shape
        x = np.linspace(-0.5, 0.5, nx, dtype=np.float32)
        rows = np.arange(ny, dtype=np.float32)[:, np.newaxis] - self.slant * x
        place = rows * (self.number / ny)
        within = place - np.floor(place)
        number = np.clip(np.floor(place).astype(int), 0, self.number - 1)
        bright = self.light * (1 + self.contrast * rng.standard_normal(self.number))
        spectrum = 0.6 + 0.4 * np.cos(np.pi * x) + 0.1 * np.sin(40 * x)
        inside = np.abs(within - 0.5) < self.filled / 2
        return (np.maximum(bright, 0)[number] * inside * spectrum).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Slitlets:
    """Spectra of open shutters: short bright bars in most of the detector.

    Parameters
    ----------
    number : int
        Number of slitlets.
    light : float
        Mean brightness of their sky.
    height : float, optional
        Rows of a slitlet.
    """

    number: int
    light: float
    height: float = 15.0

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:
        """Draw them, see `Light.image`."""
        ny, nx = shape
        light = np.zeros(shape, dtype=np.float32)
        rows = np.arange(ny, dtype=np.float32)[:, np.newaxis]
        x = np.arange(nx, dtype=np.float32)
        for _ in range(self.number):
            start, length = rng.uniform(-0.2, 0.7) * nx, rng.uniform(0.3, 0.8) * nx
            middle = rng.uniform(0, ny) + 0.004 * (x - nx / 2)
            inside = 1 / (1 + np.exp(-4 * np.clip(self.height / 2 - np.abs(rows - middle), -9, 9)))
            across = np.exp(-(((rows - middle) / 2.0) ** 2) / 2) * rng.exponential(2.0)
            seen = (x > start) & (x < start + length)
            light += self.light * inside * (1 + across) * seen
        return light


@dataclass(frozen=True, kw_only=True)
class GrismField:
    """Spectra of many stars without a slit, along x.

    Parameters
    ----------
    number : int
        Number of spectra.
    length : float
        Pixels of a first-order spectrum.
    faintest : float, optional
        Brightness of the faintest spectra.
    """

    number: int
    length: float = 900.0
    faintest: float = 0.1

    def image(self, shape: Shape, rng: np.random.Generator) -> Image:
        """Draw them, see `Light.image`."""
        ny, nx = shape
        points = np.zeros(shape, dtype=np.float32)
        x = np.arange(nx)
        for _ in range(self.number):
            start, row = rng.uniform(-self.length, nx), int(rng.integers(0, ny))
            place = (x - start) / self.length
            seen = (place > 0) & (place < 1)
            bright = min(self.faintest * rng.random() ** -1.0, 300.0)
            points[row] += np.where(seen, bright * np.sin(np.pi * np.clip(place, 0, 1)) ** 0.5, 0)
        return np.float32(2.5) * gaussian_filter(points, (PSF_SIGMA, 0.8))
