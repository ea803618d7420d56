/* SPDX-License-Identifier: BSD-2-Clause */

/* Runs real commands in real sandboxes: needs bubblewrap. */

#include "gate/sandbox.h"

#include "gate/sandbox_use.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEP_MAX 65536
#define OWNER    12345 /* of the root, when the test is root's */
#define MEMORY   (256ull << 20)

struct probe {
    struct loop_task task;
    const char *command;
    struct sandbox_command *running;
    char text[2][KEEP_MAX];
    size_t kept[2];
    uint64_t total;
    uint64_t close_at; /* bytes of output */
    int error;
    struct child_exit end;
    enum sandbox_over over;
    atomic_bool done;
};

static struct loop *loop;
static struct sandbox *sandbox;
static char place[] = "/tmp/voice-sandbox.XXXXXX"; /* holds what follows */
static char root[64], secret[64];

static const struct sandbox_config limits = {.root = root,
                                             .memory_bytes = MEMORY,
                                             .file_bytes = 16 << 20,
                                             .cpu_s = 20,
                                             .processes = 24};

static void
on_output(void *arg, enum child_stream stream, const char *data, size_t bytes)
{
    struct probe *p = arg;
    size_t room = KEEP_MAX - 1 - p->kept[stream];
    size_t n = bytes < room ? bytes : room;

    memcpy(p->text[stream] + p->kept[stream], data, n);
    p->kept[stream] += n;
    p->total += bytes;
    if (p->close_at && p->total >= p->close_at) {
        sandbox_close(&p->running);
        atomic_store(&p->done, true);
    }
}

static void
on_over(void *arg, const struct child_exit *end, enum sandbox_over over)
{
    struct probe *p = arg;

    p->end = *end;
    p->over = over;
    sandbox_close(&p->running);
    atomic_store(&p->done, true);
}

static const struct sandbox_handlers handlers = {on_output, on_over};

static void
on_start(struct loop_task *task, void *arg)
{
    struct probe *p = arg;

    (void) task;
    struct sandbox_order order = {.loop = loop, .command = p->command};
    p->error = sandbox_start(&p->running, sandbox, &order, &handlers, p);
    if (p->error != 0)
        atomic_store(&p->done, true);
}

static void
on_close(struct loop_task *task, void *arg)
{
    struct probe *p = arg;

    (void) task;
    sandbox_close(&p->running);
    atomic_store(&p->done, true);
}

static struct probe *
probe_begin(const char *command)
{
    struct probe *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    p->command = command;
    p->task = (struct loop_task){.run = on_start, .arg = p};
    return p;
}

static void
probe_wait(struct probe *p, struct loop_task *task)
{
    loop_post(loop, task);
    for (int i = 0; i < 60000 && !atomic_load(&p->done); i++)
        usleep(1000);
    assert_true(atomic_load(&p->done));
}

static struct probe *
command_run(const char *command)
{
    struct probe *p = probe_begin(command);

    probe_wait(p, &p->task);
    assert_int_equal(p->error, 0);
    return p;
}

/* What it says, and its status. */
static void
command_says(const char *command, const char *text, int status)
{
    struct probe *p = command_run(command);

    if (strcmp(p->text[0], text) != 0 || p->end.status != status)
        print_error("%s\n%s\n", command, p->text[1]);
    assert_string_equal(p->text[0], text);
    assert_int_equal(p->end.status, status);
    assert_int_equal(p->over, SANDBOX_ENDED);
    free(p);
}

/* It may say what it likes and must not succeed. */
static void
command_fails(const char *command)
{
    struct probe *p = command_run(command);

    if (p->end.status == 0)
        print_error("%s\n%s\n", command, p->text[0]);
    assert_int_not_equal(p->end.status, 0);
    assert_null(strstr(p->text[0], "hidden"));
    assert_null(strstr(p->text[1], "hidden"));
    free(p);
}

static void
nobody_is_left(void)
{
    struct sandbox_use use;

    for (int i = 0; i < 10000 && child_count() != 0; i++)
        usleep(1000);
    assert_int_equal(child_count(), 0);
    for (int i = 0; i < 5000; i++) {
        sandbox_use_look(getpid(), &use);
        if (use.processes == 0)
            break;
        usleep(1000);
    }
    assert_int_equal(use.processes, 0);
}

