/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/child.h"

#include "base/loop.h"
#include "base/loop_timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEP_MAX 65536

/* A child, from its opening to its end, seen from the test's thread. */
struct probe {
    struct loop_task task;
    struct child_config cfg;
    struct child *child;
    struct loop_timer *timer;
    void (*opened)(struct probe *p);  /* on the loop */
    void (*output)(struct probe *p);  /* after each piece */
    void (*drained)(struct probe *p); /* as told */
    int error;
    char text[2][KEEP_MAX];
    size_t kept[2];
    uint64_t total[2];
    struct child_exit end;
    uint64_t left; /* what a test counts down */
    atomic_bool done, ended;
};

static struct loop *loop;

static void
probe_wait(atomic_bool *flag)
{
    for (int i = 0; i < 30000 && !atomic_load(flag); i++)
        usleep(1000);
    assert_true(atomic_load(flag));
}

static void
on_output(void *arg, enum child_stream stream, const char *data, size_t bytes)
{
    struct probe *p = arg;
    size_t room = KEEP_MAX - 1 - p->kept[stream];
    size_t n = bytes < room ? bytes : room;

    assert_true(loop_is_current(loop));
    assert_false(atomic_load(&p->ended));
    assert_true(bytes > 0 && bytes <= CHILD_CHUNK_MAX);
    memcpy(p->text[stream] + p->kept[stream], data, n);
    p->kept[stream] += n;
    p->total[stream] += bytes;
    if (p->output)
        p->output(p);
}

static void
on_drained(void *arg)
{
    struct probe *p = arg;

    if (p->drained)
        p->drained(p);
}

static void
probe_over(struct probe *p)
{
    child_close(&p->child);
    loop_timer_destroy(&p->timer);
    atomic_store(&p->done, true);
}

static void
on_exit_told(void *arg, const struct child_exit *end)
{
    struct probe *p = arg;

    assert_false(atomic_exchange(&p->ended, true));
    p->end = *end;
    probe_over(p);
}

static const struct child_handlers handlers = {on_output, on_drained,
                                               on_exit_told};

static void
on_open(struct loop_task *task, void *arg)
{
    struct probe *p = arg;

    (void) task;
    p->error = child_open(&p->child, &p->cfg, &handlers, p);
    if (p->error != 0)
        atomic_store(&p->done, true);
    else if (p->opened)
        p->opened(p);
}

/* Runs it to its end. */
static void
probe_run(struct probe *p)
{
    p->cfg.loop = loop;
    p->cfg.name = "test";
    p->task = (struct loop_task){.run = on_open, .arg = p};
    loop_post(loop, &p->task);
    probe_wait(&p->done);
}

/* `sh -c text` to its end. */
static struct probe *
probe_shell(struct probe *p, const char *text)
{
    static const char *argv[4];

    argv[0] = "/bin/sh";
    argv[1] = "-c";
    argv[2] = text;
    argv[3] = NULL;
    p->cfg.argv = argv;
    probe_run(p);
    return p;
}

static void
counts_settle(void)
{
    for (int i = 0; i < 10000 && child_count() != 0; i++)
        usleep(1000);
    assert_int_equal(child_count(), 0);
}

