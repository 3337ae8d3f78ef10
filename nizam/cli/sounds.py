"""`nizam prompt` and `nizam music-on-hold`: uploading and downloading their sounds."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from nizam.cli.access import Access, api_options
from nizam.cli.exits import CONDITION_DOES_NOT_HOLD, fail
from nizam.cli.output import json_option, print_json, print_object
from nizam.cli.resources import group, print_made

if TYPE_CHECKING:
    from nizam.client import Object
    from nizam.model.music_on_hold import MusicOnHold

prompt = group("prompt")
music_on_hold = group("music_on_hold")
_WHAT = click.argument("what", metavar="ID|NAME")
_SOURCE = click.argument("source", metavar="FILE", type=click.File("rb"))
_FILE = click.argument("file", metavar="FILE-ID|FILE-NAME")
_TARGET = click.argument("target", metavar="FILE")


@prompt.command("upload")
@_WHAT
@_SOURCE
@api_options(tenant=True)
@json_option
def upload_prompt(access: Access, as_json: bool, what: str, source: BinaryIO) -> None:
    """Put a WAV or MP3 file (- is standard input) in the place of the sound of one prompt."""
    with access.in_tenant() as tenant:
        print_made(tenant.prompts.upload(tenant.prompts.find(what).id, source), as_json=as_json)


@prompt.command("download")
@_WHAT
@_TARGET
@api_options(tenant=True)
def download_prompt(access: Access, what: str, target: str) -> None:
    """Write the sound of one prompt, which is WAV, to a file (- is standard output)."""
    with access.in_tenant() as tenant, written(target) as file:
        tenant.prompts.download(tenant.prompts.find(what).id, file)


@prompt.command("delete-audio")
@_WHAT
@api_options(tenant=True)
def delete_audio(access: Access, what: str) -> None:
    """Remove the sound of one prompt; the prompt stays."""
    with access.in_tenant() as tenant:
        tenant.prompts.delete_audio(tenant.prompts.find(what).id)


@music_on_hold.command("upload")
@_WHAT
@_SOURCE
@click.option("--name", help="What people call it.  [default: as the file]")
@api_options(tenant=True)
@json_option
def upload_music(
    access: Access, as_json: bool, what: str, source: BinaryIO, name: str | None
) -> None:
    """Add a WAV or MP3 file (- is standard input) to those that are played."""
    with access.in_tenant() as tenant:
        it = tenant.music_on_hold.find(what)
        own = source.name if isinstance(source.name, str) and source is not sys.stdin.buffer else ""
        made = tenant.music_on_hold.upload(it.id, source, name=name or Path(own).stem or None)
    print_object(made.model_dump(mode="json"), as_json=as_json)


@music_on_hold.command("download")
@_WHAT
@_FILE
@_TARGET
@api_options(tenant=True)
def download_music(access: Access, what: str, file: str, target: str) -> None:
    """Write one of the files, which is WAV, to a file (- is standard output)."""
    with access.in_tenant() as tenant:
        it = tenant.music_on_hold.find(what)
        file_id = _file_id(it, file)
        with written(target) as writer:
            tenant.music_on_hold.download(it.id, file_id, writer)


@music_on_hold.command("change-file")
@_WHAT
@_FILE
@click.option("--name", help="What people call it.")
@click.option("--position", type=click.IntRange(1), help="When it is played: 1 is the first.")
@api_options(tenant=True)
@json_option
def change_file(
    access: Access, as_json: bool, what: str, file: str, name: str | None, position: int | None
) -> None:
    """Rename one of the files, or play it earlier or later."""
    if name is None and position is None:
        raise click.UsageError("nothing to change: give --name or --position")
    with access.in_tenant() as tenant:
        it = tenant.music_on_hold.find(what)
        changed = tenant.music_on_hold.change_file(
            it, _file_id(it, file), name=name, position=position
        )
        print_made(changed, as_json=as_json)


@music_on_hold.command("delete-file")
@_WHAT
@_FILE
@api_options(tenant=True)
@json_option
def delete_file(access: Access, as_json: bool, what: str, file: str) -> None:
    """Remove one of the files."""
    with access.in_tenant() as tenant:
        it = tenant.music_on_hold.find(what)
        file_id = _file_id(it, file)
        tenant.music_on_hold.delete_file(it, file_id)
    if as_json:
        print_json({"deleted": file_id})


def _file_id(it: Object[MusicOnHold], name: str) -> str:
    """The id of the file that is called so, or has this id."""
    found = [str(file.id) for file in it.body.files if name in (str(file.id), file.name)]
    if len(found) != 1:
        known = ", ".join(f"{file.name} ({file.id})" for file in it.body.files) or "none"
        which = "no file is" if not found else "several files are"
        fail(CONDITION_DOES_NOT_HOLD, f"{which} called {name}; there are: {known}")
    return found[0]


@contextlib.contextmanager
def written(target: str) -> Iterator[BinaryIO]:
    """The file to write to, which is there once all of it is; standard output for `-`."""
    if target == "-":
        yield sys.stdout.buffer
        return
    path = Path(target)
    passing = path.with_name(f".{path.name}.part")
    try:
        with passing.open("wb") as file:
            yield file
        passing.replace(path)
    except OSError as error:
        raise click.BadParameter(f"{target}: {error.strerror}", param_hint="FILE") from None
    finally:
        passing.unlink(missing_ok=True)
