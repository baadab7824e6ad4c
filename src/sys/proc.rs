//! Facts about processes and threads from /proc: state, family, CPU time, memory (proc_pid_stat(5)).

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read;
use std::time::{Duration, Instant};

/// What the kernel says of one process or thread at one moment.
#[derive(Clone, Debug)]
pub struct Stat {
    /// Process id, or thread id of a thread.
    pub pid: u32,
    /// Its name: at most 15 bytes of a program, with U+FFFD for what is no UTF-8.
    pub name: String,
    /// The state as ps(1) shows it: R, S, D, T, t, Z, X, I. A process is in T or Z only when all its threads are.
    pub state: char,
    /// Process id of the parent.
    pub parent: u32,
    /// Process group.
    pub group: u32,
    /// Session.
    pub session: u32,
    /// When it started, in clock ticks since boot: with the pid, the identity of a process.
    pub start_ticks: u64,
    /// CPU time in user mode and in the kernel, without that of children, in steps of a clock tick (10 ms).
    pub cpu: Duration,
    /// Resident memory in KiB; shared pages count. The kernel counts on each CPU before it adds up, so that some hundred
    /// KiB may be missing, and all of a process that has just begun.
    pub rss_kib: u64,
}

impl Stat {
    /// True if it has ended and waits to be reaped.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// True if it is stopped, by a signal or by a tracer.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

/// What the kernel says of process `pid`. None when there is no such process, or it cannot be read. Never blocks.
#[must_use]
pub fn stat(pid: u32) -> Option<Stat> {
    let (mut stat, threads) = read_stat(&format!("/proc/{pid}/stat"))?;
    // The line shows the main thread, which may have ended or stopped before the others.
    if threads > 1
        && (stat.is_zombie() || stat.is_stopped())
        && let Some(state) = other_state(pid, stat.is_zombie())
    {
        stat.state = state;
    }
    Some(stat)
}

/// The state of a thread of `pid` that is not as far as the main thread: alive, or not stopped.
fn other_state(pid: u32, main_has_ended: bool) -> Option<char> {
    let threads = ids(&format!("/proc/{pid}/task"));
    let others = threads.into_iter().filter_map(|tid| read_stat(&format!("/proc/{pid}/task/{tid}/stat")));
    let mut alive: Vec<Stat> = others.map(|(stat, _)| stat).filter(|stat| !stat.is_zombie()).collect();
    alive.sort_by_key(Stat::is_stopped);
    alive.first().filter(|stat| main_has_ended || !stat.is_stopped()).map(|stat| stat.state)
}

/// Anonymous memory of this process that is resident now, in KiB: what it has allocated, without pages of files and shared
/// memory. None where /proc does not say (proc_pid_statm(5)).
#[must_use]
pub fn own_anonymous_kib() -> Option<u64> {
    let mut line = [0; 128];
    let length = File::open("/proc/self/statm").and_then(|mut file| file.read(&mut line)).ok()?;
    let mut pages = std::str::from_utf8(&line[..length]).ok()?.split(' ').skip(1).map(str::parse::<u64>);
    let (resident, shared) = (pages.next()?.ok()?, pages.next()?.ok()?);
    Some(resident.saturating_sub(shared) * rustix::param::page_size() as u64 / 1024)
}

/// Every process that there is, zombies too, in the order of their pids. One that lived from the beginning to the end of
/// the call is among them for certain, which [`children`] does not promise. Takes some microseconds for each process.
#[must_use]
pub fn all() -> Vec<Stat> {
    ids("/proc").into_iter().filter_map(stat).collect()
}

/// The children of all threads of process `pid`, zombies too; empty when there is no such process. One may be missing
/// if another ends at the same moment.
#[must_use]
pub fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut text = String::new();
    let mut path = String::new();
    for tid in ids(&format!("/proc/{pid}/task")) {
        path.clear();
        let _ = write!(path, "/proc/{pid}/task/{tid}/children");
        text.clear();
        match File::open(&path).and_then(|mut file| file.read_to_string(&mut text)) {
            Ok(_) => found.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok())),
            Err(_) if !has_children_files() => {
                return all().into_iter().filter(|stat| stat.parent == pid).map(|stat| stat.pid).collect();
            }
            Err(_) => {}
        }
    }
    found
}

/// False on a kernel without CONFIG_PROC_CHILDREN.
fn has_children_files() -> bool {
    fs::exists("/proc/thread-self/children").unwrap_or(false)
}

/// True if the environment that process `pid` was executed with holds exactly this `KEY=VALUE` entry. False when it
/// does not, or cannot be read: another user's process, a kernel thread, one that wrote its title over it.
///
/// Waits, for 10 ms at most, when the process is just being executed, because for that moment it has no environment.
#[must_use]
pub fn environ_has(pid: u32, entry: &str) -> bool {
    environ(pid).split(|&byte| byte == 0).any(|it| it == entry.as_bytes())
}

