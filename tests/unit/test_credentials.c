/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/credentials.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

static char dir[] = "/tmp/voice-keys-XXXXXX";
static char path[64];

static void
keys_forget(void)
{
    unlink(path);
}

static void
a_key_is_made_checked_and_revoked(void **state)
{
    char key[CREDENTIALS_KEY_BYTES], tenant[CREDENTIALS_TENANT_BYTES] = "x";
    struct credentials *c = NULL;
    struct stat st;

    (void) state;
    keys_forget();
    assert_int_equal(credentials_create(&c, path), 0); /* not there yet */
    assert_int_equal(credentials_check(c, "vk_", tenant), UV_EACCES);
    assert_int_equal(credentials_add(path, "web", "shop", key), 0);
    assert_int_equal(strlen(key), 46);
    assert_int_equal(strspn(key + 3, "0123456789abcdefghijklmnopqrstuvwxyz"
                                     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
                     43);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    usleep(1100000); /* the file is looked at once a second */
    assert_int_equal(credentials_check(c, key, tenant), 0);
    assert_string_equal(tenant, "shop");
    assert_int_equal(credentials_count(c), 1);

    key[10] ^= 1; /* behind the public id */
    key[40] = key[40] == 'a' ? 'b' : 'a';
    assert_int_equal(credentials_check(c, key, tenant), UV_EACCES);
    assert_int_equal(credentials_revoke(path, "web"), 0);
    assert_int_equal(credentials_revoke(path, "web"), UV_ENOENT);
    usleep(1100000);
    key[10] ^= 1;
    assert_int_equal(credentials_check(c, key, tenant), UV_EACCES);
    assert_int_equal(credentials_count(c), 0);
    credentials_destroy(&c);
}

static void
a_file_never_holds_a_key(void **state)
{
    char key[CREDENTIALS_KEY_BYTES], line[512];

    (void) state;
    keys_forget();
    assert_int_equal(credentials_add(path, "a", "", key), 0);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof(line), file));
    fclose(file);
    assert_null(strstr(line, key + 3));
    assert_null(strstr(line, key + 12));
}

static void
names_are_checked(void **state)
{
    static const char *const bad[] = {"",
                                      "a b",
                                      "a\nb",
                                      "é",
                                      "a/b",
                                      "1234567890123456789012345678901234567890"
                                      "123456789012345678901234567890"};
    char key[CREDENTIALS_KEY_BYTES];

    (void) state;
    keys_forget();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(credentials_add(path, bad[i], "", key), UV_EINVAL);
        if (bad[i][0])
            assert_int_equal(credentials_add(path, "ok", bad[i], key),
                             UV_EINVAL);
    }
    assert_int_equal(credentials_add(path, "ok", "-", key), UV_EINVAL);
    assert_int_equal(credentials_add(path, "ok", "", key), 0);
    assert_int_equal(credentials_add(path, "ok", "", key), UV_EEXIST);
}

static void
malformed_keys_are_refused(void **state)
{
    static const char *const bad[] = {
        NULL,
        "",
        "vk_",
        "sk_abc",
        "vk_0123456789",
        "vk_01234567890123456789012345678901234567890123456789012345678901"};
    char tenant[CREDENTIALS_TENANT_BYTES];
    struct credentials *c = NULL;

    (void) state;
    keys_forget();
    assert_int_equal(credentials_create(&c, path), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(credentials_check(c, bad[i], tenant), UV_EACCES);
    credentials_destroy(&c);
}

static void
a_malformed_file_is_refused_and_later_kept_out(void **state)
{
    static const char *const bad[] = {
        "name only\n",
        "a - 12345678 zz zz 2026\n",
        "a - 1234567 00112233445566778899aabbccddeeff 00 2026\n",
    };
    char key[CREDENTIALS_KEY_BYTES], tenant[CREDENTIALS_TENANT_BYTES];
    struct credentials *c = NULL;

    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(bad[i], file);
        fclose(file);
        assert_int_equal(credentials_create(&c, path), UV_EINVAL);
        assert_int_equal(credentials_add(path, "n", "", key), UV_EINVAL);
    }
    keys_forget();
    assert_int_equal(credentials_add(path, "good", "", key), 0);
    assert_int_equal(credentials_create(&c, path), 0);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    fputs("rubbish\n", file);
    fclose(file);
    usleep(1100000); /* the last good table stays */
    assert_int_equal(credentials_check(c, key, tenant), 0);
    keys_forget();
    usleep(1100000); /* a file that is gone holds no key */
    assert_int_equal(credentials_check(c, key, tenant), UV_EACCES);
    credentials_destroy(&c);
}

#define EDITORS 4
#define ROUNDS  12

static void *
edit(void *arg)
{
    char name[32], key[CREDENTIALS_KEY_BYTES];
    for (int i = 0; i < ROUNDS; i++) {
        snprintf(name, sizeof(name), "e%d.%d", *(int *) arg, i);
        assert_int_equal(credentials_add(path, name, "t", key), 0);
        if (i % 2)
            assert_int_equal(credentials_revoke(path, name), 0);
    }
    return NULL;
}

static void
editors_do_not_lose_each_others_work(void **state)
{
    pthread_t threads[EDITORS];
    int numbers[EDITORS];
    struct credentials *c = NULL;

    (void) state;
    keys_forget();
    for (int i = 0; i < EDITORS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, edit, &numbers[i]);
    }
    for (int i = 0; i < EDITORS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(credentials_create(&c, path), 0);
    assert_int_equal(credentials_count(c), EDITORS * ROUNDS / 2);
    credentials_destroy(&c);
}

static void
the_list_shows_no_secret(void **state)
{
    char key[CREDENTIALS_KEY_BYTES], *text = NULL;
    size_t bytes = 0;

    (void) state;
    keys_forget();
    assert_int_equal(credentials_add(path, "one", "", key), 0);
    FILE *out = open_memstream(&text, &bytes);
    assert_int_equal(credentials_print(path, out), 0);
    fclose(out);
    assert_non_null(strstr(text, "one - vk_"));
    assert_null(strstr(text, key));
    free(text);
}

static int
dir_make(void **state)
{
    (void) state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/keys", dir);
    return 0;
}

static int
dir_remove(void **state)
{
    char other[80];
    (void) state;
    unlink(path);
    snprintf(other, sizeof(other), "%s.lock", path);
    unlink(other);
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_made_checked_and_revoked),
        cmocka_unit_test(a_file_never_holds_a_key),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(malformed_keys_are_refused),
        cmocka_unit_test(a_malformed_file_is_refused_and_later_kept_out),
        cmocka_unit_test(editors_do_not_lose_each_others_work),
        cmocka_unit_test(the_list_shows_no_secret),
    };
    return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
