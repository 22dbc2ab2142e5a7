#include "peer.h"

#include "slipway/util/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint8_t cid[DTLS_CID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};

size_t peer_bytes(const char *hex, uint8_t *out, size_t cap) {
    size_t len = strlen(hex) / 2;
    assert_true(len <= cap);
    assert_int_equal(hex_decode(hex, strlen(hex), out, len), SW_OK);
    return len;
}

void peer_open(struct peer *p) {
    dtls_crypto_free(p->crypto);
    memset(p, 0, sizeof *p);
    p->crypto = dtls_crypto_new();
    assert_non_null(p->crypto);
    struct dtls_session server = {.seq_out = 1,
                                  .seq_out_limit = DTLS_SEQUENCE_MAX,
                                  .seq_in_top = 1,
                                  .seq_in_window = 1,
                                  .seq_in_limit = DTLS_SEQUENCE_MAX,
                                  .cid_in_len = DTLS_CID_BYTES,
                                  .cid_form = DTLS_CID_DRAFT05,
                                  .is_server = 1,
                                  .suite = 0xc0ae,
                                  .epoch = 1};
    memset(server.key_in, 0x11, sizeof server.key_in);
    memset(server.key_out, 0x22, sizeof server.key_out);
    memset(server.salt_in, 0x33, sizeof server.salt_in);
    memset(server.salt_out, 0x44, sizeof server.salt_out);
    memcpy(server.cid_in, cid, sizeof cid);
    p->device = server;
    p->device.is_server = 0;
    memcpy(p->device.key_in, server.key_out, 16);
    memcpy(p->device.key_out, server.key_in, 16);
    memcpy(p->device.salt_in, server.salt_out, 4);
    memcpy(p->device.salt_out, server.salt_in, 4);
    p->device.cid_in_len = 0;
    p->device.cid_out_len = DTLS_CID_BYTES;
    memcpy(p->device.cid_out, cid, sizeof cid);
    p->now = (mono_time){.us = 1000000};
    p->wall = (wall_time){.ms = INT64_C(1700000000) * 1000};
    p->from = (struct address){.ip = {[15] = 1}, .port = 4000};
    outbox_init(&p->out.box, p->box, sizeof p->box);
    session_init(&p->session, &server, &p->from, p->now);
    session_attach(&p->session, &p->work);
}

void peer_close(struct peer *p) {
    (void)session_close(&p->session);
    dtls_crypto_free(p->crypto);
    p->crypto = NULL;
}

static void grant(struct peer *p) {
    struct session_reserve want;
    while (!p->holds_reserves && session_reserve_due(&p->session, p->now, &want)) {
        p->reserves++;
        session_reserved(&p->session, &want, p->now);
    }
}

void peer_collect(struct peer *p) {
    p->event_count = p->out.event_count;
    memcpy(p->events, p->out.events, sizeof p->events);
    p->reply_count = 0;
    p->alert_count = 0;
    assert_true(p->out.box.count <= PEER_REPLIES_MAX);
    for (size_t i = 0; i < p->out.box.count; i++) {
        struct peer_reply *reply = &p->replies[p->reply_count];
        if (p->watch != NULL) {
            p->watch(outbox_datagram(&p->out.box, i));
        }
        struct dtls_session device = p->device;
        struct dtls_opened opened;
        const char *why;
        assert_int_equal(dtls_open(p->crypto, &device, outbox_datagram(&p->out.box, i),
                                   reply->bytes, sizeof reply->bytes, &opened),
                         SW_OK); /* a replay here would be a nonce used twice */
        p->device = device;
        if (opened.type == DTLS_ALERT) {
            assert_int_equal(opened.content.len, sizeof p->alert);
            memcpy(p->alert, opened.content.data, sizeof p->alert);
            p->alert_count++;
            continue;
        }
        assert_int_equal(opened.type, DTLS_APPLICATION_DATA);
        p->reply_count++;
        reply->len = opened.content.len;
        assert_true(reply->len <= DEVICE_MESSAGE_MAX);
        assert_int_equal(coap_decode(opened.content, &reply->message, &why), SW_OK);
        assert_int_not_equal(reply->message.type, COAP_RST);
    }
    session_out_clear(&p->out);
    grant(p);
}

