from __future__ import annotations

import gzip

import pytest

from tests.trials.trial import WrongResult
from tests.trials.variant_calling import TRIAL


def test_every_variant_that_is_called_is_true(copy_of):
    example = copy_of(TRIAL)

    code, out, err = example.run()

    assert (code, err) == (0, "")
    assert len(TRIAL.check(example.output)) == 3
    calls = example.output / "variants/phage1/phage1.vcf.gz"
    *lines, last = gzip.decompress(calls.read_bytes()).decode().splitlines(keepends=True)
    chromosome, at, *rest = last.split("\t")
    false = "\t".join([chromosome, str(int(at) + 1), *rest])
    calls.write_bytes(gzip.compress("".join([*lines, false]).encode()))
    with pytest.raises(WrongResult, match="1 called variants are none"):
        TRIAL.check(example.output)


def test_what_a_user_of_bwa_needs_to_know_is_the_reason(copy_of):
    example = copy_of(TRIAL)
    reads = example.folder / "input/reads"
    for sample in ("broken", "empty"):
        for number in (1, 2):
            whole = (reads / f"phage1_R{number}.fq.gz").read_bytes()
            (reads / f"{sample}_R{number}.fq.gz").write_bytes(whole if sample == "broken" else b"")
    (reads / "broken_R1.fq.gz").write_bytes((reads / "phage1_R1.fq.gz").read_bytes()[:100_000])
    (example.folder / "input/reference/bad.fa").write_text("no genome")

    reasons = example.reasons(
        {"name": "missing", "sample": "phage9"},
        {"name": "broken", "sample": "broken"},
        {"name": "no-reads", "sample": "empty"},
        {"name": "bad-reference", "sample": "phage1", "reference": "input/reference/bad.fa"},
        {"name": "no-sample"},
    )

    assert reasons["missing"].endswith(" matches phage9_R*")
    assert "the 1st file has fewer sequences" in reasons["broken"]
    assert reasons["no-reads"] == "none of 0 reads maps to input/reference/lambda_virus.fa"
    assert "Format error" in reasons["bad-reference"]
    assert "no 'sample'" in reasons["no-sample"]
