/* A simulated device's life: power, connections, sessions that are resumed or made anew, and the
 * timers of all that. The rules are those of Device OS 6.2: a session survives everything but a
 * loss of power, three fruitless resumes, or a message that nobody acknowledged. */
#include "sim/device.h"

#include "sim/internal.h"
#include "slipway/crypto/secret.h"
#include "slipway/util/check.h"
#include "slipway/util/text.h"

#define SESSION_USES_MAX 3
#define PING_ANSWER_MS   30000
#define BACKOFF_MS       1000
#define BACKOFF_MS_MAX   128000
#define BACKOFF_STEP     5 /* attempts before the wait doubles */
#define SESSION_CID      8

#define ENDS (FSM_NEXT(SIM_OFF) | FSM_NEXT(SIM_CLOSED))

static const struct fsm_state states[SIM_STATES] = {
    [SIM_OFF] = {.name = "off",
                 .next = FSM_NEXT(SIM_WAITING) | FSM_NEXT(SIM_CONNECTING) | FSM_NEXT(SIM_GREETING) |
                         FSM_NEXT(SIM_INTRODUCING) | ENDS},
    [SIM_WAITING] = {.name = "waiting",
                     .next = FSM_NEXT(SIM_WAITING) | FSM_NEXT(SIM_CONNECTING) |
                             FSM_NEXT(SIM_GREETING) | FSM_NEXT(SIM_INTRODUCING) | ENDS,
                     .needs_timer = true},
    [SIM_CONNECTING] = {.name = "connecting",
                        .next = FSM_NEXT(SIM_GREETING) | FSM_NEXT(SIM_WAITING) | ENDS,
                        .needs_timer = true},
    [SIM_GREETING] = {.name = "greeting",
                      .next = FSM_NEXT(SIM_INTRODUCING) | FSM_NEXT(SIM_WAITING) | ENDS,
                      .needs_timer = true},
    [SIM_INTRODUCING] = {.name = "introducing",
                         .next = FSM_NEXT(SIM_CONNECTED) | FSM_NEXT(SIM_WAITING) | ENDS,
                         .needs_timer = true},
    [SIM_CONNECTED] = {.name = "connected",
                       .next = FSM_NEXT(SIM_WAITING) | ENDS,
                       .needs_timer = true},
    [SIM_CLOSED] = {.name = "closed", .is_final = true},
};

const struct fsm sim_device_fsm = {.name = "device", .states = states, .count = SIM_STATES};

static void device_move(struct sim_device *device, enum sim_state state) {
    fsm_check(&sim_device_fsm, device->state, state);
    device->state = (uint8_t)state;
}

const char *sim_device_state_name(const struct sim_device *device) {
    return states[device->state].name;
}

void device_violation(struct sim_device *device, const char *what, int64_t number) {
    if (device->violations++ == 0) {
        struct text text = text_of(device->violation, sizeof device->violation);
        text_add(&text, what);
        text_add(&text, " (");
        text_add_number(&text, number);
        text_add(&text, ")");
    }
    device->news |= SIM_NEWS_VIOLATION;
}

void device_stray(struct sim_device *device, const char *what, int64_t number) {
    device->strays++;
    if (device->config.link_is_clean) {
        device_violation(device, what, number);
    }
}

static void end_handshake(struct sim_device *device) {
    if (device->endpoint != NULL) {
        dtls_handshake_close(&device->handshake);
        dtls_endpoint_free(device->endpoint);
        device->endpoint = NULL;
    }
}

static void forget_session(struct sim_device *device) {
    crypto_wipe(&device->session, sizeof device->session);
    device->has_session = false;
    device->session_uses = 0;
    device->announced_system = 0;
    device->announced_application = 0;
    device->announced_subscriptions = false;
}

/* Everything that belongs to one connection. */
static void drop_connection(struct sim_device *device) {
    if (device->state == SIM_CONNECTED || device->state == SIM_INTRODUCING) {
        device->news |= SIM_NEWS_LOST;
    }
    end_handshake(device);
    device_update_stop(device, false);
    device_forget_words(device);
    memset(device->replies, 0, sizeof device->replies);
    device->has_introduced_application = false;
    device->is_moved = false;
}

