/*
 * The table of removed words. It is searched only for a word that nothing else
 * in the program knows, so its order and its size do not matter. A row stays
 * for as long as people may still write its word.
 */
#include "gone.h"

#include <string.h>

static const struct {
    const char *word;
    const char *instead;
} words[] = {
    {"svg", "report -o PAGE.html; a browser prints the page, or a plot of it"},
    {"seed",
     "--a-flags and --b-flags for a seed of runs; lots order the pairs"},
    {"{re", "{letters:COUNT}, {rand:LOW:HIGH}, or {csv:COLUMN} with --data"},
};

const char *gone_find(const char *word, size_t len)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i].word) == len &&
            memcmp(words[i].word, word, len) == 0) {
            return words[i].instead;
        }
    }
    return NULL;
}
