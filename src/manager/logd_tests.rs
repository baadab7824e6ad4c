use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::*;
use crate::sys::fd::pipe;

/// A server in a thread, told to stop by the closing of a pipe.
struct Running {
    dir: tempfile::TempDir,
    stop: Option<OwnedFd>,
    reopen: OwnedFd,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

impl Running {
    fn start(max_bytes: u64, keep: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ((stopped, stop), (reopened, reopen)) = (pipe().unwrap(), pipe().unwrap());
        let options = LogdOptions { dir: dir.path().join("d"), max_bytes, keep };
        let thread = thread::spawn(move || serve(options, stopped.as_fd(), Some(reopened.as_fd())));
        let running = Self { dir, stop: Some(stop), reopen, thread: Some(thread) };
        eventually("it listens", || UnixStream::connect(running.path("logd.sock")).is_ok());
        running
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("d").join(name)
    }

    fn client(&self) -> UnixStream {
        UnixStream::connect(self.path("logd.sock")).unwrap()
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap().unwrap();
    }

    fn holds(&self, text: &str) -> bool {
        fs::read_to_string(self.path("log.jsonl")).is_ok_and(|got| got.contains(text))
    }

    fn lines(&self) -> Vec<serde_json::Value> {
        read_lines(&self.path("log.jsonl"))
    }
}

fn read_lines(path: &Path) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_has_arrived_is_written_before_the_end_and_the_socket_removed() {
    let mut server = Running::start(MAX_BYTES, KEEP);
    let mut clients: Vec<_> = (0..20).map(|_| server.client()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.write_all(format!("{{\"n\":{number}}}\n{{\"torn\":").as_bytes()).unwrap();
    }
    server.stop();
    let mut numbers: Vec<_> = server.lines().iter().map(|line| line["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    let mode = server.path("log.jsonl").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_eq!(fs::read_dir(server.path("")).unwrap().count(), 1, "only the log is left");
}

#[test]
fn lines_of_many_clients_stay_whole() {
    let mut server = Running::start(MAX_BYTES, KEEP);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let mut client = server.client();
            thread::spawn(move || {
                for number in 0..100 {
                    let line = format!("{{\"w\":{writer},\"n\":{number},\"fill\":\"{}\"}}\n", "x".repeat(997 * writer));
                    for piece in line.as_bytes().chunks(700) {
                        client.write_all(piece).unwrap();
                    }
                }
            })
        })
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    server.stop();
    let lines = server.lines();
    assert_eq!(lines.len(), 800);
    for writer in 0..8 {
        let numbers: Vec<_> = lines.iter().filter(|line| line["w"] == writer).map(|line| line["n"].clone()).collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>(), "in the order in which it wrote them");
    }
}

#[test]
fn the_file_holds_objects_whatever_is_written() {
    let mut server = Running::start(MAX_BYTES, KEEP);
    let mut client = server.client();
    client.write_all(b"plain \xff text\n42\n\n{\"a\":\"\xff\"}\n{\"ok\":1}\n{\"a\":1\n").unwrap();
    client.write_all(format!("{{\"long\":\"{}\"}}\n{{\"ok\":2}}\n", "x".repeat(2 * LONGEST_LINE)).as_bytes()).unwrap();
    drop(client);
    server.stop();
    let lines = server.lines();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap_or("-")).collect();
    assert_eq!(events, ["garbage", "garbage", "garbage", "-", "garbage", "cut", "-"]);
    assert_eq!(lines[0]["msg"], "plain \u{fffd} text");
    assert_eq!(lines[0]["level"], "warning");
    assert_eq!(lines[5]["msg"].as_str().unwrap().len(), LONGEST_LINE);
}

#[test]
fn a_client_that_dies_in_a_line_loses_only_that() {
    let mut server = Running::start(MAX_BYTES, KEEP);
    let mut dying = server.client();
    dying.write_all(b"{\"n\":1}\n{\"n\":").unwrap();
    drop(dying);
    eventually("its whole line is there", || server.holds("{\"n\":1}\n"));
    server.client().write_all(b"{\"n\":2}\n").unwrap();
    server.stop();
    assert_eq!(server.lines(), [serde_json::json!({"n": 1}), serde_json::json!({"n": 2})]);
}

#[test]
fn more_clients_than_are_served_at_once_get_their_turn() {
    let mut server = Running::start(MAX_BYTES, KEEP);
    let mut clients: Vec<_> = (0..MAX_CLIENTS).map(|_| server.client()).collect();
    for _ in 0..10 {
        let mut late = server.client();
        late.write_all(b"{\"late\":1}\n").unwrap();
        clients.push(late);
    }
    clients.drain(..MAX_CLIENTS / 2);
    eventually("the late ones are served", || server.holds(&"{\"late\":1}\n".repeat(10)));
    server.stop();
}

#[test]
fn the_file_is_rotated_and_opened_anew_when_asked() {
    let mut server = Running::start(100, 2);
    let mut client = server.client();
    for number in 10..40 {
        client.write_all(format!("{{\"number\":{number}}}\n").as_bytes()).unwrap();
    }
    eventually("the last line is there", || server.holds("{\"number\":39}\n"));
    let lengths = ["log.jsonl.2", "log.jsonl.1"].map(|name| read_lines(&server.path(name)).len());
    assert_eq!(lengths, [7, 7]);
    fs::rename(server.path("log.jsonl"), server.path("moved")).unwrap();
    File::from(server.reopen.try_clone().unwrap()).write_all(b"x").unwrap();
    eventually("the file is back", || server.path("log.jsonl").exists());
    client.write_all(b"{\"number\":99}\n").unwrap();
    server.stop();
    assert_eq!(server.lines(), [serde_json::json!({"number": 99})]);
}

#[test]
fn a_second_server_is_refused_and_the_first_goes_on() {
    let mut server = Running::start(MAX_BYTES, KEEP);
    let (stopped, _stop) = pipe().unwrap();
    let error = serve(LogdOptions::new(server.path("")), stopped.as_fd(), None).unwrap_err().to_string();
    assert!(error.contains("runs there already"), "{error}");
    server.client().write_all(b"{}\n").unwrap();
    server.stop();
    assert_eq!(server.lines().len(), 1);
}

#[test]
fn lines_that_could_not_be_written_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let mut log = LineFile(RotatedFile::open(Path::new("/dev/full")).unwrap());
    log.write(b"{\"n\":1}", false);
    log.write(b"{\"n\":2}", false);
    assert_eq!(log.0.lost(), 2);
    log.0.move_to(&path).unwrap();
    log.write(b"{\"n\":3}", false);
    let lines = read_lines(&path);
    assert_eq!(
        (lines[0]["event"].as_str(), lines[0]["msg"].as_str()),
        (Some("lost"), Some("2 lines could not be written"))
    );
    assert_eq!(lines[1], serde_json::json!({"n": 3}));
}