static int64_t backoff_ms(const struct sim_device *device) {
    unsigned doublings = device->failures / BACKOFF_STEP;
    int64_t wait_ms = doublings < 8 ? (int64_t)BACKOFF_MS << doublings : BACKOFF_MS_MAX;
    return wait_ms < BACKOFF_MS_MAX ? wait_ms : BACKOFF_MS_MAX;
}

void device_lose(struct sim_device *device, bool keeps_session, mono_time now) {
    if (device->state == SIM_OFF || device->state == SIM_WAITING || device->state == SIM_CLOSED) {
        return;
    }
    drop_connection(device);
    if (!keeps_session) {
        forget_session(device);
    }
    device->state_at = mono_add_ms(now, backoff_ms(device));
    if (device->failures < UINT8_MAX) {
        device->failures++;
    }
    device_move(device, SIM_WAITING);
}

void sim_device_init(struct sim_device *device, const struct sim_device_config *config) {
    memset(device, 0, sizeof *device);
    device->config = *config;
    struct sim_device_config *c = &device->config;
    c->ping_ms = c->ping_ms != 0 ? c->ping_ms : 25000;
    c->reboot_ms = c->reboot_ms != 0 ? c->reboot_ms : 1000;
    c->erase_ms = c->erase_ms != 0 ? c->erase_ms : 50;
    c->asset_cap = c->asset_cap != 0 ? c->asset_cap : 1114112;
    c->function_count = c->function_count != 0 ? c->function_count : 1;
    SW_CHECK(c->binary_max <= c->flash_cap);
    rng_seed(&device->rng, c->seed);
    device->firmware = c->firmware;
    device->system_version = c->system_version;
    device->bootloader_version = 3100;
    device->flash = (struct sim_flash){.data = c->flash, .cap = c->flash_cap};
    device->last_reset = "power_down";
    device->state_at = MONO_NEVER;
    device->erased_at = MONO_NEVER;
    device->reset_at = MONO_NEVER;
    device->legacy.silence_at = MONO_NEVER;
}

void sim_device_close(struct sim_device *device) {
    end_handshake(device);
    crypto_wipe(&device->session, sizeof device->session);
    device_move(device, SIM_CLOSED);
}

/* What follows each beginning, of a session or of its resumption. */
static void tell_state(struct sim_device *device, mono_time now, struct outbox *out) {
    if (sim_device_is_safe_mode(device)) {
        device_say(device, WORD_SAFE_MODE, 0, 0, now, out);
    }
    if (!device->has_told_reset) {
        device_say(device, WORD_LAST_RESET, 0, 0, now, out);
    }
    device_say(device, WORD_ENABLED, device->updates_enabled ? 1 : 0, 0, now, out);
    device_say(device, WORD_FORCED, device->updates_forced ? 1 : 0, 0, now, out);
}

static void resume(struct sim_device *device, mono_time now, struct outbox *out) {
    device->resumes++;
    device->session_uses++;
    device->is_moved = true;
    if (device->announced_system != device_system_checksum(device)) {
        device->announced_system = 0;
        device->announced_application = 0;
        device->announced_subscriptions = false;
        device_move(device, SIM_GREETING);
        device_say(device, WORD_HELLO, 0, 0, now, out);
        return;
    }
    device_move(device, SIM_INTRODUCING);
    device_say(device, WORD_PING, 0, 0, now, out);
    if (!device->has_time) {
        device_say(device, WORD_TIME, 0, 0, now, out);
    }
    tell_state(device, now, out);
}

static void shake_hands(struct sim_device *device, mono_time now, struct outbox *out) {
    struct dtls_endpoint_config config = {
        .key = device->config.key, .pinned = device->config.pinned, .cid_form = DTLS_CID_DRAFT05};
    uint8_t entropy[DTLS_HANDSHAKE_ENTROPY];
    rng_fill(&device->rng, entropy, sizeof entropy);
    forget_session(device);
    device->handshakes++;
    device->handshake_problem = NULL;
    device->coap_token = (uint8_t)rng_below(&device->rng, 256);
    device_move(device, SIM_CONNECTING);
    device->endpoint = dtls_endpoint_new(&config);
    if (device->endpoint == NULL ||
        dtls_handshake_connect(&device->handshake, device->endpoint, entropy, now, out) != SW_OK) {
        device->handshake_problem = "the handshake could not be started";
        device_lose(device, false, now);
    }
}

