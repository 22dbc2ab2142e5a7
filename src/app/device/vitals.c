/* Device OS sends its diagnostics as numbers with ids; the REST dialect shows them as a tree. The
 * table is the whole translation. Hostile bytes: a record that is not in the table is passed over,
 * and what does not add up ends the reading. */
#include "slipway/app/vitals.h"

#include "slipway/store/vitals.h"
#include "slipway/util/check.h"
#include "slipway/util/reader.h"

#include "app/internal.h"
#include "app/update/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERROR_BIT 0x8000U /* the value is an error code */
#define DAY_MS    INT64_C(86400000)

static const char *const words_network[] = {"turned_off",  "turning_on", "disconnected",
                                            "connecting",  "connected",  "disconnecting",
                                            "turning_off", NULL};
static const char *const words_network_end[] = {
    "none", "error", "user", "network_off", "listening", "sleep", "reset", "unknown", NULL};
static const char *const words_cloud[] = {"disconnected", "connecting", "connected",
                                          "disconnecting", NULL};
static const char *const words_cloud_end[] = {
    "none",  "error", "user",    "network_disconnect", "listening",
    "reset", "sleep", "unknown", "server_moved",       NULL};
static const char *const words_access[] = {"unknown",    "Wi-Fi",       "GSM", "EDGE",
                                           "UMTS",       "CDMA",        "LTE", "802.15.4",
                                           "LTE Cat-M1", "LTE Cat-NB1", NULL};
static const char *const words_battery[] = {
    "unknown", "not_charging", "charging", "charged", "discharging", "fault", "disconnected", NULL};
static const char *const words_power[] = {"unknown", "VIN",     "USB host", "USB adapter",
                                          "USB OTG", "battery", NULL};

/* How strength and quality are measured, by access technology. */
static const struct {
    const char *strength, *quality, *quality_units;
} measures[] = {{NULL, NULL, NULL},     {"RSSI", "SNR", "dB"},  {"RSSI", "BER", "%"},
                {"RSSI", "BER", "%"},   {"RSCP", "ECN0", "dB"}, {"RSSI", "ECN0", "dB"},
                {"RSRP", "RSRQ", "dB"}, {"RSSI", "SNR", "dB"},  {"RSRP", "RSRQ", "dB"},
                {"RSRP", "RSRQ", "dB"}};

enum { ID_ACCESS = 36 };

#define SIGNAL "device.network.signal."
#define NET    "device.network.connection."
#define CELL   "device.network.cellular.cell_global_identity."
#define CLOUD  "device.cloud.connection."

/* clang-format off */
static const struct vital known[] = {
    {ID_ACCESS, VITAL_WORD, words_access, SIGNAL "at", "Access technology", NULL,
     "How the device reaches the network."},
    {33, VITAL_FIXED_8, NULL, SIGNAL "strength", "Signal strength", "%",
     "Strength of the radio signal."},
    {37, VITAL_FIXED_16, NULL, SIGNAL "strengthv", "Signal strength value", "dBm",
     "The measured strength."},
    {34, VITAL_FIXED_8, NULL, SIGNAL "quality", "Signal quality", "%",
     "Quality of the radio signal."},
    {35, VITAL_FIXED_16, NULL, SIGNAL "qualityv", "Signal quality value", "dB",
     "The measured quality."},
    {8, VITAL_WORD, words_network, NET "status", "Network status", NULL,
     "Whether it is connected to a network."},
    {9, VITAL_NUMBER, NULL, NET "error", "Network error", NULL,
     "The last error code of the network."},
    {12, VITAL_NUMBER, NULL, NET "disconnects", "Network disconnects", NULL,
     "Losses of the network since the reset."},
    {27, VITAL_NUMBER, NULL, NET "attempts", "Network attempts", NULL,
     "Tries until it was connected."},
    {28, VITAL_WORD, words_network_end, NET "disconnect_reason", "Network disconnect reason", NULL,
     "Why the network was left last."},
    {40, VITAL_NUMBER, NULL, CELL "mobile_country_code", "Mobile country code", NULL,
     "Of the serving cell."},
    {41, VITAL_DIGITS, NULL, CELL "mobile_network_code", "Mobile network code", NULL,
     "Of the serving cell."},
    {42, VITAL_NUMBER, NULL, CELL "location_area_code", "Location area code", NULL,
     "Of the serving cell."},
    {43, VITAL_NUMBER, NULL, CELL "cell_id", "Cell id", NULL,
     "Of the serving cell."},
    {10, VITAL_WORD, words_cloud, CLOUD "status", "Cloud status", NULL,
     "Whether it is connected to the server."},
    {13, VITAL_NUMBER, NULL, CLOUD "error", "Cloud error", NULL,
     "The last error code of the connection."},
    {29, VITAL_NUMBER, NULL, CLOUD "attempts", "Cloud attempts", NULL,
     "Tries until it was connected."},
    {14, VITAL_NUMBER, NULL, CLOUD "disconnects", "Cloud disconnects", NULL,
     "Losses of the server since the reset."},
    {30, VITAL_WORD, words_cloud_end, CLOUD "disconnect_reason", "Cloud disconnect reason", NULL,
     "Why the server was left last."},
    {21, VITAL_NUMBER, NULL, "device.cloud.coap.retransmit", "Messages repeated", NULL,
     "Confirmable messages sent again."},
    {22, VITAL_NUMBER, NULL, "device.cloud.coap.unack", "Messages unacknowledged", NULL,
     "Confirmable messages that nobody acknowledged."},
    {20, VITAL_NUMBER, NULL, "device.cloud.publish.rate_limited", "Events held back", NULL,
     "Events that the device's own limit refused."},
    {3, VITAL_FIXED_8, NULL, "device.power.battery.charge", "Battery charge", "%",
     "Charge of the battery."},
    {7, VITAL_WORD, words_battery, "device.power.battery.state", "Battery state", NULL,
     "What the battery does."},
    {24, VITAL_WORD, words_power, "device.power.source", "Power source", NULL,
     "Where the power comes from."},
    {6, VITAL_NUMBER, NULL, "device.system.uptime", "Uptime", "s",
     "Since the last reset."},
    {26, VITAL_NUMBER, NULL, "device.system.memory.used", "Memory used", "bytes",
     "Of the RAM."},
    {25, VITAL_NUMBER, NULL, "device.system.memory.total", "Memory", "bytes",
     "The RAM there is."},
    {2, VITAL_NUMBER, NULL, "device.system.memory.free", "Memory free", "bytes",
     "Of the RAM."},
    {0, VITAL_NUMBER, NULL, NULL, NULL, NULL, NULL}
};
/* clang-format on */

