/*
 * Command lines of other load tools: `weir-load as wrk -t4 -c100 -d30s URL`, or
 * a link to weir-load that has a tool's name.
 *
 * A tool's grammar (grammar_tools.c) is a table with a row for each of its
 * flags: how its value is written, and what it means here or why it cannot be
 * said. grammar.c walks the rows and writes a native line, which means what the
 * tool means with its defaults and its units; that line is read as any other.
 * What cannot be said the same is refused with the reason.
 */
#ifndef WEIR_LOAD_GRAMMAR_H
#define WEIR_LOAD_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How the value of a flag is written. */
enum grammar_takes {
    GRAMMAR_NONE, /* there is none */
    GRAMMAR_OFF,  /* there is none; the flag is on, and counts as =false */
    GRAMMAR_TEXT,
    GRAMMAR_COUNT,   /* a number with k, M or G, or without */
    GRAMMAR_NUMBER,  /* with a fraction */
    GRAMMAR_SECONDS, /* a number of seconds */
    GRAMMAR_TIME,    /* with a unit, or in seconds */
    GRAMMAR_UNIT,    /* a time with a unit */
    GRAMMAR_MAYBE,   /* a text behind a '=', or none */
};

/* What a flag means. */
enum grammar_means {
    GRAMMAR_SAY,     /* words of ours, '|' between them, '%' is the value */
    GRAMMAR_NOTHING, /* it changes no load */
    GRAMMAR_REFUSED, /* it cannot be said: the text is why */
    GRAMMAR_HEADER,
    /* The value is kept until the line is read, and the last one counts. */
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
    GRAMMAR_TYPE,     /* of the content */
    GRAMMAR_ENCODING, /* Accept-Encoding */
    GRAMMAR_USER,     /* USER:PASSWORD */
    GRAMMAR_HTTP,     /* 2, auto, or the versions that ALPN offers */
    GRAMMAR_HTTP_CLEAR,
    GRAMMAR_SCRIPT, /* of wrk */
    GRAMMAR_LIST,   /* a file of targets */

    GRAMMAR_INSECURE,
    GRAMMAR_JSON,   /* "" or a file */
    GRAMMAR_FORMAT, /* of the result */
    /* Of one tool, whose ->adapt knows it. */
    GRAMMAR_OWN,
    GRAMMAR_KEPT_END = GRAMMAR_OWN + 11,
};

struct grammar_row {
    const char *names; /* letters and words, with blanks between them */
    enum grammar_takes takes;
    enum grammar_means means;
    const char *text; /* of what is kept: in place of the value; NULL: that */
};

struct grammar_line;

struct grammar {
    const char *name;
    const char *command; /* the word before its flags; NULL: it has none */
    const struct grammar_row *rows; /* end with a row without names */
    /* What it has without a flag: such rows of what is kept. */
    const struct grammar_row *initial;
    /* What its values make of each other, before the line is written; false: it
     * was refused. NULL: nothing. */
    bool (*adapt)(struct grammar_line *line);
    bool has_names;    /* "-name" is a long name, and no letters */
    bool ends_at_word; /* the first word that is no flag ends the flags */
    bool has_equals;   /* "-x=value" is "-x value" */
    bool is_trusting;  /* it looks at no certificate */
    bool has_words;    /* behind the first word others may stand */
    bool needs_scheme; /* a URL without http:// is none */
    bool is_redis;
};

#define GRAMMAR_WORDS_MAX 512U
#define GRAMMAR_ROOM      65536U

/* A line that is translated. */
struct grammar_line {
    const struct grammar *tool;
    bool is_silent; /* what is refused is counted, and not said */
    unsigned refused;
    const char *kept[GRAMMAR_KEPT_END];   /* NULL: it was not given */
    const char *words[GRAMMAR_WORDS_MAX]; /* that are no flags */
    size_t word_count;

    /* The native line, which ends with NULL. */
    const char *argv[GRAMMAR_WORDS_MAX];
    size_t argc;
    char room[GRAMMAR_ROOM]; /* for words of it */
    size_t used;
};

/* The tool of a name, or NULL: `weir-load as NAME`, or a link's name. */
const struct grammar *grammar_find(const char *name);

/* The tools one after the other, or NULL. */
const struct grammar *grammar_at(size_t index);

/* Translates the words of a tool's line behind its name, which are borrowed,
 * and adds them to @line->argv. False: what is refused was said. The line lives
 * until the process ends, as what is written does. */
bool grammar_translate(struct grammar_line *line, const struct grammar *tool,
                       int argc, char **argv);

/* `weir-load as [FLAGS] TOOL LINE`, of which the words begin at argv[first];
 * native flags may stand before the tool. Returns the exit code of the run. */
int grammar_run(int argc, char **argv, int first,
                int (*run)(int argc, char **argv, int first));

/* The lines to write for a native one that was refused: that of each tool which
 * would take its words. */
void grammar_suggest(int argc, char **argv, int first);

/* ---- for the tools ---- */

/* Refuses the line; returns false. */
__attribute__((format(printf, 2, 3))) bool
grammar_refuse(struct grammar_line *line, const char *format, ...);

/* A text that is kept for the line, or "" after it was refused. */
__attribute__((format(printf, 2, 3))) const char *
grammar_text(struct grammar_line *line, const char *format, ...);

/* Adds words to the native line, as a row has them. */
void grammar_say(struct grammar_line *line, const char *words,
                 const char *value);

/* Adds -H 'NAME: VALUE', unless the line has that header. */
void grammar_say_header(struct grammar_line *line, const char *name,
                        const char *value);

/* Replaces each @mark in a text, which may be NULL. */
const char *grammar_replace(struct grammar_line *line, const char *text,
                            const char *mark, const char *by);

/* What is kept, as a number; 0: it was not given. */
uint64_t grammar_count(const struct grammar_line *line,
                       enum grammar_means means);

/* Loads vegeta's targets; "-": those on standard input. */
bool grammar_take_targets(struct grammar_line *line, const char *path);

/* Says what a script of wrk does, with the words behind the URL. */
bool grammar_take_script(struct grammar_line *line, const char *path);

/* The path of a file of these bytes that lives as long as the process; NULL
 * after it was refused. */
const char *grammar_keep_file(struct grammar_line *line, const char *bytes,
                              size_t len);

#endif