static unsigned
descriptors_count(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* --- what it is told and given */

static void
test_output_and_end(void **state)
{
    static struct probe p;

    (void) state;
    probe_shell(&p, "echo out; echo err >&2; exit 7");
    assert_int_equal(p.error, 0);
    assert_string_equal(p.text[CHILD_OUTPUT], "out\n");
    assert_string_equal(p.text[CHILD_ERRORS], "err\n");
    assert_int_equal(p.end.status, 7);
    assert_int_equal(p.end.signal, 0);
    assert_true(p.end.closed);

    static struct probe q;
    probe_shell(&q, "kill -9 $$");
    assert_int_equal(q.end.status, -1);
    assert_int_equal(q.end.signal, SIGKILL);
}

static void
test_program_that_is_not(void **state)
{
    static const struct {
        const char *path, *directory;
        int error;
    } rows[] = {{"/no/such/program", NULL, UV_ENOENT},
                {"no-such-program-anywhere", NULL, UV_ENOENT},
                {"/etc/passwd", NULL, UV_EACCES},
                {"/tmp", NULL, UV_EACCES},
                {"/bin/true", "/no/such/directory", UV_ENOENT},
                {"/bin/true", "/etc/hostname", UV_ENOTDIR},
                {"", NULL, UV_EINVAL}};

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct probe *p = calloc(1, sizeof(*p));
        const char *argv[] = {rows[i].path, NULL};
        p->cfg.argv = argv;
        p->cfg.directory = rows[i].directory;
        probe_run(p);
        assert_int_equal(p->error, rows[i].error);
        free(p);
    }
    counts_settle();
}

static void
test_found_in_the_path(void **state)
{
    static const char *argv[] = {"sh", "-c", "pwd", NULL};
    static struct probe p;

    (void) state;
    p.cfg.argv = argv;
    p.cfg.directory = "/usr";
    p.cfg.no_input = true;
    probe_run(&p);
    assert_string_equal(p.text[CHILD_OUTPUT], "/usr\n");
}

static void
test_environment(void **state)
{
    static const char *const env[] = {"LANG=xx", "MORE=1", NULL};
    static const char *argv[] = {"/usr/bin/env", NULL};
    static struct probe p, q;

    (void) state;
    setenv("SECRET_KEY_OF_SERVER", "hidden", 1);
    setenv("LANG", "server", 1);
    setenv("TZ", "UTC", 1);
    p.cfg.argv = argv;
    p.cfg.env = env;
    probe_run(&p);
    assert_non_null(strstr(p.text[CHILD_OUTPUT], "LANG=xx\nMORE=1\n"));
    assert_non_null(strstr(p.text[CHILD_OUTPUT], "\nTZ=UTC\n"));
    assert_non_null(strstr(p.text[CHILD_OUTPUT], "\nPATH="));
    assert_null(strstr(p.text[CHILD_OUTPUT], "LANG=server"));
    assert_null(strstr(p.text[CHILD_OUTPUT], "SECRET"));
    q.cfg.argv = argv;
    q.cfg.env = env;
    q.cfg.bare = true;
    probe_run(&q);
    assert_string_equal(q.text[CHILD_OUTPUT], "LANG=xx\nMORE=1\n");
}

static void
test_no_descriptor_but_those_given(void **state)
{
    static struct probe p, q;
    int given[] = {memfd_create("given", 0), 0};
    int open_one = open("/etc/hostname", O_RDONLY); /* no close-on-exec */

    (void) state;
    given[1] = given[0];
    assert_int_equal(write(given[0], "inside", 6), 6);
    /* ls has one of its own, for the directory. */
    probe_shell(&p, "exec ls /proc/self/fd");
    assert_string_equal(p.text[CHILD_OUTPUT], "0\n1\n2\n3\n");
    q.cfg.fds = given;
    q.cfg.fd_count = 2;
    probe_shell(&q, "cat /proc/self/fd/4; exec ls /proc/self/fd");
    assert_string_equal(q.text[CHILD_OUTPUT], "inside0\n1\n2\n3\n4\n5\n");
    close(given[0]);
    close(open_one);
}

static void
test_signals_are_as_in_a_new_login(void **state)
{
    static struct probe p;

    (void) state;
    probe_shell(&p, "cat /proc/self/status | grep -E '^Sig(Blk|Ign|Cgt)'");
    assert_string_equal(p.text[CHILD_OUTPUT], "SigBlk:\t0000000000000000\n"
                                              "SigIgn:\t0000000000000000\n"
                                              "SigCgt:\t0000000000000000\n");
}

