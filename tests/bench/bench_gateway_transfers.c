/* What one chunk costs the device door when few and when very many transfers run at once: the core
 * over the real store in memory, in virtual time, with devices that answer after a round trip. Only
 * the core is timed, and beside it the store.
 *
 *   bench_gateway_transfers [ROUND_TRIP_MS]     40 unless given */
#include "gateway_world/world.h"

#include "gateway/gateway.h"

#include "slipway/coap/message.h"
#include "slipway/sys/entropy.h"
#include "slipway/util/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE_BYTES 65536
#define CHUNK_BYTES 512
#define BATCH       64U /* datagrams before the core's turn, as the loop has it */
#define ANSWER_MAX  128
#define OUT_MAX     (64U << 20)
#define LIMIT_S     600

struct answer { /* on its way to the server */
    mono_time at;
    uint32_t device;
    uint16_t len;
    uint8_t bytes[ANSWER_MAX];
};

struct handset {
    struct dtls_session dtls;
    uint16_t id;
    uint32_t cumulative, since_ack, chunks;
    bool is_done;
};

struct bench {
    struct world world;
    struct dtls_crypto *crypto;
    int64_t round_trip_us;
    struct handset *handsets;
    uint32_t count, done;
    struct answer *answers; /* a ring: the round trip is the same for all */
    size_t cap, first, queued;
    uint8_t *out; /* what the core sent: device, length, bytes */
    size_t out_len;
    uint64_t chunks;
};

static struct address address_of(uint32_t n) {
    return (struct address){.ip = {[10] = 0xff,
                                   [11] = 0xff,
                                   [12] = 10,
                                   [13] = (uint8_t)(n >> 16),
                                   [14] = (uint8_t)(n >> 8),
                                   [15] = (uint8_t)n},
                            .port = 5684};
}

static struct device_id device_of(uint32_t n) {
    struct device_id id = {.b = {0xe0, 0x0f, 0xce, 0x68}};
    for (unsigned i = 0; i < 4; i++) {
        id.b[8 + i] = (uint8_t)(n >> (24 - 8 * i));
    }
    return id;
}

static void keep(void *ctx, const struct address *peer, struct span datagram) {
    struct bench *bench = ctx;
    uint32_t device = (uint32_t)(peer->ip[13] << 16 | peer->ip[14] << 8 | peer->ip[15]);
    uint32_t head[2] = {device, (uint32_t)datagram.len};
    SW_CHECK(bench->out_len + sizeof head + datagram.len <= OUT_MAX);
    memcpy(bench->out + bench->out_len, head, sizeof head);
    memcpy(bench->out + bench->out_len + sizeof head, datagram.data, datagram.len);
    bench->out_len += sizeof head + datagram.len;
}

/* --- devices --- */

static void say(struct bench *bench, uint32_t device, const struct writer *message) {
    SW_CHECK(bench->queued < bench->cap && !message->failed);
    struct answer *answer = &bench->answers[(bench->first + bench->queued++) % bench->cap];
    struct writer w = writer_of(answer->bytes, sizeof answer->bytes);
    answer->at = mono_add_us(bench->world.now, bench->round_trip_us);
    answer->device = device;
    SW_CHECK(dtls_seal(bench->crypto, &bench->handsets[device].dtls, DTLS_APPLICATION_DATA,
                       writer_span(message), &w) == SW_OK);
    answer->len = (uint16_t)w.at;
}

static void say_ack(struct bench *bench, uint32_t device, uint16_t id) {
    uint8_t bytes[8];
    struct writer w = writer_of(bytes, sizeof bytes);
    (void)coap_begin(&w, COAP_ACK, COAP_EMPTY, id, span_of(NULL, 0));
    say(bench, device, &w);
}

