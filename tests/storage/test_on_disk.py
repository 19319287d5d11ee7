"""Ramps that stay on disk: the output is that of a run in memory, byte for byte."""

import gzip
import logging
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from deflicker import CleanFlickerNoiseStep
from deflicker.models.exposure import model_from_simulation
from deflicker.models.files import read_crds_parameters, write_whole
from deflicker.models.history import history_text
from deflicker.simulation.exposures import EXPOSURES, simulate
from deflicker.storage import on_disk
from deflicker.storage.on_disk import can_stay_on_disk, map_in_place, open_on_disk
from deflicker.storage.stored_array import Placeholder, StoredArray

SERIES = {
    "nircam": replace(EXPOSURES["nircam"], shape=(64, 256), n_stars=50, n_integrations=3),
    "niriss": replace(
        EXPOSURES["niriss"], shape=(128, 64), n_stars=50, n_integrations=2, n_groups=4
    ),
    "bots": replace(EXPOSURES["nirspec-bots"], shape=(32, 256), n_integrations=3),
}
NAME = "jw1_ramp.fits"
EDGE = 50_000
CLEANED = "jw1_clean_flicker_noise.fits"


@pytest.fixture(params=list(SERIES))
def series(request, tmp_path):
    return write(SERIES[request.param], tmp_path)


@pytest.fixture
def nircam(tmp_path):
    return write(SERIES["nircam"], tmp_path)


def write(scenario, folder):
    with model_from_simulation(simulate(scenario, seed=5)) as model:
        model.add_history_entry("made by hand")
        model.zeroframe = model.data[:, 0].copy()
        model.save(str(folder / NAME))
    return folder / NAME


def clean(path, folder, limit, **parameters):
    folder.mkdir(exist_ok=True)
    return CleanFlickerNoiseStep.call(
        path, save_results=True, output_dir=str(folder), memory_limit=limit, **parameters
    )


def timeless(path):
    """Bytes of a file, without times and without the hash that depends on them."""
    content = path.read_bytes()
    varying = rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?|[0-9a-f]{64}"
    headers, asdf = content[:EDGE], content[-EDGE:]
    return re.sub(varying, b"", headers), content[EDGE:-EDGE], re.sub(varying, b"", asdf)


def same_files(first, second):
    names = sorted(path.name for path in first.iterdir())
    assert names
    assert names == sorted(path.name for path in second.iterdir())
    for name in names:
        # Not in one assertion: pytest would explain a difference for minutes.
        same = timeless(first / name) == timeless(second / name)
        assert same, name
    return names


def test_a_model_is_written_as_ever(series, tmp_path):
    expected, found = tmp_path / "a", tmp_path / "b"
    for folder in (expected, found):
        folder.mkdir()
    with datamodels.open(series) as model:
        model.save(str(expected / NAME))
    model = open_on_disk(series)
    assert isinstance(model.data, Placeholder)
    assert isinstance(model.zeroframe, Placeholder)
    write_whole(model, found / NAME)
    same_files(expected, found)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"fit_by_channel": True, "single_mask": False, "maximum_cores": "none"},
        {"background_method": "model", "save_mask": True, "save_background": True},
        {"save_noise": True, "n_sigma": 0},
        {"single_mask": False, "save_mask": True, "save_noise": True},
        {"fit_method": "wiener", "save_background": True, "save_noise": True},
        {"background_method": "median_image", "save_background": True, "save_template": True},
    ],
    ids=str,
)
def test_output_and_products_are_those_of_memory(series, tmp_path, parameters, caplog):
    method = "fft" if SERIES["bots"].shape == fits.getdata(series).shape[-2:] else "median"
    parameters = {"fit_method": method, **parameters}
    with caplog.at_level(logging.INFO):
        clean(series, tmp_path / "memory", "none", **parameters)
        assert "stays on disk" not in caplog.text
        clean(series, tmp_path / "disk", "10 kB", **parameters)
    assert "stays on disk" in caplog.text
    names = same_files(tmp_path / "memory", tmp_path / "disk")
    assert fits.getheader(tmp_path / "disk" / CLEANED)["S_CLNFNS"] == "COMPLETE"
    assert len(names) == 1 + sum(key.startswith("save_") for key in parameters)


