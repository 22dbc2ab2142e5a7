#include "sim/report.h"

#include "slipway/util/check.h"
#include "slipway/util/hex.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *shown_state(const struct sim_device *device) {
    if (device->receiver.is_running || device->legacy.is_running) {
        return "receiving";
    }
    return device->has_staged ? "rebooting" : sim_device_state_name(device);
}

static json_t *shown_version(uint16_t version) {
    return version == VERSION_NONE ? json_null() : json_integer(version);
}

static json_t *shown_hash(const struct sha256 *hash) {
    char text[2 * SHA256_BYTES + 1];
    hex_encode(span_of(hash->b, sizeof hash->b), text, sizeof text);
    return json_string(text);
}

static json_t *member_json(const struct member *member) {
    const struct sim_device *device = &member->device;
    char id[DEVICE_ID_DIGITS + 1];
    uint32_t total;
    uint32_t bytes = sim_device_progress(device, &total);
    device_id_text(&device->config.id, id);
    json_t *verified = json_array();
    for (size_t i = 0; i < member->verified_count; i++) {
        json_array_append_new(verified, shown_hash(&member->verified[i]));
    }
    json_t *violations = json_array();
    if (device->violations > 0) {
        json_array_append_new(violations, json_string(device->violation));
    }
    return json_pack(
        "{s:s, s:s, s:b, s:o, s:o, s:I, s:I, s:b, s:b, s:b, s:b, s:o, s:o, s:I, s:I, s:I, s:I, "
        "s:I, s:I, s:I, s:I, s:I}",
        "id", id, "state", shown_state(device), "connected", device->state == SIM_CONNECTED,
        "first_version", shown_version(member->first_version), "version",
        shown_version(device->firmware.product_version), "transfer_bytes", (json_int_t)bytes,
        "transfer_total", (json_int_t)total, "updates_enabled", device->updates_enabled,
        "updates_forced", device->updates_forced, "updates_pending", device->updates_pending,
        "safe_mode", sim_device_is_safe_mode(device), "verified_sha256", verified, "violations",
        violations, "violation_count", (json_int_t)device->violations, "hellos",
        (json_int_t)device->hellos, "handshakes", (json_int_t)device->handshakes, "resumes",
        (json_int_t)device->resumes, "transfers", (json_int_t)device->transfers, "commits",
        (json_int_t)device->commits, "refusals", (json_int_t)device->refusals, "power_cuts",
        (json_int_t)device->power_cuts, "events", (json_int_t)device->events);
}

static json_t *fleet_json(const struct fleet *fleet, uint32_t *violations) {
    json_t *devices = json_array();
    json_int_t connected = 0;
    *violations = 0;
    for (size_t i = 0; i < fleet->count; i++) {
        const struct member *member = &fleet->members[i];
        json_array_append_new(devices, member_json(member));
        connected += member->device.state == SIM_CONNECTED ? 1 : 0;
        *violations += member->device.violations;
    }
    return json_pack("{s:I, s:I, s:I, s:o}", "count", (json_int_t)fleet->count, "connected",
                     connected, "violations", (json_int_t)*violations, "devices", devices);
}

void report_status(const struct fleet *fleet, const char *path) {
    char beside[512];
    uint32_t violations;
    snprintf(beside, sizeof beside, "%s.%ld", path, (long)getpid());
    json_t *json = fleet_json(fleet, &violations);
    if (json_dump_file(json, beside, JSON_COMPACT) != 0 || rename(beside, path) != 0) {
        fprintf(stderr, "slipway-sim: %s: %s\n", path, strerror(errno));
    }
    json_decref(json);
}

uint32_t report_summary(const struct fleet *fleet) {
    uint32_t violations;
    json_t *json = fleet_json(fleet, &violations);
    (void)json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
    return violations;
}

/* --- as it happens --- */

static const struct {
    uint32_t news;
    const char *word;
} words[] = {
    {SIM_NEWS_BOOTED, "booted"},       {SIM_NEWS_HELLO, "hello"},
    {SIM_NEWS_CONNECTED, "connected"}, {SIM_NEWS_LOST, "lost"},
    {SIM_NEWS_PENDING, "pending"},     {SIM_NEWS_REFUSED, "refused"},
    {SIM_NEWS_TRANSFER, "transfer"},   {SIM_NEWS_VERIFIED, "verified"},
    {SIM_NEWS_COMMITTED, "committed"}, {SIM_NEWS_POWER_CUT, "power_cut"},
    {SIM_NEWS_VIOLATION, "violation"},
};

static void tell(const struct fleet *fleet, const struct member *member, const char *word,
                 mono_time now) {
    const struct sim_device *device = &member->device;
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&device->config.id, id);
    if (!fleet->options->is_json) {
        printf("%s %s%s%s\n", id, word, device->violations > 0 ? ": " : "",
               device->violations > 0 ? device->violation : "");
        return;
    }
    json_t *json = json_pack("{s:s, s:s, s:I, s:s, s:o}", "event", word, "device", id, "ms",
                             (json_int_t)(now.us / 1000), "state", shown_state(device), "version",
                             shown_version(device->firmware.product_version));
    if (device->has_verified) {
        json_object_set_new(json, "sha256", shown_hash(&device->verified));
    }
    if (device->violations > 0) {
        json_object_set_new(json, "violation", json_string(device->violation));
    }
    (void)json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
}

void fleet_report(struct fleet *fleet, struct member *member, mono_time now) {
    struct sim_device *device = &member->device;
    if ((device->news & SIM_NEWS_VERIFIED) != 0) {
        if (member->verified_count == VERIFIED_MAX) {
            memmove(member->verified, member->verified + 1,
                    (VERIFIED_MAX - 1) * sizeof member->verified[0]);
            member->verified_count--;
        }
        member->verified[member->verified_count++] = device->verified;
    }
    for (size_t i = 0; i < SW_COUNT(words); i++) {
        if ((device->news & words[i].news) != 0) {
            tell(fleet, member, words[i].word, now);
        }
    }
}
