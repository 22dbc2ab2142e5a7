#include "http/reply/pages.h"

#include <stdio.h>
#include <string.h>

#include "slipway/model/device_os.h"
#include "slipway/model/platform.h"
#include "slipway/sys/clock.h"
#include "slipway/util/hex.h"

json_t *page_time(int64_t ms) {
    if (ms == 0) {
        return json_null();
    }
    char text[WALL_TEXT_BYTES];
    wall_text((wall_time){.ms = ms}, text);
    return json_string(text);
}

json_t *page_version(uint16_t version) {
    return version == 0 || version == VERSION_NONE ? json_null() : json_integer(version);
}

json_t *page_text(const char *text) {
    return text == NULL || text[0] == '\0' ? json_null() : json_string(text);
}

json_t *page_bytes(const char *bytes, size_t len) {
    json_t *text = json_stringn(bytes, len);
    if (text != NULL) {
        return text;
    }
    char ascii[EVENT_DATA_BYTES];
    size_t kept = len < sizeof ascii ? len : sizeof ascii;
    for (size_t i = 0; i < kept; i++) {
        char c = bytes[i];
        ascii[i] = '?';
        if (((unsigned char)c & 0x80) == 0) {
            ascii[i] = c;
        }
    }
    return json_stringn(ascii, kept);
}

static json_t *page_names(const struct name_list *names) {
    json_t *list = json_array();
    for (size_t i = 0; names != NULL && i < names->count; i++) {
        (void)json_array_append_new(list, json_string(names->items[i]));
    }
    return list;
}

json_t *page_product(const struct product *product, const struct group_list *groups) {
    json_t *names = json_array();
    for (size_t i = 0; groups != NULL && i < groups->count; i++) {
        (void)json_array_append_new(names, json_string(groups->items[i].name));
    }
    return json_pack("{s:i, s:i, s:s, s:s, s:s, s:n, s:n, s:o, s:I, s:{s:b, s:{}, s:{}, s:s}, "
                     "s:o, s:n, s:n, s:n, s:o, s:o}",
                     "id", (int)product->id, "platform_id", (int)product->platform_id, "name",
                     product->name, "slug", product->slug, "description", product->description,
                     "subscription_id", "mb_limit", "groups", names, "device_count",
                     (json_int_t)product->device_count, "settings", "quarantine",
                     (int)product->quarantine, "location", "known_application",
                     "require_tested_firmware", product->enforce_tested ? "enforce" : "warn",
                     "product_default_version", page_version(product->default_version), "org",
                     "organization_id", "device_protection", "created_at",
                     page_time(product->created_ms), "updated_at", page_time(product->updated_ms));
}

json_t *page_firmware(const struct firmware *firmware, const struct name_list *groups) {
    char hash[2 * SHA256_BYTES + 1];
    char file_hash[2 * SHA256_BYTES + 1];
    hex_encode(span_of(firmware->image.module_hash.b, SHA256_BYTES), hash, sizeof hash);
    hex_encode(span_of(firmware->image.file_hash.b, SHA256_BYTES), file_hash, sizeof file_hash);
    /* The lowest Device OS that it runs on, as the number of the module that it needs. */
    uint16_t system_version = 0;
    for (size_t i = 0; i < firmware->image.dependency_count; i++) {
        if (firmware->image.dependencies[i].function == MODULE_SYSTEM_PART) {
            system_version = firmware->image.dependencies[i].version;
        }
    }
    return json_pack(
        "{s:o, s:o, s:{s:s}, s:i, s:i, s:I, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:I, s:o, "
        "s:s, s:s, s:o, s:o, s:o}",
        "updated_at", page_time(firmware->updated_ms), "uploaded_on",
        page_time(firmware->uploaded_ms), "uploaded_by", "username", firmware->uploaded_by,
        "version", (int)firmware->version, "product_id", (int)firmware->product_id, "size",
        (json_int_t)(firmware->bundle_bytes > 0 ? firmware->bundle_bytes : firmware->image.size),
        "name", firmware->image.name, "title", firmware->title, "description",
        firmware->description, "_id", firmware->uid, "current", 0, "mandatory",
        (int)firmware->mandatory, "product_default", (int)firmware->product_default, "immediate",
        (int)firmware->immediate, "intelligent", (int)firmware->immediate, "device_count",
        (json_int_t)firmware->device_count, "groups", page_names(groups), "app_hash", hash,
        "sha256", file_hash, "device_os_version", page_text(device_os_name(system_version)),
        "system_module_version", system_version == 0 ? json_null() : json_integer(system_version),
        "released_at", page_time(firmware->released_ms));
}

json_t *page_group(const struct group *group) {
    return json_pack("{s:s, s:s, s:s, s:o, s:b, s:I, s:o, s:o}", "name", group->name, "description",
                     group->description, "color", group->color, "fw_version",
                     page_version(group->version), "intelligent", (int)group->immediate,
                     "device_count", (json_int_t)group->device_count, "created_at",
                     page_time(group->created_ms), "updated_at", page_time(group->updated_ms));
}

