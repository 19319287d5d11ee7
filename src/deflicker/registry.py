"""What stpipe finds of this package; imports nothing."""

__all__ = ["get_steps"]


def get_steps() -> list[tuple[str, str, bool]]:
    """Steps of this package, for stpipe's entry point.

    Returns
    -------
    list of tuple
        Class name, alias, and whether it is a pipeline. The second alias is ours
        alone; jwst registers the first one too.
    """
    return [
        ("deflicker.step.CleanFlickerNoiseStep", "clean_flicker_noise", False),
        ("deflicker.step.CleanFlickerNoiseStep", "deflicker", False),
    ]
