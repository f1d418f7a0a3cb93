from __future__ import annotations

import pytest

from control.errors import ExplainedError
from tests.trials.ome_zarr import TRIAL


def test_what_comes_back_is_valid_and_has_the_same_pixels(copy_of):
    example = copy_of(TRIAL)

    code, out, err = example.run()

    assert (code, err) == (0, "")
    assert len(TRIAL.check(example.output)) == 3
    assert (example.output / "zarr/POS002/POS002.ome.zarr/.zattrs").exists(), "version 0.4"
    assert (example.output / "zarr/POS218/POS218.ome.zarr/zarr.json").exists(), "0.5, by its flags"
    (example.output / "zarr/POS002/POS002.ome.zarr/scale0/image/1/7/7").unlink()
    with pytest.raises(ExplainedError, match="the pixels differ"):
        TRIAL.check(example.output)


def test_what_a_user_of_the_converter_needs_to_know_is_the_reason(copy_of):
    example = copy_of(TRIAL)
    whole = (example.folder / "input/POS002.ome.tif").read_bytes()
    (example.folder / "input/text.ome.tif").write_text("no image")
    (example.folder / "input/cut.ome.tif").write_bytes(whole[:1_000_000])

    reasons = example.reasons(
        {"name": "missing", "image": "POS999.ome.tif"},
        {"name": "no-tiff", "image": "text.ome.tif"},
        {"name": "cut-off", "image": "cut.ome.tif"},
        {"name": "bad-flag", "image": "POS002.ome.tif", "flags": "-m nonsense"},
        {"name": "empty"},
    )

    assert "input/POS999.ome.tif" in reasons["missing"] and "there is neither" in reasons["missing"]
    assert "Failed to open TIFF file" in reasons["no-tiff"]
    assert "ValueError: failed to read" in reasons["cut-off"]
    assert "invalid choice: 'nonsense'" in reasons["bad-flag"]
    assert "no 'image'" in reasons["empty"]
