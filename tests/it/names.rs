//! Names in the machine's namespaces: private, short-lived, and refused where somebody else has been.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use nix::sys::signal::Signal;

use crate::sandbox::{Running, Sandbox, wait_for};

fn names(stderr: &str) -> Vec<&str> {
    let line =
        |line: &'_ str| line.split_once("look at the ").map(|(_, name)| name.split(' ').next_back().unwrap().len());
    stderr.lines().filter(|it| line(it).is_some()).map(|it| it.rsplit(' ').next().unwrap()).collect()
}

#[test]
fn kept_names_are_told_private_and_gone_in_the_end() {
    for backend in ["fifo", "socket", "shm", "mq"] {
        for umask in ["000", "022", "777"] {
            let sandbox = Sandbox::new();
            fs::write(sandbox.path("l"), "").unwrap();
            let script =
                format!("umask {umask}; exec $IPCPIPE -b {backend} --interval 5ms -o l --keep-names --format json");
            let mut run = Running::of(&mut sandbox.shell(&script));
            run.wait_for_log(&sandbox.path("l"));
            for file in kept_files(&sandbox) {
                let mode = file.symlink_metadata().unwrap().permissions().mode() & 0o777;
                assert_eq!(mode & 0o077, 0, "{}: {mode:o}", file.display());
            }
            run.signal(Signal::SIGINT);
            let run = run.finish().died_of(Signal::SIGINT);
            run.conserved();
            let told = names(&run.stderr);
            assert_eq!(told.len(), 3, "{backend}: {}", run.stderr);
            assert!(told.iter().all(|name| !fs::exists(name).unwrap()), "{told:?}");
        }
    }
}

/// The run directory, what is in it, and the segments that it notes.
fn kept_files(sandbox: &Sandbox) -> Vec<std::path::PathBuf> {
    let base = sandbox.path("run/ipcpipe");
    let run = fs::read_dir(&base).unwrap().next().unwrap().unwrap().path();
    let noted = fs::read_to_string(run.join("names")).unwrap();
    let segments =
        noted.lines().filter_map(|line| line.strip_prefix("shm ")).map(|name| format!("/dev/shm{name}").into());
    let inside = fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().path());
    [base].into_iter().chain([run.clone()]).chain(inside).chain(segments).collect()
}

#[test]
fn without_being_kept_no_name_is_left_once_samples_flow() {
    for backend in ["fifo", "socket", "shm", "mq"] {
        let sandbox = Sandbox::new();
        let mut run = sandbox.start(&format!("-b {backend} --interval 5ms -o l"));
        run.wait_for_log(&sandbox.path("l"));
        wait_for("the run directory to go", || (!sandbox.path("run/ipcpipe").exists()).then_some(()));
        run.signal(Signal::SIGINT);
        run.finish();
    }
}

#[test]
fn a_run_directory_of_somebody_else_is_refused() {
    let sandbox = Sandbox::new();
    let base = sandbox.path("run/ipcpipe");
    std::os::unix::fs::symlink("/tmp", &base).unwrap();
    sandbox.run("-b fifo -n 1 -o l").exited(1).said("cannot make run directory").said("it is no directory");
    fs::remove_file(&base).unwrap();
    if nix::unistd::geteuid().is_root() {
        fs::create_dir(&base).unwrap();
        std::os::unix::fs::chown(&base, Some(65534), None).unwrap();
        sandbox.run("-b mq -n 1 -o l").exited(1).said("it belongs to uid 65534");
        assert_eq!(base.metadata().unwrap().uid(), 65534);
        fs::remove_dir(&base).unwrap();
    }
}

