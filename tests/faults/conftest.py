"""AWS in a process of its own for all scenarios, and the threads that run them side by side."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore.config import Config

from tests.faults.site import Aws, Site

# Most scenarios wait most of the time.
AT_ONCE = 16


@pytest.fixture(scope="session")
def faults_aws(embedded_server):
    """The AWS on this computer with clients for many threads."""
    values = embedded_server.environment
    session = boto3.Session(
        values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1"
    )
    config = Config(max_pool_connections=4 * AT_ONCE, retries={"mode": "standard"})
    s3 = session.client("s3", endpoint_url=embedded_server.endpoint, config=config)
    sqs = session.client("sqs", endpoint_url=embedded_server.endpoint, config=config)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxies")
    thread.start()
    yield Aws(embedded_server.endpoint, embedded_server.over(os.environ), s3, sqs, loop)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    s3.close()
    sqs.close()


@pytest.fixture(scope="session")
def started(faults_aws, request, tmp_path_factory):
    """Start all chosen scenarios with the first one, and wait for the result of one at a time."""
    if hasattr(request.config, "workerinput"):
        pytest.fail("each process would run all scenarios; type: make faults", pytrace=False)

    def run(item, folder):
        scenario, settings = item.function.scenario
        with contextlib.closing(Site(faults_aws, folder, **settings)) as site:
            scenario(site, **(item.callspec.params if hasattr(item, "callspec") else {}))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        folder = tmp_path_factory.mktemp("faults")
        items = [item for item in request.session.items if hasattr(item.function, "scenario")]
        items.sort(key=lambda item: -item.function.seconds)
        futures = {
            item.nodeid: pool.submit(run, item, folder / str(number))
            for number, item in enumerate(items)
        }
        yield lambda item: futures[item.nodeid].result()
        for future in futures.values():
            future.cancel()
