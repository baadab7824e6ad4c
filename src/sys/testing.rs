//! For tests with real processes: waiting for a condition, and a process of one's own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Waits until `condition` holds, for at most 10 seconds.
pub(crate) fn eventually(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "it never came true");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs the body of the test with this full name in a process where nothing else runs: what children it has, what it
/// adopts and which signals it heeds concern no other test.
pub(crate) fn alone(test: &str, body: impl FnOnce()) {
    const MARK: &str = "IPCPIPE_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return body();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--test-threads=1", "--nocapture"]).env(MARK, "1").stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
