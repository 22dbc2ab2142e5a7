/* The part of a handshake that both roles share: records in, messages in order to the role's rule
 * for the present state, flights out, timers.
 *
 * Until Finished nothing is authenticated, so whatever is malformed or out of place below the level
 * of messages is dropped without a trace, as if it had been lost; only messages that arrive whole
 * and in their turn can end a handshake. */
#include "dtls/machine.h"

#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"

/* RFC 6347 section 4.2.4.1 starts at 1 s; a device starts at 3 s and gives up after 24. */
#define SERVER_TIMEOUT_MS 1000
#define SERVER_SENDS_MAX  6
#define CLIENT_TIMEOUT_MS 3000
#define CLIENT_SENDS_MAX  4
/* Repeating a flight because the peer repeated its own: at most this often. */
#define REPEAT_GAP_US 250000
/* After so many sends of a flight, big datagrams are suspected of not getting through. */
#define SENDS_BEFORE_SMALL 2
#define MTU_SMALL          508

_Static_assert(sizeof(struct machine) <= DTLS_HANDSHAKE_BYTES, "a machine fits its public size");
_Static_assert(_Alignof(struct machine) <= 16, "and its alignment");

#define TO(state) FSM_NEXT(STATE_##state)

/* name, what may follow, is it final, does it need a timer */
static const struct fsm_state states[STATE_COUNT] = {
    [STATE_IDLE] = {"idle",
                    TO(PEER_CERTIFICATE) | TO(PEER_KEY) | TO(PEER_FINISHED) | TO(SERVER_HELLO) |
                        TO(FAILED),
                    false, false},
    [STATE_PEER_CERTIFICATE] = {"peer_certificate", TO(PEER_KEY) | TO(FAILED), false, true},
    [STATE_PEER_KEY] = {"peer_key", TO(LOOKUP) | TO(PEER_VERIFY) | TO(FAILED), false, true},
    [STATE_LOOKUP] = {"lookup", TO(PEER_FINISHED) | TO(FAILED), false, true},
    [STATE_PEER_VERIFY] = {"peer_verify", TO(PEER_FINISHED) | TO(FAILED), false, true},
    [STATE_PEER_FINISHED] = {"peer_finished", TO(ESTABLISHED) | TO(FAILED), false, true},
    [STATE_SERVER_HELLO] = {"server_hello",
                            TO(SERVER_HELLO) | TO(SERVER_CERTIFICATE) | TO(SERVER_HINT) |
                                TO(SERVER_KEY) | TO(PEER_FINISHED) | TO(FAILED),
                            false, true},
    [STATE_SERVER_CERTIFICATE] = {"server_certificate", TO(SERVER_KEY) | TO(FAILED), false, true},
    [STATE_SERVER_HINT] = {"server_hint", TO(SERVER_DONE) | TO(PEER_FINISHED) | TO(FAILED), false,
                           true},
    [STATE_SERVER_KEY] = {"server_key", TO(SERVER_REQUEST) | TO(SERVER_DONE) | TO(FAILED), false,
                          true},
    [STATE_SERVER_REQUEST] = {"server_request", TO(SERVER_DONE) | TO(PEER_FINISHED) | TO(FAILED),
                              false, true},
    [STATE_SERVER_DONE] = {"server_done", TO(PEER_FINISHED) | TO(FAILED), false, true},
    [STATE_ESTABLISHED] = {"established", 0, true, false},
    [STATE_FAILED] = {"failed", 0, true, false},
};

const struct fsm handshake_fsm = {.name = "handshake", .states = states, .count = STATE_COUNT};

void machine_move(struct machine *m, enum state to) {
    fsm_check(&handshake_fsm, m->state, to);
    m->state = to;
}

static bool is_over(const struct machine *m) {
    return handshake_fsm.states[m->state].is_final;
}

