"""voicemail.conf: the one profile, `default`, that all mailboxes have.

What differs from mailbox to mailbox, such as its PIN and where its messages lie, comes with the
user (mod_voicemail.c). Emails are NIZAM's.
"""

from __future__ import annotations

from nizam.fsxml.writer import child, document, pairs, to_bytes

PROFILE = "default"
MIN_SECONDS = 3
"""What is shorter is not kept."""
MAX_SECONDS = 300


def voicemail_conf() -> bytes:
    """The profile; asked for when the module loads and at `reload mod_voicemail`."""
    root, section = document("configuration")
    configuration = child(section, "configuration", name="voicemail.conf", description="Voicemail")
    child(configuration, "settings")
    profile = child(child(configuration, "profiles"), "profile", name=PROFILE)
    pairs(
        profile,
        "param",
        (
            ("file-extension", "wav"),
            ("terminator-key", "#"),
            ("max-login-attempts", "3"),
            ("digit-timeout", "10000"),
            ("min-record-len", str(MIN_SECONDS)),
            ("max-record-len", str(MAX_SECONDS)),
            ("max-retries", "3"),
            ("tone-spec", "%(1000, 0, 640)"),
            # Seconds of silence, by level, that end a message.
            ("record-silence-threshold", "200"),
            ("record-silence-hits", "4"),
        ),
    )
    return to_bytes(root)
