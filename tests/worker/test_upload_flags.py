from __future__ import annotations

import pytest

from plumbing import upload_flags


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
    assert upload_flags.parse(flags) == arguments


@pytest.mark.parametrize("flags", ["--unknown", "word", "--acl", "--acl --sse", "--acl 'open"])
def test_what_is_not_understood_is_an_error(flags):
    with pytest.raises(ValueError):
        upload_flags.parse(flags)
