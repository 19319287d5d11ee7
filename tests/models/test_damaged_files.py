"""Damaged files: sizes are checked before reading, and one error says what is wrong."""

import bz2
import gzip
import hashlib
import io
import logging
import re
import struct
import time
import warnings
from pathlib import Path

import asdf
import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels

from deflicker import CleanFlickerNoiseStep
from deflicker.models.exposure import model_from_simulation
from deflicker.models.files import open_model
from deflicker.storage.asdf_structure import check_asdf
from deflicker.storage.fits_structure import check_file

BOMB = b"a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + b"".join(
    b"%c: &%c [%s]\n" % (c + 1, c + 1, b", ".join([b"*%c" % c] * 9)) for c in range(97, 105)
)
BLOCK = struct.Struct(">4sHI4sQQQ16s")


@pytest.fixture(scope="session")
def ramp_bytes(small_nircam):
    """A small ramp with frames, tables and a history."""
    with model_from_simulation(small_nircam) as model:
        small = model.data[:, :3, :16, :32].copy()
        ramp = datamodels.RampModel(data=small, zeroframe=small[:, 0].copy())
        ramp.pixeldq[3, 4], ramp.groupdq[0, 1, 5, 6] = 1 << 31, 4
        ramp.update(model)
    ramp.meta.subarray.xsize, ramp.meta.subarray.ysize = 32, 16
    ramp.int_times = np.zeros(1, ramp.get_dtype("int_times"))
    ramp.group = np.zeros(3, ramp.get_dtype("group"))
    ramp.add_history_entry("made by hand")
    ramp.meta.filename = "x_ramp.fits"
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ramp.to_fits(buffer)
    ramp.close()
    return buffer.getvalue()


def places(content):
    """Where header, data and end of the extensions are."""
    with fits.open(io.BytesIO(content)) as hdulist:
        found = [(hdu.name, hdu.fileinfo()) for hdu in hdulist]
    return {
        name: (place["hdrLoc"], place["datLoc"], place["datLoc"] + place["datSpan"])
        for name, place in found
    }


def with_card(content, extension, keyword, value):
    """A keyword replaced, as bytes."""
    start, end, _ = places(content)[extension]
    cards = [content[i : i + 80] for i in range(start, end, 80)]
    number = next(i for i, card in enumerate(cards) if card[:8].strip() == keyword.encode())
    cards[number] = (keyword.ljust(8).encode() + b"= " + value).ljust(80)
    return content[:start] + b"".join(cards) + content[end:]


def with_asdf(content, text):
    """Another ASDF extension."""
    start, _, end = places(content)["ASDF"]
    data = np.frombuffer(text, np.uint8)[np.newaxis]
    column = fits.Column(array=data, format=f"{len(text)}B", name="ASDF_METADATA")
    buffer = io.BytesIO()
    table = fits.BinTableHDU.from_columns([column], name="ASDF")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(buffer)
    return content[:start] + buffer.getvalue()[2880:] + content[end:]


def asdf_text(content):
    _, start, end = places(content)["ASDF"]
    return content[start:end].rstrip(b"\0")


def refused(content, *words, name="x_ramp.fits", seconds=20.0):
    """In memory and on disk: one OSError, soon, that names the file, and nothing is written."""
    Path(name).write_bytes(content)
    for limit in ("none", "1 kB"):
        start = time.monotonic()
        with pytest.raises(OSError, match=re.escape(name)) as error:
            CleanFlickerNoiseStep.call(
                name, save_results=True, memory_limit=limit, progress_bar=False
            )
        assert time.monotonic() - start < seconds  # what hung, hung for ever
        for word in words:
            assert word in str(error.value)
        assert len(str(error.value)) < 700
        assert [path.name for path in Path().iterdir()] == [name]


@pytest.fixture(autouse=True)
def _no_parameters(monkeypatch):
    monkeypatch.setenv("STPIPE_DISABLE_CRDS_STEPPARS", "true")


def test_the_whole_file_is_cleaned(ramp_bytes):
    Path("x_ramp.fits").write_bytes(ramp_bytes)
    assert [one.name for one in check_file(Path("x_ramp.fits"))][:2] == ["PRIMARY", "SCI"]
    with CleanFlickerNoiseStep.call("x_ramp.fits") as result:
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"


