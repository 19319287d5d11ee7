"""All parameters of the step in one table: source of the specification, the checks and the docs."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

__all__ = ["PARAMETERS", "Parameter", "specification", "table_of_parameters"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of the step.

    Parameters
    ----------
    name : str
        Name of the parameter.
    kind : str
        Kind of value as in stpipe's specifications, or ``reference`` for a parameter that
        stpipe creates for each type of reference file.
    default : object
        Value if the user gives none.
    comment : str
        One line for parameter files and ``strun --help``.
    meaning : str
        For the docs, in reStructuredText.
    shown : str, optional
        Kind and default as the docs show them; made from ``kind`` and ``default`` by default.
    choices : tuple, optional
        Values that are allowed; by default all values of the kind.
    limits : str, optional
        Limits as written in stpipe's specifications.
    least : float, optional
        Smallest value that a number may have.
    """

    name: str
    kind: str
    default: Any
    comment: str = ""
    meaning: str
    shown: str = ""
    choices: tuple[str | None, ...] = ()
    limits: str = ""
    least: float | None = None

    def check(self, value: Any) -> None:
        """Refuse a value that is not allowed.

        Parameters
        ----------
        value : object
            Value of the parameter.

        Raises
        ------
        ValueError
            If the value is not allowed; the message gives the parameter, its value and the
            allowed values.
        """
        if self.choices and value not in self.choices:
            choices = ", ".join(str(choice) for choice in self.choices)
            msg = f"{self.name} must be one of {choices}, not {value!r}"
            raise ValueError(msg)
        if self.least is not None and not (math.isfinite(value) and value >= self.least):
            msg = f"{self.name} must be a finite number, {self.least:g} or larger, not {value}"
            raise ValueError(msg)


