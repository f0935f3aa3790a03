/*
 * getopt_long with messages of our own: each refusal is one line that names
 * the flag, the value and what would be right.
 *
 * The flags stand in groups (options_table.h); this file puts them together,
 * reads the targets, and has what numbers of the groups have in common. Limits
 * of the machine (descriptors, ports) are not looked at here but in limits.c.
 */
#include "options_table.h"

#include "foreign.h"
#include "tools/common/console.h"
#include "tools/common/units.h"
#include "url.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define SECOND UINT64_C(1000000000)

/* Values past these are slips of the finger. */
#define TIME_MAX (7 * 24 * 3600 * SECOND)

/* All flags together. */
#define FLAGS_MAX      160
#define SHORT_TEXT_MAX 96

enum {
    FLAG_HELP = OPTIONS_MAIN_FIRST - 1,
    FLAG_FOREIGN = OPTIONS_FOREIGN,
};

/* One line for each group: in this order they are settled and listed. */
static const struct options_group *const groups[] = {
    &options_load,   &options_connect, &options_request, &options_pace,
    &options_output, &options_mode,    &options_tls,     &options_socket,
};

#define GROUP_COUNT (sizeof(groups) / sizeof(groups[0]))

static const char help_head[] =
    "Usage: weir-load [run] [FLAGS] TARGET...\n"
    "\n"
    "TARGET is http://HOST[:PORT]/PATH, https://, tcp://HOST:PORT, tls://, "
    "udp://,\n"
    "unix:PATH or tls+unix:PATH.\n"
    "\n"
    "Sends requests to HTTP servers, or to echo servers whose every byte is "
    "compared,\n"
    "and reports rate and latency. Closed loop: a connection sends its next "
    "request\n"
    "when an answer is there. With -R a schedule says when: an open loop. Over "
    "UDP\n"
    "lost, duplicate and reordered answers are counted.\n"
    "\n"
    "Example: weir-load run -c 50 -d 10s http://127.0.0.1:8080/index.html\n"
    "\n";

static const char help_tail[] =
    "\n"
    "  -h, --help               this text\n"
    "\n"
    "Units: k M G are 1000s in counts; K M G are 1024s in sizes; us ms s m h\n"
    "are times, a plain number is seconds.\n"
    "\n"
    "Exit codes: 0 valid, 1 internal error, 2 usage or a limit of this "
    "machine,\n"
    "3 nothing succeeded, 4 more errors than allowed, 5 run invalid, 99 an\n"
    "objective (--slo) does not hold, 130 interrupted (what there was is "
    "printed).\n";

bool options_refuse(const char *flag, const char *value, const char *want)
{
    say("%s: '%s' is not %s", flag, value, want);
    return false;
}

bool options_read_count(const char *flag, const char *value, uint64_t max,
                        uint64_t *ret)
{
    uint64_t count = 0;

    if (units_parse_count(value, &count) < 0) {
        return options_refuse(flag, value, "a count such as 50 or 10k");
    }
    if (count < 1 || count > max) {
        say("%s: %s is out of range, 1 to %llu", flag, value,
            (unsigned long long)max);
        return false;
    }
    *ret = count;
    return true;
}

bool options_read_time(const char *flag, const char *value, uint64_t min,
                       uint64_t *ret)
{
    uint64_t time_ns = 0;

    if (units_parse_time(value, &time_ns) < 0) {
        return options_refuse(flag, value, "a time such as 500ms or 10s");
    }
    if (time_ns < min || time_ns > TIME_MAX) {
        char text[UNITS_TEXT_SIZE];
        say("%s: %s is out of range, %s to 168h", flag, value,
            units_format_time(min, text));
        return false;
    }
    *ret = time_ns;
    return true;
}

bool options_read_sizes(const char *flag, const char *value, struct sizes *ret)
{
    char why[SIZES_WHY_SIZE];

    if (sizes_parse(value, 1, ret, why) < 0) {
        say("%s: %s", flag, why);
        return false;
    }
    return true;
}

/* The value of a flag that has none here. */
static const char *advise_on_target(const char *text,
                                    const struct run_options *options)
{
    return options->quiet && text[strspn(text, "0123456789.kK/s")] == '\0'
               ? " (-q is quiet; a rate is -R RATE)"
               : "";
}

static bool read_targets(int argc, char **argv, struct run_options *options)
{
    if (optind == argc) {
        say("no target; write http://HOST[:PORT]/PATH, https://, " TARGET_FORMS
            " (see weir-load run --help)");
        return false;
    }
    if (argc - optind > (int)OPTIONS_TARGETS_MAX) {
        say("more than %u targets", OPTIONS_TARGETS_MAX);
        return false;
    }
    for (int i = optind; i < argc; i++) {
        char why[TARGET_WHY_SIZE];
        if (url_parse(argv[i], false, &options->targets[options->target_count],
                      why) < 0) {
            say("%s%s", why, advise_on_target(argv[i], options));
            return false;
        }
        options->target_count++;
    }
    return true;
}

/* The flag of another tool, without its dashes: it is refused with what stands
 * for it here. False: it is none that is known. */
static bool refuse_foreign(const char *dashes, const char *name, size_t len)
{
    const char *advice = foreign_find(name, len);

    if (advice) {
        say("unknown flag %s%.*s: %s", dashes, (int)len, name, advice);
    }
    return advice != NULL;
}

