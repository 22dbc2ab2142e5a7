/* All handlers of the route table, one file to a resource. Those of GET run inside a read view
 * (rq->tx); those that write run on a worker. */
#ifndef SLIPWAY_HTTP_HANDLERS_H
#define SLIPWAY_HTTP_HANDLERS_H

#include "http/request/request.h"

#define HANDLERS(X)                                                                                \
    X(health)                                                                                      \
    X(server_metrics)                                                                              \
    X(openapi)                                                                                     \
    X(products_list)                                                                               \
    X(products_create)                                                                             \
    X(products_get)                                                                                \
    X(products_edit)                                                                               \
    X(firmware_upload)                                                                             \
    X(firmware_list)                                                                               \
    X(firmware_get)                                                                                \
    X(firmware_binary)                                                                             \
    X(firmware_edit)                                                                               \
    X(firmware_delete)                                                                             \
    X(firmware_release)                                                                            \
    X(releases_list)                                                                               \
    X(impact)                                                                                      \
    X(groups_list)                                                                                 \
    X(groups_create)                                                                               \
    X(groups_get)                                                                                  \
    X(groups_edit)                                                                                 \
    X(groups_delete)                                                                               \
    X(devices_list)                                                                                \
    X(devices_import)                                                                              \
    X(devices_batch)                                                                               \
    X(devices_get)                                                                                 \
    X(devices_edit)                                                                                \
    X(devices_remove)                                                                              \
    X(devices_release_owner)                                                                       \
    X(devices_ping)                                                                                \
    X(devices_psk_set)                                                                             \
    X(devices_psk_remove)                                                                          \
    X(devices_decision)                                                                            \
    X(devices_updates)                                                                             \
    X(updates_list)                                                                                \
    X(updates_cancel)                                                                              \
    X(all_devices_list)                                                                            \
    X(all_devices_claim)                                                                           \
    X(all_devices_unclaim)                                                                         \
    X(device_function)                                                                             \
    X(device_variable)                                                                             \
    X(oauth_token)                                                                                 \
    X(tokens_list)                                                                                 \
    X(tokens_current)                                                                              \
    X(tokens_revoke_current)                                                                       \
    X(tokens_revoke)                                                                               \
    X(tokens_revoke_all)                                                                           \
    X(user_get)                                                                                    \
    X(user_identify)                                                                               \
    X(team_list)                                                                                   \
    X(team_create)                                                                                 \
    X(team_edit)                                                                                   \
    X(team_token)                                                                                  \
    X(team_remove)                                                                                 \
    X(clients_list)                                                                                \
    X(clients_create)                                                                              \
    X(clients_edit)                                                                                \
    X(clients_remove)                                                                              \
    X(events_all)                                                                                  \
    X(events_product)                                                                              \
    X(events_device)                                                                               \
    X(events_publish)                                                                              \
    X(hooks_list)                                                                                  \
    X(hooks_create)                                                                                \
    X(hooks_get)                                                                                   \
    X(hooks_edit)                                                                                  \
    X(hooks_delete)                                                                                \
    X(hooks_test)                                                                                  \
    X(provisioning)                                                                                \
    X(serial_number)                                                                               \
    X(build_targets)                                                                               \
    X(orgs_list)                                                                                   \
    X(system_firmware_list)                                                                        \
    X(system_firmware_upload)                                                                      \
    X(system_firmware_delete)                                                                      \
    X(metrics)                                                                                     \
    X(vitals_list)                                                                                 \
    X(vitals_last)                                                                                 \
    X(vitals_metadata)                                                                             \
    X(vitals_summary)                                                                              \
    X(vitals_update)

#define HANDLER_DECLARE(name) route_fn handle_##name;
HANDLERS(HANDLER_DECLARE)
#undef HANDLER_DECLARE

/* --- what several of them need --- */

/* A read's failure as the reply. */
bool handler_ok(struct request *rq, int code);
/* The firmware as JSON with its groups' names; NULL with a reply on failure. In a read view. */
json_t *handler_firmware_page(struct app_tx *tx, const struct firmware *firmware);
/* Borrowed texts of a JSON array of strings: heap array of json_array_size(list); NULL when there
 * are none or no memory. */
const char **handler_texts(const json_t *list);
/* Names in a form that app calls take; false with a 400 reply if one is no group name. */
bool handler_group_names(struct fields *fields, const char *field, const json_t *list);
/* An API user hands on no scope that it does not have: false with a 400 reply for those. */
bool handler_may_grant(struct request *rq, struct fields *fields, const json_t *scopes);
/* "If-Match" against an object's tag: false with the 412 reply if it was changed meanwhile. */
bool handler_unchanged(struct request *rq, int64_t id, int64_t updated_ms);
/* Puts the ETag of an object on the reply. It changes with what operators change, so that their
 * edits do not collide; what a device tells about itself leaves it, so it is no cache's key. */
void handler_tag(struct request *rq, int64_t id, int64_t updated_ms);
/* The ETag of what never changes; true with a 304 reply if the client has it ("If-None-Match"). */
bool handler_is_known(struct request *rq, const char *tag);

#endif
