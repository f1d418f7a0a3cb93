"""PutObject for very many small files, at half the cost of a call of boto3.

Most of a small upload through boto3 is neither signing nor sending. Here botocore presigns a URL,
which takes care of endpoint, credentials and signature, and its HTTP session sends the file
there; nothing else happens. S3 gets the same headers and checks the same CRC32. Errors are not
examined: the caller then makes the call in the usual way, which retries and explains.
benchmarks/transfer.py measures both.
"""

from __future__ import annotations

import base64
import os
import socket
import threading
import zlib
from typing import TYPE_CHECKING, Any, Mapping

from botocore.awsrequest import AWSRequest
from botocore.exceptions import ProxyConnectionError, SSLError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from plumbing.aws_clients import ANSWER_SECONDS, AWS_ERRORS, CONNECT_SECONDS, USER_AGENT
from plumbing.console import say

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_OK = 200
_URL_SECONDS = 900
# In a presigned URL of Signature Version 4. S3 does not accept version 2 everywhere.
_SIGNED = "X-Amz-Signature="
_CRC_HEADER = "x-amz-checksum-crc32"


class QuickPuts:
    """Sends bodies to S3, `connections` at a time, until S3 refuses one for good."""

    def __init__(self, s3: S3Client, connections: int) -> None:
        self._s3 = s3
        options: dict[str, Any] = {
            "verify": os.environ.get("AWS_CA_BUNDLE")
            or os.environ.get("REQUESTS_CA_BUNDLE")
            or True,
            "proxies": get_environ_proxies(s3.meta.endpoint_url),
            "timeout": (CONNECT_SECONDS, ANSWER_SECONDS),
            "max_pool_connections": connections,
            # Like botocore's clients: a body must not wait for the acknowledgment of its head.
            "socket_options": [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        }
        self._session = URLLib3Session(**options)
        self._lock = threading.Lock()
        self.usable = True

    def put(self, bucket: str, key: str, body: bytes, arguments: Mapping[str, Any]) -> bool:
        """Send a body; return whether S3 has it now. `arguments` are those of PutObject."""
        headers = self._headers(arguments)
        if not self.usable or headers is None:
            return False
        crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        headers[_CRC_HEADER] = crc
        try:
            url = self._s3.generate_presigned_url(
                "put_object",
                Params={"Bucket": bucket, "Key": key, "ChecksumCRC32": crc, **arguments},
                ExpiresIn=_URL_SECONDS,
            )
            if _SIGNED not in url:
                return self._give_up("the client does not sign by version 4")
            answer = self._session.send(AWSRequest("PUT", url, headers, body).prepare())
        except (SSLError, ProxyConnectionError) as error:
            # Their text has the whole URL in it.
            return self._give_up(type(error).__name__)
        except AWS_ERRORS:
            return False
        if 300 <= answer.status_code < 500:
            return self._give_up(f"S3 answered {answer.status_code}")
        return bool(answer.status_code == _OK)

    def close(self) -> None:
        self._session.close()

    def _give_up(self, why: str) -> bool:
        with self._lock:
            first, self.usable = self.usable, False
        if first:
            say(f"uploads continue in the usual way, which is slower for small files: {why}")
        return False

    def _headers(self, arguments: Mapping[str, Any]) -> dict[str, str] | None:
        """Return the headers of a presigned request; None if one is not plain text."""
        shape: Any = self._s3.meta.service_model.operation_model("PutObject").input_shape
        headers = {"User-Agent": USER_AGENT}
        for name, value in arguments.items():
            member = shape.members[name]
            place, header = member.serialization["location"], member.serialization["name"]
            if place == "headers":
                headers.update({f"{header}{key}": text for key, text in value.items()})
            elif place == "header" and member.type_name == "string":
                headers[header] = value
            else:
                return None
        return headers
