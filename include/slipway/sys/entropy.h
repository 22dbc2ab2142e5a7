/* The only reader of the kernel's entropy. Any thread. */
#ifndef SLIPWAY_SYS_ENTROPY_H
#define SLIPWAY_SYS_ENTROPY_H

#include <stddef.h>

/* Fills buf with len random bytes fit for keys. A machine that cannot give any is not one on which
 * this program may run: it stops there. */
void sys_entropy(void *buf, size_t len);

#endif
