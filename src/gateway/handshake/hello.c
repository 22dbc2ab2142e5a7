/* From the first datagram to a session. A ClientHello costs nothing but its answer until the cookie
 * has come back from the address; then one bounded piece of memory, until the handshake is over. It
 * stays for a while after that, to repeat our last flight for a peer that missed it. */
#include "gateway/gateway.h"

#include "slipway/util/check.h"

#include <string.h>

#define COOKIE_ROTATE_MS 300000
#define ALERT_REFUSED    "\x02\x31" /* fatal access_denied: known, and refused (RFC 5246 7.2.2) */

_Static_assert(APP_PSK_MAX <= DTLS_PSK_MAX, "every PSK of the store can be spoken");

static void hello_send(struct gateway *gw, gateway_path path, const struct address *peer) {
    if (gw->out.box.count > 0) {
        gw->counters.datagrams_out += gw->out.box.count;
        gw->ports.send(gw->ports.ctx, path, peer, &gw->out.box);
        outbox_clear(&gw->out.box);
    }
}

static void hello_unmet(struct gateway *gw, const struct address *peer, const char *why) {
    if (gw->ports.unmet != NULL) {
        gw->ports.unmet(gw->ports.ctx, peer, why);
    }
}

static void hello_failed(struct gateway *gw, struct half *half, const char *why) {
    gw->counters.handshakes_failed++;
    hello_unmet(gw, &half->peer, why);
    half_remove(&gw->halves, half);
}

void hello_rotate(struct gateway *gw) {
    uint8_t secret[DTLS_COOKIE_SECRET];
    gw->ports.entropy(gw->ports.ctx, secret, sizeof secret);
    dtls_endpoint_rotate_cookie(gw->endpoint, secret);
    crypto_wipe(secret, sizeof secret);
}

/* What the handshake proved, in the terms of the store. SW_E_INPUT: a certificate that tells no
 * device. */
static int hello_proof(const struct half *half, struct app_proof *out) {
    struct dtls_identity identity;
    dtls_handshake_identity(&half->hs, &identity);
    *out = (struct app_proof){.kind = 0};
    switch (identity.proof) {
    case DTLS_PROOF_NONE:
        break;
    case DTLS_PROOF_RAW_KEY:
        out->kind = APP_PROOF_RAW_KEY;
        out->u.key = *dtls_handshake_peer(&half->hs);
        return SW_OK;
    case DTLS_PROOF_PSK:
        *out = half->psk;
        return out->kind == APP_PROOF_PSK ? SW_OK : SW_E_INPUT;
    case DTLS_PROOF_CERTIFICATE:
        out->kind = APP_PROOF_CERTIFICATE;
        return app_proof_device(identity.name, &out->u.named.device);
    }
    return SW_E_INPUT;
}

/* A good certificate of somebody who is no device. */
static void hello_refuse(struct gateway *gw, const struct half *half, struct dtls_session *dtls) {
    uint8_t record[64];
    struct writer w = writer_of(record, sizeof record);
    uint8_t *room = outbox_begin(&gw->out.box, sizeof record);
    if (room != NULL &&
        dtls_seal(gw->crypto, dtls, DTLS_ALERT, span_of(ALERT_REFUSED, 2), &w) == SW_OK) {
        memcpy(room, record, w.at);
        outbox_commit(&gw->out.box, w.at);
        hello_send(gw, half->path, &half->peer);
    }
}

