"""Every command on a page is run by a test, or there is a reason why not, and then what can be
known of it without running it is right: files, names of services, commands and options."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Iterable

import click
import pytest
import yaml

from nizam.cli.root import commands as nizam
from tests.page_commands import (
    MACHINE,
    NOT_HERE,
    RUN_BY,
    TOUR,
    Part,
    every_part,
    is_there,
    not_here,
    run_by,
)
from tests.pages import PAGES, REPOSITORY, all_blocks, words

PARTS = every_part()
OTHERS_UNITS = {"haproxy", "kamailio", "nginx", "postgresql", "stunnel4"}
"""Services that other packages bring."""


def test_each_command_is_run_by_a_test_or_cannot_be() -> None:
    unknown = [str(it) for it in PARTS if run_by(it) is None and not_here(it) is None]
    assert unknown == [], "say in tests/page_commands.py what becomes of these"


def test_nothing_is_said_of_commands_that_are_on_no_page() -> None:
    used = {id(it) for part in PARTS for it in (run_by(part) or not_here(part),)}
    assert [it for it in (*RUN_BY, *NOT_HERE) if id(it) not in used] == []


@pytest.mark.parametrize("test", sorted({it.test for it in RUN_BY}))
def test_a_test_that_is_said_to_run_commands_reads_their_pages(test: str) -> None:
    source = (REPOSITORY / test).read_text()
    if test in (TOUR, MACHINE):
        assert "parts_run_by(" in source
        return
    assert re.search(r"^from tests\.pages import .*\b(blocks|commands|commands_of)\b", source, re.M)
    for it in (it for it in RUN_BY if it.test == test):
        name = it.page.removeprefix("docs/")
        assert re.search(rf"""["'](docs/)?{re.escape(name)}["']""", source), it.page


def test_no_command_hides_in_a_block_that_is_not_said_to_be_one() -> None:
    programs = {it.program for it in PARTS} - {"", "echo"}
    hidden = [
        f"{block.page}:{block.line}: {line}"
        for page in PAGES
        for block in all_blocks(page)
        if block.language == ""
        for line in block.text.splitlines()
        if line.split(" ")[0] in programs
    ]
    assert hidden == []


# -- what is known of those that are not run -------------------------------------------------------


def paths(part: Part) -> Iterable[str]:
    """What looks like a file of the checkout."""
    for word in words(part.text):
        path = word.rpartition("=")[2].partition("::")[0]
        if re.match(r"(\./)?(script|systemd|deploy|etc|tests|requirements)/", path):
            yield path


def test_files_that_commands_name_are_there() -> None:
    # Made by deploy/compose/secrets/make.sh, which the page has before.
    made = re.compile(r"deploy/compose/secrets/\w+$")
    missing = [
        f"{part}: {path}"
        for part in PARTS
        for path in paths(part)
        if not is_there(path) and not made.match(path)
    ]
    assert missing == []


def test_scripts_can_be_executed() -> None:
    scripts = {it.program for it in PARTS if it.program.startswith("script/")}
    assert scripts >= {"script/server", "script/test", "script/rehearse", "script/audit"}
    assert [it for it in scripts if not os.access(REPOSITORY / it, os.X_OK)] == []


def test_what_is_to_be_rehearsed_is_a_rehearsal() -> None:
    for part in PARTS:
        if part.program == "script/rehearse":
            for path in paths(part):
                assert path == "script/rehearse" or is_a_rehearsal(path), str(part)


def is_a_rehearsal(path: str) -> bool:
    return "pytest.mark.rehearsal" in (REPOSITORY / path).read_text()


INLINE_REHEARSAL = re.compile(r"`script/rehearse\s+(tests/[\w/]+\.py)`")


def test_rehearsals_that_sentences_name_are_some() -> None:
    named = {it for page in PAGES for it in INLINE_REHEARSAL.findall(page.read_text())}
    assert len(named) > 5
    assert [it for it in named if not is_a_rehearsal(it)] == []


def test_units_that_systemctl_starts_are_shipped() -> None:
    shipped = {it.name for it in (REPOSITORY / "systemd").iterdir()}
    shipped |= {it.name for it in (REPOSITORY / "deploy" / "kamailio").iterdir()}
    for part in PARTS:
        if part.program != "systemctl" or "daemon-reload" in part.text:
            continue
        action, *others = words(part.text)[1:]
        assert action in {"enable", "start", "stop", "restart", "reload", "status"}, str(part)
        for unit in (it for it in others if not it.startswith("-")):
            file = re.sub(r"@[\w]+", "@", unit)
            file = file if "." in file else f"{file}.service"
            assert file in shipped or unit in OTHERS_UNITS, str(part)


def test_services_that_docker_compose_is_told_are_in_the_file() -> None:
    composed = yaml.safe_load((REPOSITORY / "deploy/compose/compose.yaml").read_text())
    told = set()
    for part in PARTS:
        found = words(part.text)
        if found[:2] != ["docker", "compose"]:
            continue
        told |= {it.partition("=")[0] for it in found if re.fullmatch(r"[a-z-]+=\d+", it)}
        options = {"--detach", "--wait", "--no-deps", "--no-recreate", "--rm"}
        rest = [it for it in found[3:] if it not in options and not it.startswith("--scale")]
        told |= set(rest[:1]) - {it for it in rest if "=" in it}
    assert told >= {"app", "migrate", "queue-worker"}
    assert told - composed["services"].keys() == set()


def test_objects_that_kubectl_is_told_are_in_the_files() -> None:
    shipped = {
        f"{it['kind'].lower()}/{it['metadata']['name']}"
        for file in (REPOSITORY / "deploy/kubernetes").glob("*.yaml")
        for it in yaml.safe_load_all(file.read_text())
        if it is not None and "metadata" in it
    }
    told = set()
    for part in PARTS:
        if part.program == "kubectl":
            told |= set(re.findall(r"\b(?:deployment|job|namespace)[/ ][\w-]+", part.text))
    told = {it.replace(" ", "/") for it in told}
    assert len(told) >= 3
    assert told - shipped == set()


@pytest.mark.parametrize("module", ["tests.chaos", "tests.fuzz"])
def test_options_of_programs_that_take_minutes_are_some(
    module: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = importlib.import_module(f"{module}.__main__").parser()
    for part in PARTS:
        found = words(part.text)
        if found[:3] != ["python", "-m", module]:
            continue
        if "--help" in found:
            with pytest.raises(SystemExit) as ended:
                parser.parse_args(found[3:])
            assert ended.value.code == 0
        else:
            parser.parse_args(found[3:])


def nizam_inside(part: Part) -> list[str]:
    """The arguments of `nizam` where another program starts it."""
    found = words(part.text)
    begin = len(found) - found[::-1].index("nizam")
    return found[begin:]


def test_nizam_in_a_container_is_told_what_it_knows() -> None:
    asked = [
        it for it in PARTS if it.program in ("docker", "kubectl") and " nizam " in f"{it.text} "
    ]
    checked = 0
    for part in asked:
        arguments = nizam_inside(part)
        if (
            arguments
            and not arguments[0].startswith("-")
            and arguments[0] in nizam.list_commands(click.Context(nizam))
        ):
            parse(arguments)
            checked += 1
    assert checked >= 3


def parse(arguments: list[str]) -> None:
    """Read the arguments as `nizam` does, without doing what they say. Raises click's errors."""
    command: click.Command = nizam
    context: click.Context | None = None
    while isinstance(command, click.Group):
        with command.make_context(command.name, list(arguments), parent=context) as context:
            _, found, arguments = command.resolve_command(
                context, [*context._protected_args, *context.args]
            )
        assert found is not None
        command = found
    command.make_context(command.name, list(arguments), parent=context).close()
