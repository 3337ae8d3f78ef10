"""`nizam admin bootstrap`: the first administrator and key, before there is anybody to ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import psycopg2
import pytest

from tests.cli.conftest import nizam


def bootstrap(database: str, redis_url: str, *arguments: str) -> tuple[int, str]:
    there, redis = urlsplit(database), urlsplit(redis_url)
    environment = {
        "PATH": os.environ["PATH"],
        "APP_ENV": "testing",
        "DB_HOST": str(there.hostname),
        "DB_PORT": str(there.port),
        "DB_DATABASE": there.path[1:],
        "DB_USERNAME": str(there.username),
        "DB_PASSWORD": str(there.password),
        "REDIS_HOST": str(redis.hostname),
        "REDIS_PORT": str(redis.port),
        "REDIS_PASSWORD": str(redis.password or ""),
    }
    command = [sys.executable, "-m", "nizam.cli", "admin", "bootstrap", *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=25, check=False
    )
    return done.returncode, done.stdout if done.returncode == 0 else done.stderr


def test_a_user_and_a_key_are_made_once_and_shown_once(database: str, redis_url: str) -> None:
    arguments = ("--email", "Root@Example.com", "--key", "operations", "--json")
    status, output = bootstrap(database, redis_url, *arguments)
    assert status == 0, output
    made: dict[str, Any] = json.loads(output)
    assert made["key"].startswith("nzm_test_")
    with psycopg2.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("select body::text, secrets::text from users")
        ((body, secrets),) = cursor.fetchall()
        cursor.execute("select actor_name, action, resource_type from audit_logs order by id")
        rows = cursor.fetchall()
    connection.close()
    assert json.loads(body)["email"] == "root@example.com"
    assert made["password"] not in body + secrets
    assert rows == [
        ("nizam admin bootstrap", "created", "user"),
        ("nizam admin bootstrap", "created", "api_key"),
    ]
    status, output = bootstrap(database, redis_url, "--email", "root@example.com")
    assert status == 1
    assert "email" in output


def test_an_address_that_is_none_is_refused(database: str, redis_url: str) -> None:
    status, output = bootstrap(database, redis_url, "--email", "nobody")
    assert (status, output.partition(":")[0]) == (1, "email")


def test_a_database_that_is_away_is_told(redis_url: str) -> None:
    gone = "postgresql://nizam:secret@127.0.0.1:1/nizam"
    status, output = bootstrap(gone, redis_url, "--key", "operations")
    assert status == 3, output
    assert "secret" not in output


@pytest.mark.parametrize("arguments", [(), ("--name", "Root")])
def test_without_saying_what_to_make_it_is_wrong_usage(arguments: tuple[str, ...]) -> None:
    assert nizam("admin", "bootstrap", *arguments).exit_code == 2


def test_a_database_without_tables_is_told_of(database: str, redis_url: str) -> None:
    bare = urlsplit(database)._replace(path="/postgres").geturl()
    status, output = bootstrap(bare, redis_url, "--email", "root@example.com")
    assert (status, output) == (1, "the database is not migrated: nizam migrate\n")
