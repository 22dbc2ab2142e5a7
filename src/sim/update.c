/* How a device is updated: it answers UpdateStart, takes chunks, validates at UpdateFinish, and
 * applies what it has only when its 2.04 was acknowledged - that acknowledgement is the commit. */
#include "sim/internal.h"
#include "slipway/image/image.h"
#include "slipway/model/platform.h"
#include "slipway/util/check.h"
#include "slipway/util/writer.h"

#define RESET_DELAY_MS 1000

bool device_is_updating(const struct sim_device *device) {
    return device->receiver.is_running || device->legacy.is_running ||
           device->erased_at.us != INT64_MAX;
}

void device_update_stop(struct sim_device *device, bool discard) {
    receiver_stop(&device->receiver, &device->flash, discard);
    legacy_stop(device);
    device->erased_at = MONO_NEVER;
    device->is_finishing = false;
}

/* A message that the update machinery cannot live with: the update and the connection end. */
static void break_off(struct sim_device *device, mono_time now) {
    device_update_stop(device, false);
    device_lose(device, true, now);
}

static void refuse_at_once(struct sim_device *device, const struct coap_message *message, int error,
                           mono_time now, struct outbox *out) {
    static const char text[] = "{\"code\":-240,\"message\":\"Protocol error\"}";
    SW_CHECK(error == SIM_ERROR_PROTOCOL);
    device_acknowledge(device, message, COAP_UNAVAILABLE, text, now, out);
}

static bool read_request(const struct coap_message *message, struct receiver_request *request) {
    struct span hash;
    *request = (struct receiver_request){.file_bytes = 0};
    if (!coap_option_uint(message, COAP_FILE_SIZE, &request->file_bytes) ||
        !coap_option_uint(message, COAP_CHUNK_SIZE, &request->chunk_bytes)) {
        return false;
    }
    if (coap_option_at(message, COAP_FILE_SHA256, 0, &hash)) {
        if (hash.len != SHA256_BYTES) {
            return false;
        }
        request->has_hash = true;
        memcpy(request->hash.b, hash.data, SHA256_BYTES);
    }
    struct span none;
    request->discard = coap_option_at(message, COAP_DISCARD_DATA, 0, &none);
    uint32_t function = MODULE_NONE;
    if (coap_option_uint(message, COAP_MODULE_FUNCTION, &function)) {
        request->is_asset = function == MODULE_ASSET;
        return request->is_asset; /* nothing else is ever named */
    }
    return true;
}

static uint32_t asset_overlap(const struct sim_device *device) {
    const struct platform *platform = platform_find(device->config.platform_id);
    return platform != NULL && platform->asset_overlap != 0 ? platform->asset_overlap : UINT32_MAX;
}

void device_update_start(struct sim_device *device, const struct coap_message *message,
                         mono_time now, struct outbox *out) {
    if (device->config.is_legacy) {
        device_violation(device, "UpdateStart to a device of the older protocol", message->id);
        return;
    }
    if (message->type != COAP_CON || message->token.len != 1) {
        device_violation(device, "UpdateStart that is not a CON with a 1-byte token",
                         (int64_t)message->token.len);
        break_off(device, now);
        return;
    }
    struct receiver_request request;
    if (!read_request(message, &request) || receiver_check(&request) != 0) {
        device_violation(device, "UpdateStart with impossible sizes", request.chunk_bytes);
        refuse_at_once(device, message, SIM_ERROR_PROTOCOL, now, out);
        return;
    }
    device_acknowledge(device, message, COAP_EMPTY, NULL, now, out);
    device_update_stop(device, false);
    device->start_token = message->token.data[0];
    if (!device->updates_enabled && !device->updates_forced) {
        device->refusals++;
        device->news |= SIM_NEWS_REFUSED;
        device_say(device, WORD_ANSWER_ERROR, (uint32_t)-SIM_ERROR_DISABLED, device->start_token,
                   now, out);
        return;
    }
    if (request.file_bytes > device->config.binary_max) {
        device_violation(device, "UpdateStart for a file larger than it announced",
                         request.file_bytes);
        device_say(device, WORD_ANSWER_ERROR, (uint32_t)-SIM_ERROR_SIZE, device->start_token, now,
                   out);
        return;
    }
    if (request.is_asset && request.file_bytes > device->config.asset_cap) {
        device_say(device, WORD_ANSWER_ERROR, (uint32_t)-SIM_ERROR_TOO_LARGE, device->start_token,
                   now, out);
        return;
    }
    if (!request.is_asset && request.file_bytes > asset_overlap(device)) {
        device->store.count = 0; /* the transfer runs over it */
    }
    device->updates_pending = false;
    device->request = request;
    device->erased_at = mono_add_ms(now, device->config.erase_ms);
}

