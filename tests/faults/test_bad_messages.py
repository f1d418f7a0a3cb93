"""Messages that are no jobs, jobs that kill their workers, and values that would lead astray."""

from __future__ import annotations

import json
import os

from tests.faults.proxy import Answer
from tests.faults.site import BUSY_SECONDS, Site, until
from tests.faults.together import together

MESSAGE_BYTES = 1 << 20
SILENT_CAUSES = "the machine was lost, its memory was full, or it was cut off from AWS"
NO_JOBS = {
    "not-json": "{this is not JSON",
    "empty": "{",
    "a-list": "[1, 2]",
    "null": "null",
    "group-is-a-number": '{"group": 5}',
    "nested": "[" * 100_000,
    "lone-surrogate": '{"group": {"name": "\\ud800"}}',
    "a-mebibyte-of-nothing": "x" * MESSAGE_BYTES,
}
# Groups whose values look like names of files elsewhere, and the start of their output keys.
STRANGE = {
    "unicode": ({"plate": "Zürich 7", "well": "日本"}, "out/Zürich_7-日本/"),
    "slashes": ({"plate": "/etc/passwd", "well": "a//b"}, "out/_etc_passwd-a_b/"),
    "dots": ({"plate": "../../..", "well": ".."}, "out/_.._..-/"),
    "control": ({"plate": "a\nb\x00c", "well": "\u202e"}, "out/a_b_c-_/"),
    "shell": ({"plate": "$(touch /tmp/x); `id`", "well": "\" ' \\"}, "out/"),
    "long": ({"plate": "x" * 5000}, "out/" + "x" * 100),
}
OUTPUTS = {"a.txt": 10}


@together(40, SQS_MESSAGE_VISIBILITY=5, JOB_RETRIES=2)
def test_bad_messages_become_dead_letters_and_good_ones_go_on(site: Site):
    for body in NO_JOBS.values():
        site.sqs.send_message(QueueUrl=site.queue_url, MessageBody=body)
    site.send("poison", kill_worker=True)
    site.send("never-well", failure="it never works")
    fill = MESSAGE_BYTES - 1000
    site.send("a-mebibyte", files={"a.txt": 10}, values="x" * fill)
    site.send("good")

    def rule(call):
        # As SQS does, which counts attributes as well: a reason is too much for the largest.
        too_large = call.operation == "SendMessage" and _size(call.text) > MESSAGE_BYTES
        return Answer(400, "InvalidParameterValue") if too_large else None

    container = site.start(rule, DOCKER_CORES=2)
    until(lambda: site.waiting() == (0, 0), 60 + BUSY_SECONDS)

    assert site.written("records", "good") == ["done.json"]
    assert site.written("records", "a-mebibyte") == ["done.json"]
    assert site.lacking("good") == [] and site.lacking("a-mebibyte") == []
    reasons = dict(site.dead_letters())
    for name, body in NO_JOBS.items():
        # In the largest there is no room for a reason: only its record has one.
        expected = "the message is not a job" if len(body) < MESSAGE_BYTES else ""
        assert expected in reasons.pop(body), name
    assert sorted(reasons.values()) == [
        f"ended silently 2 times ({SILENT_CAUSES})",
        "it never works",
    ]
    assert "silently 2 times" in site.record("poison", "killed.failed")["reason"]
    assert site.record("never-well", "job_failed.failed")["reason"] == "it never works"
    assert len(site.runs("poison")) == 2 and len(site.runs("never-well")) == 2
    assert site.written("records").count("not_a_job.failed.json") == len(NO_JOBS)
    assert container.process.poll() is None


def _size(request: str) -> int:
    """Bytes of a message as SendMessage counts them: its body, and all of its attributes."""
    sent = json.loads(request)
    size = len(sent["MessageBody"].encode())
    for name, value in sent.get("MessageAttributes", {}).items():
        size += len((name + value["DataType"] + value["StringValue"]).encode())
    return size


@together(20, SQS_MESSAGE_VISIBILITY=20, JOB_RETRIES=1)
def test_no_value_of_a_job_leads_out_of_its_prefix_or_its_folder(site: Site):
    site.s3.put_object(Bucket=site.bucket, Key="in/../../stolen.txt", Body=b"x")
    around = _all_below(site)
    for values, _ in STRANGE.values():
        body = json.dumps({"files": OUTPUTS, "group": values})
        site.sqs.send_message(QueueUrl=site.queue_url, MessageBody=body)
    refused = {
        "up": ({"place": "../elsewhere"}, "bad_output"),
        "up-within": ({"place": "out/../../elsewhere"}, "bad_output"),
        "download-up": ({"inputs": "in/"}, "missing_input"),
        "download-root": ({"inputs": "/"}, "missing_input"),
    }
    for name, (group, _) in refused.items():
        site.send(name, **group)

    site.start(DOCKER_CORES=2)
    until(lambda: site.waiting() == (0, 0), BUSY_SECONDS)

    outputs = [name for name in site.names() if name.endswith("/a.txt")]
    assert len(outputs) == len(STRANGE)
    for name, (_, prefix) in STRANGE.items():
        assert any(key.startswith(prefix) for key in outputs), name
    for key in site.names():
        assert key.split("/")[0] in ("runs", "out", "in"), key
        assert key == "in/../../stolen.txt" or ".." not in key.split("/"), key
    for name in refused:
        (end,) = site.written("records", name)
        assert end == f"{refused[name][1]}.failed.json", name
    reasons = sorted(reason for _, reason in site.dead_letters())
    assert len(reasons) == len(refused)
    assert _all_below(site) == around


def _all_below(site: Site) -> set[str]:
    """The files in the scenario's folder that lie neither in the work folder nor are its own."""
    found = set()
    for root, _, names in os.walk(site.folder):
        if not root.startswith(str(site.work_folder)):
            found |= {os.path.join(root, name) for name in names}
    return {name for name in found if not os.path.basename(name).startswith("container-")}
