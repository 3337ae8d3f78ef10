"""Prompts: what every resource has, and their sound."""

from __future__ import annotations

from typing import Any

import attrs

from nizam.errors import NotFound, VersionMismatch
from nizam.http.changes import change_context
from nizam.http.crud import Crud, shown
from nizam.http.etag import if_match
from nizam.http.reply import Reply
from nizam.http.route import Call, Route
from nizam.http.schema_parts import ref
from nizam.http.sounds import IF_MATCH, Sounds, download_route, upload_route
from nizam.store.stored import Stored
from nizam.store.unit_of_work import UnitOfWork


@attrs.frozen
class Prompts(Crud):
    """The handlers of prompts."""

    sounds: Sounds

    async def upload(self, call: Call) -> Reply:
        """Put a sound in the place of the present one, if there is one."""
        identifier, versions = call.id(), if_match(call.header("if-match"))
        with self.sounds.body(call) as body:
            await self.store.get(self.resource, call.tenant, identifier)
            upload = await self.sounds.receive(call, body)
        audio = await self.sounds.store(call, identifier, upload)
        replaced: list[dict[str, Any]] = []

        def change(present: dict[str, Any] | None) -> dict[str, Any]:
            new = audio.model_dump(mode="json")
            if present is not None and {**new, "id": present["id"]} == present:
                return present  # the same sound again, such as a request that was repeated
            replaced.extend([present] if present is not None else [])
            return new

        async def work(unit: UnitOfWork) -> Stored:
            return await unit.change_field(
                self.resource, identifier, "audio", change, versions=versions
            )

        writing = self.store.write(call.tenant, change_context(call), work)
        it = await self.sounds.committed(call, identifier, audio, writing)
        if it.body["audio"]["id"] != str(audio.id):
            await self.sounds.drop(call.tenant, identifier, audio.id)
        for former in replaced:
            await self.sounds.release(call.tenant, identifier, former["id"])
        return shown(it)

    async def download(self, call: Call) -> Reply:
        """The sound as it is stored."""
        it = await self.store.get(self.resource, call.tenant, call.id())
        if it.body.get("audio") is None:
            raise NotFound("the prompt has no sound")
        return await self.sounds.answer(call, it.id, it.body["audio"], it.body["name"])

    async def remove(self, call: Call) -> Reply:
        """Leave the prompt without a sound."""
        identifier, versions = call.id(), if_match(call.header("if-match"))
        removed: list[str] = []

        def change(present: dict[str, Any] | None) -> None:
            if present is None:
                raise NotFound("the prompt has no sound")
            removed.append(present["id"])

        async def work(unit: UnitOfWork) -> None:
            await unit.change_field(self.resource, identifier, "audio", change, versions=versions)

        await self.store.write(call.tenant, change_context(call), work)
        for file_id in removed:
            await self.sounds.drop(call.tenant, identifier, file_id)
        return Reply(None, 204)

    async def delete(self, call: Call) -> Reply:
        """Delete one, its sound too."""
        gone = await self.deleted(call)
        if gone.body.get("audio") is not None:
            await self.sounds.drop(call.tenant, gone.id, gone.body["audio"]["id"])
        return Reply(None, 204)

    def routes(self) -> list[Route]:
        """Those of every resource, and those of the sound."""
        path = f"{self.item}/audio"
        return [
            *Crud.routes(self),
            upload_route(
                "prompts",
                fields={},
                method="PUT",
                path=path,
                handler=self.upload,
                summary="Upload the sound, WAV or MP3; it replaces the present one.",
                operation="upload_prompt_audio",
                tag=self.resource.path,
                permission="prompts:write",
                response=ref("Prompt"),
            ),
            download_route(
                path=path,
                handler=self.download,
                summary="The sound, as 16-bit linear WAV.",
                operation="download_prompt_audio",
                tag=self.resource.path,
                permission="prompts:read",
            ),
            Route(
                method="DELETE",
                path=path,
                handler=self.remove,
                summary="Remove the sound; the prompt stays.",
                operation="delete_prompt_audio",
                tag=self.resource.path,
                permission="prompts:write",
                status=204,
                parameters=(IF_MATCH,),
                errors=(VersionMismatch,),
            ),
        ]
