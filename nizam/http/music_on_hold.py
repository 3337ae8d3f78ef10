"""Music on hold: what every resource has, and its files, which are played in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import attrs
from pydantic import Field

from nizam.errors import Conflict, IdempotencyMismatch, NotFound, VersionMismatch
from nizam.http.body import validate
from nizam.http.changes import change_context
from nizam.http.crud import Crud, shown
from nizam.http.etag import etag, if_match
from nizam.http.openapi import model_schema
from nizam.http.reply import Reply
from nizam.http.route import Call, Parameter, Route
from nizam.http.schema_parts import ref
from nizam.http.sounds import IF_MATCH, Sounds, download_route, upload_route
from nizam.model.base import Value
from nizam.model.music_on_hold import MAX_FILES, MusicFile
from nizam.model.values import Label
from nizam.store.stored import Stored
from nizam.store.unit_of_work import UnitOfWork

UNNAMED = "Music"
Files = list[dict[str, Any]]


class Named(Value):
    """What a new file is called."""

    name: Label
    """Its name, for people."""


class FileChange(Value):
    """What can be changed of a file."""

    name: Label | None = None
    """Its name, for people."""
    position: Annotated[int, Field(ge=1, le=MAX_FILES)] | None = None
    """When it is played: 1 is the first."""


@attrs.frozen
class Music(Crud):
    """The handlers of music on hold."""

    sounds: Sounds

    async def upload(self, call: Call) -> Reply:
        """Add a file behind those that are there."""
        identifier, versions = call.id(), if_match(call.header("if-match"))
        with self.sounds.body(call) as body:
            await self.store.get(self.resource, call.tenant, identifier)
            upload = await self.sounds.receive(call, body)
        try:
            given = dict(call.query).get("name") or upload.name or UNNAMED
            name = validate(Named, {"name": given}).name
        except BaseException:
            upload.file.close()
            raise
        audio = await self.sounds.store(call, identifier, upload)
        added: list[MusicFile] = []

        def change(files: Files) -> Files:
            _check_room(files)
            added.append(MusicFile(name=name, **audio.model_dump()))
            return [*files, added[-1].model_dump(mode="json")]

        async def work(unit: UnitOfWork) -> Reply:
            it = await unit.change_field(
                self.resource, identifier, "files", change, versions=versions
            )
            location = f"{call.route.path.format(**call.path)}/{audio.id}"
            headers = (("Location", location), ("ETag", etag(it.version)))
            return Reply(added[-1].model_dump(mode="json"), 201, headers)

        writing = self.store.write(call.tenant, change_context(call, upload.digest), work)
        reply = await self.sounds.committed(call, identifier, audio, writing)
        if not added:  # the answer that was given before
            await self.sounds.drop(call.tenant, identifier, audio.id)
        return reply

    async def download(self, call: Call) -> Reply:
        """One file as it is stored."""
        it = await self.store.get(self.resource, call.tenant, call.id())
        found = _find(it.body["files"], call)
        return await self.sounds.answer(call, it.id, found, found["name"])

    async def change(self, call: Call) -> Reply:
        """Rename a file, or play it earlier or later."""
        wanted = validate(FileChange, call.json())

        def change(files: Files) -> Files:
            found = _find(files, call)
            rest = [it for it in files if it is not found]
            place = files.index(found) if wanted.position is None else wanted.position - 1
            changed = {**found, "name": wanted.name or found["name"]}
            return [*rest[:place], changed, *rest[place:]]

        return shown(await self._with_files(call, change))

    async def remove(self, call: Call) -> Reply:
        """Remove one file."""

        def change(files: Files) -> Files:
            found = _find(files, call)
            return [it for it in files if it is not found]

        it = await self._with_files(call, change)
        await self.sounds.drop(call.tenant, it.id, call.id("file_id"))
        return Reply(None, 204)

    async def delete(self, call: Call) -> Reply:
        """Delete one, its files too."""
        gone = await self.deleted(call)
        for it in gone.body["files"]:
            await self.sounds.drop(call.tenant, gone.id, it["id"])
        return Reply(None, 204)

    async def _with_files(self, call: Call, change: Callable[[Files], Files]) -> Stored:
        versions = if_match(call.header("if-match"))

        async def work(unit: UnitOfWork) -> Stored:
            return await unit.change_field(
                self.resource, call.id(), "files", change, versions=versions
            )

        return await self.store.write(call.tenant, change_context(call), work)

    def routes(self) -> list[Route]:
        """Those of every resource, and those of the files."""
        files = f"{self.item}/files"
        file, tag, write = f"{files}/{{file_id}}", self.resource.path, "music_on_hold:write"
        about = "What people call the file."
        name = {"type": "string", "minLength": 1, "maxLength": 120}
        return [
            *Crud.routes(self),
            upload_route(
                "music-on-hold",
                fields={"name": {**name, "description": about}},
                method="POST",
                path=files,
                handler=self.upload,
                summary="Upload a file, WAV or MP3; it is played after those that are there.",
                operation="upload_music_on_hold_file",
                tag=tag,
                permission=write,
                status=201,
                parameters=(Parameter(name="name", about=about, schema=name),),
                response=ref("MusicFile"),
                headers=("Location", "ETag"),
                errors=(Conflict, IdempotencyMismatch),
            ),
            download_route(
                path=file,
                handler=self.download,
                summary="One file, as 16-bit linear WAV.",
                operation="download_music_on_hold_file",
                tag=tag,
                permission="music_on_hold:read",
            ),
            Route(
                method="PATCH",
                path=file,
                handler=self.change,
                summary="Rename one file, or play it earlier or later.",
                operation="change_music_on_hold_file",
                tag=tag,
                permission=write,
                parameters=(IF_MATCH,),
                request=model_schema(FileChange),
                request_example={"position": 1},
                response=ref("MusicOnHold"),
                errors=(VersionMismatch,),
            ),
            Route(
                method="DELETE",
                path=file,
                handler=self.remove,
                summary="Remove one file.",
                operation="delete_music_on_hold_file",
                tag=tag,
                permission=write,
                status=204,
                parameters=(IF_MATCH,),
                errors=(VersionMismatch,),
            ),
        ]


def _find(files: Files, call: Call) -> dict[str, Any]:
    wanted = str(call.id("file_id"))
    found = next((it for it in files if it["id"] == wanted), None)
    if found is None:
        raise NotFound
    return found


def _check_room(files: Files) -> None:
    if len(files) >= MAX_FILES:
        raise Conflict(f"it has {MAX_FILES} files, which is the most")
