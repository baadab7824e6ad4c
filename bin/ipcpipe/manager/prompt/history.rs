//! The lines of earlier sessions, in a file of the user alone.

use std::env;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

/// Lines that are kept.
const KEPT: usize = 1000;

/// The file of the history. A history that cannot be kept is no reason not to work, so nothing here fails.
#[derive(Debug)]
pub(crate) struct History {
    file: Option<PathBuf>,
}

impl History {
    /// The history of this user.
    pub(crate) fn of_user() -> Self {
        let dir = |name: &str| env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
        let state = dir("XDG_STATE_HOME").or_else(|| dir("HOME").map(|home| home.join(".local/state")));
        Self { file: state.map(|state| state.join("ipcpipe/history")) }
    }

    /// The last lines, the oldest first. Cuts the file down to them when it has grown to twice as many.
    pub(crate) fn load(&self) -> Vec<String> {
        let bytes = self.file.as_ref().and_then(|file| fs::read(file).ok()).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().collect();
        let kept: Vec<String> = lines[lines.len().saturating_sub(KEPT)..].iter().map(|&line| line.to_owned()).collect();
        if lines.len() > 2 * KEPT {
            let _ = self.replace(&kept);
        }
        kept
    }

    /// Adds a line.
    pub(crate) fn add(&self, line: &str) {
        let _ = self.append(line);
    }

    fn append(&self, line: &str) -> io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        if let Some(dir) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        // In one write, so that the lines of two sessions do not mix.
        file.write_all(format!("{line}\n").as_bytes())
    }

    fn replace(&self, lines: &[String]) -> io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let new = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(lines.iter().map(|line| format!("{line}\n")).collect::<String>().as_bytes())?;
        fs::rename(new, path)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_last_lines_are_kept_for_the_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ipcpipe/history");
        let history = History { file: Some(path.clone()) };
        assert!(history.load().is_empty());
        (0..=2 * KEPT).for_each(|number| history.add(&number.to_string()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let lines = history.load();
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (KEPT, Some("2000")));
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), KEPT);
        History { file: None }.add("nowhere");
    }
}
