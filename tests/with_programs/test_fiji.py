from __future__ import annotations

import json

import pytest

from tests.trials.fiji import TRIAL
from tests.trials.trial import WrongResult

POS002 = {"name": "POS002", "download_filter": "*_POS002_D.TIF"}


def test_the_known_nuclei_are_counted(copy_of):
    example = copy_of(TRIAL)

    jobs = json.loads((example.folder / TRIAL.job_file).read_text())["groups"]
    large = {**POS002, "name": "large", "arguments": {"smallest": 300}}

    code, out, err = example.run(*jobs, large)

    assert (code, err) == (0, "")
    assert len(TRIAL.check(example.output)) == 3
    counted = (example.output / "nuclei/large/01_POS002_D_nuclei.csv").read_text()
    assert 0 < len(counted.splitlines()) - 1 < 295, "its own argument comes before the shared one"
    table = example.output / "nuclei/POS002/01_POS002_D_nuclei.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-4]))
    with pytest.raises(WrongResult, match="POS002 has 291 nuclei, not 295"):
        TRIAL.check(example.output)


def test_what_a_user_of_imagej_needs_to_know_is_the_reason(copy_of):
    example = copy_of(TRIAL)
    (example.folder / "input/broken.TIF").write_text("no image")

    reasons = example.reasons(
        {"name": "no-images", "download_filter": "*_POS999_*"},
        {"name": "broken", "download_filter": "broken.TIF"},
        {**POS002, "name": "nothing-kept", "upload_filter": "*.xlsx"},
        {"name": "empty"},
    )

    assert reasons["no-images"].endswith(" matches *_POS999_*")
    assert "Error: ImageJ cannot open broken.TIF" in reasons["broken"]
    assert reasons["nothing-kept"] == (
        "input/nuclei.ijm wrote nothing that matches upload_filter *.xlsx"
    )
    assert "no 'download_filter'" in reasons["empty"]


def test_an_error_of_the_macro_is_the_reason_with_its_line(copy_of):
    example = copy_of(TRIAL)
    (example.folder / "input/bad.ijm").write_text('setBatchMode(true);\nopen("a.tif";\n')
    example.set(SCRIPT="input/bad.ijm")

    reasons = example.reasons(POS002)

    assert reasons["POS002"].endswith("Macro Error: ')' expected in line 2.")
