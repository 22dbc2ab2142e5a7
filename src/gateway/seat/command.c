/* Requests of REST clients to one device: sent now or refused now, answered by the device, by
 * silence or by the session's end. */
#include "gateway/gateway.h"

#define COMMAND_MS 60000

static void command_reply(struct gateway *gw, uint64_t id, int status, uint8_t code,
                          struct span payload) {
    struct gateway_reply reply = {.id = id, .status = status, .code = code, .payload = payload};
    gw->ports.reply(gw->ports.ctx, &reply);
}

static void command_end(struct gateway *gw, struct request *request, int status, uint8_t code,
                        struct span payload) {
    uint64_t id = request->id;
    *request = (struct request){0};
    command_reply(gw, id, status, code, payload);
}

static int command_send(struct gateway *gw, struct seat *seat,
                        const struct gateway_command *command, struct moment now,
                        uint32_t *number) {
    enum session_request_kind kind = SESSION_REQUEST_FUNCTION;
    *number = 0;
    switch (command->kind) {
    case GATEWAY_COMMAND_PING:
        return session_ping(&seat->session, gw->crypto, now.mono, &gw->out);
    case GATEWAY_COMMAND_FUNCTION:
        break;
    case GATEWAY_COMMAND_VARIABLE:
        kind = SESSION_REQUEST_VARIABLE;
        break;
    case GATEWAY_COMMAND_DESCRIBE:
        kind = SESSION_REQUEST_DESCRIBE;
        break;
    case GATEWAY_COMMAND_SIGNAL:
        kind = SESSION_REQUEST_SIGNAL;
        break;
    case GATEWAY_COMMAND_EVENT:
        kind = SESSION_REQUEST_EVENT;
        break;
    case GATEWAY_COMMAND_LOOK:
    case GATEWAY_COMMAND_FORGET:
        return SW_E_STATE; /* the caller's */
    }
    return session_request(&seat->session, gw->crypto, kind, command->name, command->argument,
                           now.mono, &gw->out, number);
}

int gateway_command(struct gateway *gw, const struct gateway_command *command, mono_time now,
                    wall_time wall) {
    struct moment moment = {.mono = now, .wall = wall};
    struct seat *seat = table_by_device(&gw->table, &command->device, NULL);
    struct request *free_one = NULL;
    uint32_t number;
    if (seat == NULL || gw->is_draining) {
        command_reply(gw, command->id, SW_E_NOT_FOUND, 0, span_of(NULL, 0));
        return SW_OK;
    }
    if (command->kind == GATEWAY_COMMAND_FORGET) {
        seat_close(gw, seat, true, moment);
        command_reply(gw, command->id, SW_OK, 0, span_of(NULL, 0));
        return SW_OK;
    }
    if (!seat->is_served || !seat->is_present) {
        command_reply(gw, command->id, seat->is_served ? SW_E_NOT_FOUND : SW_E_DENIED, 0,
                      span_of(NULL, 0));
        return SW_OK;
    }
    if (command->kind == GATEWAY_COMMAND_LOOK) {
        plan_due(gw, seat, UPDATE_CAUSE_IMMEDIATE);
        command_reply(gw, command->id, SW_OK, 0, span_of(NULL, 0));
        return SW_OK;
    }
    session_out_clear(&gw->out);
    int status = seat_activate(gw, seat);
    if (status == SW_OK) {
        for (size_t n = 0; n < REQUESTS_MAX; n++) {
            if (!seat->desk->requests[n].is_used) {
                free_one = &seat->desk->requests[n];
            }
        }
        status = free_one == NULL ? SW_E_FULL : command_send(gw, seat, command, moment, &number);
        status = status == SW_E_BUSY ? SW_E_FULL : status; /* nothing was sent */
    }
    if (status == SW_OK) {
        *free_one = (struct request){
            .is_used = true,
            .kind = (uint8_t)command->kind,
            .id = command->id,
            .request = number,
            .deadline = mono_add_ms(now, command->wait_ms > 0 ? command->wait_ms : COMMAND_MS)};
    } else {
        command_reply(gw, command->id, status, 0, span_of(NULL, 0));
    }
    (void)seat_settle(gw, seat, moment);
    return SW_OK;
}

void command_answer(struct gateway *gw, struct seat *seat, const struct session_event *event) {
    for (size_t n = 0; seat->desk != NULL && n < REQUESTS_MAX; n++) {
        struct request *request = &seat->desk->requests[n];
        if (request->is_used && request->kind != GATEWAY_COMMAND_PING &&
            request->request == event->u.answer.request) {
            command_end(gw, request, event->u.answer.code == 0 ? SW_E_BUSY : SW_OK,
                        event->u.answer.code, event->u.answer.payload);
        }
    }
}

/* Any authentic word answers a ping. */
void command_heard(struct gateway *gw, struct seat *seat) {
    for (size_t n = 0; seat->desk != NULL && n < REQUESTS_MAX; n++) {
        struct request *request = &seat->desk->requests[n];
        if (request->is_used && request->kind == GATEWAY_COMMAND_PING) {
            command_end(gw, request, SW_OK, 0, span_of(NULL, 0));
        }
    }
}

void command_unreachable(struct gateway *gw, struct seat *seat) {
    for (size_t n = 0; seat->desk != NULL && n < REQUESTS_MAX; n++) {
        if (seat->desk->requests[n].is_used) {
            command_end(gw, &seat->desk->requests[n], SW_E_BUSY, 0, span_of(NULL, 0));
        }
    }
}

void command_tick(struct gateway *gw, struct seat *seat, mono_time now) {
    for (size_t n = 0; seat->desk != NULL && n < REQUESTS_MAX; n++) {
        struct request *request = &seat->desk->requests[n];
        if (request->is_used && mono_reached(now, request->deadline)) {
            session_abandon(&seat->session, request->request, now);
            command_end(gw, request, SW_E_BUSY, 0, span_of(NULL, 0));
        }
    }
}

mono_time command_deadline(const struct desk *desk) {
    mono_time deadline = MONO_NEVER;
    for (size_t n = 0; n < REQUESTS_MAX; n++) {
        if (desk->requests[n].is_used) {
            deadline = mono_earlier(deadline, desk->requests[n].deadline);
        }
    }
    return deadline;
}

void command_drop(struct gateway *gw, struct desk *desk) {
    for (size_t n = 0; n < REQUESTS_MAX; n++) {
        if (desk->requests[n].is_used) {
            command_end(gw, &desk->requests[n], SW_E_NOT_FOUND, 0, span_of(NULL, 0));
        }
    }
}
