/*
 * Table of removed options and placeholders. The search is linear because the
 * table has few rows and is used at most once per command line. A row stays as
 * long as people may still use the old name.
 */
#include "base.h"

#include <string.h>

static const struct {
    const char *word;
    const char *instead;
} words[] = {
    {"svg", "report -o PAGE.html; a browser prints the page, or a plot of it"},
    {"seed",
     "--a-flags and --b-flags for a seed of runs; lots order the pairs"},
    {"{re", "{letters:COUNT}, {rand:LOW:HIGH}, or {csv:COLUMN} with --data"},
    {"busy-poll", "sysctl net.core.busy_read"},
    {"hdr-log", "--hgrm for the whole run, --csv for intervals, or the hdr of "
                "each interval in --json"},
    {"replay", "--urls for the requests, and --stages for their rates"},
    {"replay-speed", "--stages with other rates"},
    {"serve ws", "another server of WebSocket"},
    {"weights", "a run for each target, with its own -c, and weir-load report "
                "to merge the results"},
};

const char *gone_find(const char *word, size_t len)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (is_text(word, len, words[i].word)) {
            return words[i].instead;
        }
    }
    return NULL;
}