#[test]
fn a_missing_runtime_directory_is_made_good_and_said() {
    let sandbox = Sandbox::new();
    for (dir, why) in [
        ("/nonexistent", "No such file or directory"),
        ("relative", "is no absolute path"),
        ("/dev/null", "is no directory"),
    ] {
        let mut command = sandbox.command("-b socket -n 1 --interval 0 -o l --truncate --format json".split(' '));
        let run = Running::of(command.env("XDG_RUNTIME_DIR", dir)).finish().exited(0).said("XDG_RUNTIME_DIR").said(why);
        run.conserved();
    }
    let mut command = sandbox.command("-b socket -n 1 --interval 0 -o fresh --format json".split(' '));
    let run = Running::of(command.env_remove("XDG_RUNTIME_DIR")).finish().exited(0);
    assert_eq!(run.stderr, "");
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_named() {
    let sandbox = Sandbox::new();
    let deep = sandbox.path("run").join("d".repeat(120));
    fs::create_dir(&deep).unwrap();
    let mut command = sandbox.command("-b socket -n 1 -o l".split(' '));
    Running::of(command.env("XDG_RUNTIME_DIR", &deep)).finish().exited(1).said("a socket's at most 107");
    let mut command = sandbox.command("-b fifo -n 1 --interval 0 -o l".split(' '));
    Running::of(command.env("XDG_RUNTIME_DIR", &deep)).finish().exited(0);
}

#[test]
fn limits_are_one_clear_line() {
    let sandbox = Sandbox::new();
    let run = |limit: &str, args: &str| {
        let script = format!("ulimit {limit}; exec $IPCPIPE {args} -n 1 --interval 0 -o l --truncate");
        Running::of(&mut sandbox.shell(&script)).finish()
    };
    run("-q 0", "-b mq").exited(1).said("cannot create message queue").said("RLIMIT_MSGQUEUE").said("ulimit -q");
    for backend in crate::sandbox::BACKENDS {
        let few = run("-n 10", &format!("-b {backend}")).exited(1).said("Too many open files");
        assert!(few.stderr.lines().count() <= 12, "{}", few.stderr);
    }
}

#[test]
fn what_is_kept_is_what_it_says() {
    let sandbox = Sandbox::new();
    for (backend, is_right) in
        [("fifo", FileTypeExt::is_fifo as fn(&fs::FileType) -> bool), ("socket", FileTypeExt::is_socket)]
    {
        sandbox.forget("l");
        let mut run = sandbox.start(&format!("-b {backend} --interval 5ms -o l --keep-names"));
        run.wait_for_log(&sandbox.path("l"));
        let files = kept_files(&sandbox);
        let links =
            files.iter().filter(|file| file.to_string_lossy().contains("conv-") || file.ends_with("stat-report"));
        let kinds: Vec<bool> = links.map(|file| is_right(&file.symlink_metadata().unwrap().file_type())).collect();
        assert_eq!(kinds, [true; 3]);
        run.signal(Signal::SIGTERM);
        run.finish();
    }
}

#[test]
fn a_sweep_is_not_led_astray_by_what_lies_in_its_directory() {
    let sandbox = Sandbox::new();
    let base = sandbox.path("run/ipcpipe");
    let victim = sandbox.path("victim");
    fs::create_dir(&base).unwrap();
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("precious"), "").unwrap();
    let planted = |digit: &str| base.join(digit.repeat(16));
    // A link to somebody's directory, a directory that holds somebody's file, and one whose lock is a trap.
    std::os::unix::fs::symlink(&victim, planted("a")).unwrap();
    fs::create_dir(planted("b")).unwrap();
    fs::write(planted("b").join("precious"), "").unwrap();
    fs::create_dir(planted("c")).unwrap();
    nix::unistd::mkfifo(&planted("c").join("lock"), nix::sys::stat::Mode::S_IRWXU).unwrap();

    let said = sandbox.run("clean").exited(0).stdout;
    assert!(said.contains("stays: it holds files that no run puts there"), "{said}");
    sandbox.run("-b shm -n 1 --interval 0 -o l --format json").exited(0).conserved();
    for kept in [victim.join("precious"), planted("a"), planted("b").join("precious"), planted("c").join("lock")] {
        assert!(kept.symlink_metadata().is_ok(), "{} is gone", kept.display());
    }
    fs::remove_dir_all(&base).unwrap();
}