static void send_alert(struct turn *t, uint8_t alert) {
    struct machine *m = t->m;
    uint8_t body[ALERT_BYTES] = {ALERT_FATAL, alert};
    uint8_t *place = outbox_begin(t->out, t->endpoint->config.mtu);
    if (place == NULL) {
        return;
    }
    struct writer w = writer_of(place, t->endpoint->config.mtu);
    if (m->is_protecting) {
        if (dtls_seal(t->endpoint->crypto, &m->session, DTLS_ALERT, span_of(body, ALERT_BYTES),
                      &w) != SW_OK) {
            return;
        }
    } else {
        record_header(&w, DTLS_ALERT, DTLS_VERSION_12, m->plain_seq++, ALERT_BYTES);
        writer_bytes(&w, span_of(body, ALERT_BYTES));
    }
    outbox_commit(t->out, w.at);
}

static void end_failed(struct turn *t, const char *why) {
    machine_move(t->m, STATE_FAILED);
    t->m->deadline = MONO_NEVER;
    t->step->event = DTLS_EVENT_FAILED;
    t->step->why = why;
}

int machine_fail(struct turn *t, uint8_t alert, const char *why) {
    send_alert(t, alert);
    end_failed(t, why);
    return SW_E_INPUT;
}

static void send_last_again(struct turn *t) {
    struct machine *m = t->m;
    uint8_t *place = m->last_len == 0 ? NULL : outbox_begin(t->out, m->last_len);
    if (place != NULL) {
        memcpy(place, m->last, m->last_len);
        outbox_commit(t->out, m->last_len);
        m->sent_at = t->now;
    }
}

static void transmit(struct turn *t) {
    struct machine *m = t->m;
    size_t mtu = t->endpoint->config.mtu;
    if (m->sends > SENDS_BEFORE_SMALL && mtu > MTU_SMALL) {
        mtu = MTU_SMALL; /* RFC 6347 section 4.1.1.1 */
    }
    struct flight_way way = {.crypto = t->endpoint->crypto,
                             .session = &m->session,
                             .plain_seq = &m->plain_seq,
                             .mtu = mtu};
    flight_send(&m->flight, &way, t->out);
    m->sent_at = t->now;
}

void machine_send(struct turn *t) {
    struct machine *m = t->m;
    m->sends = 1;
    m->timeout_ms = m->is_server ? SERVER_TIMEOUT_MS : CLIENT_TIMEOUT_MS;
    m->peer_flight = (uint16_t)(m->in.next + 1);
    transmit(t);
    m->deadline = mono_add_ms(t->now, m->timeout_ms);
}

void machine_send_last(struct turn *t) {
    struct machine *m = t->m;
    struct outbox box;
    outbox_init(&box, m->last, sizeof m->last);
    struct flight_way way = {.crypto = t->endpoint->crypto,
                             .session = &m->session,
                             .plain_seq = &m->plain_seq,
                             .mtu = sizeof m->last};
    flight_send(&m->flight, &way, &box);
    SW_CHECK(box.count == 1);
    m->last_len = (uint8_t)box.used;
    m->peer_flight = (uint16_t)(m->in.next + 1);
    send_last_again(t);
}

void machine_establish(struct turn *t) {
    struct machine *m = t->m;
    machine_move(m, STATE_ESTABLISHED);
    m->deadline = MONO_NEVER;
    /* The name was copied: what stays for a while, to repeat a flight, holds no key objects. */
    crypto_certified_free(m->certified);
    m->certified = NULL;
    t->step->event = DTLS_EVENT_ESTABLISHED;
}

struct writer machine_message(struct turn *t, uint8_t type) {
    return flight_begin(&t->m->flight, type, t->m->message_seq);
}

int machine_message_end(struct turn *t, struct writer *w) {
    t->m->message_seq++;
    return flight_end(&t->m->flight, w, w->data[0] == MESSAGE_FINISHED, &t->m->transcript);
}

int machine_finish_flight(struct turn *t) {
    struct machine *m = t->m;
    flight_change_cipher(&m->flight);
    struct sha256_state state = m->transcript;
    struct sha256 digest;
    sha256_final(&state, &digest);
    uint8_t verify[FINISHED_BYTES];
    keys_finished(m, m->is_server, &digest, verify);
    struct writer w = machine_message(t, MESSAGE_FINISHED);
    writer_bytes(&w, span_of(verify, sizeof verify));
    m->is_protecting = true;
    return machine_message_end(t, &w);
}

