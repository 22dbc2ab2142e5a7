/* The HTTP request that a hook's event becomes, and what is made of the answer. */
#ifndef SLIPWAY_HOOK_RENDER_H
#define SLIPWAY_HOOK_RENDER_H

#include "slipway/app/hook.h"

#include <curl/curl.h>
#include <jansson.h>

#include <stdbool.h>

#define RENDERED_HOST_BYTES 64

struct rendered {
    json_t *spec;
    json_t *words;                  /* PARTICLE_EVENT_NAME and so on */
    json_t *defaults;               /* event, data, published_at, coreid */
    json_t *data;                   /* of the event, when that is JSON; else NULL */
    char *url;                      /* curl_free */
    char host[RENDERED_HOST_BYTES]; /* of the URL, cut if longer */
    char *body;                     /* free; NULL = none */
    size_t body_len;
    struct curl_slist *headers; /* the signature among them */
    char *user, *password;      /* free; NULL = none */
    bool accepts_any_certificate;
};

/* SW_OK; SW_E_INPUT: the hook's settings make no request of this event; SW_E_MEMORY. Close it in
 * any case. */
int render(const struct app_hook_job *job, struct rendered *out) SW_NODISCARD;
void rendered_close(struct rendered *rendered);

/* What is told of an answer: heap texts for the outcome's topic, error_topic and answer, NULL where
 * the hook has none. SW_E_RANGE: its template makes too much of it; SW_E_MEMORY. */
struct retold {
    char *topic, *error_topic;
    char *answer;
    size_t answer_len;
};
int retell(const struct rendered *rendered, struct span answer, struct retold *out) SW_NODISCARD;
void retold_close(struct retold *retold);

#endif
