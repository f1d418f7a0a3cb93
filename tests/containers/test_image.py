"""The image of worker/ as it is built."""

from __future__ import annotations


def test_without_settings_the_container_says_what_it_lacks(engine, worker_image):
    ended = engine.run("run", "--rm", worker_image, check=False)

    assert ended.returncode == 2
    assert "SQS_QUEUE_URL" in ended.stdout
