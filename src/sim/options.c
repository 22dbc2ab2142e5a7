#include "sim/options.h"

#include "slipway/util/check.h"
#include "slipway/util/text.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
    "usage: slipway-sim --server HOST:PORT --server-key FILE [options]\n"
    "       slipway-sim --print-ids | --print-keys [--devices N] [--seed N] [--platform P]\n"
    "\n"
    "Simulated Device OS devices that connect to a server, report, and take firmware updates. "
    "Ends\n"
    "with status 1 if the server did anything that a device does not tolerate.\n"
    "\n"
    "  --server-key FILE     the server's public key: PEM, or SubjectPublicKeyInfo in hexadecimal\n"
    "  --devices N           how many [1]\n"
    "  --ids FILE            device ids, one a line, instead of ids made from the seed\n"
    "  --platform NAME|ID    [boron]\n"
    "  --version N           product version that they run at first; 0 = none [0]\n"
    "  --firmware FILE       module that they run at first, built for that platform\n"
    "  --system N            Device OS module version [6200]\n"
    "  --loss PERCENT        of datagrams, each way [0]\n"
    "  --latency MS          each way [0]\n"
    "  --jitter MS           added to the latency, up to this [0]\n"
    "  --disable-updates ID[,ID...]  whose application disables updates at each start\n"
    "  --enable-after S      and enables them again after so long [never]\n"
    "  --power-cut PERCENT   of devices whose power fails once in a transfer [0]\n"
    "  --reboot-ms MS        from reset to the first datagram [1000]\n"
    "  --ping-ms MS          silence after which a device pings [25000]\n"
    "  --functions N         functions that each application has [1]\n"
    "  --start-rate N        devices powered on per second; 0 = all at once [400]\n"
    "  --own-addresses       each from an address of its own in 127.0.0.0/8 (local servers)\n"
    "  --legacy              they speak the older, chunked OTA protocol\n"
    "  --legacy-slow         the same in its slow form: each chunk is answered\n"
    "  --keep-old            their bootloader never installs anything\n"
    "  --seed N              decides ids, keys and chance [1]\n"
    "  --control PATH|-      lines: enable|disable|reboot|wake|cut ID|all, status, quit\n"
    "  --status-file FILE    all devices as JSON, rewritten several times a second\n"
    "  --json                what happens as JSON lines on standard output\n"
    "  --print-ids           print the device ids and end\n"
    "  --print-keys          the same with each device's public key\n";

static bool complain(const char *what, const char *about) {
    fprintf(stderr, "slipway-sim: %s: %s\n", about, what);
    return false;
}

static bool read_number(const char *text, long low, long high, long *out) {
    int64_t value = 0;
    if (!text_integer(text, &value) || value < low || value > high) {
        fprintf(stderr, "slipway-sim: \"%s\" is not a number from %ld to %ld\n", text, low, high);
        return false;
    }
    *out = (long)value;
    return true;
}

static bool read_platform(const char *text, struct options *out) {
    for (const struct platform *p = platform_all(); p->name != NULL; p++) {
        char number[8];
        snprintf(number, sizeof number, "%u", p->id);
        if (p->is_served && (strcmp(text, p->name) == 0 || strcmp(text, number) == 0)) {
            out->platform = p;
            return true;
        }
    }
    return complain("no platform of that name or number can connect", text);
}

static bool read_ids(const char *text, struct options *out) {
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        if (out->disabled_count == OPTION_IDS_MAX) {
            return complain("too many ids", "--disable-updates");
        }
        if (device_id_parse(text, len, &out->disabled[out->disabled_count]) != SW_OK) {
            return complain("a device id has 24 hexadecimal digits", text);
        }
        out->disabled_count++;
        text += len;
        text += *text == ',' ? 1 : 0;
    }
    return true;
}

/* One option: where its argument goes, or what it sets. */
struct choice {
    const char *name;
    const char **text;
    long *number;
    long low, high; /* of the number */
    bool *flag;
    bool (*read)(const char *text, struct options *out);
};

