import logging
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from astropy import units
from astropy.table import Table
from stdatamodels.jwst import datamodels

from conftest import exposure_of
from deflicker import CleanFlickerNoiseStep, CleanOptions, clean_exposure
from deflicker.cli.main import main
from deflicker.detector.facts import PIXEL_SECONDS
from deflicker.models.exposure import model_from_simulation
from deflicker.models.spectra import read_spectrum, write_spectrum
from deflicker.noise.spectrum import NoiseSpectrum
from deflicker.simulation.quality import rate_variance

FILE = Path("x_flicker_spectrum.ecsv")
SPECTRUM = NoiseSpectrum(
    frequency=np.geomspace(1e-6, 0.49, 30),
    common=1e-3 / np.geomspace(1e-6, 0.49, 30),
    per_output=np.zeros(30),
    white=1 / 3,
    shared_fraction=0.7,
)


@pytest.fixture
def file():
    write_spectrum(SPECTRUM, FILE, meta={"filename": "x_jump.fits", "history": "told: 'so', yes"})
    return FILE


def wiener(data, **parameters):
    return CleanFlickerNoiseStep.call(data, fit_method="wiener", save_spectrum=True, **parameters)


def assert_holds(path, spectrum, unit):
    table = read_spectrum(path)
    assert table.colnames == ["frequency", "common", "per_output", "white"]
    assert table["frequency"].unit == units.Hz
    assert np.array_equal(table["frequency"].value, spectrum.frequency / PIXEL_SECONDS)
    for name in ("common", "per_output"):
        assert table[name].unit == units.Unit(unit) ** 2
        assert np.array_equal(table[name].value, getattr(spectrum, name))
    assert np.all(table["white"] == spectrum.white * units.Unit(unit) ** 2)
    assert table.meta["knee"] == spectrum.knee
    assert table.meta["coherence"] == spectrum.shared_fraction
    return table.meta


@pytest.mark.parametrize("unit", ["DN", "DN/s"])
def test_what_is_written_is_read(unit):
    write_spectrum(SPECTRUM, FILE, meta={"filename": "x_jump.fits", "number": 3}, unit=unit)
    meta = assert_holds(FILE, SPECTRUM, unit)
    assert meta["filename"] == "x_jump.fits"
    assert meta["number"] == 3
    assert "white noise has its variance at every frequency" in meta["note"]


def test_a_table_is_written_whole_or_not_at_all(file):
    before = file.read_bytes()
    with pytest.raises(Exception, match="represent"):
        write_spectrum(SPECTRUM, file, meta={"filename": object()})
    assert file.read_bytes() == before
    write_spectrum(SPECTRUM, file, meta={})
    assert file.read_bytes() != before
    assert list(Path().iterdir()) == [file]


def test_other_files_are_refused(file):
    with pytest.raises(FileNotFoundError, match=r"none\.ecsv does not exist"):
        read_spectrum("none.ecsv")
    good = read_spectrum(file)
    without_column = good.copy()
    del without_column["common"]
    without_knee = good.copy()
    del without_knee.meta["knee"]
    lengths = good.copy()
    lengths["frequency"] = good["frequency"].value * units.m
    powers = good.copy()
    powers["white"] = good["white"].value * units.DN
    text = good.copy()
    text["common"] = ["much"] * len(good)
    bare = Table({name: good[name].value for name in good.colnames}, meta=good.meta)
    for table, reason in (
        (Table({"a": [1.0]}), "no frequency, common, per_output, white, knee, coherence"),
        (without_column, "it has no common;"),
        (without_knee, "it has no knee;"),
        (good[:0], "it has no rows"),
        (lengths, "are not convertible"),
        (powers, "are not convertible"),
        (text, "must be a valid Python or Numpy numeric type"),
        (bare, "are not convertible"),
    ):
        table.write("other.ecsv", format="ascii.ecsv", overwrite=True)
        with pytest.raises(ValueError, match=f"other.ecsv is not a noise spectrum: .*{reason}"):
            read_spectrum("other.ecsv")


@pytest.mark.parametrize("content", [b"", b"SIMPLE  =", b"a,b\n1,2\n", b"\xff\xfe\x00"])
def test_what_is_no_table_is_refused(content):
    FILE.write_bytes(content)
    with pytest.raises(ValueError, match=r"not in ECSV format; save_spectrum=true .* writes one"):
        read_spectrum(FILE)


@pytest.mark.parametrize("content", [b"# %ECSV 1.0\n", b"# %ECSV 1.0\n# ---\n# {\na\n"])
def test_half_a_table_is_refused(content):
    FILE.write_bytes(content)
    with pytest.raises(ValueError, match=f"{FILE} is not a noise spectrum"):
        read_spectrum(FILE)


def assert_is_picture(path):
    picture = matplotlib.image.imread(path)
    assert min(picture.shape[:2]) > 300
    assert picture.std() > 0.05


