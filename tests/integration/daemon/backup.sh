#!/usr/bin/env bash
# A copy made beside a serving daemon is a data folder: another daemon starts on it, its devices come
# back by handshakes, and what is sealed can be read. A folder that lost a key is not served.
. "$(dirname "$0")/common.sh"

start
make_product 13
simulate 3
within 20 fleet_is .online 3 || fail "the devices are not online"
hook=$(api POST /v1/webhooks "${json[@]}" '{"event":"x","url":"http://127.0.0.1:9/","body":"sealed words"}' |
    jq -r .id)
(umask 022 && "$bin/slipwayd" backup --data "$data" --to "$work/copy") || fail "no backup"
for file in slipway.db server_key.pem session_key; do
    [ "$(stat -c %a "$work/copy/$file")" = 600 ] || fail "$file of the backup is open to others, or missing"
done
[ "$(stat -c %a "$work/copy")" = 700 ] || fail "the backup is open to others"
[ "$(sqlite3 "$work/copy/slipway.db" 'PRAGMA integrity_check')" = ok ] || fail "the backup is damaged"
[ "$(ls "$work/copy" | grep -c new)" = 0 ] || fail "the backup is not tidy: $(ls "$work/copy")"
"$bin/slipwayd" backup --data "$data" --to "$work/copy" 2>"$work/err" && fail "a backup was overwritten"
grep -q "$work/copy" "$work/err" || fail "not told why: $(cat "$work/err")"
"$bin/slipwayd" backup --data "$work/nothing" --to "$work/copy2" 2>/dev/null && fail "a backup of nothing"
[ ! -e "$work/copy2" ] || fail "the folder of a backup of nothing"
# Nor is there half of one: neither where a secret cannot be read, nor where there is no room.
mkdir "$data/admin_token"
"$bin/slipwayd" backup --data "$data" --to "$work/copy3" 2>"$work/err" && fail "a backup without a secret"
[ ! -e "$work/copy3" ] || fail "a broken-off backup leaves $(ls -A "$work/copy3")"
rmdir "$data/admin_token"
(trap '' XFSZ && ulimit -f 16 && exec "$bin/slipwayd" backup --data "$data" --to "$work/copy3" 2>"$work/err") &&
    fail "a backup without room"
[ -s "$work/err" ] || fail "not told why there is no backup"
[ ! -e "$work/copy3" ] || fail "a broken-off backup leaves $(ls -A "$work/copy3")"
api GET /v1/products >/dev/null

# Devices keep their sessions for some minutes; these lose theirs with their power.
kill "$devices"
wait "$devices" || true
# The server is lost, and goes on from the backup at its address.
stop KILL 137
mv "$data" "$work/lost"
cp -a "$work/copy" "$data"
start
[ "$(api GET "/v1/webhooks/$hook" | jq -c '[.webhook.body, .webhook.disabled]')" = '["sealed words",false]' ] ||
    fail "the webhook cannot be unsealed"
[ "$(fleet .online)" = 0 ] || fail "a device is online without a session"
"$bin/slipway-sim" --devices 3 --seed 5 --platform 13 --server "$dtls" --server-key "$work/lost/server_key.pub.pem" \
    --status-file "$work/devices.json" >"$work/sim.out" 2>"$work/sim.log" &
devices=$!
within 20 fleet_is .online 3 || fail "the devices did not come back"
no_violations
stop TERM 0

# Without a key nothing is served, and none is made in its place.
for file in server_key.pem session_key; do
    mv "$data/$file" "$work/kept"
    for command in "" "user add somebody"; do
        code=0
        timeout 20 "$bin/slipwayd" $command --data "$data" --http 127.0.0.1:0 --dtls 127.0.0.1:0 \
            </dev/null >/dev/null 2>"$work/err" || code=$?
        [ "$code" = 1 ] && grep -q "$file is missing" "$work/err" || fail "$file: $code: $(cat "$work/err")"
    done
    [ ! -e "$data/$file" ] || fail "$file was made anew"
    mv "$work/kept" "$data/$file"
done
start
stop TERM 0
echo passed
