/* A device that is authentic and says anything at any time, and an owner who does anything at any
 * time. Whatever happens: no RST, no 2.05 but to a request for the time, no message that is too
 * long, no number used twice, nothing sent before the Hello, no deadline that stands still. */
#include "fuzz.h"
#include "session/work.h"
#include "slipway/util/reader.h"

#include <string.h>

#define STEPS_MAX 400

static struct {
    struct session session;
    struct session_work work;
    struct dtls_session device;
    struct dtls_crypto *crypto;
    struct session_out out;
    uint8_t box[16384];
    mono_time now;
    uint32_t last_ticket;
    bool is_time_asked;
    bool is_closed;
} f;

static uint8_t image[20000];

static void begin(void) {
    struct dtls_session server = {.seq_out = 1,
                                  .seq_out_limit = DTLS_SEQUENCE_MAX,
                                  .seq_in_top = 1,
                                  .seq_in_window = 1,
                                  .seq_in_limit = DTLS_SEQUENCE_MAX,
                                  .cid_in = {1, 2, 3, 4, 5, 6, 7, 8},
                                  .cid_in_len = 8,
                                  .cid_form = DTLS_CID_DRAFT05,
                                  .is_server = 1,
                                  .suite = 0xc0ae,
                                  .epoch = 1};
    struct address from = {.port = 1};
    f.now = (mono_time){.us = 1000000};
    f.last_ticket = 0;
    f.is_closed = false;
    f.device = server;
    f.device.is_server = 0;
    f.device.cid_in_len = 0;
    f.device.cid_out_len = 8;
    memcpy(f.device.cid_out, server.cid_in, 8);
    outbox_init(&f.out.box, f.box, sizeof f.box);
    session_out_clear(&f.out);
    session_init(&f.session, &server, &from, f.now);
    session_attach(&f.session, &f.work);
    f.session.is_trusted = true;
}

static void reserve(void) {
    struct session_reserve want;
    for (unsigned i = 0; session_reserve_due(&f.session, f.now, &want); i++) {
        SW_CHECK(i < 3);
        session_reserved(&f.session, &want, f.now);
    }
}

static void collect(bool was_known) {
    for (size_t i = 0; i < f.out.box.count; i++) {
        uint8_t plain[DTLS_RECORD_MAX];
        struct dtls_opened opened;
        struct coap_message message;
        const char *why;
        SW_CHECK(dtls_open(f.crypto, &f.device, outbox_datagram(&f.out.box, i), plain, sizeof plain,
                           &opened) == SW_OK);
        if (opened.type == DTLS_ALERT) { /* warnings only: no renegotiation, goodbye */
            SW_CHECK(opened.content.len == 2 && opened.content.data[0] == 1);
            continue;
        }
        SW_CHECK(opened.content.len <= DEVICE_MESSAGE_MAX);
        SW_CHECK(coap_decode(opened.content, &message, &why) == SW_OK);
        SW_CHECK(message.type != COAP_RST);
        SW_CHECK(message.code != COAP_CONTENT || (f.is_time_asked && opened.content.len == 10));
        SW_CHECK(was_known || f.session.is_known || message.type == COAP_ACK);
    }
    for (size_t i = 0; i < f.out.event_count; i++) {
        const struct session_event *event = &f.out.events[i];
        f.last_ticket = event->ticket != 0 ? event->ticket : f.last_ticket;
        f.is_closed |= event->kind == SESSION_EVENT_CLOSED;
        if (event->kind == SESSION_EVENT_DESCRIBE) {
            SW_CHECK(event->u.describe.bytes.len <= DESCRIBE_MAX);
        }
    }
    session_out_clear(&f.out);
    reserve();
}

static void say(uint8_t type, struct span message, bool is_marked) {
    uint8_t sealed[DTLS_RECORD_MAX + 64];
    struct writer w = writer_of(sealed, sizeof sealed);
    struct address from = {.port = is_marked ? 2 : 1};
    const char *why;
    bool was_known = f.session.is_known;
    if ((is_marked ? dtls_seal_moved : dtls_seal)(f.crypto, &f.device, type, message, &w) !=
        SW_OK) {
        return;
    }
    f.is_time_asked = message.len >= 7 && message.data[1] == COAP_GET;
    int status = session_input(&f.session, f.crypto, &from, writer_span(&w), f.now,
                               (wall_time){.ms = INT64_C(1700000000000)}, &f.out, &why);
    collect(was_known);
    if (status == SW_E_STATE) {
        SW_CHECK(f.session.work == NULL);
        session_attach(&f.session, &f.work);
        status = session_input(&f.session, f.crypto, &from, writer_span(&w), f.now,
                               (wall_time){.ms = INT64_C(1700000000000)}, &f.out, &why);
        SW_CHECK(status != SW_E_STATE);
        collect(was_known);
    }
    f.is_time_asked = false;
}

