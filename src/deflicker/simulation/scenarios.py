"""Parameters of simulations: noise of the detectors, and typical science exposures."""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from deflicker.detector.facts import REFERENCE_BORDER
from deflicker.detector.readout import Readout
from deflicker.simulation.light import Light

__all__ = ["DETECTORS", "EXPOSURES", "SERIES", "TARGETS", "Scenario", "SimulatedNoise"]

TARGETS: Final = ("trace", "soss", "star")


@dataclass(frozen=True, kw_only=True)
class SimulatedNoise:
    """Noise of one read in electrons rms.

    Parameters
    ----------
    white : float
        White noise, independent from pixel to pixel.
    common, per_output : float, optional
        Pink noise (power 1/f in clock time) that all outputs share, and of each output.
    alternating : float, optional
        Pink noise of the even and, independently, of the odd columns.
    columns : float, optional
        Banding of MIRI: one value per column, with a power of f^-0.5 from column to column.
    slope : float, optional
        Exponent of the pink noise, whose power is f^-slope.
    low_cut : float, optional
        Cycles per read-out below which pink noise has no power; its rms is not affected.
    """

    white: float
    common: float = 0.0
    per_output: float = 0.0
    alternating: float = 0.0
    columns: float = 0.0
    slope: float = 1.0
    low_cut: float = 0.0


