use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use ipcpipe::manager::spec::{
    After, Backoff, Condition, Intensity, ProcessSpec, Program, Ready, Restart, Task, ThreadSpec,
};
use ipcpipe::manager::{Command, Kind, Name, Selector, Targets};
use proptest::prelude::*;

use super::*;

fn words(line: &str) -> Vec<OsString> {
    crate::manager::words::split(line.as_bytes()).unwrap().concat()
}

fn lowered(line: &str) -> Command {
    parse(&words(line)).unwrap_or_else(|refusal| panic!("{line}: {}", refusal.message))
}

fn refused(line: &str) -> String {
    parse(&words(line)).expect_err(line).message
}

fn on(kind: Option<Kind>, name: &str) -> Targets {
    Targets { kind, select: vec![Selector::parse(name)] }
}

#[test]
fn the_definition_is_sound() {
    definition().debug_assert();
}

#[test]
fn a16_the_sentences_of_the_seed_work_word_for_word() {
    let tick = Program::Tick { every: Duration::from_secs(1) };
    let p1 = ProcessSpec::new(Name::new("p1").unwrap(), tick);
    assert_eq!(lowered("create process p1"), Command::CreateProcess(Box::new(p1)));
    let Command::CreateThread(t1) = lowered("create thread t1") else { panic!() };
    assert_eq!(t1.task, Task::Tick { every: Duration::from_secs(1) });
    assert_eq!(lowered("pause process p1"), Command::Pause(on(Some(Kind::Process), "p1")));
    assert_eq!(lowered("resume thread t1"), Command::Resume(on(Some(Kind::Thread), "t1")));
    let targets = on(Some(Kind::Process), "p1");
    assert_eq!(lowered("terminate process p1"), Command::Terminate { targets, grace: None });
    assert_eq!(lowered("list process"), Command::List(Some(Kind::Process)));
    assert_eq!(lowered("list threads"), Command::List(Some(Kind::Thread)));
    assert_eq!([lowered("list"), lowered("list all")], [Command::List(None), Command::List(None)]);
    assert_eq!(lowered("exit"), Command::Exit);
}

#[test]
fn a_noun_may_be_left_out_and_targets_are_what_they_look_like() {
    assert_eq!(lowered("pause p1"), Command::Pause(on(None, "p1")));
    assert_eq!(lowered("kill all"), Command::Kill(on(None, "all")));
    assert_eq!(lowered("kill process all"), Command::Kill(on(Some(Kind::Process), "all")));
    assert_eq!(lowered("why #7"), Command::Why(Targets { kind: None, select: vec![Selector::Id(7)] }));
    let targets = on(None, "p1");
    assert_eq!(lowered("stop p1 --grace 3s"), Command::Terminate { targets, grace: Some(Duration::from_secs(3)) });
    for name in ["HUP", "SIGHUP", "hup", "1"] {
        assert_eq!(lowered(&format!("signal {name} p1")), Command::Signal { signal: 1, targets: on(None, "p1") });
    }
}

#[test]
fn options_of_every_command_stand_anywhere_but_in_a_program() {
    let line = read(&words("--format json list --socket /s --quiet --color never")).unwrap();
    assert!(line.options.quiet && line.options.socket.is_some() && line.options.format.is_some());
    let Command::CreateProcess(spec) = lowered("create process p -q -- ./x --format json -q") else { panic!() };
    assert_eq!(spec.program, Program::Command(words("./x --format json -q")));
}

#[test]
fn what_is_missing_is_named_with_its_verb() {
    for (line, says) in [
        ("pause", "pause: <TARGET>... is missing; see 'help pause'"),
        ("pause process", "pause: which one? Give a name, a pid, an #ID, a pattern or all; see 'help pause'"),
        ("create process", "create process: <NAME> is missing; see 'help create process'"),
        ("count", "count: which file? Name one, or '-' for standard input; see 'help count'"),
        ("demo", "demo: which one? 'demo --list' names them"),
        ("demo xyzzy", "demo: there is no demo 'xyzzy'; 'demo --list' names them"),
        ("create", "create: what? Say process, thread or pool, and a name; see 'help create'"),
        ("signal p1", "signal: invalid value 'p1' for '<SIGNAL>'"),
        ("signal HUP", "signal: <TARGET>... is missing"),
        ("paus p1", "there is no command 'paus'; did you mean 'pause'?"),
        ("pause p1 --grade 3s", "pause: unexpected '--grade'"),
        ("terminate p1 --grac 3s", "terminate: unexpected '--grac'; did you mean '--grace'?"),
        ("create process p1 ls -l", "put '--' before the command: create process p1 -- ls -l"),
        ("create process --daemon x --env a=sleep sleep 5", "create process --daemon x --env a=sleep -- sleep 5"),
        ("create web -- sleep 5", "say process or thread: create process web -- sleep 5"),
        ("create web", "say process or thread: create process web"),
        ("create proces web", "did you mean 'process'?"),
        ("create process b --", "create process: nothing stands behind '--'"),
        ("list p1", "list takes process, thread, pool or batch, or nothing; show p1 tells of one"),
        ("list proces", "did you mean 'process'"),
        ("pasue p1", "did you mean one of pause, "),
        ("detach", "this is for the client to do"),
        ("create process -- ls", "create process: <NAME> is missing"),
        ("create process all", "it is a word of the grammar"),
        ("create process ''", "a name has at least one character"),
        ("create process p --ready tcp:example.org:80", "expected an IP address or localhost"),
        ("create process p --every 0", "expected a duration above 0"),
        ("create process p --env =x", "expected NAME=VALUE"),
        ("create process p --after db:done", "expected started, ready or ok"),
        ("create thread t --task sum", "this task needs a number"),
        ("source x", "source: this is for the client to do"),
        ("", "what?"),
    ] {
        let refused = refused(line);
        assert!(refused.contains(says) && !refused.contains('\n'), "{line}: {refused}");
    }
}

