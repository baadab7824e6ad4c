//! What a child is told about its place in the pipeline, as arguments that ps(1) shows.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::time::Duration;

/// The descriptors and links of one stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    /// The process id of the launcher: a child whose parent is somebody else is an orphan.
    pub launcher: u32,
    /// How long an orphan that is stuck may live on.
    pub grace: Duration,
    /// The write end of the control pipe.
    pub control: RawFd,
    /// The read end of the stop line, for a source.
    pub stop: Option<RawFd>,
    /// The links it receives from, as endpoint texts.
    pub from: Vec<OsString>,
    /// The links it sends to, as endpoint texts.
    pub to: Vec<OsString>,
}

impl Wiring {
    /// The wiring as arguments: `--launcher 4711 --grace-ms 5000 --control 4 --stop 6 --to pipe:8:conv-log`.
    #[must_use]
    pub fn to_args(&self) -> Vec<OsString> {
        let number = |name: &str, value: String| [OsString::from(name), OsString::from(value)];
        let mut args = Vec::new();
        args.extend(number("--launcher", self.launcher.to_string()));
        args.extend(number("--grace-ms", self.grace.as_millis().to_string()));
        args.extend(number("--control", self.control.to_string()));
        args.extend(self.stop.iter().flat_map(|stop| number("--stop", stop.to_string())));
        args.extend(self.from.iter().flat_map(|link| ["--from".into(), link.clone()]));
        args.extend(self.to.iter().flat_map(|link| ["--to".into(), link.clone()]));
        args
    }
}
