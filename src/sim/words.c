/* What a device says of its own accord. Only the kind and an argument of each word are kept while
 * it awaits its acknowledgement: its bytes are made anew for every transmission, as the state that
 * they tell does not change meanwhile. */
#include "sim/internal.h"
#include "slipway/coap/block.h"
#include "slipway/util/check.h"
#include "slipway/util/text.h"

#define HELLO_FLAGS 0x0036 /* diagnostics, immediate updates, goodbye, describes */
#define HELLO_V3    0x00C0 /* that, and compressed modules */

static const char *const subscriptions[] = {"particle", "spark", SIM_EVENTS};

void device_send(struct sim_device *device, struct span message, struct outbox *out) {
    uint8_t *room = outbox_begin(out, DTLS_RECORD_MAX);
    if (room == NULL) {
        return; /* lost, like any datagram: retransmission covers it */
    }
    struct writer w = writer_of(room, DTLS_RECORD_MAX);
    int status = device->is_moved ? dtls_seal_moved(device->config.crypto, &device->session,
                                                    DTLS_APPLICATION_DATA, message, &w)
                                  : dtls_seal(device->config.crypto, &device->session,
                                              DTLS_APPLICATION_DATA, message, &w);
    if (status == SW_OK) {
        device->datagrams_out++;
        outbox_commit(out, writer_span(&w).len);
    }
}

void device_send_bare(struct sim_device *device, uint8_t type, uint16_t id, struct outbox *out) {
    uint8_t bytes[4];
    struct writer w = writer_of(bytes, sizeof bytes);
    (void)coap_begin(&w, type, COAP_EMPTY, id, span_of(NULL, 0));
    device_send(device, writer_span(&w), out);
}

static void put_text(struct coap_writer *w, uint16_t number, const char *text) {
    coap_put(w, number, span_text(text));
}

static struct coap_writer begin_event(struct writer *out, uint16_t id, const char *name) {
    struct coap_writer w = coap_begin(out, COAP_CON, COAP_POST, id, span_of(NULL, 0));
    put_text(&w, COAP_URI_PATH, "E");
    put_text(&w, COAP_URI_PATH, name);
    return w;
}

static void write_event(struct writer *out, uint16_t id, const char *name, const char *data) {
    struct coap_writer w = begin_event(out, id, name);
    coap_put_payload(&w, span_text(data));
}

static void write_hello(const struct sim_device *device, struct writer *out, uint16_t id) {
    uint8_t bytes[32];
    struct writer hello = writer_of(bytes, sizeof bytes);
    writer_u16(&hello, device->config.platform_id); /* in the place of a product id since 4.0 */
    writer_u16(&hello, device->firmware.product_version);
    writer_u16(&hello, device->config.is_legacy ? HELLO_FLAGS : HELLO_FLAGS | HELLO_V3);
    writer_u16(&hello, device->config.platform_id);
    writer_u8(&hello, 0);
    writer_u8(&hello, DEVICE_ID_BYTES);
    writer_bytes(&hello, span_of(device->config.id.b, DEVICE_ID_BYTES));
    writer_u16(&hello, device->system_version);
    writer_u16(&hello, SIM_MESSAGE_MAX);
    writer_u32(&hello, device->config.binary_max);
    writer_u16(&hello, RECEIVER_CHUNK_MIN);
    struct coap_writer w = coap_begin(out, COAP_CON, COAP_POST, id, span_of(NULL, 0));
    put_text(&w, COAP_URI_PATH, "h");
    coap_put_payload(&w, writer_span(&hello));
}

static struct span describe_bytes(const struct sim_device *device, bool is_system, uint8_t *out) {
    size_t len = is_system ? device_describe_system(device, out, SIM_APPLICATION_MAX)
                           : device_describe_application(device, out, SIM_APPLICATION_MAX);
    return span_of(out, len);
}

/* The part of a Describe that is block `number`, and whether others follow. */
static struct span block_of(struct span whole, uint32_t number, struct coap_block *block) {
    size_t at = (size_t)number * SIM_BLOCK_BYTES;
    SW_CHECK(at <= whole.len);
    size_t left = whole.len - at;
    *block = (struct coap_block){
        .number = number, .is_more = left > SIM_BLOCK_BYTES, .bytes = SIM_BLOCK_BYTES};
    return span_of(whole.data + at, left < SIM_BLOCK_BYTES ? left : SIM_BLOCK_BYTES);
}

