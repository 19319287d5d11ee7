"""PASTASOSS reference files with traces like those of GR700XD: three orders, curved and slanted."""

import numpy as np
from stdatamodels.jwst import datamodels

COMMANDED = 245.76
BOUNDS = [245.51, 246.01]
# Rows of SUBSTRIP256, (x, y) of the pivot; orders 2 and 3 leave the sub-array at its top.
PIVOTS = {1: (1890.0, 50.0), 2: (1680.0, 200.0), 3: (1444.0, 361.0)}
ROWS = {
    1: lambda x: 48 + 5e-5 * (x - 1350) ** 2,
    2: lambda x: 80 + 4.47e-11 * np.maximum(x - 400, 0) ** 4,
    3: lambda x: 130 + 1.1e-4 * x**2,
}
ENDS = {1: (0, 2047), 2: (0, 1783), 3: (0, 1134)}
WAVELENGTHS = {1: (2.83, 0.85), 2: (1.42, 0.60), 3: (0.94, 0.60)}  # microns at these ends


def reference_points(order):
    """Points of a reference trace, shape (n, 2)."""
    x = np.arange(ENDS[order][0], ENDS[order][1] + 1, dtype=np.float64)
    return np.stack([x, ROWS[order](x)], axis=1)


def pastasoss_model(orders=(1, 2, 3)):
    model = datamodels.PastasossModel()
    model.meta.instrument.name = "NIRISS"
    model.meta.instrument.detector = "NIS"
    model.meta.exposure.type = "NIS_SOSS"
    model.meta.reftype, model.meta.useafter = "pastasoss", "2022-01-01T00:00:00"
    model.meta.author, model.meta.pedigree = "deflicker", "DUMMY"
    model.meta.description = "Made traces"
    model.meta.pwcpos_cmd = COMMANDED
    model.meta.pwcpos_bounds = BOUNDS
    model.meta.subarray_ymin = 1792
    model.meta.soss_xdim, model.meta.soss_ydim = 2048, 300
    model.meta.wavemap_nwl, model.meta.wavemap_wlmin, model.meta.wavemap_wlmax = 5001, 0.5, 5.5
    model.traces = [
        {
            "spectral_order": order,
            "trace": reference_points(order),
            "pivot_x": PIVOTS[order][0],
            "pivot_y": PIVOTS[order][1],
            "cutoff": ENDS[order][1] + 1,
        }
        for order in orders
    ]
    model.wavecal_models = [wavelength_solution(order) for order in orders]
    return model


def wavelength_solution(order):
    """A polynomial of degree 5 in x and rotation that is linear in x."""
    start, stop = WAVELENGTHS[order]
    return {
        "spectral_order": order,
        "polynomial_degree": 5,
        "coefficients": np.array([start, stop - start, *[0.0] * 19]),
        "scale_extents": np.array([[ENDS[order][0], -0.25], [ENDS[order][1], 0.25]]),
    }


def pastasoss_file(path, orders=(1, 2, 3), **meta):
    """Save a reference file; keywords change its meta attributes, None removes them."""
    with pastasoss_model(orders) as model:
        for name, value in meta.items():
            setattr(model.meta, name, value)
        model.save(str(path))
    return str(path)
