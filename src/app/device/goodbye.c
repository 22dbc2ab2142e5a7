/* Why a device left, as it told. Words for the numbers of Device OS that have one. */
#include "slipway/util/check.h"
#include "slipway/util/writer.h"

#include "app/internal.h"

#include <stdio.h>

#define RESET_REASON_STEP 10

static const char *cloud_word(uint32_t reason) {
    static const char *const words[] = {NULL,    "error", "user",    "network",     "listening",
                                        "reset", "sleep", "unknown", "server_moved"};
    return reason < SW_COUNT(words) ? words[reason] : NULL;
}

/* The same words as in the event spark/device/last_reset. */
static const char *reset_word(uint32_t reason) {
    static const char *const words[] = {
        NULL,           "unknown",        "pin_reset",     "power_management",
        "power_down",   "power_brownout", "watchdog",      "update",
        "update_error", "update_timeout", "factory_reset", "safe_mode",
        "dfu_mode",     "panic",          "user",          "config_update"};
    uint32_t place = reason / RESET_REASON_STEP;
    return reason % RESET_REASON_STEP == 0 && place < SW_COUNT(words) ? words[place] : NULL;
}

static void put(struct writer *out, const char *key, const char *word, uint32_t number) {
    char text[64];
    if (number == 0) {
        return;
    }
    const char *comma = out->at > 1 ? "," : "";
    if (word != NULL) {
        (void)snprintf(text, sizeof text, "%s\"%s\":\"%s\"", comma, key, word);
    } else {
        (void)snprintf(text, sizeof text, "%s\"%s\":%u", comma, key, (unsigned)number);
    }
    writer_bytes(out, span_text(text));
}

bool goodbye_text(const struct app_goodbye *goodbye, char *out, size_t cap) {
    struct writer w = writer_of(out, cap);
    writer_u8(&w, '{');
    put(&w, "reason", cloud_word(goodbye->cloud_reason), goodbye->cloud_reason);
    put(&w, "reset", reset_word(goodbye->reset_reason), goodbye->reset_reason);
    put(&w, "sleep", NULL, goodbye->sleep_s);
    put(&w, "network", NULL, goodbye->network_reason);
    bool is_told = w.at > 1;
    writer_bytes(&w, span_of("}", 2)); /* with its zero */
    return is_told && writer_status(&w) == SW_OK;
}
