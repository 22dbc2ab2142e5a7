#include "secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int secret_read_line(int fd, char out[SECRET_BYTES], struct fault *fault) {
    size_t len = 0;
    char c = '\0';
    while (len < SECRET_BYTES - 1 && read(fd, &c, 1) == 1 && c != '\n') {
        out[len++] = c;
    }
    if (len > 0 && out[len - 1] == '\r') {
        len--;
    }
    out[len] = '\0';
    return len <= SECRET_MAX
               ? SW_OK
               : fault_set(fault, SW_E_RANGE, "the secret is longer than %d bytes", SECRET_MAX);
}

int secret_read(const char *path, char out[SECRET_BYTES], struct fault *fault) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return fault_set(fault, SW_E_IO, "%s: %s", path, strerror(errno));
    }
    int status = secret_read_line(fd, out, fault);
    (void)close(fd);
    return status;
}