@pytest.mark.parametrize(("expected", "lengths"), [("", 4), ("x" * 6000, 1)])
def test_a_longer_or_shorter_header_moves_the_data(
    nircam, tmp_path, monkeypatch, expected, lengths
):
    monkeypatch.setattr("deflicker.mission.cleaning_run.expected_result", lambda _: None)
    monkeypatch.setattr(
        "deflicker.mission.cleaning_run.history_text",
        lambda result, **options: history_text(result, **options) if result else expected,
    )
    moves = []
    move = on_disk._move
    monkeypatch.setattr(
        on_disk, "_move", lambda *args: moves.append(args[2] - args[1].offset) or move(*args)
    )
    # A header of 36 cards more is a block longer: at some of these lengths the history's
    # own cards go over the edge.
    for _ in range(lengths):
        with open_on_disk(nircam) as model:
            for number in range(9):
                model.add_history_entry(str(number))
            write_whole(model, nircam)
        clean(nircam, tmp_path / "memory", "none")
        clean(nircam, tmp_path / "disk", "10 kB")
        same_files(tmp_path / "memory", tmp_path / "disk")
    assert any(moves)
    assert (min(moves) < 0) == bool(expected)


def test_the_result_is_mapped_and_what_is_done_to_it_stays_in_memory(nircam, tmp_path):
    with clean(nircam, tmp_path / "disk", "10 kB") as result:
        before = (tmp_path / "disk" / CLEANED).read_bytes()
        assert isinstance(result.data, np.memmap)
        with fits.open(tmp_path / "disk" / CLEANED) as written:
            np.testing.assert_array_equal(result.data, written["SCI"].data)
            np.testing.assert_array_equal(result.groupdq, written["GROUPDQ"].data)
        result.data += 1
        assert (tmp_path / "disk" / CLEANED).read_bytes() == before
    assert not list(tmp_path.rglob(".deflicker-*"))


@pytest.mark.parametrize("modes", [("c",), ("c", "r")])
def test_no_room_for_the_result(nircam, monkeypatch, caplog, modes):
    """Copies on write count as memory, reading does not; and there may be no room at all."""
    model = open_on_disk(nircam)
    real = np.memmap

    def full(*args, mode, **options):
        if mode in modes:
            raise OSError(12, "Cannot allocate memory")
        return real(*args, mode=mode, **options)

    monkeypatch.setattr(np, "memmap", full)
    map_in_place(model)
    if modes == ("c",):
        assert not model.data.flags.writeable
        np.testing.assert_array_equal(model.data, fits.getdata(nircam, "SCI"))
    else:
        assert model.data is None
        assert "no room for data" in caplog.text


def test_all_arrays_of_the_result_are_those_of_the_output(nircam, tmp_path):
    with clean(nircam, tmp_path / "disk", "10 kB") as result:
        expected = {name: np.array(fits.getdata(nircam, name)) for name in ("GROUPDQ", "ZEROFRAME")}
        nircam.write_bytes(b"")
        np.testing.assert_array_equal(result.groupdq, expected["GROUPDQ"])
        np.testing.assert_array_equal(result.zeroframe, expected["ZEROFRAME"])


def test_a_step_that_has_run_keeps_nothing(nircam, tmp_path):
    step = CleanFlickerNoiseStep(memory_limit="10 kB", save_results=True, output_dir=str(tmp_path))
    step.run(nircam).close()
    with step.process(nircam) as again:
        assert type(again.data) is np.ndarray
        np.testing.assert_array_equal(again.data, fits.getdata(tmp_path / CLEANED, "SCI"))
    assert not list(tmp_path.glob(".deflicker-*"))


@pytest.mark.parametrize(
    ("parameters", "status"),
    [({"fit_method": "fft"}, "SKIPPED"), ({"user_mask": "nowhere.fits"}, "FAILED")],
)
def test_data_of_a_failure_are_the_inputs(nircam, tmp_path, parameters, status):
    clean(nircam, tmp_path / "memory", "none", **parameters)
    clean(nircam, tmp_path / "disk", "10 kB", **parameters)
    same_files(tmp_path / "memory", tmp_path / "disk")
    with fits.open(nircam) as given, fits.open(tmp_path / "disk" / CLEANED) as written:
        assert written[0].header["S_CLNFNS"] == status
        assert given["SCI"].data.tobytes() == written["SCI"].data.tobytes()


