/* A message of any bytes: what is read lies within it, and writing it again gives the same bytes,
 * as CoAP's form is canonical. Its payload is then gathered as blocks of any numbers. */
#include "fuzz.h"
#include "slipway/coap/block.h"
#include "slipway/coap/message.h"

#include <string.h>

static void check_within(struct span whole, struct span part) {
    SW_CHECK(part.len == 0 ||
             (part.data >= whole.data && part.data + part.len <= whole.data + whole.len));
}

static void gather(struct span bytes) {
    static uint8_t room[3000], blocks[1024];
    struct coap_assembly assembly;
    coap_assembly_init(&assembly, room, sizeof room);
    for (size_t at = 0; at + 3 <= bytes.len; at += 3) {
        struct coap_block block = {.number = bytes.data[at] % 8,
                                   .is_more = bytes.data[at] > 127,
                                   .bytes = (uint16_t)(16U << bytes.data[at + 1] % 7)};
        size_t len = block.is_more ? block.bytes : bytes.data[at + 2] * 5U;
        int status =
            coap_assembly_add(&assembly, &block, span_of(blocks, len < sizeof blocks ? len : 1024));
        SW_CHECK(assembly.len <= sizeof room);
        SW_CHECK(status != SW_OK || assembly.next == block.number + 1);
        SW_CHECK(!(assembly.is_open && assembly.is_complete));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct coap_message message;
    struct span bytes = span_of(data, size);
    const char *why;
    gather(bytes);
    int status = coap_decode(bytes, &message, &why);
    SW_CHECK((status == SW_OK) == (why == NULL));
    if (status != SW_OK) {
        return 0;
    }
    check_within(bytes, message.token);
    check_within(bytes, message.payload);
    uint8_t again[4096];
    struct writer w = writer_of(again, sizeof again);
    struct coap_writer c = coap_begin(&w, message.type, message.code, message.id, message.token);
    for (unsigned i = 0; i < message.option_count; i++) {
        uint32_t value;
        check_within(bytes, message.options[i].value);
        coap_put(&c, message.options[i].number, message.options[i].value);
        (void)coap_option_uint(&message, message.options[i].number, &value);
    }
    coap_put_payload(&c, message.payload);
    if (writer_status(&w) == SW_OK) {
        SW_CHECK(w.at == size && memcmp(again, data, size) == 0);
    }
    struct coap_block block;
    if (coap_block_get(&message, COAP_BLOCK1, &block) == SW_OK) {
        SW_CHECK(block.number < 1U << 20 && block.bytes >= 16 && block.bytes <= 1024);
    }
    return 0;
}
