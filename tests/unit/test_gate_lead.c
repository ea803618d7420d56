/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/clock.h"
#include "gate/gate_lead.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <semaphore.h>
#include <time.h>

#define THREADS 4
#define WAIT_MS 5000

/* Events are posts of a semaphore; the next `heavy` of them take until
 * `release`, the others no time. */
struct crew {
    struct gate_lead lead;
    sem_t events, release;
    pthread_t threads[THREADS];
    _Atomic int heavy, held, served;
    _Atomic unsigned by[THREADS];
    _Atomic bool over;
};

struct member {
    struct crew *crew;
    unsigned index;
};

static bool
serve_one(struct crew *crew, unsigned index)
{
    bool go_on;

    while (sem_wait(&crew->events) != 0) {
    }
    gate_lead_begin(&crew->lead);
    if (atomic_load(&crew->over)) {
        gate_lead_stop(&crew->lead);
        sem_post(&crew->events);
    } else if (atomic_fetch_sub(&crew->heavy, 1) > 0) {
        atomic_fetch_add(&crew->held, 1);
        while (sem_wait(&crew->release) != 0) {
        }
        atomic_fetch_sub(&crew->held, 1);
    }
    atomic_fetch_add(&crew->by[index], 1);
    go_on = gate_lead_end(&crew->lead) && !atomic_load(&crew->over);
    atomic_fetch_add(&crew->served, 1);
    return go_on;
}

static void *
member_run(void *arg)
{
    struct member *member = arg;

    while (gate_lead_enter(&member->crew->lead)) {
        while (serve_one(member->crew, member->index)) {
        }
    }
    return NULL;
}

static void
crew_start(struct crew *crew, struct member members[THREADS], unsigned fewest)
{
    *crew = (struct crew){.heavy = 0};
    gate_lead_init(&crew->lead, fewest);
    sem_init(&crew->events, 0, 0);
    sem_init(&crew->release, 0, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        members[i] = (struct member){crew, i};
        pthread_create(&crew->threads[i], NULL, member_run, &members[i]);
    }
}

static void
crew_end(struct crew *crew)
{
    atomic_store(&crew->over, true);
    sem_post(&crew->events);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(crew->threads[i], NULL);
    }
    sem_destroy(&crew->release);
    sem_destroy(&crew->events);
    gate_lead_deinit(&crew->lead);
}

static void
pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){0, (long) ms * 1000000}, NULL);
}

static void
wait_for(_Atomic int *value, int wanted)
{
    uint64_t end = clock_now_ms() + WAIT_MS;

    while (atomic_load(value) != wanted && clock_now_ms() < end) {
        pause_ms(1);
    }
    assert_int_equal(atomic_load(value), wanted);
}

static unsigned
crew_busy_threads(struct crew *crew)
{
    unsigned busy = 0;

    for (unsigned i = 0; i < THREADS; i++) {
        busy += atomic_exchange(&crew->by[i], 0) > 0;
    }
    return busy;
}

static void
crew_send(struct crew *crew, int events)
{
    int before = atomic_load(&crew->served);

    for (int i = 0; i < events; i++) {
        sem_post(&crew->events);
    }
    wait_for(&crew->served, before + events);
}

/* Nobody is held up for a millisecond, or the machine did it: few changes. */
static void
test_one_serves_what_is_short(void **state)
{
    struct crew crew;
    struct member members[THREADS];
    int alone = 0;

    (void) state;
    crew_start(&crew, members, 1);
    for (int round = 0; round < 20; round++) {
        crew_send(&crew, 200);
        alone += crew_busy_threads(&crew) == 1;
    }
    assert_true(alone >= 10);
    assert_int_equal(atomic_load(&crew.lead.leaders), 1);
    crew_end(&crew);
}

static void
test_others_take_over_from_who_is_held_up(void **state)
{
    struct crew crew;
    struct member members[THREADS];

    (void) state;
    crew_start(&crew, members, 1);
    for (int held = 1; held < THREADS; held++) {
        atomic_store(&crew.heavy, 1);
        sem_post(&crew.events);
        wait_for(&crew.held, held);
        crew_send(&crew, 10);
    }
    for (int i = 1; i < THREADS; i++) {
        sem_post(&crew.release);
    }
    wait_for(&crew.held, 0);
    crew_send(&crew, 100);
    /* Who came back rests. */
    for (int i = 0; i < WAIT_MS && atomic_load(&crew.lead.leaders) > 1; i++) {
        crew_send(&crew, 1);
        pause_ms(1);
    }
    assert_int_equal(atomic_load(&crew.lead.leaders), 1);
    crew_end(&crew);
}

static void
test_as_many_lead_as_asked_for(void **state)
{
    struct crew crew;
    struct member members[THREADS];

    (void) state;
    crew_start(&crew, members, 3);
    atomic_store(&crew.heavy, THREADS);
    for (int i = 0; i < THREADS; i++) {
        sem_post(&crew.events);
    }
    /* The last of them by taking over. */
    wait_for(&crew.held, THREADS);
    for (int i = 0; i < THREADS; i++) {
        sem_post(&crew.release);
    }
    wait_for(&crew.served, THREADS);
    assert_true(atomic_load(&crew.lead.leaders) >= 3);
    crew_end(&crew);
}

static void
test_a_stop_finds_those_who_rest(void **state)
{
    struct crew crew;
    struct member members[THREADS];

    (void) state;
    for (unsigned fewest = 1; fewest <= THREADS; fewest++) {
        crew_start(&crew, members, fewest);
        crew_end(&crew);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_serves_what_is_short),
        cmocka_unit_test(test_others_take_over_from_who_is_held_up),
        cmocka_unit_test(test_as_many_lead_as_asked_for),
        cmocka_unit_test(test_a_stop_finds_those_who_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
