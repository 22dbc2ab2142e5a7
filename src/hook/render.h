/* The HTTP request that a hook's event becomes. */
#ifndef SLIPWAY_HOOK_RENDER_H
#define SLIPWAY_HOOK_RENDER_H

#include "slipway/app/hook.h"

#include <curl/curl.h>
#include <jansson.h>

#include <stdbool.h>

struct rendered {
    json_t *spec; /* owns user and password */
    char *url;    /* curl_free */
    char *body;   /* free; NULL = none */
    size_t body_len;
    struct curl_slist *headers;  /* the signature among them */
    const char *user, *password; /* NULL = none */
    bool accepts_any_certificate;
};

/* SW_OK; SW_E_INPUT: the hook's settings make no request; SW_E_MEMORY. Close it in any case. */
int render(const struct app_hook_job *job, struct rendered *out) SW_NODISCARD;
void rendered_close(struct rendered *rendered);

#endif
