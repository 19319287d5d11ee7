"""A dithered set: files, real WCS objects, the mosaic of the others, and the command."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from scipy.ndimage import map_coordinates

from deflicker.cli.main import main
from deflicker.detector.pixel_map import pixel_map
from deflicker.errors import CannotClean
from deflicker.mission.field import Field
from deflicker.models.exposure import model_from_simulation
from deflicker.models.mosaics import read_mosaic
from deflicker.simulation.dithers import Pointing, dithered_set
from deflicker.simulation.quality import measure_quality
from deflicker.simulation.scenes import SCENES

SCENARIO = replace(SCENES["nebula-640"], shape=(256, 256), subarray="SUB256", n_stars=20)
POINTINGS = (
    Pointing(offset=(0.0, 0.0)),
    Pointing(offset=(7.3, -11.8), roll=23.0, background=0.4, error=(0.8, -1.3)),
    Pointing(offset=(-13.2, 9.6), roll=-40.0, error=(-1.7, 0.4)),
)


@pytest.fixture(scope="module")
def dithers():
    return dithered_set(SCENARIO, POINTINGS, seed=4)


def models(dithers, **changes):
    for number, exposure in enumerate(dithers.exposures):
        with model_from_simulation(exposure.truth) as model:
            model.data = model.data.copy()
            model.meta.wcs, model.meta.filename = exposure.wcs, f"jw{number}_ramp.fits"
            model.meta.instrument.filter = changes.get(str(number), "F200W")
            yield model


def field_of(dithers, **changes):
    field = Field()
    for model in models(dithers, **changes):
        field.add(model, model.meta.filename)
    return field


@pytest.fixture
def files(dithers, tmp_path):
    paths = []
    for model in models(dithers):
        paths.append(tmp_path / model.meta.filename)
        model.save(str(paths[-1]))
    return paths


def test_mosaic_shows_the_field(dithers, tmp_path):
    path = tmp_path / "others.fits"
    assert field_of(dithers).write_mosaic("jw0_ramp.fits", path)
    mosaic = read_mosaic(path)
    assert mosaic.unit == "DN/s"
    assert mosaic.filter == "F200W"
    assert mosaic.members == ("jw1_ramp.fits", "jw2_ramp.fits")
    truth = dithers.exposures[0].truth
    y, x = pixel_map(SCENARIO.shape, dithers.exposures[0].wcs, mosaic.wcs.world_to_pixel_values)
    light = map_coordinates(np.nan_to_num(mosaic.image), [y, x], order=1)
    inside = np.s_[40:-40, 40:-40]
    there = truth.scene[inside] / SCENARIO.group_time
    # Two exposures with stripes, and pointing errors of more than a pixel that were taken out.
    assert np.corrcoef(light[inside].ravel(), there.ravel())[0, 1] > 0.97


def test_own_noise_does_not_come_back(dithers, tmp_path):
    """Other noise in an exposure changes the mosaics of the others, but not its own."""
    path = tmp_path / "others.fits"
    images = []
    for changed in (False, True):
        field = Field()
        for number, model in enumerate(models(dithers)):
            if changed and number == 2:
                model.data += np.random.default_rng(1).normal(0, 20, model.data.shape)
            field.add(model, model.meta.filename)
        images.append({})
        for number in (0, 2):
            assert field.write_mosaic(f"jw{number}_ramp.fits", path)
            images[-1][number] = read_mosaic(path).image
    np.testing.assert_array_equal(images[0][2], images[1][2])
    assert not np.array_equal(images[0][0], images[1][0])


def test_filters_are_kept_apart(dithers, tmp_path):
    field = field_of(dithers, **{"1": "F444W"})
    assert not field.write_mosaic("jw1_ramp.fits", tmp_path / "others.fits")
    assert field.write_mosaic("jw0_ramp.fits", tmp_path / "others.fits")
    assert read_mosaic(tmp_path / "others.fits").members == ("jw2_ramp.fits",)
    assert not field.write_mosaic("unknown.fits", tmp_path / "others.fits")


def test_an_exposure_elsewhere_has_no_mosaic(dithers, tmp_path):
    pointings = (POINTINGS[0], Pointing(offset=(900.0, 0.0)))
    far = dithered_set(replace(SCENARIO, light=()), pointings, seed=4)
    field = field_of(far)
    assert not field.write_mosaic("jw0_ramp.fits", tmp_path / "others.fits")


def test_a_wcs_is_needed(dithers):
    model = next(models(dithers))
    model.meta.wcs = None
    with pytest.raises(CannotClean, match="needs a WCS"):
        Field().add(model, "jw0_ramp.fits")


def test_command(dithers, files, tmp_path, capsys):
    folder = tmp_path / "cleaned"
    folder.mkdir()
    words = [*map(str, files), f"--output-dir={folder}", "--fit_method=median"]
    assert main(["field", *words, "--save-mosaics"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("COMPLETE") == 3
    names = {path.name for path in folder.iterdir()}
    assert names == {f"jw{k}_{kind}.fits" for k in range(3) for kind in (
        "clean_flicker_noise", "others_i2d")}  # fmt: skip
    alone = tmp_path / "alone"
    alone.mkdir()
    assert main(["field", str(files[0]), f"--output-dir={alone}", "--fit_method=median"]) == 0
    assert "no other exposure" in capsys.readouterr().out
    truth = dithers.exposures[0].truth
    rates = [
        measure_quality(truth, fits.getdata(place / "jw0_clean_flicker_noise.fits")).removed_rate
        for place in (alone, folder)
    ]
    assert rates[1] > rates[0] + 5


def test_command_without_a_wcs_cleans_alone(files, tmp_path, capsys):
    for path in files[1:]:
        with fits.open(path, mode="update") as hdus:
            del hdus["ASDF"]
    assert main(["field", *map(str, files), f"--output-dir={tmp_path}", "--fit_method=median"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("needs a WCS") == 2
    assert printed.count("COMPLETE") == 3


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["missing.fits"], "missing.fits"),
        (["{0}", "{0}"], "overwrite each other"),
        (["{0}", "--output-dir={0}/nowhere"], "nowhere"),
        (["{0}", "--fit_method=best"], "best"),
        (["{0}", "--nonsense=1"], "nonsense"),
    ],
)
def test_command_says_what_is_wrong(files, words, says, capsys):
    words = [word.format(*files) for word in words]
    assert main(["field", *words]) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("word", ["--scene_image=x.fits", "--suffix=x", "--fit_method"])
def test_command_sets_its_own_parameters(files, word, capsys):
    with pytest.raises(SystemExit):
        main(["field", str(files[0]), word])
    assert word.partition("=")[0] in capsys.readouterr().err
