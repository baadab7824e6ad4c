//! The values that options of the manager take. Each parser answers in one clause that says what would have been right.

use std::ffi::{OsStr, OsString};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use ipcpipe::manager::Name;
use ipcpipe::manager::spec::{After, Backoff, Condition, Intensity, Ready, Restart};
use ipcpipe::sys::signal as signals;

use crate::units;

/// The largest signal number of Linux.
const LAST_SIGNAL: i32 = 64;

/// Exit statuses, as `0,130`.
#[derive(Clone, Debug)]
pub(super) struct Codes(pub(super) Vec<i32>);

/// A name.
pub(super) fn name(text: &str) -> Result<Name, String> {
    Name::new(text)
}

/// A signal: `TERM`, `SIGTERM`, `term` or `15`.
pub(super) fn signal(text: &str) -> Result<i32, String> {
    let upper = text.to_uppercase();
    let named = |number: &i32| {
        let name = signals::name(*number);
        name == upper || name.strip_prefix("SIG") == Some(&upper)
    };
    let number = text.parse().ok().filter(|number| (1..=LAST_SIGNAL).contains(number));
    number
        .or_else(|| (1..=LAST_SIGNAL).find(named))
        .ok_or_else(|| format!("expected a signal such as TERM, SIGHUP or a number from 1 to {LAST_SIGNAL}"))
}

/// Exit statuses from 0 to 255.
pub(super) fn codes(text: &str) -> Result<Codes, String> {
    let code = |code: &str| code.parse::<u8>().map(i32::from);
    let codes: Result<Vec<_>, _> = text.split(',').map(code).collect();
    codes.map(Codes).map_err(|_| "expected exit statuses from 0 to 255, such as 0,130".into())
}

/// A time above zero: a job without a pause in it would do nothing else.
pub(super) fn period(text: &str) -> Result<Duration, String> {
    match units::duration(text)? {
        Duration::ZERO => Err("expected a duration above 0, such as 500ms".into()),
        period => Ok(period),
    }
}

/// A policy: `never`, `on-failure` or `always`, and `:5/60s` behind the last two.
pub(super) fn restart(text: &str) -> Result<Restart, String> {
    let (policy, intensity) = match text.split_once(':') {
        None => (text, Intensity::default()),
        Some((policy, rate)) => (policy, intensity(rate)?),
    };
    match policy {
        "never" if policy == text => Ok(Restart::Never),
        "on-failure" => Ok(Restart::OnFailure(intensity)),
        "always" => Ok(Restart::Always(intensity)),
        _ => Err("expected never, on-failure, always, or one of the last two as always:5/60s".into()),
    }
}

fn intensity(text: &str) -> Result<Intensity, String> {
    let wrong = || "expected restarts and a time behind the policy, such as always:5/60s".to_owned();
    let (restarts, within) = text.split_once('/').ok_or_else(wrong)?;
    let restarts = restarts.parse().map_err(|_| wrong())?;
    Ok(Intensity { restarts, within: period(within).map_err(|_| wrong())? })
}

/// Two times: `100ms..30s`.
pub(super) fn backoff(text: &str) -> Result<Backoff, String> {
    let wrong = || "expected two durations, the longer one last, such as 100ms..30s".to_owned();
    let (first, longest) = text.split_once("..").ok_or_else(wrong)?;
    let [first, longest] = [first, longest].map(|text| units::duration(text).map_err(|_| wrong()));
    let backoff = Backoff { first: first?, longest: longest? };
    if backoff.first <= backoff.longest { Ok(backoff) } else { Err(wrong()) }
}

/// A variable: `NAME=VALUE`, of any bytes.
pub(super) fn variable(word: OsString) -> Result<(OsString, OsString), String> {
    let bytes = word.into_vec();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) if at > 0 && !bytes.contains(&0) => {
            let part = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
            Ok((part(&bytes[..at]), part(&bytes[at + 1..])))
        }
        _ => Err("expected NAME=VALUE".into()),
    }
}

/// What to come after: `db`, `db:ready`.
pub(super) fn after(text: &str) -> Result<After, String> {
    let (name, condition) = text.split_once(':').unwrap_or((text, Condition::Started.name()));
    let condition = Condition::ALL.into_iter().find(|known| known.name() == condition);
    let condition = condition.ok_or("expected started, ready or ok behind the name, as in db:ready")?;
    Ok(After { name: Name::new(name)?, condition })
}

/// A probe: `log:TEXT`, `notify`, `tcp:HOST:PORT` or `exec:COMMAND`.
pub(super) fn ready(text: &str) -> Result<Ready, String> {
    match text.split_once(':') {
        None if text == "notify" => Ok(Ready::Notify),
        Some(("log", text)) if !text.is_empty() => Ok(Ready::Log(text.into())),
        Some(("exec", command)) if !command.is_empty() => Ok(Ready::Exec(command.into())),
        Some(("tcp", address)) => tcp(address).map(Ready::Tcp),
        _ => Err("expected log:TEXT, notify, tcp:HOST:PORT or exec:COMMAND".into()),
    }
}

/// An address. There is no resolver on the way to it: a probe that waits for a name server would hold up the manager.
fn tcp(address: &str) -> Result<SocketAddr, String> {
    let local = address.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let local = local.map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let known = local.or_else(|| address.parse().ok()).filter(|address| address.port() != 0);
    known.ok_or_else(|| {
        "expected an IP address or localhost, and a port, such as tcp:localhost:8080 or tcp:[::1]:80".into()
    })
}
