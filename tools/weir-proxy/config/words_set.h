/*
 * Functions that read the values of directives, for the table of words.c.
 *
 * Each function parses @value into the configuration, and sets @why on failure;
 * see struct option.
 */
#ifndef WEIR_PROXY_WORDS_SET_H
#define WEIR_PROXY_WORDS_SET_H

#include "words.h"

/* Returns the struct with the option's field, or NULL with a reason. The other
 * functions may be called only if there is one. */
void *words_owner(void *options, const struct option *option, char *why);

option_read_fn words_set_text;
option_read_fn words_add_step;
option_read_fn words_add_text;
option_read_fn words_add_texts;
/* Sets or adds a text that must meet a condition. */
option_read_fn words_say_text;

option_read_fn words_say_listen;
option_read_fn words_say_route;
option_read_fn words_say_route_as;
option_read_fn words_say_route_begin;
option_read_fn words_say_route_alpn;
option_read_fn words_say_send_tlv;
option_read_fn words_say_to;
/* Parses several numbers with a mark between them. */
option_read_fn words_say_form;
option_read_fn words_say_check;
option_read_fn words_say_fate;
option_read_fn words_say_from;
option_read_fn words_say_sni_allow;
option_read_fn words_say_resolver;
option_read_fn words_say_check_tls;
option_read_fn words_say_check_at;
option_read_fn words_say_target_check;
option_read_fn words_say_keepalive;
option_read_fn words_say_threads;
option_read_fn words_say_log;
option_read_fn words_say_log_format;
option_read_fn words_say_cert;
option_read_fn words_say_key;
option_read_fn words_read_config;
option_read_fn words_read_include;
option_read_fn words_read_top;

#endif
