"""Real files, from the shell, as the guide says; skipped where there are none."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from deflicker.models.files import open_model

STRUN = Path(sys.executable).with_name("strun")


def clean(path, *parameters):
    done = subprocess.run(
        [STRUN, "deflicker", path, *parameters], capture_output=True, text=True, check=True
    )
    used = re.search(r"measured on ([\d.]+) % of the pixels", done.stdout + done.stderr)
    stem = re.sub("_(ramp|rateints|uncal|cal)$", "", path.stem)
    with open_model(f"{stem}_clean_flicker_noise.fits") as cleaned, open_model(path) as raw:
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
        before, after = np.array(raw.data, "f8"), np.array(cleaned.data, "f8")
        assert np.array_equal(np.isfinite(before), np.isfinite(after))
        assert not np.array_equal(before, after, equal_nan=True)
        return before, after, float(used[1])


def test_miri_ground_ramp(data_folder):
    """The bands of the columns of the differences become less, in every integration."""
    path = data_folder / "miri_sub64_ground" / "miri_sub64_ground_ints12_ramp.fits"
    before, after, used = clean(path)
    assert used > 50

    def bands(ramp):
        """Variance that the columns of even and of odd rows share: no pixel is in both."""
        # The first four columns are reference pixels.
        differences = np.diff(ramp, axis=1)[..., 4:]
        differences = np.clip(differences, *np.percentile(differences, (1, 99)))
        even, odd = (differences[:, :, k::2].mean(axis=2) for k in (0, 1))
        return np.mean((even - even.mean(axis=2, keepdims=True)) * odd)

    assert bands(before) > 0.1
    assert abs(bands(after)) < 0.3 * bands(before)


def test_niriss_mirage_ramp(data_folder):
    path = data_folder / "niriss_sub80_mirage" / "jw00793001001_01101_00001_nis_uncal.fits"
    before, after, used = clean(path)
    assert used > 20
    assert np.std(before - after) < 0.2 * np.std(before)


NAMES = [
    f"jw010930{v}001_0310{n}_00001"
    for v, n in [(12, 2), (12, 3), (12, 4), (12, 5), (15, 2), (15, 3), (15, 4)]
]


@pytest.mark.parametrize("name", NAMES)
def test_niriss_on_sky(data_folder, name):
    before, after, used = clean(data_folder / "niriss_ami_onsky" / f"{name}_nis_cal.fits")
    assert used > 20
    assert np.nansum(after) == pytest.approx(np.nansum(before), rel=0.05)
