/* A copy of the data folder is a data folder itself: restoring is using it. Its sessions cannot be
 * read there (see folder_place_key), so devices make new handshakes. */
#include "tasks.h"

#include "slipway/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int copy_database(const char *from, const char *to, struct fault *fault) {
    struct store *store = NULL;
    const struct store_options served = {.path = from, .is_guest = true};
    int status = store_open(&store, &served, fault);
    status = status != SW_OK ? status : store_backup(store, to, fault);
    store_close(store);
    return status;
}

static int sync_path(const char *path, struct fault *fault) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int status = fd >= 0 && fsync(fd) == 0
                     ? SW_OK
                     : fault_set(fault, SW_E_IO, "%s cannot be synced: %s", path, strerror(errno));
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

/* The database gets its name when it is on the disk: a folder without it is no backup. */
static int name_database(const struct folder *to, const char *fresh, const char *path,
                         struct fault *fault) {
    int status = sync_path(fresh, fault);
    if (status == SW_OK && rename(fresh, path) != 0) {
        status = fault_set(fault, SW_E_IO, "%s cannot be written: %s", path, strerror(errno));
    }
    return status != SW_OK ? status : sync_path(to->path, fault);
}

static int copy_folder(const struct folder *from, const struct folder *to, struct fault *fault) {
    char source[FOLDER_PATH_MAX], path[FOLDER_PATH_MAX], fresh[FOLDER_PATH_MAX];
    int status = folder_file(from, FOLDER_DATABASE, source, fault);
    status = status != SW_OK ? status : folder_file(to, FOLDER_DATABASE, path, fault);
    status = status != SW_OK ? status : folder_file(to, FOLDER_DATABASE ".new", fresh, fault);
    if (status == SW_OK && access(source, R_OK) != 0) {
        status = fault_set(fault, SW_E_IO, "%s cannot be read: %s", source, strerror(errno));
    }
    if (status == SW_OK && mkdir(to->path, 0700) != 0) {
        status =
            fault_set(fault, SW_E_IO, "folder %s cannot be made: %s", to->path, strerror(errno));
    }
    if (status != SW_OK) {
        return status;
    }
    status = folder_copy_secrets(from, to, fault);
    status = status != SW_OK ? status : copy_database(source, fresh, fault);
    status = status != SW_OK ? status : name_database(to, fresh, path, fault);
    if (status != SW_OK) {
        (void)unlink(fresh);
        (void)unlink(path);
        folder_discard_copy(to);
    }
    return status;
}

int task_backup(const struct options *options) {
    struct folder from, to;
    struct fault fault = {0};
    folder_name(&from, options->data);
    folder_name(&to, options->to);
    if (copy_folder(&from, &to, &fault) != SW_OK) {
        (void)fprintf(stderr, "slipwayd: %s\n", fault.text);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
