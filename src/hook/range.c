#include "hook/range.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define IPV4_AT 12 /* in an IPv4 address that is written as an IPv6 one */

static const uint8_t ipv4_prefix[IPV4_AT] = {[10] = 0xff, [11] = 0xff};

static bool parse_one(char *word, uint8_t ip[16], unsigned *bits) {
    char *slash = strchr(word, '/'), *end = NULL;
    unsigned long length = 128;
    if (slash != NULL) {
        *slash = '\0';
        length = strtoul(slash + 1, &end, 10);
        if (end == slash + 1 || *end != '\0' || length > 128) {
            return false;
        }
    }
    if (inet_pton(AF_INET6, word, ip) == 1) {
        *bits = (unsigned)length;
        return true;
    }
    memcpy(ip, ipv4_prefix, sizeof ipv4_prefix);
    if (inet_pton(AF_INET, word, ip + IPV4_AT) != 1 || (slash != NULL && length > 32)) {
        return false;
    }
    *bits = slash != NULL ? (unsigned)length + IPV4_AT * 8 : 128;
    return true;
}

int ranges_parse(const char *text, struct ranges *out, struct fault *fault) {
    *out = (struct ranges){.count = 0};
    while (text != NULL && *(text += strspn(text, " \t,")) != '\0') {
        char word[INET6_ADDRSTRLEN + 8];
        size_t len = strcspn(text, " \t,");
        size_t kept = len < sizeof word ? len : sizeof word - 1;
        memcpy(word, text, kept);
        word[kept] = '\0';
        if (out->count == RANGES_MAX) {
            return fault_set(fault, SW_E_FULL, "there are more than %d ranges", RANGES_MAX);
        }
        if (len != kept ||
            !parse_one(word, out->items[out->count].ip, &out->items[out->count].bits)) {
            return fault_set(fault, SW_E_INPUT, "\"%.*s\" is no range of addresses", (int)kept,
                             text);
        }
        out->count++;
        text += len;
    }
    return SW_OK;
}

static bool is_in(const uint8_t ip[16], const uint8_t range[16], unsigned bits) {
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(ip, range, whole) == 0 &&
           (rest == 0 || ((ip[whole] ^ range[whole]) & (0xff << (8 - rest)) & 0xff) == 0);
}

bool ranges_have(const struct ranges *ranges, const struct sockaddr *address) {
    uint8_t ip[16];
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        memcpy(ip, ipv4_prefix, sizeof ipv4_prefix);
        memcpy(ip + IPV4_AT, &v4.sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        memcpy(ip, &v6.sin6_addr, sizeof ip);
    } else {
        return false;
    }
    for (size_t i = 0; i < ranges->count; i++) {
        if (is_in(ip, ranges->items[i].ip, ranges->items[i].bits)) {
            return true;
        }
    }
    return false;
}
