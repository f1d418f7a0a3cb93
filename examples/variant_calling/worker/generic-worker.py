"""Aligns the reads of one sample to a reference and calls the variants."""

import json

import plumbing
from plumbing import JobFailed

# How bwa, samtools and bcftools say that something is wrong; bwa may exit with 0 all the same.
ERRORS = r"\[E::|has fewer sequences|[Ff]ailed to|truncated"


def output_prefix(job):
    return f"{job['output_location']}/{job.name}"


def run_job(job):
    sample = job["sample"]
    reference = job.download(job["reference"], to="reference")
    folder = job.download(f"{job['input_location']}/reads/", only=f"{sample}_R*", to="reads")
    reads = sorted(folder.iterdir())
    if len(reads) != 2:
        raise JobFailed(f"{sample} has {len(reads)} files of reads instead of 2", retry=False)

    def run(*words, stdout=None):
        job.run(words, stdout=stdout, errors=ERRORS)

    # No shell, so no pipes: each step writes a file. Keep a large genome's bwa index next to it.
    threads = str(job.config["THREADS"])
    aligned, sorted_reads = job.temp_dir / "aligned.sam", job.output_dir / f"{sample}.bam"
    run("samtools", "faidx", reference)
    run("bwa", "index", reference)
    run(
        *("bwa", "mem", "-t", threads, "-R", f"@RG\\tID:{sample}\\tSM:{sample}"),
        *("-o", aligned, reference, *reads),
    )
    run("samtools", "sort", "-@", threads, "-o", sorted_reads, aligned)
    run("samtools", "index", sorted_reads)

    counts = job.output_dir / f"{sample}.flagstat.json"
    with open(counts, "w") as file:
        run("samtools", "flagstat", "-O", "json", sorted_reads, stdout=file)
    passed = json.loads(counts.read_text())["QC-passed reads"]
    if not passed["primary mapped"]:
        raise JobFailed(f"none of {passed['primary']} reads maps to {job['reference']}")

    piled, called = job.temp_dir / "piled.bcf", job.temp_dir / "called.bcf"
    variants = job.output_dir / f"{sample}.vcf.gz"
    run("bcftools", "mpileup", "-Ou", "-f", reference, "-o", piled, sorted_reads)
    run("bcftools", "call", "-mv", "--ploidy", job.config["PLOIDY"], "-Ou", "-o", called, piled)
    keep = f"QUAL>={job.config['MIN_QUALITY']}"
    run("bcftools", "view", "-i", keep, "-Oz", "-o", variants, called)
    run("bcftools", "index", variants)


if __name__ == "__main__":
    plumbing.main(output_prefix, run_job)
