#!/usr/bin/env bash
# Databases of earlier versions, one after each migration that there was, with something in them: the
# daemon brings each forward, keeps a copy of it as it was, and finds everything again.
. "$(dirname "$0")/common.sh"
steps=("$(dirname "$0")"/../../../migrations/*.sql)
last=${#steps[@]}

# A database as the first N migrations leave it.
database_of() { # N FILE
    local n
    {
        echo "PRAGMA application_id = 0x536C6970;"
        echo "CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
        echo " sha256 TEXT NOT NULL, applied_ms INTEGER NOT NULL) STRICT;"
        for n in $(seq "$1"); do
            cat "${steps[n - 1]}"
            echo "INSERT INTO migration VALUES ($n, '$(basename "${steps[n - 1]}" .sql)',"
            echo " '$(sha256sum <"${steps[n - 1]}" | cut -d' ' -f1)', 1);"
        done
    } | sqlite3 "$2"
}

for step in $(seq 3 $((last - 1))); do
    rm -rf "$data"
    mkdir -m 700 "$data"
    "$bin/slipwayd" key --data "$data" >/dev/null
    head -c 32 /dev/urandom >"$data/session_key"
    database_of "$step" "$data/slipway.db"
    sqlite3 "$data/slipway.db" "PRAGMA foreign_keys = ON;
        INSERT INTO product (id, platform_id, name, slug, created_ms, updated_ms)
            VALUES (101, 13, 'Old', 'old', 1, 1);
        INSERT INTO event (at_ms, product_id, name, data, user)
            SELECT unixepoch() * 1000, id, 'e', CAST('kept' AS BLOB), '' FROM product;"
    if [ "$step" -lt 10 ]; then # its webhooks were not sealed yet
        sqlite3 "$data/slipway.db" "PRAGMA foreign_keys = ON;
            INSERT INTO hook (uid, event, url, method, spec, secret, created_ms, updated_ms)
                VALUES ('0123456789abcdef01234567', 'e', 'http://127.0.0.1:9/', 'POST',
                    '{\"body\":\"as it was\",\"headers\":{\"X-Key\":\"words\"}}', 'the secret of old', 1, 1);
            INSERT INTO hook_delivery (hook_id, event_id) SELECT hook.id, event.id FROM hook, event;"
    fi
    cp "$data/slipway.db" "$work/before.db"
    start
    [ "$(api GET /v1/products/old | jq -r .product.name)" = Old ] || fail "$step: the product is gone"
    if [ "$step" -lt 10 ]; then
        hook=$(api GET /v1/webhooks/0123456789abcdef01234567 | jq -c '.webhook | [.body, .headers, .disabled]')
        [ "$hook" = '["as it was",{"X-Key":"(hidden)"},false]' ] || fail "$step: the webhook is $hook"
        [ "$(sqlite3 "$data/slipway.db" 'SELECT count(*) FROM hook WHERE plain IS NULL AND
            length(sealed) > 40')" = 1 ] || fail "$step: the webhook is not sealed"
    fi
    stop TERM 0
    [ "$(sqlite3 "$data/slipway.db" 'SELECT max(number) FROM migration')" = "$last" ] ||
        fail "$step: not brought forward"
    [ "$(sqlite3 "$data/slipway.db" "SELECT count(*) FROM event WHERE CAST(data AS TEXT) = 'kept'")" = 1 ] ||
        fail "$step: the event is gone"
    copy=$(printf '%s/slipway.db.before-%04d' "$data" $((step + 1)))
    cmp <(sqlite3 "$copy" .dump | sort) <(sqlite3 "$work/before.db" .dump | sort) ||
        fail "$step: there is no copy of what was"
done
start # and once more, with nothing to do
stop TERM 0
echo passed
