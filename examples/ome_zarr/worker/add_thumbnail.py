"""python3 add_thumbnail.py IMAGE.ome.zarr PIXELS: add levels until the smallest is a thumbnail.

Each level has half the size of the one before; the longer side of the last one has at most
PIXELS pixels. Versions 0.4 and 0.5 of OME-Zarr.
"""

import copy
import sys

import numpy
import zarr


def main(path, most):
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    attributes = group.attrs.asdict()
    multiscale = attributes.get("ome", attributes)["multiscales"][0]
    while longer_side(group, multiscale) > most:
        add_level(group, multiscale)
    group.attrs.put(attributes)
    zarr.consolidate_metadata(path)


def spatial(multiscale):
    """Return the indices of the axes that are directions in space."""
    return [n for n, axis in enumerate(multiscale["axes"]) if axis["type"] == "space"]


def longer_side(group, multiscale):
    """Return the longer side of the smallest level, in pixels."""
    shape = group[multiscale["datasets"][-1]["path"]].shape
    return max(shape[axis] for axis in spatial(multiscale))


def add_level(group, multiscale):
    """Add one level to the group, and to the metadata that describe it."""
    last = multiscale["datasets"][-1]
    source = group[last["path"]]
    axes = [axis for axis in spatial(multiscale) if source.shape[axis] > 1]
    pixels = source[:].astype(float)
    for axis in axes:
        pixels = halved(pixels, axis)

    added = copy.deepcopy(last)
    added["path"] = f"scale{len(multiscale['datasets'])}/image"
    scale, translation = transformations(added)
    for axis in axes:
        # The first pixel's center is now between those of the first two.
        translation[axis] += scale[axis] / 2
        scale[axis] *= 2
    multiscale["datasets"].append(added)

    newer = group.metadata.zarr_format == 3
    group.create_array(
        added["path"],
        data=numpy.round(pixels).astype(source.dtype),
        chunks=source.chunks,
        chunk_key_encoding={"name": "default" if newer else "v2", "separator": "/"},
        dimension_names=source.metadata.dimension_names if newer else None,
    )


def transformations(dataset):
    """Return the scale and the translation of a level, each as a list."""
    found = {one["type"]: one[one["type"]] for one in dataset["coordinateTransformations"]}
    return found["scale"], found["translation"]


def halved(pixels, axis):
    """Return the mean of every two neighbors; an odd one at the end is dropped."""
    rows = numpy.moveaxis(pixels, axis, 0)
    whole = len(rows) // 2 * 2
    return numpy.moveaxis((rows[:whole:2] + rows[1:whole:2]) / 2, 0, axis)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
