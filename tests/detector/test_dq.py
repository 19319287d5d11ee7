import pytest
from stdatamodels.jwst.datamodels import dqflags

from deflicker.detector import dq


@pytest.mark.parametrize("name", dq.__all__)
def test_same_bits_as_the_pipeline(name):
    assert getattr(dq, name) == dqflags.pixel[name]


@pytest.mark.parametrize("name", ["DO_NOT_USE", "SATURATED", "JUMP_DET"])
def test_group_bits(name):
    assert getattr(dq, name) == dqflags.group[name]
