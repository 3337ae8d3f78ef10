"""Whose turn it is among tenants, and among the lanes of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar
from uuid import UUID


class OfTenant(Protocol):
    """What belongs to a tenant."""

    @property
    def tenant_id(self) -> UUID: ...


T = TypeVar("T", bound=OfTenant)


class Turns(Generic[T]):
    """A queue in which tenants take turns, and with each tenant those that belong to it: a tenant
    with a thousand has no more turns than one with a single one."""

    def __init__(self) -> None:
        self._tenants: deque[UUID] = deque()
        self._of: dict[UUID, deque[T]] = {}

    def __bool__(self) -> bool:
        return bool(self._tenants)

    def add(self, it: T) -> None:
        """Put it behind the others of its tenant."""
        waiting = self._of.get(it.tenant_id)
        if waiting is None:
            waiting = self._of[it.tenant_id] = deque()
            self._tenants.append(it.tenant_id)
        waiting.append(it)

    def take(self, may: Callable[[UUID], bool]) -> T | None:
        """The next one of a tenant that `may` have a turn; None when there is none."""
        for _ in range(len(self._tenants)):
            tenant_id = self._tenants.popleft()
            if not may(tenant_id):
                self._tenants.append(tenant_id)
                continue
            waiting = self._of[tenant_id]
            it = waiting.popleft()
            if waiting:
                self._tenants.append(tenant_id)
            else:
                del self._of[tenant_id]
            return it
        return None

    def clear(self) -> None:
        """Forget all."""
        self._tenants.clear()
        self._of.clear()
