/* What devices report. Each report is kept first and then followed by a plan; the gateway
 * acknowledges it when both are durable. Nothing here fails because of what a device says: a report
 * that cannot be used must not be repeated for ever. */
#include "slipway/app/device.h"

#include "slipway/store/catalog.h"
#include "slipway/store/fleet.h"
#include "slipway/store/metric.h"
#include "slipway/store/update.h"
#include "slipway/util/check.h"
#include "slipway/util/hex.h"

#include "app/internal.h"
#include "app/update/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A known device, or a plan that says that it is not. */
static int find_device(struct app_tx *tx, const struct device_id *id, struct device *out,
                       struct app_plan *plan) {
    *plan = (struct app_plan){.verdict = APP_VERDICT_KNOWN};
    int code = store_device_get(tx->store, id, out, tx->fault);
    if (code == SW_E_NOT_FOUND) {
        plan->verdict = APP_VERDICT_QUARANTINED;
        (void)snprintf(plan->blocked_by, sizeof plan->blocked_by, "quarantined");
    }
    return code;
}

static int set_online(struct app_tx *tx, struct device *device, bool is_online) {
    if (device->is_online == is_online) {
        return SW_OK;
    }
    device->is_online = is_online;
    return app_append(tx, device->product_id, device, "spark/status",
                      is_online ? "online" : "offline", NULL);
}

/* --- Hello --- */

/* The product that an unknown device belongs to, as far as can be told: Device OS 4 and later name
 * only their platform. *welcome: it takes devices without asking. */
