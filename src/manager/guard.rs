//! The guard: a small process that ends what must not outlive the manager, when the manager itself can no longer do it.
//!
//! A signal on the parent's death (PR_SET_PDEATHSIG) reaches one process and not its descendants, and is lost on an exec
//! with other privileges. The guard instead reads a pipe that only the manager can write: when that ends, the manager is
//! dead, whatever killed it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::time::Duration;

use crate::manager::tree::{Root, signal_outside};
use crate::sys::handle::Handle;
use crate::sys::proc::Stat;
use crate::sys::signal;

const SIGKILL: i32 = 9;
const SIGSTOP: i32 = 19;

/// No process has this number, nor any above it: they stand for all jobs of a pool, which are known by their cookie alone.
pub(crate) const FIRST_POOL: u32 = 1 << 31;

/// Looks in a row that find nothing of a tree which was about to be started: its first process may not have come to its
/// exec yet, and so to its cookie.
const PATIENCE: u32 = 50;

/// How often a tree is killed at most until nothing of it is found: what is still there then cannot be killed.
const ROUNDS: u32 = 100;

/// How often everybody is told to stop, in one round, until everybody has.
const LOOKS: u32 = 20;

/// Time for signals to take effect.
const PAUSE: Duration = Duration::from_millis(2);

/// Obeys the manager at the other end of `input` until it ends, and then ends with SIGKILL every process tree that is
/// still held. Blocks until then, and for some seconds at most after it.
///
/// `hold PID START_TICKS COOKIE` takes hold of the tree whose leader has this pid and start time and whose processes
/// have the environment entry COOKIE; `release PID` lets go of it. Each ends with a newline, and what is neither is
/// ignored. An orderly manager releases everything before it ends. It releases a pid before it holds another tree with
/// the same one. Pid 0 stands for a tree that is about to be, known by its cookie alone; a number that
/// is too large for a pid for all that has the cookie, now and later.
///
/// The requests to end a program (SIGINT, SIGTERM and so on) are ignored from now on, since a terminal sends them to the
/// manager's whole group.
///
/// # Errors
/// The system's when reading, after everything was ended.
pub fn run_guard(input: impl Read) -> io::Result<()> {
    signal::ignore(&signal::REQUESTS)?;
    let mut held = BTreeMap::new();
    let read = read_words(BufReader::new(input), &mut held);
    end(&held.into_values().collect::<Vec<_>>());
    read
}

/// One tree, held from the moment that the manager named it.
struct Held {
    root: Root,
    /// The leader, if it was still there. Its number is never used after that: it may be given away.
    leader: Option<Handle>,
}

fn read_words(mut input: impl BufRead, held: &mut BTreeMap<u32, Held>) -> io::Result<()> {
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        // A line without its newline is half a line of a manager that died.
        if let Some(text) = line.strip_suffix(b"\n").and_then(|line| std::str::from_utf8(line).ok()) {
            obey(text, held);
        }
        line.clear();
    }
    Ok(())
}

/// Words that mean nothing are ignored, because the trees that are held already depend on this process.
fn obey(line: &str, held: &mut BTreeMap<u32, Held>) {
    let mut words = line.splitn(4, ' ');
    let verb = words.next();
    let Some(pid) = words.next().and_then(|pid| pid.parse().ok()) else { return };
    let start_ticks = words.next().and_then(|ticks| ticks.parse().ok());
    match (verb, start_ticks, words.next()) {
        (Some("hold"), Some(start_ticks), Some(cookie)) if cookie.contains('=') => {
            let root = Root { pid, start_ticks, cookie: cookie.to_owned() };
            held.insert(pid, Held { root, leader: Handle::open(pid, start_ticks) });
        }
        (Some("release"), None, None) => drop(held.remove(&pid)),
        _ => {}
    }
}

/// Kills all trees until two looks in a row, or more for one that may still come, find nothing of any: together, because
/// each look is one at the whole system.
fn end(held: &[Held]) {
    let is_expected = held.iter().any(|it| it.root.pid == 0 || it.root.pid >= FIRST_POOL);
    let enough = if is_expected { PATIENCE } else { 2 };
    let mut found_nothing = if held.is_empty() { enough } else { 0 };
    for _ in 0..ROUNDS {
        if found_nothing >= enough {
            return;
        }
        let members = stopped(held);
        signal_each(held, &members, SIGKILL);
        found_nothing = if members.iter().all(Vec::is_empty) { found_nothing + 1 } else { 0 };
        std::thread::sleep(PAUSE);
    }
}

/// Stops all trees and says who is in each. While somebody runs, it can make new ones; and whose parent is killed first
/// is found no more by descent.
fn stopped(held: &[Held]) -> Vec<Vec<Stat>> {
    let roots: Vec<&Root> = held.iter().map(|it| &it.root).collect();
    let mut members = Root::each_anywhere(&roots);
    for _ in 0..LOOKS {
        if members.iter().flatten().all(Stat::is_stopped) {
            break;
        }
        signal_each(held, &members, SIGSTOP);
        std::thread::sleep(PAUSE);
        members = Root::each_anywhere(&roots);
    }
    members
}