static void
test_limits_and_priority(void **state)
{
    static const struct child_limit limits[] = {{RLIMIT_FSIZE, 4096},
                                                {RLIMIT_CORE, 0}};
    static struct probe p;

    (void) state;
    p.cfg.limits = limits;
    p.cfg.limit_count = 2;
    p.cfg.nice = 19;
    p.cfg.expendable = true;
    probe_shell(&p, "ulimit -f; ulimit -Hc; ulimit -n; nice;"
                    "cat /proc/self/oom_score_adj");
    assert_string_equal(p.text[CHILD_OUTPUT], "8\n0\n1024\n19\n1000\n");
}

static void
test_another_user(void **state)
{
    static const struct child_user user = {12345, 12346};
    static struct probe p;

    (void) state;
    p.cfg.user = &user;
    probe_shell(&p, "id -u; id -g; id -G");
    if (getuid() != 0) {
        assert_int_equal(p.error, UV_EPERM);
        return;
    }
    assert_string_equal(p.text[CHILD_OUTPUT], "12345\n12346\n12346\n");
    assert_int_equal(getuid(), 0); /* not the server's */
}

/* --- input */

#define FED_BYTES (8 * 1024 * 1024)

static void
feed(struct probe *p)
{
    static char piece[300000];

    memset(piece, 'x', sizeof(piece));
    while (p->left > 0) {
        size_t n = p->left < sizeof(piece) ? p->left : sizeof(piece);
        int err = child_write(p->child, piece, n);
        if (err == UV_ENOBUFS)
            return; /* on_drained goes on */
        assert_int_equal(err, 0);
        p->left -= n;
    }
    child_finish_input(p->child);
    assert_int_equal(child_write(p->child, "x", 1), UV_EPIPE);
}

static void
test_input_and_its_cap(void **state)
{
    static struct probe p;

    (void) state;
    p.left = FED_BYTES;
    p.opened = p.drained = feed;
    p.cfg.max_input_bytes = 1000000;
    probe_shell(&p, "cat; echo end >&2");
    assert_int_equal(p.total[CHILD_OUTPUT], FED_BYTES);
    assert_string_equal(p.text[CHILD_ERRORS], "end\n");
}

static void
on_write_late(void *arg)
{
    struct probe *p = arg;

    p->left = (uint64_t) child_write(p->child, "late\n", 5);
    if ((int) p->left != UV_EPIPE)
        loop_timer_start(p->timer, 20, 0);
    else
        child_end(p->child, 0);
}

static void
write_late(struct probe *p)
{
    loop_timer_create(&p->timer, loop, on_write_late, p);
    loop_timer_start(p->timer, 20, 0);
}

static void
test_input_that_nobody_reads(void **state)
{
    static struct probe p;

    (void) state;
    p.opened = write_late;
    probe_shell(&p, "exec <&-; exec sleep 30");
    assert_int_equal((int) p.left, UV_EPIPE);
    assert_int_equal(p.end.signal, SIGKILL);
}

static void
test_no_input(void **state)
{
    static struct probe p;

    (void) state;
    p.cfg.no_input = true;
    probe_shell(&p, "cat; readlink /proc/self/fd/0");
    assert_string_equal(p.text[CHILD_OUTPUT], "/dev/null\n");
}

/* --- output that isn't wanted now, or any more */

static void
on_resume(void *arg)
{
    struct probe *p = arg;

    /* A pipe full, read before the pause took hold, and no more. */
    assert_true(p->total[CHILD_OUTPUT] <= CHILD_CHUNK_MAX);
    p->left = 1;
    child_resume(p->child, CHILD_OUTPUT);
}

static void
pause_first(struct probe *p)
{
    if (p->timer != NULL)
        return;
    child_pause(p->child, CHILD_OUTPUT);
    loop_timer_create(&p->timer, loop, on_resume, p);
    loop_timer_start(p->timer, 200, 0);
}

