#include "slipway/util/error.h"
#include "slipway/util/check.h"

#include <stdarg.h>
#include <string.h>

/* vsnprintf is text formatting, not I/O; declaring it here keeps stdio out of the pure layers. */
int vsnprintf(char *restrict s, size_t n, const char *restrict format, va_list ap);

const char *sw_error_name(int code) {
    static const char *const names[] = {
        "ok",     "input", "range", "full",   "state",   "not_found", "exists", "denied", "auth",
        "replay", "busy",  "io",    "memory", "version", "conflict",  "crypto", "limit",  "space",
    };
    int index = -code;
    if (index < 0 || index >= (int)SW_COUNT(names)) {
        return "unknown";
    }
    return names[index];
}

int fault_set(struct fault *fault, int code, const char *format, ...) {
    if (fault != NULL) {
        va_list args;
        va_start(args, format);
        fault->code = code;
        (void)vsnprintf(fault->text, sizeof fault->text, format, args);
        va_end(args);
    }
    return code;
}

void fault_prefix(struct fault *fault, const char *prefix) {
    if (fault == NULL) {
        return;
    }
    char old[sizeof fault->text];
    memcpy(old, fault->text, sizeof old);
    (void)fault_set(fault, fault->code, "%s: %s", prefix, old);
}