/// Each group is signalled as a whole too, for those in it that have neither parent nor cookie.
fn signal_each(held: &[Held], members: &[Vec<Stat>], signal: i32) {
    for leader in held.iter().filter_map(|it| it.leader.as_ref()) {
        leader.signal_group(signal);
    }
    // No process has group 0, so this is everybody.
    members.iter().for_each(|members| signal_outside(members, 0, signal));
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use crate::manager::testing::tree;
    use crate::sys::child::Child;
    use crate::sys::proc;
    use crate::sys::testing::{alone, eventually};

    fn is_gone(pid: u32) -> bool {
        proc::stat(pid).is_none_or(|stat| stat.is_zombie())
    }

    /// A guard that is told `words` and then meets the death of its manager.
    fn guarded(words: &[u8], meanwhile: impl FnOnce()) {
        let (read, write) = crate::sys::fd::pipe().unwrap();
        let guard = std::thread::spawn(|| run_guard(File::from(read)));
        let mut write = File::from(write);
        write.write_all(words).unwrap();
        meanwhile();
        drop(write);
        guard.join().unwrap().unwrap();
    }

    fn hold(root: &Root) -> String {
        format!("hold {} {} {}\n", root.pid, root.start_ticks, root.cookie)
    }

    /// A tree with an orphan in a session of its own.
    fn scattered(cookie: &str) -> (Child, Root, Vec<u32>) {
        let script = "sleep 1000 & setsid sh -c 'sh -c \"sleep 1000 & wait\" &'; exec sleep 1000";
        let (child, root, _) = tree(cookie, script, 0);
        eventually(|| root.members_anywhere().iter().filter(|stat| stat.name == "sleep").count() == 3);
        eventually(|| root.members_anywhere().len() == 4);
        let pids = root.members_anywhere().iter().map(|stat| stat.pid).collect();
        (child, root, pids)
    }

    #[test]
    fn what_is_held_ends_with_the_manager_and_what_is_released_does_not() {
        alone("manager::guard::tests::what_is_held_ends_with_the_manager_and_what_is_released_does_not", || {
            let (_first, first, doomed) = scattered("guard-1");
            let (_second, second, spared) = scattered("guard-2");
            let (_third, third, unheard) = scattered("guard-3");
            let (first_word, second_word, release) = (hold(&first), hold(&second), format!("release {}\n", second.pid));
            let half = hold(&third);
            let words =
                [&first_word, "nonsense\nhold\nhold x y\nhold 1 2\nrelease\n\n", &second_word, &release].concat();
            let words = [words.as_bytes(), b"\xff\n", half.trim_end().as_bytes()].concat();
            guarded(&words, || assert!(!doomed.iter().any(|&pid| is_gone(pid))));
            assert!(doomed.iter().all(|&pid| is_gone(pid)));
            assert!(!spared.iter().chain(&unheard).any(|&pid| is_gone(pid)));
            guarded([second_word, half].concat().as_bytes(), || ());
            assert!(spared.iter().chain(&unheard).all(|&pid| is_gone(pid)));
        });
    }

    #[test]
    fn the_tree_of_a_dead_leader_ends_too() {
        alone("manager::guard::tests::the_tree_of_a_dead_leader_ends_too", || {
            let script =
                "env -i sleep 1000 >/dev/null & echo $!; setsid sleep 1000 >/dev/null & echo $!; read line <$0";
            let fifo = tempfile::tempdir().unwrap();
            let path = fifo.path().join("fifo");
            assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
            let script = script.replace("$0", path.to_str().unwrap());
            let (mut child, root, pids) = tree("guard-4", &script, 2);
            eventually(|| pids.iter().all(|&pid| proc::stat(pid).is_some_and(|stat| stat.name == "sleep")));
            guarded(hold(&root).as_bytes(), || {
                // The guard has read its line when it holds the leader, which one more descriptor shows.
                eventually(holds_a_process);
                let mut line = File::options().read(true).write(true).open(&path).unwrap();
                line.write_all(b"\n").unwrap();
                child.wait().unwrap();
                assert!(!pids.iter().any(|&pid| is_gone(pid)));
            });
            eventually(|| pids.iter().all(|&pid| is_gone(pid)));
        });
    }

    /// True if this process has two pidfds: the test's and the guard's.
    fn holds_a_process() -> bool {
        let fds = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let links = fds.filter_map(|fd| std::fs::read_link(fd.path()).ok());
        links.filter(|link| link.to_string_lossy().contains("pidfd")).count() == 2
    }

    #[test]
    fn a_tree_that_keeps_forking_ends() {
        alone("manager::guard::tests::a_tree_that_keeps_forking_ends", || {
            let script = "while :; do setsid sh -c 'sleep 0.05; sleep 1000' & sleep 0.01; done";
            let (_child, root, _) = tree("guard-5", script, 0);
            eventually(|| root.members_anywhere().len() > 10);
            guarded(hold(&root).as_bytes(), || ());
            assert!(root.members_anywhere().is_empty());
        });
    }
}
