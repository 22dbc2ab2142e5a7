/* The certificates and keys of tests/data/dtls/pki. */
#ifndef TESTS_SUPPORT_PKI_H
#define TESTS_SUPPORT_PKI_H

#include "slipway/util/span.h"

/* The text of <name>.pem, in out; fails the test if it is not there or not less than cap bytes. */
struct span pki_load(const char *name, char *out, size_t cap);

#endif
