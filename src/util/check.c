#include "slipway/util/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put(const char *text) {
    /* Nothing can be done about a failure to report a failure. */
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

_Noreturn void sw_check_failed(const char *condition, const char *file, int line) {
    char digits[12];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + line % 10);
        line /= 10;
    } while (line > 0 && at > 0);
    put("check failed: ");
    put(condition);
    put(" at ");
    put(file);
    put(":");
    put(&digits[at]);
    put("\n");
    abort();
}
