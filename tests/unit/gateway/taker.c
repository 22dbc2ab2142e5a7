#include "taker.h"

#include "slipway/app/release.h"
#include "slipway/image/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ALERT_BYTES 2
#define BORON       13

void taker_say(struct taker *taker, struct rig *rig, const struct writer *w) {
    assert_false(w->failed);
    peer_say(&taker->peer, rig, span_of(w->data, w->at));
}

static void acknowledge(struct taker *taker, struct rig *rig, uint16_t id) {
    uint8_t bytes[8];
    struct writer w = writer_of(bytes, sizeof bytes);
    (void)coap_begin(&w, COAP_ACK, COAP_EMPTY, id, span_of(NULL, 0));
    taker_say(taker, rig, &w);
}

static void on_start(struct taker *taker, struct rig *rig, const struct coap_message *m) {
    uint8_t bytes[32];
    struct writer w = writer_of(bytes, sizeof bytes);
    if (taker->is_refusing) {
        acknowledge(taker, rig, m->id);
        uint8_t no[96];
        struct writer refusal = writer_of(no, sizeof no);
        struct coap_writer c =
            coap_begin(&refusal, COAP_CON, COAP_UNAVAILABLE, ++taker->id, m->token);
        coap_put_payload(&c, span_text("{\"code\":-1380,\"message\":\"x\"}"));
        taker_say(taker, rig, &refusal);
        return;
    }
    assert_true(coap_option_uint(m, COAP_FILE_SIZE, &taker->file_bytes));
    assert_true(coap_option_uint(m, COAP_CHUNK_SIZE, &taker->chunk_bytes));
    taker->count =
        (taker->file_bytes - taker->offset + taker->chunk_bytes - 1) / taker->chunk_bytes;
    taker->cumulative = 0;
    taker->since_ack = 0;
    taker->is_started = true;
    taker->starts++;
    acknowledge(taker, rig, m->id);
    struct coap_writer c = coap_begin(&w, COAP_CON, COAP_CREATED, ++taker->id, m->token);
    coap_put_uint(&c, COAP_WINDOW_SIZE, 131072 / taker->chunk_bytes);
    coap_put_uint(&c, COAP_FILE_SIZE, taker->offset);
    taker_say(taker, rig, &w);
}

static void on_chunk(struct taker *taker, struct rig *rig, const struct coap_message *m) {
    uint32_t index = 0;
    assert_true(taker->is_started && m->type == COAP_NON);
    assert_true(coap_option_uint(m, COAP_CHUNK_INDEX, &index));
    taker->bytes += m->payload.len;
    taker->cumulative = index == taker->cumulative + 1 ? index : taker->cumulative;
    if (taker->acknowledges_not || (++taker->since_ack < 2 && taker->cumulative < taker->count)) {
        return;
    }
    uint8_t bytes[32];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct coap_writer c = coap_begin(&w, COAP_NON, COAP_POST, ++taker->id, span_of(NULL, 0));
    coap_put(&c, COAP_URI_PATH, span_text("A"));
    coap_put_uint(&c, COAP_CHUNK_INDEX, taker->cumulative);
    taker->since_ack = 0;
    taker_say(taker, rig, &w);
}

static void on_finish(struct taker *taker, struct rig *rig, const struct coap_message *m) {
    struct span none;
    uint8_t bytes[64];
    struct writer w = writer_of(bytes, sizeof bytes);
    bool is_cancel = coap_option_at(m, COAP_CANCEL_UPDATE, 0, &none);
    acknowledge(taker, rig, m->id);
    struct coap_writer c = coap_begin(&w, COAP_CON, COAP_CHANGED, ++taker->id, m->token);
    if (is_cancel) {
        taker->cancels++;
        taker->discards += coap_option_at(m, COAP_DISCARD_DATA, 0, &none);
        taker->is_started = false;
    } else {
        taker->commit_id = taker->id;
        coap_put_payload(&c, span_text("{\"recv_chunks\":1}"));
    }
    taker_say(taker, rig, &w);
}

static void on_message(struct taker *taker, struct rig *rig, const struct coap_message *m,
                       struct span bytes) {
    if (m->type == COAP_ACK) {
        taker->is_committed |= taker->commit_id != 0 && m->id == taker->commit_id;
    } else if (taker->is_mute) {
        return;
    } else if (coap_path_is(m, 'S')) {
        on_start(taker, rig, m);
    } else if (coap_path_is(m, 'C')) {
        on_chunk(taker, rig, m);
    } else if (coap_path_is(m, 'F')) {
        on_finish(taker, rig, m);
    } else if (m->type == COAP_CON) {
        const char *why;
        memcpy(taker->last_bytes, bytes.data, bytes.len);
        assert_int_equal(coap_decode(span_of(taker->last_bytes, bytes.len), &taker->last, &why),
                         SW_OK);
        taker->last_count++;
        acknowledge(taker, rig, m->id);
    }
}

