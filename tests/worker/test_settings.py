from __future__ import annotations

import json
from pathlib import Path

import pytest

from plumbing.errors import JobFailed
from plumbing.settings import (
    LONGEST_JOB,
    REQUIRED,
    SettingsError,
    read_settings,
    read_upload_flags,
)

LEAST = {
    "SQS_QUEUE_URL": "https://queue",
    "AWS_BUCKET": "bucket",
    "APP_NAME": "App",
    "RUN_ID": "R1",
    "AWS_REGION": "us-east-1",
}


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_setting_is_named(name):
    with pytest.raises(SettingsError, match=name):
        read_settings({**LEAST, name: ""})


def test_a_container_started_by_hand_gets_sensible_defaults():
    settings = read_settings(LEAST)

    assert settings.source_bucket == settings.destination_bucket == "bucket"
    assert settings.visibility == 300
    assert settings.job_retries == 3
    assert settings.workers == 1
    assert settings.job_timeout == LONGEST_JOB
    assert settings.dead_letter_queue == "App_DeadMessages"
    assert not settings.needs_mount
    assert not settings.check_if_done
    assert settings.work_folder == Path.cwd()


def test_config_gives_values_back_as_config_py_had_them():
    values = {
        "FLAG": "False",
        "COUNT": "7",
        "RATIO": "0.5",
        "NOTHING": "",
        "LIST": "[1,2]",
        "TEXT": "7",
    }
    types = {"FLAG": "bool", "COUNT": "int", "RATIO": "float", "NOTHING": "none", "LIST": "json"}

    config = read_settings({**LEAST, **values, "CONFIG_TYPES": json.dumps(types)}).config

    assert [config[name] for name in values] == [False, 7, 0.5, None, [1, 2], "7"]


def test_without_config_types_every_value_is_text():
    assert read_settings({**LEAST, "COUNT": "7"}).config["COUNT"] == "7"


def test_asking_for_a_setting_that_config_py_lacks_fails_the_job_with_its_name():
    with pytest.raises(JobFailed, match="MY_NAME"):
        read_settings(LEAST).config["MY_NAME"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOCKER_CORES", "four"),
        ("DOCKER_CORES", "0"),
        ("SQS_MESSAGE_VISIBILITY", "43201"),
        ("CHECK_IF_DONE_BOOL", "maybe"),
        ("UPLOAD_FLAGS", "--unknown"),
        ("CONFIG_TYPES", "[]"),
        ("CONFIG_TYPES", '{"AWS_BUCKET": "int"}'),
    ],
)
def test_nonsense_is_an_error_that_names_the_variable(name, value):
    with pytest.raises(SettingsError, match=name):
        read_settings({**LEAST, name: value})


def test_no_timeout_leaves_less_than_an_hour_for_uploading():
    settings = read_settings({**LEAST, "JOB_TIMEOUT": "43200"})

    assert settings.job_timeout == 11 * 3600


@pytest.mark.parametrize(("text", "mounted"), [("False", True), ("True", False), ("", False)])
def test_only_download_files_false_needs_a_mount(text, mounted):
    assert read_settings({**LEAST, "DOWNLOAD_FILES": text}).needs_mount is mounted


@pytest.mark.parametrize(
    ("flags", "arguments"),
    [
        ("", {}),
        ("None", {}),
        (
            "--acl bucket-owner-full-control --metadata-directive REPLACE",
            {"ACL": "bucket-owner-full-control"},
        ),
        ("--acl=private --quiet", {"ACL": "private"}),
        ("--sse --storage-class STANDARD_IA", {"ServerSideEncryption": "AES256",
                                               "StorageClass": "STANDARD_IA"}),
        ("--sse aws:kms --sse-kms-key-id 1", {"ServerSideEncryption": "aws:kms",
                                              "SSEKMSKeyId": "1"}),
        ("--content-type 'text/x; charset=y'", {"ContentType": "text/x; charset=y"}),
        ("--metadata a=1,b=2", {"Metadata": {"a": "1", "b": "2"}}),
        ("""--metadata '{"a": 1}'""", {"Metadata": {"a": "1"}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_flags_of_the_aws_cli_become_arguments_of_put_object(flags, arguments):
    assert read_upload_flags(flags) == arguments


@pytest.mark.parametrize("flags", ["--unknown", "word", "--acl", "--acl --sse", "--acl 'open"])
def test_what_is_not_understood_is_an_error(flags):
    with pytest.raises(ValueError):
        read_upload_flags(flags)