static int guess_product(struct app_tx *tx, const struct app_hello *hello, uint16_t *product_id,
                         bool *welcome) {
    struct product product;
    *product_id = 0;
    *welcome = false;
    if (hello->product_id >= PRODUCT_ID_FIRST && hello->product_id != hello->platform_id) {
        int code = store_product_get(tx->store, hello->product_id, &product, tx->fault);
        if (code == SW_OK && product.platform_id == hello->platform_id) {
            *product_id = product.id;
            *welcome = !product.quarantine;
        }
        return code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    int code = store_product_welcoming(tx->store, hello->platform_id, product_id, tx->fault);
    *welcome = *product_id != 0;
    return code;
}

static int quarantine(struct app_tx *tx, const struct app_hello *hello, uint16_t product_id,
                      bool is_wrong_key, struct app_plan *plan) {
    struct quarantine row = {.id = hello->id,
                             .product_id = product_id,
                             .platform_id = hello->platform_id,
                             .version = hello->product_version,
                             .system_version = hello->system_version,
                             .is_wrong_key = is_wrong_key,
                             .first_ms = tx->now.ms,
                             .last_ms = tx->now.ms};
    if (hello->proof.kind == APP_PROOF_RAW_KEY) { /* else there is none to approve */
        row.key = hello->proof.u.key;
    }
    memcpy(row.address, hello->address, sizeof row.address);
    plan->verdict = is_wrong_key ? APP_VERDICT_WRONG_KEY : APP_VERDICT_QUARANTINED;
    plan->product_id = product_id;

    struct quarantine old;
    int code = store_quarantine_get(tx->store, &hello->id, &old, tx->fault);
    bool is_new = code == SW_E_NOT_FOUND;
    if (code == SW_OK && old.is_denied) {
        plan->verdict = is_wrong_key ? APP_VERDICT_WRONG_KEY : APP_VERDICT_DENIED;
        return SW_OK;
    }
    int64_t count = 0;
    if (is_new) {
        code = store_quarantine_count(tx->store, &count, tx->fault);
    }
    if (code == SW_OK && is_new && count >= tx->app->options.quarantine_max) {
        code = store_quarantine_evict(tx->store, tx->fault);
    }
    if (code == SW_OK) {
        code = store_quarantine_put(tx->store, &row, tx->fault);
    }
    if (code == SW_OK && is_new) {
        struct device unknown = {.id = hello->id};
        code = app_append(tx, product_id, &unknown, "slipway/device/quarantined",
                          is_wrong_key ? "wrong_key" : "unknown", NULL);
    }
    return code;
}

static void take_hello(const struct app_hello *hello, int64_t now_ms, struct device *device) {
    device->has_hello = true;
    device->hello_ms = now_ms;
    device->handshake_ms = now_ms;
    device->heard_ms = now_ms;
    device->running_version = version_is_valid(hello->product_version) ? hello->product_version : 0;
    device->platform_id = hello->platform_id;
    device->hello_product_id = hello->product_id;
    device->system_version = hello->system_version;
    device->hello_flags = hello->flags;
    device->message_max = hello->message_max;
    device->binary_max = hello->binary_max;
    device->chunk_bytes = hello->chunk_bytes;
    /* Flags of a boot are void after it; each session tells them anew. */
    device->updates_enabled = true;
    device->updates_forced_echo = false;
    device->pending_told = -1;
    device->is_safe_mode = false;
    memcpy(device->address, hello->address, sizeof device->address);
}

static int greet(struct app_tx *tx, const struct app_hello *hello, struct device *device,
                 struct app_plan *plan) {
    /* A Hello while it counts as online: it rebooted without a word. */
    int code = set_online(tx, device, false);
    if (code == SW_OK) {
        take_hello(hello, tx->now.ms, device);
        code = set_online(tx, device, true);
    }
    if (code == SW_OK) {
        code = store_device_save_told(tx->store, device, tx->fault);
    }
    if (code == SW_OK && device->running_version != 0) {
        code = store_firmware_mark_tested(tx->store, device->product_id, device->running_version,
                                          tx->now.ms, tx->fault);
    }
    if (code == SW_OK) {
        code = store_subscription_clear(tx->store, device->num, tx->fault); /* it asks anew */
    }
    if (code == SW_OK) {
        code = update_interrupt(tx, device);
    }
    struct evidence evidence = {.is_hello = true};
    if (code == SW_OK) {
        code = update_judge(tx, device, &evidence);
    }
    return code == SW_OK ? plan_device(tx, device, UPDATE_CAUSE_RULES, plan) : code;
}

/* A PSK or certificate names its device; who has it may not speak for another one. */
static bool names_another(const struct app_hello *hello) {
    return hello->proof.kind != APP_PROOF_RAW_KEY &&
           !device_id_equal(&hello->proof.u.named.device, &hello->id);
}

int app_device_hello(struct app_tx *tx, const struct app_hello *hello, struct app_plan *plan) {
    struct device device;
    int code = find_device(tx, &hello->id, &device, plan);
    if (code == SW_E_NOT_FOUND) {
        uint16_t product_id;
        bool welcome;
        struct quarantine old;
        code = guess_product(tx, hello, &product_id, &welcome);
        if (code == SW_OK && welcome) {
            int asked = store_quarantine_get(tx->store, &hello->id, &old, tx->fault);
            welcome = asked == SW_E_NOT_FOUND || (asked == SW_OK && !old.is_denied);
        }
        bool is_wrong = names_another(hello);
        if (code != SW_OK || !welcome || is_wrong) {
            return code == SW_OK ? quarantine(tx, hello, product_id, is_wrong, plan) : code;
        }
        code = store_device_insert(tx->store, &hello->id, product_id, hello->platform_id,
                                   tx->now.ms, tx->fault);
        if (code == SW_OK) {
            code = store_device_get(tx->store, &hello->id, &device, tx->fault);
        }
    }
    enum app_proof_verdict verdict = APP_PROOF_OTHER;
    if (code == SW_OK) {
        code = app_proof_check(tx, &hello->id, &hello->proof, &verdict);
    }
    if (code == SW_OK && verdict != APP_PROOF_OWN) {
        return quarantine(tx, hello, device.product_id, verdict == APP_PROOF_OTHER, plan);
    }
    return code == SW_OK ? greet(tx, hello, &device, plan) : code;
}

/* --- Describe --- */

static int tell_app_hash(struct app_tx *tx, const struct device *device) {
    char text[2 * SHA256_BYTES + 1];
    hex_encode(span_of(device->app_hash.b, sizeof device->app_hash.b), text, sizeof text);
    return app_append(tx, device->product_id, device, "spark/device/app-hash", text, NULL);
}

/* Bit 4 of the module flags: its dependencies were checked, and are not met. */
#define MODULE_CHECK_DEPENDENCIES 4U

static bool is_application(const struct module_state *module) {
    return module->function == MODULE_USER_PART || module->function == MODULE_MONOLITHIC;
}

/* Its application cannot run. */
static bool lacks_module(const struct app_describe *described) {
    for (size_t i = 0; i < described->modules.count; i++) {
        const struct module_state *module = &described->modules.items[i];
        if (module->store == 0 && is_application(module) &&
            (module->checked_flags & MODULE_CHECK_DEPENDENCIES) != 0 &&
            (module->passed_flags & MODULE_CHECK_DEPENDENCIES) == 0) {
            return true;
        }
    }
    return false;
}

static int take_describe(struct app_tx *tx, const struct app_describe *described,
                         struct device *device) {
    struct device before = *device;
    device->has_app_hash = false;
    device->is_safe_mode = lacks_module(described);
    for (size_t i = 0; i < described->modules.count; i++) {
        const struct module_state *module = &described->modules.items[i];
        if (module->store != 0) {
            continue;
        }
        if (is_application(module) && module->has_hash) {
            device->has_app_hash = true;
            memcpy(device->app_hash.b, module->hash, sizeof device->app_hash.b);
        }
        if (module->function == MODULE_SYSTEM_PART && module->index == 1) {
            device->system_version = module->version;
        }
    }
    memcpy(device->iccid, described->iccid, sizeof device->iccid);
    memcpy(device->imei, described->imei, sizeof device->imei);
    memcpy(device->modem_version, described->modem_version, sizeof device->modem_version);
    int code = store_device_save_told(tx->store, device, tx->fault);
    bool is_same = before.has_app_hash &&
                   memcmp(before.app_hash.b, device->app_hash.b, sizeof before.app_hash.b) == 0;
    if (code == SW_OK && device->has_app_hash && !is_same) {
        code = tell_app_hash(tx, device);
    }
    if (code == SW_OK && device->is_safe_mode) {
        char summary[EVENT_DATA_BYTES];
        describe_summary(device, described, summary, sizeof summary);
        code = app_append(tx, device->product_id, device, "spark/status/safe-mode", summary, NULL);
    }
    return code;
}

enum { DESCRIBES_SYSTEM = 1, DESCRIBES_APPLICATION = 2, DESCRIBES_METRICS = 4 };

int app_device_describe(struct app_tx *tx, const struct device_id *id, unsigned kind,
                        unsigned content_format, struct span bytes, struct app_plan *plan) {
    struct device device;
    int code = find_device(tx, id, &device, plan);
    if (code != SW_OK) {
        return code;
    }
    plan->product_id = device.product_id;
    if (kind == DESCRIBES_METRICS) {
        return vitals_record(tx, &device, bytes);
    }
    /* One object may be both: each of its readers finds what it looks for. */
    for (unsigned one = DESCRIBES_SYSTEM; one <= DESCRIBES_APPLICATION && code == SW_OK; one *= 2) {
        if ((kind & one) != 0) {
            code = store_describe_put(tx->store, device.num, one, content_format & UINT16_MAX,
                                      bytes, tx->now.ms, tx->fault);
        }
    }
    if (code != SW_OK || (kind & DESCRIBES_SYSTEM) == 0) {
        return code;
    }
    struct app_describe described;
    if (!describe_decode(bytes, content_format, &described)) {
        return app_append(tx, device.product_id, &device, "slipway/device/describe",
                          "not understood", NULL);
    }
    code = take_describe(tx, &described, &device);
    struct evidence evidence = {.describe = &described};
    if (code == SW_OK) {
        code = update_judge(tx, &device, &evidence);
    }
    code = code == SW_OK ? plan_device(tx, &device, UPDATE_CAUSE_RULES, plan) : code;
    plan->wants_describe = false; /* it has just told: asked again at once, it would never rest */
    return code;
}

/* --- the rest --- */

int app_device_resumed(struct app_tx *tx, const struct device_id *id, const struct app_proof *proof,
                       const char *address, bool is_reconnected, struct app_plan *plan) {
    struct device device;
    int code = find_device(tx, id, &device, plan);
    if (code != SW_OK) {
        return code;
    }
    enum app_proof_verdict verdict = APP_PROOF_OWN;
    if (proof != NULL) {
        code = app_proof_check_again(tx, id, proof, &verdict);
    }
    if (code == SW_OK && verdict != APP_PROOF_OWN) {
        plan->verdict = APP_VERDICT_WRONG_KEY;
        return SW_OK;
    }
    if (code != SW_OK) {
        return code;
    }
    code = set_online(tx, &device, true);
    device.handshake_ms = tx->now.ms;
    device.heard_ms = tx->now.ms;
    /* It may have restarted, and forgotten what its application waits for. */
    device.pending_told = (int8_t)(device.pending_told == 1 ? -1 : device.pending_told);
    (void)snprintf(device.address, sizeof device.address, "%s", address);
    if (code == SW_OK && is_reconnected && device.is_safe_mode) {
        /* It tells of it in each connection; of its modules only when they change. */
        struct app_describe described;
        code = describe_read(tx, &device, &described);
        device.is_safe_mode = code == SW_OK && lacks_module(&described);
    }
    if (code == SW_OK) {
        code = store_device_save_told(tx->store, &device, tx->fault);
    }
    return code == SW_OK ? plan_device(tx, &device, UPDATE_CAUSE_RULES, plan) : code;
}

int app_device_updates(struct app_tx *tx, const struct device_id *id, bool is_forced, bool value,
                       struct app_plan *plan) {
    struct device device;
    int code = find_device(tx, id, &device, plan);
    if (code != SW_OK) {
        return code;
    }
    if (is_forced) {
        device.updates_forced_echo = value;
    } else {
        device.updates_enabled = value;
    }
    device.heard_ms = tx->now.ms;
    code = store_device_save_told(tx->store, &device, tx->fault);
    if (code == SW_OK) {
        code = app_append(tx, device.product_id, &device,
                          is_forced ? "particle/device/updates/forced"
                                    : "particle/device/updates/enabled",
                          value ? "true" : "false", NULL);
    }
    return code == SW_OK ? plan_device(tx, &device, UPDATE_CAUSE_RULES, plan) : code;
}

/* Only the server speaks these; a device that does would forge the history of others' updates. */
static bool is_reserved(struct span name) {
    static const char *const own[] = {"spark/status",
                                      "spark/flash/",
                                      "spark/device/app-hash",
                                      "spark/safe-mode-updater/",
                                      "spark/device/diagnostics/",
                                      "particle/firmware/",
                                      "particle/device/updates/",
                                      "slipway/"};
    for (size_t i = 0; i < SW_COUNT(own); i++) {
        if (span_begins(name, own[i])) {
            return true;
        }
    }
    return false;
}

static bool is_printable(struct span name) {
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] <= ' ' || name.data[i] >= 0x7F) {
            return false;
        }
    }
    return name.len > 0 && name.len < EVENT_NAME_BYTES;
}

