/* OTA goodput for each second of CPU: sessions, transfer machines, CoAP and sealing, with every
 * acknowledgement opened and understood, but no sockets; beside the bare loop that copies and seals
 * the same chunks, which is its limit. */
#include "slipway/coap/message.h"
#include "slipway/session/session.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SESSIONS    64
#define IMAGE_BYTES (512 * 1024)
#define ROUNDS      9
#define ACK_BYTES   64

struct peer {
    struct session session;
    struct session_work work;
    struct dtls_session device;
    size_t ack_count, next_ack;
    struct {
        uint8_t len;
        uint8_t bytes[ACK_BYTES];
    } * acks;
};

static struct peer peers[SESSIONS];
static struct dtls_crypto *crypto;
static uint8_t image[IMAGE_BYTES];
static struct session_out out;
static uint8_t box[64 * 1024];
static const struct address from = {.port = 5684};

static double cpu_s(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void expect(bool condition, const char *what) {
    if (!condition) {
        (void)fprintf(stderr, "bench_session_ota: %s\n", what);
        exit(1);
    }
}

static size_t seal(struct peer *p, struct span message, uint8_t *bytes, size_t cap) {
    struct writer w = writer_of(bytes, cap);
    expect(dtls_seal(crypto, &p->device, DTLS_APPLICATION_DATA, message, &w) == SW_OK, "seal");
    return w.at;
}

static void give(struct peer *p, const uint8_t *bytes, size_t len, mono_time now) {
    const char *why;
    expect(session_input(&p->session, crypto, &from, span_of(bytes, len), now, (wall_time){0}, &out,
                         &why) == SW_OK,
           "input");
}

static void say(struct peer *p, const void *message, size_t len, mono_time now) {
    uint8_t bytes[256];
    session_out_clear(&out);
    give(p, bytes, seal(p, span_of(message, len), bytes, sizeof bytes), now);
}

/* A session in the midst of its update, with all of the device's acknowledgements sealed. */
static void begin(struct peer *p, unsigned number, uint16_t chunk_bytes, mono_time now) {
    static const uint8_t hello[] = {0x40, 2,  0, 1, 0xb1, 'h', 0xff, 0, 13, 0, 1, 0,  0xf6, 0, 13,
                                    0,    12, 1, 2, 3,    4,   5,    6, 7,  8, 9, 10, 11,   12};
    struct dtls_session server = {.seq_out = 1,
                                  .seq_out_limit = DTLS_SEQUENCE_MAX,
                                  .seq_in_top = 1,
                                  .seq_in_window = 1,
                                  .seq_in_limit = DTLS_SEQUENCE_MAX,
                                  .cid_in = {1, 2, 3, 4, 5, 6, 7, (uint8_t)number},
                                  .cid_in_len = 8,
                                  .cid_form = DTLS_CID_DRAFT05,
                                  .is_server = 1,
                                  .suite = 0xc0ae,
                                  .epoch = 1};
    memset(server.key_in, (int)number + 1, 16);
    memset(server.key_out, (int)number + 1, 16);
    p->device = server;
    p->device.is_server = 0;
    p->device.cid_in_len = 0;
    p->device.cid_out_len = 8;
    memcpy(p->device.cid_out, server.cid_in, 8);
    session_init(&p->session, &server, &from, now);
    session_attach(&p->session, &p->work);
    say(p, hello, sizeof hello, now);
    expect(out.event_count == 1, "Hello");
    session_confirm(&p->session, crypto, out.events[0].ticket, now, &out);
    p->session.is_trusted = true;
    session_out_clear(&out);
    struct session_offer offer = {.image = span_of(image, sizeof image),
                                  .chunk_bytes = chunk_bytes};
    expect(session_offer(&p->session, crypto, &offer, now, &out) == SW_OK, "offer");
    uint16_t id = (uint16_t)(p->session.coap_id - 1);
    uint8_t ack[] = {0x60, 0, (uint8_t)(id >> 8), (uint8_t)id};
    uint8_t accepted[] = {0x41, 0x41, 0, 11, p->session.coap_token, 0xe2, 6, 0xf8, 0, 100, 0x40};
    say(p, ack, sizeof ack, now);
    p->ack_count = ((size_t)IMAGE_BYTES / chunk_bytes + 1) / 2;
    for (size_t i = 0; i < p->ack_count; i++) {
        uint8_t bytes[32];
        struct writer w = writer_of(bytes, sizeof bytes);
        struct coap_writer c =
            coap_begin(&w, COAP_NON, COAP_POST, (uint16_t)(100 + i), span_of(NULL, 0));
        coap_put(&c, COAP_URI_PATH, span_text("A"));
        coap_put_uint(&c, COAP_CHUNK_INDEX, (uint32_t)(2 * i + 2));
        /* Sealed out of order with what comes before them: their numbers are higher. */
        p->device.seq_out += i == 0 ? 10 : 0;
        p->acks[i].len = (uint8_t)seal(p, writer_span(&w), p->acks[i].bytes, ACK_BYTES);
    }
    p->next_ack = 0;
    p->device.seq_out = p->session.dtls.seq_in_top;
    say(p, accepted, sizeof accepted, now);
}

/* All transfers in turn: what the outbox holds goes "out", then as many acknowledgements come. */
static double run_sessions(uint16_t chunk_bytes, uint64_t *chunks) {
    static int64_t clock_us = 1000000;
    mono_time now = {.us = clock_us};
    for (unsigned i = 0; i < SESSIONS; i++) {
        begin(&peers[i], i, chunk_bytes, now);
    }
    double begun = cpu_s();
    for (bool is_busy = true; is_busy;) {
        is_busy = false;
        for (unsigned i = 0; i < SESSIONS; i++) {
            struct peer *p = &peers[i];
            for (unsigned n = 0; n < 16 && p->next_ack < p->ack_count; n++, p->next_ack++) {
                struct session_progress progress;
                (void)session_progress(&p->session, &progress);
                if (progress.chunks_sent < 2 * (p->next_ack + 1)) {
                    break;
                }
                now.us++;
                if (out.box.count > OUTBOX_ITEMS_MAX - 8) {
                    session_out_clear(&out); /* sent */
                }
                give(p, p->acks[p->next_ack].bytes, p->acks[p->next_ack].len, now);
                is_busy = true;
            }
            session_out_clear(&out);
            session_tick(&p->session, crypto, now, &out);
        }
    }
    double took = cpu_s() - begun;
    clock_us = now.us + 1000000;
    *chunks = 0;
    for (unsigned i = 0; i < SESSIONS; i++) {
        struct session_progress progress;
        expect(session_progress(&peers[i].session, &progress) && progress.state == OTA_FINISHING &&
                   progress.chunks_resent == 0,
               "not all chunks went through once");
        *chunks += progress.chunks_sent;
        (void)session_close(&peers[i].session);
    }
    return took;
}

static double run_seal(uint16_t chunk_bytes, uint64_t chunks) {
    struct dtls_session sessions[SESSIONS];
    uint8_t message[1200], sealed[1400];
    for (unsigned i = 0; i < SESSIONS; i++) {
        sessions[i] = peers[i].device;
        sessions[i].cid_out_len = 0;
        sessions[i].seq_out_limit = DTLS_SEQUENCE_MAX;
        memset(sessions[i].key_out, (int)i + 1, 16);
    }
    double begun = cpu_s();
    for (uint64_t n = 0; n < chunks; n++) {
        /* Runs of 32 to each, as the sessions above send them. */
        struct dtls_session *session = &sessions[n / 32 % SESSIONS];
        memcpy(message + 12, image + n % 512 * 512, chunk_bytes);
        struct writer w = writer_of(sealed, sizeof sealed);
        expect(dtls_seal(crypto, session, DTLS_APPLICATION_DATA,
                         span_of(message, 12U + chunk_bytes), &w) == SW_OK,
               "seal");
    }
    return cpu_s() - begun;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

int main(void) {
    static const uint16_t sizes[] = {512, 1024};
    crypto = dtls_crypto_new();
    expect(crypto != NULL, "no memory");
    outbox_init(&out.box, box, sizeof box);
    for (unsigned i = 0; i < SESSIONS; i++) {
        peers[i].acks = calloc(IMAGE_BYTES / 512, sizeof *peers[i].acks);
        expect(peers[i].acks != NULL, "no memory");
    }
    for (size_t i = 0; i < sizeof image; i++) {
        image[i] = (uint8_t)(i * 7);
    }
    (void)printf(
        "chunk  session+seal: us/chunk  MB/s of CPU   bare seal: us/chunk  MB/s   share\n");
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        double whole[ROUNDS], bare[ROUNDS];
        uint64_t chunks = 0;
        for (unsigned r = 0; r < ROUNDS; r++) {
            whole[r] = run_sessions(sizes[s], &chunks);
            bare[r] = run_seal(sizes[s], chunks);
        }
        qsort(whole, ROUNDS, sizeof whole[0], by_value);
        qsort(bare, ROUNDS, sizeof bare[0], by_value);
        double w = whole[ROUNDS / 2] / (double)chunks, b = bare[ROUNDS / 2] / (double)chunks;
        (void)printf("%5u  %22.3f  %11.0f   %19.3f  %4.0f   %3.0f %%\n", (unsigned)sizes[s],
                     w * 1e6, sizes[s] / w / 1e6, b * 1e6, sizes[s] / b / 1e6, 100 * b / w);
    }
    for (unsigned i = 0; i < SESSIONS; i++) {
        free(peers[i].acks);
    }
    dtls_crypto_free(crypto);
    return 0;
}
