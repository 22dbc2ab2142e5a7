/* Quotes for part heads. Some HTTP clients, .NET's among them, write "name=file" where others write
 * "name=\"file\""; RFC 2183 allows both, libmicrohttpd reads only the second. A filter in front of
 * it: what passes through is the same body, with the quotes. */
#ifndef SLIPWAY_HTTP_REQUEST_QUOTE_H
#define SLIPWAY_HTTP_REQUEST_QUOTE_H

#include <stdbool.h>
#include <stddef.h>

#define QUOTE_BOUNDARY_MAX 70  /* bytes, of RFC 2046 */
#define QUOTE_LINE_MAX     512 /* of a head; a longer line passes as it is */

typedef bool quote_sink_fn(void *arg, const char *bytes, size_t len);

enum quote_place { QUOTE_BYTES, QUOTE_RULE, QUOTE_HEAD, QUOTE_LONG };

struct quote {
    enum quote_place place; /* in a part, in a boundary's line, in a head, in a long line of it */
    char rule[QUOTE_BOUNDARY_MAX + 4]; /* the boundary with what goes before it */
    size_t rule_len;                   /* 0 = everything passes as it is */
    size_t matched;                    /* of the rule */
    char line[QUOTE_LINE_MAX];
    size_t line_len;
    quote_sink_fn *sink;
    void *sink_arg;
};

/* type: the request's Content-Type. */
void quote_init(struct quote *quote, const char *type, quote_sink_fn *sink, void *arg);
/* In pieces of any size; false as soon as the sink says so. */
bool quote_append(struct quote *quote, const char *bytes, size_t len);
/* Hands on what was kept of a line that never ended. */
bool quote_end(struct quote *quote);

#endif
