# Completion of ./inv for fish:  ./inv completion fish | source
function __inv_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete $words[2..] 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path (commandline -ct)
            case '?*'
                echo $line
        end
    end
end
complete -c inv -f -a '(__inv_complete)'
