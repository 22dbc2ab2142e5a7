/* An update as CoAP messages: the transfer machines of the ota module say what and when, here it is
 * written, sealed and sent, and the device's answers are told to them.
 *
 * The device applies an update when its 2.04 to UpdateFinish is acknowledged, and at no other time.
 * That acknowledgement therefore waits for session_confirm, and is repeated for every duplicate. */
#include "session/work.h"
#include "slipway/util/check.h"

#include <zlib.h>

#define MODULE_ASSET      9
#define COMMIT_MS         120000 /* a device stops repeating its 2.04 before that */
#define CHUNK_DEFAULT     512
#define LEGACY_FAST       1
#define CRC_BYTES         4
#define NUMBER_DIGITS_MAX 9

/* --- the transfer, whichever version --- */

static enum ota_state state_of(const struct transfer *transfer) {
    return (enum ota_state)(transfer->version == TRANSFER_V3 ? transfer->u.v3.state
                                                             : transfer->u.legacy.state);
}

static const struct ota_params *params_of(const struct transfer *transfer) {
    return transfer->version == TRANSFER_V3 ? &transfer->u.v3.params : &transfer->u.legacy.params;
}

bool session_progress(const struct session *session, struct session_progress *out) {
    const struct work *work = work_of(session);
    if (work == NULL || work->transfer.version == TRANSFER_NONE) {
        return false;
    }
    const struct transfer *transfer = &work->transfer;
    *out = (struct session_progress){.state = state_of(transfer),
                                     .bytes_total = params_of(transfer)->file_bytes,
                                     .granted = transfer->granted,
                                     .is_starved = transfer->is_starved};
    if (transfer->version == TRANSFER_V3) {
        out->bytes = ota_progress(&transfer->u.v3);
        out->chunks_sent = transfer->u.v3.chunks_sent;
        out->chunks_resent = transfer->u.v3.chunks_resent;
    } else {
        out->bytes = ota_legacy_progress(&transfer->u.legacy);
        out->chunks_sent = transfer->u.legacy.chunks_sent;
        out->chunks_resent = transfer->u.legacy.chunks_resent;
    }
    return true;
}

static struct session_event *transfer_event(struct turn *t, enum session_transfer step) {
    struct session_event *event = turn_event(t, SESSION_EVENT_TRANSFER);
    event->u.transfer.step = step;
    return event;
}

static void transfer_failed(struct turn *t) {
    struct transfer *transfer = &t->work->transfer;
    struct session_event *event = transfer_event(t, SESSION_TRANSFER_FAILED);
    if (transfer->version == TRANSFER_V3) {
        event->u.transfer.failure = (enum ota_failure)transfer->u.v3.failure;
        event->u.transfer.device_error = transfer->u.v3.device_error;
    } else {
        event->u.transfer.failure = (enum ota_failure)transfer->u.legacy.failure;
        event->u.transfer.device_error = transfer->u.legacy.device_error;
    }
    if (event->u.transfer.failure == OTA_FAILURE_DISABLED) {
        t->session->updates_enabled = false; /* whatever it said before */
        t->session->updates_forced = false;
    }
    transfer->version = TRANSFER_NONE;
    exchange_free(&t->work->lanes[LANE_UPDATE]);
}

/* Tells of a failure that an input brought about. */
static void transfer_check(struct turn *t) {
    if (t->work->transfer.version != TRANSFER_NONE && state_of(&t->work->transfer) == OTA_FAILED) {
        transfer_failed(t);
    }
}

void update_abort(struct turn *t, enum ota_failure failure) {
    struct transfer *transfer = &t->work->transfer;
    switch ((enum transfer_version)transfer->version) {
    case TRANSFER_NONE:
        return;
    case TRANSFER_V3:
        ota_aborted(&transfer->u.v3, failure, t->now);
        break;
    case TRANSFER_LEGACY:
        ota_legacy_aborted(&transfer->u.legacy, failure, t->now);
        break;
    }
    if (state_of(transfer) == OTA_COMMITTED) {
        /* Its 2.04 is here, unconfirmed: nothing more will come of it. */
        struct session_event *event = transfer_event(t, SESSION_TRANSFER_FAILED);
        event->u.transfer.failure = failure;
        transfer->version = TRANSFER_NONE;
        return;
    }
    transfer_failed(t);
}

