/* The table. Literals stand before parameters, what is asked for most before the rest; what needs
 * no scope column is closed to API users. */
#include "http/handlers.h"

#include "slipway/util/check.h"

#define GET(path, name, scope, flags)                                                              \
    { METHOD_GET, flags, path, #name, scope, handle_##name }
#define POST(path, name, scope, flags)                                                             \
    { METHOD_POST, (flags) | ROUTE_WORKER, path, #name, scope, handle_##name }
#define PUT(path, name, scope, flags)                                                              \
    { METHOD_PUT, (flags) | ROUTE_WORKER, path, #name, scope, handle_##name }
#define DELETE(path, name, scope, flags)                                                           \
    { METHOD_DELETE, (flags) | ROUTE_WORKER, path, #name, scope, handle_##name }

/* clang-format off */
const struct route routes[] = {
    GET("/v1/products/:product/devices", devices_list, "devices:list", ROUTE_SEARCH),
    POST("/v1/products/:product/devices", devices_import, "devices:import", ROUTE_FILE | ROUTE_IMPORT),
    PUT("/v1/products/:product/devices", devices_batch, "devices:update", 0),
    GET("/v1/products/:product/devices/:device", devices_get, "devices:get", 0),
    PUT("/v1/products/:product/devices/:device", devices_edit, "devices:update", ROUTE_FILE),
    DELETE("/v1/products/:product/devices/:id", devices_remove, "devices:remove", 0),
    DELETE("/v1/products/:product/devices/:device/owner", devices_release_owner, "devices:release", 0),
    PUT("/v1/products/:product/devices/:device/ping", devices_ping, "devices:ping", ROUTE_NO_KEY),
    PUT("/v1/products/:product/devices/:device/psk", devices_psk_set, "devices:update", ROUTE_SECRET),
    DELETE("/v1/products/:product/devices/:device/psk", devices_psk_remove, "devices:update", 0),
    GET("/v1/products/:product/devices/:device/decision", devices_decision, "devices:get", 0),
    GET("/v1/products/:product/devices/:device/updates", devices_updates, "devices:get", 0),
    GET("/v1/products/:product/devices/:device/events", events_device, "events:get", ROUTE_STREAM),
    GET("/v1/products/:product/devices/:device/events/:prefix", events_device, "events:get", ROUTE_STREAM),
    GET("/v1/products/:product/devices/:device/:variable", device_variable, "devices.variable:get", ROUTE_WORKER),
    POST("/v1/products/:product/devices/:device/:function", device_function, "devices.function:call", 0),

    GET("/health", health, NULL, ROUTE_OPEN),
    GET("/metrics", server_metrics, "organization:get", ROUTE_WORKER),
    GET("/v1/openapi.json", openapi, NULL, ROUTE_OPEN),

    POST("/oauth/token", oauth_token, NULL, ROUTE_OPEN | ROUTE_FORM | ROUTE_NO_KEY | ROUTE_LOGIN),
    GET("/v1/access_tokens", tokens_list, NULL, ROUTE_OPEN | ROUTE_WORKER | ROUTE_LOGIN),
    GET("/v1/access_tokens/current", tokens_current, NULL, ROUTE_ANY),
    DELETE("/v1/access_tokens/current", tokens_revoke_current, NULL, ROUTE_ANY),
    DELETE("/v1/access_tokens/:token", tokens_revoke, NULL, ROUTE_OPEN | ROUTE_LOGIN),
    DELETE("/v1/access_tokens", tokens_revoke_all, NULL, 0),
    GET("/v1/user", user_get, NULL, ROUTE_ANY),
    GET("/v1/user/identify", user_identify, NULL, ROUTE_ANY),

    GET("/v1/products", products_list, "products:list", 0),
    GET("/v1/user/products", products_list, "products:list", 0),
    POST("/v1/products", products_create, NULL, 0),
    POST("/v1/user/products", products_create, NULL, 0),
    GET("/v1/products/:product", products_get, "products:get", 0),
    PUT("/v1/products/:product", products_edit, NULL, 0),

    POST("/v1/products/:product/firmware", firmware_upload, "firmware:create", ROUTE_FILE),
    GET("/v1/products/:product/firmware", firmware_list, "firmware:list", 0),
    PUT("/v1/products/:product/firmware/release", firmware_release, "firmware:release", 0),
    GET("/v1/products/:product/firmware/:version", firmware_get, "firmware:get", 0),
    PUT("/v1/products/:product/firmware/:version", firmware_edit, "firmware:update", 0),
    DELETE("/v1/products/:product/firmware/:version", firmware_delete, "firmware:remove", 0),
    GET("/v1/products/:product/firmware/:version/binary", firmware_binary, "firmware.binary:get", 0),
    GET("/v1/products/:product/releases", releases_list, "firmware:list", 0),
    GET("/v1/products/:product/impact", impact, "groups.impact:get", 0),

    GET("/v1/products/:product/groups", groups_list, "groups:list", 0),
    POST("/v1/products/:product/groups", groups_create, "groups:create", 0),
    GET("/v1/products/:product/groups/:group", groups_get, "groups:get", 0),
    PUT("/v1/products/:product/groups/:group", groups_edit, "groups:update", 0),
    DELETE("/v1/products/:product/groups/:group", groups_delete, "groups:remove", 0),

    GET("/v1/products/:product/updates", updates_list, "devices:list", 0),
    DELETE("/v1/products/:product/updates/:update", updates_cancel, "devices:update", 0),

    GET("/v1/products/:product/events", events_product, "events:get", ROUTE_STREAM),
    GET("/v1/products/:product/events/:prefix", events_product, "events:get", ROUTE_STREAM),
    POST("/v1/products/:product/events", events_publish, "events:send", 0),

    GET("/v1/products/:product/team", team_list, "teams.users:list", 0),
    POST("/v1/products/:product/team", team_create, "teams.users:invite", ROUTE_SECRET),
    PUT("/v1/products/:product/team/:username", team_edit, "teams.users:update", ROUTE_SECRET),
    POST("/v1/products/:product/team/:username", team_edit, "teams.users:update", ROUTE_SECRET),
    PUT("/v1/products/:product/team/:username/token", team_token, "teams.users:update", ROUTE_SECRET),
    DELETE("/v1/products/:product/team/:username", team_remove, "teams.users:remove", 0),
    GET("/v1/products/:product/metrics/:metric", metrics, NULL, ROUTE_WORKER),

    GET("/v1/products/:product/clients", clients_list, "clients:list", 0),
    POST("/v1/products/:product/clients", clients_create, "clients:create", ROUTE_SECRET),
    PUT("/v1/products/:product/clients/:client", clients_edit, "clients:update", 0),
    DELETE("/v1/products/:product/clients/:client", clients_remove, "clients:remove", 0),

    GET("/v1/products/:product/diagnostics/:device", vitals_list, "devices.diagnostics:get", ROUTE_WORKER),
    GET("/v1/products/:product/diagnostics/:device/metadata", vitals_metadata, "devices.diagnostics.metadata:get", 0),
    GET("/v1/products/:product/diagnostics/:device/summary", vitals_summary, "devices.diagnostics.summary:get", ROUTE_WORKER),
    GET("/v1/products/:product/diagnostics/:device/last", vitals_last, "devices.diagnostics:get", 0),
    POST("/v1/products/:product/diagnostics/:device/update", vitals_update, "devices.diagnostics:update", 0),

    GET("/v1/products/:product/integrations", hooks_list, "integrations:list", 0),
    POST("/v1/products/:product/integrations", hooks_create, "integrations:create", ROUTE_SECRET),
    GET("/v1/products/:product/integrations/:hook", hooks_get, "integrations:get", 0),
    PUT("/v1/products/:product/integrations/:hook", hooks_edit, "integrations:update", ROUTE_SECRET),
    DELETE("/v1/products/:product/integrations/:hook", hooks_delete, "integrations:remove", 0),
    POST("/v1/products/:product/integrations/:hook/test", hooks_test, "integrations:test", 0),
    GET("/v1/products/:product/webhooks", hooks_list, "integrations:list", 0),
    POST("/v1/products/:product/webhooks", hooks_create, "integrations:create", ROUTE_SECRET),
    GET("/v1/products/:product/webhooks/:hook", hooks_get, "integrations:get", 0),
    PUT("/v1/products/:product/webhooks/:hook", hooks_edit, "integrations:update", ROUTE_SECRET),
    DELETE("/v1/products/:product/webhooks/:hook", hooks_delete, "integrations:remove", 0),

    GET("/v1/devices", all_devices_list, "devices:list", ROUTE_SEARCH),
    POST("/v1/devices", all_devices_claim, NULL, 0),
    GET("/v1/devices/events", events_all, "events:get", ROUTE_STREAM),
    GET("/v1/devices/events/:prefix", events_all, "events:get", ROUTE_STREAM),
    POST("/v1/devices/events", events_publish, "events:send", 0),
    GET("/v1/devices/:device", devices_get, "devices:get", 0),
    PUT("/v1/devices/:device", devices_edit, "devices:update", ROUTE_FILE),
    DELETE("/v1/devices/:device", all_devices_unclaim, "devices:release", 0),
    PUT("/v1/devices/:device/ping", devices_ping, "devices:ping", ROUTE_NO_KEY),
    GET("/v1/devices/:device/decision", devices_decision, "devices:get", 0),
    GET("/v1/devices/:device/updates", devices_updates, "devices:get", 0),
    GET("/v1/devices/:device/events", events_device, "events:get", ROUTE_STREAM),
    GET("/v1/devices/:device/events/:prefix", events_device, "events:get", ROUTE_STREAM),
    GET("/v1/devices/:device/:variable", device_variable, "devices.variable:get", ROUTE_WORKER),
    POST("/v1/devices/:device/:function", device_function, "devices.function:call", 0),
    GET("/v1/events", events_all, "events:get", ROUTE_STREAM),
    GET("/v1/events/:prefix", events_all, "events:get", ROUTE_STREAM),

    GET("/v1/clients", clients_list, "clients:list", 0),
    POST("/v1/clients", clients_create, "clients:create", ROUTE_SECRET),
    PUT("/v1/clients/:client", clients_edit, "clients:update", 0),
    DELETE("/v1/clients/:client", clients_remove, "clients:remove", 0),
    GET("/v1/diagnostics/:device", vitals_list, "devices.diagnostics:get", ROUTE_WORKER),
    GET("/v1/diagnostics/:device/metadata", vitals_metadata, "devices.diagnostics.metadata:get", 0),
    GET("/v1/diagnostics/:device/summary", vitals_summary, "devices.diagnostics.summary:get", ROUTE_WORKER),
    GET("/v1/diagnostics/:device/last", vitals_last, "devices.diagnostics:get", 0),
    POST("/v1/diagnostics/:device/update", vitals_update, "devices.diagnostics:update", 0),
    GET("/v1/integrations", hooks_list, "integrations:list", 0),
    POST("/v1/integrations", hooks_create, "integrations:create", ROUTE_SECRET),
    GET("/v1/integrations/:hook", hooks_get, "integrations:get", 0),
    PUT("/v1/integrations/:hook", hooks_edit, "integrations:update", ROUTE_SECRET),
    DELETE("/v1/integrations/:hook", hooks_delete, "integrations:remove", 0),
    POST("/v1/integrations/:hook/test", hooks_test, "integrations:test", 0),
    GET("/v1/webhooks", hooks_list, "integrations:list", 0),
    POST("/v1/webhooks", hooks_create, "integrations:create", ROUTE_SECRET),
    GET("/v1/webhooks/:hook", hooks_get, "integrations:get", 0),
    PUT("/v1/webhooks/:hook", hooks_edit, "integrations:update", ROUTE_SECRET),
    DELETE("/v1/webhooks/:hook", hooks_delete, "integrations:remove", 0),

    POST("/v1/provisioning/:id", provisioning, NULL, 0),
    GET("/v1/serial_numbers/:serial", serial_number, NULL, 0),
    GET("/v1/build_targets", build_targets, NULL, ROUTE_ANY),
    GET("/v1/orgs", orgs_list, NULL, ROUTE_ANY),
    GET("/v1/system_firmware", system_firmware_list, NULL, 0),
    POST("/v1/system_firmware", system_firmware_upload, NULL, ROUTE_FILE),
    DELETE("/v1/system_firmware/:image", system_firmware_delete, NULL, 0),
};
/* clang-format on */

const size_t route_count = SW_COUNT(routes);
