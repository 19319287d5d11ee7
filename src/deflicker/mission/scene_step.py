"""A step that looks for what is known of the scene: flat field, science regions, user's mask."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from deflicker.errors import CannotClean
from deflicker.mission.host import MissionStep
from deflicker.models.footprints import science_regions
from deflicker.models.references import look_up, read_flat, read_user_mask

__all__ = ["SceneInputs", "SceneStep", "given_path"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SceneInputs:
    """What is known of a scene from elsewhere.

    Parameters
    ----------
    flat : ndarray of float32, shape (ny, nx), or None
        Flat field.
    science : ndarray of bool, shape (ny, nx), or None
        True where science regions are to be masked.
    user_mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx), or None
        True where a pixel may be used.
    """

    flat: NDArray[np.float32] | None
    science: NDArray[np.bool_] | None
    user_mask: NDArray[np.bool_] | None


def given_path(text: str | None) -> str | None:
    """Path in a parameter.

    Parameters
    ----------
    text : str or None
        Its value.

    Returns
    -------
    str or None
        None too for the text None in any case, and for nothing.
    """
    return None if text is None or text.strip().lower() in {"", "none"} else text


class SceneStep(MissionStep):
    """A step with parameters ``apply_flat_field``, ``mask_science_regions``, ``user_mask``.

    Parameters
    ----------
    *args, **parameters
        As in `stpipe.Step`.
    """

    reference_file_types: ClassVar = ["flat", "pastasoss"]
    text_parameters: ClassVar = (
        *MissionStep.text_parameters,
        "override_flat",
        "override_pastasoss",
        "user_mask",
    )

    def scene_inputs(
        self, model: datamodels.JwstDataModel, *, may_divide: bool = False
    ) -> SceneInputs:
        """Read what the parameters ask for.

        Parameters
        ----------
        model : JwstDataModel
            The exposure.
        may_divide : bool, optional
            Whether a flat field is of use without ``apply_flat_field``, if there is one.

        Returns
        -------
        SceneInputs
            What was found.

        Raises
        ------
        CannotClean
            If something that is needed cannot be had.
        """
        path = given_path(self.user_mask)
        user_mask = None if path is None else read_user_mask(self.existing_path(path))
        if user_mask is not None and self.mask_science_regions:
            log.warning("user_mask is the whole mask: mask_science_regions is ignored")
        masks_regions = self.mask_science_regions and user_mask is None
        flat, non_science = self._flat(model, for_regions=masks_regions, may_divide=may_divide)
        science = self._science(model, non_science=non_science) if masks_regions else None
        return SceneInputs(flat=flat, science=science, user_mask=user_mask)

    def existing_path(self, path: str) -> str:
        """Path of a file, here or in the input folder.

        Parameters
        ----------
        path : str
            As the user gave it.

        Returns
        -------
        str
            Where it is.
        """
        return path if Path(path).is_file() else self.make_input_path(path)

    def _flat(
        self, model: datamodels.JwstDataModel, *, for_regions: bool, may_divide: bool
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_] | None]:
        """Flat field and its non-science pixels, where a parameter asks for them."""
        for_mask = for_regions and model.meta.exposure.type.upper() == "MIR_IMAGE"
        asked = self.apply_flat_field or for_mask
        if not (asked or may_divide):
            return None, None
        parameter = "mask_science_regions" if for_mask else "apply_flat_field"
        try:
            flat = look_up(
                lambda: self.get_reference_file(model, "flat"),
                "flat",
                parameter=parameter if asked else "autoparam",
                optional=self.apply_flat_field and not for_mask,
            )
        except CannotClean as reason:
            if asked or self.override_flat is not None:
                raise
            log.info("autoparam goes without a flat field: %s", reason)
            return None, None
        return (None, None) if flat is None else read_flat(flat, model)

    def _science(
        self, model: datamodels.JwstDataModel, *, non_science: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_] | None:
        """Science regions of the exposure, with the reference file that they need."""
        pastasoss = None
        if model.meta.exposure.type.upper() == "NIS_SOSS":
            pastasoss = look_up(
                lambda: self.get_reference_file(model, "pastasoss"),
                "pastasoss",
                parameter="mask_science_regions",
            )
        folder = self.search_attr("input_dir", default="")
        return science_regions(
            model, non_science=non_science, pastasoss=pastasoss, input_dir=folder
        )
