/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Runs a fuzz target over its corpus as a unit test: every file that once
 * taught the fuzzer something is tried on every build, also without clang.
 */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 512
#define INPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
replay_file(void **state)
{
    char path[512];
    FILE *file;
    uint8_t *data = malloc(INPUT_MAX);
    size_t bytes;

    snprintf(path, sizeof(path), CORPUS "/%s", (const char *) *state);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_non_null(data);
    bytes = fread(data, 1, INPUT_MAX, file);
    fclose(file);
    /* Exactly as large as the input: a read beyond it is seen. */
    data = realloc(data, bytes + (bytes == 0));
    assert_int_equal(LLVMFuzzerTestOneInput(data, bytes), 0);
    free(data);
}

int
main(void)
{
    static struct CMUnitTest tests[FILES_MAX];
    size_t count = 0;
    struct dirent *entry;
    DIR *dir = opendir(CORPUS);

    if (dir == NULL) {
        fprintf(stderr, "no corpus in " CORPUS "\n");
        return 1;
    }
    while (count < FILES_MAX && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        tests[count].name = strdup(entry->d_name);
        tests[count].test_func = replay_file;
        tests[count].initial_state = (void *) (uintptr_t) tests[count].name;
        count++;
    }
    closedir(dir);
    return _cmocka_run_group_tests("corpus", tests, count, NULL, NULL);
}
