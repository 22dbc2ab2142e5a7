#include "device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <zlib.h>

#include <cmocka.h>

static struct span borrow(const char *text) {
    return text == NULL ? span_of(NULL, 0) : span_text(text);
}

struct queued {
    size_t len;
    uint8_t bytes[256];
};

struct answers {
    size_t count;
    struct queued items[512];
};

static struct writer begin(struct answers *a) {
    assert_true(a->count < 512);
    return writer_of(a->items[a->count].bytes, sizeof a->items[0].bytes);
}

static void end(struct answers *a, const struct writer *w) {
    assert_false(w->failed);
    a->items[a->count++].len = w->at;
}

static void acknowledge(struct answers *a, uint16_t id) {
    struct writer w = begin(a);
    (void)coap_begin(&w, COAP_ACK, COAP_EMPTY, id, span_of(NULL, 0));
    end(a, &w);
}

static uint16_t respond(struct device *d, struct answers *a, uint8_t code, uint8_t token,
                        const char *json) {
    struct writer w = begin(a);
    uint16_t id = ++d->id;
    struct coap_writer c = coap_begin(&w, COAP_CON, code, id, span_of(&token, 1));
    coap_put_payload(&c, borrow(json));
    end(a, &w);
    return id;
}

static void on_start(struct device *d, struct answers *a, const struct coap_message *m) {
    struct span hash;
    assert_int_equal(m->type, COAP_CON);
    assert_int_equal(m->token.len, 1);
    assert_true(coap_option_uint(m, COAP_FILE_SIZE, &d->file_bytes));
    assert_true(coap_option_uint(m, COAP_CHUNK_SIZE, &d->chunk_bytes));
    assert_true(coap_option_at(m, COAP_FILE_SHA256, 0, &hash));
    assert_int_equal(hash.len, 32);
    assert_true(d->chunk_bytes >= 512 && d->chunk_bytes <= 1136 && d->chunk_bytes % 4 == 0);
    acknowledge(a, m->id);
    d->start_token = m->token.data[0];
    d->starts++;
    if (d->start_error != NULL) {
        (void)respond(d, a, COAP_UNAVAILABLE, d->start_token, d->start_error);
        return;
    }
    d->is_started = true;
    d->count = (d->file_bytes - d->offset + d->chunk_bytes - 1) / d->chunk_bytes;
    d->cumulative = 0;
    memset(d->has, 0, sizeof d->has);
    struct writer w = begin(a);
    struct coap_writer c =
        coap_begin(&w, COAP_CON, COAP_CREATED, ++d->id, span_of(&d->start_token, 1));
    coap_put_uint(&c, COAP_WINDOW_SIZE, 131072 / d->chunk_bytes);
    coap_put_uint(&c, COAP_FILE_SIZE, d->offset);
    end(a, &w);
}

static void send_ack(struct device *d, struct answers *a) {
    uint8_t bitmap[32] = {0};
    size_t len = 0;
    for (uint32_t i = d->cumulative + 1; i <= d->count; i++) {
        if (d->has[i]) {
            uint32_t bit = i - d->cumulative - 1;
            bitmap[bit / 8] |= (uint8_t)(1U << bit % 8);
            len = (bit / 32 + 1) * 4;
        }
    }
    d->since_ack = 0;
    if (rng_below(&d->rng, 100) < d->loss) {
        return;
    }
    struct writer w = begin(a);
    struct coap_writer c = coap_begin(&w, COAP_NON, COAP_POST, ++d->id, span_of(NULL, 0));
    coap_put(&c, COAP_URI_PATH, span_text("A"));
    coap_put_uint(&c, COAP_CHUNK_INDEX, d->cumulative);
    coap_put_payload(&c, span_of(bitmap, len));
    end(a, &w);
}

