"""variant_calling: reads simulated from the genome of phage lambda, with known variants."""

from __future__ import annotations

import csv
import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from control.errors import UserError
from tests.trials import tools
from tests.trials.trial import Trial, WrongResult

# wgsim simulates reads: it changes a genome at random places, and says which.
PROGRAMS = {"bwa": "bwa", "samtools": "samtools", "bcftools": "bcftools", "wgsim": "samtools"}
GENOME = Path("/usr/share/doc/bowtie2/examples/reference/lambda_virus.fa.gz")
NO_GENOME = f"{GENOME} is not there"
SEEDS = {"phage1": 1, "phage2": 2, "phage3": 3}
READ_PAIRS, LENGTH = 8000, 100
RATES = ("-r", "0.002", "-R", "0.1", "-e", "0.005")  # of variants, of indels among them, of errors
# A few lie where no read, or too few, happen to be.
LEAST_FOUND = 0.9


class Variant(NamedTuple):
    """At `position`, counted from 1, `old` has become `new`; leftmost and shortest."""

    position: int
    old: str
    new: str


def missing() -> str:
    """Return why the example cannot run here, "" if it can."""
    lacking = tools.lacking(PROGRAMS) or ("" if GENOME.exists() else NO_GENOME)
    return lacking or tools.missing("variant_calling", _recipe())


def install() -> None:
    """Simulate the reads; the programs themselves are Debian packages."""
    tools.require(PROGRAMS)
    if not GENOME.exists():
        fix = "On Debian and Ubuntu: apt-get install bowtie2-examples"
        raise UserError(f"This example's genome, {NO_GENOME}.", fix)
    tools.make("variant_calling", _recipe(), _simulate)


def _recipe() -> str:
    return f"{GENOME} {SEEDS} {READ_PAIRS} {LENGTH} {RATES}"


def _simulate(folder: Path) -> None:
    genome = folder / "lambda_virus.fa"
    genome.write_bytes(gzip.decompress(GENOME.read_bytes()))
    length = ("-1", LENGTH, "-2", LENGTH)
    for sample, seed in SEEDS.items():
        reads = [folder / f"{sample}_R{number}.fq" for number in (1, 2)]
        truth = tools.command(
            ["wgsim", "-h", "-S", seed, "-N", READ_PAIRS, *length, *RATES, genome, *reads]
        )
        (folder / f"{sample}.truth.tsv").write_text(truth)
        for path in reads:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()


def get_input(folder: Path) -> None:
    """Copy the genome, and two files of reads for each sample."""
    for name, pattern in (("reference", "*.fa"), ("reads", "*.fq.gz")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for path in (tools.TOOLS / "variant_calling").glob(pattern):
            shutil.copy(path, folder / name)


def check(output: Path) -> list[str]:
    """Check that every called variant was simulated, and that few are missed."""
    simulated = tools.TOOLS / "variant_calling"
    genome = "".join((simulated / "lambda_virus.fa").read_text().splitlines()[1:])
    lines = []
    for sample in SEEDS:
        truth = set(_true(simulated / f"{sample}.truth.tsv", genome))
        called = set(_called(output / "variants" / sample / f"{sample}.vcf.gz", genome))
        if wrong := called - truth:
            raise WrongResult(f"{sample}: {len(wrong)} called variants are none: {min(wrong)}.")
        if len(called) < LEAST_FOUND * len(truth):
            raise WrongResult(f"{sample}: only {len(called)} of {len(truth)} variants were called.")
        lines.append(f"{sample}: {len(called)} variants called, all true ({len(truth)} simulated)")
    return lines


def _true(path: Path, genome: str) -> Iterator[Variant]:
    """wgsim's own list: "-" stands for nothing, an insertion comes behind its position."""
    with open(path, newline="") as file:
        for _, at, old, new, _ in csv.reader(file, delimiter="\t"):
            place = int(at) - (new == "-")
            before = genome[place - 1]
            if "-" in (old, new):
                old, new = before + old.strip("-"), before + new.strip("-")
            yield _leftmost(place, old, new, genome)


def _called(path: Path, genome: str) -> Iterator[Variant]:
    with gzip.open(path, "rt") as file:
        for line in file:
            if not line.startswith("#"):
                _, at, _, old, new, *_ = line.split("\t")
                yield _leftmost(int(at), old, new, genome)


def _leftmost(position: int, old: str, new: str, genome: str) -> Variant:
    """The one way to write a variant that could be written in several (AAA for AA)."""
    while old[-1] == new[-1] and position > 1:
        old, new = old[:-1], new[:-1]
        if not old or not new:
            position -= 1
            old, new = genome[position - 1] + old, genome[position - 1] + new
    while old[0] == new[0] and min(len(old), len(new)) > 1:
        position, old, new = position + 1, old[1:], new[1:]
    return Variant(position, old, new)


TRIAL = Trial("variant_calling", check, missing, install, get_input)
