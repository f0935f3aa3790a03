/*
 * Command lines of other load tools: `weir-load as wrk -t4 -c100 -d30s URL`, or
 * a link to weir-load with a tool's name.
 *
 * A tool's grammar (grammar_tools.c) has a row for each option: the syntax of
 * its value, and what it means in weir-load or why it is refused. grammar.c
 * reads a line with these rows and writes a native command line with the tool's
 * defaults and units.
 */
#ifndef WEIR_LOAD_FOREIGN_H
#define WEIR_LOAD_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum grammar_takes {
    GRAMMAR_NONE, /* no value */
    GRAMMAR_OFF,  /* no value; the option is on by default and matters only as
                   * =false */
    GRAMMAR_TEXT,
    GRAMMAR_COUNT,   /* a number, optionally with k, M or G */
    GRAMMAR_NUMBER,  /* a number with a fraction */
    GRAMMAR_SECONDS, /* a number of seconds */
    GRAMMAR_TIME,    /* a time with a unit, or in seconds */
    GRAMMAR_UNIT,    /* a time with a unit */
    GRAMMAR_MAYBE,   /* an optional text after '=' */
};

enum grammar_means {
    GRAMMAR_SAY,     /* native arguments, separated by '|'; '%' is the value */
    GRAMMAR_NOTHING, /* no effect on the load */
    GRAMMAR_REFUSED, /* not supported; the text is the reason */
    GRAMMAR_HEADER,
    /* The values of these meanings are kept until the whole line is parsed. The
     * last value of an option counts. */
    GRAMMAR_KEPT,
    GRAMMAR_CONNS = GRAMMAR_KEPT,
    GRAMMAR_THREADS,
    GRAMMAR_DEPTH,
    GRAMMAR_REQUESTS,
    GRAMMAR_DURATION,
    GRAMMAR_WARMUP,
    GRAMMAR_RATE,
    GRAMMAR_TIMEOUT,
    GRAMMAR_METHOD,
    GRAMMAR_BODY,
    GRAMMAR_BODY_FILE,
    GRAMMAR_TYPE,
    GRAMMAR_ENCODING,
    GRAMMAR_USER, /* USER:PASSWORD */
    GRAMMAR_HTTP, /* 2, auto, or the versions to offer with ALPN */
    GRAMMAR_HTTP_CLEAR,
    GRAMMAR_SCRIPT, /* script of wrk */
    GRAMMAR_LIST,   /* a file of targets */

    GRAMMAR_INSECURE,
    GRAMMAR_JSON,   /* JSON result: "" or a file */
    GRAMMAR_FORMAT, /* format of the result */
    /* For options of a single tool, handled by its adapt(). */
    GRAMMAR_OWN,
    GRAMMAR_KEPT_END = GRAMMAR_OWN + 11,
};

struct grammar_row {
    const char *names; /* letters and long names, separated by blanks */
    enum grammar_takes takes;
    enum grammar_means means;
    const char *text; /* for kept rows: stored instead of the value, or NULL */
};

struct grammar_line;

struct grammar {
    const char *name;
    const char *command;            /* subcommand before its options, or NULL */
    const struct grammar_row *rows; /* end with a row without names */
    /* Defaults, as rows of kept values. */
    const struct grammar_row *initial;
    /* Combines kept values before the native line is written. Returns false if
     * the line was refused. */
    bool (*adapt)(struct grammar_line *line);
    bool has_names;    /* "-name" is a long name; letters cannot be combined */
    bool ends_at_word; /* no options after the first other argument */
    bool has_equals;   /* "-x=value" means "-x value" */
    bool is_trusting;  /* does not verify certificates */
    bool has_words;    /* arguments may follow the first one */
    bool needs_scheme; /* a URL needs http:// */
    bool is_redis;
};

#define GRAMMAR_WORDS_MAX 512U
#define GRAMMAR_ROOM      65536U

struct grammar_line {
    const struct grammar *tool;
    bool is_silent; /* refusals are counted, not printed */
    unsigned refused;
    /* indexed by enum grammar_means; NULL if the option was not given */
    const char *kept[GRAMMAR_KEPT_END];
    const char *words[GRAMMAR_WORDS_MAX]; /* arguments that are not options */
    size_t word_count;

    /* The native command line, ends with NULL. */
    const char *argv[GRAMMAR_WORDS_MAX];
    size_t argc;
    char room[GRAMMAR_ROOM]; /* buffer for the texts of argv */
    size_t used;
};

const struct grammar *grammar_find(const char *name);

/* Returns the tools one by one, then NULL. */
const struct grammar *grammar_at(size_t index);

/* Runs `weir-load as [OPTIONS] TOOL LINE`. Native options, from argv[first] on,
 * may precede the tool. Returns the exit code of the run. */
int grammar_run(int argc, char **argv, int first,
                int (*run)(int argc, char **argv, int first));

/* Suggests `weir-load as TOOL` for each tool that would accept a refused native
 * command line. */
void grammar_suggest(int argc, char **argv, int first);

/* Refuses the line. Returns false. */
__attribute__((format(printf, 2, 3))) bool
grammar_refuse(struct grammar_line *line, const char *format, ...);

/* Formats a text into the line's buffer. Refuses the line and returns "" if the
 * buffer is full. */
__attribute__((format(printf, 2, 3))) const char *
grammar_text(struct grammar_line *line, const char *format, ...);

/* Adds native arguments, in the syntax of GRAMMAR_SAY. */
void grammar_say(struct grammar_line *line, const char *words,
                 const char *value);

/* Adds -H 'NAME: VALUE', unless the line already has that header. */
void grammar_say_header(struct grammar_line *line, const char *name,
                        const char *value);

/* Replaces each @mark in a text, which may be NULL. */
const char *grammar_replace(struct grammar_line *line, const char *text,
                            const char *mark, const char *by);

/* Returns a kept value as a number, or 0 if it was not given. */
uint64_t grammar_count(const struct grammar_line *line,
                       enum grammar_means means);

/* Loads vegeta's targets. "-" is standard input. */
bool grammar_take_targets(struct grammar_line *line, const char *path);

/* Translates a wrk script, which may use the arguments after the URL. */
bool grammar_take_script(struct grammar_line *line, const char *path);

/* Returns the path of a temporary file with these bytes, or NULL after refusing
 * the line. The file exists until the process ends. */
const char *grammar_keep_file(struct grammar_line *line, const char *bytes,
                              size_t len);

#endif
