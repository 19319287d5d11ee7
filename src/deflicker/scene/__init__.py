"""Separation of light and background in images: masks, sources, regions, sky maps."""

from deflicker.scene.background import BoxBackground, model_background
from deflicker.scene.draft_masks import MaskMaker
from deflicker.scene.mask import scene_mask
from deflicker.scene.regions import ifu_slices, slit_footprints
from deflicker.scene.sources import find_sources, sky_map
from deflicker.scene.traces import Trace, trace_centres, trace_region

__all__ = [
    "BoxBackground",
    "MaskMaker",
    "Trace",
    "find_sources",
    "ifu_slices",
    "model_background",
    "scene_mask",
    "sky_map",
    "slit_footprints",
    "trace_centres",
    "trace_region",
]
