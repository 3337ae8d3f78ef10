"""Messages go when they are older than the tenant keeps them, and with their extension."""

from __future__ import annotations

import pytest

from nizam.model.identifiers import new_id
from nizam.store.system.voicemail_changes import mark_old_messages
from tests.voicemail.conftest import Post


async def keep_for(post: Post, days: int | None) -> None:
    """The tenant, with an extension that the messages are for."""
    await post.pool.query(
        "insert into tenants (id, body, secrets, version, created_at, updated_at) values (%s,"
        " jsonb_strip_nulls(jsonb_build_object('name', 'A', 'slug', 'a', 'domain', 'a.test',"
        " 'voicemail_retention_days', %s::int)), '{}', 1, now(), now()) returning 1",
        (post.tenant_id, days),
    )
    await post.pool.query(
        "insert into extensions (id, tenant_id, body, secrets, version, created_at, updated_at)"
        " values (%s, %s, jsonb_build_object('number', '1001', 'display_name', 'A'), '{}', 1,"
        " now(), now()) returning 1",
        (post.extension_id, post.tenant_id),
    )


async def reasons(post: Post) -> list[tuple[str, int]]:
    """Why messages were deleted, and how many."""
    await mark_old_messages(post.pool, 100)
    await post.mailboxes.look()
    return [
        (row[0], row[1])
        for row in await post.pool.query(
            "select reason, count(*) from voicemail_receipts where deleted_by = 'system'"
            " group by reason order by reason"
        )
    ]


@pytest.mark.parametrize(
    ("days", "gone"), [(30, [("retention", 2)]), (400, []), (0, []), (None, [])]
)
async def test_what_is_older_than_it_is_kept_goes_with_a_receipt(
    post: Post, days: int | None, gone: list[tuple[str, int]]
) -> None:
    await keep_for(post, days)
    for _ in range(3):
        await post.left_at_both()
    await post.pool.query(
        "update voicemail_messages set received_at = now() - interval '31 days' returning 1"
    )
    newest, _ = await post.left_at_both()
    await post.pool.query(
        "update voicemail_messages set received_at = now() - interval '29 days' where id in ("
        " select id from voicemail_messages where id <> %s limit 1) returning 1",
        (newest,),
    )
    await post.pool.query(
        "update voicemail_messages set received_at = now() where id = %s returning 1", (newest,)
    )
    assert await reasons(post) == gone
    assert len(post.switch.held) == 4 - sum(count for _, count in gone)


async def test_nobody_hears_what_was_left_for_a_former_extension_of_the_number(post: Post) -> None:
    await keep_for(post, None)
    await post.left_at_both()
    assert await reasons(post) == []
    await post.pool.query("update extensions set id = %s returning 1", (new_id(),))
    assert await reasons(post) == [("extension deleted", 1)]
    assert post.switch.held == []
