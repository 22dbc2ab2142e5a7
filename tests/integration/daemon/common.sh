# What the scripts here share: a scratch folder, a daemon in it, REST calls, simulated devices.
set -euo pipefail
bin=${SLIPWAY_BUILD:?}
work=$(mktemp -d)
data=$work/data
http=127.0.0.1:0 dtls=127.0.0.1:0
TOKEN=00112233445566778899aabbccddeeff00112233
server= devices= mounted=

fail() {
    echo "FAILED: $*" >&2
    [ -s "$work/server.log" ] && tail -n 15 "$work/server.log" >&2
    exit 1
}
cleanup() {
    status=$?
    trap - EXIT INT TERM
    [ -n "$devices" ] && kill "$devices" 2>/dev/null
    [ -n "$server" ] && kill -9 "$server" 2>/dev/null
    wait 2>/dev/null || true
    [ -n "$mounted" ] && umount -l "$mounted"
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT INT TERM

# Starts the daemon and waits for its ready line; http and dtls then hold its addresses.
start() {
    : >"$work/server.out"
    SLIPWAY_ADMIN_TOKEN=$TOKEN "$bin/slipwayd" --data "$data" --http "$http" --dtls "$dtls" "$@" \
        >>"$work/server.out" 2>>"$work/server.log" &
    server=$!
    local ready= n
    for n in $(seq 400); do
        ready=$(grep -m1 '^slipwayd ready' "$work/server.out" || true)
        [ -n "$ready" ] && break
        kill -0 "$server" 2>/dev/null || fail "slipwayd did not start: $(tail -n 1 "$work/server.log")"
        sleep 0.05
    done
    [ -n "$ready" ] || fail "not ready after 20 s"
    http=$(sed -n 's/.*http=\([^ ]*\).*/\1/p' <<<"$ready")
    dtls=$(sed -n 's/.*dtls=\([^ ]*\).*/\1/p' <<<"$ready")
}
# Ends it: stop SIGNAL [EXPECTED EXIT CODE].
stop() {
    local code=0
    kill "-$1" "$server"
    wait "$server" || code=$?
    server=
    [ $# -lt 2 ] || [ "$code" = "$2" ] || fail "ended with $code instead of $2"
}

api() { # METHOD PATH [curl arguments...]: prints the reply, fails on any other status than 2xx
    local method=$1 path=$2 code
    shift 2
    code=$(curl -sS -o "$work/reply" -w '%{http_code}' -X "$method" "http://$http$path" \
        -H "Authorization: Bearer $TOKEN" "$@")
    case $code in
    2??) cat "$work/reply" ;;
    *) fail "$method $path answered $code: $(cat "$work/reply")" ;;
    esac
}
json=(-H "Content-Type: application/json" -d)

# make_product PLATFORM: sets product
make_product() {
    product=$(api POST /v1/products "${json[@]}" \
        "{\"product\":{\"name\":\"Test fleet\",\"platform_id\":$1}}" | jq -r .product.id)
}
# simulate N [slipway-sim options...]: imports and starts N devices; sets ids
simulate() {
    local count=$1
    shift
    local sim=("$bin/slipway-sim" --devices "$count" --seed 5 --platform 13)
    "${sim[@]}" --print-ids >"$work/ids"
    mapfile -t ids <"$work/ids"
    api POST "/v1/products/$product/devices" -F "file=@$work/ids" >/dev/null
    mkfifo "$work/control"
    exec 3<>"$work/control"
    "${sim[@]}" --server "$dtls" --server-key "$data/server_key.pub.pem" --control "$work/control" \
        --status-file "$work/devices.json" --json "$@" >"$work/sim.out" 2>"$work/sim.log" &
    devices=$!
}
# within SECONDS COMMAND...: until the command succeeds
within() {
    local limit=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $limit ] || return 1
        sleep 0.1
    done
}
fleet() { # how many devices match a jq condition on the server's list
    api GET "/v1/products/$product/devices?perPage=1000" | jq "[.devices[] | select($1)] | length"
}
fleet_is() { [ "$(fleet "$1")" = "$2" ]; }
seen() { # how many devices match a jq condition in the simulator's own status
    jq "[.devices[] | select($1)] | length" "$work/devices.json" 2>/dev/null || echo 0
}
no_violations() {
    sleep 0.5
    [ "$(jq '[.devices[].violations // [] | length] | add' "$work/devices.json")" = 0 ] ||
        fail "a device saw what it does not tolerate: $(jq -c '[.devices[].violations[]?][0]' \
            "$work/devices.json")"
}
