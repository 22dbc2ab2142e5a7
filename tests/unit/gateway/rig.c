#include "rig.h"

#include "gateway/gateway.h"

#include "slipway/app/device.h"
#include "slipway/app/event.h"
#include "slipway/store/fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct rig *the_rig; /* of the running test: done functions have no other way to it */

static wall_time wall_of(const struct rig *rig) {
    return (wall_time){.ms = 1800000000000 + rig->now.us / 1000};
}

static wall_time world_now(void *arg) {
    return wall_of(arg);
}

static void world_entropy(void *arg, void *out, size_t len) {
    struct rig *rig = arg;
    rng_fill(&rig->rng, out, len);
}

static void port_send(void *ctx, gateway_path path, const struct address *peer,
                      const struct outbox *box) {
    struct rig *rig = ctx;
    for (size_t n = 0; n < box->count; n++) {
        struct span bytes = outbox_datagram(box, n);
        assert_true(rig->sent_count < RIG_SENT_MAX && bytes.len <= sizeof rig->sent[0].bytes);
        struct rig_sent *sent = &rig->sent[rig->sent_count++];
        sent->to = *peer;
        sent->path = path;
        sent->len = (uint16_t)bytes.len;
        memcpy(sent->bytes, bytes.data, bytes.len);
    }
}

static void job_done(struct store_job *job, int code, const struct fault *fault) {
    (void)fault;
    assert_true(the_rig->done_count < sizeof the_rig->done / sizeof the_rig->done[0]);
    the_rig->done[the_rig->done_count++] = (struct rig_job){.job = job, .code = code};
}

static int port_submit(void *ctx, struct store_job *job) {
    struct rig *rig = ctx;
    if (rig->refuses) {
        return SW_E_FULL;
    }
    job->done = job_done;
    return app_submit_job(rig->app, job);
}

static int read_one(struct app_tx *tx, void *arg) {
    struct store_job *job = arg;
    return job->run(job, tx->store, tx->fault);
}

static int port_submit_read(void *ctx, struct store_job *job) {
    struct rig *rig = ctx;
    struct store *reader;
    struct fault fault = {0};
    assert_int_equal(app_reader_open(rig->app, &reader, &fault), SW_OK);
    int code = app_read(rig->app, reader, read_one, job, NULL);
    app_reader_close(rig->app, reader);
    job_done(job, code, NULL);
    return SW_OK;
}

static void port_reply(void *ctx, const struct gateway_reply *reply) {
    struct rig *rig = ctx;
    rig->reply = *reply;
    rig->replies++;
}

static void port_unmet(void *ctx, const struct address *peer, const char *why) {
    struct rig *rig = ctx;
    rig->unmet = *peer;
    rig->unmet_why = why;
}

static void rig_start(struct rig *rig) {
    const struct gateway_ports ports = {.ctx = rig,
                                        .send = port_send,
                                        .submit = port_submit,
                                        .submit_read = port_submit_read,
                                        .entropy = world_entropy,
                                        .reply = port_reply,
                                        .unmet = port_unmet};
    rig->gw = gateway_new(&rig->config, &ports, rig->now, wall_of(rig));
    assert_non_null(rig->gw);
    gateway_start(rig->gw, rig->now, wall_of(rig));
    rig_pump(rig, STORE_TROUBLE_NONE);
    assert_true(gateway_is_ready(rig->gw));
}

static int make_product(struct app_tx *tx, void *arg) {
    struct product product;
    const struct app_product_new request = {
        .name = "Buoys", .platform_id = 13, .quarantine = false};
    (void)arg;
    return app_product_create(tx, &request, &product);
}

const struct gateway_config rig_small = {
    .half_open_max = 8, .half_open_source_max = 4, .sessions_max = 64, .active_max = 64};

void rig_open(struct rig *rig, const struct gateway_config *config) {
    struct fault fault = {0};
    memset(rig, 0, sizeof *rig);
    the_rig = rig;
    rig->now.us = 1000000;
    rig->sent = calloc(RIG_SENT_MAX, sizeof *rig->sent);
    rng_seed(&rig->rng, 3);
    rig->key = crypto_key_generate();
    rig->config = *config;
    rig->config.key = rig->key;
    memset(rig->config.seal_key, 7, sizeof rig->config.seal_key);
    const struct app_options options = {.path = ":memory:",
                                        .seal_key = rig->config.seal_key,
                                        .now = world_now,
                                        .entropy = world_entropy,
                                        .world_arg = rig};
    assert_int_equal(app_open(&rig->app, &options, &fault), SW_OK);
    assert_int_equal(app_execute(rig->app, make_product, NULL, NULL), SW_OK);
    rig_start(rig);
}

void rig_close(struct rig *rig) {
    rig_pump(rig, STORE_TROUBLE_NONE);
    gateway_free(rig->gw);
    app_close(rig->app);
    crypto_key_free(rig->key);
    free(rig->sent);
}