@pytest.mark.parametrize("extension", ["INT_TIMES", "ASDF"])
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("TFIELDS", b"9223372036854775807"),
        ("TFIELDS", b"'1PB(99999999)'"),
        ("NAXIS2", b"999999999999999"),
        ("NAXIS2", b"99999999999999999999999999999999"),
        ("NAXIS1", b"-5"),
        ("NAXIS", b"2147483647"),
        ("PCOUNT", b"99999999999"),
        ("GCOUNT", b"99999999999"),
        ("BITPIX", b"99999999"),
        ("TFORM1", b"'999999999999B'"),
        ("TFORM1", b"'1PB(99999999)'"),
        ("TFORM1", b"'PE()'"),
        ("TFORM1", b"5"),
        ("TTYPE1", b"5"),
        ("TTYPE1", b"'a' b 'c"),
        ("EXTNAME", b"99"),
        ("XTENSION", b"'x'"),
    ],
)
def test_tables(ramp_bytes, extension, keyword, value):
    refused(with_card(ramp_bytes, extension, keyword, value), keyword[:5])


@pytest.mark.parametrize(
    ("extension", "keyword", "value"),
    [
        ("SCI", "NAXIS", b"'four'"),
        ("SCI", "NAXIS4", b"1.5"),
        ("SCI", "BITPIX", b"33"),
        ("SCI", "NAXIS1", b"99999999999999"),
        ("PRIMARY", "FILENAME", b"'\xff\xfe.fits'"),
        ("PRIMARY", "TGROUP", b"1E999"),
        ("PRIMARY", "DETECTOR", b""),
        ("PRIMARY", "DETECTOR", b"NRC A"),
        ("GROUPDQ", "GCOUNT", b"'x'"),
        ("ZEROFRAME", "EXTVER", b"2000000000"),
        ("ZEROFRAME", "EXTNAME", b"'SCI'"),
    ],
)
def test_keywords(ramp_bytes, extension, keyword, value):
    refused(with_card(ramp_bytes, extension, keyword, value))


def test_the_message_names_extension_and_keyword(ramp_bytes):
    Path("x_ramp.fits").write_bytes(with_card(ramp_bytes, "PRIMARY", "TGROUP", b"1E999"))
    with pytest.raises(OSError, match=r"x_ramp.fits .*number 0: keyword TGROUP .*give it a value"):
        open_model("x_ramp.fits")
    Path("x_ramp.fits").write_bytes(with_card(ramp_bytes, "GROUP", "TFIELDS", b"1000"))
    with pytest.raises(OSError, match=r"extension GROUP \(number \d\): TFIELDS = 1000 is not"):
        open_model("x_ramp.fits")


@pytest.mark.parametrize("name", ["SCI", "GROUPDQ", "ZEROFRAME", "INT_TIMES"])
def test_an_extension_twice(ramp_bytes, name):
    start, _, end = places(ramp_bytes)[name]
    refused(ramp_bytes + ramp_bytes[start:end], name, "twice")


@pytest.mark.parametrize("name", ["PIXELDQ", "GROUP"])
def test_an_extension_that_asdf_names_is_missing(ramp_bytes, name):
    start, _, end = places(ramp_bytes)[name]
    refused(ramp_bytes[:start] + ramp_bytes[end:], "ASDF", name, "not there")


@pytest.mark.parametrize("extension", ["SCI", "GROUPDQ"])
def test_an_image_that_says_it_is_compressed(ramp_bytes, extension):
    content = with_card(ramp_bytes, extension, "EXTNAME", f"'{extension}'".encode())
    start, end, _ = places(content)[extension]
    last = content.index(b"END".ljust(80), start, end)
    more = b"ZIMAGE  =                    T".ljust(80) + b"END".ljust(80)
    refused(content[:last] + more + content[last + 160 :], "ZIMAGE")


def test_extensions_without_a_place_in_the_model(ramp_bytes):
    """Of two numbers of a name that the model does not know one would be lost."""
    with fits.open(io.BytesIO(ramp_bytes)) as hdulist:
        buffer = io.BytesIO()
        hdulist += [fits.ImageHDU(np.full((2, 2), n), name="MINE", ver=n) for n in (1, 2)]
        hdulist.writeto(buffer)
    refused(buffer.getvalue(), "MINE", "lost")


