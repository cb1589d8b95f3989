# Completion of ./inv for bash:  source <(./inv completion bash)
_inv_complete() {
    local inv=${COMP_WORDS[0]} line
    [ -x "$inv" ] || inv=$(type -P "$inv") || return
    COMPREPLY=()
    while IFS= read -r line; do
        if [ "$line" = :files ]; then
            compopt -o default
        elif [ -n "$line" ]; then
            COMPREPLY+=("${line%%$'\t'*}")
        fi
    done < <("$inv" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _inv_complete inv