/// The environment that process `pid` was executed with, a zero byte behind each entry; empty where
/// [`environ_has`] is false for every entry, and waits as that does.
#[must_use]
pub fn environ(pid: u32) -> Vec<u8> {
    let deadline = Instant::now() + Duration::from_millis(10);
    loop {
        let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else { return Vec::new() };
        if !environ.is_empty() || !is_being_executed(pid) || Instant::now() > deadline {
            return environ;
        }
        std::thread::yield_now();
    }
}

/// True while exec(2) is at work on process `pid`: it has memory, and the end of its environment (field 51) is not set.
/// Kernel threads and zombies have no memory (field 23).
fn is_being_executed(pid: u32) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/stat")) else { return false };
    let tail = line.rsplit(|&byte| byte == b')').next().unwrap_or_default();
    let field = |number: usize| tail.split(|byte| byte.is_ascii_whitespace()).nth(number - 2);
    field(23).is_some_and(|size| size != b"0") && field(51) == Some(b"0")
}

/// The numbers that are names in `dir`; empty when it cannot be read.
fn ids(dir: &str) -> Vec<u32> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A stat file, and how many threads it counts.
fn read_stat(path: &str) -> Option<(Stat, u64)> {
    // The file has 52 numbers and a name of at most 64 bytes, which a single read delivers.
    let mut buffer = [0; 2048];
    let length = File::open(path).ok()?.read(&mut buffer).ok()?;
    parse(&buffer[..length])
}

/// Reads `pid (name) state parent group ...`. The name may hold anything, so it ends at the last parenthesis.
fn parse(line: &[u8]) -> Option<(Stat, u64)> {
    let open = line.iter().position(|&byte| byte == b'(')?;
    let close = line.iter().rposition(|&byte| byte == b')')?;
    let pid = std::str::from_utf8(&line[..open]).ok()?.trim().parse().ok()?;
    let name = String::from_utf8_lossy(line.get(open + 1..close)?).into_owned();
    let mut fields = std::str::from_utf8(&line[close + 1..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    // Fields are numbered as in proc_pid_stat(5), and the state is 3; a skipped one is never parsed.
    let mut at = 3;
    let mut field = |number: usize| {
        let value = fields.nth(number - at - 1)?;
        at = number;
        Some(value)
    };
    let parent = field(4)?.parse().ok()?;
    let group = number_or_zero(field(5)?);
    let session = number_or_zero(field(6)?);
    let user: u64 = field(14)?.parse().ok()?;
    let system: u64 = field(15)?.parse().ok()?;
    let threads = field(20)?.parse().ok()?;
    let start_ticks = field(22)?.parse().ok()?;
    let pages: u64 = field(24)?.parse().unwrap_or(0);
    let rss_kib = pages * (rustix::param::page_size() as u64 / 1024);
    let stat = Stat { pid, name, state, parent, group, session, start_ticks, cpu: ticks(user + system), rss_kib };
    Some((stat, threads))
}

/// A dying process has group and session -1 for a moment, and one of another namespace 0.
fn number_or_zero(text: &str) -> u32 {
    text.parse().unwrap_or(0)
}

fn ticks(count: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Duration::from_nanos((u128::from(count) * 1_000_000_000 / u128::from(per_second)) as u64)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let tail = b") T 4 5 6 0 -1 0 0 0 0 0 7 8 0 0 20 0 3 0 99 1000 2 18446744073709551615 0 0";
        for name in [&b"sh"[..], b"a) R 1 1 1 (b", b"\n\n) (", b"\xff", b""] {
            let line = [b"42 (", name, tail].concat();
            let (stat, threads) = parse(&line).unwrap();
            assert_eq!(stat.name, String::from_utf8_lossy(name));
            assert_eq!((stat.pid, stat.state, stat.parent, stat.group, stat.session), (42, 'T', 4, 5, 6));
            assert_eq!((stat.start_ticks, threads), (99, 3));
            assert_eq!(stat.cpu, Duration::from_millis(15 * 1000 / rustix::param::clock_ticks_per_second()));
            assert_eq!(stat.rss_kib, 2 * rustix::param::page_size() as u64 / 1024);
        }
        for bad in [&b""[..], b"42", b"42 (sh", b")42(", b"42 (sh)", b"42 (sh) R 1 1 1 0"] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_child_is_seen_with_its_environment_and_as_a_zombie() {
        let mut child = Command::new("sh")
            .args(["-c", "read line"])
            .env("IPCPIPE_TEST", "a=b")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        let seen = stat(pid).unwrap();
        assert_eq!((seen.pid, seen.parent), (pid, std::process::id()));
        assert!(!seen.is_zombie() && stat(std::process::id()).unwrap().rss_kib > 0);
        assert!(children(std::process::id()).contains(&pid));
        assert!(all().iter().any(|it| it.pid == pid && it.start_ticks == seen.start_ticks));
        assert!(environ_has(pid, "IPCPIPE_TEST=a=b"));
        assert!(!environ_has(pid, "IPCPIPE_TEST=a") && !environ_has(pid, "PCPIPE_TEST=a=b"));
        drop(child.stdin.take());
        while !stat(pid).unwrap().is_zombie() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(stat(pid).is_none() && children(pid).is_empty());
    }
}