int machine_check_finished(struct turn *t, struct span body) {
    uint8_t want[FINISHED_BYTES];
    keys_finished(t->m, !t->m->is_server, &t->m->transcript_before, want);
    if (body.len != FINISHED_BYTES) {
        return machine_fail(t, ALERT_DECODE_ERROR, "Finished of a wrong length");
    }
    if (!crypto_equal(want, body.data, FINISHED_BYTES)) {
        return machine_fail(t, ALERT_DECRYPT_ERROR, "Finished does not match the transcript");
    }
    return SW_OK;
}

static const struct message_rule *find_rule(const struct machine *m, uint8_t type,
                                            bool is_protected) {
    const struct message_rule *rules = m->is_server ? server_rules : client_rules;
    size_t count = m->is_server ? server_rule_count : client_rule_count;
    for (size_t i = 0; i < count; i++) {
        if (rules[i].state == m->state && rules[i].type == type &&
            rules[i].is_protected == is_protected) {
            return &rules[i];
        }
    }
    return NULL;
}

/* A whole message in its turn. */
static void handle_message(struct turn *t, uint8_t type, struct span body, bool is_protected) {
    struct machine *m = t->m;
    const struct message_rule *rule = find_rule(m, type, is_protected);
    if (rule == NULL) {
        (void)machine_fail(t, ALERT_UNEXPECTED_MESSAGE, "message out of its turn");
        return;
    }
    if (type == MESSAGE_FINISHED || type == MESSAGE_CERTIFICATE_VERIFY) {
        struct sha256_state state = m->transcript;
        sha256_final(&state, &m->transcript_before);
    }
    if (type != MESSAGE_HELLO_VERIFY_REQUEST) { /* RFC 6347 section 4.2.1: not part of it */
        uint8_t header[MESSAGE_HEADER_BYTES];
        message_header(header, type, m->in.next, body.len);
        sha256_update(&m->transcript, span_of(header, sizeof header));
        sha256_update(&m->transcript, body);
    }
    (void)rule->handle(t, body);
    reassembly_taken(&m->in);
}

/* Our last flight again, because the peer shows that it did not get it. */
static void repeat_flight(struct turn *t) {
    struct machine *m = t->m;
    if (mono_since_us(m->sent_at, t->now) < REPEAT_GAP_US) {
        return;
    }
    if (m->state == STATE_ESTABLISHED) {
        send_last_again(t);
    } else if (!is_over(m)) {
        transmit(t);
    }
}

/* Plain handshake messages have no place while Finished is due, which only comes protected. */
static bool takes_plain(const struct machine *m) {
    return !is_over(m) && m->state != STATE_LOOKUP && m->state != STATE_PEER_FINISHED;
}

static void deliver_ready(struct turn *t) {
    uint8_t type;
    struct span body;
    while (takes_plain(t->m) && reassembly_peek(&t->m->in, &type, &body)) {
        handle_message(t, type, body, false);
    }
}

static void take_fragment(struct turn *t, const struct fragment *fragment) {
    struct machine *m = t->m;
    if (fragment->type == MESSAGE_HELLO_REQUEST && !m->is_server) {
        return; /* RFC 5246 section 7.4.1.1: of no interest to who is negotiating already */
    }
    /* A whole message needs nothing of what may have come of it, true or not. */
    if (takes_plain(m) && fragment->message_seq == m->in.next &&
        fragment->bytes.len == fragment->message_len) {
        handle_message(t, fragment->type, fragment->bytes, false);
        return;
    }
    if (fragment->message_seq < m->in.next || m->state == STATE_PEER_FINISHED || is_over(m)) {
        if (fragment->message_seq < m->peer_flight) {
            repeat_flight(t);
        }
        return;
    }
    if (reassembly_add(&m->in, fragment) == REASSEMBLY_TOO_LARGE) {
        (void)machine_fail(t, ALERT_ILLEGAL_PARAMETER, "message too large");
    }
}