static void connect(struct sim_device *device, mono_time now, struct outbox *out) {
    device->socket++;
    device->heard = now;
    device->pinged = (mono_time){.us = INT64_MIN};
    if (device->has_session && device->session_uses < SESSION_USES_MAX) {
        resume(device, now, out);
    } else {
        shake_hands(device, now, out);
    }
}

void sim_device_boot(struct sim_device *device, mono_time now, struct outbox *out) {
    SW_CHECK(device->state == SIM_OFF);
    device->is_asleep = false;
    device->state_at = MONO_NEVER;
    device->boots++;
    device->updates_enabled = !device->config.disables_updates;
    device->updates_forced = false;
    device->updates_pending = false;
    device->has_time = false;
    device->has_told_reset = false;
    device->failures = 0;
    device->news |= SIM_NEWS_BOOTED;
    device_update_install(device);
    connect(device, now, out);
}

static void turn_off(struct sim_device *device, int64_t off_ms, mono_time now) {
    if (device->state == SIM_CLOSED) {
        return;
    }
    drop_connection(device);
    device->reset_at = MONO_NEVER;
    device->state_at = mono_add_ms(now, off_ms);
    device->is_asleep = false;
    device_move(device, SIM_OFF);
}

void sim_device_reboot(struct sim_device *device, mono_time now) {
    turn_off(device, device->config.reboot_ms, now);
    device->last_reset = "user";
}

void sim_device_power_cut(struct sim_device *device, int64_t off_ms, mono_time now) {
    turn_off(device, off_ms, now);
    forget_session(device);
    device->coap_id = 0;
    device->flash.kept_bytes = device->flash.saved_bytes;
    device->last_reset = "power_down";
    device->power_cuts++;
    device->cut_at_bytes = 0;
    device->news |= SIM_NEWS_POWER_CUT;
}

void sim_device_sleep(struct sim_device *device, int64_t sleep_ms, mono_time now) {
    if (device->state == SIM_OFF || device->reset_at.us != INT64_MAX) {
        return;
    }
    turn_off(device, sleep_ms, now);
    device->is_asleep = true;
}

void sim_device_allow_updates(struct sim_device *device, bool enabled, mono_time now,
                              struct outbox *out) {
    if (device->updates_enabled == enabled) {
        return;
    }
    device->updates_enabled = enabled;
    if (device->state == SIM_CONNECTED || device->state == SIM_INTRODUCING) {
        device_say(device, WORD_ENABLED, enabled ? 1 : 0, 0, now, out);
    }
}

uint32_t sim_device_progress(const struct sim_device *device, uint32_t *total) {
    if (device->legacy.is_running) {
        *total = device->legacy.file_bytes;
        uint32_t bytes = device->legacy.have_count * device->legacy.chunk_bytes;
        return bytes < *total ? bytes : *total;
    }
    *total = device->receiver.is_running ? device->receiver.file_bytes : 0;
    return device->receiver.is_running ? receiver_bytes(&device->receiver) : 0;
}

/* --- what the server's acknowledgements mean --- */

static void introduce(struct sim_device *device, mono_time now, struct outbox *out) {
    device->hellos++;
    device->news |= SIM_NEWS_HELLO;
    device_move(device, SIM_INTRODUCING);
    end_handshake(device);
    device_say(device, WORD_DESCRIBE_SYSTEM, 0, 0, now, out);
    device_say(device, WORD_TIME, 0, 0, now, out);
    tell_state(device, now, out);
}

static void introduce_application(struct sim_device *device, mono_time now, struct outbox *out) {
    uint8_t bytes[SIM_APPLICATION_MAX];
    size_t len = device_describe_application(device, bytes, sizeof bytes);
    device->has_introduced_application = true;
    if (device->announced_application != device_checksum(span_of(bytes, len))) {
        device_say(device, WORD_DESCRIBE_APPLICATION, 0, 0, now, out);
    }
    if (!device->announced_subscriptions) {
        device_say(device, WORD_SUBSCRIBE, 0, 0, now, out);
        device_say(device, WORD_SUBSCRIBE, 1, 0, now, out);
        device_say(device, WORD_SUBSCRIBE, 2, 0, now, out);
    }
}

