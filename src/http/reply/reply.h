/* The reply of a request while it is being made: one per request, first writer wins, so that the
 * first error of a handler is the one that the client reads. */
#ifndef SLIPWAY_HTTP_REPLY_REPLY_H
#define SLIPWAY_HTTP_REPLY_REPLY_H

#include <jansson.h>

#include "slipway/app/app.h"

#define REPLY_HEADERS_MAX 8

struct reply_header {
    const char *name; /* static */
    char value[192];
};

struct reply {
    int status; /* 0 = none yet */
    char *body; /* heap, owned; NULL = empty */
    size_t body_len;
    const char *content_type; /* static; NULL = JSON */
    bool is_stream;           /* an event stream follows; body is unused */
    char cause[256];          /* why the server failed, for its log alone */
    size_t header_count;
    struct reply_header headers[REPLY_HEADERS_MAX];
};

void reply_close(struct reply *reply);

/* name is static; the value is cut at the field's size. Ignored when there is no room. */
void reply_header(struct reply *reply, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void reply_header_text(struct reply *reply, const char *name, const char *value);
/* NULL if it has none of this name. */
const char *reply_header_value(const struct reply *reply, const char *name);

/* Takes the reference of `body`. */
void reply_json(struct reply *reply, int status, json_t *body);
/* Takes the heap bytes. */
void reply_bytes(struct reply *reply, int status, const char *content_type, char *bytes,
                 size_t len);
void reply_empty(struct reply *reply, int status);

/* The door's own errors: {"ok":false,"error":code,"error_description":sentence}. */
void reply_error(struct reply *reply, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Those of OAuth, which carry no "ok": {"error":code,"error_description":sentence}. */
void reply_oauth_error(struct reply *reply, int status, const char *code, const char *sentence);
/* {"ok":false,"error":sentence}: how unknown things are reported to existing clients. */
void reply_missing(struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* {"error":"Permission Denied","info":...} */
void reply_no_device(struct reply *reply);
/* What a use case returned: its error in its own words where the request is at fault; what failed
 * in the world is for the log alone. error may be NULL. */
void reply_app_error(struct reply *reply, int code, const struct app_error *error);
/* Why a reply of 500 is one, where nobody said so yet. fault may be NULL or empty. */
void reply_cause(struct reply *reply, const struct fault *fault);

#endif
