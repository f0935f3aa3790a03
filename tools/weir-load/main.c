/*
 * weir-load: the load generator of weir, and the server for it. This file only
 * selects the subcommand; `run` may be left out. weir-load(1) is the manual
 * page.
 */
#include "tools/common/completion.h"
#include "tools/common/console.h"
#include "tools/common/engine.h"
#include "tools/common/version.h"
#include "tools/weir-load/analysis/analysis.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/command/command.h"
#include "tools/weir-load/foreign/foreign.h"
#include "tools/weir-load/run/run.h"
#include "tools/weir-load/serve/serve.h"

#include "weir/error.h"
#include "weir/inspect.h"
#include "weir/loop.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

const char console_name[] = "weir-load";

static const char help[] =
    "Usage: weir-load [run] [FLAGS] TARGET...\n"
    "       weir-load as TOOL [ITS FLAGS] URL\n"
    "       weir-load serve [FLAGS] TARGET...\n"
    "       weir-load search --slo EXPR [FLAGS] TARGET...\n"
    "       weir-load sweep --rates LIST [FLAGS] TARGET...\n"
    "       weir-load ab [FLAGS] A B\n"
    "       weir-load compare [FLAGS] A.json... -- B.json...\n"
    "       weir-load report -o PAGE.html RESULT.json...\n"
    "       weir-load --version [-v]\n"
    "       weir-load --completion bash|zsh|fish\n"
    "\n"
    "TARGET is http://HOST[:PORT]/PATH, https://, ws://HOST[:PORT]/PATH, "
    "wss://,\n"
    "redis://HOST[:PORT], rediss://, tcp://HOST:PORT, tls://, udp://, "
    "unix:PATH "
    "or\n"
    "tls+unix:PATH.\n"
    "\n"
    "run      load servers and report rate and latency (the default)\n"
    "as       run the command line of another tool: wrk, hey, oha, ab, h2load "
    "...\n"
    "serve    run a server for such loads\n"
    "search   find the largest rate at which objectives hold\n"
    "sweep    make one run at each of several loads\n"
    "ab       compare two servers by interleaved runs\n"
    "compare  compare saved results\n"
    "report   write saved results as an HTML page\n"
    "\n"
    "The last five need Python 3, and so do --junit, --markdown and "
    "--prometheus.\n"
    "\n"
    "Example: weir-load -c 50 -d 10s http://127.0.0.1:8080/index.html\n"
    "         weir-load serve tcp://127.0.0.1:7000 &\n"
    "         weir-load -c 50 -d 10s tcp://127.0.0.1:7000\n"
    "\n"
    "weir-load COMMAND --help lists the flags of a command.\n";

static int as_main(int argc, char **argv, int first)
{
    return grammar_run(argc, argv, first, run_main);
}

/* completion_print() takes the first row as the default command. */
static const struct completion_command commands[] = {
    {"run", &options_set, run_main},
    {"as", &options_set, as_main}, /* weir-load's own flags come first */
    {"serve", &serve_set, serve_main},
    {"search", &search_set, analysis_main},
    {"sweep", &sweep_set, analysis_main},
    {"ab", &ab_set, analysis_main},
    {"compare", &compare_set, analysis_main},
    {"report", &report_set, analysis_main},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static int print_details(void)
{
    struct utsname names;
    weir_loop *loop = NULL;
    char text[4096];

    printf("libweir %s\n", weir_version());
    if (uname(&names) == 0) {
        printf("%s %s %s\n", names.sysname, names.release, names.machine);
    }
    fflush(stdout);
    int err = weir_loop_new(NULL, &loop);
    if (err < 0) {
        engine_say_refused(err);
        return LOAD_USAGE;
    }
    weir_loop_get_features_text(loop, text, sizeof(text));
    fputs(text, stdout);
    weir_loop_free(loop);
    return LOAD_OK;
}

static bool has_word(int argc, char **argv, const char *word, const char *other)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], word) == 0 || strcmp(argv[i], other) == 0) {
            return true;
        }
    }
    return false;
}

static int do_as_told(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";

    if (argc > 0 && grammar_find(basename(argv[0]))) {
        argv[0] = basename(argv[0]);
        return grammar_run(argc, argv, 0, run_main);
    }
    if (argc < 2) {
        fputs(help, stderr);
        return LOAD_USAGE;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(word, commands[i].name) == 0) {
            if (commands[i].set != &options_set) { /* run_main() warns by
                                                    * itself */
                secret_words_warn(argc, argv);
            }
            return commands[i].run(argc, argv, 2);
        }
    }
    if (argc == 2 &&
        (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
         strcmp(word, "-help") == 0 || strcmp(word, "help") == 0)) {
        fputs(help, stdout);
        return LOAD_OK;
    }
    if (strcmp(word, "--completion") == 0) {
        return completion_print(stdout, argv[2], "weir-load", commands,
                                COMMAND_COUNT)
                   ? LOAD_OK
                   : LOAD_USAGE;
    }
    if (has_word(argc, argv, "--version", "-V") ||
        (argc == 2 &&
         (strcmp(word, "version") == 0 || strcmp(word, "-version") == 0))) {
        print_version("weir-load");
        return has_word(argc, argv, "-v", "--verbose") ? print_details()
                                                       : LOAD_OK;
    }
    return run_main(argc, argv, 1);
}

int main(int argc, char **argv)
{
    console_begin();
    return console_end(do_as_told(argc, argv));
}
