/*
 * Plans a run of the simulation: the machine, its faults, connections and
 * listeners, all at random.
 *
 * The machine's random numbers make the plan, and the machine starts again with
 * it, so that a seed determines its faults, too.
 */
#include "tests/sim/sim.h"

#include "uring/feature.h"

/* How many runs have connections that move bulk. */
#define BULK_PERMILLE 120

static void plan_faults(struct fake_options *machine)
{
    static const uint32_t often[] = {0, 0, 20, 300};
    for (int i = 0; i < FAKE_NO_TIMEOUT; i++) {
        machine->permille[i] = often[fake_random(4)];
    }
    machine->permille[FAKE_NO_TIMEOUT] = machine->permille[FAKE_NO_SUBMIT];
    machine->permille[FAKE_COLD] = often[fake_random(4)];
    machine->permille[FAKE_DISK_ERROR] = often[fake_random(4)];
    for (int i = FAKE_NO_MEMORY; i < FAKE_SLOW_CLOSE; i++) {
        machine->permille[i] = often[fake_random(4)];
    }
    machine->datagram_max = fake_chance(300) ? 1472 : 0;
    machine->permille[FAKE_NO_FD] /= 2;
    machine->permille[FAKE_RETRIES_OVER] /= 15; /* each leads to another turn */
    machine->permille[FAKE_NO_SUBMIT] /= fake_chance(900) ? 1000 : 2;
    if (fake_chance(600)) {
        machine->missing =
            (uint32_t)fake_random(UINT64_C(1) << WR_FEATURE_COUNT) &
            ~(1u << WR_FEATURE_ASYNC_RETRY); /* this kernel cannot splice */
    }
}

/* Connections that move bulk, then little: large pieces, and room for them. */
static void plan_bulk(struct fake_options *machine)
{
    static const uint32_t sizes[] = {65536, 262144, 1u << 20};
    machine->send_size = sizes[fake_random(3)];
    machine->recv_size = sizes[fake_random(3)];
    sim.unit = 1u << (10 + fake_random(7));
}

/* Starts the machine; its own dice plan the run. */
static void plan_machine(const struct sim_options *options,
                         void (*entered)(void *arg), bool (*idle)(void *arg))
{
    static const uint32_t sizes[] = {16, 600, 5000, 65536};
    struct fake_options machine = {.seed = ~options->seed};
    fake_start(&machine);
    plan_faults(&machine);
    /* More often than others: few connections have descriptors. */
    machine.permille[FAKE_SLOW_CLOSE] = 300 * (uint32_t)(options->seed / 8 % 4);
    machine.permille[FAKE_NO_WORKER] = 300 * (uint32_t)(options->seed % 3);
    machine.entered = entered;
    machine.idle = idle;
    machine.trace = options->trace;
    machine.send_size = sizes[fake_random(4)];
    machine.recv_size = sizes[fake_random(4)];
    sim.heavy = fake_chance(40);
    machine.sq_max = fake_chance(200) ? 8u << fake_random(3) : 0;
    machine.cq_max = fake_chance(200) ? 16u << fake_random(4) : 0;
    machine.fresh_fds = fake_chance(500);
    machine.poison = fake_chance(50);
    uint32_t least = machine.send_size < machine.recv_size ? machine.send_size
                                                           : machine.recv_size;
    sim.unit = 1 + (uint32_t)fake_random(least < 2048 ? least * 4u : 8192);
    sim.bulk = fake_chance(BULK_PERMILLE) || options->bulk;
    if (sim.bulk) {
        sim.heavy = false;
        plan_bulk(&machine);
    }
    fake_stop();
    if (sim.heavy) {
        machine.send_size = 65536;
        machine.recv_size = 65536;
        sim.unit = fake_chance(500) ? 16384 : 300;
        machine.missing |= sim.unit == 300 ? 1u << WR_FEATURE_BUF_INC : 0;
    }
    sim.disk_fails = machine.permille[FAKE_DISK_ERROR] > 0;
    sim.detours = machine.permille[FAKE_DETOUR] > 0;
    sim.datagrams_lack_memory = machine.permille[FAKE_NO_MEMORY] > 0;
    sim.datagram_max = machine.datagram_max;
    sim.fds_fail = machine.permille[FAKE_NO_FD] > 0;
    sim.late_ns = machine.permille[FAKE_NO_SUBMIT] ? 100 * SIM_MS : SIM_MS;
    machine.seed = options->seed;
    machine.variant = options->fail_at;
    fake_start(&machine);
}

static void plan_conns(void)
{
    sim.conn_count = 1 + (uint32_t)fake_random(SIM_CONN_MAX);
    if (sim.heavy) {
        sim.conn_count = SIM_CONN_MAX;
    }
    for (uint32_t i = 0; i < sim.conn_count; i++) {
        struct sim_conn *conn = &sim.conns[i];
        conn->id = i;
        conn->is_client = fake_chance(250);
        sim_peer_plan(conn);
        sim_side_plan(conn);
        if (conn->is_client && fake_chance(200)) {
            conn->answer = fake_chance(500) ? FAKE_REFUSE : FAKE_SILENT;
            conn->connect_timeout_ns = fake_random(2) * SIM_S;
        }
        conn->adopts =
            conn->is_client && conn->answer == FAKE_ACCEPT && fake_chance(500);
        sim_pass_plan(conn);
    }
    sim.stop_ns = fake_chance(150) ? fake_now() + fake_random(SIM_S / 2) : 0;
}

static void plan_listeners(void)
{
    for (int answer = FAKE_ACCEPT; answer <= FAKE_SILENT; answer++) {
        struct sockaddr_in addr = {.sin_family = AF_INET,
                                   .sin_port = htons((uint16_t)(7000 + answer)),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct fake_listener *listener =
            fake_listen((struct sockaddr *)&addr, sizeof(addr));
        fake_listener_set(listener, (enum fake_answer)answer,
                          fake_random(3) * SIM_MS);
        if (answer == FAKE_ACCEPT) {
            sim.listener = listener;
        }
    }
}

void sim_plan(const struct sim_options *options, void (*entered)(void *arg),
              bool (*idle)(void *arg))
{
    plan_machine(options, entered, idle);
    sim.held_limit =
        sim.heavy || fake_chance(300) ? 1u << (20 + fake_random(4)) : 64u << 20;
    sim.read_limit = fake_chance(300) ? 4096u << fake_random(6) : 1u << 20;
    plan_conns();
    plan_listeners();
    sim_endpoints_plan();
    sim_pipes_plan();
}