static void
test_commands_work(void **state)
{
    char where[80];

    (void) state;
    snprintf(where, sizeof(where), "%s\n", root);
    command_says("echo hi; echo no >&2; exit 3", "hi\n", 3);
    command_says("pwd", where, 0);
    command_says("echo kept > a && cat a", "kept\n", 0);
    command_says("for i in 1 2 3; do echo $i; done | sort -r | head -n 1",
                 "3\n", 0);
    command_says("kill -9 $$", "", 137);
    command_says("echo $0 $#", "bash 0\n", 0);
    command_says("cat <<'X'\nhere $HOME\nX\n", "here $HOME\n", 0);
    command_says("echo x > /tmp/y; cat /tmp/y", "x\n", 0);
    command_fails("ls /tmp/y"); /* that of the command before is gone */
    command_says("read x; echo $?", "1\n", 0);
    command_says("echo a > /dev/null; head -c 2 /dev/zero | wc -c", "2\n", 0);
}

static void
test_no_network(void **state)
{
    (void) state;
    command_fails("exec 3<>/dev/tcp/127.0.0.1/1");
    command_says("cat /proc/net/route | wc -l", "1\n", 0);
    command_says("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '", "lo\n",
                 0);
}

static void
test_nothing_of_the_file_system(void **state)
{
    char command[200];

    (void) state;
    snprintf(command, sizeof(command), "cat %s", secret);
    command_fails(command);
    snprintf(command, sizeof(command), "ln -s %s s && cat s", secret);
    command_fails(command);
    command_fails("cat ../secret");
    command_fails("cat /etc/passwd");
    command_fails("cat /etc/shadow");
    command_fails("ls /root /home /var /run");
    command_fails("echo x > /usr/bin/x");
    command_fails("echo x > /x");
    command_fails("mkdir /x");
    command_fails("echo x > /dev/x");
    command_fails("echo x > /etc/x");
    command_fails("mount -o remount,rw /usr");
    command_fails("mount -t tmpfs none /tmp");
    command_fails("ls /proc/1/root/home");
    command_fails("echo 1 > /proc/sys/kernel/sysrq");
    command_fails("echo b > /proc/sysrq-trigger");
    command_fails("echo 0 > /proc/self/oom_score_adj");
    command_says("cat <(echo sub) > >(cat); wait", "sub\n", 0);
    command_fails("cat /proc/kmsg /dev/kmsg /proc/kcore /dev/mem");
    command_fails("mknod d b 8 0");
    command_fails("cat /dev/sda /dev/vda /dev/nvme0n1");
    command_fails("chroot / true");
    command_says("ls /dev | tr '\\n' ' '",
                 "core fd full null ptmx pts random shm stderr stdin "
                 "stdout tty urandom zero ",
                 0);
}

static void
test_no_rights_and_no_secrets(void **state)
{
    char who[40];

    (void) state;
    setenv("OPENAI_API_KEY", "hidden", 1);
    snprintf(who, sizeof(who), "%u\n", getuid() == 0 ? OWNER : getuid());
    command_says("id -u", who, 0);
    command_says("env | grep -v -E '^(PWD|SHLVL|_)=' | sort",
                 "HOME=/tmp\nLANG=C.UTF-8\nPATH=/usr/local/bin:/usr/bin:/bin\n"
                 "TERM=dumb\nTMPDIR=/tmp\n",
                 0);
    command_says("cat /proc/*/environ | tr '\\0' '\\n' | grep -c hidden", "0\n",
                 1);
    command_says("grep -E '^(Cap...|NoNewPrivs|Seccomp):' /proc/self/status |"
                 "cut -f 2 | sort -u | tr '\\n' ' '",
                 "0000000000000000 1 2 ", 0);
    /* The last is that of ls itself. */
    command_says("exec ls /proc/self/fd", "0\n1\n2\n3\n", 0);
    command_fails("unshare -r true");
    command_fails("unshare -n true");
    command_fails("nsenter -t 1 -m true");
    command_fails("su");
}

