#!/usr/bin/env bash
# Starts and ends: what is made, what is refused in one line, what a signal does.
. "$(dirname "$0")/common.sh"

refused() { # WORD COMMAND...: must end with one line on standard error that has the word, and 1
    local word=$1 code=0
    shift
    timeout 20 "$@" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" -eq 1 ] || fail "$* ended with $code: $(cat "$work/err")"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "$*: not one line: $(cat "$work/err")"
    grep -q "$word" "$work/err" || fail "$*: \"$word\" is not in: $(cat "$work/err")"
}

# A fresh folder: everything is made, secrets for nobody else.
start
for file in slipway.db server_key.pem server_key.pub.pem server_key.pub.der session_key; do
    [ -s "$data/$file" ] || fail "$file is missing"
done
[ "$(stat -c %a "$data")" = 700 ] || fail "the folder is open to others"
for file in server_key.pem session_key; do
    [ "$(stat -c %a "$data/$file")" = 600 ] || fail "$file is open to others"
done
[ ! -e "$data/admin_token" ] || fail "a token was written though one was given"
api GET /v1/products >/dev/null
[ "$(curl -s -o /dev/null -w '%{http_code}' "http://$http/v1/products")" -ge 400 ] ||
    fail "no token is asked for"
cmp <("$bin/slipwayd" key --data "$data") "$data/server_key.pub.pem" || fail "key differs"
[ "$("$bin/slipwayd" key --data "$data" --spki)" = "$(xxd -p -c 200 "$data/server_key.pub.der" \
    2>/dev/null || od -An -v -tx1 "$data/server_key.pub.der" | tr -d ' \n')" ] || fail "spki differs"
[ "$("$bin/slipwayd" key --data "$data" --dct ota.example | wc -c)" -eq 320 ] || fail "dct length"
openssl pkey -pubin -in "$data/server_key.pub.pem" -noout || fail "openssl cannot read the key"

# A second daemon on the folder, and others on its ports.
refused "slipway\|lock\|use" "$bin/slipwayd" --data "$data" --http 127.0.0.1:0 --dtls 127.0.0.1:0
refused "${http##*:}" "$bin/slipwayd" --data "$work/other" --http "$http" --dtls 127.0.0.1:0
refused "${dtls##*:}" "$bin/slipwayd" --data "$work/other" --http 127.0.0.1:0 --dtls "$dtls"

# SIGHUP: good settings are taken, bad ones refused, and it goes on either way.
kill -HUP "$server"
within 5 grep -q reloaded "$work/server.log" || fail "no reload"
api GET /v1/products >/dev/null

# SIGTERM ends it cleanly; the token stays valid; another replaces it.
key=$(cat "$data/server_key.pub.pem")
stop TERM 0
start
[ "$(cat "$data/server_key.pub.pem")" = "$key" ] || fail "the key changed"
api GET /v1/products >/dev/null
stop INT 0
old=$TOKEN TOKEN=ffeeddccbbaa99887766554433221100ffeeddcc
start
api GET /v1/products >/dev/null
[ "$(curl -s -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $old" \
    "http://$http/v1/products")" = 401 ] || fail "the old token is still valid"
stop KILL 137
start
api GET /v1/products >/dev/null
stop TERM 0

# Without a token in the environment it makes one.
( unset SLIPWAY_ADMIN_TOKEN; "$bin/slipwayd" token --data "$data" >"$work/token" )
grep -qE '^[0-9a-f]{40}$' "$work/token" || fail "no token"
[ "$(stat -c %a "$data/admin_token")" = 600 ] || fail "the token is open to others"

# And a password, which is written as well; those of files go before, the environment before both.
password_of() { # PASSWORD: the status of logging in with it
    curl -s -o /dev/null -w '%{http_code}' "http://$http/oauth/token" -d grant_type=password \
        -d client_id=particle -d client_secret=particle -d username=admin --data-urlencode "password=$1"
}
mkdir -m 700 "$work/secrets"
kept=$data data=$work/second
start
[ "$(stat -c %a "$data/admin_password")" = 600 ] || fail "the password is open to others"
[ "$(password_of "$(cat "$data/admin_password")")" = 200 ] || fail "the written password is not the one"
stop TERM 0
echo 'from a file' >"$work/secrets/password"
echo "${TOKEN//0/1}" >"$work/secrets/token"
printf '[admin]\npassword_file = %s\ntoken_file = %s\n' "$work/secrets/password" "$work/secrets/token" \
    >"$work/admin.conf"
start --config "$work/admin.conf"
[ "$(password_of 'from a file')" = 200 ] || fail "the file's password is not taken"
api GET /v1/products >/dev/null
stop TERM 0
[ "$(env -u SLIPWAY_ADMIN_TOKEN "$bin/slipwayd" token --data "$data" --config "$work/admin.conf")" = \
    "${TOKEN//0/1}" ] || fail "the file's token is not told"
echo short >"$work/secrets/token"
refused "token_file" env -u SLIPWAY_ADMIN_TOKEN "$bin/slipwayd" --data "$data" --config "$work/admin.conf" \
    --http 127.0.0.1:0 --dtls 127.0.0.1:0
rm "$work/secrets/password"
refused "secrets/password" env "SLIPWAY_ADMIN_TOKEN=$TOKEN" "$bin/slipwayd" --data "$data" --config "$work/admin.conf" \
    --http 127.0.0.1:0 --dtls 127.0.0.1:0
data=$kept

# What cannot be served is said in one line.
for folder in foreign newer junk; do
    mkdir "$work/$folder"
    cp "$data/server_key.pem" "$data/session_key" "$work/$folder/"
done
sqlite3 "$work/foreign/slipway.db" 'CREATE TABLE theirs(x)'
refused slipway.db "$bin/slipwayd" --data "$work/foreign" --http 127.0.0.1:0 --dtls 127.0.0.1:0
cp "$data/slipway.db" "$work/newer/"
sqlite3 "$work/newer/slipway.db" 'INSERT INTO migration SELECT number + 1, name, sha256, applied_ms
    FROM migration ORDER BY number DESC LIMIT 1'
refused newer "$bin/slipwayd" --data "$work/newer" --http 127.0.0.1:0 --dtls 127.0.0.1:0
head -c 100000 /dev/urandom >"$work/junk/slipway.db"
refused slipway.db "$bin/slipwayd" --data "$work/junk" --http 127.0.0.1:0 --dtls 127.0.0.1:0
refused hexadecimal env SLIPWAY_ADMIN_TOKEN=xyz "$bin/slipwayd" --data "$work/t" \
    --http 127.0.0.1:0 --dtls 127.0.0.1:0
refused "HOST:PORT" "$bin/slipwayd" --data "$work/t" --http nonsense --dtls 127.0.0.1:0
refused "data" "$bin/slipwayd"
printf '[http]\nthreads = many\n' >"$work/bad.conf"
refused "line 2" "$bin/slipwayd" --data "$work/t" --config "$work/bad.conf"
printf '[hooks]\ndeny = 10.0.0.0/33\n' >"$work/bad.conf"
refused "hooks.deny" "$bin/slipwayd" --data "$work/t" --config "$work/bad.conf" \
    --http 127.0.0.1:0 --dtls 127.0.0.1:0

# Also where nothing is served yet.
"$bin/slipwayd" --dump-config >/dev/null || fail "the defaults cannot be served"
printf '[dtls]\nlisten = 5684\n' >"$work/bad.conf"
refused "HOST:PORT" "$bin/slipwayd" --dump-config --config "$work/bad.conf"
printf '[http]\ntls_certificate = %s\ntls_key = %s\n' "$work/no.crt" "$work/no.key" >"$work/bad.conf"
refused "no.crt" "$bin/slipwayd" --dump-config --config "$work/bad.conf"
printf '[dtls]\nclient_ca = %s\n' "$work/bad.conf" >"$work/bad.conf"
refused "dtls.client_ca" "$bin/slipwayd" --dump-config --config "$work/bad.conf"

refused "ulimit" bash -c 'ulimit -n 16; exec "$@"' bash "$bin/slipwayd" --data "$work/t" \
    --http 127.0.0.1:0 --dtls 127.0.0.1:0

# A service manager that waits to hear is told when it serves, and when it no longer does.
perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_DGRAM, 0); bind($s, pack_sockaddr_un($ARGV[0])) or die; alarm 60;
    for (1 .. 2) { recv($s, my $text, 100, 0); syswrite STDOUT, "$text\n" }' "$work/notify" >"$work/told" &
