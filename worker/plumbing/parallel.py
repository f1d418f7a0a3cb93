"""Call a function for many items, several at a time."""

from __future__ import annotations

import threading
from collections import deque
from typing import Callable, Iterable, TypeVar

Item = TypeVar("Item")


def each(function: Callable[[Item], object], items: Iterable[Item], most: int) -> None:
    """Call `function` for every item, in up to `most` threads including this one.

    After an error no other item begins; it is raised when all threads have ended.
    """
    left = deque(items)
    errors: list[BaseException] = []

    def work() -> None:
        while not errors:
            try:
                item = left.popleft()
            except IndexError:
                return
            try:
                function(item)
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(min(most, len(left)) - 1)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
