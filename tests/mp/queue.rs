//! Queues between real processes: order, bounds, ends and deaths.

use std::collections::HashMap;
use std::time::Duration;

use ipcpipe::mp::{Error, Process, Queue};
use ipcpipe::task;
use serde::{Deserialize, Serialize};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

/// Numbers that look random and are the same in every run.
pub(crate) fn scatter(seed: u64) -> u64 {
    let mixed = (seed ^ seed >> 31).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 17
}

/// Bytes of an item that nobody would make by mistake.
pub(crate) fn content(seed: u64, length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (seed.wrapping_mul(31) + at) as u8).collect()
}

fn put_all(queue: Queue<u64>, numbers: Vec<u64>) {
    numbers.iter().for_each(|n| queue.put(n).unwrap());
}

#[test]
fn b6_put_and_get_block_try_and_time_out() {
    fn echo(requests: Queue<u64>, answers: Queue<u64>) {
        requests.iter().for_each(|n| answers.put(&(n + 1)).unwrap());
    }
    let (requests, answers) = (Queue::bounded(2).unwrap(), Queue::bounded(2).unwrap());
    assert!(matches!(answers.try_get(), Err(Error::Empty(..))));
    assert!(matches!(answers.get_timeout(SHORT), Err(Error::TimedOut(..))));
    let echo = Process::spawn(task!(echo), (requests.clone(), answers.clone())).unwrap();
    for n in 0..1000 {
        requests.put(&n).unwrap();
        assert_eq!(answers.get().unwrap(), n + 1);
    }
    requests.put_timeout(&7, LONG).unwrap();
    assert_eq!(answers.get_timeout(LONG).unwrap(), 8);
    requests.close();
    echo.join().unwrap();
}

#[test]
fn b6_a_sleeper_is_woken() {
    let (queue, room) = (Queue::<u64>::bounded(1).unwrap(), Queue::<u64>::bounded(1).unwrap());
    room.put(&0).unwrap();
    std::thread::scope(|scope| {
        let sleepers: Vec<_> = (0..3).map(|_| scope.spawn(|| queue.get_timeout(LONG).unwrap())).collect();
        let puts = Process::spawn(task!(put_all), (queue.clone(), vec![1, 2, 3])).unwrap();
        assert_eq!(sleepers.into_iter().map(|it| it.join().unwrap()).sum::<u64>(), 6);
        puts.join().unwrap();
        let puts = Process::spawn(task!(put_all), (room.clone(), vec![1, 2])).unwrap();
        assert_eq!([(); 3].map(|()| room.get_timeout(LONG).unwrap()), [0, 1, 2]);
        puts.join().unwrap();
    });
}

#[test]
fn b7_a_bounded_queue_says_when_it_is_full() {
    let queue = Queue::bounded(3).unwrap();
    assert!(queue.is_empty() && !queue.is_full());
    Process::spawn(task!(put_all), (queue.clone(), vec![1, 2, 3])).unwrap().join().unwrap();
    assert!(queue.is_full());
    assert_eq!((queue.len(), queue.capacity()), (3, 3));
    assert!(matches!(queue.try_put(&4), Err(Error::Full(..))));
    assert!(matches!(queue.put_timeout(&4, SHORT), Err(Error::TimedOut(..))));
    assert_eq!(queue.get().unwrap(), 1);
    queue.try_put(&4).unwrap();
    assert_eq!([(); 3].map(|()| queue.get().unwrap()), [2, 3, 4]);
    assert!(matches!(Queue::<u8>::bounded(0), Err(Error::Refused(_))));
    assert!(matches!(Queue::<u8>::bounded(usize::MAX), Err(Error::Refused(_))));
}

/// Python's documented deadlock: a process that has put items cannot be joined before somebody got them.
#[test]
fn b8_a_child_with_a_full_queue_ends_before_anybody_gets() {
    fn fill(queue: Queue<Vec<u8>>) {
        for n in 0..8 {
            queue.put(&content(n, 1 << 20)).unwrap();
        }
    }
    let queue = Queue::bounded(8).unwrap();
    Process::spawn(task!(fill), queue.clone()).unwrap().join_timeout(LONG).unwrap();
    for n in 0..8 {
        assert_eq!(queue.get().unwrap(), content(n, 1 << 20));
    }
}