manager=$!
within 5 [ -S "$work/notify" ] || fail "no socket"
NOTIFY_SOCKET=$work/notify start
within 5 grep -q '^READY=1$' "$work/told" || fail "not told that it is ready"
stop TERM 0
wait "$manager"
[ "$(cat "$work/told")" = $'READY=1\nSTOPPING=1' ] || fail "the manager was told: $(cat "$work/told")"

# A shell's thousand descriptors are not the end of it.
ulimit -Sn 512
start
[ "$(awk '/Max open files/ { print $4 }' "/proc/$server/limits")" -gt 12000 ] ||
    fail "no more descriptors than before"
stop TERM 0

# Nor may clients take all of few: what is opened later needs some, too.
(
    ulimit -n 128
    SLIPWAY_ADMIN_TOKEN=$TOKEN exec "$bin/slipwayd" --data "$data" --http "$http" --dtls "$dtls"
) >"$work/server.out" 2>>"$work/server.log" &
server=$!
within 20 grep -q '^slipwayd ready' "$work/server.out" || fail "not ready with 128 descriptors"
for n in $(seq 130); do
    eval "exec $((100 + n))<>/dev/tcp/${http%:*}/${http##*:}"
done
sleep 0.5
descriptors() { (ls "/proc/$server/fd") | wc -l; }
[ "$(descriptors)" -lt 110 ] || fail "clients took $(descriptors) of 128 descriptors"
for n in $(seq 130); do
    eval "exec $((100 + n))>&-"
done
api GET /v1/products >/dev/null
stop TERM 0

# Whoever closed a standard file does not have what is written to it in a file of ours.
SLIPWAY_ADMIN_TOKEN=$TOKEN "$bin/slipwayd" --data "$data" --http "$http" --dtls "$dtls" \
    <&- >&- 2>&- &
server=$!
answers() { curl -s -o /dev/null "http://$http/"; }
within 20 answers || fail "not ready without standard files"
for n in 0 1 2; do
    [ "$(readlink "/proc/$server/fd/$n")" = /dev/null ] ||
        fail "file $n is $(readlink "/proc/$server/fd/$n")"
done
stop TERM 0
echo passed
