/* Recorded sessions of a real Device OS 6.2.0 device, given to ours with the recorded keys: its
 * records are opened, understood and answered, and what we send is what it accepted then. */
#include "slipway/coap/message.h"
#include "slipway/session/session.h"
#include "slipway/util/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define RECORDS_MAX 256
#define REPLIES_MAX 128
#define IMAGE_MAX   32768

struct recording {
    struct dtls_session server, device; /* the device's end opens what ours sends */
    size_t count;
    struct {
        bool is_from_device;
        int64_t at_ms;
        size_t len;
        uint8_t bytes[1400];
    } records[RECORDS_MAX];
};

static struct recording recording;
static struct session session;
static struct session_work work;
static struct session_out out;
static uint8_t box[256 * 1024];
static struct dtls_crypto *crypto;
static mono_time now;
static const char *why;

static struct {
    size_t len;
    uint8_t bytes[1200];
    struct coap_message message;
} replies[REPLIES_MAX];
static size_t reply_count;
static struct session_event events[SESSION_EVENTS_MAX];
static size_t event_count;

static void read_key(const char *line, const char *name, void *key, size_t len) {
    const char *at = strstr(line, name);
    if (at != NULL) {
        assert_int_equal(hex_decode(at + strlen(name) + 1, len * 2, key, len), SW_OK);
    }
}