static void say_chunks(struct bench *bench, uint32_t device) {
    struct handset *h = &bench->handsets[device];
    uint8_t bytes[32];
    struct writer w = writer_of(bytes, sizeof bytes);
    h->since_ack = 0;
    struct coap_writer c = coap_begin(&w, COAP_NON, COAP_POST, ++h->id, span_of(NULL, 0));
    coap_put(&c, COAP_URI_PATH, span_text("A"));
    coap_put_uint(&c, COAP_CHUNK_INDEX, h->cumulative);
    say(bench, device, &w);
}

static void take_chunk(struct bench *bench, uint32_t device, uint32_t index) {
    struct handset *h = &bench->handsets[device];
    bench->chunks++;
    h->cumulative = index == h->cumulative + 1 ? index : h->cumulative;
    if (++h->since_ack >= 2 || h->cumulative == h->chunks) {
        say_chunks(bench, device);
    }
}

static void take(struct bench *bench, uint32_t device, struct span datagram) {
    static uint8_t plain[2048];
    struct handset *h = &bench->handsets[device];
    struct dtls_opened opened;
    struct coap_message m;
    const char *why;
    uint8_t bytes[64];
    uint32_t number = 0;
    struct writer w = writer_of(bytes, sizeof bytes);
    SW_CHECK(dtls_open(bench->crypto, &h->dtls, datagram, plain, sizeof plain, &opened) == SW_OK &&
             coap_decode(opened.content, &m, &why) == SW_OK);
    if (m.type == COAP_ACK) {
        return;
    }
    if (coap_path_is(&m, 'C')) {
        SW_CHECK(coap_option_uint(&m, COAP_CHUNK_INDEX, &number));
        take_chunk(bench, device, number);
        return;
    }
    say_ack(bench, device, m.id);
    if (coap_path_is(&m, 'S')) {
        SW_CHECK(coap_option_uint(&m, COAP_FILE_SIZE, &number));
        h->chunks = (number + CHUNK_BYTES - 1) / CHUNK_BYTES;
        struct coap_writer c = coap_begin(&w, COAP_CON, COAP_CREATED, ++h->id, m.token);
        coap_put_uint(&c, COAP_WINDOW_SIZE, 256);
        coap_put_uint(&c, COAP_FILE_SIZE, 0);
        say(bench, device, &w);
    } else if (coap_path_is(&m, 'F')) {
        struct coap_writer c = coap_begin(&w, COAP_CON, COAP_CHANGED, ++h->id, m.token);
        coap_put_payload(&c, span_text("{\"recv_chunks\":1}"));
        say(bench, device, &w);
        bench->done += !h->is_done;
        h->is_done = true;
    }
}

/* --- the server's turn --- */

static void run_devices(struct bench *bench) {
    for (size_t at = 0; at < bench->out_len;) {
        uint32_t head[2];
        memcpy(head, bench->out + at, sizeof head);
        take(bench, head[0], span_of(bench->out + at + sizeof head, head[1]));
        at += sizeof head + head[1];
    }
    /* An odd one is acknowledged when no other follows it. */
    for (size_t at = 0; at < bench->out_len;) {
        uint32_t head[2];
        memcpy(head, bench->out + at, sizeof head);
        if (bench->handsets[head[0]].since_ack > 0) {
            say_chunks(bench, head[0]);
        }
        at += sizeof head + head[1];
    }
    bench->out_len = 0;
}

static void run_store(struct bench *bench) {
    while (world_store(&bench->world)) {
        run_devices(bench);
    }
}

/* What is due now: a batch of datagrams, or the core's own timers. False: nothing is, ever. */
static bool step(struct bench *bench) {
    struct world *world = &bench->world;
    mono_time due = gateway_deadline(world->gw);
    if (bench->queued > 0) {
        due = mono_earlier(due, bench->answers[bench->first].at);
    }
    if (due.us == MONO_NEVER.us) {
        return false;
    }
    world->now = due.us > world->now.us ? due : world->now;
    int64_t begun = world_begin();
    for (unsigned n = 0; n < BATCH && bench->queued > 0 &&
                         mono_reached(world->now, bench->answers[bench->first].at);
         n++) {
        const struct answer *answer = &bench->answers[bench->first];
        struct address from = address_of(answer->device);
        gateway_datagram(world->gw, 0, &from, span_of(answer->bytes, answer->len), world->now,
                         world_wall(world));
        bench->first = (bench->first + 1) % bench->cap;
        bench->queued--;
    }
    world_end(world, begun);
    run_devices(bench);
    run_store(bench);
    return true;
}

