/*
 * The simulation's boxes: the sockets that weir's datagram endpoints talk to.
 *
 * A box sends datagrams of all sizes, one or many at a time, reads, stalls and
 * closes; its port then refuses. Each received datagram must be one that weir
 * accepted, complete, and may arrive twice only as a duplicate made by the
 * network.
 */
#include "tests/sim/datagram.h"

/* Bytes that tell the number, where there is room for them. */
#define NUMBER_BYTES sizeof(uint32_t)

struct record {
    size_t len;
    bool is_own;      /* made by weir's side */
    uint32_t allowed; /* times that weir has accepted it */
    uint32_t arrived;
};

static struct record records[SIM_DATAGRAM_MAX];
static uint32_t record_count;
static uint64_t short_allowed; /* of those that are too short for a number */
static uint64_t short_arrived;

void sim_box_forget(void)
{
    memset(records, 0, sizeof(records));
    record_count = 1; /* 0 is none */
    short_allowed = 0;
    short_arrived = 0;
}

uint32_t sim_datagram_new(size_t len, bool is_own)
{
    if (record_count == SIM_DATAGRAM_MAX) {
        return 0;
    }
    records[record_count] = (struct record){.len = len, .is_own = is_own};
    return record_count++;
}

size_t sim_datagram_len(uint32_t number)
{
    return records[number].len;
}

static uint8_t byte_at(uint32_t number, size_t i)
{
    const size_t mix = i * 131 + (i >> 8) * 7 + number * 57u;
    return (uint8_t)(i < NUMBER_BYTES ? number >> 8 * i : mix);
}

void sim_datagram_fill(uint32_t number, uint8_t *data)
{
    for (size_t i = 0; i < records[number].len; i++) {
        data[i] = byte_at(number, i);
    }
}

bool sim_datagram_is(uint32_t number, const uint8_t *data, size_t len)
{
    uint8_t differs = 0;
    for (size_t i = 0; i < len; i++) {
        differs |= data[i] ^ byte_at(number, i);
    }
    return differs == 0 && len <= records[number].len;
}

void sim_datagram_allow(uint32_t number)
{
    records[number].allowed++;
    short_allowed += records[number].len < NUMBER_BYTES;
}

size_t sim_datagram_random_size(void)
{
    switch (fake_random(12)) {
    case 0:
        return 0;
    case 1:
        return (size_t)fake_random(8);
    case 2:
        return (size_t)fake_random(SIM_DATAGRAM_SIZE);
    case 3:
        return (size_t)fake_random(9000);
    default:
        return (size_t)fake_random(1400);
    }
}

static void check_number(struct sim_endpoint *e, uint32_t number, size_t len,
                         bool is_copy)
{
    struct record *record = &records[number];
    record->arrived += !is_copy;
    if (len != record->len || record->arrived > record->allowed) {
        fake_fail("box %u: datagram %u of %zu bytes came as %zu, the %uth of "
                  "%u",
                  e->id, number, record->len, len, record->arrived,
                  record->allowed);
    }
    if (is_copy || !record->is_own || sim.detours) {
        return;
    }
    if (number < e->last_own) {
        fake_fail("box %u: datagram %u came after %u", e->id, number,
                  e->last_own);
    }
    e->last_own = number;
}

static bool box_receive(struct sim_endpoint *e)
{
    static uint8_t buf[WEIR_DATAGRAM_SIZE_MAX];
    bool is_copy = false;
    uint32_t number = 0;
    const ssize_t len = fake_box_receive(e->box, buf, sizeof(buf), &is_copy);

    if (len < 0) {
        return false;
    }
    sim.result.counts[SIM_DATAGRAMS_ARRIVED]++;
    if ((size_t)len < NUMBER_BYTES) {
        short_arrived += !is_copy;
        if (short_arrived > short_allowed) {
            fake_fail("box %u: a short datagram that nobody sent", e->id);
        }
        return true;
    }
    memcpy(&number, buf, NUMBER_BYTES);
    if (number == 0 || number >= record_count ||
        !sim_datagram_is(number, buf, (size_t)len)) {
        fake_fail("box %u: a datagram of %zd bytes that nobody sent", e->id,
                  len);
    }
    check_number(e, number, (size_t)len, is_copy);
    return true;
}

void sim_box_plan(struct sim_endpoint *e)
{
    struct sockaddr_storage name;
    e->box = fake_box_open(e->family);
    e->box_name.len = fake_box_name(e->box, &name);
    memcpy(&e->box_name.storage, &name, sizeof(e->box_name.storage));
    e->box_left = (uint32_t)fake_random(60);
    e->box_closes = fake_chance(300);
}

static bool box_send(struct sim_endpoint *e)
{
    static uint8_t buf[SIM_DATAGRAM_SIZE];
    const uint32_t number = sim_datagram_new(sim_datagram_random_size(), false);

    e->box_left--;
    if (number == 0) {
        return false;
    }
    sim_datagram_fill(number, buf);
    return fake_box_send(e->box, weir_transport_get_socket(e->t), number, buf,
                         records[number].len);
}

static bool box_send_some(struct sim_endpoint *e)
{
    uint32_t count = fake_chance(700) ? 1 : (uint32_t)fake_random(40);
    bool has_sent = false;
    while (count-- > 0 && e->box_left > 0) {
        has_sent |= box_send(e);
    }
    return has_sent;
}

static void nothing(void *arg)
{
}

static void box_stall(struct sim_endpoint *e)
{
    e->stalled_to_ns = fake_now() + fake_random(100) * SIM_MS;
    fake_at(e->stalled_to_ns, nothing, NULL);
}

bool sim_box_step(struct sim_endpoint *e)
{
    if (!e->box || !e->started) {
        return false;
    }
    if (fake_now() >= e->stalled_to_ns && fake_chance(600) && box_receive(e)) {
        if (fake_chance(e->family == AF_UNIX ? 100 : 20)) {
            box_stall(e);
        }
        return true;
    }
    if (e->state == SIM_MADE && e->box_left > 0) {
        return box_send_some(e);
    }
    if (e->box_left == 0 && e->box_closes && fake_chance(200)) {
        fake_box_close(e->box);
        e->box = NULL;
        return true;
    }
    return false;
}
