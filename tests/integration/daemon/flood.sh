#!/usr/bin/env bash
# A hostile flood while devices are connected: no session is lost, they are answered meanwhile, an
# update reaches them, memory and log stay bounded, and nobody is sent more than was spent.
#
#   flood.sh [DEVICES [DATAGRAMS [A SECOND]]]
. "$(dirname "$0")/common.sh"
N=${1:-60} COUNT=${2:-40000} RATE=${3:-8000}

start
make_product 13
simulate "$N" --ping-ms 2000 --own-addresses
within 60 fleet_is .online "$N" || fail "only $(fleet .online) of $N devices are online"
connected() { [ "$(seen '.state == "connected"')" = "$N" ]; }
within 30 connected || fail "only $(seen '.state == "connected"') devices think that they are connected"
"$bin/slipway-module" make --platform 13 --product-id "$product" --version 2 --size 20000 --seed 2 \
    "$work/app.bin" >/dev/null
api POST "/v1/products/$product/firmware" -F version=2 -F title=two -F "file=@$work/app.bin" >/dev/null
handshakes() { jq '[.devices[].handshakes] | add' "$work/devices.json"; }
memory() { awk '/^VmRSS/ { print $2 }' "/proc/$server/status"; }
loud() { grep -c -v 'event=request' "$work/server.log" || true; }
[ "$(handshakes)" = "$N" ] || fail "$(handshakes) handshakes for $N devices"
before_kib=$(memory) before_lines=$(loud)

"$bin/flood" "${dtls##*:}" "$data/slipway.db" "$COUNT" "$RATE" 1 >"$work/flood.out" &
flood=$!
answered=0 asked=0 peak_kib=$before_kib
while kill -0 $flood 2>/dev/null; do
    reply=$(api PUT "/v1/products/$product/devices/${ids[$((asked % N))]}/ping")
    asked=$((asked + 1)) now_kib=$(memory)
    [ "$now_kib" -gt "$peak_kib" ] && peak_kib=$now_kib
    [ "$(jq -r .online <<<"$reply")" = true ] && answered=$((answered + 1))
    if [ $asked = 3 ]; then
        api PUT "/v1/products/$product/firmware/release" "${json[@]}" \
            '{"version":2,"product_default":true,"intelligent":true}' >/dev/null
    fi
    sleep 0.05
done
wait $flood || fail "the flood ended early"
lines=$(($(loud) - before_lines))
cat "$work/flood.out"
echo "$answered of $asked pings answered, $before_kib KiB before, $(memory) after, $peak_kib at most," \
    "$lines lines of log"

[ "$asked" -ge 5 ] || fail "the flood was too short to ask anything"
[ $((answered * 10)) -ge $((asked * 9)) ] || fail "only $answered of $asked pings were answered"
# 4,096 handshakes of 8 KiB may be under way, and what devices need for the update.
[ $((peak_kib - before_kib)) -lt 60000 ] || fail "memory grew from $before_kib to $peak_kib KiB"
[ "$lines" -lt 100 ] || fail "$lines lines of log"
jq -e '.back_bytes < .sent_bytes' "$work/flood.out" >/dev/null || fail "more came back than was sent"
within 120 fleet_is '.firmware_version == 2' "$N" ||
    fail "only $(fleet '.firmware_version == 2') of $N devices run version 2"
within 60 fleet_is .online "$N" || fail "only $(fleet .online) of $N devices are online"
# Each device restarts once for its update and goes on with its session.
[ "$(handshakes)" = "$N" ] || fail "$(handshakes) handshakes for $N devices"
no_violations
stop TERM 0
echo passed