/* Whether, and at which byte, the power will fail in this transfer: once in a device's life. */
static void draw_power_cut(struct sim_device *device) {
    device->cut_at_bytes = 0;
    device->cut_after_commit = false;
    if (device->power_cuts > 0 ||
        rng_below(&device->rng, 100) >= device->config.power_cut_percent) {
        return;
    }
    if (rng_below(&device->rng, 2) == 0) {
        device->cut_after_commit = true;
    } else {
        device->cut_at_bytes = 1 + (uint32_t)rng_below(&device->rng, device->receiver.file_bytes);
    }
}

static void begin_receiving(struct sim_device *device, mono_time now, struct outbox *out) {
    device->erased_at = MONO_NEVER;
    int error = receiver_start(&device->receiver, &device->flash, &device->request, now);
    if (error != 0) {
        device_say(device, WORD_ANSWER_ERROR, (uint32_t)-error, device->start_token, now, out);
        return;
    }
    device->transfers++;
    device->news |= SIM_NEWS_TRANSFER;
    draw_power_cut(device);
    device_say(device, WORD_ANSWER_START, 0, device->start_token, now, out);
}

static void send_ack(struct sim_device *device, struct outbox *out) {
    uint8_t bytes[96], bitmap[RECEIVER_BITMAP_BYTES];
    uint32_t cumulative = device->receiver.cumulative;
    size_t len = receiver_ack(&device->receiver, bitmap);
    struct writer w = writer_of(bytes, sizeof bytes);
    struct coap_writer ack =
        coap_begin(&w, COAP_NON, COAP_POST, ++device->coap_id, span_of(NULL, 0));
    coap_put(&ack, COAP_URI_PATH, span_text("A"));
    coap_put_uint(&ack, COAP_CHUNK_INDEX, cumulative);
    coap_put_payload(&ack, span_of(bitmap, len));
    SW_CHECK(writer_status(&w) == SW_OK);
    device_send(device, writer_span(&w), out);
}

void device_update_chunk(struct sim_device *device, const struct coap_message *message,
                         mono_time now, struct outbox *out) {
    uint32_t index = 0;
    if (message->type != COAP_NON || message->token.len != 0) {
        device_violation(device, "a chunk that is not a NON without a token",
                         (int64_t)message->token.len);
        break_off(device, now);
        return;
    }
    if (!device->receiver.is_running) {
        /* Late ones are the network's doing: RST says so, and nothing else happens. */
        device->strays++;
        device_send_bare(device, COAP_RST, message->id, out);
        return;
    }
    bool has_index = coap_option_uint(message, COAP_CHUNK_INDEX, &index);
    uint32_t before = device->receiver.cumulative;
    enum receiver_verdict verdict =
        has_index ? receiver_chunk(&device->receiver, &device->flash, index, message->payload, now)
                  : RECEIVER_RESET;
    if (verdict == RECEIVER_RESET) {
        /* A chunk of the transfer before, long delayed, can look like this too. */
        device_stray(device, "a chunk with an impossible index or size", index);
        device_send_bare(device, COAP_RST, message->id, out);
        break_off(device, now);
        return;
    }
    if (device->receiver.cumulative != before) {
        device->news |= SIM_NEWS_PROGRESS;
    }
    if (device->cut_at_bytes > 0 && receiver_bytes(&device->receiver) >= device->cut_at_bytes) {
        sim_device_power_cut(device, device->config.reboot_ms, now);
        return;
    }
    if (verdict == RECEIVER_ACK) {
        send_ack(device, out);
    }
}

/* What a device checks before it says 2.04: everything but the hash of the whole file. */
static int validate(struct sim_device *device, struct image_info *info) {
    const char *why;
    struct span file = span_of(device->flash.data, device->receiver.file_bytes);
    if (image_read_module(file, info, &why) != SW_OK) {
        return SIM_ERROR_INTEGRITY;
    }
    if (device->request.is_asset != (info->function == MODULE_ASSET)) {
        device_violation(device, "a module of another function than UpdateStart named",
                         info->function);
        return SIM_ERROR_INTEGRITY;
    }
    if (info->function == MODULE_ASSET) {
        return asset_is_sound(file, info) ? 0 : SIM_ERROR_INTEGRITY;
    }
    return info->platform_id == device->config.platform_id ? 0 : SIM_ERROR_PLATFORM;
}

