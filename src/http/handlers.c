#include "http/handlers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/reply/pages.h"

bool handler_ok(struct request *rq, int code) {
    if (code != SW_OK) {
        reply_app_error(&rq->reply, code, &rq->tx->error);
    }
    return code == SW_OK;
}

json_t *handler_firmware_page(struct app_tx *tx, const struct firmware *firmware) {
    struct name_list groups = {0};
    if (firmware->group_count > 0 &&
        app_firmware_groups(tx, firmware->product_id, firmware->version, &groups) != SW_OK) {
        return NULL;
    }
    json_t *page = page_firmware(firmware, &groups);
    free(groups.items);
    return page;
}

const char **handler_texts(const json_t *list) {
    size_t count = json_array_size(list);
    const char **texts = count > 0 ? calloc(count, sizeof *texts) : NULL;
    for (size_t i = 0; texts != NULL && i < count; i++) {
        texts[i] = json_string_value(json_array_get(list, i));
    }
    return texts;
}

bool handler_group_names(struct fields *fields, const char *field, const json_t *list) {
    size_t count = json_array_size(list);
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(list, i);
        if (!group_name_is_valid(json_string_value(name), json_string_length(name))) {
            fields_fail(fields, field, "a group's name has 1 to %d characters of [a-z0-9_-]",
                        GROUP_NAME_MAX);
            return false;
        }
    }
    return true;
}

bool handler_may_grant(struct request *rq, struct fields *fields, const json_t *scopes) {
    size_t count = json_array_size(scopes);
    for (size_t i = 0; i < count; i++) {
        const char *scope = json_string_value(json_array_get(scopes, i));
        if (rq->identity.user.is_api && !app_identity_may(&rq->identity, scope)) {
            fields_fail(fields, "scopes", "%s is not yours to give", scope);
            return false;
        }
    }
    return true;
}

enum { TAG_BYTES = 48 };

static char *put_hex(char *out, int64_t value) {
    char digits[2 * sizeof value];
    size_t at = sizeof digits;
    uint64_t rest = (uint64_t)value;
    do {
        digits[--at] = "0123456789abcdef"[rest & 15];
        rest >>= 4;
    } while (rest != 0);
    memcpy(out, digits + at, sizeof digits - at);
    return out + sizeof digits - at;
}

static void tag_of(char out[TAG_BYTES], int64_t id, int64_t updated_ms) {
    *out++ = '"';
    out = put_hex(out, id);
    *out++ = '-';
    out = put_hex(out, updated_ms);
    *out++ = '"';
    *out = '\0';
}

/* Whether a header's list of tags names this one (RFC 9110 section 13.1). A weak tag names nothing
 * where something is to be changed. */
static bool tags_have(const char *list, const char *tag, bool takes_weak) {
    list += strspn(list, " \t");
    if (*list == '*') {
        return list[1 + strspn(list + 1, " \t")] == '\0';
    }
    for (;;) {
        list += strspn(list, " \t,");
        bool is_weak = strncmp(list, "W/", 2) == 0;
        list += is_weak ? 2 : 0;
        size_t len = *list == '"' ? strcspn(list + 1, "\"") + 2 : 0;
        if (len == 0 || list[len - 1] == '\0') {
            return false;
        }
        if (len == strlen(tag) && memcmp(list, tag, len) == 0 && (takes_weak || !is_weak)) {
            return true;
        }
        list += len;
        list += strspn(list, " \t");
        if (*list != ',') {
            return false;
        }
    }
}

bool handler_unchanged(struct request *rq, int64_t id, int64_t updated_ms) {
    const char *header = request_header(rq, "If-Match");
    char tag[TAG_BYTES];
    tag_of(tag, id, updated_ms);
    if (header == NULL || tags_have(header, tag, false)) {
        return true;
    }
    reply_header_text(&rq->reply, "ETag", tag);
    reply_error(&rq->reply, 412, "precondition_failed",
                "Somebody else changed it first: read it again.");
    return false;
}

void handler_tag(struct request *rq, int64_t id, int64_t updated_ms) {
    char tag[TAG_BYTES];
    tag_of(tag, id, updated_ms);
    reply_header_text(&rq->reply, "ETag", tag);
}

bool handler_is_known(struct request *rq, const char *tag) {
    const char *header = request_header(rq, "If-None-Match");
    reply_header(&rq->reply, "ETag", "%s", tag);
    if (header == NULL || !tags_have(header, tag, true)) {
        return false;
    }
    reply_empty(&rq->reply, 304);
    return true;
}
