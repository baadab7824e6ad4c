//! Shared data: values, arrays, named blocks and lists, between processes that may be killed.

use std::path::Path;
use std::time::Duration;

use ipcpipe::mp::{
    Array, Error, Event, Item, Process, SharedList, SharedMemory, ShmScope, TryLockError, Unlocked, Value,
};
use ipcpipe::task;

use crate::eventually;

const LONG: Duration = Duration::from_secs(60);

fn add(value: Value<u64>, rounds: u64) {
    (0..rounds).for_each(|_| value.update(|it| *it += 1).unwrap());
}

fn add_until_killed(value: Value<u64>) {
    loop {
        let _ = value.update(|it| *it += 1);
    }
}

fn is_there(name: &str) -> bool {
    Path::new("/dev/shm").join(name).exists()
}

#[test]
fn b21_a_value_is_the_same_in_all_processes() {
    let (value, flag) = (Value::new(1.5_f64).unwrap(), Value::unlocked(false).unwrap());
    let change = task!(|value: Value<f64>, flag: Unlocked<bool>| {
        value.update(|it| *it *= 2.0).unwrap();
        flag.store(true);
    });
    Process::spawn(change, (value.clone(), flag.clone())).unwrap().join().unwrap();
    assert_eq!((value.get().unwrap(), flag.load()), (3.0, true));
}

#[test]
fn b24_no_increment_of_many_processes_is_lost() {
    let value = Value::new(0_u64).unwrap();
    let processes: Vec<_> = (0..4).map(|_| Process::spawn(task!(add), (value.clone(), 20_000_u64)).unwrap()).collect();
    processes.into_iter().for_each(|it| it.join().unwrap());
    assert_eq!(value.get().unwrap(), 80_000);
}

#[test]
fn b24_processes_killed_in_their_updates_hang_nobody_and_are_reported() {
    let value = Value::new(0_u64).unwrap();
    let mut last = 0;
    for round in 0..12_u64 {
        let mut processes = [(); 2].map(|()| Process::spawn(task!(add_until_killed), value.clone()).unwrap());
        let until = last + 1000 + round * 7919 % 10_000;
        eventually(|| value.get().is_ok_and(|it| it > until));
        processes.iter_mut().for_each(Process::kill);
        processes.iter_mut().for_each(|it| assert!(it.wait(Some(LONG))));
        let seen = match value.lock_timeout(LONG) {
            Ok(guard) => *guard,
            Err(TryLockError::OwnerDied(died)) => *died.into_inner(),
            Err(TryLockError::TimedOut(..)) => panic!("a dead process has the lock"),
        };
        assert!(seen > last);
        last = seen;
    }
}

#[test]
fn b22_an_array_is_filled_by_many_processes() {
    let array = Array::<i64>::new(8).unwrap();
    let fill = |index: usize| {
        Process::spawn(
            task!(|array: Array<i64>, index: usize| array.set(index, -(index as i64)).unwrap()),
            (array.clone(), index),
        )
        .unwrap()
    };
    (0..8).map(fill).collect::<Vec<_>>().into_iter().for_each(|it| it.join().unwrap());
    assert_eq!(array.to_vec().unwrap(), [0, -1, -2, -3, -4, -5, -6, -7]);
    let process = Process::spawn(task!(|array: Array<i64>| array.lock().unwrap().sort()), array.clone()).unwrap();
    process.join().unwrap();
    assert_eq!(array.slice(0..3).unwrap(), [-7, -6, -5]);
}

#[test]
fn b18_another_process_opens_a_block_by_name_and_its_end_leaves_the_name() {
    let made = SharedMemory::create(None, 100).unwrap();
    let name = made.name().unwrap().to_owned();
    let write = task!(|name: String| SharedMemory::open(&name).unwrap().write(90, b"from afar").unwrap());
    Process::spawn(write, name.clone()).unwrap().join().unwrap();
    assert_eq!(made.read(90..99).unwrap(), b"from afar");
    assert!(is_there(&name), "whoever only opened it took the name away");
    drop(made);
    assert!(!is_there(&name));
}

#[test]
fn c8_who_got_a_block_keeps_it_after_its_name_is_gone() {
    let made = SharedMemory::create(None, 8).unwrap();
    let (has, go) = (Event::new().unwrap(), Event::new().unwrap());
    let read = task!(|block: SharedMemory, has: Event, go: Event| {
        has.set();
        go.wait();
        (block.read(0..4).unwrap(), SharedMemory::open(block.name().unwrap()).is_err())
    });
    let process = Process::spawn(read, (made.clone(), has.clone(), go.clone())).unwrap();
    assert!(has.wait_timeout(LONG));
    made.write(0, b"kept").unwrap();
    drop(made);
    go.set();
    assert_eq!(process.join().unwrap(), (b"kept".to_vec(), true));
}

#[test]
fn c8_the_names_of_a_scope_go_with_it_in_another_process_too() {
    let make = task!(|| {
        let scope = ShmScope::new();
        let block = scope.create(100).unwrap();
        let list = scope.list(["a", "b"]).unwrap();
        let names = [block.name(), list.name()].map(|it| it.unwrap().to_owned());
        (names.iter().all(|it| Path::new("/dev/shm").join(it).exists()), names)
    });
    let (were_there, names) = Process::spawn(make, ()).unwrap().join().unwrap();
    assert!(were_there);
    assert!(names.iter().all(|it| !is_there(it)), "{names:?}");
}

#[test]
fn b19_a_view_of_a_block_is_sent_as_an_array() {
    let block = SharedMemory::create(None, 32).unwrap();
    let view = block.array::<i32>(8).unwrap();
    let fill = task!(|view: Array<i32>| view.update(|all| all.fill(7)).unwrap());
    Process::spawn(fill, view.clone()).unwrap().join().unwrap();
    assert_eq!(block.read(28..32).unwrap(), 7_i32.to_ne_bytes());
}

#[test]
fn b20_a_list_is_changed_by_another_process() {
    let list = SharedList::new([Item::from("howdy"), 100.into(), true.into()]).unwrap();
    let change = task!(|list: SharedList| {
        list.set(0, "hello").unwrap();
        list.set(1, list.len() as i64).unwrap();
        matches!(list.set(0, "too long for it"), Err(Error::Refused(_)))
    });
    assert!(Process::spawn(change, list.clone()).unwrap().join().unwrap());
    assert_eq!(list.to_vec().unwrap(), ["hello".into(), 3.into(), true.into()]);
}

#[test]
fn b20_writers_killed_anywhere_leave_whole_items() {
    let items = [Item::Str("x".repeat(1000)), Item::Str("y".repeat(1000))];
    let list = SharedList::new(items.clone()).unwrap();
    let write = task!(|list: SharedList, written: Unlocked<u64>| {
        for letter in ["a", "b", "c"].iter().cycle() {
            let _ = list.set(0, letter.repeat(1000));
            written.fetch_add(1);
        }
    });
    for round in 0..10_u64 {
        let written = Value::unlocked(0_u64).unwrap();
        let mut process = Process::spawn(write, (list.clone(), written.clone())).unwrap();
        eventually(|| written.load() > round * 379 % 1000);
        process.kill();
        assert!(process.wait(Some(LONG)));
        let item = list.get(0).or_else(|_| list.get(0)).unwrap();
        let is_whole = match &item {
            Item::Str(text) => text.len() == 1000 && text.bytes().all(|it| it == text.as_bytes()[0]),
            item => *item == Item::None,
        };
        assert!(is_whole, "{item}");
        assert_eq!(list.get(1).unwrap(), items[1]);
    }
}
