"""The numbers that an object takes and the others that it refers to, as rows of their own.

They are asked about before an object is saved, in the statement that locks its owner, and written
beside it.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import attrs

from nizam.model.base import Body
from nizam.model.resource import Resource
from nizam.store.connection import Select
from nizam.store.pool import Transaction
from nizam.store.references import (
    check_loop,
    check_numbers,
    check_references,
    forget_references,
    free_numbers,
    numbers_question,
    reference_questions,
    save_references,
    take_numbers,
)


@attrs.frozen
class Links:
    """Those of the objects of one owner: a tenant, or references.PLATFORM."""

    transaction: Transaction
    owner_id: UUID

    def questions(self, resource: Resource, identifier: UUID, body: Body) -> list[Select]:
        """What must be known of others before an object is saved; see `check`."""
        questions = reference_questions(self.owner_id, resource, identifier, body)
        if resource.is_dialled:
            questions.insert(0, numbers_question(self.owner_id, resource, identifier, body))
        return questions

    def check(
        self,
        resource: Resource,
        identifier: UUID,
        body: Body,
        answers: list[list[dict[str, Any]]],
    ) -> None:
        """Judge the answers to the questions. Raises Conflict naming the field that has a number
        which is taken, and ValidationFailed naming the references that are wrong."""
        if resource.is_dialled:
            check_numbers(answers.pop(0), resource, body)
        check_references(answers, resource, identifier, body)

    async def change(self, resource: Resource, identifier: UUID, body: Body) -> None:
        """Ask, check and save the links of an object that there is already; raises what `check`
        raises, and ValidationFailed for a loop."""
        questions = self.questions(resource, identifier, body)
        if questions:
            answers = await self.transaction.query_all(questions)
            self.check(resource, identifier, body, answers)
        self.save(resource, identifier, body, new=False)
        if resource.passes is not None:
            await check_loop(self.transaction, self.owner_id, resource, identifier, body)

    def save(self, resource: Resource, identifier: UUID, body: Body, *, new: bool) -> None:
        """Write the numbers and references of an object."""
        if resource.is_dialled:
            take_numbers(self.transaction, self.owner_id, resource, identifier, body)
        save_references(self.transaction, self.owner_id, resource, identifier, body, new=new)

    async def remove(self, resource: Resource, identifier: UUID) -> None:
        """Remove those of an object that is deleted. Raises InUse listing who refers to it."""
        await forget_references(self.transaction, self.owner_id, resource, identifier)
        if resource.is_dialled:
            free_numbers(self.transaction, self.owner_id, resource, identifier)
