/* What the server says. Device OS recognises a message by its code and by one character at a fixed
 * place, and much that RFC 7252 allows ends a session or worse; a server that relies on such a
 * thing is told so here by a counted violation. */
#include "sim/internal.h"
#include "slipway/coap/block.h"
#include "slipway/util/check.h"
#include "slipway/util/writer.h"

#define REPLY_KEPT_MS 45000

static bool is_con(const struct coap_message *message) {
    return message->type == COAP_CON;
}

static void send_reply(struct sim_device *device, const struct sim_reply *reply,
                       struct outbox *out) {
    uint8_t bytes[256];
    struct writer w = writer_of(bytes, sizeof bytes);
    struct span token = span_of(&reply->token, reply->code != COAP_EMPTY ? 1 : 0);
    struct coap_writer ack = coap_begin(&w, COAP_ACK, reply->code, reply->id, token);
    if (reply->text != NULL) {
        coap_put_payload(&ack, span_text(reply->text));
    }
    if (writer_status(&w) == SW_OK) {
        device_send(device, writer_span(&w), out);
    }
}

void device_acknowledge(struct sim_device *device, const struct coap_message *request, uint8_t code,
                        const char *text, mono_time now, struct outbox *out) {
    if (!is_con(request)) {
        return;
    }
    struct sim_reply *reply = &device->replies[device->reply_next];
    device->reply_next = (uint8_t)((device->reply_next + 1) % SIM_REPLIES_MAX);
    *reply = (struct sim_reply){.id = request->id,
                                .code = code,
                                .token = request->token.len == 1 ? request->token.data[0] : 0,
                                .text = text,
                                .until = mono_add_ms(now, REPLY_KEPT_MS)};
    send_reply(device, reply, out);
}

static bool repeat_reply(struct sim_device *device, const struct coap_message *request,
                         mono_time now, struct outbox *out) {
    for (size_t i = 0; i < SIM_REPLIES_MAX; i++) {
        const struct sim_reply *reply = &device->replies[i];
        if (reply->id == request->id && !mono_reached(now, reply->until)) {
            send_reply(device, reply, out);
            return true;
        }
    }
    return false;
}

static void take_time(struct sim_device *device, const struct coap_message *message) {
    /* The device reads four bytes behind a header, a 1-byte token and a payload marker, blindly. */
    bool is_answer = message->type == COAP_ACK && message->id == device->time_id;
    if (!is_answer) {
        device_violation(device, "a 2.05 that it did not ask for: its clock is now wrong",
                         message->id);
    } else if (message->token.len != 1 || message->option_count != 0 || message->payload.len != 4) {
        device_violation(device, "a time answer that is not a 1-byte token and 4 bytes",
                         (int64_t)message->payload.len);
    } else {
        device->has_time = true;
    }
}

static void take_ack(struct sim_device *device, const struct coap_message *message, mono_time now,
                     struct outbox *out) {
    unsigned class = message->code >> 5;
    if (class != 0 && class != 2 && class != 4 && class != 5) {
        device_violation(device, "an acknowledgement with a code of an unknown class", class);
        device_lose(device, true, now);
        return;
    }
    if (message->code == COAP_CONTENT) {
        take_time(device, message);
    }
    for (size_t i = 0; i < SIM_WORDS_MAX; i++) {
        struct sim_word *word = &device->words[i];
        if (word->kind != WORD_FREE && word->id == message->id) {
            struct sim_word done = *word;
            *word = (struct sim_word){.kind = WORD_FREE};
            device_acknowledged(device, &done, now, out);
            return;
        }
    }
}

/* "true" and "false" are the only payloads that mean what they say. */
static bool read_flag(struct sim_device *device, struct span payload, bool *value) {
    if (payload.len == 0) {
        device_violation(device, "an updates event without a payload: it crashes here", 0);
        return false;
    }
    *value = span_is_text(payload, "true");
    if (!*value && !span_is_text(payload, "false")) {
        device_violation(device, "an updates event that is neither true nor false",
                         (int64_t)payload.len);
        return false;
    }
    return true;
}