DETECTORS: Final = MappingProxyType(
    {
        "NIRCAM": SimulatedNoise(white=4.4, common=4.0, per_output=1.6, alternating=0.7),
        "NIRISS": SimulatedNoise(white=7.3, common=6.8, per_output=2.0, alternating=1.0),
        "NIRSPEC": SimulatedNoise(white=7.0, common=5.3, per_output=1.8, alternating=0.9),
        "MIRI": SimulatedNoise(white=6.0, columns=3.0),
    }
)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Parameters of a simulated exposure.

    Parameters
    ----------
    instrument, detector, exp_type, subarray : str
        As in ``meta.instrument.name`` and ``detector``, ``meta.exposure.type`` and
        ``meta.subarray.name``.
    shape : tuple of int
        (ny, nx) in the science frame.
    fast_axis, slow_axis : int
        As in ``meta.subarray``.
    n_outputs : int
        Outputs that share the fast axis.
    n_groups, n_integrations : int
        Number of groups and integrations.
    group_time : float
        Time between two groups in seconds.
    sky : float
        Uniform light in electrons per second.
    n_stars : int
        Number of stars; their fluxes are a power law from 3 electrons per second.
    brightest_star : float
        Upper end of the power law, in electrons per second.
    galaxy : float
        Peak of an exponential disc over half the frame, in electrons per second.
    traces : int
        Number of spectra across the frame, curved and slanted like IFU slices.
    trace_height : float
        Half height of a spectrum in rows, or radius of the star if that is the target.
    trace_light : float
        Peak of a spectrum, or of the star, in electrons per second.
    target : {None, "trace", "soss", "star"}
        Target of a time series: the spectra of ``traces``, three curved orders, or a defocused
        star in the centre.
    transit_depth : float
        Fraction of the light of the target that is missing in the middle of the series.
    drift : float
        Pixels along y by which the target moves from the first integration to the last.
    photon_noise : bool
        Whether light has photon noise.
    cosmic_rays : float
        Hits per pixel and group; 5 % of them are not flagged.
    bad_pixels : float
        Fraction of pixels that are DO_NOT_USE.
    saturation : float
        Full well in electrons.
    border : int
        Width of the border of reference pixels.
    noise : SimulatedNoise or None
        Noise of the detector; that of the instrument by default.
    light : tuple of Light
        Extended light that is added to sky and stars.

    Raises
    ------
    ValueError
        If the target is unknown, or a transit or drift is given without a target.
    """

    instrument: str = "NIRCAM"
    detector: str = "NRCA1"
    exp_type: str = "NRC_IMAGE"
    subarray: str = "FULL"
    shape: tuple[int, int] = (2048, 2048)
    fast_axis: int = -1
    slow_axis: int = 2
    n_outputs: int = 4
    n_groups: int = 5
    n_integrations: int = 1
    group_time: float = 10.73677
    sky: float = 0.8
    n_stars: int = 15000
    brightest_star: float = 30000.0
    galaxy: float = 0.0
    traces: int = 0
    trace_height: float = 2.0
    trace_light: float = 3.0
    target: str | None = None
    transit_depth: float = 0.0
    drift: float = 0.0
    photon_noise: bool = True
    cosmic_rays: float = 2e-4
    bad_pixels: float = 0.003
    saturation: float = 60000.0
    border: int = REFERENCE_BORDER
    noise: SimulatedNoise | None = None
    light: tuple[Light, ...] = ()

    def __post_init__(self) -> None:
        if self.target is None:
            if self.transit_depth or self.drift:
                msg = f"transit_depth and drift need a target, one of {', '.join(TARGETS)}"
                raise ValueError(msg)
        elif self.target not in TARGETS:
            msg = f"target must be one of {', '.join(TARGETS)} or None, not {self.target!r}"
            raise ValueError(msg)
        elif self.target == "trace" and self.traces < 1:
            msg = "target='trace' needs traces=1 or more"
            raise ValueError(msg)

    @property
    def readout(self) -> Readout:
        """Axes and outputs."""
        return Readout(fast_axis=self.fast_axis, slow_axis=self.slow_axis, n_outputs=self.n_outputs)


_NIRISS = Scenario(
    instrument="NIRISS",
    detector="NIS",
    exp_type="NIS_IMAGE",
    fast_axis=-2,
    slow_axis=-1,
)
_MIRI = Scenario(
    instrument="MIRI",
    detector="MIRIMAGE",
    exp_type="MIR_IMAGE",
    shape=(1024, 1032),
    fast_axis=1,
    slow_axis=2,
    n_outputs=1,
    n_groups=8,
    group_time=2.77504,
    sky=20.0,
    n_stars=4000,
    border=0,
)
_NIRSPEC = Scenario(
    instrument="NIRSPEC",
    detector="NRS1",
    exp_type="NRS_IFU",
    fast_axis=2,
    slow_axis=1,
    sky=0.05,
    n_stars=0,
    traces=30,
    trace_height=12.0,
    trace_light=20.0,
)
_NIRSPEC_WINDOW = replace(
    _NIRSPEC,
    exp_type="NRS_BRIGHTOBJ",
    subarray="SUB2048",
    shape=(32, 2048),
    n_outputs=1,
    n_groups=6,
    n_integrations=20,
    group_time=0.90156,
    traces=1,
    trace_height=2.0,
    trace_light=300.0,
    border=0,
)

EXPOSURES: Final = MappingProxyType(
    {
        "nircam": Scenario(),
        "nircam-galaxy": Scenario(galaxy=6.0),
        "nircam-stripe": Scenario(
            exp_type="NRC_TSGRISM",
            detector="NRCALONG",
            subarray="SUBGRISM256",
            shape=(256, 2048),
            n_integrations=6,
            group_time=1.34666,
            n_stars=1900,
            traces=1,
            trace_height=3.0,
            trace_light=300.0,
        ),
        "niriss": _NIRISS,
        "miri": _MIRI,
        "nirspec-ifu": _NIRSPEC,
        "nirspec-bots": _NIRSPEC_WINDOW,
        "nirspec-allslits": replace(
            _NIRSPEC_WINDOW,
            exp_type="NRS_FIXEDSLIT",
            subarray="ALLSLITS",
            shape=(256, 2048),
            n_groups=5,
            n_integrations=2,
            group_time=5.49132,
            traces=5,
            trace_light=50.0,
        ),
    }
)


def _transit_of(target: str, scenario: Scenario) -> Scenario:
    """Series of a target with a transit and a drift; short groups have fewer cosmic rays."""
    return replace(
        scenario,
        target=target,
        transit_depth=0.01,
        drift=0.04,
        n_integrations=24,
        cosmic_rays=5e-5,
    )


SERIES: Final = MappingProxyType(
    {
        "bots": _transit_of("trace", replace(_NIRSPEC_WINDOW, n_groups=5, trace_light=1000.0)),
        "soss": _transit_of(
            "soss",
            replace(
                _NIRISS,
                exp_type="NIS_SOSS",
                subarray="SUBSTRIP256",
                shape=(256, 2048),
                n_outputs=1,
                n_groups=4,
                group_time=5.494,
                trace_height=11.0,
                trace_light=300.0,
                n_stars=60,
                brightest_star=1000.0,
            ),
        ),
        "grism": _transit_of(
            "trace",
            replace(
                EXPOSURES["nircam-stripe"],
                n_groups=4,
                trace_light=1000.0,
                n_stars=600,
                brightest_star=3000.0,
            ),
        ),
        "imaging": _transit_of(
            "star",
            Scenario(
                detector="NRCB1",
                exp_type="NRC_TSIMAGE",
                subarray="SUB160P",
                shape=(160, 160),
                fast_axis=1,
                slow_axis=-2,
                n_outputs=1,
                n_groups=6,
                group_time=0.28,
                trace_height=25.0,
                trace_light=4000.0,
                n_stars=12,
                brightest_star=500.0,
                border=0,
            ),
        ),
    }
)