/* A chunk of an earlier transfer, late at a device that had been told to forget it, gets an RST
 * too: only the numbers that went out since this one began count. */
bool update_reset(struct turn *t, uint16_t id) {
    struct session_progress progress;
    uint32_t age = (uint32_t)(t->session->chunk_id - id) % SESSION_CHUNK_ID_FIRST;
    if (id < SESSION_CHUNK_ID_FIRST || !session_progress(t->session, &progress) ||
        age >= progress.chunks_sent + progress.chunks_resent) {
        return false;
    }
    update_abort(t, OTA_FAILURE_RESET);
    return true;
}

/* --- starting --- */

static void put_letter(struct coap_writer *c, const char *letter) {
    coap_put(c, COAP_URI_PATH, span_text(letter));
}

static void write_start(struct turn *t, const struct session_offer *offer, uint16_t chunk_bytes) {
    struct writer w;
    struct coap_writer c = exchange_open(t, LANE_UPDATE, EXCHANGE_START, true, COAP_POST, &w);
    put_letter(&c, "S");
    coap_put_uint(&c, COAP_FILE_SIZE, (uint32_t)offer->image.len);
    coap_put(&c, COAP_FILE_SHA256, span_of(offer->file_hash.b, sizeof offer->file_hash.b));
    coap_put_uint(&c, COAP_CHUNK_SIZE, chunk_bytes);
    if (offer->discard) {
        coap_put(&c, COAP_DISCARD_DATA, span_of(NULL, 0));
    }
    if (offer->is_asset) {
        coap_put_uint(&c, COAP_MODULE_FUNCTION, MODULE_ASSET);
    }
    int status = exchange_queue(t, LANE_UPDATE, &w);
    SW_CHECK(status == SW_OK);
}

/* UpdateBegin has its numbers at fixed places: there may be no option but the path. */
static void write_begin(struct turn *t, uint32_t file_bytes, uint16_t chunk_bytes) {
    uint8_t bytes[12];
    struct writer payload = writer_of(bytes, sizeof bytes);
    writer_u8(&payload, LEGACY_FAST);
    writer_u16(&payload, chunk_bytes);
    writer_u32(&payload, file_bytes);
    writer_u8(&payload, 0);  /* store: firmware */
    writer_u32(&payload, 0); /* address: the device knows */
    struct writer w;
    struct coap_writer c = exchange_open(t, LANE_UPDATE, EXCHANGE_START, true, COAP_POST, &w);
    put_letter(&c, "u");
    coap_put_payload(&c, writer_span(&payload));
    int status = exchange_queue(t, LANE_UPDATE, &w);
    SW_CHECK(status == SW_OK);
}

static uint16_t chunk_of(const struct session *session, uint16_t wanted) {
    uint16_t chunk = wanted != 0 ? wanted : session->chunk_bytes;
    bool is_usable = chunk >= OTA_CHUNK_MIN && chunk <= OTA_CHUNK_MAX && chunk % 4 == 0;
    return is_usable || wanted != 0 ? chunk : CHUNK_DEFAULT;
}

