//! Files that somebody writes to while they are counted.

use std::os::unix::fs::FileExt as _;

use super::*;

/// Holes, which take long enough to be counted that a worker can be stopped before it is done.
const SIZE: u64 = 64 << 20;

/// What a count by one worker process says whose file is changed while the worker is stopped.
fn changed(sandbox: &Sandbox, args: &str, change: impl FnOnce(&fs::File)) -> crate::sandbox::Finished {
    let file = fs::File::create(sandbox.path("t")).unwrap();
    file.set_len(SIZE).unwrap();
    file.write_all_at(b"begin", 0).unwrap();
    file.write_all_at(b"end", SIZE - 3).unwrap();
    let args = ["manager", "count", "-q", "-w", "1", "--mode", "process"].into_iter().chain(args.split(' '));
    let run = Running::of(&mut sandbox.command(args.chain(["t"])));
    let worker = workers(run.pid(), 1)[0];
    send(worker, Signal::SIGSTOP);
    change(&file);
    send(worker, Signal::SIGCONT);
    run.finish()
}

/// A file that was cut and filled up again is as long as before, and half of it may be zeros.
#[test]
fn a_file_that_is_written_to_is_refused_unless_it_grows() {
    let sandbox = Sandbox::new();
    let refusal = "cannot count t: the file was changed while it was counted";
    for feed in ["--feed path", "--feed stream"] {
        changed(&sandbox, feed, |file| file.write_all_at(b"x", 5).unwrap()).exited(1).said(refusal);
        changed(&sandbox, feed, |file| file.write_all_at(b"x", SIZE).unwrap()).exited(0);
        let cut_and_extend = |file: &fs::File| [SIZE - 3, SIZE + 9].into_iter().try_for_each(|it| file.set_len(it));
        changed(&sandbox, feed, |file| cut_and_extend(file).unwrap()).exited(1).said(refusal);
    }
}

#[test]
fn a_file_that_shrinks_under_a_worker_process_is_named_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    for backend in ["pipe", "shm"] {
        for way in ["--feed path --io read", "--feed path --io mmap", "--feed stream"] {
            let run = changed(&sandbox, &format!("-b {backend} {way}"), |file| file.set_len(SIZE / 2 + 7).unwrap());
            let run = run.exited(1).said("the file became shorter while it was counted").said("cannot count t: ");
            assert_eq!(run.stdout, "", "{backend} {way}");
            sandbox.assert_tidy();
        }
    }
}