def test_an_extension_of_the_users_own(ramp_bytes):
    with fits.open(io.BytesIO(ramp_bytes)) as hdulist:
        hdulist.append(fits.ImageHDU(np.arange(6).reshape(2, 3), name="MINE"))
        hdulist.writeto("x_ramp.fits")
    CleanFlickerNoiseStep.call("x_ramp.fits", save_results=True).close()
    mine = fits.getdata("x_clean_flicker_noise.fits", "MINE")
    assert np.array_equal(mine, np.arange(6).reshape(2, 3))


@pytest.mark.parametrize(
    ("find", "replacement"),
    [
        (rb"\n\.\.\.", b"\n" + BOMB + b"\n..."),
        (rb"\n\.\.\.", b"\nx: " + b"[" * 5000 + b"]" * 5000 + b"\n..."),
        (rb"\n\.\.\.", b"\nx: &x [1, *x]\n..."),
        (rb"\n\.\.\.", b"\nx: !transform/identity-1.2.0 {n_dims: 999999999}\n..."),
        (rb"\n\.\.\.", b"\n"),
        (rb"source: fits:SCI,1", b"source: fits:SCI,9"),
        (rb"source: fits:SCI,1", b"source: 7"),
        (rb"source: fits:SCI,1", b"source: other.asdf"),
        (rb"\n  cal_step:(\n   .*|.*)*?\n  (?=\w)", b"\n  cal_step: 5\n  "),
        (rb"\n  instrument: .*\}", b"\n  instrument: null"),
        (rb"\n  instrument: .*\}", b"\n  instrument: &a {a: *a}"),
        (rb"\nmeta:", b"\nmeta: ]"),
        (rb"\npixeldq:", b"\npixeldr:"),
        (rb"\npixeldq:.*(\n +.*)*", b""),
        (rb"#ASDF_STANDARD 1.\d", b"#ASDF_STANDARD 1.1"),
    ],
)
def test_trees(ramp_bytes, find, replacement):
    text, number = re.subn(find, lambda _: replacement, asdf_text(ramp_bytes), count=1)
    if not number and b"cal_step" in replacement:
        text, number = re.subn(rb"\nmeta:\n", b"\nmeta:\n  cal_step: 5\n", asdf_text(ramp_bytes))
    assert number
    refused(with_asdf(ramp_bytes, text))


@pytest.mark.parametrize(
    ("find", "replacement", "keyword"),
    [
        (rb"detector: \w+", b"detector: NRCB4", "DETECTOR"),
        (rb"(detector|name): NR\w+", b"a: b", "DETECTOR"),
        (rb"(fastaxis): -?1", b"fastaxis: 2", "FASTAXIS"),
        (rb"telescope:", b"telescopf:", "TELESCOP"),
        (rb"group_time: [\d.]+", b"group_time: 1.5", "TGROUP"),
    ],
)
def test_a_tree_that_differs_from_headers_whose_hash_it_holds(
    ramp_bytes, find, replacement, keyword
):
    """The reader believes such a tree: keywords would change or be lost without a word."""
    text, number = re.subn(find, replacement, asdf_text(ramp_bytes), count=1)
    assert number == 1
    refused(with_asdf(ramp_bytes, text), keyword, "ASDF")


def with_hash(content):
    """The hash of the headers as they are now in the tree."""
    with fits.open(io.BytesIO(content)) as hdulist:
        text = "".join(str(hdu.header) for hdu in hdulist if hdu.name != "ASDF")
    new = b"_fits_hash: " + hashlib.sha256(text.encode()).hexdigest().encode()
    tree, number = re.subn(rb"_fits_hash: \w+", new, asdf_text(content))
    assert number == 1
    return with_asdf(content, tree)


