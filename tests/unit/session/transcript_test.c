/* Recorded conversations of a real Device OS 6.2.0 device, in clear text: what it said is said
 * again, and what the recorded server answered and asked has to be what ours does. Their message
 * ids and tokens differ, so the device's answers are put into our terms.
 *
 * A line: seconds, << (the device) or >> (the server), type, code, id=, tok=, [options], payload.
 */
#include "peer.h"

#include "slipway/util/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LINE_MAX  1024
#define IMAGE_MAX 65536
#define MINE_MAX  256

static struct peer peer, *const p = &peer;
static uint8_t image[IMAGE_MAX];

static struct {
    unsigned connections, requests, answers, commits, resumed, failures, describes;
    unsigned acks; /* of the recorded server that ours gave too */
    uint32_t number;
    struct {
        uint16_t theirs, ours;
        uint8_t their_token, our_token;
        bool is_used;
    } last; /* request of both servers */
    size_t count;
    struct peer_reply mine[MINE_MAX]; /* not yet held against the record */
} found;

struct said {
    uint8_t bytes[DTLS_RECORD_MAX];
    size_t len;
    struct coap_message message;
};

static uint8_t type_of(const char *word) {
    return strncmp(word, "CON", 3) == 0   ? COAP_CON
           : strncmp(word, "NON", 3) == 0 ? COAP_NON
           : strncmp(word, "ACK", 3) == 0 ? COAP_ACK
                                          : COAP_RST;
}

static size_t from_hex(const char *hex, uint8_t *out, size_t cap) {
    size_t digits = strspn(hex, "0123456789abcdef");
    assert_true(digits % 2 == 0 && digits / 2 <= cap);
    assert_int_equal(hex_decode(hex, digits, out, digits / 2), SW_OK);
    return digits / 2;
}

/* name=value; the recorder wrote a path, and a function's argument, as text. */
static void put_option(struct coap_writer *c, const char *option, size_t len, bool is_function) {
    static const struct {
        const char *name;
        uint16_t number;
    } names[] = {{"Uri-Path", COAP_URI_PATH},
                 {"Uri-Query", COAP_URI_QUERY},
                 {"Content-Format", COAP_CONTENT_FORMAT}};
    const char *value = memchr(option, '=', len);
    assert_non_null(value);
    size_t name_len = (size_t)(value - option), value_len = len - name_len - 1;
    uint16_t number = (uint16_t)strtoul(option, NULL, 10);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool is_it =
            strlen(names[i].name) == name_len && memcmp(names[i].name, option, name_len) == 0;
        number = is_it ? names[i].number : number;
    }
    assert_int_not_equal(number, 0);
    value++;
    if (number == COAP_URI_PATH || (number == COAP_URI_QUERY && is_function)) {
        coap_put(c, number, span_of(value, value_len));
    } else {
        uint8_t bytes[64];
        coap_put(c, number, span_of(bytes, from_hex(value, bytes, sizeof bytes)));
    }
}

static void read_message(const char *line, struct said *out) {
    uint8_t token[8], payload[DTLS_RECORD_MAX];
    const char *why;
    unsigned class = (unsigned)(line[4] - '0'), detail = (unsigned)strtoul(line + 6, NULL, 10);
    unsigned long id = strtoul(strstr(line, "id=") + 3, NULL, 10);
    struct writer w = writer_of(out->bytes, sizeof out->bytes);
    size_t token_len = from_hex(strstr(line, "tok=") + 4, token, sizeof token);
    struct coap_writer c = coap_begin(&w, type_of(line), (uint8_t)(class << 5 | detail),
                                      (uint16_t)id, span_of(token, token_len));
    const char *option = strchr(line, '[') + 1, *end = strchr(line, ']');
    bool is_function = strstr(line, "Uri-Path=f ") != NULL;
    while (option < end) {
        size_t len = strcspn(option, " ]");
        put_option(&c, option, len, is_function);
        option += len + 1;
    }
    size_t len = from_hex(strchr(strstr(end, "payload("), '=') + 1, payload, sizeof payload);
    coap_put_payload(&c, span_of(payload, len));
    assert_int_equal(writer_status(&w), SW_OK);
    out->len = w.at;
    assert_int_equal(coap_decode(span_of(out->bytes, out->len), &out->message, &why), SW_OK);
}