/* What a device would say to what is under way, more or less: bytes at random seldom find a token,
 * and hardly ever the way through a transfer. */
static void play_along(uint8_t how, uint8_t detail, struct span noise) {
    enum { ACK, CREATED, CHANGED, ERROR, CHUNK_ACK, RST, MISSING, KINDS };
    static uint16_t id = 0x4000;
    struct work *work = work_of(&f.session);
    if (work == NULL) {
        return;
    }
    const struct exchange *lane = &work->lanes[detail % LANES];
    const struct ota *ota = &work->transfer.u.v3;
    bool is_v3 = work->transfer.version == TRANSFER_V3;
    uint8_t bytes[DEVICE_MESSAGE_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct coap_writer c;
    struct span token = span_of(&lane->token, lane->has_token ? 1 : 0);
    uint8_t type = (detail & 64) != 0 ? COAP_ACK : COAP_CON;
    uint16_t answers = type == COAP_ACK ? lane->id : id++;
    switch (how % KINDS) {
    case ACK:
        (void)coap_begin(&w, COAP_ACK, COAP_EMPTY, lane->id, span_of(NULL, 0));
        break;
    case CREATED:
        c = coap_begin(&w, type, COAP_CREATED, answers, token);
        coap_put_uint(&c, COAP_WINDOW_SIZE, (detail & 128) != 0 ? 256 : detail);
        coap_put_uint(&c, COAP_FILE_SIZE, noise.len > 0 ? noise.data[0] * 80U : 0);
        break;
    case CHANGED:
        c = coap_begin(&w, type, COAP_CHANGED, answers, token);
        coap_put_payload(&c, noise.len > 0 ? noise : span_text("\x01"));
        break;
    case ERROR:
        c = coap_begin(&w, type, (detail & 128) != 0 ? COAP_CODE(5, 3) : COAP_BAD_REQUEST, answers,
                       token);
        coap_put_payload(&c, span_text("{\"code\":-1380}"));
        break;
    case CHUNK_ACK: {
        uint32_t all = is_v3 && ota->next_new > 0 ? ota->next_new - 1 : detail;
        c = coap_begin(&w, COAP_NON, COAP_POST, id++, span_of(NULL, 0));
        coap_put(&c, COAP_URI_PATH, span_text("A"));
        coap_put_uint(&c, COAP_CHUNK_INDEX, all > detail % 8U ? all - detail % 8U : 0);
        coap_put_payload(&c, noise);
        break;
    }
    case RST:
        (void)coap_begin(&w, COAP_RST, COAP_EMPTY, (uint16_t)(f.session.chunk_id - detail % 16),
                         span_of(NULL, 0));
        break;
    default:
        c = coap_begin(&w, COAP_CON, COAP_GET, id++, span_of(NULL, 0));
        coap_put(&c, COAP_URI_PATH, span_text("c"));
        coap_put_payload(&c, noise);
        break;
    }
    if (writer_status(&w) == SW_OK) {
        say(DTLS_APPLICATION_DATA, writer_span(&w), false);
    }
}

static void restart(bool is_crash) {
    uint8_t stored[SESSION_STORED_MAX];
    struct writer w = writer_of(stored, sizeof stored);
    struct session_reserve limits = {.seq_out_limit = f.session.dtls.seq_out + 500,
                                     .seq_in_limit = f.session.dtls.seq_in_top + 3};
    if (f.session.dtls.seq_out_limit == DTLS_SEQUENCE_MAX) {
        return; /* never saved */
    }
    SW_CHECK(session_encode(&f.session, is_crash ? &limits : NULL, &w) == SW_OK);
    (void)session_close(&f.session);
    SW_CHECK(session_decode(writer_span(&w), f.now, &f.session) == SW_OK);
    session_attach(&f.session, &f.work);
    reserve();
}

static void wish(uint8_t what, struct span text) {
    struct session_offer offer = {.image = span_of(image, sizeof image),
                                  .discard = (what & 16) != 0,
                                  .is_asset = (what & 32) != 0};
    uint32_t request;
    bool was_known = f.session.is_known;
    struct span name = span_of(text.data, text.len / 2);
    struct span argument = span_of(text.data + text.len / 2, text.len - text.len / 2);
    switch (what % 8) {
    case 0:
        (void)!session_offer(&f.session, f.crypto, &offer, f.now, &f.out);
        break;
    case 1:
        session_cancel(&f.session, f.crypto, (what & 16) != 0, f.now, &f.out);
        break;
    case 2:
        (void)!session_tell_pending(&f.session, f.crypto, (what & 16) != 0, f.now, &f.out);
        break;
    case 3:
        (void)!session_tell_forced(&f.session, f.crypto, (what & 16) != 0, f.now, &f.out);
        break;
    case 4:
        (void)!session_ping(&f.session, f.crypto, f.now, &f.out);
        break;
    default:
        (void)!session_request(&f.session, f.crypto, (enum session_request_kind)(what / 8 % 5),
                               name, argument, f.now, &f.out, &request);
        break;
    }
    collect(was_known);
}

static void let_time_pass(uint8_t how) {
    mono_time next = session_deadline(&f.session);
    bool was_known = f.session.is_known;
    if (how < 128 && next.us != MONO_NEVER.us) {
        f.now = next.us > f.now.us ? next : f.now;
    } else {
        f.now = mono_add_ms(f.now, how * INT64_C(50));
    }
    /* An outbox that is emptied each time: so many steps at one moment are a machine that spins. */
    for (unsigned i = 0; mono_reached(f.now, session_deadline(&f.session)); i++) {
        SW_CHECK(i < 200);
        session_tick(&f.session, f.crypto, f.now, &f.out);
        collect(was_known);
    }
}

static void check(void) {
    const struct work *work = work_of(&f.session);
    SW_CHECK(f.session.coap_id < SESSION_CHUNK_ID_FIRST);
    SW_CHECK(f.session.dtls.seq_in_top <= f.session.dtls.seq_in_limit);
    SW_CHECK(f.session.dtls.seq_out <= f.session.dtls.seq_out_limit);
    unsigned reports = 0, sent = 0;
    for (unsigned i = 0; work != NULL && i < REPORTS_MAX; i++) {
        reports += work->reports[i].state != REPORT_FREE ? 1 : 0;
    }
    for (unsigned i = 0; work != NULL && i < LANES; i++) {
        sent += work->lanes[i].state == EXCHANGE_SENT ? 1 : 0;
    }
    SW_CHECK(work == NULL || reports == work->report_count);
    SW_CHECK(sent <= 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (f.crypto == NULL) {
        f.crypto = dtls_crypto_new();
    }
    struct reader r = reader_of(span_of(data, size));
    begin();
    for (unsigned step = 0; step < STEPS_MAX && reader_left(&r) >= 2 && !f.is_closed; step++) {
        uint8_t op = reader_u8(&r), detail = reader_u8(&r);
        bool was_known = f.session.is_known;
        switch (op % 8) {
        case 0:
        case 1:
        case 2: {
            size_t left = reader_left(&r);
            say(DTLS_APPLICATION_DATA, reader_bytes(&r, detail < left ? detail : left),
                op % 8 == 2);
            break;
        }
        case 3:
            let_time_pass(detail);
            break;
        case 4:
            if (detail % 4 == 0) {
                session_refuse(&f.session, f.last_ticket);
            } else {
                session_confirm(&f.session, f.crypto, f.last_ticket, f.now, &f.out);
                collect(was_known);
            }
            break;
        case 5: {
            size_t left = reader_left(&r) < 20 ? reader_left(&r) : 20;
            wish(detail, reader_bytes(&r, left));
            break;
        }
        case 6:
            if (detail < 40) {
                restart(detail % 2 == 0);
            } else if (f.session.work != NULL && session_is_resting(&f.session) &&
                       session_trace_bytes(&f.session, f.now) == 0) {
                (void)session_detach(&f.session);
            }
            break;
        case 7:
            if (detail == 0) {
                say(DTLS_ALERT, reader_bytes(&r, 2), false);
            } else if (reader_left(&r) >= 2) {
                uint8_t how = reader_u8(&r);
                size_t most = detail % 40U, left = reader_left(&r);
                play_along(how, detail, reader_bytes(&r, most < left ? most : left));
            }
            break;
        default:
            break;
        }
        check();
    }
    (void)session_close(&f.session);
    return 0;
}
