//! Lists, dicts, values, arrays and namespaces.

use std::collections::{BTreeMap, HashMap};

use ipcpipe::mp::{self, ArrayProxy, DictProxy, Error, ListProxy, Manager, NamespaceProxy, Process, ValueProxy};
use ipcpipe::task;

#[test]
fn b14_list_and_dict() {
    let manager = Manager::start().unwrap();
    let list = manager.list::<String>().unwrap();
    assert!(list.is_empty().unwrap());
    assert_eq!(list.pop().unwrap(), None);
    list.extend(["a", "b", "d"].map(str::to_owned)).unwrap();
    list.insert(2, &"c".to_owned()).unwrap();
    list.push(&"e".to_owned()).unwrap();
    list.set(0, &"A".to_owned()).unwrap();
    assert_eq!(list.remove(3).unwrap(), "d");
    assert_eq!(list.pop().unwrap().as_deref(), Some("e"));
    assert_eq!(list.iter().unwrap().collect::<Vec<_>>(), ["A", "b", "c"]);
    assert_eq!((list.get(2).unwrap().as_deref(), list.get(3).unwrap()), (Some("c"), None));
    assert!(matches!(list.set(3, &String::new()), Err(Error::Refused(_))));
    assert!(matches!(list.insert(4, &String::new()), Err(Error::Refused(_))));
    assert!(matches!(list.remove(usize::MAX), Err(Error::Refused(_))));
    list.update(task!(|list: &mut Vec<String>| list.reverse()), ()).unwrap();
    list.update_at(0, task!(|item: &mut String| item.push('!')), ()).unwrap();
    assert_eq!(list.to_vec().unwrap(), ["c!", "b", "A"]);
    list.clear().unwrap();
    assert_eq!(list.len().unwrap(), 0);

    let dict = manager.dict::<String, u32>().unwrap();
    assert_eq!(dict.insert("a", &1).unwrap(), None);
    assert_eq!(dict.insert("a", &2).unwrap(), Some(1));
    dict.set("b", &3).unwrap();
    dict.set("b", &4).unwrap();
    assert_eq!((dict.get("b").unwrap(), dict.get("z").unwrap()), (Some(4), None));
    assert_eq!((dict.get_or_insert("a", &9).unwrap(), dict.get_or_insert("c", &9).unwrap()), (2, 9));
    assert_eq!((dict.remove("c").unwrap(), dict.remove("c").unwrap()), (Some(9), None));
    assert!(dict.contains_key("a").unwrap() && !dict.contains_key("c").unwrap());
    let (mut keys, mut values) = (dict.keys().unwrap(), dict.values().unwrap());
    keys.sort();
    values.sort();
    assert_eq!((keys, values), (vec!["a".to_owned(), "b".to_owned()], vec![2, 4]));
    dict.extend((0..10).map(|n| (n.to_string(), n))).unwrap();
    assert_eq!(dict.len().unwrap(), 12);
    assert_eq!(dict.to_map::<HashMap<_, _>>().unwrap()["7"], 7);
    dict.clear().unwrap();
    assert!(dict.is_empty().unwrap());
}

#[test]
fn b14_a_dict_is_updated_as_a_map_or_key_by_key() {
    fn keep_even(map: &mut BTreeMap<u32, u32>, add: u32) -> usize {
        map.retain(|_, value| *value % 2 == 0);
        map.insert(add, add);
        map.len()
    }
    fn double(map: &mut HashMap<u32, u32>) {
        map.values_mut().for_each(|value| *value *= 2);
    }
    let manager = Manager::start().unwrap();
    let dict = manager.dict::<u32, u32>().unwrap();
    dict.extend((0..10).map(|n| (n, n))).unwrap();
    assert_eq!(dict.update(task!(keep_even), 100).unwrap(), 6);
    dict.update(task!(double), ()).unwrap();
    let expected = BTreeMap::from([(0, 0), (2, 4), (4, 8), (6, 12), (8, 16), (100, 200)]);
    assert_eq!(dict.to_map::<BTreeMap<_, _>>().unwrap(), expected);
    let take = task!(|value: &mut Option<u32>| value.take());
    assert_eq!((dict.update_key(&2, take, ()).unwrap(), dict.update_key(&2, take, ()).unwrap()), (Some(4), None));
    assert!(!dict.contains_key(&2).unwrap());
    dict.update_key(&3, task!(|value: &mut Option<u32>, n: u32| *value = Some(n)), 33).unwrap();
    assert_eq!(dict.get(&3).unwrap(), Some(33));
}