int session_offer(struct session *session, struct dtls_crypto *crypto,
                  const struct session_offer *offer, mono_time now, struct session_out *out) {
    struct turn t = {session, work_of(session), crypto, now, out};
    int status = session_may_ask(session);
    if (status != SW_OK) {
        return status;
    }
    if (!session->is_trusted) {
        return SW_E_DENIED;
    }
    if (t.work->transfer.version != TRANSFER_NONE ||
        t.work->lanes[LANE_UPDATE].state != EXCHANGE_FREE) {
        return SW_E_BUSY;
    }
    if (offer->image.len == 0 || offer->image.len > UINT32_MAX ||
        (session->binary_max != 0 && offer->image.len > session->binary_max)) {
        return SW_E_RANGE;
    }
    struct ota_params params = {.file_bytes = (uint32_t)offer->image.len,
                                .chunk_bytes = chunk_of(session, offer->chunk_bytes),
                                .outstanding_max = offer->outstanding_max,
                                .rate_bytes_s = offer->rate_bytes_s};
    if (params.rate_bytes_s > 0 && params.rate_bytes_s < OTA_RATE_MIN) {
        params.rate_bytes_s = OTA_RATE_MIN;
    }
    struct transfer *transfer = &t.work->transfer;
    bool is_v3 = (session->hello_flags & HELLO_OTA_V3) != 0;
    status = is_v3 ? ota_begin(&transfer->u.v3, &params, now)
                   : ota_legacy_begin(&transfer->u.legacy, &params, now);
    if (status != SW_OK) {
        return status;
    }
    transfer->version = is_v3 ? TRANSFER_V3 : TRANSFER_LEGACY;
    transfer->token = 0;
    transfer->image = offer->image;
    transfer->granted = offer->is_metered ? 0 : SESSION_UNMETERED;
    transfer->is_starved = false;
    transfer->probe = (struct probe){.state = PROBE_NONE};
    if (is_v3) {
        write_start(&t, offer, params.chunk_bytes);
    } else {
        write_begin(&t, params.file_bytes, params.chunk_bytes);
    }
    transfer->token = t.work->lanes[LANE_UPDATE].token;
    turn_flush(&t);
    return SW_OK;
}

void session_cancel(struct session *session, struct dtls_crypto *crypto, bool discard,
                    mono_time now, struct session_out *out) {
    struct turn t = {session, work_of(session), crypto, now, out};
    if (t.work == NULL || t.work->transfer.version == TRANSFER_NONE || !turn_has_room(out)) {
        return;
    }
    bool is_v3 = t.work->transfer.version == TRANSFER_V3;
    exchange_free(&t.work->lanes[LANE_UPDATE]);
    update_abort(&t, OTA_FAILURE_CANCELLED);
    if (is_v3) { /* the legacy protocol has no word for it: the device gives up by itself */
        struct writer w;
        struct coap_writer c = exchange_open(&t, LANE_UPDATE, EXCHANGE_CANCEL, true, COAP_POST, &w);
        put_letter(&c, "F");
        if (discard) {
            coap_put(&c, COAP_DISCARD_DATA, span_of(NULL, 0));
        }
        coap_put(&c, COAP_CANCEL_UPDATE, span_of(NULL, 0));
        int status = exchange_queue(&t, LANE_UPDATE, &w);
        SW_CHECK(status == SW_OK);
    }
    turn_flush(&t);
}

/* --- chunks --- */

static uint16_t next_chunk_id(struct session *session) {
    session->chunk_id = (uint16_t)((session->chunk_id + 1U) | SESSION_CHUNK_ID_FIRST);
    return session->chunk_id;
}

