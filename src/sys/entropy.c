#include "slipway/sys/entropy.h"

#include "slipway/util/check.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

void sys_entropy(void *buf, size_t len) {
    uint8_t *at = (uint8_t *)buf;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0) {
            SW_CHECK(errno == EINTR);
            continue;
        }
        at += got;
        len -= (size_t)got;
    }
}