static bool take(const struct choice *choice, const char *text, struct options *out) {
    if (choice->flag != NULL) {
        *choice->flag = true;
    } else if (choice->text != NULL) {
        *choice->text = text;
    } else if (choice->number != NULL) {
        return read_number(text, choice->low, choice->high, choice->number);
    }
    return choice->read == NULL || choice->read(text, out);
}

bool options_read(int argc, char **argv, struct options *out, bool *asked) {
    *out = (struct options){.devices = 1,
                            .system_version = 6200,
                            .reboot_ms = 1000,
                            .ping_ms = 25000,
                            .functions = 1,
                            .start_rate = 400,
                            .seed = 1,
                            .platform = platform_find(13)};
    *asked = false;
    const struct choice choices[] = {
        {.name = "server", .text = &out->server},
        {.name = "server-key", .text = &out->server_key},
        {.name = "devices", .number = &out->devices, .low = 1, .high = 100000},
        {.name = "ids", .text = &out->ids_file},
        {.name = "platform", .read = read_platform},
        {.name = "version", .number = &out->version, .high = VERSION_NONE},
        {.name = "firmware", .text = &out->firmware},
        {.name = "system", .number = &out->system_version, .low = 1, .high = UINT16_MAX},
        {.name = "loss", .number = &out->loss_percent, .high = 99},
        {.name = "latency", .number = &out->latency_ms, .high = 60000},
        {.name = "jitter", .number = &out->jitter_ms, .high = 60000},
        {.name = "disable-updates", .read = read_ids},
        {.name = "enable-after", .number = &out->enable_after_s, .low = 1, .high = 86400},
        {.name = "power-cut", .number = &out->power_cut_percent, .high = 100},
        {.name = "reboot-ms", .number = &out->reboot_ms, .low = 1, .high = 3600000},
        {.name = "ping-ms", .number = &out->ping_ms, .low = 100, .high = 3600000},
        {.name = "functions", .number = &out->functions, .low = 1, .high = 200},
        {.name = "start-rate", .number = &out->start_rate, .high = 100000},
        {.name = "own-addresses", .flag = &out->has_own_addresses},
        {.name = "legacy", .flag = &out->is_legacy},
        {.name = "legacy-slow", .flag = &out->is_slow},
        {.name = "keep-old", .flag = &out->keeps_old},
        {.name = "seed", .number = &out->seed, .high = LONG_MAX},
        {.name = "control", .text = &out->control},
        {.name = "status-file", .text = &out->status_file},
        {.name = "json", .flag = &out->is_json},
        {.name = "print-ids", .flag = &out->prints_ids},
        {.name = "print-keys", .flag = &out->prints_keys},
        {.name = "help", .flag = asked},
    };
    struct option names[SW_COUNT(choices) + 1] = {{.name = NULL}};
    for (size_t i = 0; i < SW_COUNT(choices); i++) {
        int has_arg = choices[i].flag != NULL ? no_argument : required_argument;
        names[i] = (struct option){.name = choices[i].name, .has_arg = has_arg};
    }
    int key, at = 0;
    while ((key = getopt_long(argc, argv, "", names, &at)) == 0 && !*asked) {
        if (!take(&choices[at], optarg, out)) {
            return false;
        }
    }
    if (*asked) {
        fputs(usage, stdout);
        return false;
    }
    if (key != -1) { /* getopt has complained */
        fputs("slipway-sim: see --help\n", stderr);
        return false;
    }
    out->version = out->version == 0 ? VERSION_NONE : out->version;
    out->is_legacy = out->is_legacy || out->is_slow;
    if (optind != argc) {
        return complain("not understood; see --help", argv[optind]);
    }
    bool is_listing = out->prints_ids || out->prints_keys;
    if (!is_listing && (out->server == NULL || out->server_key == NULL)) {
        return complain("--server and --server-key are needed; see --help", "the command line");
    }
    return true;
}
