/* What the device says of its own accord. Everything confirmable is acknowledged, understood or
 * not: one message without an acknowledgement costs the device its session, and so does any RST,
 * which is why none is ever sent. */
#include "session/work.h"

#include "slipway/util/check.h"
#include "slipway/util/reader.h"

#define EVENT_ENABLED   "particle/device/updates/enabled"
#define EVENT_FORCED    "particle/device/updates/forced"
#define OVERTAKEN_MAX   1024 /* messages that a device may send while it repeats one */
#define GOODBYE_CLOUD   1U
#define GOODBYE_RESET   2U
#define GOODBYE_SLEEP   4U
#define GOODBYE_NETWORK 8U

void device_refuse(struct turn *t, const struct coap_message *message, uint8_t code) {
    if (message->type == COAP_CON) {
        (void)turn_reply(t, message->id, code, message->token, span_of(NULL, 0));
    }
}

/* --- Hello --- */

static bool has_name(const struct device_id *id) {
    static const struct device_id nobody;
    return !device_id_equal(id, &nobody);
}

static int hello_decode(struct span payload, struct device_hello *out, const char **why) {
    struct reader r = reader_of(payload);
    *out = (struct device_hello){0};
    out->product_id = reader_u16(&r);
    out->product_version = reader_u16(&r);
    out->flags = reader_u16(&r); /* before 3.0 a reserved byte and one of flags */
    out->platform_id = reader_u16(&r);
    (void)reader_u8(&r);
    struct span id = reader_vector8(&r);
    if (!r.failed && id.len != sizeof out->device.b) {
        reader_fail(&r, "a device id that is not 12 bytes long");
    }
    if (!r.failed) {
        memcpy(out->device.b, id.data, id.len);
    }
    if (!r.failed && !has_name(&out->device)) {
        reader_fail(&r, "a device id of zeroes");
    }
    /* Each Device OS added to the end of it; what follows what we know is for a later one. */
    if (reader_left(&r) >= 2) {
        out->system_version = reader_u16(&r);
    }
    if (reader_left(&r) >= 2) {
        out->message_max = reader_u16(&r);
    }
    if (reader_left(&r) >= 4) {
        out->binary_max = reader_u32(&r);
    }
    if (reader_left(&r) >= 2) {
        out->chunk_bytes = reader_u16(&r);
    }
    *why = r.why;
    return reader_status(&r);
}

static void on_hello(struct turn *t, const struct coap_message *message, const char **why) {
    struct session *session = t->session;
    struct device_hello hello;
    if (hello_decode(message->payload, &hello, why) != SW_OK) {
        return;
    }
    /* Whatever its owner does for a device, it does by the name in the session. */
    if (has_name(&session->device) && !device_id_equal(&session->device, &hello.device)) {
        *why = "a Hello of another device";
        return;
    }
    /* It started anew: whatever was asked of it before is void, and until this is acknowledged it
     * listens to nothing else. */
    session->is_known = false;
    exchange_abandon(t);
    update_abort(t, OTA_FAILURE_RESTARTED);
    struct session_event *event = turn_report(t, SESSION_EVENT_HELLO, message->id, true);
    if (event == NULL) {
        *why = "too many reports are not confirmed";
        return;
    }
    event->u.hello = hello;
    session->device = hello.device;
    session->hello_flags = hello.flags;
    session->message_max = hello.message_max;
    session->binary_max = hello.binary_max;
    session->chunk_bytes = hello.chunk_bytes;
    session->updates_enabled = true; /* flags of an earlier boot are void */
    session->updates_forced = false;
    session->has_flag_ids = false;
}

/* --- events --- */

/* Two words may be under way, and the repetition of the first come after the second: it is no news
 * any more. Message ids tell, as far as they go on: not over a restart. */
static bool is_overtaken(struct session *session, bool is_forced, uint16_t id) {
    if (!session->has_flag_ids) {
        memset(session->flag_ids, 0, sizeof session->flag_ids);
        session->has_flag_ids = true;
    }
    uint16_t *last = &session->flag_ids[is_forced ? 1 : 0];
    uint16_t behind = (uint16_t)(*last - id);
    if (*last != 0 && behind > 0 && behind <= OVERTAKEN_MAX) {
        return true;
    }
    *last = id;
    return false;
}

static bool on_updates(struct turn *t, const struct coap_message *message, struct span name,
                       const char **why) {
    bool is_forced = span_is_text(name, EVENT_FORCED);
    if (!is_forced && !span_is_text(name, EVENT_ENABLED)) {
        return false;
    }
    bool value = span_is_text(message->payload, "true");
    if (!value && !span_is_text(message->payload, "false")) {
        *why = "an update flag that is neither true nor false";
        exchange_settle(t, message);
        return true;
    }
    if (is_overtaken(t->session, is_forced, message->id)) {
        *why = "an update flag that a later one has overtaken";
        exchange_settle(t, message);
        return true;
    }
    struct session_event *event =
        turn_report(t, SESSION_EVENT_UPDATES, message->id, message->type == COAP_CON);
    if (event == NULL) {
        *why = "too many reports are not confirmed";
        return true;
    }
    event->u.updates.is_forced = is_forced;
    event->u.updates.value = value;
    bool before = is_forced ? t->session->updates_forced : t->session->updates_enabled;
    if (is_forced) {
        t->session->updates_forced = value;
    } else {
        t->session->updates_enabled = value;
    }
    t->session->is_unsaved |= value != before;
    return true;
}

