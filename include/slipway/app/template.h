/* Texts with places for facts, in the part of mustache's dialect that webhooks use:
 *
 *   {{{a}}} {{&a}}     the value as it is; {{a}} escaped for HTML
 *   {{{a.b.0}}}        inside objects and lists; {{{.}}} the thing itself
 *   {{#a}}...{{/a}}    once if there is something, once for each of a list; inside, its names first
 *   {{^a}}...{{/a}}    if there is nothing: missing, null, false, 0, "" or []
 *   {{!...}}           a remark
 *
 * No partials, no other delimiters, and white space stays as it is. A name without value stands for
 * nothing, braces that make no tag for themselves. Facts come from devices and from strangers'
 * servers: work and output are bounded. */
#ifndef SLIPWAY_APP_TEMPLATE_H
#define SLIPWAY_APP_TEMPLATE_H

#include "slipway/util/error.h"

#include <jansson.h>

#define TEMPLATE_OUT_MAX  65536         /* bytes that come out */
#define TEMPLATE_WORK_MAX (1024 * 1024) /* bytes of template looked at, loops included */
#define TEMPLATE_DEPTH    16            /* of sections */

/* What is done to values; the template's own text is never changed. */
enum template_use {
    TEMPLATE_TEXT,
    TEMPLATE_URL /* all but letters, digits and "-._~" percent-encoded, however many braces */
};

struct template_facts {
    const json_t *words; /* an object, found before all others */
    const json_t *data;  /* any value; NULL = none */
};

/* *out is a heap text of *len bytes. SW_E_RANGE: past one of the bounds; SW_E_MEMORY. */
int template_expand(const char *text, const struct template_facts *facts, enum template_use use,
                    char **out, size_t *len) SW_NODISCARD;

/* What is wrong with a template, as the end of a sentence; NULL: nothing. */
const char *template_fault(const char *text);

#endif
