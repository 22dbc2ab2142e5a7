/* Bodies arrive in pieces of any size. Text is kept until its end, then parsed at once; a file goes
 * to its spool piece by piece. Every limit is checked before a byte is kept. */
#include "http/request/body.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "slipway/util/check.h"

#define FORM_DEPTH_MAX 3 /* of lists and objects in each other */

static bool media_is(const char *type, const char *media) {
    size_t len = strlen(media);
    return strncasecmp(type, media, len) == 0 && (type[len] == '\0' || strchr("; \t", type[len]));
}

static bool body_refuse_size(struct body *body, size_t limit) {
    reply_error(body->reply, 413, "too_large",
                "The body is larger than the %zu bytes allowed here.", limit);
    return false;
}

static bool body_broken(struct body *body, const char *sentence) {
    reply_error(body->reply, 400, "invalid_request", "%s", sentence);
    return false;
}

static bool body_no_room(struct body *body, int code, size_t limit) {
    if (code == SW_E_FULL) {
        return body_refuse_size(body, limit);
    }
    reply_app_error(body->reply, code, NULL);
    return false;
}

/* The file's base name: clients send whole paths of theirs, with either kind of slash. */
static void body_set_file_name(struct body *body, const char *name) {
    const char *base = name;
    for (const char *c = name; *c != '\0'; c++) {
        if (*c == '/' || *c == '\\') {
            base = c + 1;
        }
    }
    size_t len = strnlen(base, sizeof body->file_name - 1);
    memcpy(body->file_name, base, len);
    body->file_name[len] = '\0';
}

/* "a[]" and "a[7]" add to the list a, "a[b]" is b in the object a: what HTTP clients make of lists
 * and objects in forms. Takes the value; false if the name is there already as something else.
 * name is used up. */
static bool form_put(json_t *object, char *name, json_t *value, unsigned depth) {
    char *open = depth > 0 ? strchr(name, '[') : NULL;
    char *close = open != NULL ? strchr(open, ']') : NULL;
    if (close == NULL || open == name) {
        if (json_object_get(object, name) == NULL) {
            return json_object_set_new(object, name, value) == 0;
        }
        json_decref(value);
        return false;
    }
    *open = '\0';
    char *key = open + 1;
    bool is_list = close[1] == '\0' && strspn(key, "0123456789") == (size_t)(close - key);
    json_t *inner = json_object_get(object, name);
    if (inner == NULL) {
        inner = is_list ? json_array() : json_object();
        (void)json_object_set_new(object, name, inner);
    }
    if (is_list && json_is_array(inner)) {
        return json_array_append_new(inner, value) == 0;
    }
    if (!is_list && json_is_object(inner)) {
        memmove(close, close + 1, strlen(close)); /* "b][]" is "b[]" of the object */
        return form_put(inner, key, value, depth - 1);
    }
    json_decref(value);
    return false;
}

/* The field that was arriving is complete: puts it into the form. */
static bool body_finish_field(struct body *body) {
    if (body->field_name[0] == '\0') {
        return true;
    }
    struct span text = {0};
    if (spool_read(&body->field, &text) != SW_OK) {
        reply_app_error(body->reply, SW_E_IO, NULL);
        return false;
    }
    bool has_nul = text.len > 0 && memchr(text.data, '\0', text.len) != NULL;
    json_t *value =
        has_nul ? NULL : json_stringn(text.len > 0 ? (const char *)text.data : "", text.len);
    if (value == NULL) {
        reply_error(body->reply, 400, "invalid_request", "%s: must be UTF-8 text",
                    body->field_name);
        return false;
    }
    json_t *name = json_string(body->field_name);
    bool is_text = name != NULL;
    json_decref(name);
    if (!is_text) {
        json_decref(value);
        return body_broken(body, "A field's name is not UTF-8 text.");
    }
    if (!form_put(body->form, body->field_name, value, FORM_DEPTH_MAX)) {
        reply_error(body->reply, 400, "invalid_request", "%s: is given twice", body->field_name);
        return false;
    }
    body->field_name[0] = '\0';
    spool_close(&body->field);
    return true;
}

