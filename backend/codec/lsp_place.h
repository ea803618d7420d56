/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Places in files as language servers name them (LSP 3.17: a file:// URI, a
 * range from 0) and as tools do (a path beneath the root, lines and characters
 * from 1); and the names of what stands there. Pure.
 */

#ifndef VOICE_LSP_PLACE_H
#define VOICE_LSP_PLACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define LSP_PLACE_URI_MAX 12296 /* a path with every byte escaped */

/* {uri, range, file_path, line, character[, outside_root]}; range, line and
 * character only when `range` is one. file_path: beneath `root`, which has no
 * slash at its end, else absolute. NULL: no memory. */
json_t *lsp_place_make(const char *root, const char *uri, const json_t *range);

/* {start: {line, character}, end: {…}}, nothing below 0. */
bool lsp_place_is_range(const json_t *range);

/* file:// and the absolute path, escaped (RFC 8089, RFC 3986). 0, UV_EINVAL,
 * UV_EMSGSIZE. */
int lsp_place_uri(char *uri, size_t room, const char *path);

/* The path of a file:// URI without a host. 0, UV_EINVAL, UV_EMSGSIZE. */
int lsp_place_path(char *path, size_t room, const char *uri);

/* SymbolKind: "function"; "symbol" when it is none. */
const char *lsp_place_symbol_kind(long long kind);

/* LSP's name of the language of files with that extension ("cpp"); the
 * extension itself when there is no other. */
const char *lsp_place_language(const char *extension);

#endif