/* --- beforehand --- */

/* The two ends of an association, as a handshake would have left them. */
static void make_session(struct bench *bench, uint32_t n, struct dtls_session *server) {
    struct dtls_session *device = &bench->handsets[n].dtls;
    *server = (struct dtls_session){.seq_out = 1,
                                    .seq_out_limit = 1,
                                    .seq_in_top = 1,
                                    .seq_in_window = 1,
                                    .seq_in_limit = 1,
                                    .cid_form = DTLS_CID_DRAFT05,
                                    .cid_in_len = DTLS_CID_BYTES,
                                    .is_server = 1,
                                    .suite = 0xc0ae,
                                    .epoch = 1};
    rng_fill(&bench->world.rng, server->key_in, 16);
    rng_fill(&bench->world.rng, server->key_out, 16);
    rng_fill(&bench->world.rng, server->cid_in, DTLS_CID_BYTES);
    *device = *server;
    device->is_server = 0;
    device->seq_out_limit = device->seq_in_limit = DTLS_SEQUENCE_MAX;
    memcpy(device->key_in, server->key_out, 16);
    memcpy(device->key_out, server->key_in, 16);
    memcpy(device->cid_out, server->cid_in, DTLS_CID_BYTES);
    device->cid_out_len = DTLS_CID_BYTES;
    device->cid_in_len = 0;
}

/* A device that said Hello in another process's time, and its session as that process stored it. */
static int run_device(struct app_tx *tx, struct bench *bench, uint32_t n) {
    uint8_t plain[SEALED_MAX], sealed[SEALED_MAX], nonce[SEAL_NONCE_BYTES];
    struct app_hello hello = {.id = device_of(n),
                              .product_version = 1,
                              .flags = 0xf6,
                              .platform_id = WORLD_PLATFORM,
                              .system_version = 6200,
                              .message_max = 1152,
                              .binary_max = 1536000,
                              .chunk_bytes = CHUNK_BYTES};
    struct app_plan plan;
    struct dtls_session dtls;
    struct session session;
    struct address peer = address_of(n);
    hello.proof.kind = APP_PROOF_RAW_KEY;
    hello.proof.u.key = *crypto_key_point(bench->world.key);
    int code = app_device_hello(tx, &hello, &plan);
    SW_CHECK(code != SW_OK || plan.verdict == APP_VERDICT_KNOWN);
    make_session(bench, n, &dtls);
    session_init(&session, &dtls, &peer, bench->world.now);
    session.device = hello.id;
    session.is_known = session.is_trusted = true;
    session.hello_flags = hello.flags;
    session.chunk_bytes = hello.chunk_bytes;
    struct writer w = writer_of(plain, sizeof plain);
    writer_u8(&w, KEEP_FORM);
    writer_u8(&w, 0);
    writer_u8(&w, APP_PROOF_RAW_KEY);
    writer_bytes(&w, span_of(hello.proof.u.key.b, P256_POINT_BYTES));
    if (code != SW_OK || session_encode(&session, NULL, &w) != SW_OK) {
        return code != SW_OK ? code : SW_E_STATE;
    }
    sys_entropy(nonce, sizeof nonce);
    int len = crypto_seal(bench->world.seal_key, nonce, span_of(dtls.cid_in, DTLS_CID_BYTES),
                          writer_span(&w), sealed, sizeof sealed);
    return len < 0 ? len
                   : app_session_save(tx, dtls.cid_in, &hello.id,
                                      span_of(sealed, w.at + SEAL_OVERHEAD));
}

