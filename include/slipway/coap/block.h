/* Block-wise transfers (RFC 7959): the Block1 and Block2 options and the gathering of blocks in
 * order. The sender of the blocks sends one after the other, as Device OS does. */
#ifndef SLIPWAY_COAP_BLOCK_H
#define SLIPWAY_COAP_BLOCK_H

#include "slipway/coap/message.h"

struct coap_block {
    uint32_t number; /* below 2^20 */
    bool is_more;    /* others follow */
    uint16_t bytes;  /* block size, 16..1024 */
};

/* SW_E_NOT_FOUND without that option, SW_E_INPUT if it is malformed (reserved size included). */
int coap_block_get(const struct coap_message *message, uint16_t option,
                   struct coap_block *out) SW_NODISCARD;
uint32_t coap_block_value(const struct coap_block *block);

/* Gathers into the caller's memory. Block 0 always starts anew. */
struct coap_assembly {
    uint8_t *data;
    size_t cap, len;
    uint32_t next; /* number of the block that is awaited */
    uint16_t bytes;
    bool is_open;     /* some blocks are there, others follow */
    bool is_complete; /* the last one is there; data[0..len) is the whole */
};

void coap_assembly_init(struct coap_assembly *assembly, void *data, size_t cap);
/*   SW_OK       taken; see is_complete
 *   SW_E_EXISTS a repetition of the block before: nothing changed, acknowledge it
 *   SW_E_STATE  not the block that is awaited: ignored
 *   SW_E_INPUT  a size that contradicts the option
 *   SW_E_FULL   longer than cap: the assembly is closed */
int coap_assembly_add(struct coap_assembly *assembly, const struct coap_block *block,
                      struct span payload) SW_NODISCARD;
void coap_assembly_close(struct coap_assembly *assembly);

#endif