static void on_chunk(struct device *d, struct answers *a, const struct coap_message *m) {
    uint32_t index = 0;
    assert_true(d->is_started);
    assert_int_equal(m->type, COAP_NON);
    assert_int_equal(m->token.len, 0);
    assert_true(m->id >= SESSION_CHUNK_ID_FIRST);
    assert_true(coap_option_uint(m, COAP_CHUNK_INDEX, &index));
    assert_true(index >= 1 && index <= d->count);
    uint32_t at = d->offset + (index - 1) * d->chunk_bytes;
    uint32_t left = d->file_bytes - at;
    assert_int_equal(m->payload.len, left < d->chunk_bytes ? left : d->chunk_bytes);
    d->chunks++;
    if (rng_below(&d->rng, 100) < d->loss) {
        return;
    }
    bool had_gap = false, has_gap = false, was_there = d->has[index];
    for (uint32_t i = d->cumulative + 1; i <= d->count; i++) {
        had_gap |= d->has[i];
    }
    memcpy(d->image + at, m->payload.data, m->payload.len);
    d->has[index] = true;
    while (d->cumulative < d->count && d->has[d->cumulative + 1]) {
        d->cumulative++;
    }
    for (uint32_t i = d->cumulative + 1; i <= d->count; i++) {
        has_gap |= d->has[i];
    }
    if (++d->since_ack >= 2 || had_gap || has_gap || was_there || d->cumulative == d->count) {
        send_ack(d, a);
    }
}

static void on_finish(struct device *d, struct answers *a, const struct coap_message *m) {
    struct span none;
    assert_int_equal(m->type, COAP_CON);
    assert_int_equal(m->token.len, 1);
    acknowledge(a, m->id);
    d->finish_token = m->token.data[0];
    d->finishes++;
    if (coap_option_at(m, COAP_CANCEL_UPDATE, 0, &none)) {
        d->is_started = false;
        (void)respond(d, a, COAP_CHANGED, d->finish_token, NULL);
    } else if (d->finish_error != NULL) {
        (void)respond(d, a, COAP_UNAVAILABLE, d->finish_token, d->finish_error);
    } else {
        assert_int_equal(d->cumulative, d->count);
        d->is_finished = true;
        d->commit_id = respond(d, a, COAP_CHANGED, d->finish_token, "{\"recv_chunks\":40}");
    }
}

/* --- legacy: everything at fixed places, as the device reads it --- */