static void write_describe(const struct sim_device *device, struct writer *out,
                           const struct sim_word *word) {
    bool is_system = word->kind == WORD_DESCRIBE_SYSTEM;
    uint8_t bytes[SIM_APPLICATION_MAX];
    struct coap_block block;
    struct span whole = describe_bytes(device, is_system, bytes);
    struct span part = block_of(whole, word->argument, &block);
    struct coap_writer w = coap_begin(out, COAP_CON, COAP_POST, word->id, span_of(&word->token, 1));
    put_text(&w, COAP_URI_PATH, "d");
    if (is_system) {
        coap_put_uint(&w, COAP_CONTENT_FORMAT, 42);
    }
    coap_put(&w, COAP_URI_QUERY, span_of(is_system ? "\1" : "\2", 1));
    if (whole.len > SIM_BLOCK_BYTES) {
        coap_put_uint(&w, COAP_BLOCK1, coap_block_value(&block));
    }
    coap_put_payload(&w, part);
}

static void write_describe_answer(const struct sim_device *device, struct writer *out,
                                  const struct sim_word *word) {
    uint32_t kind = word->argument >> 16;
    uint8_t bytes[SIM_APPLICATION_MAX];
    struct coap_block block;
    /* Metrics: the sizes of ids and values, then uptime 60 s, Wi-Fi at 75 %, 40,000 bytes of RAM in
     * use, and a battery that cannot be read (-120). */
    static const uint8_t metrics[] = {0,  4,    0,    2, 0, 4, 0,    6,    0,    60,   0,   0, 0,
                                      36, 0,    1,    0, 0, 0, 33,   0,    0,    75,   0,   0, 26,
                                      0,  0x40, 0x9c, 0, 0, 3, 0x80, 0x88, 0xff, 0xff, 0xff};
    struct span whole = span_of(metrics, sizeof metrics);
    if (kind != 4) {
        whole = describe_bytes(device, kind == 1, bytes);
    }
    struct span part = block_of(whole, word->argument & 0xffff, &block);
    struct coap_writer w =
        coap_begin(out, COAP_CON, COAP_CONTENT, word->id, span_of(&word->token, 1));
    if (kind == 1) {
        coap_put_uint(&w, COAP_CONTENT_FORMAT, 42);
    }
    if (whole.len > SIM_BLOCK_BYTES) {
        coap_put_uint(&w, COAP_BLOCK2, coap_block_value(&block));
    }
    coap_put_payload(&w, part);
}

static struct coap_writer begin_answer(struct writer *out, uint8_t code,
                                       const struct sim_word *word) {
    return coap_begin(out, COAP_CON, code, word->id, span_of(&word->token, 1));
}

static void write_error(struct writer *out, const struct sim_word *word) {
    char json[96];
    int error = -(int)word->argument;
    struct text text = text_of(json, sizeof json);
    text_add(&text, "{\"code\":");
    text_add_number(&text, error);
    text_add(&text, ",\"message\":\"");
    text_add(&text, sim_error_text(error));
    text_add(&text, "\"}");
    uint8_t code = error == SIM_ERROR_TOO_LARGE ? COAP_BAD_REQUEST : COAP_UNAVAILABLE;
    struct coap_writer w = begin_answer(out, code, word);
    coap_put_payload(&w, span_text(json));
}

static void write_finish(const struct sim_device *device, struct writer *out,
                         const struct sim_word *word) {
    char json[160];
    struct text text = text_of(json, sizeof json);
    text_add(&text, "{\"recv_chunks\":");
    text_add_number(&text, device->receiver.received);
    text_add(&text, ",\"dup_chunks\":");
    text_add_number(&text, device->receiver.duplicates);
    text_add(&text, ",\"ooo_chunks\":");
    text_add_number(&text, device->receiver.out_of_order);
    text_add(&text, ",\"sent_acks\":");
    text_add_number(&text, device->receiver.acks);
    text_add(&text, ",\"proc_time\":1}");
    struct coap_writer w = begin_answer(out, COAP_CHANGED, word);
    coap_put_payload(&w, span_text(json));
}

static void write_variable(const struct sim_device *device, struct writer *out,
                           const struct sim_word *word) {
    if (word->argument == 0) {
        (void)begin_answer(out, COAP_NOT_FOUND, word);
        return;
    }
    uint8_t bytes[4];
    struct writer value = writer_of(bytes, sizeof bytes);
    writer_u32(&value, device->boots);
    struct coap_writer w = begin_answer(out, COAP_CONTENT, word);
    coap_put_payload(&w, writer_span(&value));
}