/* The handshake's own output first: what the device says next is an answer to it. */
static void hello_established(struct gateway *gw, struct half *half, struct span rest,
                              struct moment now) {
    struct dtls_session dtls;
    struct session session;
    struct address peer = half->peer;
    gateway_path path = half->path;
    struct app_proof proof;
    dtls_handshake_session(&half->hs, &dtls);
    if (hello_proof(half, &proof) != SW_OK) {
        hello_refuse(gw, half, &dtls);
        crypto_wipe(&dtls, sizeof dtls);
        hello_failed(gw, half, "the certificate names no device");
        return;
    }
    if (dtls.cid_in_len == 0) {
        /* Its records name no session; its row in the store is named by what they would have. */
        memcpy(dtls.cid_in, half->cid, sizeof dtls.cid_in);
    }
    session_init(&session, &dtls, &peer, now.mono);
    struct seat *seat = seat_open(gw, &session, &proof, path, now);
    crypto_wipe(&dtls, sizeof dtls);
    crypto_wipe(&session, sizeof session);
    if (seat == NULL) {
        hello_failed(gw, half, "no room for another session");
        return;
    }
    gw->counters.handshakes_done++;
    half_over(&gw->halves, half, now.mono);
    if (rest.len > 0) {
        seat_datagram(gw, seat, path, &peer, rest, now);
    }
}

/* The store is asked by a reader; until it answers the handshake waits, ten seconds at most. */
static void hello_ask(struct gateway *gw, struct half *half, struct span identity,
                      struct moment now) {
    struct gateway_job *job = job_new(JOB_PSK, 0);
    if (job != NULL) {
        SW_CHECK(identity.len <= sizeof job->u.psk.identity);
        job->u.psk.half = half->number;
        job->u.psk.serial = half->serial;
        job->u.psk.identity_len = (uint8_t)identity.len;
        if (identity.len > 0) {
            memcpy(job->u.psk.identity, identity.data, identity.len);
        }
    }
    if (job_submit_read(gw, job, now) != SW_OK) {
        gw->counters.dropped_busy++;
        hello_failed(gw, half, "the store is too busy to look up a key");
        return;
    }
    half_deadline(&gw->halves, half, dtls_handshake_deadline(&half->hs));
}

static void half_step(struct gateway *gw, struct half *half, const struct dtls_step *step,
                      struct span datagram, struct moment now) {
    hello_send(gw, half->path, &half->peer);
    switch (step->event) {
    case DTLS_EVENT_NONE:
        if (!half->is_established) {
            half_deadline(&gw->halves, half, dtls_handshake_deadline(&half->hs));
        }
        break;
    case DTLS_EVENT_ESTABLISHED:
        hello_established(gw, half,
                          step->consumed < datagram.len ? span_of(datagram.data + step->consumed,
                                                                  datagram.len - step->consumed)
                                                        : span_of(NULL, 0),
                          now);
        break;
    case DTLS_EVENT_NEED_PSK:
        hello_ask(gw, half, step->psk_identity, now);
        break;
    case DTLS_EVENT_FAILED:
        if (half->is_established) {
            half_remove(&gw->halves, half);
        } else {
            hello_failed(gw, half, step->why);
        }
        break;
    }
}

void hello_continue(struct gateway *gw, struct half *half, struct span bytes, struct moment now) {
    struct dtls_step step = {0};
    dtls_endpoint_tell_time(gw->endpoint, now.wall);
    dtls_handshake_input(&half->hs, gw->endpoint, bytes, now.mono, &gw->out.box, &step);
    half_step(gw, half, &step, bytes, now);
}

void hello_psk(struct gateway *gw, struct gateway_job *job, int code, struct moment now) {
    struct half *half = half_at(&gw->halves, job->u.psk.half);
    const struct app_psk *found = &job->u.psk.found;
    struct dtls_step step = {0};
    gw->counters.jobs_failed += code != SW_OK;
    if (half == NULL || half->serial != job->u.psk.serial || gw->is_draining) {
        return; /* it gave way, or began anew */
    }
    if (code == SW_OK && found->len > 0) {
        half->psk = (struct app_proof){.kind = APP_PROOF_PSK, .u.named.device = found->device};
        memcpy(half->psk.u.named.stamp, found->stamp, sizeof found->stamp);
    }
    session_out_clear(&gw->out);
    dtls_handshake_psk(&half->hs, gw->endpoint, span_of(found->key, code == SW_OK ? found->len : 0),
                       now.mono, &gw->out.box, &step);
    half_step(gw, half, &step, span_of(NULL, 0), now);
}