static uint32_t number_at(const uint8_t *at, size_t len) {
    uint32_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

/* No index: each is the next one. It is acknowledged, then answered. */
static void on_slow_chunk(struct device *d, struct answers *a, const struct peer_reply *r) {
    const uint8_t *b = r->bytes;
    assert_int_equal(r->message.type, COAP_CON);
    assert_int_equal(b[7], 0x44); /* CRC, four bytes */
    assert_int_equal(b[12], 0xff);
    assert_int_equal(r->len - 13, d->chunk_bytes);
    assert_int_equal(number_at(b + 8, 4), crc32(0, b + 13, (unsigned)(r->len - 13)));
    assert_true(d->slow_next < d->count);
    d->chunks++;
    if (rng_below(&d->rng, 100) < d->loss) {
        return;
    }
    acknowledge(a, r->message.id);
    bool is_damaged = d->legacy_forgets > 0;
    d->legacy_forgets -= is_damaged;
    if (!is_damaged) {
        memcpy(d->image + d->slow_next * d->chunk_bytes, b + 13, d->chunk_bytes);
        d->has[d->slow_next++] = true;
    }
    (void)respond(d, a, is_damaged ? COAP_BAD_REQUEST : COAP_CHANGED, b[4], NULL);
}

static void on_legacy(struct device *d, struct answers *a, const struct peer_reply *r) {
    const struct coap_message *m = &r->message;
    const uint8_t *b = r->bytes;
    assert_int_equal(b[0] & 0x0f, 1); /* a token of one byte, always */
    if (m->code == COAP_POST && b[6] == 'u') {
        assert_int_equal(b[7], 0xff);
        assert_true(r->len >= 20);
        assert_int_equal(b[8], 1);
        d->chunk_bytes = number_at(b + 9, 2);
        d->file_bytes = number_at(b + 11, 4);
        d->count = (d->file_bytes + d->chunk_bytes - 1) / d->chunk_bytes;
        d->is_started = true;
        acknowledge(a, m->id);
        struct writer w = begin(a);
        struct coap_writer c = coap_begin(&w, COAP_CON, COAP_CHANGED, ++d->id, span_of(&b[4], 1));
        coap_put_payload(&c, span_of(d->is_slow ? "\0" : "\x01", 1));
        end(a, &w);
        d->slow_next = 0;
    } else if (m->code == COAP_POST && b[6] == 'c' && d->is_slow) {
        on_slow_chunk(d, a, r);
    } else if (m->code == COAP_POST && b[6] == 'c') {
        assert_int_equal(m->type, COAP_NON);
        assert_int_equal(b[7], 0x44);  /* CRC, four bytes */
        assert_int_equal(b[12], 0x02); /* index, two bytes */
        assert_int_equal(b[15], 0xff);
        uint32_t index = number_at(b + 13, 2);
        assert_true(index < d->count);
        assert_int_equal(r->len - 16, d->chunk_bytes); /* the last one padded */
        assert_int_equal(number_at(b + 8, 4), crc32(0, b + 16, (unsigned)(r->len - 16)));
        d->chunks++;
        if (d->legacy_forgets > 0) {
            d->legacy_forgets--;
            return;
        }
        memcpy(d->image + index * d->chunk_bytes, b + 16, d->chunk_bytes);
        d->has[index] = true;
    } else if (m->code == COAP_PUT && b[6] == 'u') {
        uint8_t missing[80];
        size_t len = 0;
        for (uint32_t i = 0; i < d->count && len < sizeof missing; i++) {
            if (!d->has[i]) {
                missing[len++] = (uint8_t)(i >> 8);
                missing[len++] = (uint8_t)i;
            }
        }
        d->finishes++;
        struct writer w = begin(a);
        struct coap_writer c =
            coap_begin(&w, COAP_ACK, len == 0 ? COAP_CHANGED : COAP_BAD_REQUEST, m->id, m->token);
        if (len == 0) {
            d->is_finished = true;
            coap_put_payload(&c, borrow(d->finish_error == NULL ? "{\"r\":0}" : d->finish_error));
            end(a, &w);
            return;
        }
        end(a, &w);
        w = begin(a);
        c = coap_begin(&w, COAP_CON, COAP_GET, ++d->id, span_of(NULL, 0));
        coap_put(&c, COAP_URI_PATH, span_text("c"));
        coap_put_payload(&c, span_of(missing, len));
        end(a, &w);
    }
}

static void on_message(struct device *d, struct answers *a, const struct peer_reply *r) {
    const struct coap_message *m = &r->message;
    if (m->type == COAP_ACK) {
        d->is_applied |= d->is_finished && m->id == d->commit_id;
    } else if (d->is_legacy) {
        on_legacy(d, a, r);
    } else if (coap_path_is(m, 'S')) {
        on_start(d, a, m);
    } else if (coap_path_is(m, 'C')) {
        on_chunk(d, a, m);
    } else if (coap_path_is(m, 'F')) {
        on_finish(d, a, m);
    } else if (m->type == COAP_CON) {
        acknowledge(a, m->id);
    }
}

static void keep_events(const struct peer *p, struct device_log *log) {
    for (size_t i = 0; i < p->event_count && log->count < 64; i++) {
        log->events[log->count++] = p->events[i];
    }
}

static void answer(struct device *d, const struct peer *p, struct answers *a) {
    for (size_t i = 0; i < p->reply_count; i++) {
        on_message(d, a, &p->replies[i]);
    }
}

void device_answer(struct device *d, struct peer *p, struct device_log *log) {
    static struct answers now, later;
    now.count = 0;
    answer(d, p, &now);
    while (now.count > 0) {
        later.count = 0;
        for (size_t i = 0; i < now.count; i++) {
            peer_say_bytes(p, span_of(now.items[i].bytes, now.items[i].len));
            keep_events(p, log);
            answer(d, p, &later);
        }
        now = later;
    }
}

void device_run(struct device *d, struct peer *p, mono_time until, struct device_log *log) {
    for (unsigned steps = 0;; steps++) {
        mono_time next = session_deadline(&p->session);
        assert_true(steps < 100000);
        if (device_event(log, SESSION_TRANSFER_COMMIT) != NULL) {
            return;
        }
        if (next.us > until.us) {
            p->now = until.us > p->now.us ? until : p->now;
            return;
        }
        peer_tick_at(p, next.us > p->now.us ? next : p->now);
        keep_events(p, log);
        device_answer(d, p, log);
    }
}

const struct session_event *device_event(const struct device_log *log, enum session_transfer step) {
    for (size_t i = 0; i < log->count; i++) {
        if (log->events[i].kind == SESSION_EVENT_TRANSFER &&
            log->events[i].u.transfer.step == step) {
            return &log->events[i];
        }
    }
    return NULL;
}
