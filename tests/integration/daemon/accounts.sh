#!/usr/bin/env bash
# People and tokens by the command line: on a fresh folder, and beside the daemon that serves it.
. "$(dirname "$0")/common.sh"

refused() { # WORD COMMAND...: one line on standard error that has the word, exit code 1
    local word=$1 code=0
    shift
    timeout 20 "$@" >"$work/out" 2>"$work/err" </dev/null || code=$?
    [ "$code" -eq 1 ] || fail "$* ended with $code: $(cat "$work/err")"
    [ "$(wc -l <"$work/err")" -eq 1 ] || fail "$*: not one line: $(cat "$work/err")"
    grep -q "$word" "$work/err" || fail "$*: \"$word\" is not in: $(cat "$work/err")"
}
# login NAME PASSWORD: the status of a password grant
login() {
    curl -s -o "$work/login" -w '%{http_code}' "http://$http/oauth/token" -d grant_type=password \
        -d client_id=particle -d client_secret=particle --data-urlencode "username=$1" \
        --data-urlencode "password=$2"
}
status_of() { # TOKEN: of a request with it
    curl -s -o "$work/who" -w '%{http_code}' "http://$http/v1/user" -H "Authorization: Bearer $1"
}

# Before there is a daemon: the folder is made.
echo 'correct horse' | "$bin/slipwayd" user add ann --data "$data" || fail "no user was added"
[ "$(stat -c %a "$data/slipway.db")" = 600 ] || fail "the database is open to others"
early=$("$bin/slipwayd" token create ann --data "$data")
refused "already exists" "$bin/slipwayd" user add ann --data "$data" --password-file <(echo 'correct horse')
refused "not found" "$bin/slipwayd" user password bob --data "$data" --password-file <(echo 'correct horse')
refused "not found" "$bin/slipwayd" token create bob --data "$data"
refused "shorter than 8" "$bin/slipwayd" user add bob --data "$data" --password-file <(echo short)
refused "longer than 256" "$bin/slipwayd" user add bob --data "$data" \
    --password-file <(printf '%0300d' 0)
refused "control character" "$bin/slipwayd" user add bob --data "$data" \
    --password-file <(printf 'pass\tword')
refused "No such file" "$bin/slipwayd" user add bob --data "$data" --password-file "$work/none"
refused "shorter than 8" "$bin/slipwayd" user add bob --data "$data"
refused "needs a name" "$bin/slipwayd" user add --data "$data"
refused "add, password or remove" "$bin/slipwayd" user drop ann --data "$data"
refused "add, password or remove" "$bin/slipwayd" user --data "$data"
refused "not found" "$bin/slipwayd" user remove nobody --data "$data"
refused "unknown word" "$bin/slipwayd" user add bob secret --data "$data"
refused "expires-in" "$bin/slipwayd" token create ann --expires-in -1 --data "$data"
refused "data DIR" "$bin/slipwayd" user add bob

start
[ "$(login ann 'correct horse')" = 200 ] || fail "ann cannot log in"
[ "$(login bob short)" = 400 ] || fail "bob was made"
[ "$(status_of "$early")" = 200 ] || fail "the early token is not valid"
[ "$(jq -r .username "$work/who")" = ann ] || fail "the token is not ann's"

# Beside it.
echo 'battery staple' | "$bin/slipwayd" user add bob --data "$data" || fail "no user beside the daemon"
[ "$(login bob 'battery staple')" = 200 ] || fail "bob cannot log in"
token=$("$bin/slipwayd" token create bob --data "$data" --expires-in 0)
[[ $token =~ ^[0-9a-f]{40}$ ]] || fail "no token: $token"
[ "$(status_of "$token")" = 200 ] || fail "the token is not valid at once"
[ "$(curl -s "http://$http/v1/access_tokens/current" -H "Authorization: Bearer $token" |
    jq .expires_at)" = null ] || fail "it expires"
short=$("$bin/slipwayd" token create bob --data "$data" --expires-in 1)
within 5 eval '[ "$(status_of "$short")" = 401 ]' || fail "it does not expire"
for n in $(seq 10); do login ann "wrong $n" >/dev/null; done
[ "$(login ann 'correct horse')" = 400 ] || fail "guessing does not lock"
echo 'another horse' >"$work/password"
"$bin/slipwayd" user password ann --data "$data" --password-file "$work/password"
[ "$(login ann 'another horse')" = 200 ] || fail "the new password does not unlock"
[ "$(login ann 'correct horse')" = 400 ] || fail "the old password is still valid"
[ "$(status_of "$early")" = 401 ] || fail "the old token is still valid"

# While it is busy: neither waits for ever, and nothing is lost.
make_product 13
for n in $(seq 200); do
    curl -s -o /dev/null "http://$http/v1/products/$product/groups" -d "name=g$n" \
        -H "Authorization: Bearer $TOKEN" || fail "a request failed"
done &
requests=$!
for n in $(seq 5); do
    "$bin/slipwayd" token create bob --data "$data" >>"$work/tokens" || fail "no token under load"
done
wait $requests
[ "$(api GET "/v1/products/$product/groups" | jq '.groups | length')" = 200 ] || fail "groups are missing"
while read -r each; do
    [ "$(status_of "$each")" = 200 ] || fail "a token was lost"
done <"$work/tokens"

# Who is removed has no way in any more, nor their tokens.
refused "administrator" "$bin/slipwayd" user remove admin --data "$data"
gone=$("$bin/slipwayd" token create ann --data "$data")
within 5 eval '[ "$(status_of "$gone")" = 200 ]' || fail "ann has no token"
"$bin/slipwayd" user remove ann --data "$data" || fail "ann was not removed"
within 5 eval '[ "$(status_of "$gone")" = 401 ]' || fail "a removed person's token is still valid"
[ "$(login ann 'another horse')" = 400 ] || fail "a removed person can log in"

# At a terminal it is asked for twice and not shown. What was typed ahead does not count.
typed() { # NAME FIRST SECOND: adds a user so; the exit code is slipwayd's
    rm -f "$work/typed" "$work/keys"
    mkfifo "$work/keys"
    timeout 20 script -qefc "$bin/slipwayd user add $1 --data $data" "$work/typed" \
        <"$work/keys" >/dev/null &
    local terminal=$! code=0
    exec 4>"$work/keys"
    within 5 grep -qs 'New password' "$work/typed" && echo "$2" >&4
    within 5 grep -qs 'Again' "$work/typed" && echo "$3" >&4
    wait $terminal || code=$?
    exec 4>&-
    grep -q mouse "$work/typed" && fail "the password was shown"
    return $code
}
if command -v script >/dev/null; then
    typed eve 'quiet as a mouse' 'quiet as a mouse' || fail "not at a terminal: $(cat "$work/typed")"
    [ "$(login eve 'quiet as a mouse')" = 200 ] || fail "eve cannot log in"
    typed kim 'quiet as a mouse' 'quiet as a mouse?' && fail "two passwords were taken"
    grep -q 'differ' "$work/typed" || fail "the difference was not told"
fi
stop TERM 0

# A database of another version is nobody's to write but the daemon's.
sqlite3 "$data/slipway.db" 'INSERT INTO migration SELECT number + 1, name, sha256, applied_ms
    FROM migration ORDER BY number DESC LIMIT 1'
refused "newer" "$bin/slipwayd" token create bob --data "$data"
exec 9>"$data/lock"
flock 9
refused "migration" "$bin/slipwayd" token create bob --data "$data"
echo passed