def test_a_keyword_that_the_model_does_not_know_is_kept(ramp_bytes):
    """Older writers knew FILETYPE; with the hash of the headers in the tree it would be lost."""
    content = with_hash(with_card(ramp_bytes, "PRIMARY", "DATE", b"'replaced'").replace(
        b"DATE    = 'replaced'", b"FILETYPE= 'raw'     "
    ))  # fmt: skip
    Path("x_ramp.fits").write_bytes(content)
    assert fits.getheader("x_ramp.fits")["FILETYPE"] == "raw"
    with datamodels.open("x_ramp.fits") as model:
        model.save("alone.fits")
    assert "FILETYPE" not in fits.getheader("alone.fits")
    CleanFlickerNoiseStep.call("x_ramp.fits", save_results=True).close()
    assert fits.getheader("x_clean_flicker_noise.fits")["FILETYPE"] == "raw"


def test_a_history_that_is_none(ramp_bytes):
    """HISTORY in the header is one; without it that of ASDF counts."""
    content = ramp_bytes.replace(b"HISTORY", b"COMMENT")
    text, number = re.subn(rb"\nhistory:(\n[ -].*)*", b"\nhistory: 5", asdf_text(content))
    assert number
    refused(with_asdf(content, text), "history")


def block(*, size=10, used=10, data=10, flags=0, method=b"\0" * 4, content=b"0123456789"):
    return BLOCK.pack(b"\xd3BLK", 48, flags, method, size, used, data, b"\0" * 16) + content


TREE = b"#ASDF 1.0.0\n#ASDF_STANDARD 1.5.0\n%YAML 1.1\n---\na: 1\n...\n"


@pytest.mark.parametrize(
    "blocks",
    [
        block(size=1 << 40),
        block(size=(1 << 64) - 1, used=(1 << 64) - 1, data=(1 << 64) - 1),
        block(used=1 << 30),
        block(data=1 << 60),
        block(data=1 << 60, method=b"zlib"),
        block(data=1 << 60, method=b"bzp2"),
        block(method=b"none"),
        block()[:30],
        block() + b"something",
        block() + b"#ASDF BLOCK INDEX\n%YAML 1.1\n---\n- 99999999999999\n...\n",
        block() + b"#ASDF BLOCK INDEX\n%YAML 1.1\n---\n- [\n",
    ],
)
def test_blocks(ramp_bytes, blocks):
    content = TREE + blocks
    with pytest.raises(OSError, match="block"):
        check_asdf(io.BytesIO(content), len(content), arrays=())
    refused(with_asdf(ramp_bytes, asdf_text(ramp_bytes) + blocks), "extension ASDF")


@pytest.mark.parametrize(
    "array",
    [
        b"source: 0, datatype: float32, shape: [3]",
        b"source: 0, datatype: float64, shape: [1], offset: 3",
        b"source: 0, datatype: uint8, shape: [99999999, 99999999]",
        b"source: 0, datatype: [ascii, 11], shape: [1]",
        b"source: 1, datatype: uint8, shape: [1]",
        b"source: 0, datatype: [{datatype: int32, name: a}, {datatype: float64}], shape: [1]",
    ],
)
def test_arrays_larger_than_their_block(array):
    tag = b"a: !<tag:stsci.edu:asdf/core/ndarray-1.0.0> {" + array + b"}"
    content = TREE.replace(b"a: 1", tag) + block()
    with pytest.raises(OSError, match="tree"):
        check_asdf(io.BytesIO(content), len(content), arrays=())


@pytest.mark.parametrize("compression", [None, "zlib", "bzp2", "lz4"])
def test_what_asdf_writes_is_in_order(compression):
    if compression == "lz4":
        pytest.importorskip("lz4")
    tree = {"a": np.zeros(100_000), "b": [np.arange(6).reshape(2, 3).T, np.zeros(3, "i4,f8")]}
    shared = {"c": [1, 2, 3]}
    asdf.AsdfFile({**tree, "d": [shared] * 50}).write_to(
        "a.asdf", all_array_compression=compression
    )
    assert check_file(Path("a.asdf")) == []


@pytest.mark.parametrize("fraction", [0.02, 0.5, 0.98])
def test_asdf_files_cut_short(ramp_bytes, fraction):
    Path("y_ramp.fits").write_bytes(ramp_bytes)
    with datamodels.open("y_ramp.fits") as model:
        model.save("x_ramp.asdf")
    Path("y_ramp.fits").unlink()
    content = Path("x_ramp.asdf").read_bytes()
    Path("x_ramp.asdf").unlink()
    refused(content[: int(fraction * len(content))], name="x_ramp.asdf")


