/* Receiving a request's body: JSON, a form, or multipart with one file. It ends as one JSON object
 * of fields, whatever it came as, beside the file. */
#ifndef SLIPWAY_HTTP_REQUEST_BODY_H
#define SLIPWAY_HTTP_REQUEST_BODY_H

#include <microhttpd.h>

#include "http/reply/reply.h"
#include "http/request/quote.h"
#include "http/request/spool.h"

enum body_kind { BODY_NONE, BODY_JSON, BODY_FORM, BODY_MULTIPART };

#define BODY_FIELDS_MAX     64                  /* of a form */
#define BODY_FIELD_NAME_MAX 64                  /* bytes */
#define BODY_FILE_NAME_MAX  256                 /* bytes kept of the file's name */
#define BODY_STRANGER_BYTES ((size_t)16 * 1024) /* of text, kept for whoever it is */

struct body_limits {
    size_t text_bytes; /* JSON, or all fields of a form together */
    size_t file_bytes;
};

/* Asked with the fields so far when the first byte of a file arrives, and when a form's text grows
 * past BODY_STRANGER_BYTES: false stops the upload, the reply says why. So nobody without a token
 * can make us keep much. */
typedef bool body_admit_fn(void *arg, const json_t *fields);

struct body {
    enum body_kind kind;
    struct spool text; /* JSON: as received */
    struct spool file;
    bool has_begun; /* of a form: its first byte was there */
    bool has_file;
    bool is_file_open; /* more of the present file may come */
    char file_name[BODY_FILE_NAME_MAX];
    json_t *fields; /* after body_end: an object, or NULL when there was no body */
    struct MHD_PostProcessor *post;
    struct quote *quote; /* in front of it, of multipart; heap */
    json_t *form;        /* fields so far */
    size_t field_count, field_bytes;
    char field_name[BODY_FIELD_NAME_MAX + 1]; /* the one that is arriving; "" = none */
    struct spool field;
    struct body_limits limits;
    body_admit_fn *admit;
    void *admit_arg;
    struct reply *reply;
};

/* Kind by Content-Type, then ready for chunks. Replies (415, 411) and returns false if the request
 * cannot be taken. */
bool body_begin(struct body *body, struct MHD_Connection *connection,
                const struct body_limits *limits, struct reply *reply);
/* Always takes everything; false once the reply is set: the rest is then dropped. */
bool body_append(struct body *body, const char *bytes, size_t len);
/* The body is complete: parses it. false with a reply if it is malformed or was cut off. */
bool body_end(struct body *body);
void body_close(struct body *body);

#endif