json_t *page_event(const struct event *event) {
    char id[DEVICE_ID_DIGITS + 1] = "api";
    if (event->has_device) {
        device_id_text(&event->device, id);
    }
    return json_pack("{s:o, s:I, s:o, s:s, s:s, s:i, s:b, s:i}", "data",
                     event->has_data ? page_bytes(event->data, event->data_len) : json_null(),
                     "ttl", (json_int_t)event->ttl_s, "published_at", page_time(event->at_ms),
                     "coreid", id, "userid", event->user, "version",
                     event->version == VERSION_NONE ? 0 : (int)event->version, "public", 0,
                     "productID", (int)event->product_id);
}

static json_t *page_step(const struct update_step *step) {
    return json_pack("{s:o, s:o, s:s, s:o, s:i, s:I}", "at", page_time(step->at_ms), "from",
                     step->from < 0 ? json_null()
                                    : json_string(update_state_name((enum update_state)step->from)),
                     "to", update_state_name(step->to), "reason", page_text(step->reason),
                     "device_error", (int)step->device_error, "progress_bytes",
                     (json_int_t)step->progress_bytes);
}

json_t *page_update(const struct update *update, const struct update_step_list *steps) {
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&update->device, id);
    json_t *page = json_pack(
        "{s:I, s:s, s:i, s:o, s:o, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:i, s:o, s:o, s:o, s:o, "
        "s:o}",
        "id", (json_int_t)update->id, "device_id", id, "product_id", (int)update->product_id,
        "version", page_version(update->version), "from_version",
        page_version(update->from_version), "state", update_state_name(update->state), "cause",
        update_cause_name(update->cause), "rule", update->rule, "reason", page_text(update->reason),
        "attempt", (json_int_t)update->attempt, "progress_bytes",
        (json_int_t)update->progress_bytes, "total_bytes", (json_int_t)update->total_bytes,
        "device_error", (int)update->device_error, "requested_by", page_text(update->requested_by),
        "created_at", page_time(update->created_ms), "updated_at", page_time(update->updated_ms),
        "finished_at", page_time(update->finished_ms), "deadline_at",
        page_time(update->deadline_ms));
    if (steps != NULL && page != NULL) {
        json_t *timeline = json_array();
        for (size_t i = 0; i < steps->count; i++) {
            (void)json_array_append_new(timeline, page_step(&steps->items[i]));
        }
        (void)json_object_set_new(page, "timeline", timeline);
    }
    return page;
}

json_t *page_release(const struct release *release) {
    json_t *groups = json_array();
    for (const char *at = release->groups; *at != '\0';) {
        size_t len = strcspn(at, ",");
        (void)json_array_append_new(groups, json_stringn(at, len));
        at += len + (at[len] == ',' ? 1 : 0);
    }
    return json_pack(
        "{s:I, s:i, s:i, s:o, s:b, s:b, s:b, s:b, s:s, s:o}", "id", (json_int_t)release->id,
        "product_id", (int)release->product_id, "version", (int)release->version, "groups", groups,
        "product_default_set", (int)release->is_default_set, "product_default_cleared",
        (int)release->is_default_cleared, "intelligent", (int)release->immediate, "untested",
        (int)release->untested, "by", release->by, "at", page_time(release->at_ms));
}

json_t *page_decision(const struct app_decision *decision) {
    static const char *const verdicts[] = {"decided", "overruled", "not_applicable"};
    json_t *explanation = json_array();
    for (size_t i = 0; i < decision->decision.explanation_count; i++) {
        const struct rule_explanation *rule = &decision->decision.explanation[i];
        (void)json_array_append_new(explanation,
                                    json_pack("{s:s, s:s, s:o, s:s}", "rule", rule_name(rule->rule),
                                              "verdict", verdicts[rule->verdict], "version",
                                              page_version(rule->version), "text", rule->text));
    }
    return json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:o}", "target_version",
                     page_version(decision->decision.target_version), "running_version",
                     page_version(decision->running_version), "rule",
                     rule_name(decision->decision.rule), "group", page_text(decision->group),
                     "blocked_by", page_text(decision->blocked_by), "blocked_because",
                     page_text(decision->sentence), "is_change", (int)decision->decision.is_change,
                     "intelligent", (int)decision->decision.immediate, "next_attempt_at",
                     page_time(decision->retry_ms), "update",
                     decision->has_update ? page_update(&decision->update, NULL) : json_null(),
                     "explanation", explanation);
}

json_t *page_quarantine(const struct quarantine *device, uint16_t product_id) {
    char id[DEVICE_ID_DIGITS + 1];
    device_id_text(&device->id, id);
    return json_pack(
        "{s:s, s:n, s:b, s:b, s:i, s:i, s:i, s:o, s:b, s:b, s:o, s:o, s:o, s:b, s:i}", "id", id,
        "name", "online", 0, "connected", 0, "product_id", (int)product_id, "firmware_product_id",
        (int)device->product_id, "platform_id", (int)device->platform_id, "last_ip_address",
        page_text(device->address), "quarantined", 1, "denied", (int)device->is_denied,
        "first_seen_at", page_time(device->first_ms), "last_handshake_at",
        page_time(device->last_ms), "firmware_version", page_version(device->version), "wrong_key",
        (int)device->is_wrong_key, "system_module_version", (int)device->system_version);
}
