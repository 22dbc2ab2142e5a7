/* Events on their way to devices: who asked for which. Device OS names a prefix, and repeats its
 * wishes after each Hello only. What begins with spark or particle is the server's own to say, and
 * reaches every device without being asked for. */
#include "slipway/store/fleet.h"
#include "slipway/store/journal.h"

#include "app/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_printable(struct span prefix) {
    for (size_t i = 0; i < prefix.len; i++) {
        if (prefix.data[i] <= ' ' || prefix.data[i] >= 0x7F) {
            return false;
        }
    }
    return prefix.len > 0 && prefix.len < EVENT_NAME_BYTES;
}

int app_device_subscribed(struct app_tx *tx, const struct device_id *id, struct span prefix) {
    struct device device;
    char text[EVENT_NAME_BYTES];
    int code = store_device_get(tx->store, id, &device, tx->fault);
    if (code != SW_OK || !is_printable(prefix)) {
        return code;
    }
    (void)snprintf(text, sizeof text, "%.*s", (int)prefix.len, (const char *)prefix.data);
    return store_subscription_put(tx->store, device.num, text, APP_SUBSCRIPTIONS_MAX, tx->fault);
}

/* What is about a device goes to that device alone. */
static int find_subscribers(struct app_tx *tx, const struct event *event,
                            struct app_delivery *out) {
    if (!event->has_device) {
        return store_subscribers(tx->store, event->product_id, event->name, APP_SUBSCRIBERS_MAX,
                                 &out->ids, &out->count, tx->fault);
    }
    if (strncmp(event->name, "particle/", 9) != 0 && strncmp(event->name, "spark/", 6) != 0) {
        return store_subscriber(tx->store, &event->device, event->name, &out->ids, &out->count,
                                tx->fault);
    }
    out->ids = malloc(sizeof *out->ids);
    if (out->ids == NULL) {
        return fault_set(tx->fault, SW_E_MEMORY, "out of memory for a delivery");
    }
    out->ids[0] = event->device;
    out->count = 1;
    return SW_OK;
}

int app_subscribers(struct app_tx *tx, int64_t event_id, struct app_delivery *out) {
    *out = (struct app_delivery){.ids = NULL};
    const struct store_event_filter filter = {
        .after_id = event_id - 1, .until_id = event_id, .max = 1};
    struct event *event = NULL;
    size_t count = 0;
    int code = store_event_list(tx->store, &filter, &event, &count, tx->fault);
    if (code == SW_OK && count == 0) {
        code = SW_E_NOT_FOUND;
    }
    if (code == SW_OK) {
        memcpy(out->name, event->name, sizeof out->name);
        memcpy(out->data, event->data, event->data_len);
        out->data_len = event->data_len;
        code = find_subscribers(tx, event, out);
    }
    free(event);
    return code;
}
