#!/usr/bin/env bash
# Sessions outlive the daemon: after a stop, and after kill -9, devices go on without a handshake.
. "$(dirname "$0")/common.sh"
N=20

start
make_product 13
simulate $N --ping-ms 15000
within 30 fleet_is .online $N || fail "only $(fleet .online) of $N devices are online"
connected() { [ "$(seen '.state == "connected"')" = $N ]; }
within 30 connected || fail "only $(seen '.state == "connected"') devices think that they are connected"
handshakes() { jq '[.devices[].handshakes] | add' "$work/devices.json"; }
[ "$(handshakes)" = $N ] || fail "$(handshakes) handshakes for $N devices"

for how in TERM KILL TERM KILL; do
    # By now they are quiet, and little of what they may say next is reserved.
    sleep 12
    stop $how
    start
    [ "$(fleet .online)" = 0 ] || fail "after $how somebody is online before a word"
    echo "wake all" >&3
    within 60 fleet_is .online $N || fail "after $how only $(fleet .online) of $N came back"
    within 30 connected || fail "after $how only $(seen '.state == "connected"') are connected"
    [ "$(handshakes)" = $N ] || fail "after $how there were $(handshakes) handshakes for $N devices"
done

# Devices that wake up elsewhere are recognised too.
echo "wake all" >&3
sleep 2
within 30 fleet_is .online $N || fail "after waking only $(fleet .online) of $N are online"
within 30 connected || fail "after waking only $(seen '.state == "connected"') are connected"
[ "$(handshakes)" = $N ] || fail "waking cost handshakes: $(handshakes)"
no_violations

# What the door did, in numbers for a monitor.
api GET /metrics >"$work/metrics"
grep -q '^slipway_devices_online 20$' "$work/metrics" && grep -qE '^slipway_datagrams_in_total [1-9]' "$work/metrics" ||
    fail "the metrics are not so: $(cat "$work/metrics")"
[ "$(grep -c '^# TYPE slipway_[a-z_]* \(counter\|gauge\)$' "$work/metrics")" = "$(grep -c '^slipway_' "$work/metrics")" ] ||
    fail "metrics without a type"
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$http/metrics")" = 400 ] || fail "metrics without a token"

# A device that knows another server: its operator finds out why it does not come online.
kill "$devices"
wait "$devices" 2>/dev/null || true
"$bin/slipwayd" key --data "$work" >/dev/null
"$bin/slipway-sim" --server "$dtls" --server-key "$work/server_key.pub.pem" >/dev/null 2>&1 &
devices=$!
within 10 grep -q 'event=handshake_failed from=127.0.0.1 port=.*text=".*alert' "$work/server.log" ||
    fail "a handshake that failed is not in the log"

# A copy of the folder, or one that was put back, goes on with none of them: their numbers are spent.
stop TERM 0
cp -a "$data" "$work/copy"
rm -r "$data"
mv "$work/copy" "$data"
grep -q "could not be unsealed" "$work/server.log" && fail "sessions were lost before"
start
grep -q "could not be unsealed" "$work/server.log" || fail "sessions of a copied folder were taken up"
stop TERM 0
echo passed
