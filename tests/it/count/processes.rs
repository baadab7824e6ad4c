//! The worker processes of a count: killed, orphaned, limited, and the names that connect them.

use super::*;

#[test]
fn a_killed_worker_is_named_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    for backend in BACKENDS {
        // The text does not end before the worker is dead.
        let mut command = sandbox.command(["manager", "count", "--mode", "process", "-w", "2", "-b", backend, "-"]);
        let mut run = Running::of(command.stdin(Stdio::piped()));
        let pids = workers(run.pid(), 2);
        send(pids[1], Signal::SIGKILL);
        wait_for("its death", || process(pids[1]).is_none_or(|it| it.state == 'Z').then_some(()));
        // A worker is missed when it gets work: whoever is alive takes the rest.
        let input = run.input();
        let _ = (0..64).try_for_each(|_| input.write_all(&[b'x'; 64 << 10]));
        run.close_input();
        let said = format!("cannot count with worker count-1 (pid {}): it died: killed by SIGKILL", pids[1]);
        let run = run.finish().exited(1).said(&said);
        assert_eq!(run.stdout, "", "{backend}");
        sandbox.assert_tidy();
    }
}

#[test]
fn workers_do_not_outlive_their_lead() {
    let sandbox = Sandbox::new();
    for backend in BACKENDS {
        let mut command =
            sandbox.command(["manager", "count", "-q", "--mode", "process", "-w", "3", "-b", backend, "-"]);
        let run = Running::of(command.stdin(Stdio::piped()));
        workers(run.pid(), 3);
        // From here on nothing has a name.
        let base = sandbox.path("run/ipcpipe");
        wait_for("no names", || fs::read_dir(&base).map_or(true, |mut it| it.next().is_none()).then_some(()));
        run.signal(Signal::SIGKILL);
        run.finish().died_of(Signal::SIGKILL);
        sandbox.assert_tidy();
    }
}

#[test]
fn limits_are_named() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.path("t"), "abc".repeat(10_000)).unwrap();
    let run = |limit: &str| {
        let line = format!("{limit}; $IPCPIPE manager count -q --mode process -w 30 -b mq t; exit $?");
        Running::of(&mut sandbox.shell(&line)).finish().exited(1)
    };
    run("ulimit -n 30").said("raise the limit on open files");
    run("ulimit -q 10000").said("RLIMIT_MSGQUEUE");
}

#[test]
fn names_are_gone_as_soon_as_all_workers_are_there() {
    let sandbox = Sandbox::new();
    for backend in BACKENDS {
        let mut command =
            sandbox.command(["manager", "count", "-q", "--mode", "process", "-w", "2", "-b", backend, "-"]);
        let mut run = Running::of(command.stdin(Stdio::piped()));
        run.input().write_all(b"abc").unwrap();
        let pids = workers(run.pid(), 2);
        let arguments = fs::read(format!("/proc/{}/cmdline", pids[0])).unwrap();
        let arguments = String::from_utf8(arguments).unwrap().replace('\0', " ");
        assert!(arguments.starts_with("count-0 manager counter --letters letter"), "{arguments}");
        wait_for("no names", || {
            fs::read_dir(sandbox.path("run/ipcpipe")).map_or(true, |mut it| it.next().is_none()).then_some(())
        });
        run.close_input();
        assert!(run.finish().exited(0).stdout.starts_with("standard input: 3 letters"));
    }
}