const struct vital *app_vitals_known(void) {
    return known;
}

/* --- the tree --- */

/* The next part of a path, copied; NULL at its end. */
static const char *part_of(const char *path, char part[static 32]) {
    size_t len = strcspn(path, ".");
    memcpy(part, path, len);
    part[len] = '\0';
    return path[len] == '.' ? path + len + 1 : NULL;
}

const json_t *app_vitals_value(const json_t *payload, const char *path) {
    const json_t *at = payload;
    char part[32];
    for (const char *rest = path; rest != NULL && at != NULL;) {
        rest = part_of(rest, part);
        at = json_object_get(at, part);
    }
    return at;
}

void app_vitals_put(json_t *tree, const char *path, json_t *value) {
    json_t *at = tree;
    char part[32];
    for (const char *rest = path;;) {
        rest = part_of(rest, part);
        if (rest == NULL) {
            break;
        }
        json_t *inner = json_object_get(at, part);
        if (inner == NULL) {
            (void)json_object_set_new(at, part, json_object());
            inner = json_object_get(at, part);
        }
        at = inner;
    }
    (void)json_object_set_new(at, part, value);
}

static json_t *number(double value) {
    return value == (double)(json_int_t)value ? json_integer((json_int_t)value) : json_real(value);
}

static json_t *word(const char *const *words, int32_t at) {
    for (int32_t i = 0; words[i] != NULL; i++) {
        if (i == at) {
            return json_string(words[i]);
        }
    }
    return json_integer(at);
}

/* Two digits are told by the sign. */
static json_t *digits(int32_t value) {
    char text[16];
    (void)snprintf(text, sizeof text, value < 0 ? "%02lld" : "%03lld",
                   value < 0 ? -(long long)value : (long long)value);
    return json_string(text);
}

static json_t *value_of(const struct vital *vital, int32_t raw) {
    switch (vital->form) {
    case VITAL_NUMBER:
        break;
    case VITAL_FIXED_8:
        return number((uint32_t)raw / 256.0);
    case VITAL_FIXED_16:
        return number(raw / 65536.0);
    case VITAL_DIGITS:
        return digits(raw);
    case VITAL_WORD:
        return word(vital->words, raw);
    }
    return number(raw);
}

/* What is measured how depends on the access technology. */
static void put_measures(json_t *payload, uint32_t access) {
    json_t *signal =
        json_object_get(json_object_get(json_object_get(payload, "device"), "network"), "signal");
    if (signal == NULL || access >= SW_COUNT(measures) || measures[access].strength == NULL) {
        return;
    }
    (void)json_object_set_new(signal, "strength_units", json_string("%"));
    (void)json_object_set_new(signal, "strengthv_units", json_string("dBm"));
    (void)json_object_set_new(signal, "strengthv_type", json_string(measures[access].strength));
    (void)json_object_set_new(signal, "quality_units", json_string("%"));
    (void)json_object_set_new(signal, "qualityv_units",
                              json_string(measures[access].quality_units));
    (void)json_object_set_new(signal, "qualityv_type", json_string(measures[access].quality));
}

static const struct vital *find(uint16_t id) {
    for (const struct vital *vital = known; vital->path != NULL; vital++) {
        if (vital->id == id) {
            return vital;
        }
    }
    return NULL;
}

