"""The benchmark of damaged inputs makes the damage that it reports, and detects damage."""

import signal
import time

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from benchmarks.faults.inputs import INPUTS, write_input
from benchmarks.faults.judge import find_damage
from benchmarks.faults.mutations import MUTATIONS, mutate
from benchmarks.faults.pool import run_all
from benchmarks.faults.raw import RawAsdf, RawFits
from benchmarks.faults.trial import Case, Trials
from deflicker import CleanFlickerNoiseStep

RAMP, ASDF = "nircam-extras", "window-asdf"


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """A ramp with all optional arrays and tables, and rates in an ASDF file."""
    folder = tmp_path_factory.mktemp("inputs")
    return {INPUTS[name].extension: write_input(name, folder) for name in (RAMP, ASDF)}


def test_files_are_taken_apart_and_put_together(contents):
    fits_file, asdf_file = (contents[name].read_bytes() for name in (".fits", ".asdf"))
    assert RawFits.read(fits_file).to_bytes() == fits_file
    assert RawAsdf.read(asdf_file).to_bytes() == asdf_file
    with fits.open(contents[".fits"]) as extensions:
        raw = RawFits.read(fits_file)
        assert raw.names() == [extension.name for extension in extensions]
        np.testing.assert_array_equal(raw["SCI"].array(), extensions["SCI"].data)


@pytest.mark.parametrize(
    ("extension", "kind"),
    [(extension, kind) for extension in MUTATIONS for kind in MUTATIONS[extension]],
)
def test_the_seed_decides_the_damage(contents, extension, kind):
    original = contents[extension].read_bytes()
    made = [
        [
            mutate(np.random.default_rng(seed), original, extension, kinds=[kind])
            for seed in range(8)
        ]
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert {name for _, name, _ in made[0]} == {kind}
    changed = sum(content != original for content, _, _ in made[0])
    assert changed == 0 if kind == "nothing" else changed >= 6


def test_readers_see_the_window_that_was_cut(contents):
    original = contents[".fits"].read_bytes()
    shapes = set()
    for seed in range(20):
        content, _, what = mutate(np.random.default_rng(seed), original, ".fits", kinds=["shape"])
        if "rows and" in what:
            rows, columns = (int(word) for word in what.split() if word.isdigit())
            with fits.HDUList.fromstring(content) as extensions:
                shapes = {
                    extension.shape[-2:]
                    for extension in extensions
                    if extension.is_image and extension.shape
                }
            assert shapes == {(rows, columns)}
    assert shapes


@pytest.fixture(scope="module")
def cleaned(contents, tmp_path_factory):
    """Folder with the output of a run on the ramp."""
    folder = tmp_path_factory.mktemp("out")
    CleanFlickerNoiseStep.call(
        str(contents[".fits"]), save_results=True, output_dir=str(folder), configure_log=False
    ).close()
    return next(folder.glob("*.fits"))


def put_nan(extensions):
    extensions["SCI"].data[0, 1, 20, 30] = np.nan


def add_noise(extensions):
    rng = np.random.default_rng(1)
    extensions["SCI"].data[0, 1] += rng.normal(scale=60, size=extensions["SCI"].shape[-2:])


def take_all(extensions):
    extensions["SCI"].data[0, 1, 20, 30] -= 1e7


def flag(extensions):
    extensions["GROUPDQ"].data[0, 0, 20, 30] ^= 128


def lose_table(extensions):
    del extensions["GROUP"]


def change_table(extensions):
    extensions["INT_TIMES"].data["int_mid_MJD_UTC"][1] += 1


def lose_keyword(extensions):
    del extensions[0].header["TARGPROP"]


def lie(extensions):
    extensions[0].header["S_CLNFNS"] = "SKIPPED"


def change_nothing(extensions):
    pass


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (change_nothing, None),
        (put_nan, "finite no more"),
        (add_noise, "more variance"),
        (take_all, "more"),
        (flag, "GROUPDQ: changed"),
        (lose_table, "GROUP: lost"),
        (change_table, "INT_TIMES: changed"),
        (lose_keyword, "keyword lost"),
        (lie, "another status"),
    ],
)
def test_damage_is_found(contents, cleaned, tmp_path, change, kind):
    with fits.open(cleaned, memmap=False) as extensions:
        change(extensions)
        extensions.writeto(tmp_path / cleaned.name)
    with datamodels.open(cleaned) as model:
        if change in (put_nan, add_noise, take_all):
            model.data = fits.getdata(tmp_path / cleaned.name, "SCI")
        found = find_damage(contents[".fits"], tmp_path / cleaned.name, model)
    assert [damage.kind[: len(kind)] for damage in found] == [kind] if kind else found == []


def test_a_torn_output_is_found(contents, cleaned, tmp_path):
    (tmp_path / cleaned.name).write_bytes(cleaned.read_bytes()[:-5000])
    with datamodels.open(cleaned) as model:
        found = find_damage(contents[".fits"], tmp_path / cleaned.name, model)
    assert [damage.kind for damage in found] == ["the output cannot be read"]


@pytest.mark.parametrize(("share", "result"), [(1.0, "COMPLETE"), (0.6, "refused")])
def test_trials_tell_how_the_step_ended(contents, tmp_path, monkeypatch, share, result):
    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
    content = contents[".fits"].read_bytes()
    content = content[: int(share * len(content))]
    case = Case(number=1, source=RAMP, kind="cut", what="", content=content, parameters={})
    outcome = Trials(seed=1, room=tmp_path, inputs=tmp_path).run(case)
    assert (outcome.result, outcome.group) == (result, "")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("share", "result"), [(1.0, "COMPLETE"), (0.6, "refused")])
def test_segments_of_a_series_are_run_together(contents, tmp_path, monkeypatch, share, result):
    """Two integrations are too few for a template; together the two files have four."""
    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")
    content = contents[".fits"].read_bytes()
    following = content.replace(b"jw01234001001", b"jw01234001002")
    case = Case(
        number=1,
        source=RAMP,
        kind="cut",
        what="",
        content=content[: int(share * len(content))],
        parameters={"background_method": "median_image"},
        next_segment=following,
    )
    outcome = Trials(seed=1, room=tmp_path, inputs=tmp_path).run(case)
    assert (outcome.result, outcome.group) == (result, "")


def test_trials_that_hang_or_die_are_told_and_the_others_go_on():
    answers = run_all(time.sleep, [0, 1000, 0], jobs=1, time_limit=1.0)
    assert list(answers) == [(0, None), (1000, "hang"), (0, None)]
    answers = dict(
        run_all(
            signal.raise_signal,
            [signal.SIGKILL, 0],
            jobs=1,
            time_limit=60.0,
        )
    )
    assert answers[signal.SIGKILL] == "crash SIGKILL"
