#include "slipway/coap/block.h"

#define SIZE_EXPONENT_RESERVED 7

int coap_block_get(const struct coap_message *message, uint16_t option, struct coap_block *out) {
    struct span bytes;
    uint32_t value;
    if (!coap_option_at(message, option, 0, &bytes)) {
        return SW_E_NOT_FOUND;
    }
    if (bytes.len > 3 || !coap_option_uint(message, option, &value) ||
        (value & 7) == SIZE_EXPONENT_RESERVED) {
        return SW_E_INPUT;
    }
    out->number = value >> 4;
    out->is_more = (value & 8) != 0;
    out->bytes = (uint16_t)(16U << (value & 7));
    return SW_OK;
}

uint32_t coap_block_value(const struct coap_block *block) {
    uint32_t exponent = 0;
    while (exponent < SIZE_EXPONENT_RESERVED - 1 && (16U << exponent) < block->bytes) {
        exponent++;
    }
    return block->number << 4 | (block->is_more ? 8U : 0U) | exponent;
}

void coap_assembly_init(struct coap_assembly *assembly, void *data, size_t cap) {
    *assembly = (struct coap_assembly){.data = (uint8_t *)data, .cap = cap};
}

void coap_assembly_close(struct coap_assembly *assembly) {
    coap_assembly_init(assembly, assembly->data, assembly->cap);
}

int coap_assembly_add(struct coap_assembly *assembly, const struct coap_block *block,
                      struct span payload) {
    if (payload.len > block->bytes || (block->is_more && payload.len != block->bytes)) {
        return SW_E_INPUT;
    }
    if (block->number == 0) {
        coap_assembly_close(assembly);
        assembly->bytes = block->bytes;
    } else if (!assembly->is_open && !assembly->is_complete) {
        return SW_E_STATE;
    } else if (block->number + 1 == assembly->next && block->bytes == assembly->bytes) {
        return SW_E_EXISTS;
    } else if (assembly->is_complete || block->number != assembly->next) {
        return SW_E_STATE;
    } else if (block->bytes != assembly->bytes) {
        return SW_E_INPUT;
    }
    if (payload.len > assembly->cap - assembly->len) {
        coap_assembly_close(assembly);
        return SW_E_FULL;
    }
    if (payload.len > 0) {
        memcpy(assembly->data + assembly->len, payload.data, payload.len);
    }
    assembly->len += payload.len;
    assembly->next = block->number + 1;
    assembly->is_open = block->is_more;
    assembly->is_complete = !block->is_more;
    return SW_OK;
}
