/* Replies in the shapes that existing clients parse. Everything is JSON, errors included: a client
 * that runs a JSON parser over a plain "Not Found" would hide our text behind its own error. */
#include "http/reply/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slipway/util/check.h"
#include "slipway/util/text.h"

void reply_close(struct reply *reply) {
    free(reply->body);
    *reply = (struct reply){0};
}

/* NULL if there is no room. */
static struct reply_header *header_new(struct reply *reply, const char *name) {
    if (reply->header_count == REPLY_HEADERS_MAX) {
        return NULL;
    }
    struct reply_header *header = &reply->headers[reply->header_count++];
    header->name = name;
    return header;
}

void reply_header_text(struct reply *reply, const char *name, const char *value) {
    struct reply_header *header = header_new(reply, name);
    if (header != NULL) {
        struct text text = text_of(header->value, sizeof header->value);
        text_add(&text, value);
    }
}

void reply_header(struct reply *reply, const char *name, const char *format, ...) {
    struct reply_header *header = header_new(reply, name);
    if (header == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)vsnprintf(header->value, sizeof header->value, format, args);
    va_end(args);
}

const char *reply_header_value(const struct reply *reply, const char *name) {
    for (size_t i = 0; i < reply->header_count; i++) {
        if (strcmp(reply->headers[i].name, name) == 0) {
            return reply->headers[i].value;
        }
    }
    return NULL;
}

void reply_bytes(struct reply *reply, int status, const char *content_type, char *bytes,
                 size_t len) {
    if (reply->status != 0) {
        free(bytes);
        return;
    }
    reply->status = status;
    reply->content_type = content_type;
    reply->body = bytes;
    reply->body_len = len;
}

void reply_empty(struct reply *reply, int status) {
    reply_bytes(reply, status, NULL, NULL, 0);
}

void reply_json(struct reply *reply, int status, json_t *body) {
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(body);
    if (text == NULL) {
        /* Out of memory: the one reply that cannot be built is written by hand. */
        static const char sorry[] = "{\"ok\":false,\"error\":\"server_error\"}";
        text = strdup(sorry);
        status = 500;
        (void)snprintf(reply->cause, sizeof reply->cause, "no memory for the reply");
    }
    reply_bytes(reply, status, NULL, text, text != NULL ? strlen(text) : 0);
}

void reply_error(struct reply *reply, int status, const char *code, const char *format, ...) {
    char sentence[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    json_t *text = json_string(sentence);
    if (text == NULL) {
        text = json_string("The request has a value that is not text.");
    }
    reply_json(reply, status,
               json_pack("{s:b, s:s, s:o}", "ok", 0, "error", code, "error_description", text));
}

void reply_oauth_error(struct reply *reply, int status, const char *code, const char *sentence) {
    reply_json(reply, status,
               json_pack("{s:s, s:s}", "error", code, "error_description", sentence));
}

void reply_missing(struct reply *reply, const char *format, ...) {
    char sentence[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    json_t *text = json_string(sentence);
    reply_json(
        reply, 404,
        json_pack("{s:b, s:o}", "ok", 0, "error", text != NULL ? text : json_string("Not found.")));
}

void reply_no_device(struct reply *reply) {
    reply_json(reply, 403,
               json_pack("{s:s, s:s}", "error", "Permission Denied", "info",
                         "I didn't recognize that device name or ID, try opening "
                         "https://api.particle.io/v1/devices?access_token=..."));
}

void reply_app_error(struct reply *reply, int code, const struct app_error *error) {
    static const struct {
        int code, status;
        const char *word;
        const char *sentence; /* for errors that came without one */
    } table[] = {
        {SW_E_INPUT, 400, "invalid_request", "The request is malformed."},
        {SW_E_RANGE, 400, "invalid_request", "A value is outside of what is allowed."},
        {SW_E_EXISTS, 400, "invalid_request", "That already exists."},
        {SW_E_DENIED, 400, "not_allowed", "That is not allowed."},
        {SW_E_AUTH, 401, "invalid_token", "The access token provided is invalid."},
        {SW_E_NOT_FOUND, 404, "not_found", "There is no such thing."},
        {SW_E_STATE, 409, "not_allowed_now", "That is not allowed in the present state."},
        {SW_E_CONFLICT, 409, "conflict", "Somebody else changed it first: read it again."},
        {SW_E_FULL, 503, "busy", "The server is busy; try again."},
        {SW_E_BUSY, 503, "busy", "The server is busy; try again."},
        {SW_E_SPACE, 507, "insufficient_storage",
         "The server's disk is full: nothing was changed."},
    };
    for (size_t i = 0; i < SW_COUNT(table); i++) {
        if (table[i].code != code) {
            continue;
        }
        bool is_told = error != NULL && error->description[0] != '\0';
        bool has_word = error != NULL && error->word[0] != '\0';
        if (table[i].status == 503) {
            reply_header(reply, "Retry-After", "1");
        }
        reply_error(reply, table[i].status, has_word ? error->word : table[i].word, "%s",
                    is_told ? error->description : table[i].sentence);
        return;
    }
    if (error != NULL && reply->status == 0) {
        memcpy(reply->cause, error->cause, sizeof reply->cause);
    }
    reply_error(reply, 500, "server_error", "The server failed; its log has the reason.");
}

void reply_cause(struct reply *reply, const struct fault *fault) {
    if (reply->status == 500 && reply->cause[0] == '\0' && fault != NULL) {
        memcpy(reply->cause, fault->text, sizeof reply->cause);
    }
}