/* What the last call brought, and what follows when all of it is kept. */
static void take(void) {
    struct session_event events[SESSION_EVENTS_MAX];
    size_t count = p->event_count;
    memcpy(events, p->events, sizeof events);
    for (size_t i = 0; i < p->reply_count; i++) {
        assert_true(found.count < MINE_MAX);
        found.mine[found.count++] = p->replies[i];
    }
    for (size_t i = 0; i < count; i++) {
        found.answers += events[i].kind == SESSION_EVENT_ANSWER && events[i].u.answer.code != 0;
        found.resumed += events[i].kind == SESSION_EVENT_RESUMED;
        found.describes += events[i].kind == SESSION_EVENT_DESCRIBE;
        found.commits += events[i].kind == SESSION_EVENT_TRANSFER &&
                         events[i].u.transfer.step == SESSION_TRANSFER_COMMIT;
        found.failures += events[i].kind == SESSION_EVENT_TRANSFER &&
                          events[i].u.transfer.step == SESSION_TRANSFER_FAILED;
        if (events[i].ticket != 0) {
            peer_confirm(p, events[i].ticket);
            p->session.is_trusted |= events[i].kind == SESSION_EVENT_HELLO;
            take();
        }
    }
}

/* Whether ours sent that one: the acknowledgement, or the last request. */
static bool take_mine(bool is_ack, uint16_t id, struct peer_reply *out) {
    for (size_t i = 0; i < found.count; i++) {
        const struct coap_message *m = &found.mine[i].message;
        if (is_ack ? m->type == COAP_ACK && m->id == id : m->type == COAP_CON) {
            *out = found.mine[i];
            memmove(&found.mine[i], &found.mine[i + 1], (--found.count - i) * sizeof found.mine[0]);
            return true;
        }
    }
    return false;
}

static void device_says(struct said *said) {
    uint8_t *bytes = said->bytes;
    bool is_ack = said->message.type == COAP_ACK;
    if (found.last.is_used && is_ack && said->message.id == found.last.theirs) {
        bytes[2] = (uint8_t)(found.last.ours >> 8);
        bytes[3] = (uint8_t)found.last.ours;
    }
    if (found.last.is_used && said->message.code >= COAP_CODE(2, 0) &&
        said->message.token.len == 1 && bytes[4] == found.last.their_token) {
        bytes[4] = found.last.our_token;
    }
    peer_say_bytes(p, span_of(bytes, said->len));
    take();
}

static int ask(const struct coap_message *m) {
    struct span path = {0}, name = {0}, query = {0};
    enum session_request_kind kind = SESSION_REQUEST_EVENT;
    if (m->code == COAP_EMPTY) {
        return session_ping(&p->session, p->crypto, p->now, &p->out);
    }
    assert_true(coap_option_at(m, COAP_URI_PATH, 0, &path) && path.len <= 2);
    (void)coap_option_at(m, COAP_URI_PATH, 1, &name);
    (void)coap_option_at(m, COAP_URI_QUERY, 0, &query);
    struct span argument = query;
    switch (path.data[0]) {
    case 'd':
        kind = SESSION_REQUEST_DESCRIBE;
        break;
    case 'f':
        kind = SESSION_REQUEST_FUNCTION;
        break;
    case 'v':
        kind = SESSION_REQUEST_VARIABLE;
        break;
    case 's':
        kind = SESSION_REQUEST_SIGNAL;
        break;
    case 'E':
        argument = m->payload;
        break;
    case 'S': {
        struct session_offer offer = {0};
        struct span hash;
        uint32_t size = 0, chunk = 0;
        (void)coap_option_uint(m, COAP_FILE_SIZE, &size);
        (void)coap_option_uint(m, COAP_CHUNK_SIZE, &chunk);
        if (coap_option_at(m, COAP_FILE_SHA256, 0, &hash)) {
            memcpy(offer.file_hash.b, hash.data, sizeof offer.file_hash.b);
        }
        assert_true(size <= sizeof image);
        offer.image = span_of(image, size);
        offer.chunk_bytes = (uint16_t)chunk;
        return session_offer(&p->session, p->crypto, &offer, p->now, &p->out);
    }
    default:
        return SW_E_RANGE;
    }
    /* An unknown function is never answered: its caller has given up. */
    session_abandon(&p->session, found.number, p->now);
    return session_request(&p->session, p->crypto, kind, name, argument, p->now, &p->out,
                           &found.number);
}