void rig_pump(struct rig *rig, enum store_trouble trouble) {
    while (app_pump(rig->app, trouble) > 0 || rig->done_count > 0) {
        trouble = STORE_TROUBLE_NONE;
        for (size_t n = 0; n < rig->done_count; n++) {
            gateway_job_done(rig->gw, rig->done[n].job, rig->done[n].code, rig->now, wall_of(rig));
        }
        rig->done_count = 0;
        gateway_tick(rig->gw, rig->now, wall_of(rig));
    }
}

void rig_crash(struct rig *rig) {
    /* Jobs that were queued are lost with the process; the gateway's memory needs them back. */
    while (app_pump(rig->app, STORE_TROUBLE_COMMIT_FAILS) > 0 || rig->done_count > 0) {
        for (size_t n = 0; n < rig->done_count; n++) {
            gateway_job_done(rig->gw, rig->done[n].job, rig->done[n].code, rig->now, wall_of(rig));
        }
        rig->done_count = 0;
    }
    gateway_free(rig->gw);
    rig_start(rig);
}

void rig_pass(struct rig *rig, int64_t ms) {
    mono_time end = mono_add_ms(rig->now, ms);
    while (gateway_deadline(rig->gw).us <= end.us) {
        mono_time due = gateway_deadline(rig->gw);
        assert_true(due.us != rig->now.us || due.us <= rig->now.us);
        rig->now = due.us > rig->now.us ? due : rig->now;
        gateway_tick(rig->gw, rig->now, wall_of(rig));
        rig_pump(rig, STORE_TROUBLE_NONE);
    }
    rig->now = end;
}

void rig_forget(struct rig *rig) {
    rig->sent_count = 0;
}

static int list_events(struct app_tx *tx, void *arg) {
    const struct app_event_query query = {.max = 1000};
    return app_event_list(tx, &query, arg);
}

const struct seat *rig_seat(const struct rig *rig, const struct device_id *device) {
    return table_by_device(&rig->gw->table, device, NULL);
}

struct gateway_sizes rig_sizes(const struct rig *rig) {
    struct gateway_sizes out;
    gateway_sizes(rig->gw, &out);
    return out;
}

struct presence {
    const struct device_id *id;
    struct device device;
};

static int get_device(struct app_tx *tx, void *arg) {
    struct presence *out = arg;
    return store_device_get(tx->store, out->id, &out->device, tx->fault);
}

bool rig_is_online(struct rig *rig, const struct device_id *device) {
    struct presence presence = {.id = device};
    struct store *reader;
    struct fault fault = {0};
    assert_int_equal(app_reader_open(rig->app, &reader, &fault), SW_OK);
    assert_int_equal(app_read(rig->app, reader, get_device, &presence, NULL), SW_OK);
    app_reader_close(rig->app, reader);
    return presence.device.is_online;
}

bool rig_has_event(struct rig *rig, const char *name) {
    struct event_list list;
    struct store *reader;
    struct fault fault = {0};
    bool has = false;
    assert_int_equal(app_reader_open(rig->app, &reader, &fault), SW_OK);
    assert_int_equal(app_read(rig->app, reader, list_events, &list, NULL), SW_OK);
    app_reader_close(rig->app, reader);
    for (size_t n = 0; n < list.count; n++) {
        has = has || strcmp(list.items[n].name, name) == 0;
    }
    free(list.items);
    return has;
}

/* --- clients --- */

void peer_open(struct peer *client, struct rig *rig, unsigned number) {
    uint8_t scalar[32] = {[30] = (uint8_t)(number >> 8), [31] = (uint8_t)(number + 1), [5] = 9};
    struct crypto_key *key = crypto_key_from_scalar(scalar);
    const struct dtls_endpoint_config config = {
        .key = key, .pinned = crypto_key_point(rig->key), .cid_form = DTLS_CID_DRAFT05};
    peer_open_as(client, number, &config);
    client->key = key;
}

void peer_open_as(struct peer *client, unsigned number, const struct dtls_endpoint_config *config) {
    memset(client, 0, sizeof *client);
    client->endpoint = dtls_endpoint_new(config);
    assert_non_null(client->endpoint);
    client->address = (struct address){.ip = {[10] = 0xff,
                                              [11] = 0xff,
                                              [12] = 10,
                                              [14] = (uint8_t)(number >> 8),
                                              [15] = (uint8_t)number},
                                       .port = (uint16_t)(40000 + number % 20000)};
    memset(client->id.b, 0xe0, sizeof client->id.b);
    client->id.b[10] = (uint8_t)(number >> 8);
    client->id.b[11] = (uint8_t)number;
}

void peer_close(struct peer *client) {
    dtls_handshake_close(&client->hs);
    dtls_endpoint_free(client->endpoint);
    crypto_key_free(client->key);
}

void peer_datagram(struct peer *client, struct rig *rig, struct span bytes) {
    gateway_datagram(rig->gw, 1, &client->address, bytes, rig->now, wall_of(rig));
    gateway_tick(rig->gw, rig->now, wall_of(rig));
}