/* Device OS: 0, 4, 0, the sizes of ids and values, then the records. */
static void read_records(json_t *payload, struct span bytes) {
    struct reader r = reader_of(bytes);
    uint32_t access = 0;
    bool is_ours = reader_u8(&r) == 0 && reader_u16_le(&r) == 4 && reader_u16_le(&r) == 2 &&
                   reader_u16_le(&r) == 4;
    while (is_ours && reader_left(&r) >= 6) {
        uint16_t id = reader_u16_le(&r);
        int32_t raw = (int32_t)reader_u32_le(&r);
        const struct vital *vital = find(id & (uint16_t)~ERROR_BIT);
        if (vital == NULL) {
            continue;
        }
        access = id == ID_ACCESS ? (uint32_t)raw : access;
        app_vitals_put(payload, vital->path,
                       (id & ERROR_BIT) != 0 ? json_pack("{s:i}", "err", (int)raw)
                                             : value_of(vital, raw));
    }
    put_measures(payload, access);
}

static json_t *payload_of(const struct vitals *row) {
    json_t *payload =
        json_pack("{s:{s:{}, s:{}, s:{}, s:{}}, s:{s:{s:s}, s:{s:I}, s:{}}}", "device", "network",
                  "cloud", "power", "system", "service", "device", "status", "ok", "cloud",
                  "uptime", (json_int_t)row->session_s, "coap");
    if (payload != NULL) {
        read_records(payload, span_of(row->bytes, row->len));
    }
    return payload;
}

/* --- keeping --- */

/* The event holds only so much: what matters least goes first. */
static int tell(struct app_tx *tx, const struct device *device, const struct vitals *row) {
    static const char *const droppable[] = {"cellular", "signal", "connection"};
    char text[EVENT_DATA_BYTES];
    json_t *payload = payload_of(row);
    json_t *network = json_object_get(json_object_get(payload, "device"), "network");
    size_t len = json_dumpb(payload, text, sizeof text - 1, JSON_COMPACT);
    for (size_t i = 0; i < SW_COUNT(droppable) && len >= sizeof text; i++) {
        (void)json_object_del(network, droppable[i]);
        len = json_dumpb(payload, text, sizeof text - 1, JSON_COMPACT);
    }
    json_decref(payload);
    text[len < sizeof text ? len : 0] = '\0';
    return app_append(tx, device->product_id, device, "spark/device/diagnostics/update", text,
                      NULL);
}

int vitals_record(struct app_tx *tx, const struct device *device, struct span bytes) {
    struct vitals row = {.at_ms = tx->now.ms, .len = bytes.len};
    if (bytes.len > sizeof row.bytes) {
        row.len = sizeof row.bytes;
    }
    if (row.len > 0) {
        memcpy(row.bytes, bytes.data, row.len);
    }
    if (device->handshake_ms > 0 && device->handshake_ms <= tx->now.ms) {
        row.session_s = (tx->now.ms - device->handshake_ms) / 1000;
    }
    int code = store_vitals_append(tx->store, device->num, &row, tx->app->options.vitals_device_max,
                                   tx->fault);
    return code == SW_OK ? tell(tx, device, &row) : code;
}

int app_vitals_prune(struct app_tx *tx) {
    enum { LOOK = 10000 };
    const struct app_options *options = &tx->app->options;
    return store_vitals_prune(tx->store, options->vitals_max, tx->now.ms - options->vitals_age_ms,
                              LOOK, tx->fault);
}

/* --- reading --- */

int app_vitals_list(struct app_tx *tx, int64_t device_num, int64_t start_ms, int64_t end_ms,
                    struct app_vitals_list *out) {
    int64_t age_ms = tx->app->options.vitals_age_ms;
    *out = (struct app_vitals_list){.count = 0};
    if (start_ms != 0 && start_ms < tx->now.ms - age_ms) {
        return app_fail(tx, SW_E_RANGE, "bad_request", "start_date",
                        "start_date must not be more than %lld days ago",
                        (long long)(age_ms / DAY_MS));
    }
    end_ms = end_ms != 0 ? end_ms : INT64_MAX;
    if (end_ms < start_ms) {
        return app_fail(tx, SW_E_RANGE, "bad_request", "end_date",
                        "end_date must not be before start_date");
    }
    struct vitals *rows = NULL;
    size_t count = 0;
    int code = store_vitals_list(tx->store, device_num, start_ms, end_ms, &rows, &count, tx->fault);
    if (code == SW_OK && count > 0) {
        out->items = calloc(count, sizeof *out->items);
        code = out->items != NULL ? SW_OK : fault_set(tx->fault, SW_E_MEMORY, "out of memory");
    }
    for (size_t i = 0; code == SW_OK && i < count; i++) {
        out->items[out->count++] =
            (struct app_vitals){.at_ms = rows[i].at_ms, .payload = payload_of(&rows[i])};
    }
    free(rows);
    return code;
}

void app_vitals_free(struct app_vitals_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        json_decref(list->items[i].payload);
    }
    free(list->items);
    *list = (struct app_vitals_list){.count = 0};
}

int app_vitals_last(struct app_tx *tx, int64_t device_num, struct app_vitals *out) {
    struct vitals row;
    int code = store_vitals_last(tx->store, device_num, &row, tx->fault);
    if (code == SW_OK) {
        *out = (struct app_vitals){.at_ms = row.at_ms, .payload = payload_of(&row)};
    }
    return code;
}
