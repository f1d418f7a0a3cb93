from __future__ import annotations

import itertools

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError

from control.verbs.local import inputs_outputs

NUMBERS = itertools.count()
SIZES = {"a.txt": 3, "empty": 0, "plate 1/é.bin": 100_000, "plate 1/large.bin": 5_000_000}


@pytest.fixture
def s3(embedded_server, monkeypatch):
    for name, value in embedded_server.environment.items():
        monkeypatch.setenv(name, value)
    s3 = boto3.client("s3")
    yield s3
    s3.close()


@pytest.fixture
def bucket(s3):
    name = f"local-files-{next(NUMBERS)}"
    s3.create_bucket(Bucket=name)
    return name


def content(name):
    return (name.encode() * SIZES[name])[: SIZES[name]]


def test_what_is_put_into_the_bucket_comes_back_whole(s3, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs_outputs, "_LARGE", 1_000_000)
    inputs, output = tmp_path / "in", tmp_path / "out"
    for name in SIZES:
        (inputs / name).parent.mkdir(parents=True, exist_ok=True)
        (inputs / name).write_bytes(content(name))

    keys = inputs_outputs.put_inputs(s3, bucket, inputs_outputs.Inputs(inputs, "results"))
    inputs_outputs.take_outputs(s3, bucket, output, frozenset())

    assert keys == {f"results/{name}" for name in SIZES}
    found = {path for path in output.rglob("*") if path.is_file()}
    assert found == {output / "results" / name for name in SIZES}
    for name in SIZES:
        assert (output / "results" / name).read_bytes() == content(name)


def test_an_output_that_breaks_off_is_not_there_in_part(s3, bucket, tmp_path, monkeypatch):
    s3.put_object(Bucket=bucket, Key="broken.bin", Body=b"x" * 1000)

    def breaks(source, file, length):
        file.write(source.read(10))
        raise ReadTimeoutError(endpoint_url="http://aws")

    monkeypatch.setattr(inputs_outputs.shutil, "copyfileobj", breaks)

    with pytest.raises(ReadTimeoutError):
        inputs_outputs.take_outputs(s3, bucket, tmp_path, frozenset())

    assert list(tmp_path.iterdir()) == []
