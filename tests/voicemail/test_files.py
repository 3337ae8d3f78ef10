"""What an event says of a message becomes a row, and its file is looked for where it should be."""

from __future__ import annotations

import hashlib
from uuid import UUID

import pytest

from nizam.errors import MediaUnavailable
from nizam.media.folder import MediaFolder
from nizam.media.patience import PATIENCE_ATTEMPTS
from nizam.model.identifiers import new_id
from nizam.model.voicemail_files import message_id, voicemail_below
from tests.media.sounds import wav
from tests.voicemail.conftest import DOMAIN, NODE_ROOT, Post

SOUND = wav(4.0)
A, B, C = (UUID(int=it) for it in (1, 2, 3))


async def test_a_message_that_was_left_is_there_once_and_its_file_is_found(post: Post) -> None:
    identifier = await post.left(SOUND)
    again = post.received(identifier)
    await post.hear(again)
    await post.hear(again)
    [row] = await post.rows("id", "extension_id", "is_read", "state", "bytes", "sha256")
    digest = hashlib.sha256(SOUND).hexdigest()
    assert row == (identifier, post.extension_id, False, "available", len(SOUND), digest)


async def test_a_file_that_comes_late_is_found_and_one_that_never_comes_is_missing(
    post: Post,
) -> None:
    late, never = new_id(), new_id()
    await post.hear(post.received(late), post.received(never))
    await post.files.look()
    assert await post.rows("state") == [("checking",), ("checking",)]
    post.put(late, SOUND)
    for _ in range(PATIENCE_ATTEMPTS):
        await post.later()
    assert await post.rows("id", "state") == [(late, "available"), (never, "missing")]
    post.put(never, SOUND)
    await post.later()
    assert await post.rows("state") == [("available",), ("available",)]


@pytest.mark.parametrize(
    "path",
    [
        "/var/lib/freeswitch/storage/voicemail/default/acme/1001/msg_{id}.wav",
        "{root}/{other}/voicemail/{extension}/msg_{id}.wav",
        "{root}/{tenant}/voicemail/{extension}/../../x/msg_{id}.wav",
        "{root}/{tenant}/voicemail/{extension}/sub/msg_{id}.wav",
    ],
)
async def test_no_file_but_the_tenants_own_below_the_media_root_is_given_out(
    post: Post, path: str
) -> None:
    identifier = new_id()
    named = path.format(
        root=NODE_ROOT,
        id=identifier,
        tenant=post.tenant_id,
        other=new_id(),
        extension=post.extension_id,
    )
    await post.hear(post.received(identifier, path=named, extension_id=None))
    await post.files.look()
    assert await post.rows("state", "file") == [("missing", None)]


async def test_a_mailbox_whose_lamp_changed_is_to_be_compared_once(post: Post) -> None:
    counts = {"mailbox": "1001", "domain": DOMAIN, "new": 1, "saved": 0}
    await post.hear(post.event("voicemail.waiting", **counts))
    await post.hear(
        post.event("voicemail.waiting", **counts), post.event("voicemail.waiting", **counts)
    )
    rows = await post.pool.query("select tenant_id, node, mailbox, mark from voicemail_comparisons")
    assert rows == [(post.tenant_id, "fs1", "1001", 1)]


@pytest.mark.parametrize(
    ("path", "below"),
    [
        (f"/m/{A}/voicemail/{B}/msg_{C}.wav", (A, B, f"{A}/voicemail/{B}/msg_{C}.wav")),
        (f"/m/{A}/voicemail/{B}/greeting_1.wav", (A, B, f"{A}/voicemail/{B}/greeting_1.wav")),
        (f"{A}/voicemail/{B}/msg.wav", None),
        (f"/m/{A}/voicemail/{B}/", None),
        (f"/m/{A}/voicemail/{B}/..", None),
        (f"/m/{A}/voicemail/{B}/.hidden", None),
        (f"/m/{A}/recordings/{B}/msg_{C}.wav", None),
        (f"/m/{A}/voicemail/1001/msg_{C}.wav", None),
    ],
)
def test_what_lies_in_a_mailbox(path: str, below: tuple[UUID, UUID, str] | None) -> None:
    assert voicemail_below(path) == below


@pytest.mark.parametrize(
    ("name", "identifier"),
    [
        (f"msg_{C}.wav", C),
        (f"/s/msg_{C}.mp3", C),
        (f"/s/msg_{C}_broadcast_msg_{A}.wav", C),
    ],
)
def test_the_name_of_the_file_is_the_id_of_the_message(name: str, identifier: UUID) -> None:
    assert message_id(name) == identifier


def test_other_names_have_an_id_of_their_own() -> None:
    names = ("msg_1.wav", "msg_2.wav", f"msg_{C}.wav.part")
    assert len({message_id(it) for it in names}) == 3
    assert message_id("msg_1.wav") == message_id("msg_1.wav")


def test_names_that_lead_elsewhere_are_no_names_below_the_root(post_root: MediaFolder) -> None:
    for path in ("../x.wav", "a/../x.wav", "/etc/passwd", "a//x.wav", "_x.wav", "x\x00.wav"):
        with pytest.raises(MediaUnavailable):
            post_root.open(path)


@pytest.fixture
def post_root(tmp_path: object) -> MediaFolder:
    from pathlib import Path

    return MediaFolder(Path(str(tmp_path)))