static bool body_start_field(struct body *body, const char *key) {
    size_t len = strlen(key);
    if (len == 0 || len > BODY_FIELD_NAME_MAX) {
        return body_broken(body, "A field's name is empty or too long.");
    }
    if (++body->field_count > BODY_FIELDS_MAX) {
        return body_broken(body, "The form has too many fields.");
    }
    memcpy(body->field_name, key, len + 1);
    spool_init(&body->field, body->limits.text_bytes);
    return true;
}

/* With the fields that are complete. */
static bool body_is_admitted(struct body *body) {
    return body->admit == NULL || body->admit(body->admit_arg, body->form);
}

static bool body_file_chunk(struct body *body, const char *filename, bool is_start,
                            const char *data, size_t size) {
    if (is_start) {
        if (!body_finish_field(body)) {
            return false;
        }
        if (body->has_file) {
            return body_broken(body, "The form has more than one file.");
        }
        if (body->limits.file_bytes == 0) {
            return body_broken(body, "A file is not taken here.");
        }
        if (!body_is_admitted(body)) {
            return false;
        }
        body->has_file = true;
        body->is_file_open = true;
        body_set_file_name(body, filename);
        spool_init(&body->file, body->limits.file_bytes);
    }
    int rc = spool_append(&body->file, data, size);
    return rc == SW_OK ? true : body_no_room(body, rc, body->limits.file_bytes);
}

static bool is_file_key(const char *key) {
    return strcmp(key, "file") == 0 || strcmp(key, "binary") == 0;
}

/* One piece of one part or form field; offset 0 starts a new one. */
static enum MHD_Result body_part(void *arg, enum MHD_ValueKind kind, const char *key,
                                 const char *filename, const char *content_type,
                                 const char *transfer_encoding, const char *data, uint64_t offset,
                                 size_t size) {
    (void)kind;
    (void)content_type;
    (void)transfer_encoding;
    struct body *body = arg;
    if (body->reply->status != 0) {
        return MHD_NO;
    }
    if (key == NULL) {
        (void)body_broken(body, "A part of the form has no name.");
        return MHD_NO;
    }
    /* Some clients give files no name of their own. */
    bool is_file = body->kind == BODY_MULTIPART &&
                   (filename != NULL || (body->limits.file_bytes > 0 && is_file_key(key)));
    /* A part may begin with pieces of no bytes: those all have offset 0, and are one start. */
    bool is_again = is_file ? body->is_file_open && body->file.len == 0
                            : body->field.len == 0 && strcmp(body->field_name, key) == 0;
    bool is_start = offset == 0 && !is_again;
    if (is_file) {
        const char *name = filename != NULL ? filename : "";
        return body_file_chunk(body, name, is_start, data, size) ? MHD_YES : MHD_NO;
    }
    if (is_start) {
        body->is_file_open = false;
        if (!body_finish_field(body) || !body_start_field(body, key)) {
            return MHD_NO;
        }
    }
    body->field_bytes += size + (is_start ? strlen(key) : 0);
    if (body->field_bytes > BODY_STRANGER_BYTES && !body_is_admitted(body)) {
        return MHD_NO;
    }
    int rc = body->field_bytes > body->limits.text_bytes ? SW_E_FULL
                                                         : spool_append(&body->field, data, size);
    return rc == SW_OK || body_no_room(body, rc, body->limits.text_bytes) ? MHD_YES : MHD_NO;
}

static bool body_post(void *arg, const char *bytes, size_t len) {
    struct body *body = arg;
    return MHD_post_process(body->post, bytes, len) == MHD_YES;
}

static enum body_kind body_kind_of(const char *type) {
    if (type == NULL || media_is(type, "application/json")) {
        return BODY_JSON;
    }
    if (media_is(type, MHD_HTTP_POST_ENCODING_FORM_URLENCODED)) {
        return BODY_FORM;
    }
    return media_is(type, MHD_HTTP_POST_ENCODING_MULTIPART_FORMDATA) ? BODY_MULTIPART : BODY_NONE;
}