def test_a_failure_after_the_last_write_leaves_the_inputs_data(nircam, tmp_path):
    """With the user's mask, all differences turn out to be unusable only in the end."""
    with datamodels.open(nircam) as model:
        model.groupdq[:] = 1
        model.save(str(nircam))
        datamodels.ImageModel(data=np.ones(model.data.shape[-2:], np.float32)).save("mask.fits")
    clean(nircam, tmp_path / "memory", "none", user_mask="mask.fits")
    clean(nircam, tmp_path / "disk", "10 kB", user_mask="mask.fits")
    same_files(tmp_path / "memory", tmp_path / "disk")
    with fits.open(nircam) as given, fits.open(tmp_path / "disk" / CLEANED) as written:
        assert written[0].header["S_CLNFNS"] == "SKIPPED"
        assert given["SCI"].data.tobytes() == written["SCI"].data.tobytes()


def test_an_interruption_leaves_nothing_and_the_old_file_whole(nircam, tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / CLEANED).write_text("old")

    def stop(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("deflicker.cleaning.groups._Writer.write", stop)
    with pytest.raises(KeyboardInterrupt):
        clean(nircam, tmp_path / "disk", "10 kB")
    assert [path.name for path in (tmp_path / "disk").iterdir()] == [CLEANED]
    assert (tmp_path / "disk" / CLEANED).read_text() == "old"


def test_a_full_disk_is_an_error_and_leaves_nothing(nircam, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        clean(nircam, tmp_path / "disk", "10 kB")
    assert not list((tmp_path / "disk").iterdir())


@pytest.mark.parametrize(
    "parameters", [{"save_results": False}, {"post_hooks": [CleanFlickerNoiseStep]}]
)
def test_stays_in_memory_where_somebody_else_has_the_arrays(nircam, caplog, parameters):
    options = {"save_results": True, "memory_limit": "10 kB", **parameters}
    with caplog.at_level(logging.INFO), CleanFlickerNoiseStep.call(nircam, **options) as result:
        assert not isinstance(result.data, Placeholder)
        assert np.any(result.data)
    assert "stays on disk" not in caplog.text


def change_nothing(path):
    pass


def compress(path):
    path.with_suffix(".fits.gz").write_bytes(gzip.compress(path.read_bytes()))
    return path.with_suffix(".fits.gz")


def without_group_dq(path):
    with fits.open(path, mode="update") as hdulist:
        del hdulist["GROUPDQ"]


def in_double_precision(path):
    with fits.open(path, mode="update") as hdulist:
        hdulist["SCI"].data = hdulist["SCI"].data.astype(">f8")


def of_another_model(path):
    fits.setval(path, "DATAMODL", value="Level1bModel")


def not_fits(path):
    path.write_text("nothing")


def compress_under_the_same_name(path):
    path.write_bytes(gzip.compress(path.read_bytes()))


def compress_tiles(path):
    with fits.open(path) as hdulist:
        science = hdulist["SCI"]
        hdulist["SCI"] = fits.CompImageHDU(science.data, science.header, compression_type="GZIP_1")
        hdulist.writeto(path, overwrite=True)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (change_nothing, True),
        (compress, False),
        (without_group_dq, False),
        (in_double_precision, False),
        (of_another_model, False),
        (not_fits, False),
        (compress_under_the_same_name, False),
        (compress_tiles, False),
    ],
)
def test_which_files_can_stay_on_disk(nircam, change, expected):
    assert can_stay_on_disk(change(nircam) or nircam) is expected


@pytest.mark.parametrize("missing", [100, 30_000, 400_000])
def test_a_truncated_file_is_the_same_error(nircam, tmp_path, missing):
    nircam.write_bytes(nircam.read_bytes()[:-missing])
    reasons = []
    for limit in ("none", "10 kB"):
        with pytest.raises(OSError, match="cannot be read as a JWST data model") as caught:
            clean(nircam, tmp_path / "disk", limit)
        reasons.append(str(caught.value))
    assert reasons[0] == reasons[1]


def test_parameters_for_crds_are_read_without_the_arrays(nircam, monkeypatch):
    with fits.open(nircam) as hdulist:
        del hdulist["ASDF"]
        hdulist.writeto(nircam, overwrite=True)
    monkeypatch.setattr("deflicker.models.files.datamodels.open", None)
    assert read_crds_parameters(nircam)["meta.instrument.name"] == "NIRCAM"


