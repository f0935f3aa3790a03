/*
 * First words of the errors of Redis 7 and its cluster. An unknown word
 * is counted as the last entry of the table; its detail has the whole
 * text.
 */
#include "measure.h"

#include <string.h>

#define COUNT (sizeof(names) / sizeof(names[0]))
#define STEM  6 /* of "REDIS_" */

#define NAME(word) "REDIS_" word

static const char *const names[] = {
    NAME("ERR"),         NAME("WRONGTYPE"), NAME("NOAUTH"),
    NAME("WRONGPASS"),   NAME("NOPERM"),    NAME("NOPROTO"),
    NAME("MOVED"),       NAME("ASK"),       NAME("TRYAGAIN"),
    NAME("CLUSTERDOWN"), NAME("CROSSSLOT"), NAME("LOADING"),
    NAME("BUSY"),        NAME("READONLY"),  NAME("MASTERDOWN"),
    NAME("NOREPLICAS"),  NAME("MISCONF"),   NAME("OOM"),
    NAME("NOSCRIPT"),    NAME("NOTBUSY"),   NAME("UNKILLABLE"),
    NAME("EXECABORT"),   NAME("BUSYKEY"),   NAME("BUSYGROUP"),
    NAME("NOGROUP"),     NAME("UNBLOCKED"), NAME("DENIED"),
    NAME("INPROG"),      NAME("NOTREADY"),  NAME("OTHER"),
};

int redis_error_of(const char *text, size_t len)
{
    size_t word = 0;
    size_t index = 0;

    while (word < len && text[word] >= 'A' && text[word] <= 'Z') {
        word++;
    }
    while (index < COUNT - 1 &&
           (strlen(names[index]) != word + STEM ||
            memcmp(names[index] + STEM, text, word) != 0)) {
        index++;
    }
    return REDIS_ERROR - (int)index;
}

const char *redis_error_name(int code)
{
    return code <= REDIS_ERROR && code > REDIS_ERROR - (int)COUNT
               ? names[REDIS_ERROR - code]
               : NULL;
}

const char *redis_error_text(int code)
{
    return "the server answered with an error";
}
