"""python compare_pixels.py IMAGE.ome.tif IMAGE.ome.zarr: fails unless level 0 has the same pixels.

Prints the shapes of the levels, one a line.
"""

import sys

import numpy
import tifffile
import zarr

group = zarr.open_group(sys.argv[2], mode="r")
attributes = group.attrs.asdict()
datasets = attributes.get("ome", attributes)["multiscales"][0]["datasets"]
levels = [group[dataset["path"]] for dataset in datasets]
if not numpy.array_equal(levels[0][:], tifffile.imread(sys.argv[1])):
    sys.exit("the pixels differ")
for level in levels:
    print(*level.shape)