static void take_event(struct sim_device *device, const struct coap_message *message, mono_time now,
                       struct outbox *out) {
    struct span name = {NULL, 0};
    bool value;
    device_acknowledge(device, message, COAP_EMPTY, NULL, now, out);
    if (!coap_option_at(message, COAP_URI_PATH, 1, &name)) {
        device_violation(device, "an event without a name", 0);
    } else if (span_is_text(name, "particle/device/updates/pending")) {
        if (read_flag(device, message->payload, &value)) {
            device->updates_pending = value;
            device->news |= SIM_NEWS_PENDING;
        }
    } else if (span_is_text(name, "particle/device/updates/forced")) {
        if (read_flag(device, message->payload, &value) && value != device->updates_forced) {
            device->updates_forced = value;
            device_say(device, WORD_FORCED, value ? 1 : 0, 0, now, out);
        }
    } else if (span_is_text(name, "spark/device/reset")) {
        sim_device_reboot(device, now);
    } else if (span_is_text(name, "spark/device/key/restore")) {
        device_violation(device, "key/restore: it would leave for another cloud", 0);
    } else if (span_begins(name, SIM_EVENTS)) {
        device->events++;
    }
}

/* A request that needs its 1-byte token to be answered; anything else breaks the connection. */
static bool has_token(struct sim_device *device, const struct coap_message *message, mono_time now,
                      const char *what) {
    if (message->token.len == 1) {
        return true;
    }
    device_violation(device, what, (int64_t)message->token.len);
    device_lose(device, true, now);
    return false;
}

static void take_describe(struct sim_device *device, const struct coap_message *message,
                          mono_time now, struct outbox *out) {
    struct span query;
    struct coap_block block = {.number = 0};
    bool has_query = coap_option_at(message, COAP_URI_QUERY, 0, &query) && query.len == 1;
    if (message->token.len != 1 || !has_query) {
        device_violation(device, "GET /d without its one byte of query or token", message->id);
        device_acknowledge(device, message, COAP_BAD_REQUEST, NULL, now, out);
        return;
    }
    uint8_t kind = query.data[0];
    if (kind != 1 && kind != 2 && kind != 4) {
        device_violation(device, "GET /d for several descriptions at once", kind);
        device_lose(device, true, now);
        return;
    }
    device_acknowledge(device, message, COAP_EMPTY, NULL, now, out);
    if (coap_block_get(message, COAP_BLOCK2, &block) == SW_E_INPUT) {
        device_violation(device, "a malformed Block2", message->id);
        return;
    }
    uint8_t bytes[SIM_APPLICATION_MAX];
    size_t whole = kind == 1   ? device_describe_system(device, bytes, sizeof bytes)
                   : kind == 2 ? device_describe_application(device, bytes, sizeof bytes)
                               : 7;
    if ((size_t)block.number * SIM_BLOCK_BYTES >= whole) {
        device_violation(device, "GET /d for a block that does not exist", block.number);
        return;
    }
    device_say(device, WORD_ANSWER_DESCRIBE, (uint32_t)kind << 16 | block.number,
               message->token.data[0], now, out);
}

static void take_function(struct sim_device *device, const struct coap_message *message,
                          mono_time now, struct outbox *out) {
    struct span name, argument;
    if (!has_token(device, message, now, "a function call without a 1-byte token")) {
        return;
    }
    device_acknowledge(device, message, COAP_EMPTY, NULL, now, out);
    if (!coap_option_at(message, COAP_URI_PATH, 1, &name) ||
        !coap_option_at(message, COAP_URI_QUERY, 0, &argument)) {
        device_violation(device, "a function call without a name or argument", message->id);
        return;
    }
    if (span_is_text(name, "echo") && !sim_device_is_safe_mode(device)) {
        device_say(device, WORD_ANSWER_FUNCTION, (uint32_t)argument.len, message->token.data[0],
                   now, out);
    } /* else nothing: real devices leave unknown functions without an answer */
}

static void take_variable(struct sim_device *device, const struct coap_message *message,
                          mono_time now, struct outbox *out) {
    struct span name;
    if (!has_token(device, message, now, "a variable read without a 1-byte token")) {
        return;
    }
    device_acknowledge(device, message, COAP_EMPTY, NULL, now, out);
    bool is_known = coap_option_at(message, COAP_URI_PATH, 1, &name) && span_is_text(name, "boots");
    device_say(device, WORD_ANSWER_VARIABLE, is_known ? 1 : 0, message->token.data[0], now, out);
}

static void take_key_change(struct sim_device *device, const struct coap_message *message,
                            mono_time now, struct outbox *out) {
    device_acknowledge(device, message, COAP_EMPTY, NULL, now, out);
    device_lose(device, false, now);
}

