//! The controller: what the seed's README does, and what it leaves open.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipcpipe::mp::{BatchId, Controller, Error};
use ipcpipe::task;

const LONG: Duration = Duration::from_secs(60);

fn quotient(a: i64, b: i64) -> i64 {
    a / b
}

fn sleep(ms: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(ms));
    ms
}

fn values<R: Clone + std::fmt::Debug>(results: &[Result<R, Error>]) -> Vec<R> {
    results.iter().map(|it| it.as_ref().unwrap().clone()).collect()
}

#[test]
fn e1_e15_a_controller_runs_one_task_and_logs_what_it_does() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    let mut controller = Controller::new(task!(quotient)).log(move |event| log.lock().unwrap().push(event.to_string()));
    assert!(controller.task().name().contains("quotient"));
    controller.pool(1).unwrap();
    controller.use_pool([(4, 2)]).unwrap();
    controller.quit();
    let lines = lines.lock().unwrap();
    assert_eq!(
        *lines,
        ["pool of 1 made", "batch 0 submitted: 1 jobs", "batch 0 retrieved: 0 failed", "controller quit"]
    );
}

#[test]
fn e2_there_is_one_pool_whose_size_changes() {
    let mut controller = Controller::new(task!(quotient));
    assert!(matches!(controller.use_pool([(1, 1)]), Err(Error::Refused(_))));
    controller.pool(2).unwrap();
    assert!(matches!(controller.pool(2), Err(Error::Refused(_))));
    controller.resize(3.try_into().unwrap()).unwrap();
    crate::eventually(|| controller.workers().iter().filter(|(_, is_alive)| *is_alive).count() == 3);
}

#[test]
fn e3_e4_batches_have_numbers_and_do_not_block() {
    let mut controller = Controller::new(task!(sleep));
    controller.pool(2).unwrap();
    let ids = [controller.use_pool([100_000]).unwrap(), controller.use_pool([1, 2]).unwrap()];
    assert_eq!(ids, [BatchId(0), BatchId(1)]);
    assert_eq!(ids[1].to_string(), "batch 1");
    controller.exit();
}

#[test]
fn e5_a_pending_batch_can_be_taken_out() {
    let mut controller = Controller::new(task!(quotient));
    controller.pool(2).unwrap();
    let id = controller.use_pool([(4, 2), (12, 3)]).unwrap();
    assert_eq!(controller.pending(), [id]);
    let batch = controller.take_pending(id).unwrap();
    assert_eq!(values(&batch.results()), [2, 4]);
    assert!(controller.pending().is_empty());
    assert!(controller.results().is_empty());
}

#[test]
fn e6_results_come_in_the_order_of_completion_and_never_mix() {
    let mut controller = Controller::new(task!(sleep));
    controller.pool(2).unwrap();
    let slow = controller.use_pool([400, 3]).unwrap();
    let fast = controller.use_pool([1, 2]).unwrap();
    let results = controller.results();
    assert_eq!(results.iter().map(|it| it.id).collect::<Vec<_>>(), [fast, slow]);
    assert_eq!((values(&results[0].results), values(&results[1].results)), (vec![1, 2], vec![400, 3]));
    controller.use_pool([5]).unwrap();
    assert_eq!(controller.retrieve(), 1);
    assert_eq!(values(&controller.pop_results().unwrap().results), [5]);
    assert!(controller.pop_results().is_none());
}

#[test]
fn e7_an_error_of_a_job_is_logged_and_there_to_be_read() {
    let failures = Arc::new(Mutex::new(0));
    let count = Arc::clone(&failures);
    let mut controller = Controller::new(task!(quotient)).log(move |event| {
        *count.lock().unwrap() += usize::from(event.to_string().contains("divide by zero"));
    });
    controller.pool(1).unwrap();
    controller.use_pool([(4, 2), (1, 0)]).unwrap();
    let results = controller.results();
    assert_eq!(*results[0].results[0].as_ref().unwrap(), 2);
    let Err(Error::Panicked(worker, panic)) = &results[0].results[1] else { panic!("{results:?}") };
    assert!(worker.name.starts_with("PoolWorker-") && panic.location.contains("controller.rs"));
    assert_eq!(*failures.lock().unwrap(), 1);
}

#[test]
fn e8_e9_single_processes_give_their_results_first_finished_first() {
    let mut controller = Controller::new(task!(sleep));
    let slow = controller.use_process(400).unwrap();
    let fast = controller.use_process(1).unwrap();
    assert_eq!(controller.running(), 2);
    let first = controller.next_result(Some(LONG)).unwrap();
    assert_eq!((first.result.unwrap(), &first.worker), (1, &fast));
    assert!(controller.next_result(Some(Duration::ZERO)).is_none());
    let rest = controller.process_results();
    assert_eq!((*rest[0].result.as_ref().unwrap(), &rest[0].worker), (400, &slow));
}

#[test]
fn e10_active_and_inactive_processes_are_known() {
    let mut controller = Controller::new(task!(sleep));
    let ended = controller.use_process(1).unwrap();
    controller.process_results();
    let active = controller.use_process(100_000).unwrap();
    assert_eq!(controller.workers(), [(ended, false), (active, true)]);
    controller.exit();
}

#[test]
fn e12_quit_waits_for_all_work() {
    let mut controller = Controller::new(task!(sleep));
    controller.pool(1).unwrap();
    controller.use_pool([50, 51]).unwrap();
    controller.use_process(52).unwrap();
    let (batches, singles) = controller.quit();
    assert_eq!(values(&batches[0].results), [50, 51]);
    assert_eq!(*singles[0].result.as_ref().unwrap(), 52);
}

#[test]
fn e13_clear_waits_and_forgets() {
    let mut controller = Controller::new(task!(sleep));
    controller.pool(1).unwrap();
    controller.use_pool([1]).unwrap();
    controller.clear();
}

#[test]
fn e14_exit_ends_everything_at_once() {
    let mut controller = Controller::new(task!(sleep));
    controller.pool(2).unwrap();
    controller.use_pool([100_000; 5]).unwrap();
    controller.use_process(100_000).unwrap();
    let pids: Vec<u32> = controller.workers().into_iter().map(|(worker, _)| worker.pid).collect();
    assert_eq!(pids.len(), 3);
    controller.exit();
    assert!(pids.iter().all(|pid| ipcpipe::sys::proc::stat(*pid).is_none()));
}

#[test]
fn e16_two_arguments_are_divided() {
    let mut controller = Controller::new(task!(quotient));
    controller.use_process((6, 2)).unwrap();
    let result = controller.next_result(None).unwrap();
    assert_eq!(result.result.unwrap(), 3);
    assert!(result.worker.name.starts_with("Process-"));
}