/* Its own and nobody else's. */
static void
test_sees_no_other_process(void **state)
{
    (void) state;
    command_says("ls -d /proc/[0-9]* | wc -l | grep -qE '^[2-6]$'", "", 0);
    command_fails("kill -9 -1; kill -9 1; sleep 0.2; ls /proc/1 && false");
    struct probe *p = command_run("kill -9 -1");
    assert_int_not_equal(p->end.status, 0);
    free(p);
    nobody_is_left();
}

/* --- abuse */

static void
test_fork_bomb(void **state)
{
    static const char *const bombs[] = {
        /* Its shell ends at once, and all with it. */
        ":(){ :|:& };:",
        /* Its shell stays: ended from outside, as by a time limit. */
        "b(){ while :; do b & done; }; echo x; b 2>/dev/null",
    };

    (void) state;
    free(command_run(bombs[0]));
    nobody_is_left();
    struct probe *p = probe_begin(bombs[1]);
    loop_post(loop, &p->task);
    unsigned most = 0;
    for (int i = 0; i < 100; i++) {
        struct sandbox_use use;
        sandbox_use_look(getpid(), &use);
        most = use.processes > most ? use.processes : most;
        usleep(10000);
    }
    /* With bwrap, and its process 1. */
    assert_in_range(most, limits.processes / 2, limits.processes + 3);
    /* Another than the loop's first: nothing says that it is done with that. */
    struct loop_task close = {.run = on_close, .arg = p};
    probe_wait(p, &close);
    nobody_is_left();
    free(p);
}

static void
test_memory(void **state)
{
    (void) state;
    /* One process alone: the kernel's limit. */
    command_fails("head -c 1G /dev/zero | tail -n 1 | wc -c; "
                  "exit ${PIPESTATUS[1]}");
    /* Each within it, together beyond. */
    struct probe *p =
        command_run("for i in 1 2 3 4; do (x=$(head -c 60000000 /dev/zero |"
                    "tr '\\0' x); sleep 20) & done; wait");
    assert_int_equal(p->over, SANDBOX_MEMORY);
    assert_int_not_equal(p->end.status, 0);
    free(p);
    /* Files in memory. */
    command_fails("head -c 15M /dev/zero > /tmp/1 &&"
                  "for i in 2 3 4 5 6 7; do cp /tmp/1 /tmp/$i || exit 1; done");
    command_fails("cd /dev/shm; head -c 15M /dev/zero > 1 &&"
                  "for i in 2 3 4 5 6 7; do cp 1 $i || exit 1; done");
    nobody_is_left();
}

static void
test_large_files(void **state)
{
    (void) state;
    command_fails("head -c 17M /dev/zero > big");
    command_says("ulimit -c; ulimit -n", "0\n256\n", 0);
    command_fails("ulimit -n 1024");
    command_fails("ulimit -u 1000");
    command_fails("nice -n -5 true 2>&1 | grep -q . && false");
}

static void
test_flood_is_closed(void **state)
{
    struct probe *p = probe_begin("cat /dev/zero");

    (void) state;
    p->close_at = 50 << 20;
    probe_wait(p, &p->task);
    assert_in_range(p->total, 50 << 20, (50 << 20) + CHILD_CHUNK_MAX);
    free(p);
    nobody_is_left();
}

static void
test_daemons_end_with_their_shell(void **state)
{
    (void) state;
    command_says("setsid sleep 1000 & echo up", "up\n", 0);
    command_says("(trap '' TERM HUP INT; setsid nohup sh -c 'trap \"\" TERM;"
                 "while :; do sleep 1; done' > /dev/null 2>&1 &) ; echo up",
                 "up\n", 0);
    nobody_is_left();
}

/* --- the sandbox itself */

