#!/usr/bin/env bash
# One byte of a stored image is damaged, by a disk or by hand: no device is sent any of it, the log
# says which image it is, and other versions are delivered as ever. SIGTERM in mid-transfer ends the
# daemon in order, and the devices go on when it is back.
. "$(dirname "$0")/common.sh"
N=5

start
make_product 13
upload() { # VERSION
    "$bin/slipway-module" make --platform 13 --product-id "$product" --version "$1" --size 300000 \
        --seed "$1" "$work/app$1.bin" >/dev/null
    api POST "/v1/products/$product/firmware" -F "version=$1" -F title=t \
        -F "file=@$work/app$1.bin" >/dev/null
}
release() { # VERSION
    api PUT "/v1/products/$product/firmware/release" "${json[@]}" \
        "{\"version\":$1,\"product_default\":true,\"intelligent\":true}" >/dev/null
}
simulate $N --ping-ms 1000 --latency 20 --reboot-ms 300
within 30 fleet_is .online $N || fail "only $(fleet .online) of $N devices are online"
upload 2
upload 3
stop TERM 0
offset=$(LC_ALL=C grep -obUaP "$(od -An -v -tx1 -j 150000 -N 12 "$work/app2.bin" | sed 's/ /\\x/g')" \
    "$data/slipway.db" | head -n 1 | cut -d: -f1)
[ -n "$offset" ] || fail "the image is not in the database as it is"
was=$(od -An -tu1 -j "$offset" -N 1 "$data/slipway.db" | tr -d ' ')
printf "\\x$(printf %02x $((was ^ 1)))" |
    dd of="$data/slipway.db" bs=1 seek="$offset" conv=notrunc status=none

start
within 60 fleet_is .online $N || fail "only $(fleet .online) of $N devices are back"
release 2
within 30 grep -q 'store_unreadable.*damaged' "$work/server.log" || fail "the log does not name it"
code=$(curl -s -o "$work/reply" -w '%{http_code}' -H "Authorization: Bearer $TOKEN" \
    "http://$http/v1/products/$product/firmware/2/binary")
[ "$code" = 500 ] || fail "the damaged file is handed out: $code"
[ "$(seen '.transfer_bytes > 0')" = 0 ] || fail "a device is sent some of it"

release 3
receiving() { [ "$(seen '.state == "receiving" and .transfer_bytes > 0')" -gt 0 ]; }
within 60 receiving || fail "nobody receives version 3"
stop TERM 0
start
within 120 fleet_is '.firmware_version == 3' $N ||
    fail "only $(fleet '.firmware_version == 3') of $N devices run version 3"
no_violations
stop TERM 0
echo passed
