"""What is asked of stdatamodels beyond its documentation; it must hold for oldest and newest."""

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from deflicker.storage import stdatamodels_seam as seam
from deflicker.storage.fits_structure import check_file, hash_of_headers
from deflicker.storage.stored_array import Placeholder, StoredArray


@pytest.fixture
def ramp():
    with datamodels.RampModel(data=np.ones((1, 2, 4, 4), np.float32)) as model:
        model.meta.instrument.name = "NIRCAM"
        yield model


def test_the_file_is_that_of_saving(ramp, tmp_path):
    path = tmp_path / "x_ramp.fits"
    seam.update_before_writing(ramp, str(path))
    made = seam.as_written(ramp)
    made.writeto(path)
    with datamodels.open(path) as model:
        assert type(model) is datamodels.RampModel
        assert model.meta.instrument.name == "NIRCAM"
        assert model.meta.filename == path.name
        assert np.array_equal(model.data, ramp.data)
    names = [hdu.name for hdu in made]
    assert names == [hdu.name for hdu in seam.as_written(ramp, with_missing=False)]
    assert {"PRIMARY", "SCI", "ASDF"} <= set(names)


def test_arrays_of_a_file_are_not_copied(ramp):
    (science,) = (hdu for hdu in seam.as_written(ramp) if hdu.name == "SCI")
    assert np.shares_memory(science.data, ramp.data)


def test_a_placeholder_comes_back_as_it_is(ramp, tmp_path):
    """Neither a model nor what it would write makes a real array of it."""
    path = tmp_path / "stored"
    path.write_bytes(bytes(4 * 10**3 * 2 * 8 * 8))
    stored = StoredArray(path, offset=0, shape=(10**3, 2, 8, 8), dtype=">f4")
    ramp.data = Placeholder.of(stored)
    assert isinstance(seam.tree_of(ramp)["data"], Placeholder)
    (science,) = (hdu for hdu in seam.as_written(ramp) if hdu.name == "SCI")
    assert science.data.stored is stored


def test_cards_that_no_model_knows(ramp, tmp_path):
    assert seam.knows_keyword(ramp, "INSTRUME")
    assert not seam.knows_keyword(ramp, "MYWORD")
    seam.keep_card(ramp, "SCI", fits.Card("MYWORD", 5, "mine"))
    assert [list(card) for card in seam.kept_cards(ramp)] == [["MYWORD", 5, "mine"]]
    ramp.save(str(tmp_path / "x.fits"))
    assert fits.getval(tmp_path / "x.fits", "MYWORD", "SCI") == 5


def test_the_reader_trusts_a_tree_by_the_hash_of_the_headers(ramp, tmp_path):
    path = tmp_path / "x_ramp.fits"
    ramp.save(str(path))
    expected = hash_of_headers(check_file(path))
    with datamodels.open(path) as model:
        assert seam.trusted_hash(model) == expected
    with fits.open(path, mode="update") as hdulist:
        hdulist[0].header["INSTRUME"] = "NIRISS"
    with datamodels.open(path) as model:
        assert model.meta.instrument.name == "NIRISS"
        assert expected != hash_of_headers(check_file(path))


def test_lazy_arrays_of_asdf(ramp, tmp_path):
    path = tmp_path / "x_ramp.asdf"
    ramp.save(str(path))
    with datamodels.open(path) as model:
        assert seam.is_in_file(seam.tree_of(model)["data"])
    assert not seam.is_in_file(seam.tree_of(ramp)["data"])


def test_schemas_say_what_are_branches(ramp):
    properties = seam.schema_of(ramp)["properties"]
    assert properties["data"]["fits_hdu"] == "SCI"
    assert "properties" in properties["meta"]["properties"]["instrument"]