static void take_plain(struct turn *t, struct span content) {
    struct reader r = reader_of(content);
    struct fragment fragment;
    while (t->m->state != STATE_FAILED && reader_left(&r) > 0 && fragment_read(&r, &fragment)) {
        take_fragment(t, &fragment);
        deliver_ready(t);
    }
}

static void take_alert(struct turn *t, struct span content) {
    struct machine *m = t->m;
    if (content.len != ALERT_BYTES || is_over(m)) {
        return;
    }
    if (content.data[0] == ALERT_FATAL || content.data[1] == ALERT_CLOSE_NOTIFY) {
        end_failed(t, alert_text(content.data[1]));
    }
}

/* The first protected record does not open: with PSK suites that is how a wrong key shows, and RFC
 * 4279 section 2 wants it told. Elsewhere both sides have proved their keys by then, so it is
 * noise. */
static void take_unopened(struct turn *t, struct span record) {
    struct machine *m = t->m;
    bool is_handshake = record.data[0] == DTLS_HANDSHAKE || record.data[0] == DTLS_CID;
    if (m->suite->exchange != KX_ECDHE_ECDSA && is_handshake && m->session.seq_in_top == 0) {
        (void)machine_fail(t, ALERT_DECRYPT_ERROR, "the PSKs differ");
    }
}

/* The peer's Finished, or an alert in its stead; opened here because the session is still ours. */
static void take_protected(struct turn *t, struct span record) {
    struct machine *m = t->m;
    uint8_t plain[EARLY_BYTES];
    struct dtls_opened opened;
    if (record.len > sizeof plain) {
        return;
    }
    int status = dtls_open(t->endpoint->crypto, &m->session, record, plain, sizeof plain, &opened);
    if (status == SW_E_AUTH) {
        take_unopened(t, record);
        return;
    }
    if (status != SW_OK) {
        return;
    }
    if (opened.type == DTLS_ALERT) {
        take_alert(t, opened.content);
    } else if (opened.type == DTLS_HANDSHAKE) {
        struct reader r = reader_of(opened.content);
        struct fragment fragment;
        if (fragment_read(&r, &fragment) && reader_left(&r) == 0 &&
            fragment.message_seq == m->in.next && fragment.bytes.len == fragment.message_len) {
            handle_message(t, fragment.type, fragment.bytes, true);
        }
    }
    crypto_wipe(plain, sizeof plain);
}

static bool takes_protected(const struct machine *m) {
    return m->state == STATE_PEER_FINISHED && m->saw_change_cipher;
}

/* Handles whatever was held back for a state that now is: buffered messages, an early record. */
static void machine_resume(struct turn *t) {
    struct machine *m = t->m;
    deliver_ready(t);
    if (takes_protected(m) && m->early_len > 0) {
        size_t len = m->early_len;
        m->early_len = 0;
        take_protected(t, span_of(m->early, len));
    }
}

/* Finished is the first of its epoch: whatever else came early makes way for a smaller number. */
static void hold_early(struct machine *m, const struct record *record, struct span whole) {
    struct record held;
    bool is_free =
        m->early_len == 0 ||
        record_parse(span_of(m->early, m->early_len), m->session.cid_in_len, &held) != SW_OK ||
        record->sequence < held.sequence;
    if (!is_over(m) && is_free && whole.len <= sizeof m->early) {
        memcpy(m->early, whole.data, whole.len);
        m->early_len = (uint8_t)whole.len;
    }
}

static void take_record(struct turn *t, const struct record *record, struct span whole) {
    struct machine *m = t->m;
    if (record->epoch == 1) {
        if (takes_protected(m)) {
            take_protected(t, whole);
        } else {
            hold_early(m, record, whole);
        }
        return;
    }
    if (record->epoch != 0 || record->version >> 8 != DTLS_VERSION_12 >> 8) {
        return;
    }
    if (record->type == DTLS_HANDSHAKE) {
        take_plain(t, record->fragment);
    } else if (record->type == DTLS_ALERT) {
        take_alert(t, record->fragment);
    } else if (record->type == DTLS_CHANGE_CIPHER_SPEC && record->fragment.len == 1 &&
               record->fragment.data[0] == 1) {
        m->saw_change_cipher = true;
        if (m->state == STATE_ESTABLISHED) {
            repeat_flight(t); /* it stands before the Finished that we cannot open any more */
        }
    }
}

