/*
 * The line at the start goes to standard output, all others to standard error.
 * Addresses are printed in the form of their targets, with the port that the
 * kernel chose.
 */
#include "serve_options.h"
#include "tools/weir-load/base/base.h"

#include "tools/common/console.h"

#include "weir/error.h"

#include <signal.h>
#include <stdio.h>

void serve_print_statistics(const struct serve_sums *sums,
                            const char *loop_text)
{
    fprintf(stderr,
            "served_connections %llu\nserved_open %llu\nserved_broken %llu\n"
            "served_received_bytes %llu\nserved_datagrams %llu\n"
            "served_datagrams_failed %llu\nserved_full_handshakes %llu\n"
            "served_resumed_handshakes %llu\n%s",
            (unsigned long long)sums->counts.opened,
            (unsigned long long)sums->counts.open_now,
            (unsigned long long)sums->counts.broken,
            (unsigned long long)sums->counts.received_bytes,
            (unsigned long long)sums->datagrams,
            (unsigned long long)sums->datagrams_failed,
            (unsigned long long)sums->counts.full_handshakes,
            (unsigned long long)sums->counts.resumed_handshakes, loop_text);
    fflush(stderr);
}

int serve_handle_signals(weir_loop *loop, weir_signal_fn *on_end,
                         weir_signal_fn *on_usr1, void *arg)
{
    const struct {
        int signum;
        weir_signal_fn *cb;
    } handlers[] = {
        {SIGINT, on_end},
        {SIGTERM, on_end},
        {SIGUSR1, on_usr1},
    };

    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        int err = weir_loop_add_signal_handler(loop, handlers[i].signum,
                                               handlers[i].cb, arg);
        if (err < 0) {
            say("signal handler: %s", weir_strerror(err));
            return err;
        }
    }
    return 0;
}

int serve_exit_code(int err, int broke)
{
    if (broke < 0) {
        say("the loop broke: %s (%s)", weir_strerror(broke),
            weir_err_name(broke));
        return LOAD_INTERNAL;
    }
    return err < 0 ? LOAD_USAGE : LOAD_OK;
}

void serve_say_error(const struct target *target, int err, const char *why)
{
    say("%s: %s (%s)", target->text, why[0] ? why : weir_strerror(err),
        weir_err_name(err));
}

static void print_address(const struct target *target,
                          const struct weir_address *address)
{
    const bool is_unix = address->storage.any.sa_family == AF_UNIX;
    const char *scheme = is_unix ? "" : "tcp://";
    char text[WEIR_ADDRESS_TEXT_SIZE];

    if (target->is_datagram) {
        scheme = "udp://";
    } else if (target->is_http) {
        scheme = target->is_tls ? "https://" : "http://";
    } else if (target->is_ws) {
        scheme = target->is_tls ? "wss://" : "ws://";
    } else if (target->is_tls) {
        scheme = is_unix ? "tls+" : "tls://";
    }
    printf(" %s%s", scheme, weir_address_format(address, text, sizeof(text)));
}

void serve_print_places(const struct serve_options *options,
                        const struct target *places)
{
    printf("serving %s on", options->mode->name);
    for (size_t i = 0; i < options->target_count; i++) {
        for (size_t j = 0; j < places[i].address_count; j++) {
            print_address(&places[i], &places[i].addresses[j]);
        }
    }
    printf("\n");
    fflush(stdout);
}
