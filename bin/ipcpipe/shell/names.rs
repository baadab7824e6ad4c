//! Live names in completion scripts: what clap generates knows words and files, and this adds what only a running
//! manager knows. It is asked by `ipcpipe manager names --quiet`, which says nothing when there is none.
//!
//! A name is data: no script here has a shell expand it.

use clap_complete::Shell;

use crate::manager::{topics, verbs_of_targets};

/// The beginnings of the positional arguments that are names in what clap generates for zsh.
const ZSH_TARGETS: [&str; 3] = ["words -- Name, pid", "pool -- Pool", "pools -- Pool"];

const BASH: &str = r#"
_ipcpipe_names() {
    local current=${COMP_WORDS[COMP_CWORD]} word= found= name=
    _ipcpipe "$@"
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $found:$word in
            *:--) return 0 ;;
            :manager) found=manager ;;
            manager:help) found=help ;;
            VERBS) found=verb ;;
        esac
    done
    [[ $found == help ]] && COMPREPLY=($(compgen -W "HELP" -- "$current"))
    [[ $found == verb && $current != -* ]] || return 0
    while IFS= read -r name; do
        [[ $name == "$current"* ]] && COMPREPLY+=("$(printf %q "$name")")
    done < <(ipcpipe manager names --quiet 2>/dev/null)
    return 0
}
complete -F _ipcpipe_names -o bashdefault -o default ipcpipe
"#;

const ZSH: &str = r#"
_ipcpipe_names() {
    local -a names
    names=(${(f)"$(ipcpipe manager names --quiet 2>/dev/null)"})
    compadd -a names
}
"#;

const FISH: &str = r#"
complete -c ipcpipe -n "__fish_seen_subcommand_from manager; and __fish_seen_subcommand_from VERBS" -f -a "(ipcpipe manager names --quiet 2>/dev/null)"
"#;

/// `script` with live names, for the shells that can ask for them.
pub(super) fn add(shell: Shell, script: Vec<u8>) -> Vec<u8> {
    let script = String::from_utf8(script).expect("clap generates text");
    let verbs = verbs_of_targets();
    let script = match shell {
        Shell::Bash => script + &BASH.replace("VERBS", &patterns(&verbs)).replace("HELP", &topics().join(" ")),
        Shell::Zsh => zsh(&script),
        Shell::Fish => script + &FISH.replace("VERBS", &verbs.join(" ")),
        _ => script,
    };
    script.into_bytes()
}

/// What bash compares `found:word` with.
fn patterns(verbs: &[String]) -> String {
    verbs.iter().map(|verb| format!("manager:{verb}")).collect::<Vec<_>>().join(" | ")
}

/// The first line has to stay the first, and the last ones call what stands before them.
fn zsh(script: &str) -> String {
    let (first, rest) = script.split_once('\n').unwrap_or((script, ""));
    let lines = rest.lines().map(|line| match ZSH_TARGETS.iter().any(|target| line.contains(target)) {
        true => format!("{}\n", line.replace(":_default'", ":_ipcpipe_names'")),
        false => format!("{line}\n"),
    });
    [format!("{first}\n{ZSH}")].into_iter().chain(lines).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shells_ask_for_names_where_a_target_stands() {
        let read = |shell| String::from_utf8(super::super::script(shell)).unwrap();
        let bash = read(Shell::Bash);
        assert!(bash.contains("manager:pause | manager:resume") && bash.contains("manager:stop"), "{bash}");
        assert!(bash.contains("compgen -W \"create list pause") && bash.contains(" serve"), "{bash}");
        let zsh = read(Shell::Zsh);
        assert!(zsh.starts_with("#compdef ipcpipe\n") && zsh.matches(":_ipcpipe_names'").count() >= 10, "{zsh}");
        assert!(read(Shell::Fish).contains("__fish_seen_subcommand_from pause resume"));
    }
}