@pytest.mark.parametrize(
    ("counts", "starts", "good"),
    [((3, 2), (0, 3), True), ((3, 9), (0, 3), False), ((3, -1), (0, 0), False),
     ((3, 2), (0, 1 << 30), False), ((5, 5), (0, 0), False)],
)  # fmt: skip
def test_heaps(counts, starts, good):
    column = fits.Column(
        name="a", format="PB()", array=np.array([np.zeros(3, "u1"), np.zeros(2, "u1")], object)
    )
    table = fits.BinTableHDU.from_columns([column], name="MINE")
    fits.HDUList([fits.PrimaryHDU(), table]).writeto("a.fits")
    content = bytearray(Path("a.fits").read_bytes())
    place = places(bytes(content))["MINE"][1]
    content[place : place + 16] = struct.pack(
        ">4i", *np.ravel(list(zip(counts, starts, strict=True)))
    )
    Path("a.fits").write_bytes(content)
    if good:
        assert len(check_file(Path("a.fits"))) == 2
    else:
        with pytest.raises(OSError, match="MINE"):
            check_file(Path("a.fits"))


@pytest.mark.parametrize("ending", [".gz", ".bz2"])
def test_compressed_files(ramp_bytes, ending):
    compress = gzip.compress if ending == ".gz" else bz2.compress
    name = Path(f"x_ramp.fits{ending}")
    name.write_bytes(compress(ramp_bytes))
    assert len(check_file(name)) == len(places(ramp_bytes))
    for damaged in (
        compress(ramp_bytes)[:-3000],
        compress(ramp_bytes[:-3000]),
        compress(with_card(ramp_bytes, "SCI", "NAXIS4", b"999999999")),
    ):
        name.write_bytes(damaged)
        with pytest.raises(OSError, match="x_ramp.fits"):
            open_model(name)


def test_a_compressed_image(ramp_bytes):
    """Is read, but not one that would expand to more than its bytes can hold."""
    hdu = fits.CompImageHDU(np.arange(4096, dtype="i2").reshape(64, 64), name="MINE")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto("a.fits")
    assert len(check_file(Path("a.fits"))) == 2
    content = Path("a.fits").read_bytes()
    for size in (b"999999999999", b"-1", b"4096"):
        Path("a.fits").write_bytes(content.replace(
            b"ZNAXIS1 =                   64", b"ZNAXIS1 = " + size.rjust(20)
        ))  # fmt: skip
        with pytest.raises(OSError, match="NAXIS"):
            check_file(Path("a.fits"))


def outcome(content, **parameters):
    """Status, and the arrays of input and output file."""
    Path("x_ramp.fits").write_bytes(content)
    with CleanFlickerNoiseStep.call("x_ramp.fits", save_results=True, **parameters) as result:
        status = result.meta.cal_step.clean_flicker_noise
    with (
        fits.open("x_ramp.fits") as before,
        fits.open("x_clean_flicker_noise.fits") as after,
    ):
        assert [hdu.name for hdu in before] == [hdu.name for hdu in after]
        same = {
            hdu.name: hdu.data.tobytes() == after[hdu.name].data.tobytes()
            for hdu in before[1:]
            if hdu.name != "ASDF"
        }
    return status, same


@pytest.mark.parametrize("limit", ["none", "1 kB"])
@pytest.mark.parametrize(
    ("keyword", "value", "status"),
    [("FASTAXIS", b"7", "FAILED"), ("EXP_TYPE", b"'NRC_IMAGE'", "COMPLETE")],
)
def test_all_but_the_data_stays_bit_for_bit(ramp_bytes, keyword, value, status, limit):
    """Also what is odd: NaN with a payload, flags that mean nothing."""
    content = bytearray(with_card(ramp_bytes, "PRIMARY", keyword, value))
    odd = struct.pack(">IIII", 0x7FC01234, 0xFF800000, 0x80000000, 0x7F7FFFFF)
    start = places(ramp_bytes)["ZEROFRAME"][1]
    content[start : start + 16] = odd
    for name in ("PIXELDQ", "GROUPDQ"):
        start = places(ramp_bytes)[name][1]
        content[start : start + 16] = odd
    found, same = outcome(bytes(content), memory_limit=limit)
    assert found == status
    assert all(same[name] for name in same if name != "SCI")
    assert same["SCI"] is (status == "FAILED")


