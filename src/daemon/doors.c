#include "doors.h"

#include "slipway/util/check.h"
#include "slipway/util/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct call {
    enum device_command_kind kind;
    enum device_value_kind value_kind;
    device_reply_fn *reply;
    void *arg;
};

static bool is_printable(struct span text) {
    for (size_t n = 0; n < text.len; n++) {
        if (text.data[n] < ' ' || text.data[n] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* A variable comes without its type, which the device described. Where it did not, one byte is a
 * bool, 4 are an integer and 8 a double, unless they could be text. */
static enum device_value_kind value_guess(struct span payload) {
    if (payload.len == 1 && payload.data[0] <= 1) {
        return DEVICE_VALUE_BOOL;
    }
    bool is_binary = (payload.len == 4 || payload.len == 8) && !is_printable(payload);
    return is_binary ? DEVICE_VALUE_NUMBER : DEVICE_VALUE_TEXT;
}

static void value_read(struct span payload, enum device_value_kind kind, struct device_reply *out) {
    struct reader r = reader_of(payload);
    out->value_kind = kind == DEVICE_VALUE_NONE ? value_guess(payload) : kind;
    out->value = payload;
    if (out->value_kind == DEVICE_VALUE_BOOL) {
        out->number = payload.len > 0 && payload.data[0] != 0;
    } else if (out->value_kind == DEVICE_VALUE_NUMBER && payload.len == 4) {
        out->number = (int32_t)reader_u32(&r);
    } else if (out->value_kind == DEVICE_VALUE_NUMBER && payload.len == 8) {
        uint64_t bits = (uint64_t)reader_u32_le(&r);
        bits |= (uint64_t)reader_u32_le(&r) << 32;
        memcpy(&out->number, &bits, sizeof bits);
    }
}

/* The gateway's words in the door's: it knows sessions, the door knows devices. */
static int status_of(const struct gateway_reply *reply) {
    if (reply->status == SW_E_NOT_FOUND) {
        return SW_E_STATE;
    }
    if (reply->status == SW_OK && reply->code >> 5 >= 4) {
        return SW_E_NOT_FOUND;
    }
    return reply->status;
}

static void call_answered(void *arg, const struct gateway_reply *reply) {
    struct call *call = arg;
    struct device_reply out = {.status = status_of(reply)};
    if (out.status == SW_OK && call->kind == DEVICE_COMMAND_FUNCTION) {
        struct reader r = reader_of(reply->payload);
        out.return_value = (int32_t)reader_u32(&r);
        if (reader_end(&r) != SW_OK) {
            out.return_value = 0;
        }
    } else if (out.status == SW_OK && call->kind == DEVICE_COMMAND_VARIABLE) {
        value_read(reply->payload, call->value_kind, &out);
    }
    call->reply(call->arg, &out);
    free(call);
}

static int doors_command(void *ctx, const struct device_command *command, device_reply_fn *reply,
                         void *arg) {
    static const uint8_t metrics = 4, on = 1, off = 0;
    struct loop *loop = ctx;
    struct gateway_command out = {.device = command->device, .wait_ms = command->timeout_ms};
    switch (command->kind) {
    case DEVICE_COMMAND_PING:
        out.kind = GATEWAY_COMMAND_PING;
        break;
    case DEVICE_COMMAND_SIGNAL:
        out.kind = GATEWAY_COMMAND_SIGNAL;
        out.argument = span_of(command->flag ? &on : &off, 1);
        break;
    case DEVICE_COMMAND_FUNCTION:
        out.kind = GATEWAY_COMMAND_FUNCTION;
        out.name = command->name;
        out.argument = command->argument;
        break;
    case DEVICE_COMMAND_VARIABLE:
        out.kind = GATEWAY_COMMAND_VARIABLE;
        out.name = command->name;
        break;
    case DEVICE_COMMAND_VITALS:
        out.kind = GATEWAY_COMMAND_DESCRIBE;
        out.argument = span_of(&metrics, 1);
        break;
    }
    struct call *call = malloc(sizeof *call);
    if (call == NULL) {
        return SW_E_MEMORY;
    }
    *call = (struct call){
        .kind = command->kind, .value_kind = command->value_kind, .reply = reply, .arg = arg};
    int status = loop_command(loop, &out, call_answered, call);
    if (status != SW_OK) {
        free(call);
    }
    return status;
}

static bool doors_serving(void *ctx) {
    struct loop_report report;
    loop_report(ctx, &report);
    return report.is_ready;
}

struct metric {
    const char *name, *help, *unit; /* what follows the name */
    uint64_t value;
};

static void put_metrics(FILE *out, const char *kind, const struct metric *metrics, size_t count) {
    for (size_t n = 0; n < count; n++) {
        const struct metric *m = &metrics[n];
        (void)fprintf(out, "# HELP slipway_%s%s %s\n# TYPE slipway_%s%s %s\nslipway_%s%s %llu\n",
                      m->name, m->unit, m->help, m->name, m->unit, kind, m->name, m->unit,
                      (unsigned long long)m->value);
    }
}

static char *doors_metrics(void *ctx) {
    struct loop_report report;
    char *text = NULL;
    size_t len = 0;
    loop_report(ctx, &report);
#define COUNTER(word, sentence) {#word, sentence, "_total", report.counters.word},
    const struct metric counters[] = {GATEWAY_COUNTERS(COUNTER)};
#undef COUNTER
    const struct metric sizes[] = {
        {"sessions", "Sessions that are kept", "", report.sizes.sessions},
        {"devices", "Devices that are online", "_online", report.sizes.online},
        {"sessions", "Of the sessions, with working memory", "_active", report.sizes.active},
        {"handshakes", "Handshakes under way", "_open", report.sizes.half_open},
        {"transfers", "Transfers under way", "_open", report.sizes.transfers},
        {"images", "Firmware images held in memory", "", report.sizes.images},
        {"images", "Memory of these images", "_bytes", report.sizes.image_bytes},
        {"jobs", "Jobs that are with the store", "_open", report.sizes.jobs}};
    FILE *out = open_memstream(&text, &len);
    if (out == NULL) {
        return NULL;
    }
    put_metrics(out, "counter", counters, SW_COUNT(counters));
    put_metrics(out, "gauge", sizes, SW_COUNT(sizes));
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

struct http_ports doors_ports(struct loop *loop) {
    return (struct http_ports){.ctx = loop,
                               .device_command = doors_command,
                               .is_serving = doors_serving,
                               .metrics = doors_metrics};
}