/* The first session of a log: its keys, and the records of epoch 1. */
static void load(const char *name) {
    char path[512];
    static char line[8192];
    struct recording *r = &recording;
    snprintf(path, sizeof path, "%s/session/%s", TEST_DATA, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    memset(r, 0, sizeof *r);
    r->server = (struct dtls_session){.seq_out = 1,
                                      .seq_out_limit = DTLS_SEQUENCE_MAX,
                                      .seq_in_top = 1,
                                      .seq_in_window = 1,
                                      .seq_in_limit = DTLS_SEQUENCE_MAX,
                                      .cid_in = {1, 2, 3, 4, 5, 6, 7, 8},
                                      .cid_in_len = 8,
                                      .cid_form = DTLS_CID_DRAFT05,
                                      .is_server = 1,
                                      .suite = 0xc0ae,
                                      .epoch = 1};
    bool has_keys = false;
    while (fgets(line, sizeof line, file) != NULL) {
        bool is_hello = strstr(line, "D< 16fefd0000000000000000") != NULL;
        if (is_hello && has_keys) {
            break; /* the device restarted */
        }
        if (strstr(line, "KEYS") != NULL) {
            has_keys = true;
            read_key(line, "client_write_key", r->server.key_in, 16);
            read_key(line, "server_write_key", r->server.key_out, 16);
            read_key(line, "client_write_iv", r->server.salt_in, 4);
            read_key(line, "server_write_iv", r->server.salt_out, 4);
        }
        const char *hex = strstr(line, "D< ");
        bool is_from_device = hex != NULL;
        if (hex == NULL && (hex = strstr(line, "D> ")) == NULL) {
            continue;
        }
        hex += 3;
        size_t digits = strcspn(hex, " \r\n");
        bool is_protected =
            strncmp(hex + 6, "0001", 4) == 0 &&
            (!is_from_device || strncmp(hex, "19", 2) == 0 || strncmp(hex, "fd", 2) == 0);
        if (!has_keys || !is_protected) {
            continue;
        }
        assert_true(r->count < RECORDS_MAX);
        r->records[r->count].is_from_device = is_from_device;
        r->records[r->count].at_ms = (int64_t)(strtod(line, NULL) * 1000);
        r->records[r->count].len = digits / 2;
        assert_int_equal(hex_decode(hex, digits, r->records[r->count].bytes, digits / 2), SW_OK);
        r->count++;
    }
    fclose(file);
    assert_true(has_keys && r->count > 0);
    r->device = r->server;
    r->device.is_server = 0;
    r->device.cid_in_len = 0;
    r->device.cid_out_len = 8;
    memcpy(r->device.key_in, r->server.key_out, 16);
    memcpy(r->device.salt_in, r->server.salt_out, 4);
}

static int setup(void **state) {
    const char *const *name = (const char *const *)*state;
    load(*name);
    crypto = dtls_crypto_new();
    now = (mono_time){.us = 1000};
    outbox_init(&out.box, box, sizeof box);
    session_out_clear(&out);
    struct address from = {.port = 1000};
    session_init(&session, &recording.server, &from, now);
    session_attach(&session, &work);
    reply_count = 0;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    (void)session_close(&session);
    dtls_crypto_free(crypto);
    return 0;
}

static void collect(void) {
    for (size_t i = 0; i < out.box.count; i++) {
        struct dtls_opened opened;
        const char *reason;
        assert_true(reply_count < REPLIES_MAX);
        assert_int_equal(dtls_open(crypto, &recording.device, outbox_datagram(&out.box, i),
                                   replies[reply_count].bytes, sizeof replies[0].bytes, &opened),
                         SW_OK);
        replies[reply_count].len = opened.content.len;
        assert_int_equal(coap_decode(opened.content, &replies[reply_count].message, &reason),
                         SW_OK);
        reply_count++;
    }
    event_count = out.event_count;
    memcpy(events, out.events, sizeof events);
    session_out_clear(&out);
}

/* Gives record i; false for the client's Finished, which belongs to the handshake. */
static bool give(size_t i) {
    struct address from = {.port = 1000};
    wall_time wall = {.ms = INT64_C(1700000000) * 1000};
    now.us = recording.records[i].at_ms * 1000;
    assert_int_equal(session_input(&session, crypto, &from,
                                   span_of(recording.records[i].bytes, recording.records[i].len),
                                   now, wall, &out, &why),
                     SW_OK);
    collect();
    return why == NULL;
}

static void confirm_all(void) {
    for (size_t i = 0; i < event_count; i++) {
        if (events[i].ticket != 0) {
            session_confirm(&session, crypto, events[i].ticket, now, &out);
        }
    }
    collect();
}

static void assert_sent(size_t i, const char *hex) {
    uint8_t bytes[1200];
    assert_true(i < reply_count);
    assert_int_equal(replies[i].len, strlen(hex) / 2);
    assert_int_equal(hex_decode(hex, strlen(hex), bytes, strlen(hex) / 2), SW_OK);
    assert_memory_equal(replies[i].bytes, bytes, replies[i].len);
}

/* Everything up to and with the app's first publish. */
static size_t first_connection(bool *enabled, bool *forced, size_t *describes, size_t *publishes) {
    for (size_t i = 0; i < recording.count; i++) {
        if (!recording.records[i].is_from_device || !give(i)) {
            continue;
        }
        if (event_count == 0) {
            continue;
        }
        struct session_event event = events[0];
        confirm_all();
        if (event.kind == SESSION_EVENT_HELLO) {
            session.is_trusted = true;
        } else if (event.kind == SESSION_EVENT_UPDATES) {
            *(event.u.updates.is_forced ? forced : enabled) = event.u.updates.value;
        } else if (event.kind == SESSION_EVENT_DESCRIBE) {
            (*describes)++;
        } else if (event.kind == SESSION_EVENT_PUBLISH) {
            (*publishes)++;
            return i;
        }
    }
    return recording.count;
}

static void recorded_first_connection(void **state) {
    (void)state;
    bool enabled = false, forced = true;
    size_t describes = 0, publishes = 0;
    first_connection(&enabled, &forced, &describes, &publishes);
    assert_true(enabled);
    assert_false(forced);
    assert_int_equal(publishes, 1);
    static const uint8_t id[12] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
                                   0xcd, 0xef, 0x01, 0x23, 0x45, 0x67};
    assert_memory_equal(session.device.b, id, 12);
    assert_int_equal(session.hello_flags, 0xb6);
    static const char *const sent[] = {
        "60000001", "60000002", "6145000356ff6553f100",
        "60000004", "60000005", "60000006",
        "60000007", "60000008", "60000009",
        "6000000a",
    };
    assert_int_equal(reply_count, 10);
    for (size_t i = 0; i < 10; i++) {
        assert_sent(i, sent[i]);
    }
}

