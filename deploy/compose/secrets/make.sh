#!/bin/sh
# Makes every secret that is not there yet; what is there stays.
set -eu
cd "$(dirname -- "$0")"
umask 077
# Nobody else gets into this folder; Docker, which mounts the files, does.
chmod 700 .

# make NAME COMMAND...   what the command prints is the secret
make() {
    name=$1
    shift
    [ ! -s "$name" ] || return 0
    printf '%s' "$("$@")" >"$name.new"
    # Mounted as it is, for a user of the container that is not its owner.
    chmod 444 "$name.new"
    mv "$name.new" "$name"
    echo "made secrets/$name"
}
key() { echo "k1:$(openssl rand -base64 32)"; }

make postgres_password openssl rand -hex 24
make db_password openssl rand -hex 24
make redis_password openssl rand -hex 24
make metrics_token openssl rand -hex 24
make secret_keys key
