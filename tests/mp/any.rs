//! Values whose type they tell themselves, wherever values go.

use ipcpipe::mp::{Any, Manager, Pool, Process, Queue};
use ipcpipe::task;

/// One of every kind, nested.
fn values() -> Vec<Any> {
    let leaves: Vec<Any> =
        vec![().into(), true.into(), (-5).into(), u64::MAX.into(), 0.1.into(), "grüß".into(), Any::Bytes(vec![0, 255])];
    let map = Any::from([("all", Any::List(leaves.clone())), ("", Any::from([("deep", ().into())]))]);
    leaves.into_iter().chain([map]).collect()
}

#[test]
fn b10_any_value_goes_through_a_queue_and_a_process() {
    let echo = task!(|values: Queue<Any>, back: Queue<Any>| values.iter().for_each(|it| back.put(&it).unwrap()));
    let (there, back) = (Queue::new().unwrap(), Queue::new().unwrap());
    let process = Process::spawn(echo, (there.clone(), back.clone())).unwrap();
    values().iter().for_each(|it| there.put(it).unwrap());
    there.close();
    process.join().unwrap();
    back.close();
    assert_eq!(back.iter().collect::<Vec<_>>(), values());
    assert!(there.is_empty() && back.is_empty());
}

#[test]
fn b10_any_value_is_an_argument_and_a_result_of_a_pool() {
    let pool = Pool::new(task!(|value: Any| Any::from([("was", value)]))).workers(2).build().unwrap();
    let results: Vec<Any> = pool.map(values()).into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(results, values().into_iter().map(|it| Any::from([("was", it)])).collect::<Vec<_>>());
    let json = serde_json::json!({"a": [1, 2.5, null], "b": "x"});
    let job = pool.submit(serde_json::from_value::<Any>(json.clone()).unwrap()).unwrap();
    assert_eq!(serde_json::to_value(job.get().unwrap().get("was").unwrap()).unwrap(), json);
}

#[test]
fn b10_any_value_is_kept_by_a_manager() {
    let manager = Manager::start().unwrap();
    let list = manager.list::<Any>().unwrap();
    list.extend(values()).unwrap();
    let count = task!(|value: &mut Any, by: i64| {
        if let Any::I64(n) = value {
            *n += by;
        }
    });
    list.update_at(2, count, 7).unwrap();
    let mut expected = values();
    expected[2] = Any::I64(2);
    assert_eq!(list.to_vec().unwrap(), expected);
    let dict = manager.dict::<String, Any>().unwrap();
    dict.set("x", &expected[7]).unwrap();
    assert_eq!(dict.get("x").unwrap(), Some(expected[7].clone()));
}