/* The recorded server's update: its image, from its chunks. */
static size_t recorded_image(uint8_t *image, struct sha256 *hash) {
    size_t len = 0;
    struct dtls_session device = recording.device;
    for (size_t i = 0; i < recording.count; i++) {
        uint8_t plain[1400];
        struct dtls_opened opened;
        struct coap_message m;
        struct span value;
        uint32_t index;
        const char *reason;
        if (recording.records[i].is_from_device ||
            dtls_open(crypto, &device,
                      span_of(recording.records[i].bytes, recording.records[i].len), plain,
                      sizeof plain, &opened) != SW_OK ||
            coap_decode(opened.content, &m, &reason) != SW_OK) {
            continue;
        }
        if (coap_option_at(&m, COAP_FILE_SHA256, 0, &value)) {
            memcpy(hash->b, value.data, sizeof hash->b);
        }
        if (coap_path_is(&m, 'C') && coap_option_uint(&m, COAP_CHUNK_INDEX, &index)) {
            memcpy(image + (index - 1) * 512, m.payload.data, m.payload.len);
            size_t end = (index - 1) * 512 + m.payload.len;
            len = end > len ? end : len;
        }
    }
    return len;
}

static void recorded_update(void **state) {
    (void)state;
    static uint8_t image[IMAGE_MAX];
    bool ignored = false;
    size_t counted = 0;
    struct session_offer offer = {0};
    size_t at = first_connection(&ignored, &ignored, &counted, &counted);
    offer.image = span_of(image, recorded_image(image, &offer.file_hash));
    struct sha256 computed;
    sha256_of(offer.image, &computed);
    assert_memory_equal(computed.b, offer.file_hash.b, 32);
    assert_int_equal(offer.image.len, 20075);
    /* The same identity as the recorded server's first request. */
    session.coap_id = 0x1001;
    session.coap_token = 0x50;
    reply_count = 0;
    assert_int_equal(session_offer(&session, crypto, &offer, now, &out), SW_OK);
    collect();
    assert_int_equal(reply_count, 1);
    assert_int_equal(replies[0].message.id, 0x1001);
    assert_int_equal(replies[0].message.token.data[0], 0x51);
    bool has_accepted = false, has_committed = false;
    uint32_t chunks = 0, ticket = 0;
    for (size_t i = at + 1; i < recording.count && ticket == 0; i++) {
        reply_count = 0;
        if (!recording.records[i].is_from_device) {
            /* Where the recorded server sent, ours may have a timer. */
            now.us = recording.records[i].at_ms * 1000;
            session_tick(&session, crypto, now, &out);
            collect();
        } else {
            (void)give(i);
        }
        for (size_t e = 0; e < event_count; e++) {
            if (events[e].kind == SESSION_EVENT_TRANSFER) {
                assert_int_not_equal(events[e].u.transfer.step, SESSION_TRANSFER_FAILED);
                has_accepted |= events[e].u.transfer.step == SESSION_TRANSFER_ACCEPTED;
                ticket = events[e].u.transfer.step == SESSION_TRANSFER_COMMIT ? events[e].ticket
                                                                              : ticket;
            }
        }
        for (size_t r = 0; r < reply_count; r++) {
            chunks += coap_path_is(&replies[r].message, 'C') ? 1 : 0;
            assert_int_not_equal(replies[r].message.type, COAP_RST);
            /* Nothing that would commit. */
            assert_false(replies[r].message.type == COAP_ACK && replies[r].message.id == 0x32);
        }
    }
    assert_true(has_accepted);
    assert_true(chunks >= 40);
    assert_int_not_equal(ticket, 0);
    reply_count = 0;
    session_confirm(&session, crypto, ticket, now, &out);
    collect();
    assert_int_equal(reply_count, 2);
    assert_sent(0, "60000032");
    assert_sent(1, "60000032");
    has_committed = events[0].u.transfer.step == SESSION_TRANSFER_COMMITTED;
    assert_true(has_committed);
}