_TABLE: Final = (
    Parameter(
        name="autoparam",
        kind="boolean",
        default=False,
        comment="Choose background_method, fit_by_channel, apply_flat_field from the data",
        meaning=(
            "choose ``background_method``, ``fit_by_channel`` and ``apply_flat_field`` from the "
            "data (:ref:`autoparam`) for the ``median`` noise of NIRCam and NIRISS images "
            "(reported and ignored for others). Parameters that were set by keyword or on the "
            "command line of ``strun`` are kept, and so are parameters that a parameter file, a "
            "pipeline or an attribute of the step sets to a value other than the default (files "
            "list all parameters). Without CRDS, or if CRDS has no flat field, none is used. The "
            "log gives the choice and its numbers, HISTORY the parameters that were used"
        ),
    ),
    Parameter(
        name="fit_method",
        kind="option",
        default="auto",
        choices=("auto", "median", "fft", "wiener"),
        comment="Noise model; auto: the best one for the exposure",
        shown="``auto``, ``median``, ``fft``, ``wiener``; ``auto``",
        meaning=(
            "noise model; ``fft`` is for NIRSpec, ``wiener`` (:doc:`wiener`) for all instruments "
            "but MIRI; other exposures are ``SKIPPED``. ``auto`` takes ``wiener``, but ``median`` "
            "for MIRI and with ``median_image``; the log and HISTORY name the method"
        ),
    ),
    Parameter(
        name="fit_by_channel",
        kind="boolean",
        default=False,
        comment="Fit each detector output (amplifier channel) separately",
        meaning=(
            "fit each detector output (amplifier channel) separately; reported and ignored if "
            "there is only one output, and with ``fft`` and ``wiener``"
        ),
    ),
    Parameter(
        name="background_method",
        kind="option",
        default="median",
        choices=("median", "model", "median_image", None),
        comment="Background to remove before the fit",
        shown="``median``, ``model``, ``median_image``, None; ``median``",
        meaning=(
            "background that is subtracted before the fit and added again after it; "
            "``median_image``: the median of a series, see :doc:`series`. ``wiener`` fits a sky "
            "together with the noise, unless this is None"
        ),
    ),
    Parameter(
        name="background_box_size",
        kind="int_list",
        default=None,
        limits="min=2, max=2",
        comment="Box of the model background: rows, columns",
        shown="two ints, None",
        meaning=(
            "rows and columns of a box of the ``model`` background (reported and ignored for "
            "other backgrounds); None: the largest size up to 32 that divides the image"
        ),
    ),
    Parameter(
        name="mask_science_regions",
        kind="boolean",
        default=False,
        comment="Mask known science regions",
        meaning=(
            "mask non-science pixels of MIRI images (from the flat field), the traces of NIRISS "
            "SOSS (from the PASTASOSS reference file), and the slices or slits of NIRSpec from "
            "the WCS, with failed-open shutters and the fixed-slit region where they apply; an "
            "input without WCS needs the extra ``deflicker[jwst]``, or is ``FAILED``. Reported "
            "and ignored for other modes"
        ),
    ),
    Parameter(
        name="apply_flat_field",
        kind="boolean",
        default=False,
        comment="Divide by the flat before fitting and multiply it back",
        meaning="divide by the flat field before the fit, and multiply the fitted noise by it",
    ),
    Parameter(
        name="n_sigma",
        kind="float",
        default=2.0,
        least=0,
        comment="Clipping level for signal; 0: no outlier rejection",
        meaning=(
            "clipping level for signal; 0 turns the rejection of outliers off. For windows of "
            "sub-arrays (``fft``) a difference is clipped at 3 sigma at least; ``wiener`` masks "
            "sources beyond 1.4 times this level"
        ),
    ),
    Parameter(
        name="fit_histogram",
        kind="boolean",
        default=False,
        comment="Fit a Gaussian to a histogram for centre and sigma",
        meaning=(
            "take centre and sigma of the scene mask from a Gaussian fitted to a histogram; "
            "reported and ignored with ``wiener``"
        ),
    ),
    Parameter(
        name="guard_light",
        kind="boolean",
        default=True,
        comment="Leave alone what all differences share beyond their noise: it is light",
        meaning=(
            "leave alone what the fits of all differences have in common beyond what their noise "
            "can have: it is light (:ref:`guard`). The log and HISTORY tell what was found"
        ),
    ),
    Parameter(
        name="single_mask",
        kind="boolean",
        default=True,
        comment="One scene mask, or one for each integration",
        meaning=(
            "one mask from the combined rate (True), or one for each integration (False); "
            "``wiener`` always makes one, and reports that False is ignored"
        ),
    ),
    Parameter(
        name="user_mask",
        kind="string",
        default=None,
        comment="File of the mask to use; True (1): use the pixel",
        meaning=(
            "file (``ImageModel`` or ``CubeModel``) of the mask to use; the pixel is used where "
            "it is not zero. The text ``None``, in upper or lower case, means None"
        ),
    ),
    Parameter(
        name="scene_image",
        kind="string",
        default=None,
        comment="Image of the field from other exposures, whose light is no noise",
        meaning=(
            "file of a mosaic of the field (``_i2d``, or any FITS image with a celestial WCS): its "
            "light is subtracted before the fits, and stays in the result (:doc:`scene_image`)"
        ),
    ),
    Parameter(
        name="scene_wcs",
        kind="string",
        default=None,
        comment="File with the WCS of the exposure, for scene_image",
        meaning=(
            "file of the same exposure with a WCS for ``scene_image`` (``_cal``, ``_crf``, "
            "``_tweakreg``); the exposure's own by default"
        ),
    ),
    Parameter(
        name="save_mask",
        kind="boolean",
        default=False,
        comment="Save the scene mask",
        meaning="save the mask: suffix ``mask``",
    ),
    Parameter(
        name="save_background",
        kind="boolean",
        default=False,
        comment="Save the background of each group difference",
        meaning="save the background of each group difference: suffix ``flicker_bkg``",
    ),
    Parameter(
        name="save_noise",
        kind="boolean",
        default=False,
        comment="Save output minus input",
        meaning="save output minus input: suffix ``flicker_noise``",
    ),
    Parameter(
        name="template",
        kind="string",
        default=None,
        comment="File of the template of the whole series for 'median_image'",
        shown="file, None",
        meaning="file of the template of the whole series, for ``median_image``",
    ),
    Parameter(
        name="save_template",
        kind="boolean",
        default=False,
        comment="Save the template that 'median_image' makes",
        meaning="save the template that ``median_image`` makes: suffix ``flicker_template``",
    ),
    Parameter(
        name="save_spectrum",
        kind="boolean",
        default=False,
        comment="Save the spectrum of the noise that 'wiener' measures",
        meaning=(
            "save the spectrum of the noise as a table (ECSV): suffix ``flicker_spectrum``; "
            "reported and ignored unless ``fit_method`` is ``wiener``. ``deflicker spectrum`` "
            "draws it"
        ),
    ),
    Parameter(
        name="maximum_cores",
        kind="string",
        default="all",
        comment="Threads: none, quarter, half, all or a number",
        meaning=(
            "threads to use: ``none``, ``quarter``, ``half``, ``all`` or a number, within the "
            "process's CPU affinity. The result does not depend on this number"
        ),
    ),
    Parameter(
        name="memory_limit",
        kind="string",
        default="half",
        comment="Larger ramps stay on disk: half (of the free memory), none, or a size like '4 GB'",
        meaning=(
            "``half`` (of the free memory), ``none``, or a size such as ``4 GB``: if a file is "
            "written, a ramp whose file (plus the products of its size that are to be saved) is "
            "larger than this stays on disk while it is cleaned"
        ),
    ),
    Parameter(
        name="progress_bar",
        kind="boolean",
        default=True,
        comment="Show a progress bar on a terminal or in a notebook",
        meaning="show a progress bar on a terminal or in a notebook",
    ),
    Parameter(
        name="force",
        kind="boolean",
        default=False,
        comment="Clean a ramp that has been cleaned before",
        meaning="clean a ramp again if its status is already ``COMPLETE``",
    ),
    Parameter(
        name="skip",
        kind="boolean",
        default=False,
        comment="Skip this step",
        meaning="skip this step (inside a pipeline)",
    ),
    Parameter(
        name="output_ext",
        kind="string",
        default=".fits",
        comment="Output file type",
        meaning="file type of the output",
    ),
    Parameter(
        name="override_flat",
        kind="reference",
        default=None,
        shown="string or model, None",
        meaning="flat field to use instead of the one of CRDS",
    ),
    Parameter(
        name="override_pastasoss",
        kind="reference",
        default=None,
        shown="string or model, None",
        meaning=(
            "PASTASOSS reference file to use instead of the one of CRDS; needed for NIRISS SOSS "
            "with ``mask_science_regions`` if CRDS has none (otherwise ``FAILED``)"
        ),
    ),
)

