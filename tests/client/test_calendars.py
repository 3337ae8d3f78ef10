"""iCalendar files through the client."""

from __future__ import annotations

import io
from datetime import date

import pytest

from nizam.client import ApiError, Client
from nizam.client.errors import CellError, VersionMismatch
from nizam.model.calendar import CalendarDay
from tests.calendars.files import CHRISTMAS, ics
from tests.client.conftest import threaded

ACME = {"name": "Acme Inc", "slug": "acme", "domain": "acme.example.test"}


@threaded
def test_a_file_goes_into_a_calendar_and_comes_out(client: Client) -> None:
    client.tenants.create(ACME)
    calendars = client.tenant("acme").calendars
    made = calendars.create(name="Holidays", days=[{"date": "2030-01-02", "label": "Closed"}])
    file = ics(CHRISTMAS)
    tried = calendars.import_ics(made, file.encode(), dry_run=True)
    christmas = CalendarDay(month=12, day=25, label="Christmas Day")
    assert (tried.added, tried.dry_run) == ((christmas,), True)
    assert tried.removed == (CalendarDay(date=date(2030, 1, 2), label="Closed"),)
    done = calendars.import_ics(made, io.BytesIO(file.encode()), mode="merge", years=2)
    assert (done.added, done.removed, done.unchanged) == ((christmas,), (), 1)
    again = calendars.import_ics(made.id, calendars.export_ics(made.id), years=5)
    assert (again.version, again.unchanged) == (done.version, 2)
    with pytest.raises(VersionMismatch):
        calendars.import_ics(made, file.encode())


@threaded
def test_what_is_wrong_has_its_line(client: Client) -> None:
    client.tenants.create(ACME)
    calendars = client.tenant("acme").calendars
    made = calendars.create(name="Holidays")
    with pytest.raises(ApiError) as refused:
        calendars.import_ics(made, ics("UID:1\nDTSTART:soon").encode())
    (error,) = refused.value.errors
    assert isinstance(error, CellError)
    assert (error.row, error.column) == (6, "DTSTART")
