"""The greetings of a mailbox: what callers hear before they leave a message.

They are the files that mod_voicemail knows by their numbers, whoever made them: uploaded here or
recorded at the phone.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from nizam.errors import Conflict, MediaUnavailable, NotFound, PayloadTooLarge
from nizam.http.body import merge_patch, validate
from nizam.http.changes import change_context
from nizam.http.files import StoredFile, file_reply
from nizam.http.reply import Reply
from nizam.http.route import TENANT, Call, Parameter, Route
from nizam.http.schemas import list_of, ref
from nizam.http.sounds import AUDIO, Sounds, download_route, upload_route
from nizam.media.converter import Limits
from nizam.media.library import PROMPT_LIMITS, MediaLibrary
from nizam.media.readable import LocalFile
from nizam.media.wav import WavFacts
from nizam.model.base import Body
from nizam.model.registry import resource
from nizam.model.voicemail_files import MOST_GREETINGS, greeting_name, voicemail_directory
from nizam.store.audit import AuditEntry
from nizam.store.store import Store
from nizam.store.stored import Stored
from nizam.store.unit_of_work import UnitOfWork

_LIST = f"{TENANT}/extensions/{{id}}/voicemail-greetings"
_ITEM = f"{_LIST}/{{greeting}}"
_TAG = "voicemail"
_LIMITS: Final = Limits(max_bytes=PROMPT_LIMITS.max_bytes, max_seconds=300.0)
_NUMBER = Parameter(
    name="greeting",
    about="Its number in the mailbox, 1 to 9.",
    schema={"type": "integer", "minimum": 1, "maximum": MOST_GREETINGS, "examples": [1]},
    where="path",
)
_NUMBERS: Final = {str(it): it for it in range(1, MOST_GREETINGS + 1)}


@attrs.frozen
class Greetings:
    """The handlers."""

    store: Store
    library: MediaLibrary

    async def list_all(self, call: Call) -> Reply:
        """The greetings that the mailbox has."""
        extension = await self._extension(call)
        found = []
        for number in _NUMBERS.values():
            facts = await self.library.examine(self._path(call, number))
            if facts is not None:
                found.append(_shown(number, facts, extension))
        return Reply({"data": found, "next_cursor": None, "has_more": False})

    async def upload(self, call: Call) -> Reply:
        """Put a sound in the place of the greeting with this number. Callers hear it at once if
        it is the one that is chosen."""
        number, sounds = _number(call), Sounds(self.library, "prompts")
        with sounds.body(call) as body:
            extension = await self._extension(call)
            upload = await sounds.receive(call, body)
        with upload.file:
            directory = voicemail_directory(call.tenant, call.id())
            name = greeting_name(number)
            await self.library.put(directory, name, upload.file, _LIMITS)
        facts = await self._facts(call, number)
        await self._audit(call, "uploaded", {"number": number, "sha256": facts.sha256})
        return Reply(_shown(number, facts, extension))

    async def download(self, call: Call) -> Reply:
        """The sound as callers hear it."""
        number = _number(call)
        extension, facts = await self._extension(call), await self._facts(call, number)
        file = StoredFile(
            sha256=facts.sha256,
            size=facts.bytes,
            name=f"{extension.body['number']}-greeting-{number}.wav",
            media_type=AUDIO,
        )
        path = self._path(call, number)
        return await file_reply(call, file, lambda: LocalFile.open(self.library, path))

    async def choose(self, call: Call) -> Reply:
        """Have callers hear this one, whatever was chosen at the phone: `voicemail.greeting` of
        the extension, which null leaves to the phone again."""
        call.no_body()
        number = _number(call)
        await self._extension(call)
        facts, declared = await self._facts(call, number), resource("extension")

        def change(present: Stored) -> Body:
            own = declared.read_only
            kept = {name: it for name, it in present.body.items() if name not in own}
            return validate(declared.body, merge_patch(kept, {"voicemail": {"greeting": number}}))

        async def work(unit: UnitOfWork) -> Reply:
            return Reply(_shown(number, facts, await unit.update(declared, call.id(), change)))

        return await self.store.write(call.tenant, change_context(call), work)

    async def delete(self, call: Call) -> Reply:
        """Remove one, unless it is the one that is chosen."""
        number = _number(call)
        if _chosen(await self._extension(call)) == number:
            raise Conflict("callers hear it: choose another one, or none, before")
        if not await self.library.remove(self._path(call, number)):
            raise NotFound
        await self._audit(call, "deleted", {"number": number})
        return Reply(None, 204)

    async def _extension(self, call: Call) -> Stored:
        return await self.store.get(resource("extension"), call.tenant, call.id())

    async def _facts(self, call: Call, number: int) -> WavFacts:
        facts = await self.library.examine(self._path(call, number))
        if facts is None:
            raise NotFound
        return facts

    def _path(self, call: Call, number: int) -> str:
        return f"{voicemail_directory(call.tenant, call.id())}/{greeting_name(number)}"

    async def _audit(self, call: Call, action: str, after: dict[str, Any]) -> None:
        entry = AuditEntry(
            action=action,
            resource_type="voicemail_greeting",
            resource_id=call.id(),
            tenant_id=call.tenant,
            after=after,
        )
        await self.store.record(change_context(call), entry)

    def routes(self) -> list[Route]:
        """The routes of this file."""
        return [
            Route(
                method="GET",
                path=_LIST,
                handler=self.list_all,
                summary="The greetings of an extension's mailbox.",
                operation="list_voicemail_greetings",
                tag=_TAG,
                permission="voicemail_messages:read",
                response=list_of(ref("VoicemailGreeting")),
                errors=(MediaUnavailable,),
            ),
            upload_route(
                "prompts",
                fields={},
                parameters=(_NUMBER,),
                versioned=False,
                method="PUT",
                path=_ITEM,
                handler=self.upload,
                summary="Upload a greeting, WAV or MP3; it replaces the present one.",
                operation="upload_voicemail_greeting",
                tag=_TAG,
                permission="voicemail_messages:write",
                response=ref("VoicemailGreeting"),
                errors=(PayloadTooLarge,),
            ),
            attrs.evolve(
                download := download_route(
                    path=f"{_ITEM}/audio",
                    handler=self.download,
                    summary="The sound of a greeting, as 16-bit linear WAV.",
                    operation="download_voicemail_greeting",
                    tag=_TAG,
                    permission="voicemail_messages:read",
                ),
                parameters=(*download.parameters, _NUMBER),
            ),
            Route(
                method="POST",
                path=f"{_ITEM}/choose",
                handler=self.choose,
                summary="Have callers hear a greeting.",
                operation="choose_voicemail_greeting",
                tag=_TAG,
                permission="voicemail_messages:write",
                response=ref("VoicemailGreeting"),
                parameters=(_NUMBER,),
                errors=(MediaUnavailable,),
            ),
            Route(
                method="DELETE",
                path=_ITEM,
                handler=self.delete,
                summary="Remove a greeting that is not chosen.",
                operation="delete_voicemail_greeting",
                tag=_TAG,
                permission="voicemail_messages:write",
                status=204,
                parameters=(_NUMBER,),
                errors=(Conflict, MediaUnavailable),
            ),
        ]


def _number(call: Call) -> int:
    number = _NUMBERS.get(call.path["greeting"])
    if number is None:
        raise NotFound
    return number


def _chosen(extension: Stored) -> int | None:
    found: int | None = extension.body["voicemail"].get("greeting")
    return found


def _shown(number: int, facts: WavFacts, extension: Stored) -> dict[str, Any]:
    return {
        "number": number,
        "chosen": _chosen(extension) == number,
        "duration_ms": facts.duration_ms,
        "size_bytes": facts.bytes,
        "sha256": facts.sha256,
        "problem": facts.problem,
    }