bool body_begin(struct body *body, struct MHD_Connection *connection,
                const struct body_limits *limits, struct reply *reply) {
    enum { POST_BUFFER_BYTES = 8192 }; /* part headers and boundaries must fit */
    *body = (struct body){.limits = *limits, .reply = reply};
    spool_init(&body->text, limits->text_bytes);
    spool_init(&body->file, limits->file_bytes);
    spool_init(&body->field, limits->text_bytes);
    const char *type = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Type");
    const char *coding =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Encoding");
    body->kind = body_kind_of(type);
    if (body->kind == BODY_NONE || (coding != NULL && strcasecmp(coding, "identity") != 0)) {
        reply_error(reply, 415, "unsupported_media_type",
                    "Send JSON, application/x-www-form-urlencoded or multipart/form-data.");
        return false;
    }
    if (body->kind == BODY_JSON) {
        return true;
    }
    body->form = json_object();
    body->post = MHD_create_post_processor(connection, POST_BUFFER_BYTES, body_part, body);
    if (body->post == NULL || body->form == NULL) {
        return body_broken(body, "The form's boundary is missing or malformed.");
    }
    if (body->kind == BODY_FORM) {
        return true;
    }
    body->quote = malloc(sizeof *body->quote);
    if (body->quote == NULL) {
        reply_app_error(reply, SW_E_MEMORY, NULL);
        return false;
    }
    quote_init(body->quote, type, body_post, body);
    return true;
}

bool body_append(struct body *body, const char *bytes, size_t len) {
    if (body->reply->status != 0) {
        return false;
    }
    if (body->kind == BODY_JSON) {
        int rc = spool_append(&body->text, bytes, len);
        return rc == SW_OK ? true : body_no_room(body, rc, body->limits.text_bytes);
    }
    SW_CHECK(body->post != NULL);
    /* What "curl -d" makes of JSON when nobody says what it is. */
    bool is_first = len > 0 && !body->has_begun;
    body->has_begun = body->has_begun || len > 0;
    if (body->kind == BODY_FORM && is_first && (bytes[0] == '{' || bytes[0] == '[')) {
        return body_broken(body, "The body looks like JSON but is declared as a form: send it with "
                                 "Content-Type: application/json.");
    }
    bool is_taken =
        body->quote != NULL ? quote_append(body->quote, bytes, len) : body_post(body, bytes, len);
    if (!is_taken && body->reply->status == 0) {
        return body_broken(body, "The form is malformed.");
    }
    return body->reply->status == 0;
}

static bool body_end_json(struct body *body) {
    struct span text = {0};
    int rc = spool_read(&body->text, &text);
    if (rc != SW_OK) {
        reply_app_error(body->reply, rc, NULL);
        return false;
    }
    size_t at = 0;
    while (at < text.len && isspace(text.data[at]) != 0) {
        at++;
    }
    if (at == text.len) {
        return true; /* no body at all reads as one without fields */
    }
    json_error_t error;
    body->fields = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (body->fields == NULL) {
        reply_error(body->reply, 400, "invalid_request", "The body is not valid JSON: line %d: %s.",
                    error.line, error.text);
        return false;
    }
    if (!json_is_object(body->fields)) {
        return body_broken(body, "The body must be a JSON object.");
    }
    return true;
}

bool body_end(struct body *body) {
    if (body->reply->status != 0) {
        return false;
    }
    if (body->kind == BODY_JSON) {
        return body_end_json(body);
    }
    if (body->post == NULL) {
        return true;
    }
    /* The last field of a form, and whether multipart's closing boundary was there, show only now.
     */
    bool is_whole = body->quote == NULL || quote_end(body->quote);
    enum MHD_Result ended = MHD_destroy_post_processor(body->post);
    body->post = NULL;
    if (body->reply->status != 0) {
        return false;
    }
    if (!is_whole || ended != MHD_YES) {
        return body_broken(body, body->kind == BODY_MULTIPART
                                     ? "The form ends before its last boundary."
                                     : "The form is malformed.");
    }
    if (!body_finish_field(body)) {
        return false;
    }
    body->fields = body->form;
    body->form = NULL;
    return true;
}

void body_close(struct body *body) {
    if (body->post != NULL) {
        /* Its remains may reach body_part once more; a reply that is set makes that harmless. */
        struct reply ignored = {.status = 400};
        body->reply = &ignored;
        (void)MHD_destroy_post_processor(body->post);
        body->post = NULL;
        body->reply = NULL;
    }
    free(body->quote);
    json_decref(body->fields);
    json_decref(body->form);
    spool_close(&body->text);
    spool_close(&body->file);
    spool_close(&body->field);
}
