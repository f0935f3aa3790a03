/*
 * The list may be shuffled, so that a machine that grows slower while the runs
 * go on is not taken for a server that does so with the load.
 *
 * A run that fails is a line of the table as any other; but where nothing
 * succeeds at any load, it is not the load that was measured.
 */
#include "sweep.h"

#include "command.h"
#include "exits.h"
#include "json_file.h"
#include "options_rows.h"
#include "steps.h"
#include "tools/common/console.h"
#include "tools/common/units.h"
#include "tools/load/payload.h"

#include "weir/task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOADS_MAX 100U
#define LOAD_MAX  UINT64_C(1000000000)

struct sweep {
    struct command command;
    bool shuffles;
    size_t load_count;
    uint64_t loads[LOADS_MAX];
    struct steps steps;
};

static bool add_load(struct sweep *self, uint64_t load)
{
    if (self->load_count == LOADS_MAX || load == 0 || load > LOAD_MAX) {
        return false;
    }
    self->loads[self->load_count++] = load;
    return true;
}

/* "LOW..HIGH/COUNT", whose dots are at an index. */
static bool read_range(struct sweep *self, char *text, size_t dots)
{
    uint64_t low = 0;
    uint64_t high = 0;
    uint64_t count = 0;

    char *slash = strchr(text + dots, '/');
    if (!slash) {
        return false;
    }
    text[dots] = '\0';
    *slash = '\0';
    if (units_parse_count(text, &low) < 0 ||
        units_parse_count(text + dots + 2, &high) < 0 ||
        units_parse_count(slash + 1, &count) < 0 || count < 2 ||
        count > LOADS_MAX || low >= high || high > LOAD_MAX) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!add_load(self, low + (high - low) * i / (count - 1))) {
            return false;
        }
    }
    return true;
}

static bool read_item(struct sweep *self, char *text)
{
    const char *dots = strstr(text, "..");
    uint64_t load = 0;

    if (dots) {
        return read_range(self, text, (size_t)(dots - text));
    }
    return units_parse_count(text, &load) == 0 && add_load(self, load);
}

static bool read_loads(void *options, const struct option *option,
                       const char *value, char *why)
{
    struct sweep *self = options;
    char *list = strdup(value);
    char *rest = list;
    bool good = list != NULL;

    self->steps.flag = strcmp(option->name, "rates") == 0 ? "-R" : "-c";
    self->load_count = 0;
    while (good && rest) {
        char *item = strsep(&rest, ",");
        good = read_item(self, item);
        if (!good) {
            option_refuse(why,
                          "at character %zu: a number, or LOW..HIGH/COUNT, is "
                          "wanted; %u at most",
                          (size_t)(item - list) + 1, LOADS_MAX);
        }
    }
    free(list);
    return good;
}

static const struct option rows[] = {
    {"rates", 0, "LIST", "requests a second, in an open loop",
     .read = read_loads},
    {"conns", 0, "LIST", "connections", .read = read_loads},
    {"shuffle", 0, NULL, "in random order", .kind = OPTION_SWITCH,
     .offset = offsetof(struct sweep, shuffles)},
    COMMAND_SLO("say of each run whether these objectives hold"),
    COMMAND_SAVE,
    COMMAND_JSON("all runs as JSON"),
    COMMAND_SEED("of the order (1)"),
    OPTION_ROW_HELP,
};

const struct option_set sweep_set = {
    .command = "weir-load sweep",
    .head =
        "Usage: weir-load sweep --rates LIST [FLAGS] [FLAGS OF RUN] TARGET...\n"
        "       weir-load sweep --conns LIST [FLAGS] [FLAGS OF RUN] TARGET...\n"
        "\n"
        "Makes a run at each rate, or with each number of connections. A list "
        "is\n"
        "1k,2k,5k or 1k..10k/4: four numbers from 1k to 10k. Flags of\n"
        "`weir-load run` hold for each run.\n"
        "\n"
        "Example: weir-load sweep --rates 1k..10k/10 -d 3s "
        "tcp://127.0.0.1:7000\n"
        "\n",
    .tail = "Exit codes: 0 done, 99 the objectives did not hold in every run, "
            "2 usage,\n"
            "3 not one request of any run succeeded, 130 interrupted.\n",
    .rows = rows,
    .count = sizeof(rows) / sizeof(rows[0]),
    .passed = &options_set,
    .pass = command_pass,
    .word = command_take_word,
};

static void shuffle(struct sweep *self)
{
    for (size_t i = self->load_count; i > 1; i--) {
        size_t other = payload_mix(self->command.seed + i) % i;
        uint64_t load = self->loads[i - 1];
        self->loads[i - 1] = self->loads[other];
        self->loads[other] = load;
    }
}

static int sweep_loop(weir_loop *loop, void *arg)
{
    struct sweep *self = arg;
    int err = 0;

    self->steps.loop = loop;
    steps_print_header(&self->steps);
    for (size_t i = 0; i < self->load_count && err == 0; i++) {
        if (!steps_measure(&self->steps, self->loads[i], 0, &err)) {
            return err;
        }
    }
    return err;
}

static bool has_passed(const struct sweep *self)
{
    for (size_t i = 0; i < self->steps.count; i++) {
        if (!self->steps.list[i].passed) {
            return false;
        }
    }
    return true;
}

static int make_runs(struct sweep *self)
{
    int err = weir_run(NULL, sweep_loop, self);

    if (err < 0 && err != -ECANCELED && err != -EINTR) {
        return LOAD_USAGE;
    }
    if (self->command.json &&
        !json_file_write(self->command.json_path,
                         json_pack("{s:s, s:o}", "schema", "weir-load-sweep/1",
                                   "steps", steps_json(&self->steps)))) {
        return LOAD_INTERNAL;
    }
    if (err < 0) {
        say("interrupted after %zu runs", self->steps.count);
        return LOAD_INTERRUPTED;
    }
    if (!steps_have_answers(&self->steps)) {
        steps_say_none(&self->command.words, self->steps.list[0].why);
        return LOAD_NOTHING;
    }
    return self->command.slo.count == 0 || has_passed(self) ? LOAD_OK
                                                            : LOAD_SLO;
}

static bool prepare(struct sweep *self)
{
    if (self->load_count == 0) {
        say("--rates or --conns must say which loads (see weir-load sweep "
            "--help)");
        return false;
    }
    if (strcmp(self->steps.flag, "-c") == 0 &&
        option_is_given(&self->command.passed, "conn-stages")) {
        say("--conn-stages: it has the numbers of connections, and --conns "
            "others; --rates goes with it");
        return false;
    }
    if (self->command.words.count == 0) {
        say("no target (see weir-load sweep --help)");
        return false;
    }
    if (command_refuses_once(&self->command.words, "sweep")) {
        return false;
    }
    if (self->shuffles) {
        shuffle(self);
    }
    self->steps.command = &self->command;
    return true;
}

static void start(void *options)
{
    struct sweep *self = options;

    self->command.seed = 1;
}

static int run(void *options)
{
    struct sweep *self = options;

    return prepare(self) ? make_runs(self) : LOAD_USAGE;
}

int sweep_main(int argc, char **argv, int first)
{
    static const struct command_kind kind = {
        .set = &sweep_set,
        .size = sizeof(struct sweep),
        .start = start,
        .run = run,
    };

    return command_main(&kind, argc, argv, first);
}