static void take_signal(struct sim_device *device, const struct coap_message *message,
                        mono_time now, struct outbox *out) {
    if (has_token(device, message, now, "a signal without a 1-byte token")) {
        device_acknowledge(device, message, COAP_CHANGED, NULL, now, out);
    }
}

typedef void take_fn(struct sim_device *device, const struct coap_message *message, mono_time now,
                     struct outbox *out);

static void take_server_hello(struct sim_device *device, const struct coap_message *message,
                              mono_time now, struct outbox *out) {
    device_acknowledge(device, message, COAP_EMPTY, NULL, now, out);
}

static take_fn *request_for(uint8_t code, char path) {
    static const struct {
        uint8_t code;
        char path;
        take_fn *take;
    } requests[] = {
        {COAP_GET, 'v', take_variable},         {COAP_GET, 'd', take_describe},
        {COAP_POST, 'E', take_event},           {COAP_POST, 'e', take_event},
        {COAP_POST, 'h', take_server_hello},    {COAP_POST, 'f', take_function},
        {COAP_POST, 'S', device_update_start},  {COAP_POST, 'C', device_update_chunk},
        {COAP_POST, 'F', device_update_finish}, {COAP_POST, 'u', legacy_begin},
        {COAP_POST, 'c', legacy_chunk},         {COAP_PUT, 'u', legacy_done},
        {COAP_PUT, 'k', take_key_change},       {COAP_PUT, 's', take_signal},
    };
    for (size_t i = 0; i < SW_COUNT(requests); i++) {
        if (requests[i].code == code && requests[i].path == path) {
            return requests[i].take;
        }
    }
    return NULL;
}

static void take_request(struct sim_device *device, const struct coap_message *message,
                         mono_time now, struct outbox *out) {
    if (message->code == COAP_CONTENT) {
        take_time(device, message);
        return;
    }
    if (message->code == COAP_EMPTY) {
        if (is_con(message)) {
            device_acknowledge(device, message, COAP_EMPTY, NULL, now, out);
        }
        return;
    }
    if (message->code > COAP_DELETE) {
        device_violation(device, "a response that no request of the device awaits", message->code);
        return;
    }
    if (message->option_count == 0 || message->options[0].number != COAP_URI_PATH ||
        message->options[0].value.len != 1) {
        device_violation(device, "a request whose first option is not a path of one character",
                         message->code);
        return;
    }
    if (message->token.len > 1) {
        device_violation(device, "a token longer than one byte", (int64_t)message->token.len);
        return;
    }
    take_fn *take = request_for(message->code, (char)message->options[0].value.data[0]);
    if (take == NULL) {
        device_violation(device, "a request that the device does not know",
                         message->options[0].value.data[0]);
        return;
    }
    take(device, message, now, out);
}

static bool is_hello_ack(const struct sim_device *device, const struct coap_message *message) {
    for (size_t i = 0; i < SIM_WORDS_MAX; i++) {
        const struct sim_word *word = &device->words[i];
        if (word->kind == WORD_HELLO && word->id == message->id) {
            return message->type == COAP_ACK;
        }
    }
    return false;
}

void device_dispatch(struct sim_device *device, struct span bytes, mono_time now,
                     struct outbox *out) {
    struct coap_message message;
    const char *why;
    if (bytes.len > SIM_MESSAGE_MAX) {
        device_violation(device, "a message longer than its buffer", (int64_t)bytes.len);
        return;
    }
    if (coap_decode(bytes, &message, &why) != SW_OK) {
        device_violation(device, why != NULL ? why : "a malformed message", (int64_t)bytes.len);
        return;
    }
    if (message.type == COAP_RST) {
        device_violation(device, "an RST: it discards the session", message.id);
        device_lose(device, false, now);
        return;
    }
    if (device->state == SIM_GREETING && !is_hello_ack(device, &message)) {
        device_stray(device, "a message before its Hello was acknowledged", message.code);
        return;
    }
    if (message.type == COAP_ACK) {
        take_ack(device, &message, now, out);
        return;
    }
    if (device->erased_at.us != MONO_NEVER.us) {
        return; /* busy erasing: a request is as good as lost, and nothing but UpdateStart's answer
                   comes before the answer to what follows it */
    }
    if (is_con(&message) && repeat_reply(device, &message, now, out)) {
        return;
    }
    take_request(device, &message, now, out);
}