static void refuse_flag(int flag, char **argv)
{
    const char *text = argv[optind - 1];
    const char letter = (char)optopt;

    if (flag == '?' && optopt > 0 && optopt < FLAG_HELP && text[1] != '-' &&
        refuse_foreign("-", &letter, 1)) {
        return;
    }
    if (flag == ':') {
        say("%s needs a value (see weir-load run --help)", text);
    } else if (optopt > 0 && optopt < FLAG_HELP && text[1] != '-') {
        say("unknown flag -%c (see weir-load run --help)", optopt);
    } else {
        say("unknown flag %s (see weir-load run --help)", text);
    }
}

static void print_help(void)
{
    fputs(help_head, stdout);
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        fputs(groups[i]->help, stdout);
    }
    fputs(help_tail, stdout);
}

/* The flags of all groups, as getopt_long() wants them. */
static void gather(struct option *flags, char *short_text)
{
    size_t count = 0;

    short_text[0] = ':';
    short_text[1] = 'h';
    short_text[2] = '\0';
    flags[count++] = (struct option){"help", no_argument, NULL, FLAG_HELP};
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        const struct option *flag = groups[i]->long_flags;
        for (; flag->name; flag++) {
            assert(count < FLAGS_MAX);
            flags[count++] = *flag;
        }
        assert(strlen(short_text) + strlen(groups[i]->short_flags) <
               SHORT_TEXT_MAX);
        strcat(short_text, groups[i]->short_flags);
    }
    /* Before getopt takes one for the beginning of another flag. */
    for (size_t i = 0; foreign_long_name(i); i++) {
        assert(count < FLAGS_MAX);
        flags[count++] = (struct option){foreign_long_name(i),
                                         optional_argument, NULL, FLAG_FOREIGN};
    }
    flags[count] = (struct option){0};
}

/* Is the next flag a long one with one dash, as vegeta has them? getopt would
 * take it for letters. */
static bool is_one_dash(char *const *argv, int argc, const struct option *flags)
{
    int at = optind;

    while (at < argc && argv[at][0] != '-') {
        at++;
    }
    if (at == argc || argv[at][1] == '-' || strlen(argv[at]) < 3) {
        return false;
    }
    const char *name = argv[at] + 1;
    const size_t len = strcspn(name, "=");
    for (; flags->name; flags++) {
        if (strlen(flags->name) != len || memcmp(flags->name, name, len) != 0) {
            continue;
        }
        if (!refuse_foreign("-", name, len)) {
            say("unknown flag -%.*s: write --%s", (int)len, name, name);
        }
        return true;
    }
    return false;
}

static bool has_flag(const struct options_group *group, int flag)
{
    for (const struct option *at = group->long_flags; at->name; at++) {
        if (at->val == flag) {
            return true;
        }
    }
    return flag < FLAG_HELP && strchr(group->short_flags, flag) != NULL;
}

static bool read_flag(int flag, struct run_options *options,
                      struct options_given *given)
{
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        if (has_flag(groups[i], flag)) {
            return groups[i]->read(flag, optarg, options, given);
        }
    }
    return false;
}

static enum options_result read_flags(int argc, char **argv,
                                      struct run_options *options,
                                      struct options_given *given)
{
    struct option flags[FLAGS_MAX + 1];
    char short_text[SHORT_TEXT_MAX];

    gather(flags, short_text);
    for (;;) {
        int index = 0;
        if (is_one_dash(argv, argc, flags)) {
            return OPTIONS_BAD;
        }
        int flag = getopt_long(argc, argv, short_text, flags, &index);
        if (flag == -1) {
            return OPTIONS_READY;
        }
        if (flag == FLAG_HELP || flag == 'h') {
            print_help();
            return OPTIONS_DONE;
        }
        if (flag == FLAG_FOREIGN) {
            refuse_foreign("--", flags[index].name, strlen(flags[index].name));
            return OPTIONS_BAD;
        }
        if (flag == '?' || flag == ':') {
            refuse_flag(flag, argv);
            return OPTIONS_BAD;
        }
        if (!read_flag(flag, options, given)) {
            return OPTIONS_BAD;
        }
    }
}

enum options_result options_parse(int argc, char **argv, int first,
                                  struct run_options *ret)
{
    struct options_given given = {0};

    *ret = (struct run_options){
        .conn_count = 10,
        .depth = 1,
        .thread_count = 1,
        .send = sizes_of(128),
        .sockets = {.tos = -1},
        .timeout_ns = 5 * SECOND,
        .connect_timeout_ns = 5 * SECOND,
        .lateness_limit_ns = SECOND / 1000,
        .lateness_limit_share = 100000,
        .columns = {50000, 90000, 99000, 99900, 99990},
        .column_count = 5,
        .argv = argv,
        .argc = argc,
    };
    if (getrandom(&ret->seed, sizeof(ret->seed), GRND_NONBLOCK) < 0) {
        ret->seed = 1;
    }
    /* JSON readers keep 53 bits of a number. */
    ret->seed >>= 11;
    opterr = 0;
    optind = first;
    enum options_result result = read_flags(argc, argv, ret, &given);
    if (result != OPTIONS_READY) {
        return result;
    }
    if (!read_targets(argc, argv, ret)) {
        return OPTIONS_BAD;
    }
    for (size_t i = 0; i < GROUP_COUNT; i++) {
        if (groups[i]->settle && !groups[i]->settle(ret, &given)) {
            return OPTIONS_BAD;
        }
    }
    return OPTIONS_READY;
}
