#!/usr/bin/env python3
"""One transfer by one engine, as a process whose cost transfer.py measures.

    python benchmarks/transfer_engine.py ENGINE upload|download FOLDER PREFIX

AWS_ENDPOINT_URL says where S3 is. Each engine gets as many files at a time as it is made for; the
start of Python and boto3 is part of what is measured, as it is with a command line program.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "worker")]

from benchmarks.s3_stub import BUCKET  # noqa: E402

REGION = "us-east-1"
THREADS = 16


def with_plumbing(direction: str, folder: Path, prefix: str) -> None:
    """The worker's own way, as attempt.py and job.py call it."""
    from plumbing import aws_clients, download, upload

    s3 = aws_clients.make_clients(aws_clients.make_session(REGION)).s3
    if direction == "upload":
        items = upload.items_of(folder, BUCKET, prefix, {}, print)
        upload.send_all(s3, items, lambda: None)
    else:
        download.fetch_one(s3, BUCKET, f"{prefix}/", folder, lambda: None)


def with_put_object(direction: str, folder: Path, prefix: str) -> None:
    """The worker's uploads without quick_put.py: calls of boto3's put_object in threads."""
    from plumbing import upload

    upload.MANY = sys.maxsize
    with_plumbing(direction, folder, prefix)


def with_s3transfer(direction: str, folder: Path, prefix: str) -> None:
    """What is under boto3's upload_file and under `aws s3 cp`."""
    import boto3
    from botocore.config import Config
    from s3transfer.manager import TransferConfig, TransferManager

    s3 = boto3.client("s3", region_name=REGION, config=Config(max_pool_connections=THREADS))
    with TransferManager(s3, TransferConfig(max_request_concurrency=THREADS)) as manager:
        _submit_all(manager, s3, direction, folder, prefix)


def with_crt(direction: str, folder: Path, prefix: str) -> None:
    """AWS's transfer library in C, by s3transfer's bindings."""
    import boto3
    import botocore.session
    from s3transfer.crt import (
        BotocoreCRTCredentialsWrapper,
        BotocoreCRTRequestSerializer,
        CRTTransferManager,
        create_s3_crt_client,
    )

    session = botocore.session.get_session()
    credentials = BotocoreCRTCredentialsWrapper(session.get_credentials())
    client = create_s3_crt_client(REGION, credentials.to_crt_credentials_provider(), use_ssl=False)
    url = os.environ["AWS_ENDPOINT_URL"]
    serializer = BotocoreCRTRequestSerializer(session, {"region_name": REGION, "endpoint_url": url})
    s3 = boto3.client("s3", region_name=REGION)
    with CRTTransferManager(client, serializer) as manager:
        _submit_all(manager, s3, direction, folder, prefix)


def _submit_all(manager: Any, s3: Any, direction: str, folder: Path, prefix: str) -> None:
    if direction == "upload":
        futures = [
            manager.upload(str(path), BUCKET, f"{prefix}/{path.relative_to(folder)}")
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
    else:
        folder.mkdir(parents=True)
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
        keys = [entry["Key"] for page in pages for entry in page["Contents"]]
        futures = [
            manager.download(BUCKET, key, str(folder / key.rpartition("/")[2])) for key in keys
        ]
    for future in futures:
        future.result()


ENGINES = {
    "plumbing": with_plumbing,
    "put_object": with_put_object,
    "s3transfer": with_s3transfer,
    "crt": with_crt,
}

if __name__ == "__main__":
    engine, direction, folder, prefix = sys.argv[1:]
    ENGINES[engine](direction, Path(folder), prefix)
