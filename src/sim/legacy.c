/* The older, chunked OTA protocol, as devices without the version 3 flag speak it, without
 * resuming. Fast: chunks that are not acknowledged, and a list of missing ones at the end. Slow:
 * each chunk is answered, and the next one follows. The request that ends it is also the commit:
 * the device restarts after its own acknowledgement. */
#include "sim/internal.h"
#include "slipway/image/image.h"
#include "slipway/util/reader.h"
#include "slipway/util/writer.h"

#include <zlib.h>

#define BEGIN_BYTES    12
#define MISSING_MAX    40
#define SILENCE_MS     300000 /* the system restarts the device */
#define RESET_DELAY_MS 1000

static bool has_chunk(const struct sim_legacy *legacy, uint32_t index) {
    return (legacy->have[index / 8] >> (index % 8) & 1) != 0;
}

void legacy_stop(struct sim_device *device) {
    device->legacy.is_running = false;
    device->legacy.silence_at = MONO_NEVER;
}

static bool is_unfit(struct sim_device *device, const struct coap_message *message) {
    if (device->config.is_legacy && message->token.len == 1) {
        return false;
    }
    device_violation(device, "a legacy update message without a 1-byte token, or to a v3 device",
                     (int64_t)message->token.len);
    return true;
}

void legacy_begin(struct sim_device *device, const struct coap_message *message, mono_time now,
                  struct outbox *out) {
    struct sim_legacy *legacy = &device->legacy;
    if (is_unfit(device, message)) {
        return;
    }
    if (message->type != COAP_CON || message->option_count != 1 ||
        message->payload.len != BEGIN_BYTES) {
        device_violation(device, "UpdateBegin whose payload is not where it is looked for",
                         (int64_t)message->payload.len);
        return;
    }
    struct reader r = reader_of(message->payload);
    (void)reader_u8(&r); /* flags: whether fast mode is taken is the device's choice */
    uint32_t chunk_bytes = reader_u16(&r);
    uint32_t file_bytes = reader_u32(&r);
    if (!device->updates_enabled && !device->updates_forced) {
        device->refusals++;
        device->news |= SIM_NEWS_REFUSED;
        device_acknowledge(device, message, COAP_UNAVAILABLE,
                           "{\"code\":-1380,\"message\":\"Firmware updates are disabled\"}", now,
                           out);
        return;
    }
    uint32_t count = chunk_bytes > 0 ? (file_bytes + chunk_bytes - 1) / chunk_bytes : 0;
    if (count == 0 || count > SIM_LEGACY_CHUNKS || file_bytes > device->config.binary_max ||
        chunk_bytes > RECEIVER_CHUNK_MAX) {
        device_violation(device, "UpdateBegin with impossible sizes", file_bytes);
        return;
    }
    device_acknowledge(device, message, COAP_EMPTY, NULL, now, out);
    *legacy = (struct sim_legacy){.is_running = true,
                                  .file_bytes = file_bytes,
                                  .chunk_bytes = chunk_bytes,
                                  .chunk_count = count,
                                  .silence_at = mono_add_ms(now, SILENCE_MS)};
    device->flash.has_partial = false;
    device->flash.kept_bytes = 0;
    device->updates_pending = false;
    device->transfers++;
    device->news |= SIM_NEWS_TRANSFER;
    device_say(device, WORD_ANSWER_READY, 0, message->token.data[0], now, out);
}

/* Keeps what is damaged, unknown or there already out of the flash; false: damaged. */
static bool legacy_write(struct sim_device *device, uint32_t index, uint32_t crc,
                         struct span chunk) {
    struct sim_legacy *legacy = &device->legacy;
    if (crc != (uint32_t)crc32_z(0, chunk.data, chunk.len)) {
        return false;
    }
    if (index >= legacy->chunk_count || has_chunk(legacy, index)) {
        return true;
    }
    size_t at = (size_t)index * legacy->chunk_bytes;
    size_t left = legacy->file_bytes - at;
    size_t wanted = left < legacy->chunk_bytes ? left : legacy->chunk_bytes;
    if (chunk.len < wanted || chunk.len > legacy->chunk_bytes) {
        device_violation(device, "a legacy chunk of an impossible length", (int64_t)chunk.len);
        return true;
    }
    memcpy(device->flash.data + at, chunk.data, wanted);
    legacy->have[index / 8] = (uint8_t)(legacy->have[index / 8] | 1U << (index % 8));
    legacy->have_count++;
    device->news |= SIM_NEWS_PROGRESS;
    return true;
}

