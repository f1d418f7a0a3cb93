"""python3 batch_images.py Batch_data.h5 BUCKET FOLDER KEY=VALUE ...

Prints the images of this group, and puts FOLDER for BUCKET into all paths of the batch file. It is
run by CellProfiler's own Python.
"""

import sys

from cellprofiler_core.measurement import Measurements


def main(batch, bucket, folder, *pairs):
    data = Measurements(filename=batch, mode="r+")
    asked = dict(pair.split("=", 1) for pair in pairs)
    groups = data.get_groupings([key for key in asked if data.has_feature("Image", key)])
    numbers = [number for group, some in groups if group == asked for number in some]
    if not numbers:
        sys.exit(f"the batch file has no group {','.join(pairs)}")
    columns = data.get_feature_names("Image")
    for path in (name for name in columns if "PathName_" in name):
        file = path.replace("PathName_", "FileName_")
        for parts in zip(data["Image", path, numbers], data["Image", file, numbers]):
            print(*parts, sep="/")
    # CellProfiler reads these columns, or maps the paths of the batch file's author again.
    everything = data.get_image_numbers()
    for name in (name for name in columns if "PathName_" in name or "URL_" in name):
        values = [str(value).replace(bucket, folder) for value in data["Image", name, everything]]
        data.add_all_measurements("Image", name, values)
    if data.has_feature("Experiment", "Path_Mappings"):
        mappings = data.get_experiment_measurement("Path_Mappings")
        data.add_experiment_measurement("Path_Mappings", mappings.replace(bucket, folder))
    data.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