static void peer_send(struct peer *client, struct rig *rig, const struct outbox *box) {
    for (size_t n = 0; n < box->count; n++) {
        peer_datagram(client, rig, outbox_datagram(box, n));
    }
}

/* Gives the client what came for it; stops after `flights` answers of its own. */
static void peer_turn(struct peer *client, struct rig *rig, unsigned flights) {
    static uint8_t data[16384];
    struct outbox box;
    while (client->seen < rig->sent_count) {
        const struct rig_sent *sent = &rig->sent[client->seen];
        if (!address_equal(&sent->to, &client->address)) {
            client->seen++;
            continue;
        }
        if (flights == 0) {
            return;
        }
        client->seen++;
        struct dtls_step step = {0};
        outbox_init(&box, data, sizeof data);
        dtls_handshake_input(&client->hs, client->endpoint, span_of(sent->bytes, sent->len),
                             rig->now, &box, &step);
        if (step.event == DTLS_EVENT_ESTABLISHED) {
            client->is_established = true;
            dtls_handshake_session(&client->hs, &client->session);
        } else if (step.event == DTLS_EVENT_FAILED) {
            client->why = step.why;
        }
        flights -= box.count > 0;
        peer_send(client, rig, &box);
    }
}

static void peer_start(struct peer *client, struct rig *rig, unsigned flights) {
    uint8_t data[4096], entropy[DTLS_HANDSHAKE_ENTROPY];
    struct outbox box;
    outbox_init(&box, data, sizeof data);
    rng_fill(&rig->rng, entropy, sizeof entropy);
    client->seen = rig->sent_count;
    client->is_established = false;
    client->why = NULL;
    dtls_handshake_close(&client->hs);
    assert_int_equal(dtls_handshake_connect(&client->hs, client->endpoint, entropy, rig->now, &box),
                     SW_OK);
    peer_send(client, rig, &box);
    peer_turn(client, rig, flights);
}

void peer_begin(struct peer *client, struct rig *rig) {
    peer_start(client, rig, 1);
}

void peer_go(struct peer *client, struct rig *rig) {
    peer_turn(client, rig, 10);
}

void peer_connect(struct peer *client, struct rig *rig) {
    peer_start(client, rig, 10);
    assert_true(client->is_established);
}

void peer_say(struct peer *client, struct rig *rig, struct span message) {
    uint8_t record[1400];
    struct writer w = writer_of(record, sizeof record);
    assert_int_equal(dtls_seal(dtls_endpoint_crypto(client->endpoint), &client->session,
                               DTLS_APPLICATION_DATA, message, &w),
                     SW_OK);
    peer_datagram(client, rig, writer_span(&w));
}

void peer_hello(struct peer *client, struct rig *rig, uint16_t id, const struct device_id *device) {
    uint8_t hello[] = {0x40, 2,  0, 0,    0xb1, 0x68, 0xff, 0, 13,   0xff, 0xff, 0,    0xf6,
                       0,    13, 0, 12,   0,    0,    0,    0, 0,    0,    0,    0,    0,
                       0,    0,  0, 0x18, 0x38, 0x04, 0x80, 0, 0x17, 0x70, 0,    0x02, 0x00};
    hello[2] = (uint8_t)(id >> 8);
    hello[3] = (uint8_t)id;
    memcpy(hello + 17, device->b, DEVICE_ID_BYTES);
    if (client->chunk_bytes != 0) {
        hello[sizeof hello - 2] = (uint8_t)(client->chunk_bytes >> 8);
        hello[sizeof hello - 1] = (uint8_t)client->chunk_bytes;
    }
    peer_say(client, rig, span_of(hello, sizeof hello));
}

void peer_serve(struct peer *client, struct rig *rig, unsigned number) {
    peer_open(client, rig, number);
    peer_connect(client, rig);
    peer_hello(client, rig, 1, &client->id);
    rig_pump(rig, STORE_TROUBLE_NONE);
}

bool peer_hear(struct peer *client, struct rig *rig, uint8_t out[1400], size_t *len,
               uint64_t *sequence) {
    while (client->seen < rig->sent_count) {
        const struct rig_sent *sent = &rig->sent[client->seen++];
        struct dtls_opened opened;
        if (address_equal(&sent->to, &client->address) &&
            dtls_open(dtls_endpoint_crypto(client->endpoint), &client->session,
                      span_of(sent->bytes, sent->len), out, 1400, &opened) == SW_OK) {
            if (opened.content.data != out) {
                memmove(out, opened.content.data, opened.content.len);
            }
            *len = opened.content.len;
            *sequence = opened.sequence;
            return true;
        }
    }
    return false;
}

bool peer_is_acked(struct peer *client, struct rig *rig, uint16_t id) {
    uint8_t message[1400];
    size_t len;
    uint64_t sequence;
    const uint8_t ack[4] = {0x60, 0, (uint8_t)(id >> 8), (uint8_t)id};
    while (peer_hear(client, rig, message, &len, &sequence)) {
        if (len == sizeof ack && memcmp(message, ack, sizeof ack) == 0) {
            return true;
        }
    }
    return false;
}