static uint32_t number_of(struct span bytes) {
    struct reader r = reader_of(bytes);
    return bytes.len == 4 ? reader_u32(&r) : reader_u16(&r);
}

/* Without an index: it is the next one. */
static void slow_chunk(struct sim_device *device, const struct coap_message *message, mono_time now,
                       struct outbox *out) {
    struct sim_legacy *legacy = &device->legacy;
    if (message->type != COAP_CON || message->option_count != 2 ||
        message->options[1].value.len != 4) {
        device_violation(device, "a chunk of the slow form without an answer due, or its CRC",
                         message->option_count);
        return;
    }
    device_acknowledge(device, message, COAP_EMPTY, NULL, now, out);
    if (!legacy->is_running) {
        device->strays++;
        return;
    }
    legacy->silence_at = mono_add_ms(now, SILENCE_MS);
    bool is_sound = legacy_write(device, legacy->have_count, number_of(message->options[1].value),
                                 message->payload);
    device_say(device, WORD_ANSWER_CHUNK, is_sound, message->token.data[0], now, out);
}

/* The parser looks at the lengths of options, not at their numbers: first the CRC, then the index.
 */
void legacy_chunk(struct sim_device *device, const struct coap_message *message, mono_time now,
                  struct outbox *out) {
    struct sim_legacy *legacy = &device->legacy;
    if (is_unfit(device, message)) {
        return; /* a real one hangs in a loop without the token */
    }
    if (device->config.is_slow) {
        slow_chunk(device, message, now, out);
        return;
    }
    if (message->type == COAP_CON || message->option_count != 3 ||
        message->options[1].value.len != 4 || message->options[2].value.len != 2) {
        device_violation(device, "a legacy chunk without its CRC and index", message->option_count);
        return;
    }
    if (!legacy->is_running) {
        device->strays++;
        return;
    }
    legacy->silence_at = mono_add_ms(now, SILENCE_MS);
    /* One that is damaged is passed over silently: the list at the end tells. */
    (void)legacy_write(device, number_of(message->options[2].value),
                       number_of(message->options[1].value), message->payload);
}

size_t legacy_missing(const struct sim_device *device, uint8_t *out, size_t cap) {
    const struct sim_legacy *legacy = &device->legacy;
    struct writer w = writer_of(out, cap);
    unsigned count = 0;
    for (uint32_t i = 0; i < legacy->chunk_count && count < MISSING_MAX; i++) {
        if (!has_chunk(legacy, i)) {
            writer_u16(&w, (uint16_t)i);
            count++;
        }
    }
    return writer_span(&w).len;
}

void legacy_done(struct sim_device *device, const struct coap_message *message, mono_time now,
                 struct outbox *out) {
    struct sim_legacy *legacy = &device->legacy;
    struct image_info info;
    const char *why;
    if (is_unfit(device, message)) {
        return;
    }
    if (!legacy->is_running) {
        device_acknowledge(device, message, COAP_BAD_REQUEST, NULL, now, out);
        return;
    }
    if (legacy->have_count < legacy->chunk_count) {
        device_acknowledge(device, message, COAP_BAD_REQUEST, NULL, now, out);
        device_say(device, WORD_MISSING, 0, 0, now, out);
        return;
    }
    struct span file = span_of(device->flash.data, legacy->file_bytes);
    bool is_sound = image_read_module(file, &info, &why) == SW_OK &&
                    info.platform_id == device->config.platform_id;
    device_acknowledge(device, message, COAP_CHANGED, is_sound ? "{\"r\":0}" : "{\"r\":-1330}", now,
                       out);
    legacy_stop(device);
    device->reset_at = mono_add_ms(now, RESET_DELAY_MS);
    if (is_sound) {
        sha256_of(file, &device->verified);
        device->has_verified = true;
        device->commits++;
        device->news |= SIM_NEWS_VERIFIED | SIM_NEWS_COMMITTED;
        device->has_staged = true;
        device->staged_bytes = legacy->file_bytes;
    }
}

void legacy_tick(struct sim_device *device, mono_time now) {
    if (device->legacy.is_running && mono_reached(now, device->legacy.silence_at)) {
        sim_device_reboot(device, now);
        device->last_reset = "update_timeout";
    }
}