/* It has restarted and resumed its session without a Hello: so it has the same modules as before.
 * If that is the target (it was flashed with what it ran), the update succeeded; else the device
 * has gone back. Without this the update would wait for a Hello that never comes. */
static int judge_silent_return(struct app_tx *tx, struct device *device, struct app_plan *plan) {
    struct update open;
    int code = store_update_open(tx->store, device->num, &open, tx->fault);
    if (code != SW_OK || open.state != UPDATE_REBOOTING) {
        return code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    struct evidence evidence = {.is_silent = true};
    code = update_judge(tx, device, &evidence);
    return code == SW_OK ? plan_device(tx, device, UPDATE_CAUSE_RULES, plan) : code;
}

/* What a device may want to know of itself, as applications ask for it: by publishing the name of
 * an event, which then comes back with the answer. NULL: it asks for nothing that is known. */
static const char *answer_of(const struct device *device, struct span name) {
    if (span_is_text(name, "particle/device/name") || span_is_text(name, "spark/device/name")) {
        return device->name[0] != '\0' ? device->name : NULL;
    }
    if (span_is_text(name, "particle/device/ip") || span_is_text(name, "spark/device/ip")) {
        return device->address[0] != '\0' ? device->address : NULL;
    }
    return NULL;
}

static int answer(struct app_tx *tx, const struct device *device, struct span name,
                  const char *data) {
    int code = app_append_told(tx, device, name, span_text(data));
    return code == SW_OK ? app_tell_published(tx) : code;
}

int app_device_published(struct app_tx *tx, const struct device_id *id, struct span name,
                         struct span data, struct app_plan *plan) {
    struct device device;
    int code = find_device(tx, id, &device, plan);
    if (code != SW_OK) {
        return code;
    }
    plan->product_id = device.product_id;
    if (!is_printable(name) || is_reserved(name)) {
        return SW_OK;
    }
    const char *told = answer_of(&device, name);
    code =
        told != NULL ? answer(tx, &device, name, told) : app_append_told(tx, &device, name, data);
    if (code == SW_OK && span_is_text(name, "spark/device/last_reset")) {
        size_t len = data.len < sizeof device.last_reset ? data.len : sizeof device.last_reset - 1;
        for (size_t i = 0; i < len; i++) {
            char c = (char)data.data[i];
            device.last_reset[i] = (char)(c >= ' ' && c < 0x7F ? c : '?');
        }
        device.last_reset[len] = '\0';
        bool has_resumed = app_is_later(tx, device.handshake_ms, device.hello_ms);
        device.pending_told = (int8_t)(has_resumed ? -1 : device.pending_told);
        code = store_device_save_told(tx->store, &device, tx->fault);
        if (code == SW_OK && has_resumed) {
            code = judge_silent_return(tx, &device, plan);
        }
    }
    if (code == SW_OK && span_is_text(name, "spark/device/safemode") && !device.is_safe_mode) {
        device.is_safe_mode = true;
        code = store_device_save_told(tx->store, &device, tx->fault);
    }
    return code;
}

int app_device_online(struct app_tx *tx, const struct device_id *id, bool is_online) {
    struct device device;
    int code = store_device_get(tx->store, id, &device, tx->fault);
    if (code != SW_OK || device.is_online == is_online) {
        return code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    code = set_online(tx, &device, is_online);
    if (is_online) {
        device.heard_ms = tx->now.ms;
    }
    return code == SW_OK ? store_device_save_told(tx->store, &device, tx->fault) : code;
}

int app_device_left(struct app_tx *tx, const struct device_id *id, const struct app_proof *proof) {
    enum app_proof_verdict verdict = APP_PROOF_OWN;
    int code = proof == NULL ? SW_OK : app_proof_check_again(tx, id, proof, &verdict);
    return code == SW_OK && verdict == APP_PROOF_OWN ? app_device_online(tx, id, false) : code;
}

int app_device_goodbye(struct app_tx *tx, const struct device_id *id,
                       const struct app_goodbye *goodbye) {
    char text[GOODBYE_TEXT_BYTES];
    struct device device;
    int code = store_device_get(tx->store, id, &device, tx->fault);
    if (code == SW_OK && goodbye_text(goodbye, text, sizeof text)) {
        code = app_append(tx, device.product_id, &device, "slipway/device/goodbye", text, NULL);
    }
    return code == SW_OK || code == SW_E_NOT_FOUND ? app_device_online(tx, id, false) : code;
}

int app_device_doubled(struct app_tx *tx, const struct device_id *id, const char *address) {
    struct device device;
    int code = store_device_get(tx->store, id, &device, tx->fault);
    if (code != SW_OK) {
        return code == SW_E_NOT_FOUND ? SW_OK : code;
    }
    return app_append(tx, device.product_id, &device, "slipway/device/duplicate", address, NULL);
}

int app_devices_offline(struct app_tx *tx) {
    struct store_metric_product *products = NULL;
    size_t count = 0;
    int code = store_metric_products(tx->store, &products, &count, tx->fault);
    for (size_t i = 0; code == SW_OK && i < count; i++) {
        char text[24];
        (void)snprintf(text, sizeof text, "%lld", (long long)products[i].online);
        code = app_append(tx, products[i].product_id, NULL, "slipway/restarted", text, NULL);
    }
    free(products);
    return code == SW_OK ? store_device_all_offline(tx->store, tx->fault) : code;
}

int app_device_plan(struct app_tx *tx, const struct device_id *id, enum update_cause cause,
                    struct app_plan *plan) {
    struct device device;
    int code = find_device(tx, id, &device, plan);
    return code == SW_OK ? plan_device(tx, &device, cause, plan) : code;
}

int app_plan_candidates(struct app_tx *tx, uint16_t product_id,
                        bool (*found)(void *arg, const struct device_id *id), void *arg) {
    struct device_id *ids = NULL;
    size_t count = 0;
    int code = store_device_online(tx->store, product_id, &ids, &count, tx->fault);
    bool is_wanted = true;
    for (size_t i = 0; code == SW_OK && is_wanted && i < count; i++) {
        struct device device;
        struct facts facts;
        code = store_device_get(tx->store, &ids[i], &device, tx->fault);
        if (code == SW_OK) {
            code = facts_read(tx, &device, &facts);
        }
        if (code == SW_OK) {
            if (facts.decision.is_change && facts.decision.immediate) {
                is_wanted = found(arg, &ids[i]);
            }
            facts_free(&facts);
        }
    }
    free(ids);
    return code;
}

int app_image_load(struct app_tx *tx, int64_t image_id, struct app_image *out) {
    *out = (struct app_image){.bytes = NULL};
    struct image_record image;
    int code = store_image_get(tx->store, image_id, &image, tx->fault);
    if (code == SW_OK) {
        code = store_image_load(tx->store, image_id, &out->bytes, &out->size, tx->fault);
    }
    if (code == SW_OK) {
        sha256_of(span_of(out->bytes, out->size), &out->file_hash);
        if (memcmp(out->file_hash.b, image.file_hash.b, sizeof image.file_hash.b) != 0) {
            free(out->bytes);
            *out = (struct app_image){.bytes = NULL};
            code = fault_set(tx->fault, SW_E_IO, "the bytes of image %lld are damaged",
                             (long long)image_id);
        }
    }
    return code;
}

/* --- sessions at rest --- */

int app_session_save(struct app_tx *tx, const uint8_t cid[APP_CID_BYTES],
                     const struct device_id *device, struct span sealed) {
    return store_session_put(tx->store, cid, device, sealed, tx->now.ms, tx->fault);
}

int app_session_forget(struct app_tx *tx, const uint8_t cid[APP_CID_BYTES]) {
    return store_session_delete(tx->store, cid, tx->fault);
}

int app_session_each(struct app_tx *tx, app_session_fn *each, void *arg) {
    return store_session_each(tx->store, each, arg, tx->fault);
}