/* Most of Device OS puts the whole name, slashes and all, into one option; the publishing of 6.3
 * cuts it there. False if it is empty or too long. */
static bool event_name(struct turn *t, const struct coap_message *message, struct span *out) {
    struct writer joined = writer_of(t->work->event_name, sizeof t->work->event_name);
    struct span segment;
    for (unsigned n = 1; coap_option_at(message, COAP_URI_PATH, n, &segment); n++) {
        if (n > 1) {
            writer_u8(&joined, '/');
        }
        writer_bytes(&joined, segment);
    }
    *out = writer_span(&joined);
    return writer_status(&joined) == SW_OK && out->len > 0;
}

/* An event in several blocks is longer than what is kept of one: its device is told so, as a part
 * of it would pass for the whole. */
static uint8_t event_refusal(const struct coap_message *message, const char **why) {
    struct coap_block block;
    switch (coap_block_get(message, COAP_BLOCK1, &block)) {
    case SW_E_NOT_FOUND:
        return COAP_EMPTY;
    case SW_OK:
        if (block.number == 0 && !block.is_more) {
            return COAP_EMPTY;
        }
        *why = "an event that is too long";
        return COAP_TOO_LARGE;
    default:
        *why = "a malformed Block1";
        return COAP_BAD_REQUEST;
    }
}

static void on_event(struct turn *t, const struct coap_message *message, const char **why) {
    struct span name;
    uint32_t format = CONTENT_FORMAT_NONE;
    if (!event_name(t, message, &name)) {
        *why = "an event without a name";
        exchange_settle(t, message);
        return;
    }
    uint8_t refusal = event_refusal(message, why);
    if (refusal != COAP_EMPTY) {
        device_refuse(t, message, refusal);
        return;
    }
    if (on_updates(t, message, name, why)) {
        return;
    }
    struct session_event *event;
    if (message->type == COAP_CON) {
        event = turn_report(t, SESSION_EVENT_PUBLISH, message->id, true);
    } else {
        event = turn_event(t, SESSION_EVENT_PUBLISH);
    }
    if (event == NULL) {
        *why = "too many reports are not confirmed";
        return;
    }
    (void)coap_option_uint(message, COAP_CONTENT_FORMAT, &format);
    event->u.publish.name = name;
    event->u.publish.data = message->payload;
    event->u.publish.content_format = (uint16_t)format;
}

/* --- subscriptions --- */

/* Every device wants the events of the system, and gets them unasked. */
static bool is_for_system(const struct coap_message *message) {
    struct span prefix;
    return !coap_option_at(message, COAP_URI_PATH, 1, &prefix) || span_begins(prefix, "spark") ||
           span_begins(prefix, "particle");
}

static void on_subscribe(struct turn *t, const struct coap_message *message, const char **why) {
    struct span prefix;
    if (!event_name(t, message, &prefix)) {
        *why = "a subscription to nothing";
        exchange_settle(t, message);
        return;
    }
    struct session_event *event =
        turn_report(t, SESSION_EVENT_SUBSCRIBE, message->id, message->type == COAP_CON);
    if (event == NULL) {
        *why = "too many reports are not confirmed";
        return;
    }
    event->u.prefix = prefix;
}

/* --- goodbye --- */

static uint32_t read_varint(struct reader *r) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = reader_u8(r);
        value |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return value <= UINT32_MAX ? (uint32_t)value : UINT32_MAX;
        }
    }
    reader_fail(r, "a number that is too long");
    return 0;
}

static void on_goodbye(struct turn *t, const struct coap_message *message, const char **why) {
    struct reader r = reader_of(message->payload);
    uint32_t flags = message->payload.len > 0 ? read_varint(&r) : 0;
    uint32_t cloud = (flags & GOODBYE_CLOUD) != 0 ? read_varint(&r) : 0;
    uint32_t reset = (flags & GOODBYE_RESET) != 0 ? read_varint(&r) : 0;
    uint32_t sleep_s = (flags & GOODBYE_SLEEP) != 0 ? read_varint(&r) : 0;
    uint32_t network = (flags & GOODBYE_NETWORK) != 0 ? read_varint(&r) : 0;
    if (reader_status(&r) != SW_OK) {
        *why = r.why;
        exchange_settle(t, message);
        return;
    }
    struct session_event *event =
        turn_report(t, SESSION_EVENT_GOODBYE, message->id, message->type == COAP_CON);
    if (event == NULL) {
        *why = "too many reports are not confirmed";
        return;
    }
    event->u.goodbye.cloud_reason = cloud;
    event->u.goodbye.reset_reason = reset;
    event->u.goodbye.sleep_s = sleep_s;
    event->u.goodbye.network_reason = network;
}

