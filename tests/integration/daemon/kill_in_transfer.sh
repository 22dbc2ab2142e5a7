#!/usr/bin/env bash
# kill -9 in the middle of transfers, three times: each device still ends on the new version, having
# verified its bytes, and none takes it twice.
. "$(dirname "$0")/common.sh"
N=10

"$bin/slipway-module" make --platform 13 --product-id 13 --version 2 --size 300000 --seed 3 \
    "$work/app.bin" >/dev/null
start
make_product 13
simulate $N --ping-ms 2000 --latency 20 --loss 1 --reboot-ms 300
within 30 fleet_is .online $N || fail "only $(fleet .online) of $N devices are online"
api POST "/v1/products/$product/firmware" -F version=2 -F title=two -F "file=@$work/app.bin" >/dev/null
api PUT "/v1/products/$product/firmware/release" "${json[@]}" \
    '{"version":2,"product_default":true,"intelligent":true}' >/dev/null

receiving() { [ "$(seen '.state == "receiving" and .transfer_bytes > 0')" -gt 0 ]; }
for round in 1 2 3; do
    within 60 receiving || break # all done already
    sleep 0.3
    stop KILL
    start
done
within 120 fleet_is '.firmware_version == 2' $N ||
    fail "only $(fleet '.firmware_version == 2') of $N devices run version 2"
sum=$(sha256sum "$work/app.bin" | cut -d' ' -f1)
[ "$(seen "(.verified_sha256 // []) | index(\"$sum\")")" = $N ] || fail "not all verified the bytes"
no_violations
stop TERM 0
echo passed