static struct machine *machine_of(struct dtls_handshake *hs) {
    return (struct machine *)(void *)hs->opaque;
}

static const struct machine *machine_of_const(const struct dtls_handshake *hs) {
    return (const struct machine *)(const void *)hs->opaque;
}

void dtls_handshake_input(struct dtls_handshake *hs, struct dtls_endpoint *endpoint,
                          struct span datagram, mono_time now, struct outbox *out,
                          struct dtls_step *step) {
    struct machine *m = machine_of(hs);
    struct turn turn = {.m = m, .endpoint = endpoint, .now = now, .out = out, .step = step};
    *step = (struct dtls_step){.event = DTLS_EVENT_NONE};
    while (step->consumed < datagram.len && m->state != STATE_FAILED && m->state != STATE_IDLE &&
           step->event != DTLS_EVENT_ESTABLISHED) {
        struct span rest = span_of(datagram.data + step->consumed, datagram.len - step->consumed);
        struct record record;
        if (record_parse(rest, m->session.cid_in_len, &record) != SW_OK) {
            break;
        }
        take_record(&turn, &record, span_of(rest.data, record.consumed));
        machine_resume(&turn);
        step->consumed += record.consumed;
    }
    if (step->event != DTLS_EVENT_ESTABLISHED) {
        step->consumed = datagram.len;
    }
}

void dtls_handshake_timer(struct dtls_handshake *hs, struct dtls_endpoint *endpoint, mono_time now,
                          struct outbox *out, struct dtls_step *step) {
    struct machine *m = machine_of(hs);
    struct turn turn = {.m = m, .endpoint = endpoint, .now = now, .out = out, .step = step};
    *step = (struct dtls_step){.event = DTLS_EVENT_NONE};
    if (m->state == STATE_IDLE || is_over(m) || !mono_reached(now, m->deadline)) {
        return;
    }
    unsigned sends_max = m->is_server ? SERVER_SENDS_MAX : CLIENT_SENDS_MAX;
    if (m->state == STATE_LOOKUP) {
        (void)machine_fail(&turn, ALERT_INTERNAL_ERROR, "no key was found in time");
    } else if (m->sends >= sends_max) {
        end_failed(&turn, "the peer stopped answering");
    } else {
        m->sends++;
        m->timeout_ms *= 2;
        transmit(&turn);
        m->deadline = mono_add_ms(now, m->timeout_ms);
    }
}

mono_time dtls_handshake_deadline(const struct dtls_handshake *hs) {
    const struct machine *m = machine_of_const(hs);
    return m->state == STATE_IDLE ? MONO_NEVER : m->deadline;
}

int dtls_handshake_accept(struct dtls_handshake *hs, struct dtls_endpoint *endpoint,
                          struct span datagram, const uint8_t cid_in[DTLS_CID_BYTES],
                          const uint8_t entropy[DTLS_HANDSHAKE_ENTROPY], mono_time now,
                          struct outbox *out, struct dtls_step *step) {
    struct hello_datagram in;
    const char *why = NULL;
    *step = (struct dtls_step){.event = DTLS_EVENT_NONE, .consumed = datagram.len};
    SW_CHECK(endpoint->config.is_server);
    memset(hs->opaque, 0, sizeof(struct machine));
    struct machine *m = machine_of(hs);
    struct turn turn = {.m = m, .endpoint = endpoint, .now = now, .out = out, .step = step};
    if (hello_datagram_parse(datagram, &in, &why) != SW_OK) {
        end_failed(&turn, why);
        return SW_E_INPUT;
    }
    m->is_server = true;
    m->plain_seq = in.record_sequence;
    m->message_seq = in.message.message_seq;
    memcpy(m->server_random, entropy, RANDOM_BYTES);
    memcpy(m->entropy, entropy + RANDOM_BYTES, sizeof m->entropy);
    sha256_init(&m->transcript);
    reassembly_init(&m->in, in.message.message_seq);
    uint8_t header[MESSAGE_HEADER_BYTES];
    message_header(header, in.message.type, in.message.message_seq, in.message.message_len);
    sha256_update(&m->transcript, span_of(header, sizeof header));
    sha256_update(&m->transcript, in.message.bytes);
    int status = server_begin(&turn, &in.hello, cid_in);
    reassembly_taken(&m->in);
    return status;
}