PARAMETERS: Final[Mapping[str, Parameter]] = MappingProxyType({one.name: one for one in _TABLE})


def specification(choices: Mapping[str, Collection[str | None]]) -> str:
    """Write the specification of the parameters for stpipe.

    Parameters
    ----------
    choices : mapping of str to collection
        For each parameter of kind ``option``, the values that can be used.

    Returns
    -------
    str
        One line for each parameter.
    """
    lines = []
    for one in _TABLE:
        if one.kind == "reference":
            continue
        limits = [repr(choice) for choice in choices[one.name]] if one.kind == "option" else []
        limits += [one.limits] if one.limits else []
        limits.append(f"default={one.default!r}")
        lines.append(f"    {one.name} = {one.kind}({', '.join(limits)}) # {one.comment}\n")
    return "\n" + "".join(lines) + "    "


def table_of_parameters() -> str:
    """Write the table of parameters for the docs.

    Returns
    -------
    str
        A ``list-table`` in reStructuredText.
    """
    kinds = {"boolean": "bool"}
    lines = [".. list-table::", "   :header-rows: 1", "   :widths: 22 26 52", ""]
    lines += ["   * - parameter", "     - type, default", "     - meaning"]
    for one in _TABLE:
        default = f"``{one.default}``" if isinstance(one.default, str) else one.default
        shown = one.shown or f"{kinds.get(one.kind, one.kind)}, {default}"
        lines += [f"   * - ``{one.name}``", f"     - {shown}", f"     - {one.meaning}"]
    return "\n".join(lines) + "\n"
