"""python stack_channels.py OUT.ome.tif CHANNEL.TIF...: one OME-TIFF of several channels."""

import sys

import numpy
import tifffile

target, *channels = sys.argv[1:]
stack = numpy.stack([tifffile.imread(path) for path in channels])
tifffile.imwrite(target, stack, ome=True, photometric="minisblack", metadata={"axes": "CYX"})