#[test]
fn b15_value_and_array() {
    fn work(value: ValueProxy<f64>, array: ArrayProxy<i16>) -> i16 {
        value.set(&(value.get().unwrap() + 1.5)).unwrap();
        array.set(1, &-7).unwrap();
        array.iter().unwrap().sum()
    }
    let manager = Manager::start().unwrap();
    let (value, array) = (manager.value(1.0).unwrap(), manager.array([1, 2, 3]).unwrap());
    let process = Process::spawn(task!(work), (value.clone(), array.clone())).unwrap();
    assert_eq!(process.join().unwrap(), -3);
    assert_eq!(value.get().unwrap(), 2.5);
    assert_eq!(array.to_vec().unwrap(), [1, -7, 3]);
    assert_eq!((array.len().unwrap(), array.get(2).unwrap(), array.get(3).unwrap()), (3, Some(3), None));
    assert!(matches!(array.set(3, &0), Err(Error::Refused(_))));
    array.update(task!(|all: &mut Vec<i16>| all.sort()), ()).unwrap();
    assert_eq!(array.to_vec().unwrap(), [-7, 1, 3]);
    let grow = array.update(task!(|all: &mut Vec<i16>| all.push(0)), ());
    assert!(matches!(grow, Err(Error::Refused(_))), "{grow:?}");
    assert_eq!(array.len().unwrap(), 3);
}

#[test]
fn b15_update_loses_nothing() {
    const TIMES: u64 = 200;
    // The lesson's example, whose `shared.value += 1` is a get and a set.
    fn get_and_set(value: ValueProxy<u64>) {
        for _ in 0..TIMES {
            value.set(&(value.get().unwrap() + 1)).unwrap();
        }
    }
    fn update(value: ValueProxy<u64>, array: ArrayProxy<f64>, dict: DictProxy<String, u64>, list: ListProxy<u64>) {
        for _ in 0..TIMES {
            value.update(task!(|value: &mut u64, n: u64| *value += n), 1).unwrap();
            array.update_at(0, task!(|item: &mut f64, n: f64| *item += n), 1.0).unwrap();
            dict.update_key("hits", task!(|hits: &mut Option<u64>| *hits.get_or_insert(0) += 1), ()).unwrap();
            list.update(task!(|list: &mut Vec<u64>| list[0] += 1), ()).unwrap();
        }
    }
    let manager = Manager::start().unwrap();
    let lossy = manager.value(0).unwrap();
    let start = |_| Process::spawn(task!(get_and_set), lossy.clone()).unwrap();
    mp::join_all((0..3).map(start).collect::<Vec<_>>()).into_iter().for_each(|done| done.unwrap());
    assert!((TIMES..=3 * TIMES).contains(&lossy.get().unwrap()));

    let (value, array) = (manager.value(0).unwrap(), manager.array([0.0]).unwrap());
    let (dict, list) = (manager.dict().unwrap(), manager.list().unwrap());
    list.push(&0).unwrap();
    let args = || (value.clone(), array.clone(), dict.clone(), list.clone());
    let start = |_| Process::spawn(task!(update), args()).unwrap();
    mp::join_all((0..3).map(start).collect::<Vec<_>>()).into_iter().for_each(|done| done.unwrap());
    assert_eq!(value.get().unwrap(), 3 * TIMES);
    assert_eq!(array.get(0).unwrap(), Some(3.0 * TIMES as f64));
    assert_eq!(dict.get("hits").unwrap(), Some(3 * TIMES));
    assert_eq!(list.to_vec().unwrap(), [3 * TIMES]);
}