static void
test_paused_output_waits(void **state)
{
    static struct probe p, q;

    (void) state;
    p.output = pause_first;
    probe_shell(&p, "head -c 3000000 /dev/zero");
    assert_int_equal(p.total[CHILD_OUTPUT], 3000000);
    assert_true(p.end.closed);
    /* The child is long over when it is resumed. */
    q.opened = pause_first;
    probe_shell(&q, "echo kept");
    assert_string_equal(q.text[CHILD_OUTPUT], "kept\n");
    assert_int_equal(q.left, 1);
}

static void
close_it(struct probe *p)
{
    probe_over(p);
}

static void
test_closed_within_a_handler(void **state)
{
    static struct probe p, q;

    (void) state;
    p.output = close_it;
    probe_shell(&p, "while :; do echo flood; done");
    assert_false(atomic_load(&p.ended));
    q.opened = close_it;
    probe_shell(&q, "sleep 30");
    counts_settle();
}

/* --- its end */

static void
on_end(void *arg)
{
    struct probe *p = arg;

    child_end(p->child, p->left);
}

static void
end_soon(struct probe *p)
{
    if (p->timer != NULL)
        return;
    loop_timer_create(&p->timer, loop, on_end, p);
    loop_timer_start(p->timer, 1, 0);
}

static void
test_asked_to_end(void **state)
{
    static struct probe p, q, r;

    (void) state;
    p.output = end_soon;
    p.left = 20000;
    probe_shell(&p, "trap 'echo bye; exit 3' TERM; echo up;"
                    "while :; do sleep 0.01; done");
    assert_string_equal(p.text[CHILD_OUTPUT], "up\nbye\n");
    assert_int_equal(p.end.status, 3);
    q.output = end_soon;
    q.left = 100;
    probe_shell(&q, "trap '' TERM; echo up; while :; do sleep 0.01; done");
    assert_int_equal(q.end.signal, SIGKILL);
    r.output = end_soon;
    r.left = 0;
    probe_shell(&r, "echo up; exec sleep 30");
    assert_int_equal(r.end.signal, SIGKILL);
    counts_settle();
}

static void
test_its_own_children_end_too(void **state)
{
    static struct probe p;

    (void) state;
    probe_shell(&p, "sleep 1000 & echo $!; exit 4");
    assert_int_equal(p.end.status, 4);
    assert_true(p.end.closed);
    pid_t left = (pid_t) atoi(p.text[CHILD_OUTPUT]);
    assert_true(left > 0);
    for (int i = 0; i < 5000 && kill(left, 0) == 0; i++)
        usleep(1000);
    assert_int_not_equal(kill(left, 0), 0);
}

/* It has left the group: it keeps the streams, and nobody waits for it. */
static void
test_a_daemon_holds_nobody(void **state)
{
    static struct probe p;

    (void) state;
    probe_shell(&p, "setsid sleep 1000 & echo $!; sleep 0.2; exit 5");
    assert_int_equal(p.end.status, 5);
    assert_false(p.end.closed);
    kill((pid_t) atoi(p.text[CHILD_OUTPUT]), SIGKILL);
    counts_settle();
}

/* --- with the server */

struct family {
    struct loop *loop;
    struct child *child;
    struct loop_task task;
    atomic_bool up;
    pid_t pid;
};

static void
on_family_output(void *arg, enum child_stream stream, const char *data,
                 size_t bytes)
{
    (void) arg, (void) stream, (void) data, (void) bytes;
}

static void
on_family_exit(void *arg, const struct child_exit *end)
{
    struct family *f = arg;

    (void) end;
    child_close(&f->child);
}

static void
on_family(struct loop_task *task, void *arg)
{
    static const struct child_handlers none = {on_family_output, NULL,
                                               on_family_exit};
    static const char *argv[] = {"/bin/sleep", "1000", NULL};
    struct family *f = arg;
    struct child_config cfg = {.loop = f->loop, .name = "test", .argv = argv};

    (void) task;
    assert_int_equal(child_open(&f->child, &cfg, &none, f), 0);
    f->pid = child_pid(f->child);
    atomic_store(&f->up, true);
}

