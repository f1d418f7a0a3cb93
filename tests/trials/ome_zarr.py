"""ome_zarr: ngff-zarr and ome-zarr-models in an environment of their own, and ExampleFly."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.trials import tools
from tests.trials.trial import Trial, WrongResult

PACKAGES = (
    "ngff-zarr==0.50.0",
    "tifffile==2026.3.3",
    "imagecodecs==2026.3.6",
    "dask-image==2026.5.0",
    "ome-zarr-models==1.7",
)
RECIPE = " ".join(PACKAGES)
PLACES = ("POS002", "POS076", "POS218")
CHANNELS = "DFR"
THUMBNAIL = "3 31 31"


def missing() -> str:
    """Return why ngff-zarr cannot be used here, "" if it can."""
    return tools.missing("ome_zarr", RECIPE)


def install() -> None:
    """Install the converter, and make the images that it is to convert."""
    tools.make("ome_zarr", RECIPE, tools.virtual_environment(PACKAGES))
    _images()


def _images() -> Path:
    """One OME-TIFF of three channels a place, as microscopes write them."""

    def build(folder: Path) -> None:
        for place in PLACES:
            channels = [tools.images() / f"01_{place}_{channel}.TIF" for channel in CHANNELS]
            _python("stack_channels.py", folder / f"{place}.ome.tif", *channels)

    return tools.make("ome_tiffs", tools.CELLPROFILER, build)


def _program(name: str) -> Path:
    return tools.TOOLS / "ome_zarr/bin" / name


def _python(script: str, *words: object) -> str:
    return tools.command([_program("python"), tools.SCRIPTS / script, *words])


def get_input(folder: Path) -> None:
    """Copy three images into a folder."""
    folder.mkdir(exist_ok=True)
    for image in _images().glob("*.ome.tif"):
        shutil.copy(image, folder)


def check(output: Path) -> list[str]:
    """Check that the outputs are valid OME-Zarr with the same pixels and a thumbnail."""
    lines = []
    for place in PLACES:
        converted = output / "zarr" / place / f"{place}.ome.zarr"
        tools.command([_program("ome-zarr-models"), "validate", converted])
        shapes = _python("compare_pixels.py", _images() / f"{place}.ome.tif", converted)
        levels = shapes.splitlines()
        if levels[-1] != THUMBNAIL:
            raise WrongResult(f"The smallest level of {converted} is {levels[-1]}.")
        files = sum(1 for path in converted.rglob("*") if path.is_file())
        lines.append(f"{place}: valid, pixels equal, {len(levels)} levels, {files:,} files")
    return lines


TRIAL = Trial(
    "ome_zarr",
    check,
    missing,
    install,
    get_input,
    lambda: tools.path_with(tools.TOOLS / "ome_zarr/bin"),
)
