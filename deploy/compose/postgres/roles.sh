#!/bin/sh
# Runs once, when the server is made: the role that NIZAM logs in as, which is no superuser, since
# superusers pass row-level security by, and its database.
set -eu
psql --set ON_ERROR_STOP=1 --quiet --username "$POSTGRES_USER" --dbname postgres \
    --set password="$(cat "${DB_PASSWORD_FILE:-/run/secrets/db_password}")" <<'SQL'
create role nizam_app login createrole password :'password';
create database nizam owner nizam_app;
SQL
