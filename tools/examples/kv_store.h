/*
 * The data of the key-value server, and its answers.
 *
 * It has space for a thousand keys. A linear search is fast enough for an
 * example. Does no I/O.
 */
#ifndef WEIR_EXAMPLES_KV_STORE_H
#define WEIR_EXAMPLES_KV_STORE_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define KV_LINE 256 /* longest line, including newline and NUL */
#define KV_KEYS 1000

struct kv_entry {
    char key[KV_LINE];        /* "" if the slot is free */
    char answer[KV_LINE + 8]; /* answer to GET */
};

static inline struct kv_entry *kv_find(struct kv_entry *store, const char *key)
{
    for (size_t i = 0; i < KV_KEYS; i++) {
        if (strcmp(store[i].key, key) == 0) {
            return &store[i];
        }
    }
    return NULL;
}

/* Returns the answer to a line, or NULL for QUIT. Modifies the line. */
static inline const char *kv_answer(struct kv_entry *store, char *line)
{
    char *rest = NULL;
    const char *verb = strtok_r(line, " \r\n", &rest);
    const char *key = verb ? strtok_r(NULL, " \r\n", &rest) : NULL;
    const char *value = key ? strtok_r(NULL, "\r\n", &rest) : NULL;
    struct kv_entry *entry = key ? kv_find(store, key) : NULL;
    if (value && strcmp(verb, "SET") == 0) {
        entry = entry ? entry : kv_find(store, "");
        if (!entry) {
            return "ERROR no room\n";
        }
        snprintf(entry->key, sizeof(entry->key), "%s", key);
        snprintf(entry->answer, sizeof(entry->answer), "VALUE %s\n", value);
        return "OK\n";
    }
    bool is_get = verb && strcmp(verb, "GET") == 0;
    bool is_del = verb && strcmp(verb, "DEL") == 0;
    if (key && !value && (is_get || is_del)) {
        if (entry && is_del) {
            entry->key[0] = '\0';
        }
        return !entry ? "NONE\n" : is_del ? "OK\n" : entry->answer;
    }
    bool is_quit = verb && !key && strcmp(verb, "QUIT") == 0;
    return is_quit ? NULL : "ERROR not SET KEY VALUE, GET KEY, DEL KEY, QUIT\n";
}

#endif
