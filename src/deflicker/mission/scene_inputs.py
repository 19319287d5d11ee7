"""Inputs of the scene mask: flat field, science regions, the user's mask."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stdatamodels.jwst import datamodels

from deflicker.errors import CannotClean
from deflicker.mission.names import given_path
from deflicker.mission.reference_lookup import look_up
from deflicker.mission.science_regions import science_regions
from deflicker.models.references import read_flat, read_user_mask
from deflicker.ramps.exposure import Exposure
from deflicker.scene.known_light import KnownLight

__all__ = ["SceneInputs", "SceneReader"]

log = logging.getLogger(__name__)

References = list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class SceneInputs:
    """Inputs of the scene mask.

    Parameters
    ----------
    flat : ndarray of float32, shape (ny, nx), or None
        Flat field.
    science : ndarray of bool, shape (ny, nx), or None
        True where science regions are to be masked.
    user_mask : ndarray of bool, shape (ny, nx) or (n_integrations, ny, nx), or None
        True where a pixel may be used.
    references : tuple of tuple
        Type and name of each reference file that was looked up.
    """

    flat: NDArray[np.float32] | None
    science: NDArray[np.bool_] | None
    user_mask: NDArray[np.bool_] | None
    references: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class SceneReader:
    """Reads the inputs of the scene mask that the parameters of a step ask for.

    Parameters
    ----------
    user_mask, scene_image, scene_wcs : str or None
        The parameters of the same names.
    mask_science_regions, apply_flat_field : bool
        The parameters of the same names.
    gives_flat : bool
        Whether the user gave a flat field.
    input_dir : str
        Folder in which the steps of other packages look for auxiliary files.
    find_file : callable
        Returns the path of a file that a parameter names, here or in the input folder.
    find_reference : callable
        Returns the path or open model of a reference file, and its name for headers, given an
        exposure and a type of reference file.
    """

    user_mask: str | None
    scene_image: str | None
    scene_wcs: str | None
    mask_science_regions: bool
    apply_flat_field: bool
    gives_flat: bool
    input_dir: str
    find_file: Callable[[str], str]
    find_reference: Callable[[datamodels.JwstDataModel, str], tuple[Any, str | None]]

    def read(self, model: datamodels.JwstDataModel, *, may_divide: bool = False) -> SceneInputs:
        """Read the inputs that the parameters ask for.

        Parameters
        ----------
        model : JwstDataModel
            The exposure.
        may_divide : bool, optional
            Whether to read a flat field without ``apply_flat_field`` too, if there is one.

        Returns
        -------
        SceneInputs
            The inputs.

        Raises
        ------
        CannotClean
            If an input that is needed is not available.
        """
        path = given_path(self.user_mask)
        user_mask = None if path is None else read_user_mask(self.find_file(path))
        if user_mask is not None and self.mask_science_regions:
            log.warning("user_mask is the whole mask: mask_science_regions is ignored")
        masks_regions = self.mask_science_regions and user_mask is None
        references: References = []
        flat, non_science = self._flat(
            model, references, for_regions=masks_regions, may_divide=may_divide
        )
        science = (
            self._science(model, references, non_science=non_science) if masks_regions else None
        )
        return SceneInputs(
            flat=flat, science=science, user_mask=user_mask, references=tuple(references)
        )

    def known(
        self,
        model: datamodels.JwstDataModel,
        exposure: Exposure,
        *,
        flat: NDArray[np.float32] | None = None,
        n_threads: int = 1,
    ) -> KnownLight | None:
        """Light of the exposure that ``scene_image`` shows.

        Parameters
        ----------
        model : JwstDataModel
            The exposure.
        exposure : Exposure
            Its arrays.
        flat : ndarray of float32, shape (ny, nx), optional
            Flat field by which the light is multiplied.
        n_threads : int, optional
            Threads to use.

        Returns
        -------
        KnownLight or None
            None if there is no such image, or it shows nothing that the exposure does.

        Raises
        ------
        CannotClean
            If a file cannot be used.
        """
        mosaic, wcs = given_path(self.scene_image), given_path(self.scene_wcs)
        if mosaic is None:
            return None
        from deflicker.mission.exposure_wcs import exposure_wcs
        from deflicker.mission.scene_image import known_light

        return known_light(
            model,
            exposure,
            mosaic=self.find_file(mosaic),
            find_wcs=partial(
                exposure_wcs,
                model,
                None if wcs is None else self.find_file(wcs),
                input_dir=self.input_dir,
            ),
            flat=flat,
            n_threads=n_threads,
        )

    def _look_up(
        self,
        model: datamodels.JwstDataModel,
        kind: str,
        references: References,
        *,
        parameter: str,
        optional: bool = False,
    ) -> Any:
        """Look up a reference file, and note its name for headers."""

        def find() -> Any:
            found, name = self.find_reference(model, kind)
            if name is not None:
                references.append((kind, name))
            return found

        return look_up(find, kind, parameter=parameter, optional=optional)

    def _flat(
        self,
        model: datamodels.JwstDataModel,
        references: References,
        *,
        for_regions: bool,
        may_divide: bool,
    ) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_] | None]:
        """Flat field and its non-science pixels, if a parameter asks for them."""
        for_mask = for_regions and model.meta.exposure.type.upper() == "MIR_IMAGE"
        asked = self.apply_flat_field or for_mask
        if not (asked or may_divide):
            return None, None
        parameter = "mask_science_regions" if for_mask else "apply_flat_field"
        try:
            flat = self._look_up(
                model,
                "flat",
                references,
                parameter=parameter if asked else "autoparam",
                optional=self.apply_flat_field and not for_mask,
            )
        except CannotClean as reason:
            if asked or self.gives_flat:
                raise
            log.info("autoparam goes without a flat field: %s", reason)
            return None, None
        return (None, None) if flat is None else read_flat(flat, model)

    def _science(
        self,
        model: datamodels.JwstDataModel,
        references: References,
        *,
        non_science: NDArray[np.bool_] | None,
    ) -> NDArray[np.bool_] | None:
        """Science regions of the exposure, from a reference file where they need one."""
        pastasoss = None
        if model.meta.exposure.type.upper() == "NIS_SOSS":
            pastasoss = self._look_up(
                model, "pastasoss", references, parameter="mask_science_regions"
            )
        return science_regions(
            model, non_science=non_science, pastasoss=pastasoss, input_dir=self.input_dir
        )
