use ipcpipe::manager::client::Client;
use ipcpipe::manager::protocol::*;
use ipcpipe::manager::spec::*;
use ipcpipe::manager::*;
use std::ffi::OsString;
use std::time::Duration;
fn parse(w: &[OsString]) -> Result<Command, Refusal> {
    let w: Vec<String> = w.iter().map(|w| w.to_string_lossy().into_owned()).collect();
    let t = |i: usize| Targets { kind: None, select: w[i..].iter().map(|w| Selector::parse(w)).collect() };
    Ok(match w[0].as_str() {
        "create" => {
            let mut s = ProcessSpec::new(
                Name::new(w[1].clone()).unwrap(),
                if w.len() > 2 {
                    Program::Command(w[2..].iter().map(|w| w.into()).collect())
                } else {
                    Program::Tick { every: TICK }
                },
            );
            if w[1].starts_with("r-") {
                s.restart = Restart::Always(Intensity::default())
            }
            s.grace = Duration::from_secs(1);
            Command::CreateProcess(Box::new(s))
        }
        "pause" => Command::Pause(t(1)),
        "resume" => Command::Resume(t(1)),
        "terminate" => Command::Terminate { targets: t(1), grace: None },
        "kill" => Command::Kill(t(1)),
        "restart" => Command::Restart(t(1)),
        "wait" => Command::Wait { targets: t(1), timeout: Some(Duration::from_secs(5)) },
        "list" => Command::List(None),
        "why" => Command::Why(t(1)),
        "logs" => Command::Logs { targets: t(1), follow: false, lines: None },
        "events" => Command::Events { follow: false, lines: None },
        "show" => Command::Show(t(1)),
        "save" => Command::Save,
        "forget" => Command::Forget(t(1)),
        "quit" => Command::Quit { timeout: None },
        "exit" => Command::Exit,
        _ => return Err(Refusal::new(Code::Usage, "what?")),
    })
}
fn main() {
    let me: OsString = std::env::current_exe().unwrap().into();
    let mut m = Manager::new(Options {
        parse: Box::new(parse),
        job: vec![me.clone(), "job".into()],
        guard: vec!["cat".into()],
        socket: None,
        directory: None,
        sink: Sink::Off,
        adopt: false,
    })
    .unwrap();
    let mut c = Client::over(m.connect("the test").unwrap());
    let h = std::thread::spawn(move || m.run().unwrap());
    let t0 = std::time::Instant::now();
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words = shlexish(&line);
        if words.is_empty() {
            continue;
        }
        c.send(&Request {
            v: 1,
            cmd: words.iter().map(|w| word::Word::Text(w.clone())).collect(),
            ..Default::default()
        })
        .unwrap();
        loop {
            match c.next().unwrap() {
                None => {
                    println!("gone");
                    break;
                }
                Some(Answer::End { exit, .. }) => {
                    if !line.contains(" q") {
                        println!("{line} -> {exit} at {:?}", t0.elapsed())
                    };
                    break;
                }
                Some(a) => {
                    if !line.ends_with(" q") {
                        print!("  {}", a.line())
                    }
                }
            }
        }
    }
    h.join().unwrap();
    println!("ended after {:?}", t0.elapsed());
}
fn shlexish(l: &str) -> Vec<String> {
    match l.split_once(" -- ") {
        Some((a, b)) => {
            let mut v: Vec<String> = a.split_whitespace().map(Into::into).collect();
            v.extend(["sh".into(), "-c".into(), b.into()]);
            v
        }
        None => l.split_whitespace().map(Into::into).collect(),
    }
}
