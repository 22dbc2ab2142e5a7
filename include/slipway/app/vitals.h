/* What devices say about their own health: kept as they sent it, read as the JSON of the REST
 * dialect. */
#ifndef SLIPWAY_APP_VITALS_H
#define SLIPWAY_APP_VITALS_H

#include "slipway/app/app.h"

#include <jansson.h>

enum vital_form {
    VITAL_NUMBER,
    VITAL_FIXED_8,  /* a number with 8 bits behind the point */
    VITAL_FIXED_16, /* with 16 */
    VITAL_DIGITS,   /* a number that is shown as text */
    VITAL_WORD      /* a word for each number */
};

/* One measured thing and its place in the payload. */
struct vital {
    uint16_t id; /* Device OS's number of it */
    enum vital_form form;
    const char *const *words; /* VITAL_WORD, ended by NULL */
    const char *path;         /* "device.system.uptime" */
    const char *title;        /* for people */
    const char *units;        /* NULL = none */
    const char *is_about;     /* a sentence */
};
/* All that are known, ended by a NULL path. */
const struct vital *app_vitals_known(void);
/* The value at a vital's path in a payload; NULL if the device did not send it. Borrowed. */
const json_t *app_vitals_value(const json_t *payload, const char *path);
/* Puts a value there, making the objects on the way. Takes the value's reference. */
void app_vitals_put(json_t *tree, const char *path, json_t *value);

struct app_vitals {
    int64_t at_ms;
    json_t *payload; /* {"device":...,"service":...} */
};
struct app_vitals_list {
    struct app_vitals *items;
    size_t count;
};
void app_vitals_free(struct app_vitals_list *list);

/* From start (0 = as far back as they are kept) to before end (0 = now), oldest first. SW_E_RANGE:
 * not a span of time, or longer ago than anything is kept. For readers. */
int app_vitals_list(struct app_tx *tx, int64_t device_num, int64_t start_ms, int64_t end_ms,
                    struct app_vitals_list *out) SW_NODISCARD;
/* The newest one, with the payload as a new reference. SW_E_NOT_FOUND. For readers. */
int app_vitals_last(struct app_tx *tx, int64_t device_num, struct app_vitals *out) SW_NODISCARD;
/* Drops what is past the limits, a bounded number at a time. A write job. */
int app_vitals_prune(struct app_tx *tx) SW_NODISCARD;

#endif
