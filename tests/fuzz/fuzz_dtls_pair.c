/* An honest client and server, and a network that does what the input says: deliver, repeat, drop,
 * reorder, change a byte, inject, let time pass. Whatever it does, a side that is established
 * shares its keys with the other, the client never before the server, and nobody twice. */
#include "dtls/machine.h"
#include "fuzz.h"

#define QUEUE_MAX 24
#define KINDS     4 /* device, PSK, device of 3.0, standard client with a raw key */

struct datagram {
    bool to_server;
    size_t len;
    uint8_t bytes[1400];
};

struct side {
    struct dtls_endpoint *endpoint;
    struct dtls_handshake hs;
    bool is_running, is_up;
    struct dtls_session session;
};

static struct side sides[KINDS][2]; /* client and server */
static bool is_asked;               /* the PSK, and not yet answered */
static struct crypto_key *server_key, *client_key;
static struct datagram queue[QUEUE_MAX];
static size_t queued;
static uint8_t boxes[16384];

static void set_up(void) {
    static const uint8_t secret[DTLS_COOKIE_SECRET] = {1};
    server_key = crypto_key_generate();
    client_key = crypto_key_generate();
    struct dtls_endpoint_config server = {
        .is_server = true, .key = server_key, .accepts_psk = true};
    struct dtls_endpoint_config device = {
        .key = client_key, .pinned = crypto_key_point(server_key), .cid_form = DTLS_CID_DRAFT05};
    struct dtls_endpoint_config psk = {.psk_identity = span_text("x"),
                                       .psk_key = span_text("y"),
                                       .cid_form = DTLS_CID_RFC9146,
                                       .only_suite = 0xC0A8};
    sides[0][0].endpoint = dtls_endpoint_new(&device);
    sides[1][0].endpoint = dtls_endpoint_new(&psk);
    device.cid_form = DTLS_CID_NONE;
    sides[3][0].endpoint = dtls_endpoint_new(&device);
    device.is_device_os_30 = true;
    sides[2][0].endpoint = dtls_endpoint_new(&device);
    for (size_t i = 0; i < KINDS; i++) {
        sides[i][1].endpoint = dtls_endpoint_new(&server);
        SW_CHECK(sides[i][0].endpoint != NULL && sides[i][1].endpoint != NULL);
        dtls_endpoint_rotate_cookie(sides[i][1].endpoint, secret);
    }
}

static void push(bool to_server, struct span bytes) {
    if (queued < QUEUE_MAX && bytes.len <= sizeof queue[0].bytes) {
        queue[queued].to_server = to_server;
        queue[queued].len = bytes.len;
        memcpy(queue[queued].bytes, bytes.data, bytes.len);
        queued++;
    }
}

static void collect(bool to_server, struct outbox *box) {
    for (size_t i = 0; i < box->count; i++) {
        push(to_server, outbox_datagram(box, i));
    }
    outbox_clear(box);
}

static void note(struct side *side, const struct dtls_step *step) {
    if (step->event == DTLS_EVENT_ESTABLISHED) {
        SW_CHECK(!side->is_up);
        side->is_up = true;
        dtls_handshake_session(&side->hs, &side->session);
    }
}