void takers_turn(struct taker *takers, size_t count, struct rig *rig) {
    for (bool is_busy = true; is_busy;) {
        is_busy = false;
        rig_pump(rig, STORE_TROUBLE_NONE);
        for (size_t n = 0; n < count; n++) {
            uint8_t bytes[1400];
            size_t len;
            uint64_t sequence;
            while (peer_hear(&takers[n].peer, rig, bytes, &len, &sequence)) {
                struct coap_message message;
                const char *why;
                if (len == ALERT_BYTES) {
                    continue; /* the session's end */
                }
                assert_int_equal(coap_decode(span_of(bytes, len), &message, &why), SW_OK);
                is_busy = true;
                on_message(&takers[n], rig, &message, span_of(bytes, len));
            }
        }
        if (!is_busy) {
            rig_forget(rig);
            for (size_t n = 0; n < count; n++) {
                takers[n].peer.seen = 0;
            }
        }
    }
}

void takers_run(struct taker *takers, size_t count, struct rig *rig, int64_t ms) {
    mono_time end = mono_add_ms(rig->now, ms);
    takers_turn(takers, count, rig);
    while (gateway_deadline(rig->gw).us <= end.us) {
        mono_time due = gateway_deadline(rig->gw);
        rig->now = due.us > rig->now.us ? due : rig->now;
        rig_pass(rig, 0);
        takers_turn(takers, count, rig);
    }
    rig->now = end;
}

void taker_say_updates(struct taker *taker, struct rig *rig, bool is_enabled) {
    uint8_t bytes[64];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct coap_writer c = coap_begin(&w, COAP_CON, COAP_POST, ++taker->id, span_of(NULL, 0));
    coap_put(&c, COAP_URI_PATH, span_text("E"));
    coap_put(&c, COAP_URI_PATH, span_text("particle/device/updates/enabled"));
    coap_put_payload(&c, span_text(is_enabled ? "true" : "false"));
    taker_say(taker, rig, &w);
}

void taker_open(struct taker *taker, struct rig *rig, unsigned number) {
    memset(taker, 0, sizeof *taker);
    peer_open(&taker->peer, rig, number);
    peer_connect(&taker->peer, rig);
    peer_hello(&taker->peer, rig, ++taker->id, &taker->peer.id);
    rig_pump(rig, STORE_TROUBLE_NONE);
    taker_say_updates(taker, rig, true);
    rig_pump(rig, STORE_TROUBLE_NONE);
}

void taker_close(struct taker *taker) {
    peer_close(&taker->peer);
}

/* --- the application's side --- */

struct release_bag {
    struct app_upload upload;
    struct app_file file;
    bool is_immediate;
};

static int run_check(struct app_tx *tx, void *arg) {
    struct release_bag *bag = arg;
    return app_upload_check(tx, &bag->upload, &bag->file);
}

static int run_release(struct app_tx *tx, void *arg) {
    struct release_bag *bag = arg;
    struct firmware firmware;
    struct app_release_result result;
    int code = app_upload(tx, &bag->upload, &bag->file, &firmware);
    const struct app_release request = {.product_id = bag->upload.product_id,
                                        .version = bag->upload.version,
                                        .product_default = APP_TRUE,
                                        .immediate = bag->is_immediate,
                                        .by = "tester"};
    return code == SW_OK ? app_release(tx, &request, &result) : code;
}

void rig_release(struct rig *rig, uint16_t version, size_t bytes, bool is_immediate) {
    uint8_t *body = calloc(1, bytes);
    uint8_t *file = calloc(1, bytes + 1024);
    assert_true(body != NULL && file != NULL);
    rng_fill(&rig->rng, body, bytes);
    const struct image_recipe recipe = {.platform_id = BORON,
                                        .function = MODULE_USER_PART,
                                        .index = 1,
                                        .module_version = 6,
                                        .product_id = BORON,
                                        .product_version = version,
                                        .body = span_of(body, bytes)};
    int len = image_write_module(&recipe, file, bytes + 1024);
    assert_true(len > 0);
    struct release_bag bag = {.upload = {.product_id = 101,
                                         .version = version,
                                         .title = "a title",
                                         .bytes = span_of(file, (size_t)len),
                                         .uploaded_by = "tester"},
                              .is_immediate = is_immediate};
    struct store *reader;
    struct fault fault = {0};
    assert_int_equal(app_reader_open(rig->app, &reader, &fault), SW_OK);
    assert_int_equal(app_read(rig->app, reader, run_check, &bag, NULL), SW_OK);
    app_reader_close(rig->app, reader);
    assert_int_equal(app_execute(rig->app, run_release, &bag, NULL), SW_OK);
    free(body);
    free(file);
}

struct update_bag {
    struct app_update_query query;
    struct update_list list;
};

static int run_update(struct app_tx *tx, void *arg) {
    struct update_bag *bag = arg;
    return app_update_list(tx, &bag->query, &bag->list);
}

void rig_update(struct rig *rig, const struct device_id *device, struct update *out) {
    struct update_bag bag = {.query = {.device = device, .state = -1, .max = 1}};
    struct store *reader;
    struct fault fault = {0};
    assert_int_equal(app_reader_open(rig->app, &reader, &fault), SW_OK);
    assert_int_equal(app_read(rig->app, reader, run_update, &bag, NULL), SW_OK);
    app_reader_close(rig->app, reader);
    assert_int_equal(bag.list.count, 1);
    *out = bag.list.items[0];
    free(bag.list.items);
}
