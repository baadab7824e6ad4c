//! Names that killed makers of shared memory leave: found by what proves the death, and nobody else's touched.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipcpipe::mp::{self, AbandonedMemory, Event, Process, Queue, Sender, SharedList, SharedMemory, ShmScope};
use ipcpipe::task;

use crate::eventually;

/// One test at a time, since `ipcpipe clean` removes whatever is abandoned.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn path(name: &str) -> PathBuf {
    Path::new("/dev/shm").join(name)
}

fn is_abandoned(name: &str) -> bool {
    AbandonedMemory::all().unwrap().any(|it| it.name() == name)
}

fn unlink(name: &str) {
    AbandonedMemory::all().unwrap().find(|it| it.name() == name).unwrap().unlink().unwrap();
}

/// What `ipcpipe clean` says, of memory alone: the runs of other tests are no concern of these.
fn clean(args: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_ipcpipe")).arg("clean").args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter(|line| line.contains("shared memory")).map(str::to_owned).collect()
}

/// Makes memory called `name`, as `persists` says, and waits to be killed.
fn make(name: String, persists: bool, names: Queue<String>) {
    let block = SharedMemory::create(name.as_str(), 100).unwrap();
    block.write(0, b"mine").unwrap();
    if persists {
        block.persist().unwrap();
    }
    names.put(&name).unwrap();
    Event::new().unwrap().wait();
}

/// A process that has made memory called `name`.
fn maker(name: &str, persists: bool) -> Process<()> {
    let names = Queue::new().unwrap();
    let maker = Process::spawn(task!(make), (name.to_owned(), persists, names.clone())).unwrap();
    assert_eq!(names.get().unwrap(), name);
    maker
}

/// A name that no other test has.
fn own(what: &str) -> String {
    format!("ipcpipe.test-{}-{what}", std::process::id())
}

#[test]
fn clean_removes_the_memory_of_killed_makers_and_lists_it_before() {
    let _alone = alone();
    let (dead, live) = (own("dead"), own("live"));
    let (mut killed, lives) = (maker(&dead, false), maker(&live, false));
    assert!(!is_abandoned(&dead), "its maker lives");
    killed.kill();
    let line = format!("shared memory /dev/shm/{dead} (100 bytes) of pid {}, dead", killed.pid());
    let told = clean(&["--dry-run"]);
    assert!(told.contains(&format!("would remove {line}")), "{told:?}");
    assert!(path(&dead).exists() && !told.iter().any(|it| it.contains(&live)), "{told:?}");
    let opened = SharedMemory::open(&dead).unwrap();
    let told = clean(&[]);
    assert!(told.contains(&format!("removed {line}")), "{told:?}");
    assert!(!path(&dead).exists() && path(&live).exists());
    assert_eq!(opened.read(0..4).unwrap(), b"mine", "who has it keeps it");
    assert!(!clean(&[]).iter().any(|it| it.contains(&dead)));
    lives_no_more(lives, &live);
}

/// Kills a maker, and removes what it leaves.
fn lives_no_more(mut maker: Process<()>, name: &str) {
    maker.kill();
    unlink(name);
    assert!(!path(name).exists());
}

#[test]
fn what_persists_is_nobodys_to_remove_whoever_said_so() {
    let _alone = alone();
    let (by_maker, by_other) = (own("kept"), own("adopted"));
    let mut makers = [maker(&by_maker, true), maker(&by_other, false)];
    makers.iter_mut().for_each(Process::kill);
    assert!(is_abandoned(&by_other));
    SharedMemory::open(&by_other).unwrap().persist().unwrap();
    for name in [&by_maker, &by_other] {
        assert!(!is_abandoned(name));
        assert!(!clean(&[]).iter().any(|it| it.contains(name.as_str())));
        SharedMemory::open(name).unwrap().unlink().unwrap();
        assert!(!path(name).exists());
    }
}