static void described(struct sim_device *device, const struct sim_word *word, mono_time now,
                      struct outbox *out) {
    bool is_system = word->kind == WORD_DESCRIBE_SYSTEM;
    uint8_t bytes[SIM_APPLICATION_MAX];
    size_t len = is_system ? device_describe_system(device, bytes, sizeof bytes)
                           : device_describe_application(device, bytes, sizeof bytes);
    uint32_t next = word->argument + 1;
    if ((size_t)next * SIM_BLOCK_BYTES < len) {
        device_say(device, (enum sim_word_kind)word->kind, next, 0, now, out);
    } else if (is_system) {
        device->announced_system = device_system_checksum(device);
    } else {
        device->announced_application = device_checksum(span_of(bytes, len));
    }
}

void device_acknowledged(struct sim_device *device, const struct sim_word *word, mono_time now,
                         struct outbox *out) {
    switch ((enum sim_word_kind)word->kind) {
    case WORD_HELLO:
        introduce(device, now, out);
        return;
    case WORD_DESCRIBE_SYSTEM:
    case WORD_DESCRIBE_APPLICATION:
        described(device, word, now, out);
        break;
    case WORD_SUBSCRIBE:
        device->announced_subscriptions = true;
        break;
    case WORD_LAST_RESET:
        device->has_told_reset = true;
        break;
    case WORD_ANSWER_FINISH:
        device_update_commit(device, word->id, now);
        break;
    case WORD_ANSWER_LAST_ERROR:
        device_lose(device, true, now);
        return;
    case WORD_FREE:
    case WORD_PING:
    case WORD_TIME:
    case WORD_SAFE_MODE:
    case WORD_ENABLED:
    case WORD_FORCED:
    case WORD_ANSWER_DESCRIBE:
    case WORD_ANSWER_FUNCTION:
    case WORD_ANSWER_VARIABLE:
    case WORD_ANSWER_READY:
    case WORD_ANSWER_CHUNK:
    case WORD_MISSING:
    case WORD_ANSWER_START:
    case WORD_ANSWER_CANCEL:
    case WORD_ANSWER_ERROR:
        break;
    }
    if (device->state != SIM_INTRODUCING || device_awaits(device)) {
        return;
    }
    if (!device->has_introduced_application) {
        introduce_application(device, now, out);
    }
    if (!device_awaits(device)) {
        device->failures = 0;
        device->news |= SIM_NEWS_CONNECTED;
        device_move(device, SIM_CONNECTED);
    }
}

/* --- datagrams --- */

static bool has_connection(const struct sim_device *device) {
    return device->state == SIM_GREETING || device->state == SIM_INTRODUCING ||
           device->state == SIM_CONNECTED;
}

static void established(struct sim_device *device, mono_time now, struct outbox *out) {
    dtls_handshake_session(&device->handshake, &device->session);
    if (device->session.cid_out_len != SESSION_CID) {
        /* It cannot save such a session, so it throws it away and tries again at once. */
        device_violation(device, "a server connection id that is not 8 bytes long",
                         device->session.cid_out_len);
        device_lose(device, false, now);
        return;
    }
    device->has_session = true;
    device_move(device, SIM_GREETING);
    device_say(device, WORD_HELLO, 0, 0, now, out);
}

/* Returns how much of the datagram the handshake took. */
static size_t input_handshake(struct sim_device *device, struct span datagram, mono_time now,
                              struct outbox *out) {
    struct dtls_step step = {.event = DTLS_EVENT_NONE};
    dtls_handshake_input(&device->handshake, device->endpoint, datagram, now, out, &step);
    switch (step.event) {
    case DTLS_EVENT_ESTABLISHED:
        established(device, now, out);
        break;
    case DTLS_EVENT_FAILED:
        device->handshake_problem = step.why;
        if (datagram.data[0] == DTLS_ALERT) {
            device->handshakes_refused++;
        } else if (!device->config.link_corrupts) {
            device_violation(device, step.why != NULL ? step.why : "a handshake that failed",
                             datagram.data[0]);
        }
        device_lose(device, false, now);
        break;
    case DTLS_EVENT_NONE:
    case DTLS_EVENT_NEED_PSK:
        break;
    }
    return step.event == DTLS_EVENT_ESTABLISHED ? step.consumed : datagram.len;
}

static void take_record(struct sim_device *device, const struct dtls_opened *record, mono_time now,
                        struct outbox *out) {
    device->heard = now;
    device->is_moved = false;
    device->session_uses = 0;
    if (record->type == DTLS_APPLICATION_DATA) {
        device_dispatch(device, record->content, now, out);
    } else if (record->type == DTLS_ALERT) {
        device_lose(device, false, now);
    } /* else the server repeats its Finished: nothing to add */
}

