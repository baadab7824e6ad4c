//! The prompt, on a terminal.

use nix::sys::signal::Signal;

use super::harness::{is_gone, state};
use super::terminal::{CTRL_C, CTRL_D, CTRL_Z, TAB, Terminal, UP};
use crate::sandbox::{Sandbox, processes, send, wait_for};

/// The end of an answer, and the next prompt.
const NEXT: &str = "\r\n\r\x1b[J> ";

/// The number behind `text` in what was seen.
fn number_behind(seen: &str, text: &str) -> u32 {
    let digits = seen.rsplit_once(text).unwrap().1;
    digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// Done when 1, at the prompt.
#[test]
fn the_dialogue_of_the_seed_is_typed() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::prompt(&sandbox);
    let seen = terminal.says("create process p1", "(tick every 1s)\r\n");
    let pid = number_behind(&seen, "process p1 started, pid ");
    assert!(!is_gone(pid));
    terminal.says("create thread t1", "thread t1 started, tid ");
    terminal.says("pause process p1", "process p1 paused (1 process)\r\n");
    assert_eq!(state(pid), Some('T'));
    let seen = terminal.says("list process", "tick --every 1s\r\n");
    assert!(seen.contains("Paused") && !seen.contains("t1"), "{seen}");
    let seen = terminal.says("list thread", "tick --every 1s\r\n");
    assert!(seen.contains("Running") && seen.contains("t1"), "{seen}");
    terminal.says("resume process p1", "process p1 resumed\r\n");
    assert_ne!(state(pid), Some('T'));
    terminal.says("create process p1", &format!("ipcpipe: the name p1 is taken (pid {pid})\r\n"));
    terminal.says("terminate process p1", "(1 process, none left)\r\n");
    assert!(is_gone(pid));
    terminal.says("list process", "Killed(SIGTERM)");
    terminal.types("exit\r");
    let (status, rest) = terminal.finish();
    assert_eq!(status.code(), Some(0), "{rest}");
    assert!(rest.contains("manager ended, 1 thread stopped\r\n"), "{rest}");
}

#[test]
fn tab_completes_verbs_and_live_names() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::prompt(&sandbox);
    terminal.says("create process database", "started, pid ");
    terminal.says("create process web-1", "started, pid ");
    terminal.says("create process web-2", "started, pid ");
    // A verb, and a name that one letter is enough for.
    terminal.types(&format!("pau{TAB}d{TAB}\r"));
    terminal.sees("process database paused (1 process)\r\n");
    // As far as it is certain, and then what there is.
    terminal.types(&format!("resume w{TAB}{TAB}"));
    terminal.sees("web-1  web-2");
    terminal.types("2\r");
    terminal.sees("process web-2 resumed\r\n");
    // What has ended is not offered to a verb.
    terminal.says("terminate database", "none left)\r\n");
    terminal.types(&format!("pause d{TAB}\r"));
    terminal.sees("there is no process, thread or pool d");
    terminal.types("exit\r");
    assert_eq!(terminal.finish().0.code(), Some(0));
}

#[test]
fn the_history_comes_back_with_the_next_manager() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::prompt(&sandbox);
    terminal.says("create process p1", "process p1 started, pid ");
    terminal.says("pause p1", "process p1 paused");
    terminal.says("resume p1", "process p1 resumed");
    terminal.types(&format!("{UP}{UP}\r"));
    terminal.sees("process p1 paused");
    terminal.types("exit\r");
    assert_eq!(terminal.finish().0.code(), Some(0));

    let mut terminal = Terminal::prompt(&sandbox);
    // The lines before: exit, pause, resume, pause, create.
    terminal.types(&UP.repeat(5));
    terminal.types("\r");
    terminal.sees("process p1 started, pid ");
    terminal.types("exit\r");
    assert_eq!(terminal.finish().0.code(), Some(0));
}

#[test]
fn ctrl_c_cancels_the_line() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::prompt(&sandbox);
    terminal.says("create process p1", "process p1 started, pid ");
    terminal.types("terminate p");
    terminal.types(CTRL_C);
    terminal.sees("^C\r\n");
    terminal.says("pause p1", "process p1 paused (1 process)\r\n");
    terminal.types("exit\r");
    assert_eq!(terminal.finish().0.code(), Some(0));
}

#[test]
fn ctrl_c_during_a_wait_ends_the_wait() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::prompt(&sandbox);
    let seen = terminal.says("create process p1 -- sh -c 'echo a line; exec sleep 1000'", NEXT);
    let pid = number_behind(&seen, "process p1 started, pid ");
    terminal.types("wait p1\r");
    wait_for("the terminal as it was", || terminal.is_cooked().then_some(()));
    terminal.types(CTRL_C);
    terminal.sees("> ");
    assert!(!is_gone(pid), "Ctrl-C is not for the processes");
    terminal.types("logs -f p1\r");
    terminal.sees("a line\r\n");
    terminal.types(CTRL_C);
    terminal.says("pause p1", "process p1 paused");
    assert_eq!(state(pid), Some('T'));
    terminal.types("exit\r");
    assert_eq!(terminal.finish().0.code(), Some(0));
}