#[test]
fn a_panic_in_an_update_leaves_everything_as_it_was() {
    fn fail<T>(_: &mut T) {
        panic!("no good");
    }
    let manager = Manager::start().unwrap();
    let value = manager.value(vec![1, 2]).unwrap();
    let clear_and_fail = task!(|value: &mut Vec<i32>| {
        value.clear();
        fail(value)
    });
    let Err(Error::Panicked(worker, panic)) = value.update(clear_and_fail, ()) else { panic!("no error") };
    assert_eq!((&*worker, panic.message.as_str()), (manager.worker(), "no good"));
    assert!(panic.location.contains("tests/mp/objects/data.rs"), "{}", panic.location);
    assert_eq!(value.get().unwrap(), [1, 2]);

    let list = manager.list::<i32>().unwrap();
    list.extend([1, 2]).unwrap();
    assert!(matches!(list.update(clear_and_fail, ()), Err(Error::Panicked(..))));
    assert!(matches!(list.update_at(0, task!(|item: &mut i32| fail(item)), ()), Err(Error::Panicked(..))));
    assert_eq!(list.to_vec().unwrap(), [1, 2]);

    let dict = manager.dict::<u8, i32>().unwrap();
    dict.set(&1, &1).unwrap();
    let fails = task!(|map: &mut BTreeMap<u8, i32>| {
        map.clear();
        fail(map)
    });
    assert!(matches!(dict.update(fails, ()), Err(Error::Panicked(..))));
    let fails = task!(|value: &mut Option<i32>| {
        *value = None;
        fail(value)
    });
    assert!(matches!(dict.update_key(&1, fails, ()), Err(Error::Panicked(..))));
    assert_eq!(dict.get(&1).unwrap(), Some(1));
}

#[test]
fn an_update_that_uses_the_manager_is_refused_and_does_not_hang() {
    fn recursive(value: &mut u32, own: ValueProxy<u32>) -> String {
        *value += 1;
        own.get().unwrap_err().to_string()
    }
    let manager = Manager::start().unwrap();
    let value = manager.value(0).unwrap();
    assert!(value.update(task!(recursive), value.clone()).unwrap().contains("cannot use objects"));
    assert_eq!(value.get().unwrap(), 1);
}

#[test]
fn b16_namespace() {
    fn work(global: NamespaceProxy) {
        global.update("x", task!(|x: &mut u32| *x += 1), ()).unwrap();
        global.set("z", &vec![1.5, 2.5]).unwrap();
    }
    let manager = Manager::start().unwrap();
    let global = manager.namespace().unwrap();
    global.set("x", &10_u32).unwrap();
    global.set("y", "hello").unwrap();
    Process::spawn(task!(work), global.clone()).unwrap().join().unwrap();
    assert_eq!(global.get::<u32>("x").unwrap(), Some(11));
    assert_eq!(global.get::<String>("y").unwrap().as_deref(), Some("hello"));
    assert_eq!(global.get::<Vec<f64>>("z").unwrap(), Some(vec![1.5, 2.5]));
    assert_eq!(global.get::<u32>("w").unwrap(), None);
    assert!(matches!(global.get::<u32>("y"), Err(Error::Refused(_))));
    assert!(matches!(global.update("y", task!(|y: &mut u32| *y += 1), ()), Err(Error::Refused(_))));
    assert!(matches!(global.update("w", task!(|w: &mut u32| *w += 1), ()), Err(Error::Refused(_))));
    assert!(global.remove("x").unwrap() && !global.remove("x").unwrap());
    assert_eq!(global.names().unwrap(), ["y", "z"]);
}

#[test]
fn proxies_are_kept_in_objects() {
    fn fill(lists: DictProxy<String, ListProxy<u32>>, own: ListProxy<u32>) {
        lists.get("a").unwrap().unwrap().push(&1).unwrap();
        lists.set("b", &own).unwrap();
    }
    let manager = Manager::start().unwrap();
    let lists = manager.dict::<String, ListProxy<u32>>().unwrap();
    let (a, b) = (manager.list().unwrap(), manager.list().unwrap());
    lists.set("a", &a).unwrap();
    b.push(&2).unwrap();
    Process::spawn(task!(fill), (lists.clone(), b.clone())).unwrap().join().unwrap();
    assert_eq!(a.to_vec().unwrap(), [1]);
    assert_eq!(lists.get("b").unwrap(), Some(b));
    let locks = manager.list().unwrap();
    locks.push(&manager.lock().unwrap()).unwrap();
    drop(locks.get(0).unwrap().unwrap().lock().unwrap());
}

#[test]
fn values_of_any_size_pass() {
    let manager = Manager::start().unwrap();
    let value = manager.value(String::new()).unwrap();
    value.set(&"x".repeat(64 << 20)).unwrap();
    assert_eq!(value.update(task!(|text: &mut String| text.len()), ()).unwrap(), 64 << 20);
    let list = manager.list::<u32>().unwrap();
    list.extend(0..1_000_000).unwrap();
    assert_eq!(list.to_vec().unwrap().into_iter().map(u64::from).sum::<u64>(), 499_999_500_000);
    list.extend([]).unwrap();
    let nothing = manager.list::<()>().unwrap();
    nothing.extend([(); 10]).unwrap();
    assert_eq!(nothing.to_vec().unwrap().len(), 10);
}
