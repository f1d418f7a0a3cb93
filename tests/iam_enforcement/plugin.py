"""A plugin of the embedded AWS that enforces IAM, switched on as moto's own enforcement is: POST
/moto-api/reset-auth.

moto checks signatures and most actions, but knows resources of few services, no conditions, no
iam:PassRole, no tags given at creation, and answers all services in one form. Here each request
needs what needed_permissions.py lists, and a refusal has the service's own form and AWS's words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from moto import settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.ec2.models import ec2_backends
from moto.iam.access_control import IAMPolicy, IAMRequest, S3IAMRequest
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.s3.exceptions import S3ClientError

from embedded_aws.worlds import Worlds
from tests.iam_enforcement.needed_permissions import Call, needs
from tests.iam_enforcement.policy_evaluation import Need, allows, trusts

_UNASKED = ("sts:GetCallerIdentity",)
_CODES = {
    "ec2": "UnauthorizedOperation",
    "iam": "AccessDenied",
    "sts": "AccessDenied",
    "cloudwatch": "AccessDenied",
}
_call_action = BaseResponse.call_action


class AccessDenied(ServiceException):
    """A permission is missing."""


def install(worlds: Worlds) -> None:
    """Make moto's server use it. Call this before the first request."""

    def call_action(self: Any) -> Any:
        try:
            if _enforced():
                _authorize(worlds, self)
        except AccessDenied as refused:
            return self.serialized(ActionResult(refused))
        return _call_action(self)

    setattr(BaseResponse, call_action.__name__, call_action)
    vars_of_mixin = {
        "_authenticate_and_authorize_normal_action": lambda self, resource="*": None,
        "_authenticate_and_authorize_s3_action": _authorize_s3,
    }
    for name, method in vars_of_mixin.items():
        setattr(ActionAuthenticatorMixin, name, method)


def _enforced() -> bool:
    return float("inf") != settings.INITIAL_NO_AUTH_ACTION_COUNT


def _authorize(worlds: Worlds, response: Any) -> None:
    if not hasattr(response, "params"):
        response.parse_parameters(response.normalized_request)
    account, region = response.current_account, response.region
    call = Call(
        response.boto3_service_name,
        response._get_action(),
        response.params,
        account,
        region,
        lambda resource: _tags(worlds, account, region, resource),
    )
    key = _identity(IAMRequest, response, call.operation)
    documents = list(_documents(key))
    for need in needs(call):
        if need.action not in _UNASKED and not _allowed(documents, key, account, need):
            code = _CODES.get(call.service, "AccessDeniedException")
            raise AccessDenied(code, _sentence(key, need))


def _authorize_s3(self: Any, bucket_name: str | None = None, key_name: str | None = None) -> None:
    """Replace moto's method, which its S3 calls with bucket and key."""
    if not _enforced():
        return
    action = self._get_action()
    key = _identity(S3IAMRequest, self, action)
    resource = f"arn:aws:s3:::{bucket_name or '*'}" + (f"/{key_name}" if key_name else "")
    prefix = self.querystring.get("prefix", [None])[0]
    context = {} if prefix is None else {"s3:prefix": prefix}
    name = "s3:ListBucket" if action == "HeadBucket" else f"s3:{action}"
    need = Need(name, resource, context)
    if not allows(_documents(key), need):
        refused = S3ClientError("AccessDenied", _sentence(key, need))
        raise refused


def _identity(kind: type[Any], response: Any, action: str) -> Any:
    """Return the signer after a check of the signature. Raise moto's error if it is wrong."""
    path = response.raw_path
    query = response.parsed_url.query
    request = kind(
        account_id=response.current_account,
        method=response.method,
        path=f"{path}?{query}" if query else path,
        # moto would hash its own parse of the URL as if it were the body.
        data=response.data if response.method == "POST" else {},
        body=response.raw_body,
        headers=response.headers,
        action=action,
    )
    request.check_signature()
    return request._access_key


def _documents(key: Any) -> Iterator[Mapping[str, Any]]:
    for policy in key.collect_policies():
        yield IAMPolicy(policy)._policy_json


def _allowed(documents: list[Mapping[str, Any]], key: Any, account: str, need: Need) -> bool:
    if not allows(documents, need):
        return False
    if need.action != "sts:AssumeRole":
        return True
    try:
        role = iam_backends[account]["aws"].get_role_by_arn(need.resource)
    except NotFoundException:
        return False
    trust = role.assume_role_policy_document
    return trusts(json.loads(trust) if isinstance(trust, str) else trust, key.arn, account)


def _sentence(key: Any, need: Need) -> str:
    """Return AWS's words for most services."""
    return (
        f"User: {key.arn} is not authorized to perform: {need.action} on resource: "
        f"{need.resource} because no identity-based policy allows the {need.action} action"
    )


def _tags(worlds: Worlds, account: str, region: str, resource: str) -> Mapping[str, str]:
    """Return the tags of a fleet, a machine or a launch template."""
    world = worlds.look(account, region)
    if resource in world.fleets:
        return world.fleets[resource].tags
    if resource in world.instances:
        return world.instances[resource].spec.tags
    tags: Mapping[str, str] = ec2_backends[account][region].tags.get(resource, {})
    return tags