#[test]
fn what_somebody_lets_persist_outlives_a_maker_that_drops_it() {
    let made = SharedMemory::create(own("let").as_str(), 8).unwrap();
    let name = made.name().unwrap().to_owned();
    SharedMemory::open(&name).unwrap().persist().unwrap();
    drop(made);
    SharedMemory::open(&name).unwrap().unlink().unwrap();
    assert!(!path(&name).exists());
}

#[test]
fn what_persists_since_it_was_found_is_not_unlinked() {
    let _alone = alone();
    let name = own("late");
    maker(&name, false).kill();
    let found = AbandonedMemory::all().unwrap().find(|it| it.name() == name).unwrap();
    SharedMemory::open(&name).unwrap().persist().unwrap();
    let refused = found.unlink().unwrap_err().to_string();
    assert_eq!(refused, format!("cannot unlink /dev/shm/{name}: somebody has let it persist"));
    SharedMemory::open(&name).unwrap().unlink().unwrap();
}

#[test]
fn what_only_looks_like_ours_is_left_alone() {
    let _alone = alone();
    let dead = own("original");
    maker(&dead, false).kill();
    let bytes = fs::read(path(&dead)).unwrap();
    let fakes = ["copy", "link", "garbage", "short", "empty", "dir", "fifo"].map(own);
    let [copy, link, garbage, short, empty, dir, fifo] = fakes.each_ref().map(|it| path(it));
    fs::write(copy, &bytes).unwrap();
    symlink(path(&dead), link).unwrap();
    fs::write(garbage, [0xff; 4096]).unwrap();
    fs::write(short, &bytes[..40]).unwrap();
    fs::write(empty, "").unwrap();
    fs::create_dir(&dir).unwrap();
    assert!(Command::new("mkfifo").arg(fifo).status().unwrap().success());
    assert!(is_abandoned(&dead));
    for fake in &fakes {
        assert!(!is_abandoned(fake), "{fake}");
    }
    // Whoever links or moves it, or gives it to another user, means it to stay.
    fs::hard_link(path(&dead), path(&own("second"))).unwrap();
    assert!(!is_abandoned(&dead) && !is_abandoned(&own("second")));
    fs::rename(path(&own("second")), path(&own("moved"))).unwrap();
    fs::remove_file(path(&dead)).unwrap();
    assert!(!is_abandoned(&own("moved")));
    fs::rename(path(&own("moved")), path(&dead)).unwrap();
    // Only root can give a file away.
    if chown(path(&dead), Some(12345), None).is_ok() {
        assert!(!is_abandoned(&dead), "another user's");
        chown(path(&dead), Some(0), None).unwrap();
    }
    clean(&[]);
    assert!(!path(&dead).exists());
    fs::remove_dir(dir).unwrap();
    for fake in fakes.iter().filter(|it| **it != own("dir")) {
        fs::remove_file(path(fake)).unwrap();
    }
}

#[test]
fn who_was_handed_memory_by_its_maker_holds_its_name_with_him() {
    let _alone = alone();
    let name = own("handed");
    let hand_on = task!(|name: String, mut to: Sender<SharedList>| {
        let list = SharedList::named(name.as_str(), ["a", "b"]).unwrap();
        to.send(&list).unwrap();
        Event::new().unwrap().wait();
    });
    let (sender, mut receiver) = mp::channel().unwrap();
    let mut maker = Process::spawn(hand_on, (name.clone(), sender)).unwrap();
    let list: SharedList = receiver.recv().unwrap();
    maker.kill();
    assert!(!is_abandoned(&name), "this process has it from its maker");
    assert_eq!(list.get(1).unwrap(), "b".into());
    drop(list);
    // A child of another test that does not run its program yet may have the memory still.
    eventually(|| is_abandoned(&name));
    unlink(&name);
    assert!(!path(&name).exists());
}

#[test]
fn a_scope_holds_the_names_of_handles_that_are_gone() {
    let _alone = alone();
    let scope = ShmScope::new();
    let name = scope.create(10).unwrap().name().unwrap().to_owned();
    let list = SharedList::named(None, ["a"]).unwrap();
    assert!(!is_abandoned(&name) && !is_abandoned(list.name().unwrap()));
    drop(scope);
    assert!(!path(&name).exists());
}