static void
test_what_cannot_be_made(void **state)
{
    static const struct {
        const char *root;
        int error;
        const char *text;
    } rows[] = {{"/", UV_EINVAL, "/ is no root"},
                {"/usr/share", UV_EINVAL, "is no root"},
                {"/proc/self", UV_EINVAL, "is no root"},
                {"/tmp", UV_EINVAL, "is no root"},
                {"relative", UV_EINVAL, "is no root"}};
    char error[SANDBOX_ERROR_BYTES];
    struct sandbox_config cfg = limits;
    struct sandbox *other = NULL;

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cfg.root = rows[i].root;
        assert_int_equal(sandbox_create(&other, &cfg, error), rows[i].error);
        assert_non_null(strstr(error, rows[i].text));
    }
    cfg.root = "/home/not/there";
    assert_int_not_equal(sandbox_create(&other, &cfg, error), 0);
    if (getuid() == 0) {
        assert_int_equal(chown(root, 0, 0), 0);
        cfg.root = root;
        assert_int_equal(sandbox_create(&other, &cfg, error), UV_EPERM);
        assert_non_null(strstr(error, "not run as root"));
        assert_int_equal(chown(root, OWNER, OWNER), 0);
    }
    const char *path = getenv("PATH");
    char kept[4096];
    snprintf(kept, sizeof(kept), "%s", path);
    setenv("PATH", "/nowhere", 1);
    cfg.root = root;
    assert_int_equal(sandbox_create(&other, &cfg, error), UV_ENOENT);
    assert_non_null(strstr(error, "package bubblewrap"));
    setenv("PATH", kept, 1);
    assert_null(other);
}

static void
test_root_that_has_gone(void **state)
{
    char moved[80];

    (void) state;
    snprintf(moved, sizeof(moved), "%s.moved", root);
    assert_int_equal(rename(root, moved), 0);
    struct probe *p = command_run("echo hi");
    assert_int_equal(p->over, SANDBOX_BROKEN);
    assert_int_equal(rename(moved, root), 0);
    free(p);
    /* A command that only pretends harms itself. */
    p = command_run("echo 'bwrap: no' >&2; exit 2");
    assert_int_equal(p->over, SANDBOX_ENDED);
    free(p);
}

static void
test_command_too_long(void **state)
{
    static char text[SANDBOX_COMMAND_MAX + 2];

    (void) state;
    memset(text, ' ', sizeof(text) - 1);
    struct probe *p = probe_begin(text);
    probe_wait(p, &p->task);
    assert_int_equal(p->error, UV_E2BIG);
    free(p);
    text[SANDBOX_COMMAND_MAX] = '\0';
    command_says(text, "", 0);
}

static int
group_setup(void **state)
{
    char error[SANDBOX_ERROR_BYTES] = "";
    sigset_t set;

    (void) state;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (!mkdtemp(place) || chmod(place, 0755) != 0)
        return 1;
    snprintf(root, sizeof(root), "%s/root", place);
    snprintf(secret, sizeof(secret), "%s/secret", place);
    int fd = open(secret, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, "hidden\n", 7) != 7 || mkdir(root, 0755) != 0)
        return 1;
    close(fd);
    if (getuid() == 0 && chown(root, OWNER, OWNER) != 0)
        return 1;
    if (sandbox_create(&sandbox, &limits, error) != 0) {
        print_error("%s\n", error);
        return 1;
    }
    return loop_create(&loop, 0) != 0 || loop_start(loop) != 0;
}

static int
group_teardown(void **state)
{
    char command[100];

    (void) state;
    nobody_is_left();
    loop_stop(loop);
    loop_destroy(&loop);
    sandbox_destroy(&sandbox);
    snprintf(command, sizeof(command), "rm -rf '%s'", place);
    return system(command);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_work),
        cmocka_unit_test(test_no_network),
        cmocka_unit_test(test_nothing_of_the_file_system),
        cmocka_unit_test(test_no_rights_and_no_secrets),
        cmocka_unit_test(test_sees_no_other_process),
        cmocka_unit_test(test_fork_bomb),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_large_files),
        cmocka_unit_test(test_flood_is_closed),
        cmocka_unit_test(test_daemons_end_with_their_shell),
        cmocka_unit_test(test_what_cannot_be_made),
        cmocka_unit_test(test_root_that_has_gone),
        cmocka_unit_test(test_command_too_long),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
