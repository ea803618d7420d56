/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/file_type.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Each with a space before and behind; a name is an ending when it begins with
 * a dot, else all of the file's. */
struct file_type {
    const char *names; /* the first is the kind's */
    const char *files;
};

static const struct file_type types[] = {
    {" c ", " .c .h .C .H .c.in .h.in .cats "},
    {" cmake ", " .cmake CMakeLists.txt "},
    {" cpp c++ cplusplus ",
     " .C .cc .cpp .cxx .c++ .h .H .hh .hpp .hxx .h++ .inl .tpp .h.in .hpp.in "
     ".cpp.in "},
    {" cs csharp c# ", " .cs "},
    {" css ", " .css .scss "},
    {" csv ", " .csv "},
    {" docker dockerfile ", " .dockerfile Dockerfile "},
    {" elixir ", " .ex .exs .eex .heex .leex "},
    {" go golang ", " .go "},
    {" graphql ", " .graphql .graphqls "},
    {" h ", " .h .hpp "},
    {" haskell hs ", " .hs .lhs .cpphs .c2hs .hsc "},
    {" hpp ", " .hpp .hh .hxx "},
    {" html ", " .html .htm .ejs "},
    {" java ", " .java .jsp .jspx .properties "},
    {" js javascript jsx ", " .js .jsx .mjs .cjs .vue "},
    {" json ", " .json .sarif composer.lock "},
    {" kotlin kt ", " .kt .kts "},
    {" lua ", " .lua "},
    {" make makefile ",
     " .mk .mak Makefile makefile GNUmakefile Makefile.am Makefile.in "},
    {" md markdown ", " .md .markdown .mdown .mdwn .mkd .mkdn .mdx "},
    {" perl pl ", " .pl .pm .perl .plx .plh .t .PL "},
    {" php ", " .php .php3 .php4 .php5 .phtml "},
    {" proto protobuf ", " .proto "},
    {" py python ", " .py .pyi "},
    {" r ", " .r .R .Rmd .Rnw "},
    {" rb ruby ", " .rb .rbw .gemspec Gemfile Rakefile config.ru .irbrc "},
    {" rust rs ", " .rs "},
    {" scala ", " .scala .sbt "},
    {" sh shell bash ",
     " .sh .bash .zsh .ksh .csh .tcsh .bashrc .bash_profile .profile .zshrc "
     ".login .logout "},
    {" sql ", " .sql .psql "},
    {" svg ", " .svg "},
    {" swift ", " .swift "},
    {" toml ", " .toml Cargo.lock "},
    {" ts typescript tsx ", " .ts .tsx .cts .mts "},
    {" txt text ", " .txt "},
    {" vim ", " .vim .vimrc .gvimrc vimrc gvimrc "},
    {" xml ",
     " .xml .xml.dist .dtd .rng .sch .xhtml .xjb .xsd .xsl .xslt .svg .plist "},
    {" yaml yml ", " .yaml .yml "},
    {" zig ", " .zig "},
};

static bool
is_word(const char *word, size_t bytes, const char *name)
{
    return strlen(name) == bytes && strncasecmp(word, name, bytes) == 0;
}

const struct file_type *
file_type_find(const char *name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        const char *word = types[i].names + 1;

        for (size_t bytes; (bytes = strcspn(word, " ")) > 0; word += bytes + 1)
            if (is_word(word, bytes, name))
                return &types[i];
    }
    return NULL;
}

bool
file_type_has(const struct file_type *type, const char *name)
{
    const char *word = type->files + 1;
    size_t all = strlen(name);

    for (size_t bytes; (bytes = strcspn(word, " ")) > 0; word += bytes + 1) {
        if (all < bytes || (all > bytes && *word != '.'))
            continue;
        if (memcmp(name + all - bytes, word, bytes) == 0)
            return true;
    }
    return false;
}

const char *
file_type_list(void)
{
    return "c, cmake, cpp, cs, css, csv, docker, elixir, go, graphql, h, "
           "haskell, hpp, html, java, js, json, kotlin, lua, make, md, perl, "
           "php, proto, py, r, rb, rust, scala, sh, sql, svg, swift, toml, ts, "
           "txt, vim, xml, yaml, zig";
}