#[test]
fn b9_many_producers_and_consumers_lose_nothing() {
    const EACH: u64 = 5000;
    fn produce(queue: Queue<u64>, who: u64) {
        (0..EACH).for_each(|n| queue.put(&(who * EACH + n)).unwrap());
    }
    fn consume(queue: Queue<u64>) -> (u64, u64, bool) {
        let (mut count, mut sum, mut last) = (0, 0, HashMap::new());
        let mut in_order = true;
        for n in &queue {
            count += 1;
            sum += n;
            in_order &= last.insert(n / EACH, n).is_none_or(|last| last < n);
        }
        (count, sum, in_order)
    }
    let queue = Queue::bounded(16).unwrap();
    let consumers = [(); 4].map(|()| Process::spawn(task!(consume), queue.clone()).unwrap());
    let producers = [0, 1, 2, 3].map(|who| Process::spawn(task!(produce), (queue.clone(), who)).unwrap());
    producers.into_iter().for_each(|it| it.join().unwrap());
    queue.close();
    let all = consumers.into_iter().map(|it| it.join().unwrap());
    let (count, sum) = all.fold((0, 0), |all, (count, sum, in_order)| {
        assert!(in_order, "one producer's items were mixed up");
        (all.0 + count, all.1 + sum)
    });
    assert_eq!((count, sum), (4 * EACH, (0..4 * EACH).sum()));
}

#[test]
fn b9_close_ends_every_iterator() {
    let queue = Queue::bounded(4).unwrap();
    let counts =
        [(); 3].map(|()| Process::spawn(task!(|queue: Queue<u64>| queue.iter().count()), queue.clone()).unwrap());
    (0..10).for_each(|n| queue.put(&n).unwrap());
    queue.close();
    assert!(queue.is_closed());
    assert_eq!(counts.into_iter().map(|it| it.join().unwrap()).sum::<usize>(), 10);
    assert!(matches!(queue.put(&1), Err(Error::Closed(..))));
    assert!(matches!(queue.try_put(&1), Err(Error::Closed(..))));
    assert!(matches!(queue.put_timeout(&1, LONG), Err(Error::Closed(..))));
    assert!(matches!(queue.get(), Err(Error::Closed(..))));
    assert!(matches!(queue.try_get(), Err(Error::Closed(..))));
    assert!(matches!(queue.get_timeout(LONG), Err(Error::Closed(..))));
}

#[test]
fn b9_close_wakes_who_waits_for_room() {
    let queue = Queue::bounded(1).unwrap();
    queue.put(&0).unwrap();
    let waits = |queue: Queue<u64>| matches!(queue.put(&1), Err(Error::Closed(..)));
    let waiting =
        Process::spawn(task!(|queue: Queue<u64>| matches!(queue.put(&1), Err(Error::Closed(..)))), queue.clone());
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| waits(queue.clone()));
        queue.close();
        assert!(thread.join().unwrap());
    });
    assert!(waiting.unwrap().join().unwrap());
    assert_eq!(queue.iter().collect::<Vec<_>>(), [0], "what was in it is still there");
}

#[test]
fn b10_mixed_types() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Mixed {
        Number(i64),
        Text(String),
        List(Vec<Mixed>),
        Point { x: f64, y: f64 },
        Json(Json),
        Nothing,
    }
    /// What describes itself goes as text, because the bytes of an item do not.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(try_from = "String", into = "String")]
    struct Json(serde_json::Value);
    impl From<Json> for String {
        fn from(json: Json) -> Self {
            json.0.to_string()
        }
    }
    impl TryFrom<String> for Json {
        type Error = serde_json::Error;
        fn try_from(text: String) -> Result<Self, Self::Error> {
            serde_json::from_str(&text).map(Self)
        }
    }
    let all = || {
        let json = serde_json::json!({ "name": "Ada", "tags": [1, 2.5, null, true] });
        let list = Mixed::List(vec![Mixed::Number(-1), Mixed::Nothing]);
        [Mixed::Number(1), Mixed::Text("x".repeat(300)), list, Mixed::Point { x: 1.0, y: 2.0 }, Mixed::Json(Json(json))]
    };
    let (there, back) = (Queue::new().unwrap(), Queue::new().unwrap());
    fn forward(from: Queue<Mixed>, to: Queue<Mixed>) {
        from.iter().for_each(|item| to.put(&item).unwrap());
    }
    all().iter().for_each(|item| there.put(item).unwrap());
    there.close();
    Process::spawn(task!(forward), (there, back.clone())).unwrap().join().unwrap();
    all().iter().for_each(|item| assert_eq!(&back.get().unwrap(), item));
}

#[test]
fn b10_a_queue_in_an_item_is_an_error_that_says_so() {
    let queue = Queue::<Queue<u8>>::new().unwrap();
    let refused = queue.put(&Queue::new().unwrap()).unwrap_err();
    assert!(matches!(&refused, Error::Codec(why) if why.contains("descriptor")), "{refused}");
    assert!(queue.is_empty());
}