@pytest.mark.parametrize(
    ("extension", "kind", "value", "fits_model"),
    [
        ("PIXELDQ", "i4", 7, True),
        ("PIXELDQ", "i4", -7, False),
        ("PIXELDQ", "f4", 7.0, True),
        ("PIXELDQ", "f4", 7.5, False),
        ("PIXELDQ", "f4", np.nan, False),
        ("GROUPDQ", "i2", 200, True),
        ("GROUPDQ", "i2", 256, False),
        ("SCI", "f8", 1e-3, True),
        ("SCI", "f8", 1e300, False),
        ("ZEROFRAME", "i2", 300, True),
    ],
)
def test_arrays_of_another_type(ramp_bytes, extension, kind, value, fits_model):
    """A model converts them: what that would change is named, and nothing is written."""
    with fits.open(io.BytesIO(ramp_bytes)) as hdulist:
        data = (hdulist[extension].data * (extension == "SCI")).astype(kind)
        data.flat[7] = value
        hdulist[extension] = fits.ImageHDU(data, name=extension)
        buffer = io.BytesIO()
        hdulist.writeto(buffer)
    if not fits_model:
        refused(buffer.getvalue(), extension, "not the same")
        return
    Path("x_ramp.fits").write_bytes(buffer.getvalue())
    with CleanFlickerNoiseStep.call("x_ramp.fits", save_results=True) as result:
        assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"
    if extension != "SCI":
        assert fits.getdata("x_clean_flicker_noise.fits", extension).flat[7] == value


@pytest.mark.parametrize(("zero", "fits_model"), [(0, True), (1000, False)])
def test_a_scaled_column(ramp_bytes, zero, fits_model):
    """The models write the stored numbers without the zero."""
    with fits.open(io.BytesIO(ramp_bytes)) as hdulist:
        names = hdulist["GROUP"].columns.names
    assert "integration_number" in names
    start, _, _ = places(ramp_bytes)["GROUP"]
    at = ramp_bytes.index(b"TTYPE1", start)
    card = f"TZERO1  = {zero:>20}".ljust(80).encode()
    end = ramp_bytes.index(b"END".ljust(80), start)
    assert ramp_bytes[end + 80 : end + 160].isspace()  # room for a card
    content = ramp_bytes[:at] + card + ramp_bytes[at : end + 80] + ramp_bytes[end + 160 :]
    if fits_model:
        assert outcome(content)[1]["GROUP"]
    else:
        refused(content, "GROUP", "integration_number")


def test_a_model_that_cannot_be_written(small_nircam, caplog):
    """Named before any work, and only where something is written."""
    with model_from_simulation(small_nircam) as simulated, simulated.copy() as model:
        model.instance["extra_fits"] = {"PRIMARY": {"header": [["MINE", "\u00e9", ""]]}}
        with (
            caplog.at_level(logging.INFO),
            pytest.raises(ValueError, match=r"MINE cannot be written.*ASCII"),
        ):
            CleanFlickerNoiseStep.call(model, save_results=True)
        assert "Cleaning" not in caplog.text
        with CleanFlickerNoiseStep.call(model) as result:
            assert result.meta.cal_step.clean_flicker_noise == "COMPLETE"


def test_bits_flipped_anywhere(ramp_bytes, rng):
    """Read, or one error that names the file."""
    ends = places(ramp_bytes)
    said = []
    for number in range(40):
        content = bytearray(ramp_bytes)
        start, data, end = ends[["PRIMARY", "GROUP", "INT_TIMES", "ASDF"][number % 4]]
        low, high = (start, data) if number % 8 < 4 or data == end else (data, end)
        for place in rng.integers(low, high, 5):
            content[place] ^= 1 << int(rng.integers(8))
        Path("x_ramp.fits").write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                open_model("x_ramp.fits").close()
            except OSError as error:
                said.append("x_ramp.fits" in str(error))
    assert said
    assert all(said)
