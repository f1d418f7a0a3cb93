"""IAM's evaluation of policies (IAM guide, reference_policies_evaluation-logic).

Pure; only identity policies and trust policies, as the project uses them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any


@dataclass(frozen=True)
class Need:
    """One permission that a request needs, with the values of IAM's condition keys for it."""

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)


def allows(documents: Iterable[Mapping[str, Any]], need: Need) -> bool:
    """Return whether a statement allows it and none denies it."""
    effects = {
        statement["Effect"]
        for document in documents
        for statement in _listed(document["Statement"])
        if _concerns(statement, need)
    }
    return effects == {"Allow"}


def trusts(document: Mapping[str, Any], principal: str, account: str) -> bool:
    """Return whether a role's trust policy lets an identity of this account assume it."""
    accepted = {"*", account, principal, principal.split(":iam:")[0] + f":iam::{account}:root"}
    for statement in _listed(document["Statement"]):
        named = statement.get("Principal", {})
        theirs = _listed(named if isinstance(named, str) else named.get("AWS", []))
        if statement["Effect"] == "Allow" and accepted & set(theirs):
            return True
    return False


def _concerns(statement: Mapping[str, Any], need: Need) -> bool:
    actions = "NotAction" if "NotAction" in statement else "Action"
    if any(_like(one.lower(), need.action.lower()) for one in _listed(statement[actions])) == (
        actions == "NotAction"
    ):
        return False
    if not any(_like(one, need.resource) for one in _listed(statement["Resource"])):
        return False
    return all(_holds(*one, need.context) for one in _conditions(statement))


def _conditions(statement: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            yield operator, key, _listed(values)


def _holds(operator: str, key: str, values: list[str], context: Mapping[str, str]) -> bool:
    """A key that the request does not have makes a condition false. Raise NotImplementedError."""
    if operator not in ("StringEquals", "StringLike", "ArnEquals", "ArnLike"):
        raise NotImplementedError(f"the condition operator {operator}")
    if key not in context:
        return False
    if operator == "StringEquals":
        return context[key] in values
    return any(_like(value, context[key]) for value in values)


def _like(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
