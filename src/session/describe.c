/* Describes that the device sends by itself, whole or in blocks. The acknowledgement of the last
 * block makes the device believe that the server has it for good, so it is given only when the
 * owner has stored it. There is one buffer: while it is in use for one kind, the blocks of another
 * find silence, and the device repeats them. */
#include "session/work.h"

#define KINDS (DESCRIBE_SYSTEM | DESCRIBE_APPLICATION | DESCRIBE_METRICS)

void gathering_close(struct gathering *gathering) {
    coap_assembly_close(&gathering->assembly);
    gathering->deadline = MONO_NEVER;
    gathering->kind = 0;
    gathering->is_requested = false;
}

bool gathering_is_busy(const struct turn *t, uint8_t kind, bool is_requested) {
    const struct gathering *g = &t->work->gathering;
    bool is_used = g->assembly.is_open || g->assembly.is_complete;
    return is_used && !mono_reached(t->now, g->deadline) &&
           (g->kind != kind || g->is_requested != is_requested);
}

static void describe_report(struct turn *t, const struct coap_message *message, uint8_t kind,
                            uint16_t content_format, struct span bytes) {
    struct session_event *event =
        turn_report(t, SESSION_EVENT_DESCRIBE, message->id, message->type == COAP_CON);
    if (event != NULL) {
        event->u.describe.kind = kind;
        event->u.describe.content_format = content_format;
        event->u.describe.bytes = bytes;
    }
}

static void describe_block(struct turn *t, const struct coap_message *message,
                           const struct coap_block *block, uint8_t kind, uint16_t content_format,
                           const char **why) {
    struct gathering *g = &t->work->gathering;
    if (gathering_is_busy(t, kind, false)) {
        *why = "another Describe is being gathered";
        return;
    }
    bool was_complete = g->assembly.is_complete;
    int status = coap_assembly_add(&g->assembly, block, message->payload);
    if (status == SW_OK && block->number == 0) {
        g->kind = kind;
        g->is_requested = false;
        g->content_format = content_format;
    }
    switch (status) {
    case SW_OK:
    case SW_E_EXISTS:
        g->deadline = mono_add_ms(t->now, GATHERING_MS);
        if (g->assembly.is_complete) {
            g->last_id = message->id;
            describe_report(t, message, kind, g->content_format,
                            span_of(g->assembly.data, g->assembly.len));
        } else {
            exchange_settle(t, message);
        }
        break;
    case SW_E_STATE:
        /* Blocks whose beginning we do not have: a restart in between. Let the device finish, and
         * ask for the whole afterwards. */
        *why = "a block of a Describe whose beginning is missing";
        if (!was_complete) {
            t->work->wish_describe |= kind;
        }
        exchange_settle(t, message);
        break;
    case SW_E_FULL:
        *why = "a Describe that is too long";
        gathering_close(g);
        device_refuse(t, message, COAP_TOO_LARGE);
        break;
    default:
        *why = "a block of another size than it says";
        device_refuse(t, message, COAP_BAD_REQUEST);
        break;
    }
}

void describe_posted(struct turn *t, const struct coap_message *message, const char **why) {
    struct span query;
    struct coap_block block;
    uint32_t format = CONTENT_FORMAT_NONE;
    (void)coap_option_uint(message, COAP_CONTENT_FORMAT, &format);
    /* One kind each; Device OS 3.0 to 3.2 may put several together. */
    if (!coap_option_at(message, COAP_URI_QUERY, 0, &query) || query.len != 1 ||
        query.data[0] == 0 || (query.data[0] & ~KINDS) != 0) {
        *why = "a Describe without its kind";
        device_refuse(t, message, COAP_BAD_REQUEST);
        return;
    }
    switch (coap_block_get(message, COAP_BLOCK1, &block)) {
    case SW_OK:
        describe_block(t, message, &block, query.data[0], (uint16_t)format, why);
        break;
    case SW_E_NOT_FOUND:
        describe_report(t, message, query.data[0], (uint16_t)format, message->payload);
        break;
    default:
        *why = "a malformed Block1";
        device_refuse(t, message, COAP_BAD_REQUEST);
        break;
    }
}
