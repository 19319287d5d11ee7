"""Exposures of extended light, on which every method must not do harm."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from deflicker.simulation.light import (
    Cluster,
    Comet,
    EdgeOnDisc,
    Galaxies,
    GrismField,
    Light,
    Nebula,
    Sersic,
    Shell,
    Slices,
    Slitlets,
    SpikedStar,
    Spiral,
    Wisps,
)
from deflicker.simulation.scenarios import EXPOSURES, Scenario

__all__ = ["HELD_OUT", "SCENES"]


def _full(*light: Light, n_stars: int = 1000) -> Scenario:
    """NIRCam full frame."""
    return Scenario(light=light, n_stars=n_stars)


def _window(size: int, *light: Light, n_stars: int = 60, n_outputs: int = 1) -> Scenario:
    """NIRCam sub-array."""
    return Scenario(
        light=light,
        n_stars=n_stars,
        shape=(size, size),
        n_outputs=n_outputs,
        subarray=f"SUB{size}",
        border=0,
    )


_IFU = replace(EXPOSURES["nirspec-ifu"], traces=0)
_NIRISS = replace(EXPOSURES["niriss"], n_stars=1000)

# Methods are tuned on these.
SCENES: Final[Mapping[str, Scenario]] = MappingProxyType(
    {
        "blank": _full(n_stars=0),
        "stars": Scenario(),
        "stars-640": _window(640, n_stars=1500),
        "cluster": _full(Cluster(number=40_000, radius=250.0)),
        "cluster-640": _window(640, Cluster(number=6000, radius=80.0)),
        "spikes": _full(SpikedStar(flux=3e6)),
        "spikes-640": _window(640, SpikedStar(flux=3e5)),
        "disc-64": _full(Sersic(peak=6.0, scale=64.0, axis_ratio=0.6, angle=30.0)),
        "disc-150": _full(Sersic(peak=6.0, scale=150.0, axis_ratio=0.6, angle=30.0)),
        "disc-512": _window(512, Sersic(peak=3.0, scale=64.0, axis_ratio=0.6)),
        "disc-1024": _window(1024, Sersic(peak=3.0, scale=128.0, axis_ratio=0.6)),
        "sersic-4": _window(640, Sersic(peak=3000.0, scale=0.02, index=4.0, axis_ratio=0.8)),
        "sersic-0.5": _window(640, Sersic(peak=4.0, scale=50.0, index=0.5, angle=45.0)),
        "spiral": _window(1024, Spiral(peak=4.0, scale=90.0)),
        "edge-on along": _window(640, EdgeOnDisc(peak=10.0, length=80.0, height=8.0)),
        "edge-on across": _window(640, EdgeOnDisc(peak=10.0, length=80.0, height=8.0, angle=90.0)),
        "shell": _window(640, Shell(peak=5.0, radius=130.0, thickness=25.0)),
        "comet": _window(640, Comet(peak=100.0)),
        "galaxies": _full(Galaxies(number=150)),
        "intracluster": _full(
            Sersic(peak=2.0, scale=220.0, axis_ratio=0.7, angle=50.0),
            Galaxies(number=60, scales=(5.0, 30.0), peaks=(0.3, 10.0)),
        ),
        "nebula-2.4": _full(Nebula(scatter=1.0, slope=2.4)),
        "nebula-2.8": _full(Nebula(scatter=2.0, slope=2.8)),
        "nebula-3.2": _full(Nebula(scatter=5.0, slope=3.2)),
        "nebula-4": _full(Nebula(scatter=5.0, slope=4.0)),
        "nebula-640": _window(640, Nebula(scatter=2.0, slope=3.0)),
        "wisps": _full(Wisps(peak=0.3)),
        "niriss-disc": replace(_NIRISS, light=(Sersic(peak=4.0, scale=64.0, axis_ratio=0.5),)),
        "slices": replace(_IFU, light=(Slices(light=20.0),)),
        "slices-NRS2": replace(
            _IFU, detector="NRS2", fast_axis=-2, slow_axis=-1, light=(Slices(light=10.0),)
        ),
        "slitlets": replace(_IFU, exp_type="NRS_MSASPEC", light=(Slitlets(number=60, light=1.0),)),
        "grism": replace(_NIRISS, exp_type="NIS_WFSS", light=(GrismField(number=1200),)),
        "stripe": EXPOSURES["nircam-stripe"],
        "soss": replace(
            _NIRISS,
            exp_type="NIS_SOSS",
            subarray="SUBSTRIP256",
            shape=(256, 2048),
            n_outputs=1,
            n_integrations=4,
            group_time=5.494,
            n_stars=60,
            target="soss",
            trace_height=11.0,
            trace_light=300.0,
        ),
    }
)

# Nothing is tuned on these, which differ in size, angle, brightness and noise.
HELD_OUT: Final[Mapping[str, Scenario]] = MappingProxyType(
    {
        "held disc-40": _full(Sersic(peak=15.0, scale=40.0, axis_ratio=0.4, angle=-50.0)),
        "held disc-90": _window(800, Sersic(peak=1.5, scale=90.0, centre=(0.4, 0.7))),
        "held sersic-2.5": _window(
            1024, Sersic(peak=300.0, scale=0.5, index=2.5, axis_ratio=0.5, angle=70.0), n_outputs=4
        ),
        "held edge-on 12": _window(
            800, EdgeOnDisc(peak=4.0, length=130.0, height=5.0, angle=2.0, centre=(0.3, 0.5))
        ),
        "held edge-on 60": _full(EdgeOnDisc(peak=8.0, length=200.0, height=12.0, angle=60.0)),
        "held shell": _window(512, Shell(peak=1.5, radius=90.0, thickness=60.0, axis_ratio=1.0)),
        "held comet": _window(800, Comet(peak=20.0, core=5.0, tail=1.0, angle=170.0)),
        "held spiral": _full(Spiral(peak=8.0, scale=200.0, arms=4, axis_ratio=0.9)),
        "held galaxies": _full(Galaxies(number=300, scales=(5.0, 50.0), peaks=(0.05, 10.0))),
        "held galaxies-640": _window(640, Galaxies(number=15, scales=(10.0, 60.0))),
        "held nebula-2.6": _full(Nebula(scatter=0.3, slope=2.6)),
        "held nebula-3.6": _window(512, Nebula(scatter=6.0, slope=3.6)),
        "held nebula+galaxies": _window(
            1024, Nebula(scatter=0.5, slope=3.0), Galaxies(number=15), n_outputs=4
        ),
        "held wisps": _full(Wisps(peak=1.5)),
        "held slices": replace(_IFU, light=(Slices(light=5.0, filled=0.6, slant=30.0),)),
        "held slitlets": replace(
            _IFU, exp_type="NRS_MSASPEC", light=(Slitlets(number=150, light=0.5),)
        ),
        "held grism": Scenario(exp_type="NRC_WFSS", light=(GrismField(number=3000),)),
        "held spikes": replace(_NIRISS, light=(SpikedStar(flux=3e5, halo=0.3),)),
        "held cluster": _window(1024, Cluster(number=20_000, radius=300.0), n_outputs=4),
    }
)
