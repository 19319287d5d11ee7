"""Steps of other packages."""

import logging

from stdatamodels.jwst import datamodels
from stpipe import Step

from deflicker.mission.other_steps import run_step


def test_the_step_of_another_package_does_not_silence_the_process(caplog):
    heard = []

    class Other(Step):
        class_alias = "other"
        spec = "output_ext = string(default='.fits')"

        def process(self, model):
            heard.append(logging.root.manager.disable)
            return model

    with caplog.at_level(logging.INFO), datamodels.ImageModel((2, 2)) as model:
        run_step(Other, model)
        logging.getLogger("somebody").info("hello")
    assert heard == [logging.NOTSET]
    assert "hello" in caplog.messages
