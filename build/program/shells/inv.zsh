# Completion of ./inv for zsh, after compinit:  source <(./inv completion zsh)
_inv() {
    local inv=${words[1]} line
    local -a found
    [[ -x $inv ]] || inv=$(whence -p -- $inv) || return
    for line in "${(@f)$("$inv" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        case $line in
        :files) _files ;;
        ?*) found+=("${${line%%$'\t'*}//:/\\:}${${(M)line%$'\t'*}:+:${line#*$'\t'}}") ;;
        esac
    done
    (( $#found )) && _describe -V inv found
}
compdef _inv inv
