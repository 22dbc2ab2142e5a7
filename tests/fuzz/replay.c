/* Feeds every file of a corpus folder to the fuzz function, and each also cut short and with single
 * bytes changed, so that even a small corpus walks the error paths under any compiler. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX    65536
#define MUTATION_MAX 512 /* bytes of each file that are changed in turn */

/* Exactly sized, so that a sanitizer sees any read past the end. */
static void feed(const uint8_t *data, size_t len) {
    uint8_t *exact = malloc(len > 0 ? len : 1);
    SW_CHECK(exact != NULL);
    memcpy(exact, data, len);
    (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
}

static void feed_variants(uint8_t *data, size_t len) {
    feed(data, len);
    for (size_t i = 0; i < len && i < MUTATION_MAX; i++) {
        feed(data, i);
        data[i] ^= 0x41;
        feed(data, len);
        data[i] ^= 0x41;
    }
}

static int replay_file(const char *path) {
    static uint8_t data[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t len = fread(data, 1, sizeof data, file);
    (void)fclose(file);
    feed_variants(data, len);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    DIR *folder = opendir(argv[1]);
    if (folder == NULL) {
        perror(argv[1]);
        return 1;
    }
    unsigned files = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        char path[1024];
        struct stat info;
        (void)snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) {
            continue;
        }
        if (replay_file(path) != 0) {
            (void)closedir(folder);
            return 1;
        }
        files++;
    }
    (void)closedir(folder);
    (void)printf("%u corpus files\n", files);
    return files > 0 ? 0 : 1;
}