struct span peer_seal(struct peer *p, struct span message, uint8_t *out, size_t cap) {
    struct writer w = writer_of(out, cap);
    assert_int_equal((p->is_moved ? dtls_seal_moved : dtls_seal)(
                         p->crypto, &p->device, DTLS_APPLICATION_DATA, message, &w),
                     SW_OK);
    return writer_span(&w);
}

int peer_give(struct peer *p, struct span datagram) {
    int status = session_input(&p->session, p->crypto, &p->from, datagram, p->now, p->wall, &p->out,
                               &p->why);
    if (status == SW_E_LIMIT && !p->holds_reserves) {
        grant(p);
        status = session_input(&p->session, p->crypto, &p->from, datagram, p->now, p->wall, &p->out,
                               &p->why);
    }
    peer_collect(p);
    return status;
}

void peer_say_bytes(struct peer *p, struct span message) {
    p->last_len = peer_seal(p, message, p->last, sizeof p->last).len;
    assert_int_equal(peer_give(p, span_of(p->last, p->last_len)), SW_OK);
}

void peer_say(struct peer *p, const char *hex) {
    uint8_t bytes[DTLS_RECORD_MAX];
    peer_say_bytes(p, span_of(bytes, peer_bytes(hex, bytes, sizeof bytes)));
}

void peer_tick_at(struct peer *p, mono_time now) {
    p->now = now;
    session_tick(&p->session, p->crypto, now, &p->out);
    peer_collect(p);
}

bool peer_is_idle(const struct peer *p, mono_time now) {
    return session_is_resting(&p->session) && session_trace_bytes(&p->session, now) == 0;
}

void peer_confirm(struct peer *p, uint32_t ticket) {
    session_confirm(&p->session, p->crypto, ticket, p->now, &p->out);
    peer_collect(p);
}

void peer_known(struct peer *p, uint16_t hello_flags) {
    uint8_t bytes[64];
    size_t len = peer_bytes("40020001b168" HELLO_HEX, bytes, sizeof bytes);
    bytes[7 + 4] = (uint8_t)(hello_flags >> 8);
    bytes[7 + 5] = (uint8_t)hello_flags;
    peer_say_bytes(p, span_of(bytes, len));
    peer_confirm(p, peer_event(p, SESSION_EVENT_HELLO)->ticket);
    assert_reply(p, "60000001");
    p->session.is_trusted = true;
}

struct peer the_peer;

int peer_fresh(void **state) {
    (void)state;
    peer_open(&the_peer);
    return 0;
}

int peer_greeted(void **state) {
    (void)peer_fresh(state);
    peer_known(&the_peer, 0xb6);
    return 0;
}

int peer_done(void **state) {
    (void)state;
    peer_close(&the_peer);
    return 0;
}

void assert_reply(const struct peer *p, const char *hex) {
    uint8_t bytes[DTLS_RECORD_MAX];
    size_t len = peer_bytes(hex, bytes, sizeof bytes);
    assert_int_equal(p->reply_count, 1);
    assert_int_equal(p->replies[0].len, len);
    assert_memory_equal(p->replies[0].bytes, bytes, len);
}

void assert_silence(const struct peer *p) {
    assert_int_equal(p->reply_count, 0);
}

bool peer_has_event(const struct peer *p, enum session_event_kind kind) {
    for (size_t i = 0; i < p->event_count; i++) {
        if (p->events[i].kind == kind) {
            return true;
        }
    }
    return false;
}

const struct session_event *peer_event(const struct peer *p, enum session_event_kind kind) {
    for (size_t i = 0; i < p->event_count; i++) {
        if (p->events[i].kind == kind) {
            return &p->events[i];
        }
    }
    fail_msg("no event of kind %d among %zu", (int)kind, p->event_count);
    return NULL;
}