static void
family_start(struct family *f)
{
    assert_int_equal(loop_create(&f->loop, 0), 0);
    assert_int_equal(loop_start(f->loop), 0);
    f->task = (struct loop_task){.run = on_family, .arg = f};
    loop_post(f->loop, &f->task);
    probe_wait(&f->up);
}

static void
test_dies_with_the_server(void **state)
{
    int told[2];
    pid_t sleeper = 0;

    (void) state;
    assert_int_equal(pipe(told), 0);
    pid_t server = fork();
    if (server == 0) {
        static struct family f;
        family_start(&f);
        if (write(told[1], &f.pid, sizeof(f.pid)) < 0)
            _exit(1);
        raise(SIGKILL);
    }
    /* What was the server's child becomes ours, and can be waited for. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    assert_int_equal(read(told[0], &sleeper, sizeof(sleeper)), sizeof(sleeper));
    int status = 0;
    assert_int_equal(waitpid(server, &status, 0), server);
    assert_int_equal(waitpid(sleeper, &status, 0), sleeper);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    close(told[0]);
    close(told[1]);
}

/* --- many, from many threads */

#define FLOCK 150

static atomic_bool flock_over;

/* What must not be held by a process that is just being made. */
static void *
on_busy(void *arg)
{
    (void) arg;
    while (!atomic_load(&flock_over)) {
        void *p = malloc(1 + (size_t) rand() % 100000);
        setenv("TZ", "UTC", 1);
        free(p);
    }
    return NULL;
}

static void
test_many_at_once(void **state)
{
    static struct probe p[FLOCK];
    static const char *argv[] = {"/bin/echo", "here", NULL};
    pthread_t threads[4];

    (void) state;
    counts_settle();
    unsigned before = descriptors_count();
    atomic_store(&flock_over, false);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, on_busy, NULL), 0);
    for (int i = 0; i < FLOCK; i++) {
        p[i].cfg = (struct child_config){
            .loop = loop, .name = "test", .argv = argv, .no_input = i % 2};
        p[i].task = (struct loop_task){.run = on_open, .arg = &p[i]};
        loop_post(loop, &p[i].task);
    }
    for (int i = 0; i < FLOCK; i++) {
        probe_wait(&p[i].done);
        assert_int_equal(p[i].error, 0);
        assert_string_equal(p[i].text[CHILD_OUTPUT], "here\n");
        assert_int_equal(p[i].end.status, 0);
        assert_true(p[i].end.closed);
    }
    atomic_store(&flock_over, true);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    counts_settle();
    assert_int_equal(descriptors_count(), before);
}

static int
group_setup(void **state)
{
    sigset_t set;

    (void) state;
    /* As in the server. */
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR2, SIG_IGN);
    return loop_create(&loop, 0) != 0 || loop_start(loop) != 0;
}

static int
group_teardown(void **state)
{
    (void) state;
    counts_settle();
    loop_stop(loop);
    loop_destroy(&loop);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dies_with_the_server),
        cmocka_unit_test(test_output_and_end),
        cmocka_unit_test(test_program_that_is_not),
        cmocka_unit_test(test_found_in_the_path),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_no_descriptor_but_those_given),
        cmocka_unit_test(test_signals_are_as_in_a_new_login),
        cmocka_unit_test(test_limits_and_priority),
        cmocka_unit_test(test_another_user),
        cmocka_unit_test(test_input_and_its_cap),
        cmocka_unit_test(test_input_that_nobody_reads),
        cmocka_unit_test(test_no_input),
        cmocka_unit_test(test_paused_output_waits),
        cmocka_unit_test(test_closed_within_a_handler),
        cmocka_unit_test(test_asked_to_end),
        cmocka_unit_test(test_its_own_children_end_too),
        cmocka_unit_test(test_a_daemon_holds_nobody),
        cmocka_unit_test(test_many_at_once),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
