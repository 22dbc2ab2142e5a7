/* Hexadecimal text, lower case out, either case in. */
#ifndef SLIPWAY_UTIL_HEX_H
#define SLIPWAY_UTIL_HEX_H

#include "slipway/util/error.h"
#include "slipway/util/span.h"

/* Writes 2*bytes.len digits and a NUL to out (cap bytes); SW_CHECKs that it fits. */
void hex_encode(struct span bytes, char *out, size_t cap);
/* text must be exactly 2*len hexadecimal digits (text_len of them); else SW_E_INPUT, out zeroed. */
int hex_decode(const char *text, size_t text_len, void *out, size_t len) SW_NODISCARD;

#endif