/* --- what needs no memory of it --- */

/* The device reads four bytes at a fixed place: header, one byte of token, marker, seconds. One
 * that is not served is told nothing, not even that. */
static void on_time(struct turn *t, const struct coap_message *message, wall_time wall) {
    int64_t seconds = wall.ms / 1000;
    if (message->token.len != 1 || seconds <= 0 || seconds > UINT32_MAX ||
        !t->session->is_trusted) {
        (void)turn_reply(t, message->id, COAP_EMPTY, span_of(NULL, 0), span_of(NULL, 0));
        return;
    }
    uint8_t bytes[4] = {(uint8_t)(seconds >> 24), (uint8_t)(seconds >> 16), (uint8_t)(seconds >> 8),
                        (uint8_t)seconds};
    (void)turn_reply(t, message->id, COAP_CONTENT, message->token, span_of(bytes, sizeof bytes));
}

enum topic {
    TOPIC_HELLO,
    TOPIC_DESCRIBE,
    TOPIC_EVENT,
    TOPIC_GOODBYE,
    TOPIC_MISSING, /* legacy: chunks that are missing */
    TOPIC_CHUNK_ACK,
    TOPIC_TIME,
    TOPIC_SUBSCRIBE,
    TOPIC_LEDGER,
    TOPIC_UNKNOWN
};

static enum topic topic_of(const struct coap_message *message) {
    static const struct {
        uint8_t code;
        char path;
        enum topic topic;
    } topics[] = {
        {COAP_POST, 'h', TOPIC_HELLO},     {COAP_POST, 'd', TOPIC_DESCRIBE},
        {COAP_POST, 'E', TOPIC_EVENT},     {COAP_POST, 'e', TOPIC_EVENT},
        {COAP_POST, 'x', TOPIC_GOODBYE},   {COAP_GET, 'c', TOPIC_MISSING},
        {COAP_POST, 'A', TOPIC_CHUNK_ACK}, {COAP_GET, 't', TOPIC_TIME},
        {COAP_GET, 'e', TOPIC_SUBSCRIBE},  {COAP_POST, 'L', TOPIC_LEDGER},
    };
    for (size_t i = 0; i < SW_COUNT(topics); i++) {
        if (message->code == topics[i].code && coap_path_is(message, topics[i].path)) {
            return topics[i].topic;
        }
    }
    return TOPIC_UNKNOWN;
}

bool device_needs_work(const struct coap_message *message) {
    if (message->type != COAP_CON && message->type != COAP_NON) {
        return false;
    }
    if (message->code >= COAP_CODE(2, 0)) {
        return message->type == COAP_CON;
    }
    switch (topic_of(message)) {
    case TOPIC_HELLO:
    case TOPIC_DESCRIBE:
    case TOPIC_EVENT:
    case TOPIC_GOODBYE:
        return true;
    case TOPIC_SUBSCRIBE:
        return !is_for_system(message);
    case TOPIC_MISSING:
    case TOPIC_CHUNK_ACK:
    case TOPIC_TIME:
    case TOPIC_LEDGER:
    case TOPIC_UNKNOWN:
        break;
    }
    return false;
}

void device_request(struct turn *t, const struct coap_message *message, wall_time wall,
                    const char **why) {
    bool is_con = message->type == COAP_CON;
    enum topic topic = topic_of(message);
    /* A device speaks of nothing else before its Hello was acknowledged; one that does is not
     * following Device OS, and nothing that it says has an owner yet. */
    if (!t->session->is_known && topic != TOPIC_HELLO && topic != TOPIC_TIME) {
        *why = "before the Hello";
        return;
    }
    switch (topic) {
    case TOPIC_HELLO:
        if (is_con) {
            on_hello(t, message, why);
        }
        return;
    case TOPIC_DESCRIBE:
        describe_posted(t, message, why);
        return;
    case TOPIC_EVENT:
        on_event(t, message, why);
        return;
    case TOPIC_GOODBYE:
        on_goodbye(t, message, why);
        return;
    case TOPIC_MISSING:
        update_missing(t, message);
        break;
    case TOPIC_CHUNK_ACK:
        update_chunk_acked(t, message);
        break;
    case TOPIC_TIME:
        if (is_con) {
            on_time(t, message, wall);
        }
        return;
    case TOPIC_LEDGER:
        device_refuse(t, message, COAP_NOT_FOUND);
        return;
    case TOPIC_SUBSCRIBE:
        if (!is_for_system(message)) {
            on_subscribe(t, message, why);
            return;
        }
        break;
    case TOPIC_UNKNOWN:
        *why = "a request that is not known";
        break;
    }
    if (is_con) {
        (void)turn_reply(t, message->id, COAP_EMPTY, span_of(NULL, 0), span_of(NULL, 0));
    }
}
