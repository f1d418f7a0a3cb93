"""python3 batch_images.py Batch_data.h5 BUCKET FOLDER KEY=VALUE ...

Prints the images of this group, and puts FOLDER for BUCKET into all paths of the batch file. It is
run by CellProfiler's own Python, which has h5py.
"""

import sys

import h5py


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def column(image, name):
    """The values of a column by image number; its index says where in its data each of them is."""
    data, index = image[name]["data"][:], image[name]["index"][:]
    return {number: text(data[begin]) for number, begin, end in index if begin < end}


def main(batch, bucket, folder, *pairs):
    with h5py.File(batch, "r+") as file:
        measurements = list(file["Measurements"].values())[-1]
        image = measurements["Image"]
        numbers = set(column(image, "ImageNumber"))
        for key, value in (pair.split("=", 1) for pair in pairs):
            cells = column(image, key) if key in image else {}
            numbers = {number for number in numbers if cells.get(number) == value}
        if not numbers:
            sys.exit(f"the batch file has no group {','.join(pairs)}")
        for name in (name for name in image if "PathName_" in name):
            paths, files = column(image, name), column(image, name.replace("Path", "File", 1))
            print(*(f"{paths[number]}/{files[number]}" for number in numbers), sep="\n")
        # CellProfiler goes by the columns, or maps the paths of its maker anew.
        changed = [image[name] for name in image if "PathName_" in name or "URL_" in name]
        if "Path_Mappings" in measurements["Experiment"]:
            changed.append(measurements["Experiment"]["Path_Mappings"])
        for data in (one["data"] for one in changed):
            data[:] = [text(value).replace(bucket, folder).encode() for value in data[:]]


if __name__ == "__main__":
    main(*sys.argv[1:])
