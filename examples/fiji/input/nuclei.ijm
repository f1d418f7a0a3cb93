// Counts and measures the nuclei in every image of a folder. The argument is written as ImageJ
// writes options: input=[/a folder] output=[/another] smallest=30 sigma=1
options = getArgument() + " ";
input = option("input", "");
output = option("output", "");
smallest = option("smallest", "20");
sigma = option("sigma", "1");

setBatchMode(true);
setOption("BlackBackground", true);
run("Set Measurements...", "area centroid shape redirect=None decimal=3");
files = getFileList(input);
for (i = 0; i < files.length; i++) {
    measure(files[i]);
}

function option(name, otherwise) {
    return call("ij.Macro.getValue", options, name, otherwise);
}

function measure(file) {
    before = nImages;
    open(input + "/" + file);
    if (nImages == before) exit("Error: ImageJ cannot open " + file + ": it is no image, or broken");
    name = replace(file, "\\.[Tt][Ii][Ff]+$", "");
    // Sizes are in pixels, whatever resolution the file claims to have.
    run("Set Scale...", "distance=0 known=0 unit=pixel");
    run("8-bit");
    run("Gaussian Blur...", "sigma=" + sigma);
    setAutoThreshold("Otsu dark");
    run("Convert to Mask");
    run("Watershed");
    saveAs("Tiff", output + "/" + name + "_mask.tif");
    run("Analyze Particles...", "size=" + smallest + "-Infinity show=[Count Masks] display clear");
    print(file + ": " + nResults + " nuclei");
    saveAs("Results", output + "/" + name + "_nuclei.csv");
    run("Enhance Contrast", "saturated=0.35");
    run("8-bit");
    saveAs("PNG", output + "/" + name + "_nuclei.png");
    run("Close All");
}