static void deliver(struct side pair[2], const struct datagram *datagram, mono_time now) {
    static const struct address peer = {.port = 1};
    struct outbox box;
    struct dtls_step step = {.event = DTLS_EVENT_NONE};
    struct side *side = &pair[datagram->to_server];
    struct span bytes = span_of(datagram->bytes, datagram->len);
    struct dtls_sorted sorted;
    const char *why = NULL;
    outbox_init(&box, boxes, sizeof boxes);
    dtls_sort(bytes, &sorted);
    if (datagram->to_server && sorted.is_hello && !side->is_running) {
        if (dtls_server_hello(side->endpoint, &peer, bytes, &box, &why) == DTLS_HELLO_ACCEPT) {
            static const uint8_t cid[DTLS_CID_BYTES] = {9}, entropy[DTLS_HANDSHAKE_ENTROPY] = {8};
            side->is_running = dtls_handshake_accept(&side->hs, side->endpoint, bytes, cid, entropy,
                                                     now, &box, &step) == SW_OK;
        }
    } else if (side->is_running) {
        dtls_handshake_input(&side->hs, side->endpoint, bytes, now, &box, &step);
        SW_CHECK(step.consumed <= bytes.len);
        is_asked |= step.event == DTLS_EVENT_NEED_PSK;
        if (is_asked && datagram->len % 2 == 0) { /* else with the time */
            is_asked = false;
            dtls_handshake_psk(&side->hs, side->endpoint, span_text("y"), now, &box, &step);
        }
    }
    note(side, &step);
    collect(!datagram->to_server, &box);
}

static void let_time_pass(struct side pair[2], mono_time now) {
    for (size_t i = 0; i < 2; i++) {
        struct outbox box;
        struct dtls_step step;
        outbox_init(&box, boxes, sizeof boxes);
        dtls_handshake_timer(&pair[i].hs, pair[i].endpoint, now, &box, &step);
        note(&pair[i], &step);
        if (i == 1 && is_asked) {
            is_asked = false;
            dtls_handshake_psk(&pair[i].hs, pair[i].endpoint, span_text("y"), now, &box, &step);
            note(&pair[i], &step);
        }
        collect(i == 0, &box);
    }
}

static void act(struct side pair[2], uint8_t action, uint8_t argument, mono_time *now) {
    size_t which = queued == 0 ? 0 : argument % queued;
    if (action % 8 == 7) {
        *now = mono_add_ms(*now, 400);
        let_time_pass(pair, *now);
        return;
    }
    if (queued == 0) {
        return;
    }
    if (action % 8 < 3) {
        which = 0;
    }
    struct datagram datagram = queue[which];
    switch (action % 8) {
    case 4: /* change a byte and deliver; the original stays */
        datagram.bytes[(size_t)action * argument % datagram.len] ^= (uint8_t)(1 + argument);
        deliver(pair, &datagram, *now);
        return;
    case 5: /* repeat */
        deliver(pair, &datagram, *now);
        return;
    case 6: /* send it back where it came from, cut short */
        datagram.to_server = !datagram.to_server;
        datagram.len -= argument % datagram.len;
        deliver(pair, &datagram, *now);
        return;
    default: /* deliver, mostly in order; 3 out of order or not at all */
        memmove(&queue[which], &queue[which + 1], (queued - which - 1) * sizeof queue[0]);
        queued--;
        if (action != 3) {
            deliver(pair, &datagram, *now);
        }
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t entropy[DTLS_HANDSHAKE_ENTROPY] = {7};
    if (server_key == NULL) {
        set_up();
    }
    if (size < 1) {
        return 0;
    }
    struct side *pair = sides[data[0] % KINDS];
    struct outbox box;
    mono_time now = {.us = 1000};
    queued = 0;
    is_asked = false;
    for (size_t i = 0; i < 2; i++) {
        pair[i].is_up = false;
        pair[i].is_running = i == 0;
    }
    outbox_init(&box, boxes, sizeof boxes);
    SW_CHECK(dtls_handshake_connect(&pair[0].hs, pair[0].endpoint, entropy, now, &box) == SW_OK);
    collect(true, &box);
    for (size_t i = 1; i + 1 < size && i < 400; i += 2) {
        act(pair, data[i], data[i + 1], &now);
        SW_CHECK(!pair[0].is_up || pair[1].is_up);
        if (pair[0].is_up) {
            SW_CHECK(memcmp(pair[0].session.key_in, pair[1].session.key_out, 16) == 0 &&
                     memcmp(pair[0].session.key_out, pair[1].session.key_in, 16) == 0);
        }
    }
    dtls_handshake_close(&pair[0].hs);
    dtls_handshake_close(&pair[1].hs);
    return 0;
}