static void send_chunk(struct turn *t, const struct ota_output *next) {
    uint8_t bytes[CHUNK_MESSAGE_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct coap_writer c =
        coap_begin(&w, COAP_NON, COAP_POST, next_chunk_id(t->session), span_of(NULL, 0));
    put_letter(&c, "C");
    coap_put_uint(&c, COAP_CHUNK_INDEX, next->index);
    coap_put_payload(&c, span_of(t->work->transfer.image.data + next->at, next->len));
    SW_CHECK(writer_status(&w) == SW_OK);
    /* There was room; if sealing fails all the same, it is as if the network had lost it. */
    (void)!turn_send(t, writer_span(&w));
}

/* The device looks for these at fixed places: a token of one byte, the CRC of the chunk, in the
 * fast form its index; and takes the last chunk at full length only. */
static void put_legacy_chunk(const struct turn *t, struct coap_writer *c,
                             const struct ota_output *next) {
    const struct ota_legacy *legacy = &t->work->transfer.u.legacy;
    uint16_t chunk_bytes = legacy->params.chunk_bytes;
    uint8_t chunk[OTA_CHUNK_MAX] = {0};
    memcpy(chunk, t->work->transfer.image.data + next->at, next->len);
    uint32_t sum = (uint32_t)crc32(0, chunk, chunk_bytes);
    uint8_t crc[CRC_BYTES] = {(uint8_t)(sum >> 24), (uint8_t)(sum >> 16), (uint8_t)(sum >> 8),
                              (uint8_t)sum};
    uint8_t index[2] = {(uint8_t)(next->index >> 8), (uint8_t)next->index};
    put_letter(c, "c");
    coap_put(c, COAP_URI_QUERY, span_of(crc, sizeof crc));
    if (!legacy->is_slow) {
        coap_put(c, COAP_URI_QUERY, span_of(index, sizeof index));
    }
    coap_put_payload(c, span_of(chunk, chunk_bytes));
}

static void send_legacy_chunk(struct turn *t, const struct ota_output *next) {
    uint8_t bytes[CHUNK_MESSAGE_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct coap_writer c = coap_begin(&w, COAP_NON, COAP_POST, next_chunk_id(t->session),
                                      span_of(&t->work->transfer.token, 1));
    put_legacy_chunk(t, &c, next);
    SW_CHECK(writer_status(&w) == SW_OK);
    (void)!turn_send(t, writer_span(&w));
}

/* In the slow form every chunk is a request of its own. */
static void send_slow_chunk(struct turn *t, const struct ota_output *next) {
    struct writer w;
    exchange_free(&t->work->lanes[LANE_UPDATE]);
    struct coap_writer c = exchange_open(t, LANE_UPDATE, EXCHANGE_CHUNK, true, COAP_POST, &w);
    put_legacy_chunk(t, &c, next);
    int status = exchange_queue(t, LANE_UPDATE, &w);
    SW_CHECK(status == SW_OK);
    exchange_transmit(t);
}

static void send_next(struct turn *t, const struct ota_output *next) {
    struct transfer *transfer = &t->work->transfer;
    if (transfer->granted != SESSION_UNMETERED) {
        transfer->granted -= next->len;
    }
    if (transfer->version == TRANSFER_V3) {
        send_chunk(t, next);
    } else if (transfer->u.legacy.is_slow) {
        send_slow_chunk(t, next);
    } else {
        send_legacy_chunk(t, next);
    }
}

void session_grant(struct session *session, uint32_t bytes, mono_time now) {
    struct work *work = work_of(session);
    if (work != NULL && work->transfer.version != TRANSFER_NONE) {
        work->transfer.granted = bytes;
        work->transfer.is_starved = false;
        work->deadline = mono_earlier(work->deadline, now);
    }
}

static void write_finish(struct turn *t) {
    struct writer w;
    bool is_v3 = t->work->transfer.version == TRANSFER_V3;
    exchange_free(&t->work->lanes[LANE_UPDATE]);
    struct coap_writer c =
        exchange_open(t, LANE_UPDATE, EXCHANGE_FINISH, true, is_v3 ? COAP_POST : COAP_PUT, &w);
    put_letter(&c, is_v3 ? "F" : "u");
    t->work->transfer.token = t->work->lanes[LANE_UPDATE].token;
    t->work->transfer.probe.times = 0;
    int status = exchange_queue(t, LANE_UPDATE, &w);
    SW_CHECK(status == SW_OK);
}

static bool chunk_fits(const struct turn *t, uint16_t chunk_bytes) {
    const struct outbox *box = &t->out->box;
    size_t need = CHUNK_HEADER_MAX + chunk_bytes + dtls_overhead(&t->session->dtls);
    return box->count < OUTBOX_ITEMS_MAX && box->cap - box->used >= need;
}

void update_pump(struct turn *t, mono_time *deadline) {
    struct transfer *transfer = &t->work->transfer;
    while (transfer->version != TRANSFER_NONE) {
        enum ota_state state = state_of(transfer);
        if (state == OTA_COMMITTED) {
            *deadline = transfer->deadline;
            return;
        }
        /* The machines count a chunk as sent when they name it: ask only when it can be. */
        if (!chunk_fits(t, params_of(transfer)->chunk_bytes) ||
            t->out->event_count + 2 > SESSION_EVENTS_MAX) {
            *deadline = t->now;
            return;
        }
        if (t->session->dtls.seq_out >= t->session->dtls.seq_out_limit) {
            *deadline = mono_add_ms(t->now, STALLED_MS);
            return;
        }
        struct ota_output next;
        bool may_send = transfer->granted >= params_of(transfer)->chunk_bytes;
        if (transfer->version == TRANSFER_V3) {
            ota_next(&transfer->u.v3, t->now, may_send, &next);
        } else {
            ota_legacy_next(&transfer->u.legacy, t->now, may_send, &next);
        }
        transfer->is_starved = next.action == OTA_HELD;
        switch (next.action) {
        case OTA_WAIT:
        case OTA_HELD:
            *deadline = next.deadline;
            return;
        case OTA_SEND_CHUNK:
            send_next(t, &next);
            break;
        case OTA_SEND_FINISH:
            transfer_event(t, SESSION_TRANSFER_VERIFYING);
            write_finish(t);
            exchange_transmit(t);
            break;
        case OTA_ENDED:
            transfer_failed(t);
            break;
        }
    }
}

void update_expire(struct turn *t) {
    struct transfer *transfer = &t->work->transfer;
    if (transfer->version != TRANSFER_NONE && state_of(transfer) == OTA_COMMITTED &&
        mono_reached(t->now, transfer->deadline)) {
        update_abort(t, OTA_FAILURE_TIMEOUT);
    }
}

void update_chunk_acked(struct turn *t, const struct coap_message *message) {
    uint32_t cumulative;
    if (t->work != NULL && t->work->transfer.version == TRANSFER_V3 &&
        coap_option_uint(message, COAP_CHUNK_INDEX, &cumulative)) {
        ota_acked(&t->work->transfer.u.v3, cumulative, message->payload, t->now);
        transfer_check(t);
    }
}

void update_missing(struct turn *t, const struct coap_message *message) {
    if (t->work != NULL && t->work->transfer.version == TRANSFER_LEGACY) {
        ota_legacy_missing(&t->work->transfer.u.legacy, message->payload, t->now);
        transfer_check(t);
    }
}

/* --- answers --- */

/* The one number that we want of a small JSON object of the device's: {"code":-1380,...}. Anything
 * else that it may hold is of no interest, so it is searched, not parsed; 0 if there is none. */
static int32_t payload_number(struct span payload, const char *key) {
    size_t len = strlen(key);
    for (size_t at = 0; at + len + 3 < payload.len; at++) {
        const uint8_t *p = payload.data + at;
        if (p[0] != '"' || memcmp(p + 1, key, len) != 0 || p[len + 1] != '"' || p[len + 2] != ':') {
            continue;
        }
        size_t digit = at + len + 3;
        bool is_negative = payload.data[digit] == '-';
        digit += is_negative ? 1 : 0;
        int32_t value = 0;
        for (size_t n = 0; n < NUMBER_DIGITS_MAX && digit + n < payload.len; n++) {
            uint8_t c = payload.data[digit + n];
            if (c < '0' || c > '9') {
                break;
            }
            value = value * 10 + (c - '0');
        }
        return is_negative ? -value : value;
    }
    return 0;
}

static void commit_report(struct turn *t, uint16_t id, bool is_con) {
    struct session_event *event = turn_report(t, SESSION_EVENT_TRANSFER, id, is_con);
    if (event != NULL) {
        event->u.transfer.step = SESSION_TRANSFER_COMMIT;
    }
}

static void start_answered(struct turn *t, struct exchange *exchange,
                           const struct coap_message *message) {
    struct transfer *transfer = &t->work->transfer;
    uint32_t window = 0, offset = 0;
    if (message->code == COAP_CREATED && transfer->version == TRANSFER_V3) {
        (void)coap_option_uint(message, COAP_WINDOW_SIZE, &window);
        (void)coap_option_uint(message, COAP_FILE_SIZE, &offset);
        ota_accepted(&transfer->u.v3, window, offset, t->now);
    } else if (message->code == COAP_CHANGED && transfer->version == TRANSFER_LEGACY) {
        bool is_fast = message->payload.len >= 1 && message->payload.data[0] == LEGACY_FAST;
        ota_legacy_ready(&transfer->u.legacy, is_fast, t->now);
    } else if (transfer->version == TRANSFER_V3) {
        ota_refused(&transfer->u.v3, payload_number(message->payload, "code"), t->now);
    } else {
        ota_legacy_refused(&transfer->u.legacy, payload_number(message->payload, "code"), t->now);
    }
    exchange_free(exchange);
    exchange_settle(t, message);
    if (state_of(transfer) != OTA_FAILED) {
        struct session_event *event = transfer_event(t, SESSION_TRANSFER_ACCEPTED);
        event->u.transfer.offset = offset;
    }
    transfer_check(t);
}

/* 4.00: it arrived damaged. */
static void chunk_answered(struct turn *t, struct exchange *exchange,
                           const struct coap_message *message) {
    struct ota_legacy *legacy = &t->work->transfer.u.legacy;
    exchange_free(exchange);
    exchange_settle(t, message);
    if (message->code == COAP_CHANGED || message->code == COAP_BAD_REQUEST) {
        ota_legacy_answered(legacy, message->code == COAP_CHANGED, t->now);
    } else {
        ota_legacy_refused(legacy, payload_number(message->payload, "code"), t->now);
    }
    transfer_check(t);
}

static void finish_answered(struct turn *t, struct exchange *exchange,
                            const struct coap_message *message) {
    struct transfer *transfer = &t->work->transfer;
    bool is_v3 = transfer->version == TRANSFER_V3;
    exchange_free(exchange);
    if (is_v3 && message->code == COAP_CHANGED) {
        ota_finished(&transfer->u.v3, t->now);
    } else if (is_v3) {
        ota_refused(&transfer->u.v3, payload_number(message->payload, "code"), t->now);
    } else if (message->code == COAP_CHANGED) {
        ota_legacy_finished(&transfer->u.legacy, payload_number(message->payload, "r"), t->now);
    } else if (message->code != COAP_BAD_REQUEST) { /* 4.00: chunks are missing, it says which */
        ota_legacy_refused(&transfer->u.legacy, payload_number(message->payload, "r"), t->now);
    }
    if (state_of(transfer) == OTA_COMMITTED) {
        transfer->deadline = mono_add_ms(t->now, COMMIT_MS);
        commit_report(t, message->id, message->type == COAP_CON);
        return;
    }
    exchange_settle(t, message);
    transfer_check(t);
}

void update_answered(struct turn *t, struct exchange *exchange,
                     const struct coap_message *message) {
    probe_end(&t->work->transfer.probe);
    if (t->work->transfer.version == TRANSFER_NONE) {
        exchange_free(exchange);
        exchange_settle(t, message);
    } else if (exchange->kind == EXCHANGE_START) {
        start_answered(t, exchange, message);
    } else if (exchange->kind == EXCHANGE_CHUNK) {
        chunk_answered(t, exchange, message);
    } else {
        finish_answered(t, exchange, message);
    }
}

/* A 2.04 that reports on a transfer, and nobody waits for it here: repeated after the owner could
 * not keep the first report, or meant for a process before this one. To acknowledge it is to
 * commit, so that is the owner's to say. While another transfer has begun here, it is not about
 * that one: the device hears of it next and drops what it reports on, so nothing is said. Nor to
 * the answer to an UpdateFinish that was made anew: the device would take its acknowledgement for
 * no commit, as only the newest answer's counts. */
void update_commit_again(struct turn *t, const struct coap_message *message) {
    const struct transfer *transfer = &t->work->transfer;
    bool is_overtaken = transfer->probe.times > 0 &&
                        (message->token.len != 1 || message->token.data[0] != transfer->token);
    if (transfer->version == TRANSFER_V3 &&
        (state_of(transfer) == OTA_STARTING || state_of(transfer) == OTA_SENDING || is_overtaken)) {
        return;
    }
    commit_report(t, message->id, true);
}

void update_commit_confirmed(struct turn *t) {
    struct transfer *transfer = &t->work->transfer;
    transfer_event(t, SESSION_TRANSFER_COMMITTED);
    if (transfer->version != TRANSFER_NONE && state_of(transfer) == OTA_COMMITTED) {
        transfer->version = TRANSFER_NONE;
    }
}