def test_a_frame_of_another_type_is_read(nircam, tmp_path):
    """Placeholders of a type that the model converts would become zeros."""
    with fits.open(nircam) as hdulist:
        zeroframe = hdulist["ZEROFRAME"].data.astype(">f8")
        hdulist["ZEROFRAME"].data = zeroframe
        hdulist.writeto(nircam, overwrite=True)
    clean(nircam, tmp_path / "memory", "none")
    clean(nircam, tmp_path / "disk", "10 kB")
    same_files(tmp_path / "memory", tmp_path / "disk")
    np.testing.assert_array_equal(fits.getdata(tmp_path / "disk" / CLEANED, "ZEROFRAME"), zeroframe)


def test_flat_field_and_background(nircam, tmp_path):
    shape = fits.getdata(nircam, "SCI").shape[-2:]
    flat = np.linspace(0.8, 1.2, np.prod(shape), dtype=np.float32).reshape(shape)
    datamodels.FlatModel(data=flat).save("flat.fits")
    options = {"apply_flat_field": True, "override_flat": "flat.fits", "save_background": True}
    clean(nircam, tmp_path / "memory", "none", **options)
    clean(nircam, tmp_path / "disk", "10 kB", **options)
    assert len(same_files(tmp_path / "memory", tmp_path / "disk")) == 2


def test_stored_arrays_give_integrations(tmp_path, rng):
    values = rng.normal(size=(3, 2, 5, 7)).astype(">f4")
    path = tmp_path / "array"
    path.write_bytes(b"head" + values.tobytes())
    stored = StoredArray(path, offset=4, shape=values.shape, dtype=">f4")
    for number, expected in enumerate(values):
        np.testing.assert_array_equal(stored[number], expected)
    with pytest.raises(IndexError, match="integration 3 of 3"):
        stored[3]
    with pytest.raises(ValueError, match="read-only"):
        stored[0][0, 0, 0] = 1


UNDER_A_LIMIT = """
import resource, sys
import psutil
from deflicker import CleanFlickerNoiseStep
from deflicker.storage import on_disk
import scipy.sparse, scipy.ndimage
room = psutil.Process().memory_info().vms + 90_000_000
resource.setrlimit(resource.RLIMIT_AS, (room, room))
CleanFlickerNoiseStep.call(
    sys.argv[1],
    fit_method="median",
    save_results=True,
    output_dir=sys.argv[2],
    memory_limit=sys.argv[3],
    maximum_cores=1,
)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space")
def test_a_file_three_times_as_large_as_the_address_space(tmp_path):
    scenario = replace(EXPOSURES["nircam"], shape=(512, 1024), n_stars=500)
    simulated = simulate(scenario, seed=5)
    many = {name: np.tile(getattr(simulated, name), (24, 1, 1, 1)) for name in ("data", "group_dq")}
    path = tmp_path / NAME
    with model_from_simulation(replace(simulated, **many)) as model:
        model.save(str(path))
    assert path.stat().st_size > 3 * 90_000_000
    for limit in ("none", "half"):
        (tmp_path / limit).mkdir()

    def limited(limit):
        command = [sys.executable, "-c", UNDER_A_LIMIT, str(path), str(tmp_path / limit), limit]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    in_memory, on_disk = limited("none"), limited("half")
    assert in_memory.returncode
    assert "memory" in in_memory.stderr.lower()
    assert not list((tmp_path / "none").iterdir())
    assert on_disk.returncode == 0, on_disk.stderr
    clean(path, tmp_path / "none", "none", maximum_cores="1", fit_method="median")
    same_files(tmp_path / "none", tmp_path / "half")
    assert fits.getheader(tmp_path / "half" / CLEANED)["S_CLNFNS"] == "COMPLETE"


def test_an_integration_that_is_in_use_is_mapped_once(tmp_path):
    # Each map takes the address space of a whole integration, and threads look at it together.
    path = tmp_path / "array"
    path.write_bytes(np.arange(24, dtype=np.float32).tobytes())
    stored = StoredArray(path, offset=0, shape=(2, 3, 4), dtype=np.float32)
    first = stored[1]
    assert stored[1] is first
    assert stored[0] is not first
    np.testing.assert_array_equal(stored[0].ravel(), np.arange(12))
    np.testing.assert_array_equal(first[2], [20, 21, 22, 23])
