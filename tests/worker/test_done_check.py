from __future__ import annotations

import pytest
from botocore.stub import Stubber

from plumbing import done_check
from plumbing import settings as environment

LEAST = {
    "SQS_QUEUE_URL": "q",
    "AWS_BUCKET": "bucket",
    "APP_NAME": "App",
    "RUN_ID": "R1",
    "AWS_REGION": "us-east-1",
    "DESTINATION_BUCKET": "results",
}


def settings_of(**values):
    return environment.read({**LEAST, **values})


@pytest.mark.parametrize(
    ("name", "size", "settings", "counted"),
    [
        ("a.csv", 1, {}, True),
        ("a.csv", 0, {}, False),
        ("a.csv", 99, {"MIN_FILE_SIZE_BYTES": "100"}, False),
        ("a.csv", 100, {"MIN_FILE_SIZE_BYTES": "100"}, True),
        ("sub/table.csv", 1, {"NECESSARY_STRING": ".csv"}, True),
        ("sub/table.txt", 1, {"NECESSARY_STRING": ".csv"}, False),
    ],
)
def test_which_files_count(name, size, settings, counted):
    assert done_check.counts(name, size, settings_of(**settings)) is counted


@pytest.mark.parametrize(("expected", "done"), [(1500, True), (1501, False)])
def test_more_than_a_thousand_objects_are_counted(cloud, expected, done):
    pages = [range(1000), range(1000, 1500)]
    with Stubber(cloud.s3) as stub:
        for number, page in enumerate(pages):
            token = {"ContinuationToken": "next"} if number else {}
            more = {"IsTruncated": True, "NextContinuationToken": "next"} if number == 0 else {}
            stub.add_response(
                "list_objects_v2",
                {"Contents": [{"Key": f"out/A1/{n}", "Size": 1} for n in page], **more},
                {"Bucket": "results", "Prefix": "out/A1/", **token},
            )
        settings = settings_of(EXPECTED_NUMBER_FILES=str(expected))

        found = done_check.outputs_are_there(cloud.s3, settings, "out/A1", lambda: None)

    assert found is done


def test_the_outputs_of_a_job_whose_name_only_begins_alike_do_not_count(cloud):
    cloud.s3.put_object(Bucket=cloud.bucket, Key="out/A10/x", Body=b"x")
    settings = settings_of(DESTINATION_BUCKET=cloud.bucket)

    assert not done_check.outputs_are_there(cloud.s3, settings, "out/A1", lambda: None)
    assert done_check.outputs_are_there(cloud.s3, settings, "out/A10", lambda: None)


def test_the_prefix_itself_does_not_hold_the_necessary_string(cloud):
    cloud.s3.put_object(Bucket=cloud.bucket, Key="csv/A1/x.txt", Body=b"x")
    settings = settings_of(DESTINATION_BUCKET=cloud.bucket, NECESSARY_STRING="csv")

    assert not done_check.outputs_are_there(cloud.s3, settings, "csv/A1", lambda: None)


def test_a_job_that_is_to_write_nothing_is_never_done_already():
    settings = settings_of(EXPECTED_NUMBER_FILES="0")

    assert not done_check.outputs_are_there(None, settings, "out", lambda: None)
