"""Entry point through which stpipe finds the steps of this package; imports nothing heavy."""

from importlib.util import find_spec

__all__ = ["get_steps"]


def get_steps() -> list[tuple[str, str, bool]]:
    """Steps of this package, for stpipe's entry point.

    Returns
    -------
    list of tuple
        Class name, alias, and whether it is a pipeline. jwst registers the first alias too,
        but not the second. The pipeline is listed only if jwst is installed.
    """
    steps = [
        ("deflicker.step.CleanFlickerNoiseStep", "clean_flicker_noise", False),
        ("deflicker.step.CleanFlickerNoiseStep", "deflicker", False),
    ]
    if find_spec("jwst") is not None:
        steps.append(("deflicker.pipeline.Detector1Pipeline", "deflicker_detector1", True))
    return steps
