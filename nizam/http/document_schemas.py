"""The JSON Schemas of tenant documents, plans and revisions."""

from __future__ import annotations

from typing import Any

from nizam.document.describe import OPERATIONS
from nizam.document.form import FORMAT
from nizam.document.plan import document_resources
from nizam.http.schema_parts import (
    Schema,
    array,
    count,
    identifier,
    object_of,
    or_null,
    text,
    time,
    words,
)

_OBJECT: Schema = {"type": "object", "additionalProperties": True}
DOCUMENT: Schema = {
    "title": "TenantDocument",
    "type": "object",
    "description": "The configuration of a tenant, or parts of it. Objects name each other by "
    "their keys: a number, a name. What equals the default may be left out. A secret is its text, "
    'or {"secret": true}: the one that the object has.',
    "additionalProperties": False,
    "properties": {
        "format": {"const": FORMAT, "description": "The version of the form."},
        "tenant": {
            **_OBJECT,
            "description": "The tenant's own settings, without name, slug, domain and status.",
        },
        **{
            it.table: array(_OBJECT, f"Each as `{it.body.__name__}Input`, with keys for ids.")
            for it in document_resources()
        },
    },
}
DOCUMENT_EXAMPLE: dict[str, Any] = {
    "format": FORMAT,
    "extensions": [
        {"number": "1001", "display_name": "Ada Lovelace", "sip_password": {"secret": True}},
        {
            "number": "1002",
            "display_name": "Alan Turing",
            "forward": {"no_answer": {"type": "voicemail", "id": "1002"}},
        },
    ],
    "ring_groups": [
        {
            "number": "2000",
            "name": "Sales",
            "members": [{"extension_id": "1001"}, {"extension_id": "1002"}],
        }
    ],
}
_TYPE = text("The type of the object.", "extension")
_KEY = text("What documents call the object.", "1001")
_ID = identifier("The id of the object.")
_OPERATION = words("What becomes of the object.", *OPERATIONS)


def _counts(about: str) -> Schema:
    of_type = {"type": "object", "additionalProperties": count("How many objects.")}
    return {"type": "object", "description": about, "additionalProperties": of_type}


_SUMMARY = object_of(
    "How many objects change.",
    create=count("How many are made."),
    update=count("How many are changed."),
    delete=count("How many are deleted."),
    unchanged=count("How many of the document are so already."),
    by_type=_counts("How many of each type, by what becomes of them."),
)
_MISSING_SECRETS = array(
    object_of(
        type=_TYPE,
        key=_KEY,
        field=text("The field, with a dot between the steps.", "password"),
        path=text("A JSON Pointer to the object in the document.", "/gateways/0"),
    ),
    "Secrets that the document only marks, of objects that are new: somebody must set them.",
)
_FIELD: Schema = {
    "title": "FieldChange",
    **object_of(
        "What becomes of one field; *** stands for secrets.",
        path=text("A JSON Pointer into the object.", "/display_name"),
        before={"description": "The value before; absent where there was none."},
        after={"description": "The value after; absent where there is none."},
    ),
    "required": ["path"],
}
PROPOSAL: Schema = {
    "title": "DocumentPlan",
    **object_of(
        "What would be done.",
        revision=count("What the plan was made against: give its ETag as If-Match."),
        summary=_SUMMARY,
        missing_secrets=_MISSING_SECRETS,
        missing_permissions=array(
            text("A scope.", "dids:write"), "What whoever asks lacks to apply it."
        ),
        changes=array(
            object_of(
                operation=_OPERATION,
                type=_TYPE,
                key=_KEY,
                id=or_null(identifier("The id of the object, if it is there already.")),
                path=or_null(text("A JSON Pointer to it in the document.", "/extensions/0")),
                fields=array(_FIELD, "The fields that are given, changed or taken away."),
            ),
            "The objects.",
        ),
    ),
}
APPLIED: Schema = {
    "title": "DocumentApplied",
    **object_of(
        "What was done.",
        revision=count("The revision of the tenant now."),
        summary=_SUMMARY,
        missing_secrets=_MISSING_SECRETS,
        changes=array(
            object_of(operation=_OPERATION, type=_TYPE, key=_KEY, id=_ID), "The objects."
        ),
        secrets=array(
            object_of(
                type=_TYPE,
                key=_KEY,
                id=_ID,
                secrets={
                    "type": "object",
                    "description": "The secrets by their fields.",
                    "additionalProperties": text("In clear."),
                },
            ),
            "Secrets that were generated, shown this once.",
        ),
    ),
}
_REVISION: dict[str, Schema] = {
    "revision": {"type": "integer", "minimum": 0, "description": "Its number."},
    "created_at": time("When it was made."),
    "kind": words("How it came about.", "change", "document", "import", "rollback"),
    "restores": or_null(count("Of a rollback: the revision that it went back to.")),
    "actor_type": text("api_key, user or system.", "user"),
    "actor_id": or_null(identifier("Who made it.")),
    "actor_name": text("Who made it, for people.", "ada@example.com"),
    "request_id": or_null(text("By which request.")),
    "counts": _counts("How many objects of each type were created, updated and deleted."),
}
REVISION: Schema = {
    "title": "Revision",
    **object_of("One change of a tenant's configuration.", **_REVISION),
}
REVISION_WITH_CHANGES: Schema = {
    "title": "RevisionWithChanges",
    **object_of(
        "One change of a tenant's configuration, field by field.",
        **_REVISION,
        changes=array(
            object_of(
                operation=words("What was done.", "created", "updated", "deleted"),
                type=_TYPE,
                id=_ID,
                key=or_null(_KEY),
                fields=array(_FIELD, "The fields that were given, changed or taken away."),
            ),
            "The objects.",
        ),
        omitted_changes=count("How many more objects were changed; the audit log has all."),
    ),
}
