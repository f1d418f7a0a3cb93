"""moto's S3 with conditional writes that are atomic (S3 guide, conditional-requests)."""

from __future__ import annotations

import threading
from typing import Any

import moto.s3.responses as responses

_writing = threading.Lock()


class S3Actions(responses.S3Response):
    """Of several conditional writes of one key at the same time, exactly one succeeds."""

    def put_object(self) -> Any:
        """PutObject, with If-Match and If-None-Match."""
        with _writing:
            return super().put_object()

    def _key_response_post(self, request: Any, *args: Any) -> Any:
        """CompleteMultipartUpload, with If-None-Match, among others."""
        with _writing:
            return super()._key_response_post(request, *args)


def install() -> None:
    """Make moto's server use it. Call it before the first request."""
    # Not the table of paths, as with other services: moto reads that one anew from its module.
    vars(responses)["S3Response"] = S3Actions
