/*
 * The kernel's files in /proc are read; what cannot be read is not foreseen.
 *
 * How many ports are quickly found, and what comes after those, is as
 * __inet_hash_connect() of Linux has it: ports of one parity first, all of
 * them, and then the others.
 */
#include "ports.h"

#include "codec.h"
#include "tools/common/console.h"
#include "tools/common/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)

/* TCP_TIMEWAIT_LEN, and after how long a port can be had again. */
#define HOLD_NS  (60 * SECOND)
#define REUSE_NS SECOND

/* State 6 in /proc/net/tcp. */
#define STATE_TIME_WAIT "06"

#define LLU(value) ((unsigned long long)(value))

/* ---- this machine ---- */

static long read_number(const char *path, long otherwise)
{
    FILE *file = fopen(path, "re");
    long number = otherwise;

    if (file) {
        if (fscanf(file, "%ld", &number) != 1) {
            number = otherwise;
        }
        fclose(file);
    }
    return number;
}

static bool is_loopback(const struct weir_address *address)
{
    const struct in6_addr *inet6 = &address->storage.inet6.sin6_addr;

    if (address->storage.any.sa_family == AF_INET) {
        return ntohl(address->storage.inet.sin_addr.s_addr) >> 24 == 127;
    }
    return address->storage.any.sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(inet6);
}

static size_t count_addresses(const struct target *place)
{
    return place->address_count > 0 ? place->address_count : 1;
}

static const struct weir_address *address_of(const struct target *place,
                                             size_t index)
{
    return place->address_count > 0 ? &place->addresses[index]
                                    : &place->address;
}

static bool are_all_loopback(const struct run_options *options)
{
    for (size_t i = 0; i < options->target_count; i++) {
        const struct target *place =
            options_place(options, &options->targets[i]);
        for (size_t k = 0; k < count_addresses(place); k++) {
            if (!is_loopback(address_of(place, k))) {
                return false;
            }
        }
    }
    return true;
}

static bool has_ports(const struct run_options *options)
{
    for (size_t i = 0; i < options->target_count; i++) {
        const struct target *place =
            options_place(options, &options->targets[i]);
        if (address_of(place, 0)->storage.any.sa_family != AF_UNIX) {
            return true;
        }
    }
    return false;
}

struct ports ports_look(const struct run_options *options)
{
    const long reuse = read_number("/proc/sys/net/ipv4/tcp_tw_reuse", 0);
    const uint64_t locals = options->local_count > 0 ? options->local_count : 1;
    struct ports ports = {.hold_ns = HOLD_NS};

    if (!has_ports(options)) {
        return ports;
    }
    ports.count = limits_get_ports() * locals;
    ports.quick_count = (ports.count + 1) / 2;
    ports.is_reused =
        (reuse == 1 || (reuse == 2 && are_all_loopback(options))) &&
        read_number("/proc/sys/net/ipv4/tcp_timestamps", 1) != 0;
    if (ports.is_reused) {
        ports.hold_ns = REUSE_NS;
    }
    return ports;
}

/* An address and a port as /proc/net/tcp and tcp6 write them. */
static void format_peer(const struct weir_address *address, char *text,
                        size_t size)
{
    const struct sockaddr_in6 *inet6 = &address->storage.inet6;
    uint32_t words[4];

    if (address->storage.any.sa_family == AF_INET) {
        snprintf(text, size, "%08X:%04X", address->storage.inet.sin_addr.s_addr,
                 ntohs(address->storage.inet.sin_port));
        return;
    }
    memcpy(words, &inet6->sin6_addr, sizeof(words));
    snprintf(text, size, "%08X%08X%08X%08X:%04X", words[0], words[1], words[2],
             words[3], ntohs(inet6->sin6_port));
}

static uint64_t count_kept_to(const struct weir_address *address)
{
    const bool is_inet6 = address->storage.any.sa_family == AF_INET6;
    FILE *file = fopen(is_inet6 ? "/proc/net/tcp6" : "/proc/net/tcp", "re");
    char wanted[64];
    char peer[64];
    char state[4];
    char line[512];
    uint64_t count = 0;

    if (!file) {
        return 0;
    }
    format_peer(address, wanted, sizeof(wanted));
    while (fgets(line, sizeof(line), file)) {
        count += sscanf(line, "%*s %*s %63s %3s", peer, state) == 2 &&
                 strcmp(state, STATE_TIME_WAIT) == 0 &&
                 strcmp(peer, wanted) == 0;
    }
    fclose(file);
    return count;
}

uint64_t ports_count_kept(const struct run_options *options)
{
    uint64_t most = 0;

    for (size_t i = 0; i < options->target_count; i++) {
        const struct target *place =
            options_place(options, &options->targets[i]);
        for (size_t k = 0; k < count_addresses(place); k++) {
            const struct weir_address *address = address_of(place, k);
            const bool has_port = address->storage.any.sa_family != AF_UNIX;
            const uint64_t count = has_port ? count_kept_to(address) : 0;
            most = count > most ? count : most;
        }
    }
    return most;
}

/* ---- the run ---- */

bool ports_are_kept(const struct run_options *options)
{
    if (options->targets[0].is_datagram ||
        !(options_is_churn(options) || options->requests_per_conn > 0)) {
        return false;
    }
    for (size_t i = 0; i == 0 || codec_find(options, i); i++) {
        const struct codec *codec = codec_find(options, i);
        if (!codec || !codec->announces_end || !codec->announces_end(options)) {
            return true;
        }
    }
    return false;
}

void ports_warn(const struct run_options *options)
{
    char advice[PORTS_TEXT_SIZE];

    if (!ports_are_kept(options)) {
        return;
    }
    const struct ports ports = ports_look(options);
    const uint64_t foreseen = ports_foresee(options, &ports);
    const uint64_t kept =
        foreseen +
        (ports.is_reused || foreseen == 0 ? 0 : ports_count_kept(options));
    if (ports.count == 0 || kept <= ports.quick_count) {
        return;
    }
    say("warning: this run would keep about %llu ports at once; %s", LLU(kept),
        ports_advise(&ports, advice));
}
