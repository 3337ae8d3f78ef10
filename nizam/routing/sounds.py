"""From the sounds that a tenant names to the files that FreeSWITCH plays."""

from __future__ import annotations

from uuid import UUID

import attrs

from nizam.model.audio import Folder, PromptSound, Sound, media_path
from nizam.model.music_on_hold import MusicOnHold
from nizam.model.prompt import Prompt
from nizam.routing.rows import Entry
from nizam.routing.snapshot import TenantView


@attrs.frozen
class FoundSound:
    """`path` is None for what cannot be played; `words` say why, or what it is."""

    path: str | None
    words: str
    prompt: Entry[Prompt] | None = None


def find_sound(view: TenantView, sound: Sound) -> FoundSound:
    """The sound as FreeSWITCH reads it."""
    if not isinstance(sound, PromptSound):
        return FoundSound(sound, sound)
    entry = view.get(Prompt, sound.prompt_id)
    if entry is None:
        return FoundSound(None, f"prompt {sound.prompt_id} does not exist")
    prompt = entry.body
    if not prompt.enabled:
        return FoundSound(None, f"prompt {prompt.name} is disabled", entry)
    if prompt.audio is None:
        return FoundSound(None, f"prompt {prompt.name} has no sound yet", entry)
    path = _path(view, "prompts", entry.id, prompt.audio.id)
    return FoundSound(path, f"prompt {prompt.name}", entry)


def prompt_file(view: TenantView, entry: Entry[Prompt]) -> str | None:
    """The file of a prompt as FreeSWITCH reads it; None while it has none that can be played."""
    audio = entry.body.audio
    return None if audio is None else _path(view, "prompts", entry.id, audio.id)


def hold_music(view: TenantView) -> tuple[Entry[MusicOnHold], tuple[str, ...]] | None:
    """The tenant's music on hold with its files as FreeSWITCH reads them; None without any."""
    for entry in view.all(MusicOnHold):
        music = entry.body
        if music.is_default and music.enabled and music.files:
            paths = [_path(view, "music-on-hold", entry.id, it.id) for it in music.files]
            found = tuple(it for it in paths if it is not None)
            return (entry, found) if found else None
    return None


def _path(view: TenantView, folder: Folder, identifier: UUID, file_id: UUID) -> str | None:
    root = view.media_root
    if root is None:
        return None
    return f"{root}/{media_path(view.id, folder, identifier, file_id)}"
