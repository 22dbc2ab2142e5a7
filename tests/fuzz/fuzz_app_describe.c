/* Any bytes as a system Describe, in either language: what is taken of it stays within its bounds.
 */
#include "app/update/plan.h"

#include "slipway/util/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct app_describe described;
    if (size == 0) {
        return 0;
    }
    unsigned format = data[0] % 2 == 0 ? 42 : 0xFFFF;
    bool has = describe_decode(span_of(data + 1, size - 1), format, &described);
    SW_CHECK(has == described.has);
    SW_CHECK(described.modules.count <= MODULE_STATES_MAX);
    SW_CHECK(described.stored_count <= APP_STORED_MAX);
    for (size_t i = 0; i < described.modules.count; i++) {
        SW_CHECK(described.modules.items[i].dependency_count <= MODULE_DEPENDENCIES_MAX);
    }
    SW_CHECK(strlen(described.iccid) < sizeof described.iccid);
    SW_CHECK(strlen(described.imei) < sizeof described.imei);
    SW_CHECK(strlen(described.modem_version) < sizeof described.modem_version);
    if (has) {
        struct device device = {.platform_id = 13};
        char summary[EVENT_DATA_BYTES];
        describe_summary(&device, &described, summary, sizeof summary);
        SW_CHECK(strlen(summary) < sizeof summary);
    }
    return 0;
}
