"""deploy/kamailio: the configuration is one, and does what docs/several-switches.md says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nizam.cli.dispatcher import dispatcher_list
from nizam.model.switch_node import SwitchNode
from tests.deploy.balancers import make_certificate
from tests.deploy.kamailio import (
    CARRIER_PORT,
    PROXY,
    SIP_PORT,
    Endpoint,
    checked,
    destinations,
    running,
    shipped,
    until,
)

TO_PROXY = (PROXY, SIP_PORT)
FIRST, SECOND = "127.0.0.11", "127.0.0.12"


def node(name: str, address: str, **more: object) -> SwitchNode:
    body = {"name": name, "esl_host": address, "xml_username": name}
    return SwitchNode.model_validate({**body, "sip_address": f"{address}:{SIP_PORT}", **more})


def listed(**more: object) -> str:
    """The list with a second node that is as `more` says."""
    text, _ = dispatcher_list([node("fs1", FIRST), node("fs2", SECOND, **more)])
    assert text is not None
    return text


@pytest.mark.time_limit(60)
@pytest.mark.parametrize("option", [None, "WITH_TLS", "WITH_WEBSOCKET"])
def test_kamailio_takes_the_configuration(tmp_path: Path, option: str | None) -> None:
    status, said = checked(shipped(tmp_path, *filter(None, [option]), listed=listed(weight=50)))
    assert (status, "config file ok" in said) == (0, True), said


@pytest.mark.time_limit(60)
def test_what_is_wrong_in_it_would_be_seen(tmp_path: Path) -> None:
    config = shipped(tmp_path)
    config.write_text(config.read_text().replace("ds_select_dst(", "ds_choose("))
    assert checked(config)[0] != 0


# -- with a running Kamailio, which takes a minute -------------------------------------------------


class Town:
    """Kamailio, two nodes and phones."""

    def __init__(self, ask: Callable[..., str], folder: Path) -> None:
        self.ask, self.folder = ask, folder
        self.first, self.second = Endpoint(FIRST), Endpoint(SECOND)
        self.phone = Endpoint("127.0.0.21")
        until(lambda: self.states == {FIRST: "A", SECOND: "A"}, 15)

    @property
    def states(self) -> dict[str, str]:
        """Of the nodes, as Kamailio sees them."""
        return destinations(self.ask("dispatcher.list"))

    def reload(self, text: str) -> None:
        """As nizam-dispatcher does."""
        (self.folder / "dispatcher.list").write_text(text)
        self.ask("dispatcher.reload")

    def sends(self, method: str, user: str) -> int:
        """What the phone is answered; 0 if it is not within 10 s."""
        before = len(self.phone.answers(method))
        self.phone.send(method, user, TO_PROXY)
        until(lambda: len(self.phone.answers(method)) > before, 10)
        return self.phone.answers(method)[-1]

    def users_at(self, node: Endpoint, method: str) -> set[str]:
        """Whose requests the node has got."""
        return {it.get("from").split("@")[0].removeprefix("<sip:") for it in node.requests(method)}

    def close(self) -> None:
        """All go home."""
        for it in (self.first, self.second, self.phone):
            it.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    make_certificate(tmp_path)
    with running(shipped(tmp_path, listed=listed())) as ask:
        town = Town(ask, tmp_path)
        yield town
        town.close()


USERS = [f"10{number:02}" for number in range(40)]


@pytest.mark.rehearsal
@pytest.mark.time_limit(120)
def test_phones_are_shared_out_and_stay_where_they_are(town: Town) -> None:
    for _ in range(2):
        assert {town.sends("REGISTER", user) for user in USERS} == {200}
    first, second = (town.users_at(it, "REGISTER") for it in (town.first, town.second))
    assert (first | second, first & second) == (set(USERS), set())
    assert min(len(first), len(second)) >= 12, (len(first), len(second))
    # Calls of a phone follow its registration.
    assert {town.sends("INVITE", user) for user in USERS[:10]} == {200}
    assert town.users_at(town.first, "INVITE") == first & set(USERS[:10])


@pytest.mark.rehearsal
@pytest.mark.time_limit(120)
def test_a_heavier_node_gets_more_phones(town: Town) -> None:
    town.reload(listed(weight=25))
    for user in USERS:
        assert town.sends("REGISTER", user) == 200
    counts = [len(town.users_at(it, "REGISTER")) for it in (town.first, town.second)]
    assert counts[0] >= 2 * counts[1] > 0, counts


@pytest.mark.rehearsal
@pytest.mark.time_limit(120)
def test_a_node_reaches_the_phone_by_its_path_and_learns_its_address(town: Town) -> None:
    town.phone.send("REGISTER", "1001", TO_PROXY, "X-AUTH-IP: 10.9.9.9", "X-Nizam-Call-ID: forged")
    until(lambda: town.first.requests("REGISTER") or town.second.requests("REGISTER"), 10)
    node = town.first if town.first.requests("REGISTER") else town.second
    asked = node.requests("REGISTER")[-1]
    assert asked.all("x-auth-ip") == ["127.0.0.21"]
    assert asked.all("x-nizam-call-id") == []
    path = asked.get("path")
    assert path.startswith(f"<sip:{PROXY}:{SIP_PORT};lr;received=")
    uri = "sip:1001@192.168.1.2:5060"
    node.send("INVITE", "1002", TO_PROXY, f"Route: {path}", uri=uri)
    until(lambda: node.answers("INVITE"), 10)
    assert node.answers("INVITE") == [200]
    rung = town.phone.requests("INVITE")[-1]
    assert rung.first == f"INVITE {uri} SIP/2.0"
    assert any(PROXY in it for it in rung.all("record-route"))


@pytest.mark.rehearsal
@pytest.mark.time_limit(120)
def test_nobody_sends_a_call_through_the_proxy_as_he_likes(town: Town) -> None:
    way = f"Route: <sip:{PROXY}:{SIP_PORT};lr>, <sip:127.0.0.99:{SIP_PORT};lr>"
    town.phone.send("INVITE", "1001", TO_PROXY, way, uri="sip:x@127.0.0.99:5060")
    until(lambda: town.phone.answers("INVITE"), 10)
    assert town.phone.answers("INVITE") == [200]  # by a node, which asked whether it may
    assert len(town.first.requests("INVITE") + town.second.requests("INVITE")) == 1
    # A node reaches phones only by the Path that they have registered with.
    town.first.send("INVITE", "1002", TO_PROXY, uri="sip:x@127.0.0.99:5060")
    until(lambda: town.first.answers("INVITE"), 10)
    assert town.first.answers("INVITE") == [403]


@pytest.mark.rehearsal
@pytest.mark.time_limit(180)
@pytest.mark.parametrize("how", ["says nothing", "says 503"])
def test_the_other_node_gets_what_one_does_not_take(town: Town, how: str) -> None:
    for user in USERS[:20]:
        town.sends("REGISTER", user)
    moved = sorted(town.users_at(town.first, "REGISTER"))
    assert moved
    refused = None if how == "says nothing" else 503
    town.first.says.update(INVITE=refused, REGISTER=refused, OPTIONS=refused)
    # At once, before Kamailio has asked it; the other is not taken for the one that is ill.
    for user in moved:
        town.phone.send("INVITE", user, TO_PROXY)
    until(lambda: len(town.phone.answers("INVITE")) >= len(moved), 10)
    assert set(town.phone.answers("INVITE")) == {200}
    assert town.users_at(town.second, "INVITE") == set(moved)
    assert town.states[SECOND] == "A"
    until(lambda: town.states[FIRST] == "I", 30)
    asked = len(town.first.requests("REGISTER"))
    for user in moved:
        assert town.sends("REGISTER", user) == 200
    assert len(town.first.requests("REGISTER")) == asked
    assert set(moved) <= town.users_at(town.second, "REGISTER")
    town.first.says.update(INVITE=200, REGISTER=200, OPTIONS=200)
    until(lambda: town.states == {FIRST: "A", SECOND: "A"}, 30)


@pytest.mark.rehearsal
@pytest.mark.time_limit(120)
def test_a_draining_node_gets_nothing_new_and_still_reaches_its_phones(town: Town) -> None:
    for user in USERS[:20]:
        town.sends("REGISTER", user)
    moved = sorted(town.users_at(town.second, "REGISTER"))
    path = town.second.requests("REGISTER")[-1].get("path")
    asked = len(town.second.requests("REGISTER"))
    town.reload(listed(status="draining"))
    assert town.states[SECOND] == "D"
    for user in moved:
        assert (town.sends("REGISTER", user), town.sends("INVITE", user)) == (200, 200)
    assert len(town.second.requests("REGISTER")) == asked
    assert not town.second.requests("INVITE")
    town.second.send("INVITE", "1", TO_PROXY, f"Route: {path}", uri="sip:x@192.168.1.2:5060")
    until(lambda: town.second.answers("INVITE"), 10)
    assert town.second.answers("INVITE") == [200]
    town.reload(listed())
    until(lambda: town.states == {FIRST: "A", SECOND: "A"}, 15)


@pytest.mark.rehearsal
@pytest.mark.time_limit(120)
def test_calls_of_carriers_go_to_the_port_for_them(town: Town) -> None:
    doors = [Endpoint(it, CARRIER_PORT) for it in (FIRST, SECOND)]
    carrier = Endpoint("127.0.0.31")
    said = ("P-Asserted-Identity: <sip:+12025550100@carrier.example>", "X-Nizam-Call-ID: forged")
    way = f"Route: <sip:127.0.0.99:{SIP_PORT};lr>"
    for called in range(20):
        uri = f"sip:+1202555{called:04}@{PROXY}:{CARRIER_PORT}"
        carrier.send("INVITE", "carrier", (PROXY, CARRIER_PORT), *said, way, uri=uri)
    until(lambda: len(carrier.answers("INVITE")) == 20, 10)
    assert set(carrier.answers("INVITE")) == {200}
    asked = [it for door in doors for it in door.requests("INVITE")]
    assert (len(asked), min(len(it.requests("INVITE")) for it in doors) >= 3) == (20, True)
    assert {it.get("p-asserted-identity") for it in asked} == {said[0].partition(": ")[2]}
    assert {(it.get("x-auth-ip"), it.get("x-nizam-call-id")) for it in asked} == {
        ("127.0.0.31", "")
    }
    assert not town.first.requests("INVITE") + town.second.requests("INVITE")
    # One that takes none is passed over, and nobody registers there.
    doors[0].says.update(INVITE=503)
    for called in range(10):
        carrier.send("INVITE", "carrier", (PROXY, CARRIER_PORT), uri=f"sip:{called}@{PROXY}")
    until(lambda: len(carrier.answers("INVITE")) == 30, 10)
    assert set(carrier.answers("INVITE")) == {200}
    carrier.send("REGISTER", "1001", (PROXY, CARRIER_PORT))
    until(lambda: carrier.answers("REGISTER"), 10)
    assert carrier.answers("REGISTER") == [405]
    for it in (*doors, carrier):
        it.close()


@pytest.mark.rehearsal
@pytest.mark.time_limit(120)
def test_without_any_node_a_phone_is_told_so(town: Town) -> None:
    for it in (town.first, town.second):
        it.says.update(INVITE=503)
    assert town.sends("INVITE", "1001") == 503
    assert len(town.first.requests("INVITE") + town.second.requests("INVITE")) == 2


@pytest.mark.rehearsal
@pytest.mark.time_limit(120)
def test_who_sends_too_much_is_not_heard(town: Town) -> None:
    loud = Endpoint("127.0.0.66")
    for _ in range(1500):
        loud.send("OPTIONS", "x", TO_PROXY, uri=f"sip:{PROXY}")
    until(lambda: loud.address in town.ask("htable.dump", "banned"), 10)
    # Others are.
    assert town.sends("REGISTER", "1001") == 200
    loud.close()
