/* A secret in a file or from standard input: its first line. */
#ifndef SLIPWAY_DAEMON_SECRET_H
#define SLIPWAY_DAEMON_SECRET_H

#include "slipway/util/error.h"

#define SECRET_MAX   256              /* bytes */
#define SECRET_BYTES (SECRET_MAX + 2) /* room for one too many and the NUL */

/* Without its end of line. Reads not a byte more: what follows is for somebody else. SW_E_RANGE:
 * too long. */
int secret_read_line(int fd, char out[SECRET_BYTES], struct fault *fault) SW_NODISCARD;
int secret_read(const char *path, char out[SECRET_BYTES], struct fault *fault) SW_NODISCARD;

#endif
