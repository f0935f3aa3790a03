/*
 * Flags are words (words.h) with "--" before them; a text without is the
 * address to listen on, or, when there is one, a target. Flags behind --config
 * are read after the file.
 */
#include "options.h"

#include "file.h"
#include "tools/common/console.h"
#include "tools/common/version.h"
#include "words.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "Usage: weir-proxy [FLAGS] LISTEN TARGET...\n"
    "       weir-proxy [-t] --config FILE\n"
    "       weir-proxy --top [HOST:]PORT\n"
    "\n"
    "Relays connections that arrive at LISTEN to one of the targets.\n"
    "\n"
    "Examples:\n"
    "  weir-proxy tcp://:5432 tcp://10.0.0.1:5432,tcp://10.0.0.2:5432 \\\n"
    "      --balance leastconn --check 2s --limit 2000 --queue 500:2s\n"
    "  weir-proxy tls://:443 --cert site.pem unix:/run/app.sock "
    "--send-proxy v2\n"
    "  weir-proxy --listen tls://:443 \\\n"
    "      --route db.example --passthrough --to tcp://10.0.0.5:5432 \\\n"
    "      --route '*' --passthrough --to tcp://10.0.0.9:443\n"
    "\n"
    "The same words are the keys of the file: 'balance = leastconn', with\n"
    "[NAME] before each service. SIGHUP reads certificates again; SIGTERM and\n"
    "SIGINT let connections end, within --drain; a second one ends at once;\n"
    "SIGUSR1 opens the log anew; SIGUSR2 prints the state of all "
    "connections.\n";

static void print_help(void)
{
    static const char *const titles[SCOPES] = {
        [SCOPE_PROGRAM] = "The program",
        [SCOPE_SERVICE] = "A service",
        [SCOPE_ROUTE] = "Its route, and what all targets of a route have",
        [SCOPE_TARGET] = "A target",
    };

    fputs(usage, stdout);
    for (int scope = 0; scope < SCOPES; scope++) {
        printf("\n%s:\n", titles[scope]);
        words_print_help(stdout, (enum word_scope)scope);
    }
    fputs("\n"
          "Besides:\n"
          "  --config FILE             read FILE\n"
          "  -t, --test                look at the configuration, and end\n"
          "      --top [[HOST:]PORT]   show what the proxy with this --admin "
          "does\n"
          "  -h, --help                this text\n"
          "      --version             the version, and that of the TLS "
          "library\n",
          stdout);
}

/* An argument that is no word. */
struct cursor {
    int argc;
    char **argv;
    int next;
};

/* The value of a flag: behind "=", or the next argument. NULL: there is none.
 */
static const char *take_value(struct cursor *cursor, char *flag)
{
    char *equals = strchr(flag, '=');

    if (equals) {
        *equals = '\0';
        return equals + 1;
    }
    return cursor->next < cursor->argc ? cursor->argv[cursor->next++] : NULL;
}

/* Flags before the first address are about the first service. */
static bool begin_service_for(const struct word *word, struct config *config)
{
    const bool has_owner = !word || word->scope == SCOPE_PROGRAM ||
                           word->scope == SCOPE_TARGET ||
                           config_service(config);

    return has_owner || config_begin_service(config, NULL);
}

static bool read_flag(struct cursor *cursor, char *flag, struct config *config)
{
    char why[CONFIG_WHY_SIZE];
    char name[64];

    snprintf(name, sizeof(name), "%.*s", (int)strcspn(flag, "="), flag);
    const struct word *word = words_find(name);
    const bool is_config = strcmp(name, "config") == 0;
    const bool has_value = is_config || !word || word->value;
    const char *value =
        has_value || strchr(flag, '=') ? take_value(cursor, flag) : "";
    if (!value && (word || is_config)) {
        say("--%s needs a value (see weir-proxy --help)", name);
        return false;
    }
    if (!begin_service_for(word, config)) {
        say("no memory");
        return false;
    }
    bool is_read;
    if (is_config) {
        is_read = file_read(config, value, why);
    } else {
        is_read = words_say(config, name, value ? value : "", why);
    }
    if (!is_read) {
        say("%s%s", is_config ? "" : "--", why);
    }
    return is_read;
}

/* --top, and where the proxy is, unless --admin says it. */
static bool read_top(struct cursor *cursor, char *flag, struct options *options,
                     struct config *config)
{
    const char *next =
        cursor->next < cursor->argc ? cursor->argv[cursor->next] : "-";
    const bool has_value = strchr(flag, '=') || next[0] != '-';
    char why[CONFIG_WHY_SIZE];

    options->is_top = true;
    if (has_value &&
        !words_say(config, "admin", take_value(cursor, flag), why)) {
        say("--top: %s", why);
        return false;
    }
    return true;
}

static bool check(const struct options *options, struct config *config)
{
    char why[CONFIG_WHY_SIZE];
    char place[CONFIG_PLACE_SIZE];

    if (options->is_top) {
        if (!config->admin) {
            say("--top needs the address that the proxy has as --admin");
        }
        return config->admin != NULL;
    }
    if (!config_check(config, why)) {
        say("%s%s", config_place(config, config->line, place), why);
        return false;
    }
    return true;
}

/* LISTEN, or a target. */
static bool read_positional(struct config *config, const char *text)
{
    const struct config_service *service = config_service(config);
    const bool listens = !service || service->listen_count == 0;
    char why[CONFIG_WHY_SIZE];

    if (words_say(config, listens ? "listen" : "to", text, why)) {
        return true;
    }
    say("%s", why);
    return false;
}

enum options_result options_parse(int argc, char **argv, struct options *ret,
                                  struct config *ret_config)
{
    struct cursor cursor = {.argc = argc, .argv = argv, .next = 1};

    *ret = (struct options){.is_top = false};
    config_init(ret_config);
    while (cursor.next < argc) {
        char *text = argv[cursor.next++];
        if (strcmp(text, "-h") == 0 || strcmp(text, "--help") == 0) {
            print_help();
            return OPTIONS_DONE;
        }
        if (strcmp(text, "--version") == 0) {
            print_version("weir-proxy");
            return OPTIONS_DONE;
        }
        bool is_read = true;
        if (strcmp(text, "-t") == 0 || strcmp(text, "--test") == 0) {
            ret->tests_only = true;
        } else if (strcmp(text, "--top") == 0 ||
                   strncmp(text, "--top=", 6) == 0) {
            is_read = read_top(&cursor, text + 2, ret, ret_config);
        } else if (strncmp(text, "--", 2) == 0) {
            is_read = read_flag(&cursor, text + 2, ret_config);
        } else if (text[0] == '-') {
            say("unknown flag %s (see weir-proxy --help)", text);
            is_read = false;
        } else {
            is_read = read_positional(ret_config, text);
        }
        if (!is_read) {
            return OPTIONS_BAD;
        }
    }
    return check(ret, ret_config) ? OPTIONS_READY : OPTIONS_BAD;
}
