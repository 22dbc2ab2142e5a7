/* Any bytes as a firmware module: what is read must be consistent with the file. */
#include "slipway/image/image.h"
#include "slipway/util/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct image_info info;
    const char *why;
    int status = image_read_module(span_of(data, size), &info, &why);
    SW_CHECK((status == SW_OK) == (why == NULL));
    if (status == SW_OK) {
        SW_CHECK(info.size == size && info.end_address - info.start_address + 4 == size);
        SW_CHECK(info.has_product == (info.product_version != 0));
        struct image_claim claim = {.version = 1, .product_id = 101, .platform_id = 13};
        char text[200];
        int verdict = image_check_claim(&info, &claim, text, sizeof text);
        SW_CHECK((verdict == SW_OK) == (text[0] == '\0'));
    }
    return 0;
}
