#include "slipway/image/image.h"
#include "slipway/model/platform.h"
#include "slipway/util/text.h"

static void add_platform(struct text *text, uint16_t id) {
    const struct platform *platform = platform_find(id);
    if (platform != NULL) {
        text_add(text, platform->title);
        text_add(text, " (platform ");
        text_add_number(text, id);
        text_add(text, ")");
    } else {
        text_add(text, "platform ");
        text_add_number(text, id);
    }
}

static bool is_application(unsigned function) {
    return function == MODULE_USER_PART || function == MODULE_MONOLITHIC;
}

int image_check_claim(const struct image_info *info, const struct image_claim *claim, char *why,
                      size_t cap) {
    struct text text = text_of(why, cap);
    if (!is_application(info->function)) {
        text_add(&text, "the file is not an application: its module function is ");
        text_add_number(&text, info->function);
        text_add(&text, " (");
        text_add(&text, module_function_name(info->function));
        text_add(&text, ")");
        return SW_E_RANGE;
    }
    if (claim->platform_id != 0 && info->platform_id != claim->platform_id) {
        text_add(&text, "the file is built for ");
        add_platform(&text, info->platform_id);
        text_add(&text, ", but the product is for ");
        add_platform(&text, claim->platform_id);
        return SW_E_RANGE;
    }
    if (claim->version != 0 && !info->has_product) {
        text_add(&text, "the file has no product version compiled in; version ");
        text_add_number(&text, claim->version);
        text_add(&text, " is declared");
        return SW_E_RANGE;
    }
    if (claim->version != 0 && info->product_version != claim->version) {
        text_add(&text, "the file has version ");
        text_add_number(&text, info->product_version);
        text_add(&text, " compiled in, but version ");
        text_add_number(&text, claim->version);
        text_add(&text, " is declared");
        return SW_E_RANGE;
    }
    if (claim->product_id != 0 && info->has_product && info->product_id != claim->product_id &&
        info->product_id != info->platform_id) {
        text_add(&text, "the file has product ");
        text_add_number(&text, info->product_id);
        text_add(&text, " compiled in, but it is uploaded to product ");
        text_add_number(&text, claim->product_id);
        return SW_E_RANGE;
    }
    return SW_OK;
}
