"""Background of time series: the template that all integrations share."""

from deflicker.series.brightness import Brightness
from deflicker.series.median_image import series_template
from deflicker.series.stable_scene import Series
from deflicker.series.template import Template, make_template
from deflicker.series.template_noise import light_free_levels, remove_template_noise
from deflicker.series.tuning import SeriesTuning

__all__ = [
    "Brightness",
    "Series",
    "SeriesTuning",
    "Template",
    "light_free_levels",
    "make_template",
    "remove_template_noise",
    "series_template",
]
