#!/usr/bin/env bash
# A disk that is really full: what is acknowledged is there after kill -9, what is not is not, the
# errors say why, devices keep their sessions, and everything goes on when there is room again.
if [ -z "${SLIPWAY_MOUNTS:-}" ]; then
    # A file system of our own, in a name space of our own, is gone when this ends.
    export SLIPWAY_MOUNTS=1
    unshare -Urm true 2>/dev/null && exec unshare -Urm "$0" "$@"
    unshare -m true 2>/dev/null && exec unshare -m "$0" "$@"
    echo "skipped: no file system may be mounted here"
    exit 77
fi
. "$(dirname "$0")/common.sh"
N=20
mkdir "$work/disk"
mount -t tmpfs -o size=9m slipway "$work/disk" || {
    echo "skipped: no file system may be mounted here"
    exit 77
}
mounted=$work/disk
data=$work/disk/data

ask() { # METHOD PATH [curl arguments...]: sets status, reply
    local method=$1 path=$2
    shift 2
    status=$(curl -sS -o "$work/reply" -w '%{http_code}' -X "$method" "http://$http$path" \
        -H "Authorization: Bearer $TOKEN" "$@")
    reply=$(cat "$work/reply")
}
# Any of the ways in which the store fails for want of room is told as such.
is_full() {
    [ "$status" = 507 ] && [ "$(jq -r .error <<<"$reply")" = insufficient_storage ] &&
        jq -r .error_description <<<"$reply" | grep -q "disk is full"
}

start
make_product 13
simulate $N --ping-ms 1000
within 30 fleet_is .online $N || fail "only $(fleet .online) of $N devices are online"
module() { # VERSION BYTES
    "$bin/slipway-module" make --platform 13 --product-id "$product" --version "$1" --size "$2" \
        --seed "$1" "$work/app.bin" >/dev/null
}
module 1 100000
api POST "/v1/products/$product/firmware" -F version=1 -F title=one -F "file=@$work/app.bin" >/dev/null

# Others fill the disk, to the last byte.
cat /dev/zero >"$work/disk/others" 2>/dev/null || true

kept=() refused=0
for n in $(seq 200); do
    ask POST "/v1/products/$product/groups" "${json[@]}" "{\"name\":\"group-$n\"}"
    if [ "$status" = 201 ]; then
        kept+=("group-$n") # the log had room left
    else
        is_full || fail "a write on a full disk answered $status: $reply"
        refused=$((refused + 1))
        [ $refused -ge 5 ] && break
    fi
done
[ $refused -ge 5 ] || fail "the disk never was full"
module 2 300000
ask POST "/v1/products/$product/firmware" -F version=2 -F title=two -F "file=@$work/app.bin"
is_full || fail "an upload on a full disk answered $status: $reply"
ask PUT "/v1/products/$product/firmware/release" "${json[@]}" '{"version":1,"product_default":true}'
is_full || fail "a release on a full disk answered $status: $reply"

# Reading goes on, and nothing of what was refused is there.
[ "$(api GET "/v1/products/$product/firmware" | jq length)" = 1 ] || fail "a refused upload is there"
groups() { api GET "/v1/products/$product/groups" | jq -r '[.groups[].name] | sort | join(" ")'; }
expected=$(printf '%s\n' "${kept[@]}" | sort | tr '\n' ' ')
[ "$(groups) " = "$expected" ] || [ "$(groups)" = "${expected% }" ] ||
    fail "groups are [$(groups)] instead of [$expected]"

# Devices speak on, and the log does not fill what is left of the world.
echo "wake all" >&3
within 30 grep -q 'store_failed.*error=space' "$work/server.log" ||
    fail "the log does not say that the disk is full"
sleep 5
lines=$(wc -l <"$work/server.log")
[ "$lines" -lt 200 ] || fail "$lines lines of log"

# kill -9 on the full disk, and room again before the next start.
stop KILL
rm "$work/disk/others"
start
[ "$(groups)" = "${expected% }" ] || fail "after kill -9 groups are [$(groups)] instead of [$expected]"
[ "$(api GET "/v1/products/$product/firmware" | jq length)" = 1 ] || fail "a refused upload came back"

# Full once more, and room while it runs.
cat /dev/zero >"$work/disk/others" 2>/dev/null || true
for n in $(seq 200); do
    ask POST "/v1/products/$product/groups" "${json[@]}" "{\"name\":\"later-$n\"}"
    [ "$status" = 201 ] || break
done
is_full || fail "a write on a full disk answered $status: $reply"
rm "$work/disk/others"
api POST "/v1/products/$product/groups" "${json[@]}" '{"name":"after"}' >/dev/null
api POST "/v1/products/$product/firmware" -F version=2 -F title=two -F "file=@$work/app.bin" >/dev/null
echo "wake all" >&3
within 60 fleet_is .online $N || fail "only $(fleet .online) of $N devices are online again"
api PUT "/v1/products/$product/firmware/release" "${json[@]}" \
    '{"version":2,"product_default":true,"intelligent":true}' >/dev/null
within 120 fleet_is '.firmware_version == 2' $N ||
    fail "only $(fleet '.firmware_version == 2') of $N devices run version 2"
no_violations
stop TERM 0
echo passed