/* Bit for bit, message id and token apart. */
static void assert_same(const struct said *theirs, const struct peer_reply *ours) {
    size_t skip = 4 + theirs->message.token.len;
    struct span hash;
    assert_int_equal(ours->bytes[0], theirs->bytes[0]);
    assert_int_equal(ours->bytes[1], theirs->bytes[1]);
    if (coap_path_is(&theirs->message, 'S') &&
        !coap_option_at(&theirs->message, COAP_FILE_SHA256, 0, &hash)) {
        return; /* one scenario goes without: ours always has it */
    }
    assert_int_equal(ours->len, theirs->len);
    assert_memory_equal(ours->bytes + skip, theirs->bytes + skip, theirs->len - skip);
}

static void server_said(struct said *said) {
    const struct coap_message *m = &said->message;
    struct peer_reply mine;
    if (m->type == COAP_ACK) {
        assert_true(take_mine(true, m->id, &mine));
        found.acks++;
        return;
    }
    if (m->type != COAP_CON) {
        return;
    }
    if (!coap_path_is(m, 'F') || found.failures > 0) { /* UpdateFinish follows by itself */
        int status = ask(m);
        peer_collect(p);
        take();
        if (status != SW_OK) {
            found.last.is_used = false;
            return; /* ours never asks so: the device's answers are to nothing then */
        }
    }
    if (!take_mine(false, 0, &mine)) {
        found.last.is_used = false;
        return;
    }
    found.requests++;
    assert_same(said, &mine);
    found.last.is_used = true;
    found.last.theirs = m->id;
    found.last.ours = mine.message.id;
    found.last.their_token = m->token.len == 1 ? m->token.data[0] : 0;
    found.last.our_token = mine.message.token.len == 1 ? mine.message.token.data[0] : 0;
}

static void replay(const char *name) {
    char path[512];
    static char line[LINE_MAX];
    (void)snprintf(path, sizeof path, "%s/session/%s", TEST_DATA, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    memset(&found, 0, sizeof found);
    while (fgets(line, sizeof line, file) != NULL) {
        char *word = strchr(line, ' ');
        struct said said;
        if (word == NULL || line[0] == '#') {
            continue;
        }
        word++;
        if (strncmp(word, "## HS ok", 8) == 0) {
            peer_close(p);
            peer_open(p);
            found.count = 0;
            found.connections++;
            found.last.is_used = false;
        } else if (strncmp(word, "## PEER changed", 15) == 0) {
            p->from.port++;
        } else if (strncmp(word, "## ALTCID", 9) == 0) {
            p->is_moved = true;
        } else if (strncmp(word, "<< ", 3) == 0) {
            p->now.us = (int64_t)(strtod(line, NULL) * 1e6);
            read_message(word + 3, &said);
            device_says(&said);
            p->is_moved = false;
        } else if (strncmp(word, ">> ", 3) == 0) {
            read_message(word + 3, &said);
            server_said(&said);
        }
    }
    (void)fclose(file);
    assert_true(p->session.is_known);
    assert_int_equal(p->alert_count, 0);
}

static int set_up(void **state) {
    (void)state;
    peer_open(p);
    return 0;
}

static int done(void **state) {
    (void)state;
    peer_close(p);
    return 0;
}

/* Ping, three Describes, functions, variables, events and the signal; and requests of the kinds
 * that ours never makes, whose answers do no harm. */
static void recorded_requests(void **state) {
    (void)state;
    replay("requests.txt");
    assert_int_equal(found.connections, 1);
    assert_int_equal(found.requests, 15);
    assert_int_equal(found.answers, 12);
    assert_int_equal(found.describes, 2 + 3);
    assert_int_equal(found.failures + found.commits, 0);
}

/* A device that was not acknowledged for a while repeats itself, and is not taken for many. */
static void recorded_repetitions(void **state) {
    (void)state;
    replay("unacknowledged.txt");
    assert_int_equal(found.requests, 2);
    assert_int_equal(found.answers, 2);
    assert_int_equal(found.resumed, 0);
}

/* Nine updates: for the wrong platform, with a dependency that is missing, damaged, of the system,
 * in other chunks. All but the one that breaks off are complete, and a device says so whatever it
 * makes of them afterwards: one comes back in its old session, as it could not apply what it took.
 */
static void recorded_update_errors(void **state) {
    (void)state;
    replay("update-errors.txt");
    assert_int_equal(found.connections, 16);
    assert_int_equal(found.requests, 9 + 8);
    assert_int_equal(found.commits, 8);
    assert_int_equal(found.resumed, 1);
    assert_int_equal(found.failures, 0);
    assert_int_equal(found.acks, 180);
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, done)
    const struct CMUnitTest tests[] = {
        TEST(recorded_requests),
        TEST(recorded_repetitions),
        TEST(recorded_update_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