int dtls_handshake_connect(struct dtls_handshake *hs, struct dtls_endpoint *endpoint,
                           const uint8_t entropy[DTLS_HANDSHAKE_ENTROPY], mono_time now,
                           struct outbox *out) {
    struct dtls_step step = {.event = DTLS_EVENT_NONE};
    SW_CHECK(!endpoint->config.is_server);
    memset(hs->opaque, 0, sizeof(struct machine));
    struct machine *m = machine_of(hs);
    struct turn turn = {.m = m, .endpoint = endpoint, .now = now, .out = out, .step = &step};
    memcpy(m->client_random, entropy, RANDOM_BYTES);
    memcpy(m->entropy, entropy + RANDOM_BYTES, sizeof m->entropy);
    reassembly_init(&m->in, 0);
    return client_begin(&turn);
}

void dtls_handshake_psk(struct dtls_handshake *hs, struct dtls_endpoint *endpoint, struct span key,
                        mono_time now, struct outbox *out, struct dtls_step *step) {
    struct machine *m = machine_of(hs);
    struct turn turn = {.m = m, .endpoint = endpoint, .now = now, .out = out, .step = step};
    *step = (struct dtls_step){.event = DTLS_EVENT_NONE};
    if (m->state == STATE_LOOKUP) { /* else it failed while the owner looked */
        server_take_psk(&turn, key);
        machine_resume(&turn);
    }
}

bool dtls_handshake_is_repeat(const struct dtls_handshake *hs, struct span datagram) {
    const struct machine *m = machine_of_const(hs);
    struct hello_datagram in;
    const char *why = NULL;
    return m->state != STATE_IDLE && m->is_server &&
           hello_datagram_parse(datagram, &in, &why) == SW_OK &&
           memcmp(in.hello.random.data, m->client_random, RANDOM_BYTES) == 0;
}

void dtls_handshake_session(const struct dtls_handshake *hs, struct dtls_session *out) {
    const struct machine *m = machine_of_const(hs);
    SW_CHECK(m->state == STATE_ESTABLISHED);
    *out = m->session;
}

const struct p256_point *dtls_handshake_peer(const struct dtls_handshake *hs) {
    const struct machine *m = machine_of_const(hs);
    SW_CHECK(m->state == STATE_ESTABLISHED);
    return m->proof == DTLS_PROOF_RAW_KEY ? &m->peer_key : NULL;
}

void dtls_handshake_identity(const struct dtls_handshake *hs, struct dtls_identity *out) {
    const struct machine *m = machine_of_const(hs);
    SW_CHECK(m->state == STATE_ESTABLISHED);
    *out = (struct dtls_identity){.proof = (enum dtls_proof)m->proof,
                                  .name = span_of(m->identity, m->identity_len),
                                  .is_device_os = m->is_device_os,
                                  .is_resumed = m->is_resumed};
}

void dtls_handshake_resumable(const struct dtls_handshake *hs, struct dtls_resumable *out) {
    const struct machine *m = machine_of_const(hs);
    SW_CHECK(m->state == STATE_ESTABLISHED && !m->is_server);
    *out = (struct dtls_resumable){.id_len = m->session_id_len,
                                   .proof = m->proof,
                                   .has_extended_master = m->has_extended_master,
                                   .suite = m->suite->id,
                                   .master = m->master,
                                   .peer_key = m->peer_key};
    memcpy(out->id, m->session_id, sizeof out->id);
}

void dtls_handshake_close(struct dtls_handshake *hs) {
    struct machine *m = machine_of(hs);
    crypto_key_free(m->ephemeral);
    crypto_certified_free(m->certified);
    crypto_wipe(m, sizeof *m);
}
