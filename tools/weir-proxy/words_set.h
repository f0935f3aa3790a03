/*
 * The functions that read the values of words, for the table of words alone.
 *
 * Each reads @value for a word into the configuration, and says why it cannot;
 * see struct word.
 */
#ifndef WEIR_PROXY_WORDS_SET_H
#define WEIR_PROXY_WORDS_SET_H

#include "words.h"

typedef bool word_set_fn(struct config *config, const struct word *word,
                         const char *value, char *why);

/* Values of fields. */
word_set_fn words_set_flag;
word_set_fn words_set_text;
word_set_fn words_set_escaped;
word_set_fn words_add_text;
word_set_fn words_add_texts;
word_set_fn words_set_count;
word_set_fn words_set_size;
word_set_fn words_set_time;
word_set_fn words_set_choice;
word_set_fn words_set_chosen_text;
word_set_fn words_set_host;
word_set_fn words_set_path;

/* Words that do more. */
word_set_fn words_say_listen;
word_set_fn words_say_route;
word_set_fn words_say_to;
word_set_fn words_say_queue;
word_set_fn words_say_check;
word_set_fn words_say_keepalive;
word_set_fn words_say_threads;
word_set_fn words_say_memory_limit;
word_set_fn words_say_admin;
word_set_fn words_say_handover;
word_set_fn words_say_cert;
word_set_fn words_say_key;
word_set_fn words_say_trust;
word_set_fn words_say_log_format;

#endif