void device_update_finish(struct sim_device *device, const struct coap_message *message,
                          mono_time now, struct outbox *out) {
    struct span none;
    if (message->type != COAP_CON || message->token.len != 1) {
        device_violation(device, "UpdateFinish that is not a CON with a 1-byte token",
                         (int64_t)message->token.len);
        break_off(device, now);
        return;
    }
    uint8_t token = message->token.data[0];
    device_acknowledge(device, message, COAP_EMPTY, NULL, now, out);
    if (coap_option_at(message, COAP_CANCEL_UPDATE, 0, &none)) {
        device_update_stop(device, coap_option_at(message, COAP_DISCARD_DATA, 0, &none));
        device_say(device, WORD_ANSWER_CANCEL, 0, token, now, out);
        return;
    }
    if (!device->receiver.is_running) {
        device_say(device, WORD_ANSWER_ERROR, (uint32_t)-SIM_ERROR_INVALID_STATE, token, now, out);
        return;
    }
    if (!receiver_is_complete(&device->receiver)) {
        device_violation(device, "UpdateFinish before all chunks were acknowledged",
                         device->receiver.cumulative);
        device_say(device, WORD_ANSWER_LAST_ERROR, (uint32_t)-SIM_ERROR_PROTOCOL, token, now, out);
        return;
    }
    struct image_info info;
    int error = validate(device, &info);
    if (error != 0) {
        device_update_stop(device, true);
        device_say(device, WORD_ANSWER_LAST_ERROR, (uint32_t)-error, token, now, out);
        return;
    }
    device->is_finishing = true;
    device_say(device, WORD_ANSWER_FINISH, 0, token, now, out);
    device->finish_id = device->coap_id;
}

void device_update_commit(struct sim_device *device, uint16_t id, mono_time now) {
    if (!device->receiver.is_running || !device->is_finishing || id != device->finish_id) {
        return; /* another UpdateStart or UpdateFinish came in between */
    }
    struct sha256 hash;
    uint32_t len = device->receiver.file_bytes;
    sha256_of(span_of(device->flash.data, len), &hash);
    if (device->receiver.has_hash && memcmp(hash.b, device->receiver.hash.b, SHA256_BYTES) != 0) {
        /* The device says nothing about it; the server sees it return unchanged. */
        device_update_stop(device, true);
        device_lose(device, true, now);
        return;
    }
    device->verified = hash;
    device->has_verified = true;
    device->commits++;
    device->news |= SIM_NEWS_VERIFIED | SIM_NEWS_COMMITTED;
    device_update_stop(device, true);
    device->has_staged = true;
    device->staged_bytes = len;
    device->reset_at = mono_add_ms(now, RESET_DELAY_MS);
}

static void install_application(struct sim_device *device, struct span file,
                                const struct image_info *info) {
    struct sim_firmware *firmware = &device->firmware;
    firmware->product_id = info->product_id;
    firmware->product_version = info->has_product ? info->product_version : VERSION_NONE;
    firmware->index = info->index;
    firmware->module_version = info->module_version;
    firmware->needs = info->dependencies[0];
    memcpy(firmware->hash, info->hash.b, SHA256_BYTES);
    assets_of(file, info, &firmware->assets);
}

void device_update_install(struct sim_device *device) {
    struct image_info info;
    const char *why;
    if (!device->has_staged) {
        return;
    }
    device->has_staged = false;
    struct span file = span_of(device->flash.data, device->staged_bytes);
    if (device->config.keeps_old || image_read_module(file, &info, &why) != SW_OK) {
        device->last_reset = device->config.is_discreet ? "update" : "update_error";
        return;
    }
    device->last_reset = "update";
    if (info.function == MODULE_SYSTEM_PART) {
        device->system_version = info.module_version;
        device->has_session = false; /* its stored form changes with the version */
    } else if (info.function == MODULE_ASSET) {
        if (!asset_store(device, file, &info)) {
            device->last_reset = "update_error";
        }
    } else if (info.function == MODULE_BOOTLOADER) {
        device->bootloader_version = info.module_version;
    } else {
        install_application(device, file, &info);
    }
}

void device_update_tick(struct sim_device *device, mono_time now, struct outbox *out) {
    if (mono_reached(now, device->reset_at)) {
        bool is_cut = device->cut_after_commit;
        device->cut_after_commit = false;
        device->reset_at = MONO_NEVER;
        if (is_cut) {
            sim_device_power_cut(device, device->config.reboot_ms, now);
        } else {
            sim_device_reboot(device, now);
        }
        return;
    }
    if (mono_reached(now, device->erased_at)) {
        begin_receiving(device, now, out);
    }
    if (receiver_ack_due(&device->receiver, now)) {
        send_ack(device, out);
    }
    legacy_tick(device, now);
    receiver_sync(&device->receiver, &device->flash, now);
    if (receiver_is_silent(&device->receiver, now)) {
        break_off(device, now);
    }
}

mono_time device_update_deadline(const struct sim_device *device) {
    mono_time next = mono_earlier(device->erased_at, device->reset_at);
    next = mono_earlier(next, device->legacy.silence_at);
    return mono_earlier(next, receiver_deadline(&device->receiver));
}