#[test]
fn a18_messages_until_a_sentinel() {
    fn receive(queue: Queue<String>) -> Vec<String> {
        std::iter::repeat_with(|| queue.get().unwrap()).take_while(|text| text != "END").collect()
    }
    let queue = Queue::new().unwrap();
    let receiver = Process::spawn(task!(receive), queue.clone()).unwrap();
    let messages: Vec<String> = (0..10).map(|n| format!("Message {n}")).collect();
    messages.iter().for_each(|text| queue.put(text).unwrap());
    queue.put(&"END".to_owned()).unwrap();
    assert_eq!(receiver.join().unwrap(), messages);
}

#[test]
fn items_of_64_mib_pass() {
    fn check(queue: Queue<String>) -> Vec<usize> {
        queue.iter().map(|text| text.bytes().filter(|byte| *byte == b'x').count()).collect()
    }
    let queue = Queue::bounded(2).unwrap();
    let checker = Process::spawn(task!(check), queue.clone()).unwrap();
    let text = "x".repeat(64 << 20);
    (0..3).for_each(|_| queue.put(&text).unwrap());
    queue.close();
    assert_eq!(checker.join().unwrap(), [text.len(); 3]);
}

#[test]
fn items_of_all_sizes_arrive_intact() {
    const ITEMS: u64 = 100_000;
    fn text(n: u64) -> String {
        // Mostly short ones, because a debug build takes its time.
        let length = if n.is_multiple_of(16) { scatter(n) % (100 << 10) } else { scatter(n) % 600 };
        let byte = (b'a' + (n % 26) as u8) as char;
        byte.to_string().repeat(length as usize)
    }
    fn produce(queue: Queue<(u64, String)>) {
        (0..ITEMS).for_each(|n| queue.put(&(n, text(n))).unwrap());
        queue.close();
    }
    let queue = Queue::bounded(64).unwrap();
    let producer = Process::spawn(task!(produce), queue.clone()).unwrap();
    let mut expected = 0;
    for (n, found) in &queue {
        assert_eq!(n, expected);
        assert!(found == text(n), "item {n} is torn");
        expected += 1;
    }
    assert_eq!(expected, ITEMS);
    producer.join().unwrap();
}

/// (who put it, its number, something long now and then)
type Numbered = (u64, u64, Vec<u8>);

fn numbered(who: u64, number: u64) -> Numbered {
    let length =
        if scatter(who * 7 + number).is_multiple_of(3) { scatter(number) % 9000 } else { scatter(number) % 200 };
    (who, number, content(who + number, length as usize))
}

/// Holds that what came is whole, and that each producer's items are in order.
fn check(item: &Numbered, last: &mut HashMap<u64, u64>) {
    assert!(*item == numbered(item.0, item.1), "item {} of {} is torn", item.1, item.0);
    let before = last.insert(item.0, item.1);
    assert!(before.is_none_or(|before| before < item.1), "item {} of {} came after {before:?}", item.1, item.0);
}

/// Python's other deadlock: a process that is terminated while it uses a queue spoils it for all.
#[test]
fn terminate_while_a_queue_is_in_use_spoils_it_for_nobody() {
    fn produce(queue: Queue<Numbered>, who: u64) {
        (0..).take_while(|number| queue.put(&numbered(who, *number)).is_ok()).for_each(drop);
    }
    fn forward(from: Queue<Numbered>, to: Queue<Numbered>) {
        from.iter().take_while(|item| to.put(item).is_ok()).for_each(drop);
    }
    let (queue, results) = (Queue::bounded(5).unwrap(), Queue::bounded(3).unwrap());
    for round in 0..200 {
        let mut last = HashMap::new();
        let (first, second) = (round * 2, round * 2 + 1);
        let start = |who| Process::spawn(task!(produce), (queue.clone(), who)).unwrap();
        let mut victims = vec![start(first), start(second)];
        victims.push(Process::spawn(task!(forward), (queue.clone(), results.clone())).unwrap());
        while !victims.is_empty() {
            // The third keeps the items flowing until it is its turn.
            for _ in 0..scatter(round * 3 + victims.len() as u64) % 20 {
                match results.get_timeout(if victims.len() == 3 { LONG } else { Duration::ZERO }) {
                    Ok(item) => check(&item, &mut last),
                    Err(error) => assert!(victims.len() < 3, "nothing came in round {round}: {error}"),
                }
            }
            let mut victim = victims.swap_remove((scatter(round + 99) % victims.len() as u64) as usize);
            victim.kill();
            let _ = victim.join();
        }
        for left in [&results, &queue] {
            while let Ok(item) = left.try_get() {
                check(&item, &mut last);
            }
            assert!(left.is_empty());
        }
    }
    queue.put(&numbered(0, 0)).unwrap();
    assert_eq!(queue.get().unwrap(), numbered(0, 0));
}
