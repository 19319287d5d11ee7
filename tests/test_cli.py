import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from astropy.io import fits

from deflicker import __version__
from deflicker.cli.main import main
from deflicker.simulation.exposures import EXPOSURES, simulate
from deflicker.simulation.quality import measure_quality


@pytest.fixture(autouse=True)
def _small_exposures(monkeypatch):
    """The demo as it is, of a quarter of a frame's height and width."""
    small = {name: replace(EXPOSURES[name], shape=(256, 264)) for name in ("miri",)}
    monkeypatch.setattr("deflicker.simulation.exposures.EXPOSURES", small)


def test_demo(capsys, tmp_path):
    """What it prints is what its files hold."""
    assert main(["demo", "--exposure", "miri", "--seed", "7", "--output-dir", "out"]) == 0
    names = ["ramp.fits", "clean_flicker_noise.fits", "flicker_noise.fits", "mask.fits"]
    for name in names:
        assert (tmp_path / "out" / f"miri_{name}").is_file()
    cleaned = fits.getdata("out/miri_clean_flicker_noise.fits", "SCI")
    truth = simulate(replace(EXPOSURES["miri"], shape=(256, 264)), seed=7)
    np.testing.assert_array_equal(fits.getdata("out/miri_ramp.fits", "SCI"), truth.data)
    quality = measure_quality(truth, cleaned)
    said = capsys.readouterr().out
    assert f"{quality.removed_rate:.1f} % of the noise variance" in said
    assert f"{quality.removed_differences:.1f} % of the noise variance" in said
    for part in range(1, 5):
        assert f"[{part}/4]" in said
    assert "Files in out" in said
    picture = matplotlib.image.imread("out/miri_before_after.png")
    assert min(picture.shape[:2]) > 300
    assert picture.std() > 0.1


def test_demo_takes_parameters_of_the_step():
    assert main(["demo", "--exposure", "miri", "--output-dir=out", "--n_sigma=3.25"]) == 0
    header = fits.getheader("out/miri_clean_flicker_noise.fits")
    assert "n_sigma=3.25" in "".join(header["HISTORY"])


def test_demo_that_cannot_be_cleaned(capsys):
    assert main(["demo", "--exposure", "miri", "--fit_method=fft"]) == 1
    assert "SKIPPED" in capsys.readouterr().err


def test_demo_in_a_folder_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").touch()
    assert main(["demo", "--output-dir", "file/below"]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], ["demo", "--exposure=fgs"], ["demo", "stray"], ["dem"], ["demo", "--suffix=abc"]]
)
def test_wrong_words(words, capsys):
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_console_script():
    script = Path(sys.executable).with_name("deflicker")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"deflicker {__version__}"
