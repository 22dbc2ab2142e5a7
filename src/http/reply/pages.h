/* The objects of the REST dialect as JSON, from the store's records. Each returns a new reference,
 * or NULL without memory. Keys stand in the order in which existing clients saw them. */
#ifndef SLIPWAY_HTTP_REPLY_PAGES_H
#define SLIPWAY_HTTP_REPLY_PAGES_H

#include <jansson.h>

#include "http/reply/sheet.h"
#include "slipway/app/event.h"
#include "slipway/app/group.h"
#include "slipway/app/query.h"
#include "slipway/app/release.h"
#include "slipway/app/token.h"

/* ISO 8601 UTC with milliseconds; null for 0. */
json_t *page_time(int64_t ms);
/* null for 0. */
json_t *page_version(uint16_t version);
/* null for "" and NULL. */
json_t *page_text(const char *text);
/* Any bytes as text: what is not UTF-8 becomes '?'. */
json_t *page_bytes(const char *bytes, size_t len);

json_t *page_product(const struct product *product, const struct group_list *groups);
json_t *page_firmware(const struct firmware *firmware, const struct name_list *groups);
json_t *page_group(const struct group *group);
json_t *page_event(const struct event *event);
json_t *page_update(const struct update *update, const struct update_step_list *steps);
json_t *page_release(const struct release *release);
json_t *page_decision(const struct app_decision *decision);
json_t *page_quarantine(const struct quarantine *device, uint16_t product_id);

struct page_device_facts {
    const struct group_set *groups; /* of a device in a product; not NULL */
    uint16_t targeted_version;
    bool is_detail;                      /* all keys, else those of a list's entries */
    const json_t *functions, *variables; /* detail; borrowed, NULL = empty */
    const struct app_asset_list *assets; /* detail; NULL = none */
};
/* Appended as text, see sheet.h. */
void page_device(struct sheet *sheet, const struct device *device,
                 const struct page_device_facts *facts);

#endif
