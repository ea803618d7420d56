/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The peer of row http.plain_libfcgi_ratio: libfcgi as its manual has it, N
 * threads in FCGX_Accept_r. It needs a thread for each connection that NGINX
 * keeps. usage: plain-libfcgi SOCKET THREADS BODY
 */

#include <fcgiapp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int listen_fd;
static const char *body;

static void *
serve(void *arg)
{
    FCGX_Request request;
    char drain[4096];

    (void) arg;
    if (FCGX_InitRequest(&request, listen_fd, 0) != 0)
        return NULL;
    while (FCGX_Accept_r(&request) >= 0) {
        while (FCGX_GetStr(drain, sizeof(drain), request.in) > 0)
            ;
        FCGX_FPrintF(request.out,
                     "Content-Type: application/json\r\n"
                     "Content-Length: %d\r\n\r\n%s",
                     (int) strlen(body), body);
        FCGX_Finish_r(&request);
    }
    return NULL;
}

int
main(int argc, char **argv)
{
    long threads = argc == 4 ? strtol(argv[2], NULL, 10) : 0;

    if (threads < 1 || threads > 1024) {
        fputs("usage: plain-libfcgi SOCKET THREADS BODY\n", stderr);
        return 2;
    }
    body = argv[3];
    if (FCGX_Init() != 0 || (listen_fd = FCGX_OpenSocket(argv[1], 1024)) < 0) {
        fputs("plain-libfcgi: can't listen\n", stderr);
        return 1;
    }
    for (long i = 1; i < threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve, NULL) != 0)
            return 1;
        pthread_detach(thread);
    }
    serve(NULL);
    return 0;
}