/// Ctrl-D is a quit, which waits for what is no daemon; Ctrl-C then ends it now.
#[test]
fn ctrl_d_quits_and_ctrl_c_hurries_it() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::prompt(&sandbox);
    terminal.says("create process helper --daemon", "process helper started, pid ");
    terminal.types(CTRL_D);
    let (status, rest) = terminal.finish();
    assert_eq!(status.code(), Some(0));
    assert!(!rest.contains("waiting"), "{rest}");

    let mut terminal = Terminal::prompt(&sandbox);
    let seen = terminal.says("create process web -- sleep 1000", NEXT);
    let pid = number_behind(&seen, "process web started, pid ");
    terminal.types(CTRL_D);
    terminal.sees("waiting for web (Ctrl-C: end now)\r\n");
    assert!(!is_gone(pid));
    terminal.types(CTRL_C);
    let (status, rest) = terminal.finish();
    assert_eq!(status.code(), Some(0), "{rest}");
    assert!(is_gone(pid));
}

/// Ctrl-Z and fg under a shell with job control.
#[test]
fn a_suspended_prompt_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::run(&sandbox, &["bash", "--norc", "--noprofile", "-i"]);
    terminal.types("PS1='ready$ '\r");
    terminal.sees("ready$ '");
    terminal.sees("ready$ ");
    terminal.types("$IPCPIPE manager\r");
    terminal.sees("\r\n");
    terminal.sees("> ");
    terminal.says("create process p1", "process p1 started, pid ");
    let shell = terminal.pid();
    let manager = processes().into_iter().find(|it| it.parent == shell).expect("the manager").pid;
    for _ in 0..2 {
        terminal.types(CTRL_Z);
        wait_for("the stop", || (state(manager) == Some('T')).then_some(()));
        terminal.sees("Stopped");
        terminal.sees("ready$ ");
        terminal.says("fg", "manager\r\n");
        terminal.sees("> ");
        terminal.says("show p1", "status        Running\r\n");
    }
    // During a command as well.
    terminal.types("wait p1\r");
    wait_for("the terminal as it was", || terminal.is_cooked().then_some(()));
    terminal.types(CTRL_Z);
    terminal.sees("ready$ ");
    terminal.types("fg\r");
    terminal.sees("manager\r\n");
    send(manager, Signal::SIGINT);
    terminal.sees("> ");
    terminal.says("terminate p1", "none left)\r\n");
    terminal.says("exit", "manager ended");
    terminal.sees("ready$ ");
    terminal.types("exit\r");
    assert_eq!(terminal.finish().0.code(), Some(0));
}

/// What nobody here has asked for is printed above the line that is being typed.
#[test]
fn news_are_printed_above_the_line() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::prompt(&sandbox);
    let create = "create process p1 --restart on-failure --backoff 1ms..1ms -- sh -c 'test -e again && exec sleep 1000; \
        while [ ! -e go ]; do sleep 0.01; done; touch again; exit 7'";
    terminal.says(create, NEXT);
    terminal.types("pause p");
    terminal.sees("pause p");
    std::fs::write(sandbox.path("go"), "").unwrap();
    terminal.sees("exited with 7; restart in ");
    terminal.sees("pause p");
    terminal.types("1\r");
    terminal.sees("process p1 paused");
    terminal.types("exit\r");
    assert_eq!(terminal.finish().0.code(), Some(0));
}

/// `attach` says how it is left, and leaves the manager alone.
#[test]
fn a_visitor_can_leave() {
    let sandbox = Sandbox::new();
    let server = super::harness::Server::start(&sandbox);
    let mut terminal = Terminal::run(&sandbox, &[env!("CARGO_BIN_EXE_ipcpipe"), "manager", "attach"]);
    terminal.sees("run/ipcpipe/manager.sock; 'detach' or Ctrl-D leaves it, 'quit' and 'exit' end it\r\n");
    terminal.sees("type 'help' for the verbs");
    terminal.sees("> ");
    terminal.types("detach\r");
    assert_eq!(terminal.finish().0.code(), Some(0));
    server.exit();
}

/// A failure that was answered is no news.
#[test]
fn a_failed_creation_is_told_once() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::prompt(&sandbox);
    terminal.says("create process p1 -- /nowhere", "No such file or directory");
    terminal.says("detach", "which 'quit' ends\r\n");
    terminal.types("exit\r");
    let (status, rest) = terminal.finish();
    assert_eq!(status.code(), Some(0));
    assert!(!rest.contains("No such file"), "{rest}");
}

/// A closed terminal and SIGTERM end the manager, and nothing is left.
#[test]
fn a_prompt_without_its_terminal_ends() {
    let sandbox = Sandbox::new();
    let mut terminal = Terminal::prompt(&sandbox);
    terminal.says("create process helper --daemon", "process helper started, pid ");
    terminal.hang_up();
    wait_for("the end", || sandbox.inhabitants().is_empty().then_some(()));

    let mut terminal = Terminal::prompt(&sandbox);
    terminal.says("create process helper --daemon", "process helper started, pid ");
    send(terminal.pid(), Signal::SIGTERM);
    terminal.finish();
    assert!(sandbox.inhabitants().is_empty());
}