static void hello_accept(struct gateway *gw, gateway_path path, const struct address *from,
                         struct span bytes, struct moment now) {
    uint8_t cid[DTLS_CID_BYTES];
    uint8_t entropy[DTLS_HANDSHAKE_ENTROPY];
    unsigned evicted = 0;
    do {
        gw->ports.entropy(gw->ports.ctx, cid, sizeof cid);
    } while (table_by_cid(&gw->table, span_of(cid, sizeof cid)) != NULL ||
             half_by_cid(&gw->halves, span_of(cid, sizeof cid)) != NULL);
    struct half *half = half_add(&gw->halves, from, path, cid, now.mono, &evicted);
    gw->counters.handshakes_evicted += evicted;
    if (half == NULL) {
        gw->counters.dropped_busy++;
        return;
    }
    gw->ports.entropy(gw->ports.ctx, entropy, sizeof entropy);
    struct dtls_step step = {0};
    int status = dtls_handshake_accept(&half->hs, gw->endpoint, bytes, cid, entropy, now.mono,
                                       &gw->out.box, &step);
    crypto_wipe(entropy, sizeof entropy);
    if (status != SW_OK) {
        hello_send(gw, path, from);
        hello_failed(gw, half, step.why);
        return;
    }
    gw->counters.handshakes_started++;
    half_step(gw, half, &step, bytes, now);
}

bool hello_take(struct gateway *gw, const struct gateway_arrival *hello, struct moment now) {
    struct half *half = half_by_address(&gw->halves, &hello->from);
    const char *why = NULL;
    switch (dtls_server_hello(gw->endpoint, &hello->from, hello->bytes, &gw->out.box, &why)) {
    case DTLS_HELLO_DROP:
        gw->counters.dropped_hello++;
        return false;
    case DTLS_HELLO_REPLY:
        if (why == NULL) {
            gw->counters.hellos_cookie++;
        } else if (half_may_alert(&gw->halves, &hello->from, now.mono)) {
            gw->counters.hellos_refused++;
            hello_unmet(gw, &hello->from, why);
        } else {
            gw->counters.alerts_dropped++;
            outbox_clear(&gw->out.box);
        }
        hello_send(gw, hello->path, &hello->from);
        return false;
    case DTLS_HELLO_ACCEPT:
        break;
    }
    /* The same one again: our flight was lost. Another one: the peer has started anew, and only it
     * can, as the cookie proves the address. */
    if (half != NULL && dtls_handshake_is_repeat(&half->hs, hello->bytes)) {
        hello_continue(gw, half, hello->bytes, now);
        return false;
    }
    if (half != NULL) {
        half_remove(&gw->halves, half);
    }
    hello_accept(gw, hello->path, &hello->from, hello->bytes, now);
    return true;
}

/* Its Hello was confirmed: the device has our last flight. */
void hello_done(struct gateway *gw, const struct seat *seat) {
    struct half *half =
        half_by_cid(&gw->halves, span_of(seat->session.dtls.cid_in, DTLS_CID_BYTES));
    if (half != NULL && half->is_established) {
        half_remove(&gw->halves, half);
    }
}

void hello_tick(struct gateway *gw, struct moment now) {
    while (mono_reached(now.mono, heap_deadline(&gw->halves.heap))) {
        struct half *half = half_at(&gw->halves, heap_first(&gw->halves.heap));
        if (half->is_established) {
            half_remove(&gw->halves, half);
            continue;
        }
        struct dtls_step step = {0};
        dtls_handshake_timer(&half->hs, gw->endpoint, now.mono, &gw->out.box, &step);
        half_step(gw, half, &step, span_of(NULL, 0), now);
    }
    if (mono_reached(now.mono, gw->cookie_due)) {
        hello_rotate(gw);
        gw->cookie_due = mono_add_ms(now.mono, COOKIE_ROTATE_MS);
    }
}