def test_command_draws_beside_the_file(file, capsys):
    assert main(["spectrum", str(file)]) == 0
    assert capsys.readouterr().out == "x_flicker_spectrum.png\n"
    assert_is_picture("x_flicker_spectrum.png")


def test_command_draws_where_it_is_told(file):
    assert main(["spectrum", str(file), "--output", "mine.png"]) == 0
    assert sorted(path.name for path in Path().iterdir()) == ["mine.png", file.name]


@pytest.mark.parametrize(
    "changes", [{"common": np.zeros(30)}, {"white": 0.0}, {"per_output": np.ones(30)}]
)
def test_pictures_of_spectra_without_something(changes):
    spectrum = NoiseSpectrum(**{**vars(SPECTRUM), **changes})
    write_spectrum(spectrum, FILE, meta={})
    assert main(["spectrum", str(FILE)]) == 0
    assert_is_picture(FILE.with_suffix(".png"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.ecsv"], "spectrum file none.ecsv does not exist"),
        (["."], "spectrum file . does not exist"),
        (["text.ecsv"], "text.ecsv is not a noise spectrum: it is not in ECSV format"),
        ([str(FILE), "--output=below/x.png"], "below/x.png"),
        ([str(FILE), "--output=x.doc"], "'doc' is not supported"),
    ],
)
def test_command_says_what_is_wrong(words, message, file, capsys):
    Path("text.ecsv").write_text("frequency common\n1 2\n")
    before = sorted(Path().iterdir())
    assert main(["spectrum", *words]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("deflicker: ")
    assert message in said.err
    assert not said.out
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("words", [[], ["--seed=3"], ["stray", str(FILE)]])
def test_wrong_words(words, capsys):
    with pytest.raises(SystemExit) as done:
        main(["spectrum", str(FILE), *words] if words else ["spectrum"])
    assert done.value.code == 2
    assert "usage: deflicker spectrum" in capsys.readouterr().err


def test_command_without_matplotlib(file, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "deflicker.cli.figures", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["spectrum", str(file)]) == 1
    assert 'python -m pip install "deflicker[plots]"' in capsys.readouterr().err


def test_command_needs_no_data_models(file):
    code = (
        "import sys; from deflicker.cli.main import main; "
        f"main(['spectrum', '{file}']); print('stdatamodels' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["x_flicker_spectrum.png", "False"]


def test_product_of_the_step(ramp_file, small_nircam):
    options = CleanOptions(fit_method="wiener")
    expected = clean_exposure(exposure_of(small_nircam), options).spectrum
    with wiener(ramp_file, output_dir="below") as cleaned:
        history = "".join(entry["description"] for entry in cleaned._asdf["history"]["entries"])
    assert "save_spectrum=True" in history
    (path,) = Path("below").iterdir()
    assert path.name == "jw00001_nrca1_flicker_spectrum.ecsv"
    meta = assert_holds(path, expected, "DN")
    assert meta["filename"] == ramp_file.name
    assert meta["detector"] == "NRCA1"
    assert meta["history"] == history


def test_product_of_rates_has_their_unit(small_nircam):
    rate = np.diff(small_nircam.data[0], axis=0).mean(axis=0) / 10
    with model_from_simulation(small_nircam) as ramp, datamodels.ImageModel(data=rate) as image:
        image.update(ramp)
        image.dq = small_nircam.pixel_dq.copy()
        image.meta.filename = "x_rate.fits"
        wiener(image).close()
    table = read_spectrum(FILE)
    assert table["white"].unit == (units.DN / units.s) ** 2
    # The white noise of a rate is that of two reads and of the sky's photons, over the time.
    scenario = small_nircam.scenario
    expected = np.sqrt(rate_variance(scenario, scenario.sky * scenario.group_time)) / 10
    assert np.sqrt(table["white"][0].value) == pytest.approx(expected, rel=0.2)


def test_a_folder_for_the_product_is_looked_at_first(ramp_file):
    Path("occupied").touch()
    with pytest.raises(OSError, match="cannot be written"):
        wiener(ramp_file, output_dir="occupied")


def test_nothing_is_saved_unless_asked(ramp_file):
    with CleanFlickerNoiseStep.call(ramp_file, fit_method="wiener") as cleaned:
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
    assert list(Path().iterdir()) == [ramp_file.relative_to(Path.cwd())]


def test_only_wiener_measures_a_spectrum(ramp_file, caplog):
    with (
        caplog.at_level(logging.WARNING),
        CleanFlickerNoiseStep.call(ramp_file, fit_method="median", save_spectrum=True) as cleaned,
    ):
        assert cleaned.meta.cal_step.clean_flicker_noise == "COMPLETE"
    assert caplog.text.count("save_spectrum is ignored") == 1
    assert not list(Path().glob("*.ecsv"))
