//! Standard output and its absence.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::sandbox::{Running, Sandbox, on_every_backend};

#[test]
fn a_reader_that_leaves_ends_the_run_quietly() {
    on_every_backend(|sandbox, backend| {
        for format in ["text", "json"] {
            let mut command = sandbox.command(["-b", backend, "--interval", "1ms", "-o", format, "--format", format]);
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let output = child.wait_with_output().unwrap();
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(Signal::SIGPIPE as i32));
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(stderr, "", "{backend} {format}");
            let log = sandbox.read(format);
            assert!(log.ends_with('\n'));
        }
    });
}

#[test]
fn a_full_output_is_a_named_error() {
    on_every_backend(|sandbox, backend| {
        let script = format!("exec $IPCPIPE -b {backend} --interval 1ms -o l --truncate > /dev/full");
        Running::of(&mut sandbox.shell(&script)).finish().exited(1).said("No space left on device");
    });
}

#[test]
fn closed_descriptors_are_not_taken_for_something_else() {
    let sandbox = Sandbox::new();
    for closed in [">&-", "2>&-", "<&-", "<&- >&- 2>&-"] {
        let script = format!("exec $IPCPIPE -n 100 --interval 0 --seed 4 -o l --truncate {closed}");
        Running::of(&mut sandbox.shell(&script)).finish().exited(0);
        let log = sandbox.read("l");
        assert_eq!(log.lines().filter(|line| line.parse::<u8>().is_ok_and(|it| it <= 100)).count(), 100, "{closed}");
        assert_eq!(log.lines().count(), 100);
    }
}

#[test]
fn quiet_prints_the_summary_only() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("-n 3 --interval 0 -o l -q").exited(0).said("produced 3");
    assert_eq!(run.stdout, "");
    let run = sandbox.run("-n 3 --interval 0 -o l -q --format json").exited(0);
    assert_eq!(run.stdout.lines().count(), 1);
    run.conserved();
}

#[test]
fn c4_the_first_line_is_as_documented() {
    let sandbox = Sandbox::new();
    let run = sandbox.run("-n 2 --interval 0 --min 3 --max 3 --report-every 0 -o l").exited(0);
    assert_eq!(
        run.stdout,
        "count 1   sum 3   mean 3   min 3   max 3   stddev 0\ncount 2   sum 6   mean 3   min 3   max 3   stddev 0\n"
    );
}

#[test]
fn a_flat_out_run_prints_its_last_state_exactly_once() {
    on_every_backend(|sandbox, backend| {
        let run = sandbox.run(&format!("-b {backend} -n 100000 --interval 0 -o l")).exited(0);
        let last: Vec<_> = run.stdout.lines().filter(|line| line.starts_with("count 100000 ")).collect();
        assert_eq!(last.len(), 1, "{}", run.stdout);
    });
}
