#include <string.h>

#include "client/command.h"
#include "client/complete.h"
#include "proto/mem.h"

static const char bash[] =
    "# bash completion of coro(1): coro itself says what fits.\n"
    "_coro() {\n"
    "    local line word about offset words=() abouts=() typed=() glue='' cur i\n"
    "    # --name=value is three words where = ends one.\n"
    "    for ((i = 1; i <= COMP_CWORD; i++)); do\n"
    "        word=${COMP_WORDS[i]}\n"
    "        if [[ $glue || ($word == = && ${typed[-1]-} == --*) ]]; then\n"
    "            typed[-1]+=$word glue=\n"
    "            [[ $word != = ]] || glue=1\n"
    "        else\n"
    "            typed+=(\"$word\")\n"
    "        fi\n"
    "    done\n"
    "    cur=${COMP_WORDS[COMP_CWORD]}\n"
    "    [[ $cur != = ]] || cur=\n"
    "    COMPREPLY=()\n"
    "    while IFS= read -r line; do\n"
    "        case $line in\n"
    "        :files) compopt -o filenames 2>/dev/null\n"
    "            mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -f -- \"$cur\") ;;\n"
    "        :directories) compopt -o filenames 2>/dev/null\n"
    "            mapfile -t -O \"${#COMPREPLY[@]}\" COMPREPLY < <(compgen -d -- \"$cur\") ;;\n"
    "        :command*) offset=$((${line#:command } + 1))\n"
    "            if declare -F _command_offset >/dev/null; then\n"
    "                _command_offset \"$offset\"\n"
    "            elif [ \"$COMP_CWORD\" -eq \"$offset\" ]; then\n"
    "                mapfile -t COMPREPLY < <(compgen -c -- \"$cur\")\n"
    "            else\n"
    "                compopt -o filenames 2>/dev/null\n"
    "                mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "            fi\n"
    "            return ;;\n"
    "        *) word=${line%%$'\\t'*} about=${line#\"$word\"}\n"
    "            words+=(\"$word\") abouts+=(\"${about#$'\\t'}\") ;;\n"
    "        esac\n"
    "    done < <(\"${COMP_WORDS[0]}\" completions words -- \"${typed[@]}\" 2>/dev/null)\n"
    "    for i in \"${!words[@]}\"; do\n"
    "        # A list that is only looked at says what each is.\n"
    "        if [ \"$COMP_TYPE\" = 63 ] && [ ${#words[@]} -gt 1 ] && [ -n \"${abouts[i]}\" ]; "
    "then\n"
    "            COMPREPLY+=(\"${words[i]}  (${abouts[i]})\")\n"
    "        else\n"
    "            COMPREPLY+=(\"${words[i]}\")\n"
    "        fi\n"
    "    done\n"
    "    # Of --name=value only the value is completed.\n"
    "    if [[ ${typed[-1]-} == --*=* && $COMP_WORDBREAKS == *=* ]]; then\n"
    "        COMPREPLY=(\"${COMPREPLY[@]#\"${typed[-1]%%=*}=\"}\")\n"
    "    fi\n"
    "}\n"
    "complete -F _coro coro\n";

static const char zsh[] =
    "#compdef coro\n"
    "# zsh completion of coro(1): coro itself says what fits.\n"
    "_coro() {\n"
    "    local line word about offset\n"
    "    local -a found shown typed\n"
    "    typed=(\"${(@Q)words[2,CURRENT]}\")\n"
    "    while IFS= read -r line; do\n"
    "        case $line in\n"
    "        :files) _files ;;\n"
    "        :directories) _files -/ ;;\n"
    "        :command*) offset=${line#:command }\n"
    "            shift $((offset + 1)) words\n"
    "            (( CURRENT -= offset + 1 ))\n"
    "            _normal\n"
    "            return ;;\n"
    "        *) word=${line%%$'\\t'*}\n"
    "            about=${line#\"$word\"}\n"
    "            about=${about#$'\\t'}\n"
    "            found+=(\"$word\")\n"
    "            shown+=(\"${word}${about:+  -- $about}\") ;;\n"
    "        esac\n"
    "    done < <(\"${(Q)words[1]}\" completions words -- \"${typed[@]}\" 2>/dev/null)\n"
    "    (( ${#found} )) && compadd -l -d shown -a found\n"
    "}\n"
    "if [ \"$funcstack[1]\" = _coro ]; then\n"
    "    _coro \"$@\"\n"
    "else\n"
    "    compdef _coro coro\n"
    "fi\n";

static const char fish[] =
    "# fish completion of coro(1): coro itself says what fits.\n"
    "function __coro_complete\n"
    "    set -l typed (commandline -opc) (commandline -ct)\n"
    "    set -l program $typed[1]\n"
    "    set -l current (commandline -ct)\n"
    "    for line in ($program completions words -- $typed[2..-1] 2>/dev/null)\n"
    "        switch $line\n"
    "            case ':files'\n"
    "                __fish_complete_path $current\n"
    "            case ':directories'\n"
    "                __fish_complete_directories $current\n"
    "            case ':command *'\n"
    "                set -l offset (string replace ':command ' '' -- $line)\n"
    "                complete -C (string join ' ' -- (string escape -- $typed[(math $offset + "
    "2)..-2]) \"$current\")\n"
    "            case '*'\n"
    "                printf '%s\\n' $line\n"
    "        end\n"
    "    end\n"
    "end\n"
    "complete -c coro -f -k -a '(__coro_complete)'\n";

static int run(struct cli *c, const struct options *o, int argc, char **argv)
{
    static const struct {
        const char *name, *script;
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    (void)o;

    if (argc > 0 && strcmp(argv[0], "words") == 0) {
        int skip = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
        c->no_start = true;
        complete_print(c, argc - skip, argv + skip);
        return EXIT_OK;
    }
    for (size_t i = 0; argc == 1 && i < ARRAY_LEN(shells); i++) {
        if (strcmp(shells[i].name, argv[0]) == 0) {
            fputs(shells[i].script, c->out.file);
            return EXIT_OK;
        }
    }
    return cli_usage(c, "for which shell? coro completions bash, zsh or fish");
}

static const struct option none[] = {OPTIONS_END};
const struct command command_completions = {
    .name = "completions",
    .args = "bash|zsh|fish",
    .summary = "print the completions for a shell",
    .takes_command = true,
    .options = none,
    .help = "An installed coro brings them along. Where it does not: for bash,\n"
            "`source <(coro completions bash)` in ~/.bashrc; for zsh the same behind compinit in\n"
            "~/.zshrc; for fish `coro completions fish >~/.config/fish/completions/coro.fish`.",
    .examples = "coro completions zsh >~/.zsh/_coro\n",
    .run = run,
};
