#include "sim/options.h"

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

enum option_key {
    KEY_SERVER = 256,
    KEY_SERVER_KEY,
    KEY_DEVICES,
    KEY_IDS,
    KEY_PLATFORM,
    KEY_VERSION,
    KEY_FIRMWARE,
    KEY_SYSTEM,
    KEY_LOSS,
    KEY_LATENCY,
    KEY_JITTER,
    KEY_DISABLE,
    KEY_ENABLE_AFTER,
    KEY_POWER_CUT,
    KEY_REBOOT,
    KEY_PING,
    KEY_FUNCTIONS,
    KEY_KEEP_OLD,
    KEY_LEGACY,
    KEY_LEGACY_SLOW,
    KEY_START_RATE,
    KEY_OWN_ADDRESSES,
    KEY_SEED,
    KEY_CONTROL,
    KEY_STATUS_FILE,
    KEY_JSON,
    KEY_PRINT_IDS,
    KEY_PRINT_KEYS,
    KEY_HELP
};

static const struct option names[] = {
    {"server", required_argument, NULL, KEY_SERVER},
    {"server-key", required_argument, NULL, KEY_SERVER_KEY},
    {"devices", required_argument, NULL, KEY_DEVICES},
    {"ids", required_argument, NULL, KEY_IDS},
    {"platform", required_argument, NULL, KEY_PLATFORM},
    {"version", required_argument, NULL, KEY_VERSION},
    {"firmware", required_argument, NULL, KEY_FIRMWARE},
    {"system", required_argument, NULL, KEY_SYSTEM},
    {"loss", required_argument, NULL, KEY_LOSS},
    {"latency", required_argument, NULL, KEY_LATENCY},
    {"jitter", required_argument, NULL, KEY_JITTER},
    {"disable-updates", required_argument, NULL, KEY_DISABLE},
    {"enable-after", required_argument, NULL, KEY_ENABLE_AFTER},
    {"power-cut", required_argument, NULL, KEY_POWER_CUT},
    {"reboot-ms", required_argument, NULL, KEY_REBOOT},
    {"ping-ms", required_argument, NULL, KEY_PING},
    {"functions", required_argument, NULL, KEY_FUNCTIONS},
    {"start-rate", required_argument, NULL, KEY_START_RATE},
    {"own-addresses", no_argument, NULL, KEY_OWN_ADDRESSES},
    {"legacy", no_argument, NULL, KEY_LEGACY},
    {"legacy-slow", no_argument, NULL, KEY_LEGACY_SLOW},
    {"keep-old", no_argument, NULL, KEY_KEEP_OLD},
    {"seed", required_argument, NULL, KEY_SEED},
    {"control", required_argument, NULL, KEY_CONTROL},
    {"status-file", required_argument, NULL, KEY_STATUS_FILE},
    {"json", no_argument, NULL, KEY_JSON},
    {"print-ids", no_argument, NULL, KEY_PRINT_IDS},
    {"print-keys", no_argument, NULL, KEY_PRINT_KEYS},
    {"help", no_argument, NULL, KEY_HELP},
    {NULL, 0, NULL, 0},
};

static bool take(struct options *out, int key, const char *text, bool *asked) {
    switch (key) {
    case KEY_SERVER:
        out->server = text;
        return true;
    case KEY_SERVER_KEY:
        out->server_key = text;
        return true;
    case KEY_DEVICES:
        return read_number(text, 1, 100000, &out->devices);
    case KEY_IDS:
        out->ids_file = text;
        return true;
    case KEY_PLATFORM:
        return read_platform(text, out);
    case KEY_VERSION:
        if (!read_number(text, 0, VERSION_NONE, &out->version)) {
            return false;
        }
        out->version = out->version == 0 ? VERSION_NONE : out->version;
        return true;
    case KEY_FIRMWARE:
        out->firmware = text;
        return true;
    case KEY_SYSTEM:
        return read_number(text, 1, UINT16_MAX, &out->system_version);
    case KEY_LOSS:
        return read_number(text, 0, 99, &out->loss_percent);
    case KEY_LATENCY:
        return read_number(text, 0, 60000, &out->latency_ms);
    case KEY_JITTER:
        return read_number(text, 0, 60000, &out->jitter_ms);
    case KEY_DISABLE:
        return read_ids(text, out);
    case KEY_ENABLE_AFTER:
        return read_number(text, 1, 86400, &out->enable_after_s);
    case KEY_POWER_CUT:
        return read_number(text, 0, 100, &out->power_cut_percent);
    case KEY_REBOOT:
        return read_number(text, 1, 3600000, &out->reboot_ms);
    case KEY_PING:
        return read_number(text, 100, 3600000, &out->ping_ms);
    case KEY_FUNCTIONS:
        return read_number(text, 1, 200, &out->functions);
    case KEY_START_RATE:
        return read_number(text, 0, 100000, &out->start_rate);
    case KEY_OWN_ADDRESSES:
        out->has_own_addresses = true;
        return true;
    case KEY_LEGACY:
        out->is_legacy = true;
        return true;
    case KEY_LEGACY_SLOW:
        out->is_legacy = true;
        out->is_slow = true;
        return true;
    case KEY_KEEP_OLD:
        out->keeps_old = true;
        return true;
    case KEY_SEED:
        return read_number(text, 0, LONG_MAX, &out->seed);
    case KEY_CONTROL:
        out->control = text;
        return true;
    case KEY_STATUS_FILE:
        out->status_file = text;
        return true;
    case KEY_JSON:
        out->is_json = true;
        return true;
    case KEY_PRINT_IDS:
        out->prints_ids = true;
        return true;
    case KEY_PRINT_KEYS:
        out->prints_keys = true;
        return true;
    case KEY_HELP:
        *asked = true;
        fputs(usage, stdout);
        return false;
    default: /* getopt has complained */
        fputs("slipway-sim: see --help\n", stderr);
        return false;
    }
}

bool options_read(int argc, char **argv, struct options *out, bool *asked) {
    *out = (struct options){.devices = 1,
                            .version = VERSION_NONE,
                            .system_version = 6200,
                            .reboot_ms = 1000,
                            .ping_ms = 25000,
                            .functions = 1,
                            .start_rate = 400,
                            .seed = 1,
                            .platform = platform_find(13)};
    *asked = false;
    int key;
    while ((key = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (!take(out, key, optarg, asked)) {
            return false;
        }
    }
    if (optind != argc) {
        return complain("not understood; see --help", argv[optind]);
    }
    bool is_listing = out->prints_ids || out->prints_keys;
    if (!is_listing && (out->server == NULL || out->server_key == NULL)) {
        return complain("--server and --server-key are needed; see --help", "the command line");
    }
    return true;
}