#[test]
fn a_refusal_does_not_repeat_a_word_without_end() {
    assert!(refused(&"x".repeat(1 << 20)).len() < 300);
    assert!(refused(&format!("list {}", "é".repeat(1 << 20))).len() < 600);
}

#[test]
fn words_that_are_no_text_are_refused_or_kept_never_lost() {
    let odd = OsString::from_vec(vec![b'x', 0xff]);
    assert!(parse(&["pause".into(), odd.clone()]).unwrap_err().message.contains("is no text"));
    assert!(parse(std::slice::from_ref(&odd)).is_err());
    assert!(parse(&["create".into(), "process".into(), odd.clone()]).is_err());
    let line = ["create", "process", "p", "--"].map(OsString::from).into_iter().chain([odd.clone()]);
    let Command::CreateProcess(spec) = parse(&line.collect::<Vec<_>>()).unwrap() else { panic!() };
    assert_eq!(spec.program, Program::Command(vec![odd]));
}

fn name() -> impl Strategy<Value = Name> {
    "[a-zé._@ -]{1,12}".prop_filter_map("a name", |text| Name::new(text).ok())
}

fn bytes() -> impl Strategy<Value = OsString> {
    prop::collection::vec(1..=255u8, 1..12).prop_map(OsString::from_vec)
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![(1..3_000_000_000u64).prop_map(Duration::from_secs), (1..u64::MAX / 8).prop_map(Duration::from_nanos)]
}

fn restart() -> impl Strategy<Value = Restart> {
    let intensity = || (any::<u32>(), duration()).prop_map(|(restarts, within)| Intensity { restarts, within });
    prop_oneof![Just(Restart::Never), intensity().prop_map(Restart::OnFailure), intensity().prop_map(Restart::Always)]
}

fn ready() -> impl Strategy<Value = Ready> {
    prop_oneof![
        "\\PC{1,10}".prop_map(Ready::Log),
        "\\PC{1,10}".prop_map(Ready::Exec),
        Just(Ready::Notify),
        (any::<[u8; 4]>(), 1..=u16::MAX).prop_map(|address| Ready::Tcp(SocketAddr::from(address))),
        (any::<[u16; 8]>(), 1..=u16::MAX).prop_map(|address| Ready::Tcp(SocketAddr::from(address))),
    ]
}

fn program() -> impl Strategy<Value = Program> {
    let command = prop::collection::vec(prop_oneof![bytes(), Just("--".into()), Just("-q".into())], 1..4);
    prop_oneof![duration().prop_map(|every| Program::Tick { every }), command.prop_map(Program::Command)]
}

prop_compose! {
    fn timing()(
        restart in restart(),
        backoff in [duration(), duration()],
        timeout in prop::option::of(duration()),
        grace in duration(),
        stop_signal in 1..=64,
        ok_codes in prop::collection::vec(0..=255, 1..4),
    ) -> (Restart, Backoff, Option<Duration>, Duration, i32, Vec<i32>) {
        let backoff = Backoff { first: backoff[0].min(backoff[1]), longest: backoff[0].max(backoff[1]) };
        (restart, backoff, timeout, grace, stop_signal, ok_codes)
    }
}

prop_compose! {
    fn process()(
        name in name(),
        program in program(),
        daemon in any::<bool>(),
        (restart, backoff, timeout, grace, stop_signal, ok_codes) in timing(),
        paths in [prop::option::of(bytes()), prop::option::of(bytes())],
        env in prop::collection::vec((bytes(), bytes()), 0..3),
        after in prop::collection::vec((name_after(), prop::sample::select(&Condition::ALL)), 0..3),
        ready in prop::option::of(ready()),
    ) -> ProcessSpec {
        let [cwd, log_file] = paths.map(|path| path.map(Into::into));
        let env = env.into_iter().filter(|(key, _)| !key.as_encoded_bytes().contains(&b'=')).collect();
        let after = after.into_iter().map(|(name, condition)| After { name, condition }).collect();
        ProcessSpec {
            name, program, daemon, restart, backoff, timeout, grace, stop_signal, ok_codes, cwd, env, after, ready, log_file,
        }
    }
}

fn name_after() -> impl Strategy<Value = Name> {
    name()
}

proptest! {
    #[test]
    fn a_process_is_read_back_from_its_own_words(spec in process()) {
        prop_assert_eq!(parse(&spec.words()).map_err(|refusal| refusal.message), Ok(Command::CreateProcess(Box::new(spec))));
    }

    #[test]
    fn a_thread_is_read_back_from_its_own_words(name in name(), n in any::<u64>(), every in duration(), which in 0..3) {
        let task = [Task::Tick { every }, Task::Primes(n), Task::Sum(n)][which as usize];
        let spec = ThreadSpec { name, task };
        prop_assert_eq!(parse(&spec.words()).map_err(|refusal| refusal.message), Ok(Command::CreateThread(spec)));
    }

    #[test]
    fn garbage_is_refused_in_one_line(words in prop::collection::vec(bytes(), 0..6)) {
        if let Err(refusal) = parse(&words) {
            prop_assert!(!refusal.message.is_empty());
        }
    }
}