static void write_word(const struct sim_device *device, struct writer *out,
                       const struct sim_word *word) {
    struct coap_writer w;
    uint8_t number[4], missing[128];
    struct writer value = writer_of(number, sizeof number);
    switch ((enum sim_word_kind)word->kind) {
    case WORD_HELLO:
        write_hello(device, out, word->id);
        break;
    case WORD_PING:
        (void)coap_begin(out, COAP_CON, COAP_EMPTY, word->id, span_of(NULL, 0));
        break;
    case WORD_DESCRIBE_SYSTEM:
    case WORD_DESCRIBE_APPLICATION:
        write_describe(device, out, word);
        break;
    case WORD_TIME:
        w = coap_begin(out, COAP_CON, COAP_GET, word->id, span_of(&word->token, 1));
        put_text(&w, COAP_URI_PATH, "t");
        break;
    case WORD_SAFE_MODE:
        (void)begin_event(out, word->id, "spark/device/safemode");
        break;
    case WORD_LAST_RESET:
        write_event(out, word->id, "spark/device/last_reset", device->last_reset);
        break;
    case WORD_ENABLED:
        write_event(out, word->id, "particle/device/updates/enabled",
                    word->argument != 0 ? "true" : "false");
        break;
    case WORD_FORCED:
        write_event(out, word->id, "particle/device/updates/forced",
                    word->argument != 0 ? "true" : "false");
        break;
    case WORD_SUBSCRIBE:
        w = coap_begin(out, COAP_CON, COAP_GET, word->id, span_of(NULL, 0));
        put_text(&w, COAP_URI_PATH, "e");
        put_text(&w, COAP_URI_PATH, subscriptions[word->argument % SW_COUNT(subscriptions)]);
        break;
    case WORD_ANSWER_DESCRIBE:
        write_describe_answer(device, out, word);
        break;
    case WORD_ANSWER_FUNCTION:
        writer_u32(&value, word->argument);
        w = begin_answer(out, COAP_CHANGED, word);
        coap_put_payload(&w, writer_span(&value));
        break;
    case WORD_ANSWER_VARIABLE:
        write_variable(device, out, word);
        break;
    case WORD_ANSWER_READY:
        w = begin_answer(out, COAP_CHANGED, word);
        coap_put_payload(&w, span_of(device->config.is_slow ? "\0" : "\1", 1));
        break;
    case WORD_ANSWER_CHUNK:
        (void)begin_answer(out, word->argument != 0 ? COAP_CHANGED : COAP_BAD_REQUEST, word);
        break;
    case WORD_MISSING:
        w = coap_begin(out, COAP_CON, COAP_GET, word->id, span_of(NULL, 0));
        put_text(&w, COAP_URI_PATH, "c");
        coap_put_payload(&w, span_of(missing, legacy_missing(device, missing, sizeof missing)));
        break;
    case WORD_ANSWER_START:
        w = begin_answer(out, COAP_CREATED, word);
        coap_put_uint(&w, COAP_WINDOW_SIZE, device->receiver.window);
        coap_put_uint(&w, COAP_FILE_SIZE, device->receiver.offset);
        break;
    case WORD_ANSWER_FINISH:
        write_finish(device, out, word);
        break;
    case WORD_ANSWER_CANCEL:
        (void)begin_answer(out, COAP_CHANGED, word);
        break;
    case WORD_ANSWER_ERROR:
    case WORD_ANSWER_LAST_ERROR:
        write_error(out, word);
        break;
    case WORD_FREE:
        SW_CHECK(false);
    }
}

void device_retransmit(struct sim_device *device, struct sim_word *word, struct outbox *out) {
    uint8_t bytes[SIM_MESSAGE_MAX];
    struct writer w = writer_of(bytes, sizeof bytes);
    write_word(device, &w, word);
    SW_CHECK(writer_status(&w) == SW_OK);
    device_send(device, writer_span(&w), out);
}

static bool has_own_token(enum sim_word_kind kind) {
    return kind == WORD_DESCRIBE_SYSTEM || kind == WORD_DESCRIBE_APPLICATION || kind == WORD_TIME;
}

void device_say(struct sim_device *device, enum sim_word_kind kind, uint32_t argument,
                uint8_t token, mono_time now, struct outbox *out) {
    struct sim_word *word = NULL;
    for (size_t i = 0; i < SIM_WORDS_MAX && word == NULL; i++) {
        word = device->words[i].kind == WORD_FREE ? &device->words[i] : NULL;
    }
    if (word == NULL) {
        device_violation(device, "more requests at once than a device can answer", SIM_WORDS_MAX);
        return;
    }
    *word = (struct sim_word){.kind = (uint8_t)kind,
                              .id = ++device->coap_id,
                              .argument = argument,
                              .token = has_own_token(kind) ? device->coap_token++ : token};
    if (kind == WORD_TIME) {
        device->time_id = word->id;
    }
    coap_retry_start(&word->retry, (uint16_t)rng_below(&device->rng, 65536), now);
    device_retransmit(device, word, out);
}

bool device_awaits(const struct sim_device *device) {
    for (size_t i = 0; i < SIM_WORDS_MAX; i++) {
        if (device->words[i].kind != WORD_FREE) {
            return true;
        }
    }
    return false;
}

void device_forget_words(struct sim_device *device) {
    memset(device->words, 0, sizeof device->words);
}
