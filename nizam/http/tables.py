"""Which lists can be had as files, and which objects can be made from files."""

from __future__ import annotations

from collections.abc import Iterable

from nizam.http.audit_logs import AUDIT_LOG_SCHEMA
from nizam.http.audit_logs import SORT as AUDIT_SORT
from nizam.http.crud import DEFAULT_SORT, Crud
from nizam.http.exports import Export, ObjectSheet, PlainSheet
from nizam.http.history import CDRS_SORT, EVENTS_SORT
from nizam.http.imports import Import
from nizam.http.route import TENANT, Route
from nizam.http.schemas import SCHEMAS
from nizam.model.registry import resource
from nizam.store.audit_list import AUDIT_FIELDS, list_audit_logs
from nizam.store.cdr_history import CDR_FIELDS, list_cdrs
from nizam.store.documents import Documents
from nizam.store.history import CALL_EVENT_FIELDS, list_call_events
from nizam.store.queries import listing_fields
from nizam.store.store import Store

IMPORTED = ("extension", "did")
"""The resources that are exported and imported as tables."""


def routes(store: Store, documents: Documents, lists: Iterable[Route]) -> list[Route]:
    """The imports and exports; `lists` are the routes that have those of the lists among them."""
    by_path = {it.path: it for it in lists if it.method == "GET"}
    found: list[Route] = []
    for name in IMPORTED:
        it = resource(name)
        found += Import(Crud(it, store), documents, store.primary.reactor).routes()
        found += Export(
            store=store,
            sheet=ObjectSheet(it),
            list_route=by_path[f"{TENANT}/{it.path}"],
            resource_type=name,
            fields=listing_fields(it),
            sort=DEFAULT_SORT,
            searchable=True,
        ).routes()
    found += Export(
        store=store,
        sheet=PlainSheet(SCHEMAS["Cdr"], list_cdrs),
        list_route=by_path[f"{TENANT}/cdrs"],
        resource_type="cdr",
        fields=CDR_FIELDS,
        sort=CDRS_SORT,
    ).routes()
    found += Export(
        store=store,
        sheet=PlainSheet(SCHEMAS["Event"], list_call_events),
        list_route=by_path[f"{TENANT}/call-events"],
        resource_type="call_event",
        fields=CALL_EVENT_FIELDS,
        sort=EVENTS_SORT,
        id_kind="text",
    ).routes()
    found += Export(
        store=store,
        sheet=PlainSheet(AUDIT_LOG_SCHEMA, list_audit_logs),
        list_route=by_path[f"{TENANT}/audit-logs"],
        resource_type="audit_log",
        fields=AUDIT_FIELDS,
        sort=AUDIT_SORT,
    ).routes()
    return found