static int make_devices(struct app_tx *tx, void *arg) {
    struct bench *bench = arg;
    int code = SW_OK;
    for (uint32_t n = 0; n < bench->count && code == SW_OK; n++) {
        code = run_device(tx, bench, n);
    }
    return code;
}

static void bench_open(struct bench *bench, uint32_t rate) {
    bench->cap = (size_t)bench->count * 64 + 1024;
    bench->handsets = calloc(bench->count, sizeof *bench->handsets);
    bench->answers = calloc(bench->cap, sizeof *bench->answers);
    bench->out = malloc(OUT_MAX);
    bench->crypto = dtls_crypto_new();
    SW_CHECK(bench->handsets != NULL && bench->answers != NULL && bench->out != NULL &&
             bench->crypto != NULL);
    bench->world.sent = keep;
    bench->world.ctx = bench;
    world_open(&bench->world, bench->count);
    world_execute(&bench->world, make_devices, bench);
    world_release(&bench->world, 2, IMAGE_BYTES, false);
    struct gateway_config config = {.transfers_max = bench->count, .rate_total_bytes_s = rate};
    world_start(&bench->world, &config);
}

static void bench_close(struct bench *bench) {
    world_close(&bench->world);
    dtls_crypto_free(bench->crypto);
    free(bench->handsets);
    free(bench->answers);
    free(bench->out);
}

static void run(uint32_t count, uint32_t rate, int64_t round_trip_us) {
    static struct bench bench;
    bench = (struct bench){.count = count, .round_trip_us = round_trip_us};
    bench_open(&bench, rate);
    struct world *world = &bench.world;
    world->core_ns = world->store_ns = 0;
    mono_time begun = world->now;
    for (uint32_t n = 0; n < count; n++) { /* every device wakes up */
        uint8_t ping[4];
        struct writer w = writer_of(ping, sizeof ping);
        bench.handsets[n].id = 1;
        (void)coap_begin(&w, COAP_CON, COAP_EMPTY, 1, span_of(NULL, 0));
        say(&bench, n, &w);
    }
    while (bench.done < count && mono_since_us(begun, world->now) < LIMIT_S * INT64_C(1000000) &&
           step(&bench)) {
    }
    double chunks = (double)bench.chunks;
    uint32_t least = 0;
    for (uint32_t n = 0; n < count; n++) {
        least += bench.handsets[n].chunks;
    }
    (void)printf("%8u  %10.1f  %8u  %9.2f  %9.2f  %11.1f  %7llu  %6llu\n", (unsigned)count,
                 rate / 1e6, (unsigned)bench.done, (double)world->core_ns / chunks / 1000,
                 (double)world->store_ns / chunks / 1000,
                 (double)mono_since_us(begun, world->now) / 1e6,
                 (unsigned long long)(bench.chunks - least),
                 (unsigned long long)gateway_counters(world->gw)->transfers_failed);
    bench_close(&bench);
}

int main(int argc, char **argv) {
    static const struct {
        uint32_t count, rate;
    } cases[] = {{100, 0}, {1000, 0}, {10000, 0}, {100, 20000000}, {10000, 20000000}};
    int64_t round_trip_us = (argc > 1 ? strtoll(argv[1], NULL, 10) : 40) * 1000;
    (void)printf("%lld ms away, images of %u KB, chunks of %u\n", (long long)round_trip_us / 1000,
                 IMAGE_BYTES / 1024, CHUNK_BYTES);
    (void)printf("parallel  limit MB/s      done   core us  store us  virtual sec    again  "
                 "failed\n                                      /chunk    /chunk\n");
    for (size_t n = 0; n < SW_COUNT(cases); n++) {
        run(cases[n].count, cases[n].rate, round_trip_us);
    }
    return 0;
}