static void recorded_legacy_update(void **state) {
    (void)state;
    static uint8_t image[IMAGE_MAX];
    bool ignored = false;
    size_t counted = 0, len = 0;
    size_t at = first_connection(&ignored, &ignored, &counted, &counted);
    struct dtls_session device = recording.device;
    static uint8_t recorded[64][1200];
    size_t recorded_len[64], count = 0;
    int64_t begun_ms = 0;
    for (size_t i = at; i < recording.count; i++) {
        uint8_t plain[1400];
        struct dtls_opened opened;
        if (!recording.records[i].is_from_device &&
            dtls_open(crypto, &device,
                      span_of(recording.records[i].bytes, recording.records[i].len), plain,
                      sizeof plain, &opened) == SW_OK &&
            opened.content.len > 4) {
            begun_ms = count == 0 ? recording.records[i].at_ms : begun_ms;
            memcpy(recorded[count], opened.content.data, opened.content.len);
            recorded_len[count++] = opened.content.len;
        }
    }
    /* UpdateBegin says how long it is; the chunks follow in order. */
    assert_int_equal(recorded[0][6], 'u');
    size_t bytes = (size_t)(recorded[0][13] << 8 | recorded[0][14]);
    for (size_t i = 1; i < count && recorded[i][6] == 'c'; i++) {
        memcpy(image + len, recorded[i] + 16, recorded_len[i] - 16);
        len += recorded_len[i] - 16;
    }
    assert_true(len >= bytes && bytes > 0);
    struct session_offer offer = {.image = span_of(image, bytes)};
    session.coap_id = 0x1001;
    session.coap_token = (uint8_t)(recorded[0][4] - 1);
    now.us = begun_ms * 1000;
    reply_count = 0;
    assert_int_equal(session_offer(&session, crypto, &offer, now, &out), SW_OK);
    collect();
    for (size_t i = at + 1; i < recording.count; i++) {
        now.us = recording.records[i].at_ms * 1000;
        session_tick(&session, crypto, now, &out);
        collect();
        if (recording.records[i].is_from_device) {
            (void)give(i);
        }
    }
    /* Byte for byte what that server sent, message ids of chunks and its second token apart. */
    size_t compared = 0;
    for (size_t r = 0; r < reply_count; r++) {
        if (replies[r].message.type == COAP_ACK) {
            continue;
        }
        assert_int_equal(replies[r].len, recorded_len[compared]);
        assert_int_equal(replies[r].bytes[0], recorded[compared][0]);
        assert_int_equal(replies[r].bytes[1], recorded[compared][1]);
        assert_memory_equal(replies[r].bytes + 5, recorded[compared] + 5, replies[r].len - 5);
        compared++;
    }
    assert_int_equal(compared, count);
}

static void recorded_resumption(void **state) {
    (void)state;
    bool ignored = false, has_resumed = false;
    size_t counted = 0;
    size_t at = first_connection(&ignored, &ignored, &counted, &counted);
    unsigned marked = 0;
    for (size_t i = at + 1; i < recording.count; i++) {
        if (recording.records[i].is_from_device) {
            marked += recording.records[i].bytes[0] == 0xfd ? 1 : 0;
            (void)give(i);
            for (size_t e = 0; e < event_count; e++) {
                has_resumed |= events[e].kind == SESSION_EVENT_RESUMED;
                assert_int_not_equal(events[e].kind, SESSION_EVENT_HELLO);
            }
            confirm_all();
        }
    }
    assert_true(marked > 0);
    assert_true(has_resumed);
}

int main(void) {
    static const char *v3 = "ota-v3.srv.log", *legacy = "ota-legacy.srv.log",
                      *resume = "resume-253.srv.log";
    const struct CMUnitTest tests[] = {
        {"recorded_first_connection", recorded_first_connection, setup, teardown, &v3},
        {"recorded_update", recorded_update, setup, teardown, &v3},
        {"recorded_legacy_update", recorded_legacy_update, setup, teardown, &legacy},
        {"recorded_resumption", recorded_resumption, setup, teardown, &resume},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
