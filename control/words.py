"""Numbers in sentences."""

from __future__ import annotations


def several(number: int, noun: str) -> str:
    """'1 machine', '2,000 machines'."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