void sim_device_input(struct sim_device *device, struct span datagram, mono_time now,
                      struct outbox *out) {
    uint8_t plain[DTLS_RECORD_MAX];
    device->datagrams_in++;
    if (datagram.len <= 1) {
        return;
    }
    if (device->state == SIM_CONNECTING) {
        size_t taken = input_handshake(device, datagram, now, out);
        datagram = span_of(datagram.data + taken, datagram.len - taken);
    }
    while (datagram.len > 0 && has_connection(device)) {
        struct dtls_opened record = {.consumed = 0};
        int status = dtls_open(device->config.crypto, &device->session, datagram, plain,
                               sizeof plain, &record);
        if (status == SW_OK) {
            take_record(device, &record, now, out);
        }
        if (record.consumed == 0) {
            break;
        }
        datagram = span_of(datagram.data + record.consumed, datagram.len - record.consumed);
    }
}

/* --- time --- */

static bool is_pinging(const struct sim_device *device) {
    return device->pinged.us > device->heard.us;
}

/* Pings keep silent while an update runs: its own silence is watched instead. */
static mono_time ping_deadline(const struct sim_device *device) {
    if (!has_connection(device) || device->state == SIM_GREETING || device_is_updating(device)) {
        return MONO_NEVER;
    }
    return is_pinging(device) ? mono_add_ms(device->pinged, PING_ANSWER_MS)
                              : mono_add_ms(device->heard, device->config.ping_ms);
}

static void tick_words(struct sim_device *device, mono_time now, struct outbox *out) {
    for (size_t i = 0; i < SIM_WORDS_MAX; i++) {
        struct sim_word *word = &device->words[i];
        if (word->kind == WORD_FREE) {
            continue;
        }
        switch (coap_retry_step(&word->retry, now)) {
        case COAP_RETRY_WAIT:
            break;
        case COAP_RETRY_SEND:
            device->repeats++;
            device_retransmit(device, word, out);
            break;
        case COAP_RETRY_GIVE_UP:
            device_lose(device, false, now);
            return;
        }
    }
}

static void tick_handshake(struct sim_device *device, mono_time now, struct outbox *out) {
    if (!mono_reached(now, dtls_handshake_deadline(&device->handshake))) {
        return;
    }
    struct dtls_step step = {.event = DTLS_EVENT_NONE};
    dtls_handshake_timer(&device->handshake, device->endpoint, now, out, &step);
    if (step.event == DTLS_EVENT_FAILED) {
        device->handshake_problem = step.why;
        device_lose(device, false, now);
    }
}

void sim_device_tick(struct sim_device *device, mono_time now, struct outbox *out) {
    if (device->state == SIM_OFF && mono_reached(now, device->state_at)) {
        if (device->is_asleep) {
            device->is_asleep = false;
            connect(device, now, out);
        } else {
            sim_device_boot(device, now, out);
        }
        return;
    }
    if (device->state == SIM_WAITING && mono_reached(now, device->state_at)) {
        connect(device, now, out);
        return;
    }
    if (device->state == SIM_CONNECTING) {
        tick_handshake(device, now, out);
    }
    if (has_connection(device)) {
        tick_words(device, now, out);
    }
    device_update_tick(device, now, out);
    if (mono_reached(now, ping_deadline(device))) {
        if (is_pinging(device)) {
            device_lose(device, true, now);
        } else {
            device->pinged = now;
            device_say(device, WORD_PING, 0, 0, now, out);
        }
    }
}

mono_time sim_device_deadline(const struct sim_device *device) {
    mono_time next = MONO_NEVER;
    if (device->state == SIM_OFF || device->state == SIM_WAITING) {
        next = device->state_at;
    }
    if (device->state == SIM_CONNECTING) {
        next = dtls_handshake_deadline(&device->handshake);
    }
    if (has_connection(device)) {
        for (size_t i = 0; i < SIM_WORDS_MAX; i++) {
            if (device->words[i].kind != WORD_FREE) {
                next = mono_earlier(next, device->words[i].retry.deadline);
            }
        }
        next = mono_earlier(next, ping_deadline(device));
    }
    return mono_earlier(next, device_update_deadline(device));
}
